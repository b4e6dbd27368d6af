"""A copy of a layer has the same values and settings, vectors of its own, belongs to no network, and goes on alike."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.layers import Layer
from layer_cases import LAYERS, Chain, Residual, Running, parameters_of, run

COPIES: dict[str, Callable[[Any], Any]] = {
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda layer: pickle.loads(pickle.dumps(layer)),  # noqa: S301
    "layer.copy": lambda layer: layer.copy(),
}
CASES = LAYERS | {
    "buffers": (Running, (6,)),
    "layers within": (Chain, (6,)),
    "residual": (lambda: Residual(2), (2, 5, 7)),
}
every_copy = pytest.mark.parametrize("make_copy", COPIES.values(), ids=COPIES)
every_case = pytest.mark.parametrize(("make", "shape"), CASES.values(), ids=CASES)


def forwarded(make: Callable[[], Layer], shape: tuple[int, ...], rng: np.random.Generator) -> Layer:
    layer = make()
    layer.build(shape, dtype=np.float64, generator=0)
    for _, each in layer.tree():
        each.generator = np.random.default_rng(0)
    layer.forward(rng.normal(size=(3, *shape)), training=True)
    return layer


def step(layer: Layer, x: Any) -> list[Any]:
    """Output, input gradient, and all arrays after a step in training, as copies."""
    y = layer.forward(x, training=True)
    dx = layer.backward(np.cos(y))
    arrays = [array for _, each in layer.tree() for array in each.arrays.values()]
    return [np.array(each) for each in (y, dx, *arrays)]


@every_copy
@every_case
def test_a_copy_goes_on_with_the_same_bits(
    make: Callable[[], Layer], shape: tuple[int, ...], make_copy: Callable[[Any], Any], rng: np.random.Generator
) -> None:
    layer = forwarded(make, shape, rng)
    twin, x = make_copy(layer), rng.normal(size=(4, *shape))
    for mine, expected in zip(step(twin, x), step(layer, x), strict=True):
        np.testing.assert_array_equal(mine, expected)


@every_copy
@every_case
def test_a_copy_can_run_the_backward_of_the_forward_before_it(
    make: Callable[[], Layer], shape: tuple[int, ...], make_copy: Callable[[Any], Any], rng: np.random.Generator
) -> None:
    layer = forwarded(make, shape, rng)
    twin = make_copy(layer)
    assert layer.output is not None
    dy = rng.normal(size=layer.output.shape)
    np.testing.assert_array_equal(twin.backward(dy), layer.backward(dy))


@every_copy
@every_case
def test_a_copy_owns_its_vectors_and_its_layers(
    make: Callable[[], Layer], shape: tuple[int, ...], make_copy: Callable[[Any], Any], rng: np.random.Generator
) -> None:
    layer = forwarded(make, shape, rng)
    before = {path: {name: array.copy() for name, array in each.arrays.items()} for path, each in layer.tree()}
    twin = make_copy(layer)
    assert not {id(each) for _, each in twin.tree()} & {id(each) for _, each in layer.tree()}
    for _, each in twin.tree():
        for array in each.arrays.values():
            array[...] = 7
    for path, each in layer.tree():
        for name, array in each.arrays.items():
            np.testing.assert_array_equal(array, before[path][name])


@every_copy
@every_case
def test_a_copy_of_a_layer_that_is_not_built_is_built_by_itself(
    make: Callable[[], Layer], shape: tuple[int, ...], make_copy: Callable[[Any], Any]
) -> None:
    layer = make()
    twin = make_copy(layer)
    assert twin.input_shape is None
    assert twin.config() == layer.config()
    twin.forward(np.ones((2, *shape)))
    assert layer.input_shape is None


@every_copy
def test_a_copy_of_a_networks_layer_belongs_to_no_network_and_keeps_its_values(make_copy: Callable[[Any], Any]) -> None:
    network = hc.Sequential([hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
    dense = network.layers[0]
    twin = make_copy(dense)
    assert dense.owner is network
    assert twin.owner is None
    other = hc.Sequential([twin, hc.Softmax()], input_shape=(4,), seed=1)
    np.testing.assert_array_equal(other.named_parameters()["0.weights"], dense.weights)
    other.parameters[...] = 0
    assert dense.weights.any()


@every_copy
def test_changed_settings_go_along(make_copy: Callable[[Any], Any]) -> None:
    layer = hc.LeakyReLU(0.1)
    layer.build((2,))
    layer.alpha = 0.5
    np.testing.assert_array_equal(make_copy(layer).forward(np.array([[-2.0, 2.0]])), [[-1, 2]])


def test_copies_of_copies_are_alike(rng: np.random.Generator) -> None:
    layer = forwarded(CASES["Dense"][0], CASES["Dense"][1], rng)
    twin = layer.copy().copy()
    for (mine, _), (expected, _) in zip(parameters_of(twin).values(), parameters_of(layer).values(), strict=True):
        np.testing.assert_array_equal(mine, expected)
    x = rng.normal(size=(2, 6))
    for mine, expected in zip(run(twin, x), run(layer, x), strict=True):
        np.testing.assert_array_equal(mine, expected)


@every_copy
@pytest.mark.parametrize("name", ["values", "kept", "state", "views"])
def test_attributes_go_along_whatever_their_names(make_copy: Callable[[Any], Any], name: str) -> None:
    layer = Running()
    layer.build((6,))
    setattr(layer, name, [1, 2])
    assert getattr(make_copy(layer), name) == [1, 2]
