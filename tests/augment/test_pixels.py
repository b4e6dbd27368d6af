"""Flips, brightness and erased rectangles."""

import numpy as np
import pytest

from augmentation_cases import Told, some_images
from handconv.augment import Brightness, HorizontalFlip, RandomErasing


def test_a_flip_mirrors_left_and_right(rng: np.random.Generator) -> None:
    images = some_images(rng)
    np.testing.assert_array_equal(HorizontalFlip(1.0)(images, rng), images[..., ::-1])


def test_a_share_of_the_images_is_flipped(rng: np.random.Generator) -> None:
    images = some_images(rng, (2000, 1, 1, 2))
    flipped = HorizontalFlip(0.3)(images, rng)
    mirrored = (flipped == images[..., ::-1]).all(axis=(1, 2, 3))
    assert mirrored.mean() == pytest.approx(0.3, abs=0.04)
    np.testing.assert_array_equal(flipped[~mirrored], images[~mirrored])


@pytest.mark.parametrize(("share", "factor"), [(0.0, 0.6), (0.5, 1.0), (1.0, 1.4)])
def test_brightness_multiplies_and_stops_at_white(share: float, factor: float, rng: np.random.Generator) -> None:
    images = some_images(rng)
    changed = Brightness(0.4)(images, Told(share))
    np.testing.assert_allclose(changed, np.minimum(images * factor, 1), rtol=1e-12)


def test_each_image_has_a_brightness_of_its_own(rng: np.random.Generator) -> None:
    changed = Brightness(0.4)(np.full((500, 2, 3, 3), 0.5), rng)
    assert (changed == changed[:, :1, :1, :1]).all()
    assert changed.min() == pytest.approx(0.3, abs=0.005)
    assert changed.max() == pytest.approx(0.7, abs=0.005)


def erased(augmentation: RandomErasing, count: int, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Which pixels are covered, (N, H, W), the same for all channels."""
    covered = augmentation(np.ones((count, 2, height, width), np.float32), rng) == 0
    np.testing.assert_array_equal(covered[:, 0], covered[:, 1])
    return covered[:, 0]


def test_what_is_erased_is_a_rectangle(rng: np.random.Generator) -> None:
    for covered in erased(RandomErasing(1.0), 300, 12, 17, rng):
        rows, columns = covered.any(axis=1), covered.any(axis=0)
        np.testing.assert_array_equal(covered, np.outer(rows, columns))
        assert np.flatnonzero(rows).size == np.ptp(np.flatnonzero(rows)) + 1
        assert np.flatnonzero(columns).size == np.ptp(np.flatnonzero(columns)) + 1


def test_its_area_and_its_shape_are_in_their_ranges(rng: np.random.Generator) -> None:
    covered = erased(RandomErasing(1.0, smallest=0.1, largest=0.3), 3000, 100, 100, rng)
    share, tall, wide = covered.mean(axis=(1, 2)), covered.any(axis=2).sum(axis=1), covered.any(axis=1).sum(axis=1)
    assert share.min() == pytest.approx(0.1, abs=0.005)
    assert share.max() == pytest.approx(0.3, abs=0.005)
    assert share.mean() == pytest.approx(0.2, abs=0.005)
    assert (tall / wide).min() == pytest.approx(0.3, rel=0.05)
    assert (tall / wide).max() == pytest.approx(1 / 0.3, rel=0.05)
    assert np.median(tall / wide) == pytest.approx(1, abs=0.1)


def test_every_place_is_erased_as_often_as_its_mirror_image(rng: np.random.Generator) -> None:
    often = erased(RandomErasing(1.0, 0.1, 0.1), 20_000, 8, 8, rng).mean(axis=0)
    assert often == pytest.approx(often[::-1], abs=0.02)
    assert often == pytest.approx(often[:, ::-1], abs=0.02)
    assert often == pytest.approx(often.T, abs=0.02)
    assert often.min() > 0


def test_a_share_of_the_images_loses_a_rectangle_and_the_others_nothing(rng: np.random.Generator) -> None:
    covered = erased(RandomErasing(0.3), 3000, 10, 10, rng)
    assert covered.any(axis=(1, 2)).mean() == pytest.approx(0.3, abs=0.03)


def test_everything_may_be_erased_and_nothing(rng: np.random.Generator) -> None:
    assert (RandomErasing(1.0, 1.0, 1.0)(np.ones((1, 1, 4, 4)), Told(0.5)) == 0).all()
    assert not erased(RandomErasing(1.0, 0.0, 0.0), 50, 4, 4, rng).any()
    assert not erased(RandomErasing(0.0), 50, 4, 4, rng).any()


def test_fill_is_a_share_of_white(rng: np.random.Generator) -> None:
    for images, expected in ((np.zeros((9, 1, 8, 8), np.uint8), {0, 102}), (np.zeros((9, 1, 8, 8)), {0, 0.4})):
        assert set(RandomErasing(1.0, fill=0.4)(images, rng).ravel().tolist()) == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HorizontalFlip(1.1), r"HorizontalFlip: probability must be a number from 0 to 1, got 1\.1\."),
        (lambda: HorizontalFlip(-1), r"HorizontalFlip: probability must be a number from 0 to 1, got -1\."),
        (lambda: Brightness(1.5), r"Brightness: change must be a number from 0 to 1, got 1\.5\."),
        (lambda: Brightness(-1), r"Brightness: change must be a number from 0 to 1, got -1\."),
        (lambda: RandomErasing(2), r"RandomErasing: probability must be a number from 0 to 1, got 2\."),
        (lambda: RandomErasing(largest=2), r"RandomErasing: largest must be a number from 0 to 1, got 2\."),
        (
            lambda: RandomErasing(smallest=0.5, largest=0.2),
            r"RandomErasing: smallest must be a number from 0 to largest, 0\.2, got 0\.5\.",
        ),
        (lambda: RandomErasing(fill=255), r"RandomErasing: fill must be a number from 0 to 1, got 255\."),
    ],
)
def test_an_argument_out_of_range_is_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_images_darker_than_black_have_no_brightness(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match=r"Brightness expects floats from 0, black, to 1, white, got -1\. Augment"):
        Brightness(0.5)(np.linspace(-1, 1, 16).reshape(1, 1, 4, 4), rng)


@pytest.mark.parametrize("images", [np.full((1, 1, 2, 2), 3.2), np.full((1, 1, 2, 2), 255, np.float32)])
def test_images_brighter_than_white_are_not_cut_off(images: np.ndarray, rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match=r"Brightness expects floats from 0, black, to 1, white, got (3\.2|255)\. Au"):
        Brightness(0.2)(images, rng)
