"""What does not fit into memory is refused in a sentence, with how large it would be."""

from pathlib import Path

import pytest
from PIL import Image

import handconv as hc
from handconv.cli import main
from handconv.utils import memory


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a megabyte."""
    monkeypatch.setattr(memory, "_NOTABLE", 0)
    monkeypatch.setattr(memory, "free_memory", lambda: 1e6)


def test_the_system_tells_what_is_free() -> None:
    assert memory.free_memory() > 0


def test_a_network_that_does_not_fit_is_not_built(little: None) -> None:
    with pytest.raises(ValueError, match=r"of 1,000,000 parameters.* takes at least 0\.0 GB .* Take smaller images"):
        hc.Sequential([hc.Dense(1000, use_bias=False)], input_shape=(1000,))


def test_a_network_that_fits_but_for_its_training_is_not_trained(
    little: None, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDCONV_CACHE", str(tmp_path))
    assert main(["train", "--dataset", "digits", "--no-play"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "Training this network of 53,866 parameters on samples of shape (1, 28, 28) takes at least" in said


def test_more_images_than_fit_are_not_read(little: None, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.new("L", (9, 9)).save(tmp_path / name / "1.png")
    with pytest.raises(ValueError, match=r"Reading the 2 images of .* at 2000x1000 pixels takes at least 0\.0 GB"):
        hc.datasets.load(tmp_path, size=(2000, 1000))
