"""Layers of a user's own in a network: their arrays, their buffers, and the layers within them."""

from typing import Any

import numpy as np
import pytest

from handconv.layers import Dense, Flatten, Layer
from handconv.layers.parameters import ParameterSpec
from handconv.network import Network
from helpers import assert_close
from network_cases import IMAGE, Counting, Residual
from oracles import numerical_gradient


class TestOwnLayers:
    def test_parameters_of_a_layer_of_ones_own_join_the_vector(self) -> None:
        class Scale(Dense):
            def declare(self, input_shape: tuple[int, ...]) -> tuple[ParameterSpec, ...]:
                weights, biases = super().declare(input_shape)
                return biases, weights

        network = Network([Scale(2, name="s")], input_shape=(3,), seed=0)
        assert list(network.named_parameters()) == ["s.biases", "s.weights"]
        assert np.shares_memory(network.layers[0].weights, network.parameters)  # type: ignore[attr-defined]

    def test_a_layer_without_parameters_needs_two_methods_alone(self) -> None:
        class Double(Layer):
            def forward(self, inputs: Any, training: bool = False) -> Any:
                return 2 * inputs

            def backward(self, dvalues: Any) -> Any:
                return 2 * dvalues

        network = Network([Double(), Dense(1)], input_shape=(2,), seed=0)
        x = np.ones((1, 2))
        np.testing.assert_allclose(network.forward(x), network.layers[1].forward(2 * x))
        assert network.backward(np.ones((1, 1))).shape == (1, 2)


class TestBuffers:
    """State that is no parameter: a vector of its own."""

    def test_have_a_vector_and_names(self) -> None:
        network = Network([Dense(2), Counting(), Counting(name="c")], input_shape=(3,), seed=0)
        assert {name: array.shape for name, array in network.named_buffers().items()} == {
            "1.mean": (2,), "1.steps": (1,), "c.mean": (2,), "c.steps": (1,),
        }  # fmt: skip
        assert network.buffers.size == 6
        assert list(network.named_parameters()) == ["0.weights", "0.biases"]
        network.layers[2].mean = [4, 5]
        np.testing.assert_array_equal(network.buffers, [0, 0, 0, 4, 5, 0])

    def test_assigned_as_one_vector_are_copied_in(self) -> None:
        network = Network([Counting()], input_shape=(2,))
        vector = network.buffers
        network.buffers = np.array([1, 2, 3])
        assert network.buffers is vector
        np.testing.assert_array_equal(network.layers[0].mean, [1, 2])

    def test_change_by_a_forward_in_training_alone(self, rng: np.random.Generator) -> None:
        network, x = Network([Counting()], input_shape=(2,), dtype="float64"), rng.normal(size=(4, 2))
        network.forward(x)
        network.infer(x)
        assert not network.buffers.any()
        network.forward(x, training=True)
        assert_close(network.buffers, np.array([*(x.mean(axis=0) / 10), 1.0]))

    def test_are_counted_but_not_penalised_decayed_or_moved(self) -> None:
        network = Network([Counting(), Dense(1, l2=1.0)], input_shape=(2,), seed=0)
        before = network.penalty()
        network.buffers[...] = 9
        assert network.penalty() == before
        assert network.count_parameters((2,)) == 6
        assert [(place.start, place.stop) for place in network.decayed()] == [(0, 2)]


class TestSublayers:
    """A layer may hold layers, as attributes or in lists: they are named by their paths."""

    def test_names_are_paths(self) -> None:
        network = Network([Flatten(), Residual(72)], input_shape=IMAGE, seed=0)
        assert list(network.named_parameters()) == [
            "1.first.weights", "1.first.biases", "1.more.0.weights", "1.more.0.biases",
        ]  # fmt: skip
        assert [path for path, _ in network.tree()] == ["0", "1", "1.first", "1.more.0", "1.more.1"]

    def test_their_parameters_are_views_into_the_vectors(self) -> None:
        network = Network([Residual(4, name="r")], input_shape=(4,), seed=0)
        network.parameters[...] = np.arange(40)
        np.testing.assert_array_equal(network.layers[0].more[0].biases, np.arange(36, 40))
        assert network.count_parameters((4,)) == 40

    def test_they_compute_forward_and_backward(self, rng: np.random.Generator) -> None:
        network = Network([Residual(4), Dense(2)], input_shape=(4,), seed=0, dtype="float64")
        x, dy = rng.normal(size=(3, 4)), rng.normal(size=(3, 2))

        def objective(parameters: np.ndarray) -> float:
            network.parameters = parameters
            return float(np.sum(network.infer(x) * dy))

        start = network.parameters.copy()
        expected = numerical_gradient(objective, start)
        objective(start)
        np.testing.assert_allclose(network.infer(x), network.forward(x), rtol=1e-12)
        network.forward(x)
        network.backward(dy)
        np.testing.assert_allclose(network.gradients, expected, atol=1e-8)

    def test_one_layer_in_two_places_of_the_tree_is_an_error(self) -> None:
        block = Residual(4)
        with pytest.raises(ValueError, match="may stand in a network once; make a new one"):
            Network([block, block.first])
