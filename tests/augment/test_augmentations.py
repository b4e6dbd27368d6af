"""What holds for every augmentation."""

import json
from dataclasses import FrozenInstanceError, dataclass

import numpy as np
import pytest

from augmentation_cases import EXAMPLES, every_augmentation, some_images
from handconv.augment import AUGMENTATIONS, Augmentation, Compose, Elastic, Rotate, Shift, from_config
from handconv.rng import Purpose, Streams
from strategies import MEMORY_ORDERS, in_memory_order

every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])


@every_augmentation
@every_dtype
def test_images_keep_their_shape_and_dtype_and_are_changed(augmentation: Augmentation, dtype, rng) -> None:
    images = some_images(rng, dtype=dtype)
    changed = augmentation(images, rng)
    assert (changed.shape, changed.dtype) == (images.shape, dtype)
    assert (changed != images).any()


@every_augmentation
@every_dtype
def test_the_images_given_stay_as_they_are(augmentation: Augmentation, dtype, rng) -> None:
    images = some_images(rng, dtype=dtype)
    before = images.copy()
    changed = augmentation(images, rng)
    np.testing.assert_array_equal(images, before)
    assert not np.shares_memory(images, changed)


@every_augmentation
def test_read_only_images_are_taken(augmentation: Augmentation, rng: np.random.Generator) -> None:
    images = some_images(rng)
    images.flags.writeable = False
    assert augmentation(images, rng).flags.writeable


@every_augmentation
def test_the_same_state_of_the_generator_gives_the_same_bits(augmentation: Augmentation, rng) -> None:
    images, streams = some_images(rng, dtype=np.float32), Streams(3)
    first, second, other = (
        augmentation(images, streams.generator(Purpose.SHUFFLE, 1, 2, shard)) for shard in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


@every_augmentation
@pytest.mark.parametrize("order", MEMORY_ORDERS)
def test_memory_order_does_not_matter(augmentation: Augmentation, order: str, rng: np.random.Generator) -> None:
    images = some_images(rng, dtype=np.float32)
    expected = augmentation(images, np.random.default_rng(7))
    changed = augmentation(in_memory_order(images, order), np.random.default_rng(7))
    np.testing.assert_array_equal(changed, expected)


@every_augmentation
@pytest.mark.parametrize("order", ["C", "batch innermost"])
def test_memory_order_is_kept(augmentation: Augmentation, order: str, rng: np.random.Generator) -> None:
    images = in_memory_order(some_images(rng, dtype=np.float32), order)
    assert augmentation(images, rng).strides == images.strides


@every_augmentation
@every_dtype
def test_values_stay_between_black_and_white(augmentation: Augmentation, dtype, rng: np.random.Generator) -> None:
    white = 255 if dtype == np.uint8 else 1
    for images in (np.zeros((20, 1, 8, 8), dtype), np.full((20, 1, 8, 8), white, dtype), some_images(rng, dtype=dtype)):
        changed = augmentation(images, rng)
        assert changed.min() >= 0
        assert changed.max() <= white * (1 + 1e-6)


@every_augmentation
@pytest.mark.parametrize("shape", [(0, 1, 5, 5), (1, 1, 1, 1), (2, 3, 1, 6), (3, 1, 40, 2)])
def test_images_of_any_size_and_number_are_taken(augmentation: Augmentation, shape: tuple[int, ...], rng) -> None:
    assert augmentation(some_images(rng, shape), rng).shape == shape


@every_augmentation
def test_uint8_images_are_changed_as_floats_are_and_rounded(augmentation: Augmentation, rng) -> None:
    images = some_images(rng, dtype=np.uint8)
    whole = augmentation(images, np.random.default_rng(1)).astype(float)
    shares = augmentation(images / 255, np.random.default_rng(1)) * 255
    assert np.abs(whole - shares).max() <= (0.501 if not isinstance(augmentation, Compose) else 1.1)


@every_augmentation
def test_a_config_survives_json_and_makes_the_same_augmentation(augmentation: Augmentation) -> None:
    again = from_config(json.loads(json.dumps(augmentation.config())))
    assert again == augmentation
    assert repr(again) == repr(augmentation)


def test_a_config_is_the_name_and_the_arguments() -> None:
    rotate = {"name": "Rotate", "degrees": 10.0, "fill": 0.0}
    assert Rotate(10).config() == rotate
    assert Compose([Rotate(10)]).config() == {"name": "Compose", "steps": [rotate]}


def test_every_augmentation_has_an_example_here() -> None:
    assert {type(augmentation).__name__ for augmentation in EXAMPLES} == set(AUGMENTATIONS)


@every_augmentation
def test_an_augmentation_cannot_be_changed(augmentation: Augmentation) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(augmentation, next(iter(vars(augmentation))), 0.5)


def test_an_unknown_name_gets_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"An augmentation must be one of Shift, .*, Compose; got 'Twirl'\."):
        from_config({"name": "Twirl"})
    with pytest.raises(ValueError, match=r"An augmentation must be one of Shift, .*, Compose; got 'Twirl'\."):
        from_config({"name": "Compose", "steps": [{"name": "Twirl"}]})
    with pytest.raises(TypeError, match=r"made of what its config\(\) returned, got 3\."):
        from_config(3)  # type: ignore[arg-type]


def test_an_augmentation_of_ones_own_is_a_dataclass_with_apply(rng: np.random.Generator) -> None:
    @dataclass(frozen=True)
    class Negative(Augmentation):
        def _apply(self, images, generator):
            return 1 - images

    images = some_images(rng)
    np.testing.assert_array_equal(Compose([Negative(), Negative()])(images, rng), 1 - (1 - images))


# Wrong arguments


@every_augmentation
@pytest.mark.parametrize("shape", [(4,), (8, 784), (8, 28, 28), (2, 1, 0, 5), (2, 0, 5, 5)])
def test_what_is_no_stack_of_images_is_refused(augmentation: Augmentation, shape: tuple[int, ...], rng) -> None:
    message = rf"{type(augmentation).__name__} expects images \(N, C, H, W\), got shape .* Flat vectors have no rows"
    with pytest.raises(ValueError, match=message):
        augmentation(np.zeros(shape), rng)


@pytest.mark.parametrize("dtype", ["float16", "int64", "bool", "complex64"])
def test_other_dtypes_are_refused(dtype: str, rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match=rf"images of float32, float64, uint8, got {dtype}\. Use x\.astype"):
        Shift(1)(np.zeros((2, 1, 4, 4), dtype), rng)


def test_lists_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(TypeError, match=r"Elastic expects a NumPy array of images, got list\."):
        Elastic()([[[[0.0]]]], rng)  # type: ignore[arg-type]


@pytest.mark.parametrize("generator", [None, 3, np.random.RandomState(0)])
def test_a_seed_is_no_generator(generator) -> None:
    with pytest.raises(
        TypeError, match=r"expects a generator of NumPy's, got \w+\. Use np\.random\.default_rng\(0\)\."
    ):
        Shift(1)(np.zeros((2, 1, 4, 4)), generator)
