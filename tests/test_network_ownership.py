"""Whose a layer and its arrays are: one network's, shown in part by another or taken as a copy."""

import copy
import gc
import pickle
from typing import Any

import numpy as np
import pytest

from handconv.layers import Dense, ReLU, Softmax, Tanh
from handconv.network import Network
from helpers import assert_close
from network_cases import IMAGE, Residual, small


class TestTheFirstLayers:
    """``network[:k]`` shows them, over the same weights."""

    def test_give_the_scores_before_a_final_softmax(self, rng: np.random.Generator) -> None:
        network, x = small(), rng.normal(size=(3, *IMAGE))
        scores = network[:-1].infer(x)
        np.testing.assert_allclose(network.infer(x), Softmax().forward(scores))
        np.testing.assert_allclose(network[:-1].forward(x), scores, rtol=1e-12)

    @pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, -2, None])
    def test_compute_what_the_layers_do_one_after_the_other(self, count: int | None, rng: np.random.Generator) -> None:
        network, x = small(), rng.normal(size=(3, *IMAGE))
        expected = x
        for layer in network.layers[:count]:
            expected = layer.forward(expected)
        shown = network[:count]
        assert_close(shown.infer(x), expected)
        assert shown.output_shape == expected.shape[1:]
        assert shown.names == network.names[:count]

    def test_share_the_vectors(self) -> None:
        network = small()
        shown = network[:2]
        assert list(shown.named_parameters()) == ["conv.weights", "conv.biases"]
        assert shown.parameters.size == 57
        network.parameters[...] = 7
        assert (shown.parameters == 7).all()
        shown.parameters = np.full(57, 3.0)
        assert (network.parameters[:57] == 3).all()
        assert (network.parameters[57:] == 7).all()

    def test_of_none_without_parameters_have_empty_vectors(self) -> None:
        assert small()[:1].parameters.size == 0

    def test_go_backward_from_what_they_gave(self, rng: np.random.Generator) -> None:
        network, x, dscores = small(), rng.normal(size=(3, *IMAGE)), rng.normal(size=(3, 4))
        scores = network[:-1]
        scores.forward(x)
        gradient = dscores
        for layer in reversed(network.layers[:-1]):
            gradient = layer.backward(gradient)
        np.testing.assert_array_equal(scores.backward(dscores), gradient)

    def test_of_the_first_layers_are_the_first_of_the_whole(self) -> None:
        network = small()
        assert network[:4][:2].layers == network.layers[:2]
        with pytest.raises(RuntimeError, match="shows the layers of another network"), network[:4][:2].in_training():
            pass

    def test_are_not_trained_by_themselves(self) -> None:
        message = r"cannot be trained by itself. Train that one, or make a network of copies"
        with pytest.raises(RuntimeError, match=message), small()[:2].in_training():
            pass

    @pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
    def test_are_not_copied_by_themselves(self, copied: Any) -> None:
        with pytest.raises(TypeError, match="shows the layers of another network: copy that one, or its layers"):
            copied(small()[:2])

    @pytest.mark.parametrize("part", [0, -1, slice(1, None), slice(1, 2), slice(None, None, 2), slice(None, None, -1)])
    def test_are_all_that_can_be_shown(self, part: Any) -> None:
        with pytest.raises(TypeError, match=r"shows its first layers by network\[:k\], got .*network\.layers\[k\]"):
            small()[part]

    @pytest.mark.parametrize("stop", [0, -6, -7])
    def test_are_at_least_one(self, stop: int) -> None:
        with pytest.raises(ValueError, match=rf"network\[:{stop}\] has no layers; the network has 6"):
            small()[:stop]

    def test_need_the_input_shape(self) -> None:
        with pytest.raises(ValueError, match="needs the input shape"):
            small(input_shape=None)[:2]


class TestOwnership:
    """A layer belongs to one network at a time."""

    def test_layers_are_a_tuple_that_cannot_be_assigned(self) -> None:
        network = small()
        assert isinstance(network.layers, tuple)
        with pytest.raises(AttributeError):
            network.layers = (Dense(1),)  # type: ignore[misc]

    @pytest.mark.parametrize("built", [True, False])
    def test_a_layer_of_another_network_is_refused(self, built: bool) -> None:
        first = small(input_shape=IMAGE if built else None)
        with pytest.raises(
            ValueError, match=r"Conv2D 'conv' belongs to another network.*layer\.copy\(\).*network\[:k\]"
        ):
            Network([Tanh(), first.layers[1]])
        np.testing.assert_array_equal(first.forward(np.zeros((1, *IMAGE))).shape, (1, 4))

    def test_a_refusal_changes_nothing(self) -> None:
        first, fresh = small(), Dense(2)
        with pytest.raises(ValueError, match="belongs to another network"):
            Network([fresh, first.layers[1]])
        Network([fresh], input_shape=(3,))

    def test_a_layer_within_another_is_refused_too(self) -> None:
        first = Network([Residual(4)], input_shape=(4,))
        with pytest.raises(ValueError, match="Dense belongs to another network"):
            Network([first.layers[0].first])

    def test_a_layer_of_a_network_that_is_gone_is_taken_with_its_values(self) -> None:
        first = Network([Dense(2)], input_shape=(3,), seed=0)
        layer, values = first.layers[0], first.parameters.copy()
        del first
        gc.collect()
        np.testing.assert_array_equal(Network([layer, ReLU()], input_shape=(3,), seed=1).parameters, values)

    def test_a_copy_is_taken_with_its_values(self) -> None:
        first = Network([Dense(2), ReLU()], input_shape=(3,), seed=0)
        second = Network([layer.copy() for layer in first.layers] + [Dense(1)], input_shape=(3,), seed=1)
        np.testing.assert_array_equal(second.parameters[:8], first.parameters)
        second.parameters[...] = 0
        assert first.parameters.any()

    def test_a_layer_that_was_built_for_other_inputs_is_refused(self) -> None:
        layer = Dense(2)
        layer.build((3,))
        with pytest.raises(ValueError, match=r"Dense was built for inputs of shape \(3,\) and would get \(4,\) here"):
            Network([layer], input_shape=(4,))

    def test_a_layer_without_parameters_takes_other_inputs(self) -> None:
        layer = ReLU()
        layer.build((3,))
        assert Network([layer], input_shape=(4,)).output_shape == (4,)

    def test_a_network_that_is_built_keeps_its_shape(self) -> None:
        network = small()
        network.build(IMAGE)
        with pytest.raises(ValueError, match=r"built for samples of shape \(2, 6, 6\), got \(2, 7, 6\). Make a new"):
            network.build((2, 7, 6))

    def test_building_again_keeps_the_values(self) -> None:
        network = small()
        before = network.parameters.copy()
        network.build(IMAGE)
        np.testing.assert_array_equal(network.parameters, before)

    @pytest.mark.parametrize("name", ["parameters", "gradients"])
    def test_assigned_vectors_are_copied_in(self, name: str) -> None:
        network = small()
        vector, values = getattr(network, name), np.arange(network.parameters.size)
        setattr(network, name, values)
        assert getattr(network, name) is vector
        np.testing.assert_array_equal(vector, values)
        values[...] = 0
        assert vector.any()

    @pytest.mark.parametrize("name", ["parameters", "gradients", "buffers"])
    def test_a_vector_of_another_size_is_refused(self, name: str) -> None:
        network = small()
        with pytest.raises(ValueError, match=rf"{name} is a vector of \d+ numbers, got shape \(3,\)"):
            setattr(network, name, np.zeros(3))
