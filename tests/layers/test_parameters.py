"""Parameters as views into vectors, and what a layer of one's own must define."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.layers import Conv2D, Dense, Layer, Weighted
from handconv.layers.activations import _Activation
from handconv.layers.base import Parameter

IMAGE, VECTOR = (2, 5, 7), (6,)


class TestParameters:
    def test_they_are_views_into_the_vectors_given_weights_first(self) -> None:
        values, gradients = np.zeros(8), np.zeros(8)
        layer = Dense(2)
        layer.build((3,), dtype=np.float64, values=values, gradients=gradients, generator=0)
        layer.weights = np.arange(6).reshape(3, 2)
        layer.biases = np.array([6, 7])
        np.testing.assert_array_equal(values, np.arange(8))
        layer.forward(np.ones((1, 3)))
        layer.backward(np.array([[1.0, 2.0]]))
        np.testing.assert_array_equal(gradients, [1, 2, 1, 2, 1, 2, 1, 2])

    def test_binding_to_other_vectors_takes_their_values(self) -> None:
        layer = Dense(2)
        layer.build((3,))
        layer.bind(np.arange(8.0), np.zeros(8))
        np.testing.assert_array_equal(layer.biases, [6, 7])

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

    def test_they_are_missed_with_a_remedy_before_the_layer_is_built(self) -> None:
        for name in ("weights", "biases", "dweights", "dbiases"):
            with pytest.raises(AttributeError, match=r"before it is built: call forward\(x\) or build\(shape\)"):
                getattr(Dense(2), name)

    def test_binding_before_building_is_an_error(self) -> None:
        with pytest.raises(RuntimeError, match=r"must be built before its parameters can be bound: call build"):
            Dense(2).bind(np.zeros(8), np.zeros(8))

    def test_biases_are_missed_with_a_reason_where_there_are_none(self) -> None:
        layer = Dense(2, use_bias=False)
        layer.build(VECTOR)
        for name in ("biases", "dbiases"):
            with pytest.raises(AttributeError, match="it was made with use_bias=False"):
                getattr(layer, name)

    def test_set_parameters_copies_by_name(self) -> None:
        layer = Dense(2)
        layer.build((1,), generator=0)
        assert layer.set_parameters(weights=np.array([[1, 2]]), biases=np.array([3, 4])) is layer
        np.testing.assert_array_equal(layer.weights, [[1, 2]])
        np.testing.assert_array_equal(layer.biases, [3, 4])

    def test_set_parameters_checks_the_shape(self) -> None:
        layer = Dense(2)
        layer.build((1,))
        with pytest.raises(ValueError, match=r"Dense: weights have shape \(1, 2\), got \(2, 1\)"):
            layer.set_parameters(weights=np.ones((2, 1)))

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

    @pytest.mark.parametrize("make", [lambda: Conv2D(3, 2), lambda: Dense(4)])
    def test_the_input_gradient_can_be_left_out(self, make: Callable[[], Weighted], rng: np.random.Generator) -> None:
        layer = make()
        x = rng.normal(size=(3, *(IMAGE if isinstance(layer, Conv2D) else VECTOR)))
        dy = rng.normal(size=layer.forward(x).shape)
        layer.backward(dy)
        dweights, dbiases = layer.dweights.copy(), layer.dbiases.copy()
        layer.dweights[...] = layer.dbiases[...] = 0
        assert layer.backward(dy, skip_dinputs=True).size == 0
        np.testing.assert_array_equal(layer.dweights, dweights)
        np.testing.assert_array_equal(layer.dbiases, dbiases)


class TestOwnLayers:
    def test_a_layer_that_defines_no_hooks_says_so(self) -> None:
        class Nothing(Layer):
            pass

        with pytest.raises(NotImplementedError, match="Nothing must define forward, or the hook _forward"):
            Nothing().forward(np.ones((1, 2)))

        class Half(Nothing):
            def _forward(self, x: Any, *, training: bool, remember: bool) -> Any:
                return x

        half = Half()
        half.forward(np.ones((1, 2)))
        with pytest.raises(NotImplementedError, match="Half must define backward, or the hook _backward"):
            half.backward(np.ones((1, 2)))

    def test_an_activation_without_its_function_or_its_slope_is_not_implemented(self) -> None:
        class Unknown(_Activation):
            pass

        with pytest.raises(NotImplementedError):
            Unknown().forward(np.ones((1, 2)))

        class Slopeless(_Activation):
            def _activate(self, x: Any, out: Any) -> Any:
                return x

        layer = Slopeless()
        layer.forward(np.ones((1, 2)))
        with pytest.raises(NotImplementedError):
            layer.backward(np.ones((1, 2)))

    def test_a_weighted_layer_without_the_gradient_hook_says_so(self) -> None:
        class Unfinished(Dense):
            _parameter_gradients = Weighted._parameter_gradients

        layer = Unfinished(2)
        layer.forward(np.ones((1, 2)))
        with pytest.raises(NotImplementedError, match="Unfinished must define the hook _parameter_gradients"):
            layer.backward(np.ones((1, 2)))

    def test_parameters_need_a_weighted_layer(self) -> None:
        class Astray(Layer):
            def declare(self, input_shape: tuple[int, ...]) -> tuple[Parameter, ...]:
                return (Parameter("weights", (1,), "zeros", 1, 1),)

        with pytest.raises(TypeError, match="Astray declares parameters but is no subclass of Weighted"):
            Astray().build((3,))


@pytest.mark.parametrize(
    "make",
    [
        lambda **name: hc.Conv2D(1, 2, **name), lambda **name: hc.Dense(1, **name),
        lambda **name: hc.Dropout(0.5, **name),
        lambda **name: hc.Reshape((1,), **name), hc.MaxPool2D, hc.AveragePool2D, hc.GlobalAveragePool2D, hc.Flatten,
        hc.LeakyReLU, hc.ReLU, hc.Sigmoid, hc.Tanh, hc.Softmax,
    ],
)  # fmt: skip
def test_every_layer_keeps_its_name(make: Callable[..., Layer]) -> None:
    assert make(name="mine").name == "mine"
    assert make().name is None


def test_fans_count_what_a_number_is_made_of_and_goes_into() -> None:
    kernels = Conv2D(2, (3, 5)).declare((4, 9, 9))[0]
    assert (kernels.fan_in, kernels.fan_out) == (4 * 3 * 5, 2 * 3 * 5)
    weights = Dense(7).declare((4,))[0]
    assert (weights.fan_in, weights.fan_out) == (4, 7)


@pytest.mark.parametrize("layer", [Conv2D(1, 2), Dense(1)], ids=repr)
def test_nothing_is_penalised_unless_asked(layer: Weighted) -> None:
    config = layer.config()
    assert [config[name] for name in ("l1", "l2", "bias_l1", "bias_l2")] == [0, 0, 0, 0]
    assert all((parameter.l1, parameter.l2) == (0, 0) for parameter in layer.declare((3, 4, 4)))
    plain = Parameter("own", (2,), "zeros", 1, 1)
    assert (plain.l1, plain.l2) == (0, 0)
