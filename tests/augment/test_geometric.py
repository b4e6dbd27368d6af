"""Augmentations that move pixels: how far, in which direction, and what an elastic field is like."""

import math

import numpy as np
import pytest

from augmentation_cases import Told, some_images
from handconv.augment import Affine, Compose, Elastic, HorizontalFlip, Rotate, Scale, Shear, Shift
from handconv.augment.geometric import Geometric, _bumps, affine_matrices

SHAPE = (50_000, 1, 28, 28)


@pytest.mark.parametrize(
    ("augmentation", "share", "expected"),
    [
        (Shift(3), 1.0, {"shift": [[3.0], [3.0]]}),
        (Shift(3), 0.25, {"shift": [[-1.5], [-1.5]]}),
        (Rotate(20), 1.0, {"rotation": 20}),
        (Rotate(20), 0.0, {"rotation": -20}),
        (Scale(0.2), 1.0, {"scale": [[1.2], [1.2]]}),
        (Scale(0.2), 0.0, {"scale": [[0.8], [0.8]]}),
        (Shear(30), 1.0, {"slant": 30}),
        (Shear(30), 0.5, {"slant": 0}),
        (
            Affine(shift=3, rotate=20, scale=0.2, shear=30),
            1.0,
            {"shift": [[3.0], [3.0]], "rotation": 20, "scale": [[1.2], [1.2]], "slant": 30},
        ),
    ],
)
def test_maps_are_those_of_the_numbers_that_are_drawn(augmentation: Geometric, share: float, expected: dict) -> None:
    maps = augmentation.draw_maps((2, 1, 28, 28), Told(share))
    assert maps.displacements is None
    np.testing.assert_allclose(maps.matrices, np.repeat(affine_matrices(**expected), 2, axis=0), rtol=1e-12)


@pytest.mark.parametrize("augmentation", [Shift(0), Rotate(0), Scale(0), Shear(0), Affine(), Elastic(0)])
def test_nothing_is_moved_by_augmentations_of_size_zero(augmentation: Geometric, rng: np.random.Generator) -> None:
    images = some_images(rng)
    np.testing.assert_array_equal(augmentation(images, rng), images)


def test_each_image_is_moved_by_itself(rng: np.random.Generator) -> None:
    maps = Affine(shift=3, rotate=20, scale=0.2, shear=30).draw_maps((6, 1, 28, 28), rng)
    assert len(np.unique(maps.matrices[:, :2].round(9), axis=0)) == 6


def test_rows_and_columns_are_shifted_and_scaled_each_by_itself(rng: np.random.Generator) -> None:
    shifts = Shift(2).draw_maps(SHAPE, rng).matrices[:, :2, 2]
    factors = 1 / np.diagonal(Scale(0.5).draw_maps(SHAPE, rng).matrices[:, :2, :2], axis1=1, axis2=2)
    for drawn, least, largest in ((shifts, -2, 2), (factors, 0.5, 1.5)):
        assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.02
        assert np.histogram(drawn, 10, (least, largest))[0] == pytest.approx(np.full(10, 10_000), rel=0.04)


def test_images_are_moved_for_all_channels_alike(rng: np.random.Generator) -> None:
    images = np.repeat(some_images(rng, (4, 1, 8, 8)), 3, axis=1)
    for augmentation in (Affine(2, 20, 0.2, 10), Elastic(20, 3)):
        changed = augmentation(images, rng)
        np.testing.assert_array_equal(changed[:, 0], changed[:, 1])
        np.testing.assert_array_equal(changed[:, 0], changed[:, 2])


def test_fill_is_a_share_of_white() -> None:
    shift = Shift(100, fill=0.4)
    for augmentation in (shift, Compose([shift]), Compose([shift, HorizontalFlip()])):
        for images, white in ((np.zeros((1, 1, 4, 4), np.uint8), 255), (np.zeros((1, 1, 4, 4)), 1)):
            assert augmentation(images, Told(1.0)).tolist() == [[[[0.4 * white] * 4] * 4]]


# Elastic


def test_an_elastic_field_is_as_strong_as_smoothed_noise() -> None:
    """Uniform noise has the variance 1/3, and a sum of noise weighted by g that of 1/3 · sum of g²."""
    alpha, sigma = 34.0, 4.0
    axis = np.exp(-(np.arange(-30, 31) ** 2) / (2 * sigma**2))
    kernel = np.outer(axis, axis) / axis.sum() ** 2
    expected = alpha * math.sqrt((kernel**2).sum() / 3)
    assert alpha / (2 * sigma * math.sqrt(3 * math.pi)) == pytest.approx(expected, rel=1e-6)
    field = Elastic(alpha, sigma).draw_maps((2000, 1, 12, 9), np.random.default_rng(0)).displacements
    assert field is not None
    assert field.std(axis=1) == pytest.approx(np.full((2, 12, 9), expected), rel=0.07)  # everywhere, at the border too
    assert abs(field.mean()) < 0.08


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.7, 20.0])
@pytest.mark.parametrize("size", [1, 2, 28])
def test_an_elastic_field_is_as_smooth_as_noise_smoothed_by_the_gaussian(sigma: float, size: int) -> None:
    """Noise smoothed by a Gaussian of sigma has the correlation exp(-distance² / (4 · sigma²))."""
    bumps = _bumps(size, sigma)
    distances = np.arange(size)[:, None] - np.arange(size)
    np.testing.assert_allclose(bumps @ bumps.T, np.exp(-(distances**2) / (4 * sigma**2)), atol=2e-3)


def test_both_directions_of_a_field_are_independent() -> None:
    field = Elastic().draw_maps((4000, 1, 3, 3), np.random.default_rng(0)).displacements
    assert field is not None
    assert abs(np.corrcoef(field[0, :, 1, 1], field[1, :, 1, 1])[0, 1]) < 0.05


def test_an_elastic_field_has_no_matrix() -> None:
    np.testing.assert_array_equal(Elastic().draw_maps((2, 1, 3, 4), np.random.default_rng(0)).matrices, [np.eye(3)] * 2)


# Wrong arguments


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Shift(-1), r"Shift: pixels must be a number of at least 0, got -1\."),
        (lambda: Shift((1, 2)), r"Shift: pixels must be a number of at least 0, got \(1, 2\)\."),  # type: ignore[arg-type]
        (lambda: Shift(1, fill=2), r"Shift: fill must be a number from 0 to 1, got 2\."),
        (lambda: Rotate(-1), r"Rotate: degrees must be a number from 0 to 180, got -1\."),
        (lambda: Rotate(181), r"Rotate: degrees must be a number from 0 to 180, got 181\."),
        (lambda: Rotate(1, fill=-1), r"Rotate: fill must be a number from 0 to 1, got -1\."),
        (lambda: Scale(1), r"Scale: change must be a number of at least 0 and below 1, got 1\."),
        (lambda: Scale(-0.1), r"Scale: change must be a number of at least 0 and below 1, got -0\.1\."),
        (lambda: Scale(0.1, fill=2), r"Scale: fill must be a number from 0 to 1, got 2\."),
        (lambda: Shear(1, fill=2), r"Shear: fill must be a number from 0 to 1, got 2\."),
        (lambda: Elastic(fill=2), r"Elastic: fill must be a number from 0 to 1, got 2\."),
        (lambda: Shear(61), r"Shear: degrees must be a number from 0 to 60, got 61\."),
        (lambda: Shear(-1), r"Shear: degrees must be a number from 0 to 60, got -1\."),
        (lambda: Affine(shift=-1), r"Affine: shift must be a number of at least 0, got -1\."),
        (lambda: Affine(rotate=200), r"Affine: rotate must be a number from 0 to 180, got 200\."),
        (lambda: Affine(scale=1), r"Affine: scale must be a number of at least 0 and below 1, got 1\."),
        (lambda: Affine(shear=90), r"Affine: shear must be a number from 0 to 60, got 90\."),
        (lambda: Affine(fill=math.nan), r"Affine: fill must be a number from 0 to 1, got nan\."),
        (lambda: Elastic(alpha=-1), r"Elastic: alpha must be a number of at least 0, got -1\."),
        (lambda: Elastic(sigma=0.4), r"Elastic: sigma must be a number from 0\.5 to 1000, got 0\.4\."),
        (lambda: Elastic(sigma=math.inf), r"Elastic: sigma must be a number from 0\.5 to 1000, got inf\."),
    ],
)
def test_an_argument_out_of_range_is_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_the_ends_of_the_ranges_are_allowed(rng: np.random.Generator) -> None:
    images = some_images(rng)
    for augmentation in (Rotate(180, fill=1), Shear(60), Scale(0.999), Elastic(sigma=0.5), Elastic(1e6, 1000)):
        assert np.isfinite(augmentation(images, rng)).all()
