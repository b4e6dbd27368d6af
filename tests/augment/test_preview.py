"""The picture of what an augmentation does."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from augmentation_cases import some_images
from handconv.augment import HorizontalFlip, preview
from handconv.errors import MissingExtraError


@pytest.fixture
def _matplotlib() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")


@pytest.mark.usefixtures("_matplotlib")
@pytest.mark.parametrize(("channels", "dtype"), [(1, np.float32), (3, np.float64), (3, np.uint8)])
def test_a_row_has_the_original_and_what_became_of_it(channels: int, dtype, rng: np.random.Generator) -> None:
    images = some_images(rng, (2, channels, 5, 4), dtype)
    figure = preview(images, HorizontalFlip(1.0), rng, count=3)
    drawn = [axes.images[0].get_array() for axes in figure.axes]
    assert len(drawn) == 2 * 4
    for row, image in enumerate(images.transpose(0, 2, 3, 1)):
        np.testing.assert_array_equal(drawn[4 * row].reshape(image.shape), image)
        for place in (1, 2, 3):
            np.testing.assert_array_equal(drawn[4 * row + place].reshape(image.shape), image[:, ::-1])


@pytest.mark.usefixtures("_matplotlib")
def test_grey_images_are_drawn_from_black_to_white(rng: np.random.Generator) -> None:
    for dtype, white in ((np.float32, 1), (np.uint8, 255)):
        figure = preview(np.zeros((1, 1, 4, 4), dtype), HorizontalFlip(), rng, count=1)
        assert figure.axes[0].images[0].get_clim() == (0, white)


@pytest.mark.parametrize("shape", [(2, 2, 4, 4), (0, 1, 4, 4)])
def test_what_cannot_be_drawn_is_refused(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match=r"preview draws at least one image with one channel or three, got shape"):
        preview(np.zeros(shape), HorizontalFlip(), rng)


def test_what_is_no_augmentation_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(TypeError, match=r"preview expects an augmentation such as Rotate\(10\), got 'flip'\."):
        preview(np.zeros((1, 1, 4, 4)), "flip", rng)  # type: ignore[arg-type]


def test_at_least_one_changed_image_is_drawn(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match=r"preview: count must be a whole number of at least 1, got 0\."):
        preview(np.zeros((1, 1, 4, 4)), HorizontalFlip(), rng, count=0)


def test_without_matplotlib_it_says_how_to_get_it(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r'pip install "handconv\[plot\]"'):
        preview(np.zeros((1, 1, 4, 4)), HorizontalFlip(), rng)


@pytest.mark.usefixtures("_matplotlib")
def test_the_page_on_augmentation_runs_as_it_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "augmentation.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    exec(block, {})
    assert (tmp_path / "augmented.png").read_bytes().startswith(b"\x89PNG")
