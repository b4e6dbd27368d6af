"""What holds for every layer, whatever it computes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from handconv import layers
from handconv.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Layer,
    MaxPool2D,
    ReLU,
)
from handconv.layers.parameters import ParameterSpec, ParameterView
from helpers import assert_close
from layer_cases import IMAGE, LAYERS, VECTOR, Make, parameters_of, run
from oracles import numerical_gradient
from strategies import MEMORY_ORDERS, in_memory_order

every_layer = pytest.mark.parametrize(("make", "shape"), LAYERS.values(), ids=LAYERS)
every_order = pytest.mark.parametrize("order", MEMORY_ORDERS)


def built(make: Make, shape: tuple[int, ...], dtype: Any = np.float64) -> Layer:
    layer = make()
    layer.build(shape, dtype=dtype, generator=0)
    layer.generator = np.random.default_rng(0)
    return layer


@every_layer
def test_backward_agrees_with_central_differences(make: Make, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    layer = built(make, shape)
    x = rng.normal(size=(3, *shape))
    dy = rng.normal(size=layer.forward(x).shape)

    def loss() -> float:
        layer.generator = np.random.default_rng(0)
        return float(np.sum(layer.forward(x, training=True) * dy))

    def loss_with(array: Any) -> Callable[[Any], float]:
        def value(changed: Any) -> float:
            kept = array.copy()
            array[...] = changed
            result = loss()
            array[...] = kept
            return result

        return value

    loss()
    dx = layer.backward(dy).copy()
    gradients = {name: gradient.copy() for name, (_, gradient) in parameters_of(layer).items()}
    np.testing.assert_allclose(dx, numerical_gradient(loss_with(x), x), rtol=1e-7, atol=1e-8)
    for name, (values, _) in parameters_of(layer).items():
        expected = numerical_gradient(loss_with(values), values)
        np.testing.assert_allclose(gradients[name], expected, rtol=1e-7, atol=1e-8)


@every_layer
@every_order
def test_memory_order_changes_neither_the_result_nor_is_anything_given_written_to(
    make: Make, shape: tuple[int, ...], order: str, rng: np.random.Generator
) -> None:
    layer = built(make, shape)
    x = rng.normal(size=(3, *shape))
    dy = rng.normal(size=layer.forward(x).shape)
    expected = run(layer, x, dy)
    x_ordered, dy_ordered = in_memory_order(x, order), in_memory_order(dy, order)
    x_ordered.flags.writeable = dy_ordered.flags.writeable = False
    for mine, theirs in zip(run(layer, x_ordered, dy_ordered), expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@every_layer
def test_a_batch_of_one_is_that_row_of_a_batch(make: Make, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    layer = built(make, shape)
    x = rng.normal(size=(3, *shape))
    whole = layer.forward(x)
    dy = rng.normal(size=whole.shape)
    dx = layer.backward(dy)
    for n in range(3):
        assert_close(layer.forward(x[n : n + 1]), whole[n : n + 1])
        assert_close(layer.backward(dy[n : n + 1]), dx[n : n + 1])


@every_layer
def test_what_a_layer_returned_is_not_overwritten_later(
    make: Make, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    layer = built(make, shape)
    y = layer.forward(rng.normal(size=(3, *shape)), training=True)
    dx = layer.backward(np.ones(y.shape))
    before = y.copy(), dx.copy()
    run(layer, rng.normal(size=(3, *shape)))
    np.testing.assert_array_equal(y, before[0])
    np.testing.assert_array_equal(dx, before[1])


@every_layer
def test_arrays_that_are_changed_after_forward_do_not_change_backward(
    make: Make, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    layer = built(make, shape)
    x = rng.normal(size=(3, *shape))
    expected = run(layer, x)
    layer.generator = np.random.default_rng(0)
    y = layer.forward(x, training=True)
    x[...] = y[...] = np.nan
    dx = layer.backward(np.random.default_rng(1).normal(size=y.shape))
    for mine, theirs in zip(
        (dx, *(gradient for _, gradient in parameters_of(layer).values())), expected[1:], strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


@every_layer
def test_what_a_layer_returns_shares_no_memory_with_what_it_was_given(make: Make, shape: tuple[int, ...]) -> None:
    layer = built(make, shape)
    x = np.ones((3, *shape))
    y = layer.forward(x, training=True)
    dy = np.ones(y.shape)
    dx = layer.backward(dy)
    assert not any(np.shares_memory(made, given) for made in (y, dx) for given in (x, dy))


@every_layer
def test_out_of_training_is_what_there_is_if_nothing_is_said(make: Make, shape: tuple[int, ...]) -> None:
    layer = built(make, shape)
    x = np.ones((3, *shape))
    np.testing.assert_array_equal(layer.forward(x), layer.forward(x, training=False))


@every_layer
def test_the_second_backward_overwrites_the_gradients_of_the_first(
    make: Make, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    layer = built(make, shape)
    x = rng.normal(size=(3, *shape))
    first = run(layer, x)
    layer.backward(rng.normal(size=first[0].shape))
    for again, before in zip(run(layer, x), first, strict=True):
        np.testing.assert_array_equal(again, before)


@every_layer
def test_backward_before_forward_is_an_error(make: Make, shape: tuple[int, ...]) -> None:
    with pytest.raises(RuntimeError, match=r"backward needs a forward before it: call forward\(x\) first"):
        make().backward(np.zeros((3, *shape)))


@every_layer
def test_backward_of_another_shape_than_the_outputs_is_an_error(make: Make, shape: tuple[int, ...]) -> None:
    layer = built(make, shape)
    y = layer.forward(np.ones((3, *shape)))
    with pytest.raises(ValueError, match=r"gradient with respect to its outputs, of their shape \(3, .*got \(2, "):
        layer.backward(np.ones((2, *y.shape[1:])))


@every_layer
def test_inputs_of_another_shape_than_built_for_are_an_error_except_elementwise(
    make: Make, shape: tuple[int, ...]
) -> None:
    layer = built(make, shape)
    if layer.elementwise:
        assert layer.forward(np.ones((3, 9))).shape == layer.backward(np.ones((3, 9))).shape == (3, 9)
        return
    with pytest.raises(ValueError, match=r"was built for inputs of shape \(N, .*\), got \(3, 9\)\.$"):
        layer.forward(np.ones((3, 9)))


@every_layer
@pytest.mark.parametrize(
    ("given", "computed"), [(np.float64, np.float64), (np.float32, np.float32), (np.uint8, np.float32)]
)
def test_float64_is_computed_in_float64_and_all_else_in_float32(
    make: Make, shape: tuple[int, ...], given: Any, computed: Any
) -> None:
    layer = make()
    for result in run(layer, np.ones((2, *shape), given)):
        assert result.dtype == computed
    assert layer.dtype == computed


@every_layer
def test_shapes_output_and_dinputs_are_kept(make: Make, shape: tuple[int, ...]) -> None:
    layer = make()
    assert (layer.input_shape, layer.output_shape, layer.output, layer.dinputs) == (None, None, None, None)
    y = layer.forward(np.ones((2, *shape)))
    dx = layer.backward(y)
    assert layer.input_shape == shape
    assert layer.output_shape == y.shape[1:] == layer.infer_shape(shape)
    assert layer.output is y
    assert layer.dinputs is dx
    assert dx.shape == (2, *shape)


@every_layer
def test_config_and_repr_make_the_same_layer_again(make: Make, shape: tuple[int, ...]) -> None:
    layer = make()
    twin = type(layer)(**layer.config())
    assert twin.config() == layer.config()
    assert eval(repr(layer), vars(layers)).config() == layer.config()  # noqa: S307


@every_layer
def test_an_empty_batch_gives_an_empty_result(make: Make, shape: tuple[int, ...]) -> None:
    layer = built(make, shape)
    if isinstance(layer, BatchNorm):
        with pytest.raises(ValueError, match="in training needs at least 2 numbers for each feature, got 0"):
            run(layer, np.ones((0, *shape)))
        return
    y, dx, *gradients = run(layer, np.ones((0, *shape)))
    assert (len(y), len(dx)) == (0, 0)
    for gradient in gradients:
        np.testing.assert_array_equal(gradient, 0)


def test_layers_without_weights_count_no_multiply_adds() -> None:
    assert [built(make, shape).multiply_adds for make, shape in ((ReLU, VECTOR), (MaxPool2D, IMAGE))] == [0, 0]


def test_errors_name_the_layer_by_its_own_name() -> None:
    with pytest.raises(RuntimeError, match=r"^Dense 'head'.backward needs"):
        Dense(2, name="head").backward(np.ones((1, 2)))


def test_channels_last_gets_the_remedy() -> None:
    layer = built(lambda: Conv2D(1, 3), (1, 28, 28))
    with pytest.raises(
        ValueError, match=r"\(N, 1, 28, 28\), got \(8, 28, 28, 1\)\. Channels last\? Use x\.transpose\(0, 3, 1, 2\)\."
    ):
        layer.forward(np.ones((8, 28, 28, 1)))


def test_a_single_sample_gets_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"A single sample\? Use x\[None\]\."):
        built(lambda: Conv2D(1, 3), (1, 28, 28)).forward(np.ones((1, 28, 28)))


def test_a_single_number_is_no_batch() -> None:
    layer = ReLU()
    for _ in range(2):  # before and after it is built
        with pytest.raises(ValueError, match=r"ReLU expects a batch \(N, …\), got a single number\. Use x\[None\]\."):
            layer.forward(np.array(1.0))
        layer.forward(np.ones(1))


def test_what_is_declared_stays_as_it_is() -> None:
    with pytest.raises(AttributeError):
        ParameterSpec("weights", (2,)).name = "w"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        ParameterView("0.weights", Dense(2), 0, slice(0, 2)).place = slice(0, 1)  # type: ignore[misc]


def test_a_masked_array_with_missing_values_is_refused() -> None:
    with pytest.raises(ValueError, match=r"inputs has 1 masked \(missing\) value\. Fill it first"):
        ReLU().forward(np.ma.array([[1.0, 2.0]], mask=[[False, True]]))
