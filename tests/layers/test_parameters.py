"""Parameters and buffers: how they are declared, initialised, named, and lie in vectors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.layers import Conv2D, Dense, Layer, ParameterSpec
from handconv.layers.parameters import ParameterStore
from handconv.layers.weighted import Weighted
from layer_cases import Running

IMAGE, VECTOR = (2, 5, 7), (6,)


def store_of(layer: Layer, shape: tuple[int, ...], dtype: Any = np.float64) -> ParameterStore:
    layer.fix_shapes(shape, dtype)
    return ParameterStore([("", layer)], dtype, 0)


class TestVectors:
    def test_arrays_are_views_into_the_vectors_weights_first(self) -> None:
        layer = Dense(2)
        store = store_of(layer, (3,))
        layer.weights = np.arange(6).reshape(3, 2)
        layer.biases = np.array([6, 7])
        np.testing.assert_array_equal(store.parameters, np.arange(8))
        layer.forward(np.ones((1, 3)))
        layer.backward(np.array([[1.0, 2.0]]))
        np.testing.assert_array_equal(store.gradients, [1, 2, 1, 2, 1, 2, 1, 2])

    def test_binding_to_other_vectors_takes_their_values(self) -> None:
        layer = Dense(2)
        store_of(layer, (3,)).bind(np.arange(8.0), np.full(8, 9.0), np.empty(0))
        np.testing.assert_array_equal(layer.biases, [6, 7])
        np.testing.assert_array_equal(layer.dweights, np.full((3, 2), 9.0))

    def test_views_tell_name_place_shape_and_declaration(self) -> None:
        layer = Dense(2, l2=0.5)
        layer.fix_shapes((3,), np.float64)
        weights, biases = ParameterStore([("head", layer)], np.float64, 0).trainable
        assert (weights.name, weights.place, weights.shape, weights.spec.l2) == (
            "head.weights",
            slice(0, 6),
            (3, 2),
            0.5,
        )
        assert (biases.name, biases.place, biases.shape) == ("head.biases", slice(6, 8), (2,))
        np.testing.assert_array_equal(biases.of(np.arange(8.0)), [6, 7])

    def test_the_first_layers_have_a_store_of_their_own_over_the_same_memory(self) -> None:
        layers = [("0", Running()), ("1", Dense(2))]
        for _, layer in layers:
            layer.fix_shapes((3,), np.float64)
        whole = ParameterStore(layers, np.float64, 0)
        first = whole.first([layers[0][1]])
        assert [view.name for view in first.trainable + first.buffered] == ["0.scale", "0.shift", "0.running_mean"]
        assert (first.parameters.size, first.gradients.size, first.buffers.size) == (6, 6, 3)
        assert np.shares_memory(first.parameters, whole.parameters)
        assert whole.first([]).parameters.size == 0

    def test_a_layer_that_was_built_for_another_shape_is_refused(self) -> None:
        layer = Dense(2)
        layer.build((3,))
        layer.fix_shapes((4,), np.float32)
        with pytest.raises(ValueError, match=r"Dense was built with weights of shape \(3, 2\) and would need \(4, 2\)"):
            ParameterStore([("", layer)], np.float32, 0, keep=True)

    def test_kept_values_are_those_from_before(self) -> None:
        layer = Dense(2)
        layer.build((3,), dtype=np.float64)
        before = layer.weights.copy()
        np.testing.assert_array_equal(
            ParameterStore([("", layer)], np.float64, 5, keep=True).parameters[:6], before.ravel()
        )
        assert not np.array_equal(ParameterStore([("", layer)], np.float64, 5).parameters[:6], before.ravel())


class TestInitialValues:
    def test_the_same_seed_gives_the_same_initial_values(self) -> None:
        first, second, third = Conv2D(2, 3), Conv2D(2, 3), Conv2D(2, 3)
        for layer, seed in ((first, 1), (second, 1), (third, 2)):
            layer.build(IMAGE, generator=seed)
        np.testing.assert_array_equal(first.weights, second.weights)
        assert not np.array_equal(first.weights, third.weights)

    def test_initialisers_are_named_or_given(self) -> None:
        layer = Dense(2, weight_init="zeros", bias_init=lambda shape, *_: np.full(shape, 0.5))
        layer.build((3,), generator=0)
        np.testing.assert_array_equal(layer.weights, 0)
        np.testing.assert_array_equal(layer.biases, 0.5)

    def test_building_again_starts_anew(self) -> None:
        layer = Dense(2)
        layer.build((3,), generator=0)
        before = layer.weights.copy()
        assert layer.build((5,), generator=1) == (2,)
        assert layer.weights.shape == (5, 2)
        layer.build((3,), generator=0)
        np.testing.assert_array_equal(layer.weights, before)


class TestNames:
    def test_arrays_are_missed_with_a_remedy_before_the_layer_is_built(self) -> None:
        for name in ("weights", "biases", "dweights", "dbiases"):
            message = rf"Dense has no '{name}'\. .* exists once the layer is built: call forward\(x\) or build\(shape\)"
            with pytest.raises(AttributeError, match=message):
                getattr(Dense(2), name)

    def test_arrays_that_there_are_not_are_missed_with_those_that_there_are(self) -> None:
        layer = Dense(2, use_bias=False)
        layer.build(VECTOR)
        for name in ("biases", "dbiases"):
            with pytest.raises(AttributeError, match=rf"Dense has no '{name}'\. It has weights, dweights\."):
                getattr(layer, name)

    def test_a_layer_without_parameters_says_so(self) -> None:
        layer = hc.ReLU()
        layer.build(VECTOR)
        with pytest.raises(AttributeError, match=r"ReLU has no 'weights'\. It has no parameters\."):
            _ = layer.weights

    def test_private_names_are_missed_plainly(self) -> None:
        with pytest.raises(AttributeError, match=r"^_nothing$"):
            _ = Dense(2)._nothing

    def test_a_layer_has_no_arrays_before_it_is_built(self) -> None:
        assert Dense(2).arrays == {}


class TestAssignment:
    def test_assigning_copies_in(self) -> None:
        layer = Dense(2)
        layer.build((1,))
        view, values = layer.weights, np.array([[1.0, 2.0]])
        layer.weights = values
        values[...] = 7
        assert layer.weights is view
        np.testing.assert_array_equal(view, [[1, 2]])

    def test_a_single_number_fills_the_array(self) -> None:
        layer = Dense(2)
        layer.build((3,))
        layer.weights = 4
        np.testing.assert_array_equal(layer.weights, np.full((3, 2), 4))

    @pytest.mark.parametrize("name", ["weights", "biases", "dweights", "dbiases"])
    @pytest.mark.parametrize("shape", [(2, 1), (1, 1, 2), (3,), (1,)])
    def test_arrays_of_another_shape_are_refused_and_change_nothing(self, name: str, shape: tuple[int, ...]) -> None:
        layer = Dense(2)
        layer.build((1,))
        before = getattr(layer, name).copy()
        with pytest.raises(ValueError, match=rf"Dense: {name} must have shape \(.*2.*\), got \({shape[0]},"):
            setattr(layer, name, np.ones(shape))
        np.testing.assert_array_equal(getattr(layer, name), before)

    def test_set_parameters_copies_by_name(self) -> None:
        layer = Dense(2)
        layer.build((1,), generator=0)
        assert layer.set_parameters(weights=np.array([[1, 2]]), biases=np.array([3, 4])) is layer
        np.testing.assert_array_equal(layer.weights, [[1, 2]])
        np.testing.assert_array_equal(layer.biases, [3, 4])

    def test_set_parameters_checks_the_shape(self) -> None:
        layer = Dense(2)
        layer.build((1,))
        with pytest.raises(ValueError, match=r"Dense: weights must have shape \(1, 2\), got \(2, 1\)"):
            layer.set_parameters(weights=np.ones((2, 1)))


class TestDeclarations:
    def test_the_declaration_carries_the_penalties(self) -> None:
        weights, biases = Dense(2, l1=0.1, l2=0.2, bias_l1=0.3, bias_l2=0.4).declare((3,))
        assert (weights.name, weights.shape, weights.size, weights.l1, weights.l2) == ("weights", (3, 2), 6, 0.1, 0.2)
        assert (biases.name, biases.shape, biases.size, biases.l1, biases.l2) == ("biases", (2,), 2, 0.3, 0.4)

    def test_biases_are_not_penalised_unless_asked(self) -> None:
        _, biases = Conv2D(2, 3, l1=0.1, l2=0.2).declare(IMAGE)
        assert (biases.l1, biases.l2) == (0, 0)

    @pytest.mark.parametrize("name", ["l1", "l2", "bias_l1", "bias_l2"])
    @pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
    def test_penalties_must_be_at_least_zero(self, name: str, value: float) -> None:
        with pytest.raises(ValueError, match=rf"Dense: {name} must be a number of at least 0, got {value!r}"):
            Dense(2, **{name: value})  # type: ignore[arg-type]

    def test_fans_count_what_a_number_is_made_of_and_goes_into(self) -> None:
        kernels = Conv2D(2, (3, 5)).declare((4, 9, 9))[0]
        assert (kernels.fan_in, kernels.fan_out) == (4 * 3 * 5, 2 * 3 * 5)
        weights = Dense(7).declare((4,))[0]
        assert (weights.fan_in, weights.fan_out) == (4, 7)

    @pytest.mark.parametrize("layer", [Conv2D(1, 2), Dense(1)], ids=repr)
    def test_nothing_is_penalised_unless_asked(self, layer: Weighted) -> None:
        config = layer.config()
        assert [config[name] for name in ("l1", "l2", "bias_l1", "bias_l2")] == [0, 0, 0, 0]
        assert all((spec.l1, spec.l2) == (0, 0) for spec in layer.declare((3, 4, 4)))
        plain = ParameterSpec("own", (2,))
        assert (plain.l1, plain.l2) == (0, 0)

    @pytest.mark.parametrize(
        ("spec", "decays"),
        [
            (ParameterSpec("weights", (2, 3)), True),
            (ParameterSpec("biases", (2,)), False),
            (ParameterSpec("weights", (2, 3), decay=False), False),
            (ParameterSpec("gamma", (2,), decay=True), True),
            (ParameterSpec("running_mean", (2, 3), trainable=False), False),
            (ParameterSpec("running_mean", (2, 3), trainable=False, decay=True), False),
        ],
    )
    def test_weight_decay_shrinks_what_has_two_axes_unless_told_and_never_a_buffer(
        self, spec: ParameterSpec, decays: bool
    ) -> None:
        assert spec.decays is decays

    def test_what_is_not_said_is_trainable_starts_at_zero_and_changes_by_the_mean(self) -> None:
        spec = ParameterSpec("own", (2,))
        assert (spec.trainable, spec.initializer, spec.reduce, spec.fan_in, spec.fan_out) == (
            True,
            "zeros",
            "mean",
            1,
            1,
        )


class TestBuffers:
    def test_they_lie_in_a_vector_of_their_own_and_have_no_gradient(self) -> None:
        layer = Running()
        store = store_of(layer, (3,))
        assert list(layer.arrays) == ["scale", "dscale", "shift", "dshift", "running_mean"]
        assert [view.name for view in store.trainable] == ["scale", "shift"]
        assert [view.name for view in store.buffered] == ["running_mean"]
        assert (store.parameters.size, store.gradients.size, store.buffers.size) == (6, 6, 3)
        with pytest.raises(AttributeError, match=r"Running has no 'drunning_mean'\. It has scale, dscale,"):
            _ = layer.drunning_mean

    def test_assigning_one_in_forward_copies_into_the_vector(self) -> None:
        layer = Running()
        store = store_of(layer, (2,))
        layer.forward(np.array([[2.0, 4.0], [4.0, 8.0]]), training=True)
        np.testing.assert_array_equal(store.buffers, [1.5, 3])
        layer.forward(np.array([[100.0, 100.0]]))
        np.testing.assert_array_equal(store.buffers, [1.5, 3])

    def test_a_network_names_them_and_counts_them(self) -> None:
        network = hc.Sequential([hc.Dense(2), Running(name="norm"), hc.Softmax()], input_shape=(3,), seed=0)
        assert list(network.named_buffers()) == ["norm.running_mean"]
        assert list(network.named_parameters()) == ["0.weights", "0.biases", "norm.scale", "norm.shift"]
        assert network.buffers.size == 2
        assert network.count_parameters((3,)) == 8 + 4 + 2


class TestOwnLayers:
    def test_a_layer_that_defines_no_forward_or_no_backward_says_so(self) -> None:
        class Nothing(Layer):
            pass

        with pytest.raises(NotImplementedError, match=r"Nothing must define forward\(self, inputs, training=False\)\."):
            Nothing().forward(np.ones((1, 2)))
        with pytest.raises(NotImplementedError, match=r"Nothing must define backward\(self, dvalues\)\."):
            Nothing().backward(np.ones((1, 2)))

    def test_any_layer_may_declare_parameters(self) -> None:
        layer = Running()
        y = layer.forward(np.ones((4, 3)))
        assert layer.backward(y).shape == (4, 3)
        np.testing.assert_array_equal(layer.scale, 1)
        np.testing.assert_array_equal(layer.dshift, 4)

    def test_what_it_declares_as_a_list_is_taken_too(self) -> None:
        class Listed(Running):
            def declare(self, input_shape: tuple[int, ...]) -> Any:
                return list(super().declare(input_shape))

        layer = Listed()
        layer.build((3,))
        assert isinstance(layer.specs, tuple)


@pytest.mark.parametrize(
    "make",
    [
        lambda **name: hc.Conv2D(1, 2, **name), lambda **name: hc.Dense(1, **name),
        lambda **name: hc.Dropout(0.5, **name),
        lambda **name: hc.Reshape((1,), **name), hc.MaxPool2D, hc.AveragePool2D, hc.GlobalAveragePool2D, hc.Flatten,
        hc.LeakyReLU, hc.ReLU, hc.Sigmoid, hc.Tanh, hc.Softmax,
    ],
)  # fmt: skip
def test_every_layer_keeps_its_name_in_its_config_too(make: Callable[..., Layer]) -> None:
    assert make(name="mine").name == make(name="mine").config()["name"] == "mine"
    assert "name='mine'" in repr(make(name="mine"))
    assert make().name is None
