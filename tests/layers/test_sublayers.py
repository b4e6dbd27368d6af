"""A layer may hold layers: they are found, named, built, run and counted as part of it."""

from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.layers import Dense, Layer, ReLU
from layer_cases import Chain, Residual

VECTOR = (4,)


def built(dtype: Any = np.float64) -> Chain:
    chain = Chain()
    chain.build(VECTOR, dtype=dtype, generator=0)
    for _, layer in chain.tree():
        layer.generator = np.random.default_rng(0)
    return chain


def test_attributes_and_members_of_lists_are_found_in_order() -> None:
    assert list(Chain().sublayers()) == ["first", "rest.0", "rest.1", "rest.2"]


def test_the_tree_begins_with_the_layer_itself_and_has_paths() -> None:
    class Outer(Chain):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Chain()

    assert [path for path, _ in Outer().tree()][:4] == ["", "first", "rest.0", "rest.1"]
    assert [path for path, _ in Outer().tree("3")][-3:] == ["3.inner.rest.0", "3.inner.rest.1", "3.inner.rest.2"]


def test_shapes_follow_one_another_unless_the_layer_says_otherwise() -> None:
    chain = Chain()
    assert chain.infer_shape(VECTOR) == (2,)
    assert chain.sublayer_shapes(VECTOR) == {"first": (4,), "rest.0": (3,), "rest.1": (3,), "rest.2": (3,)}
    residual = Residual(2)
    residual.build((2, 5, 5))
    assert residual.second.input_shape == (4, 5, 5)
    assert residual.second.weights.shape == (2, 4, 3, 3)


def test_building_builds_those_within_over_common_vectors() -> None:
    chain = built()
    assert [layer.output_shape for _, layer in chain.tree()] == [(2,), (3,), (3,), (3,), (2,)]
    assert all(layer.dtype == np.float64 for _, layer in chain.tree())
    assert chain.first.weights.base is chain.rest[2].biases.base  # type: ignore[union-attr]
    assert chain.first.dweights.base is chain.rest[2].dbiases.base  # type: ignore[union-attr]


def test_the_first_forward_builds_those_within() -> None:
    chain = Chain()
    y = chain.forward(np.ones((5, 4), np.float32))
    assert y.shape == (5, 2)
    assert chain.backward(y).shape == (5, 4)
    assert chain.first.dweights.any()


def test_multiply_adds_are_those_of_the_layers_within() -> None:
    assert built().multiply_adds == 4 * 3 + 3 * 2


@pytest.mark.parametrize(
    ("layer", "shape"), [(Chain(), (3, 4)), (Residual(2), (2, 2, 5, 4))], ids=["chain", "residual"]
)
def test_their_gradients_are_those_of_differences(layer: Layer, shape: tuple[int, ...]) -> None:
    report = hc.gradcheck(layer, np.random.default_rng(0).normal(size=shape))
    assert report.ok, str(report)


def test_a_network_names_their_arrays_by_path_and_counts_them() -> None:
    network = hc.Sequential([Chain(name="head"), hc.Softmax()], input_shape=VECTOR, seed=0)
    assert list(network.named_parameters()) == [
        "head.first.weights", "head.first.biases", "head.rest.2.weights", "head.rest.2.biases"
    ]  # fmt: skip
    assert network.count_parameters(VECTOR) == network.parameters.size == 12 + 3 + 6 + 2
    assert network.summary().parameters == 23


def test_a_layer_within_a_built_layer_cannot_be_replaced_added_or_dropped() -> None:
    chain = built()
    for value in (Dense(3), None):
        with pytest.raises(
            ValueError, match=r"Chain is built: its layer 'first' cannot be replaced\. Make a new layer"
        ):
            chain.first = value
    with pytest.raises(ValueError, match=r"Chain is built: a layer .* 'another' .* Make all layers in __init__"):
        chain.another = ReLU()


def test_before_it_is_built_a_layer_within_may_be_replaced() -> None:
    chain = Chain()
    chain.first = Dense(5)
    chain.build(VECTOR)
    assert chain.first.weights.shape == (4, 5)


def test_a_layer_within_a_layer_of_a_network_belongs_to_the_network() -> None:
    chain = Chain()
    network = hc.Sequential([chain], input_shape=VECTOR)
    assert chain.first.owner is network
    with pytest.raises(ValueError, match=r"Dense belongs to another network, whose weights it shows\. Take a copy"):
        hc.Sequential([chain.first])
    with pytest.raises(ValueError, match=r"Dense belongs to a network, which builds it\. Use layer\.copy\(\)"):
        chain.first.build(VECTOR)
