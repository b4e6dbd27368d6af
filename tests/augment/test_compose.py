"""Several augmentations: their order, and which of them share one reading."""

import numpy as np
import pytest

import oracles
from augmentation_cases import some_images
from handconv.augment import (
    Affine,
    Augmentation,
    Brightness,
    Compose,
    Elastic,
    HorizontalFlip,
    RandomErasing,
    Rotate,
    Scale,
    Shear,
    Shift,
)


def one_by_one(steps: list[Augmentation], images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    for step in steps:
        images = step(images, generator)
    return images


@pytest.mark.parametrize(
    "steps",
    [
        [HorizontalFlip(), Brightness(0.3), RandomErasing()],
        [RandomErasing(), Rotate(20), HorizontalFlip(), Elastic()],
        [Elastic(), Rotate(20)],  # a field is read before anything that follows
        [Elastic(), Elastic()],
        [Rotate(20), Shift(2, fill=0.5)],  # another fill
    ],
)
def test_steps_are_done_in_their_order(steps: list[Augmentation], rng: np.random.Generator) -> None:
    images = some_images(rng, dtype=np.float32)
    expected = one_by_one(steps, images, np.random.default_rng(5))
    np.testing.assert_array_equal(Compose(steps)(images, np.random.default_rng(5)), expected)


def test_geometric_steps_that_follow_each_other_are_read_once(rng: np.random.Generator) -> None:
    images = some_images(rng)
    steps = [Shift(2), Rotate(20), Scale(0.2), Shear(20), Affine(1, 10, 0.1, 5), Elastic(10, 3)]
    generator = np.random.default_rng(5)
    drawn = [step.draw_maps(images.shape, generator) for step in steps]
    matrices = np.repeat(np.eye(3)[None], len(images), axis=0)
    for maps in drawn:  # the first step is the last that a place is looked up in
        matrices = matrices @ maps.matrices
    expected = oracles.resample(images, matrices, drawn[-1].displacements)
    np.testing.assert_allclose(Compose(steps)(images, np.random.default_rng(5)), expected, atol=1e-5)


def test_nothing_is_lost_between_steps_that_are_read_once(rng: np.random.Generator) -> None:
    class There(np.random.Generator):
        """Shifts by 6, and then by -6."""

        sign = -1.0

        def uniform(self, low, high, size):
            self.sign = -self.sign
            return np.full(size, self.sign)

    images = some_images(rng)
    np.testing.assert_array_equal(Compose([Shift(6), Shift(6)])(images, There(np.random.PCG64(0))), images)


def test_one_step_alone_is_that_step(rng: np.random.Generator) -> None:
    images = some_images(rng)
    for step in (Rotate(20), RandomErasing(), Compose([Elastic()])):
        expected = step(images, np.random.default_rng(5))
        np.testing.assert_array_equal(Compose([step])(images, np.random.default_rng(5)), expected)


def test_steps_may_be_a_list_or_a_tuple() -> None:
    assert Compose([Rotate(20)]) == Compose((Rotate(20),))


@pytest.mark.parametrize("steps", [Rotate(20), [Rotate(20), "flip"], None, [Rotate]])
def test_what_is_no_list_of_augmentations_is_refused(steps) -> None:
    with pytest.raises(TypeError, match=r"Compose: steps must be a list of augmentations, got "):
        Compose(steps)


def test_no_steps_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Compose: steps must have at least one augmentation, got none\."):
        Compose([])
