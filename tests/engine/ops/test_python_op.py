"""A layer without a fast op runs its own Python code, now and at every replay, whatever it returns."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine_helpers import ByProgram, assert_equal_passes, built, by_hand
from handconv.engine.arena import Arena
from handconv.engine.layout import memory_view
from handconv.engine.ops.base import Context, Op
from handconv.engine.ops.dense import DenseOp
from handconv.engine.ops.python_op import PythonOp
from handconv.layers import Conv2D, Dense, Dropout, Flatten, Layer, ParameterSpec, ReLU
from strategies import in_memory_order, normal

Array = NDArray[Any]
KINDS: dict[str, Callable[[Array], Any]] = {
    "float64": lambda x: x.astype(np.float64),
    "float32": lambda x: x.astype(np.float32),
    "integers": lambda x: np.rint(x).astype(np.int64),
    "bools": lambda x: x > 0,
    "Fortran order": np.asfortranarray,
    "negative strides": lambda x: in_memory_order(x, "reversed"),
    "every other": lambda x: in_memory_order(x, "every other"),
    "a broadcast view": lambda x: np.broadcast_to(x.ravel()[0], x.shape),
    "nested lists": lambda x: x.tolist(),
    "the argument itself": lambda x: x,
    "the argument, changed in place": lambda x: np.multiply(x, 2, out=x),
}


class Own(Layer):
    """Does to its inputs and to its gradient what it was told to do."""

    def __init__(self, do: Callable[[Array], Any], do_back: Callable[[Array], Any] | None = None) -> None:
        super().__init__()
        self.do, self.do_back = do, do_back or do
        self.received: list[Array] = []

    def forward(self, inputs: Array, training: bool = False) -> Any:
        self.received.append(inputs.copy())
        self.kept = inputs
        return self.do(inputs)

    def backward(self, dvalues: Array) -> Any:
        return self.do_back(dvalues)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 2, 4, 5), (3, 4)])
def test_results_of_any_type_and_memory_order_are_taken(kind: str, dtype: Any, shape: tuple[int, ...]) -> None:
    do = KINDS[kind]
    run = ByProgram(built(lambda: [Own(do)], shape[1:], dtype), dtype)
    assert [type(op) for op in run.ops] == [PythonOp]
    for seed in range(3):
        x, dy = (3 * normal(seed + k, *shape, dtype=dtype) for k in (0, 7))
        y, dx, _ = run(x, dy)
        assert dx is not None
        assert (y.dtype, dx.dtype) == (dtype, dtype)
        np.testing.assert_array_equal(y, np.asarray(do(x.copy()), dtype))
        np.testing.assert_array_equal(dx, np.asarray(do(dy.copy()), dtype))


def test_arrays_are_contiguous_and_the_layers_own() -> None:
    """What a layer keeps, or changes, is not what the next batch or the op before works on."""

    def double(x: Array) -> Array:
        assert type(x) is np.ndarray
        assert x.flags.c_contiguous
        x *= 2
        return x

    def make() -> list[Layer]:
        return [Dense(4), Own(double), ReLU(), Own(double)]

    layers = built(make, (3,))
    run, pages = ByProgram(layers), built(make, (3,))
    kept = []
    for seed in range(3):
        x, dy = normal(seed, 5, 3), normal(seed + 9, 5, 4)
        assert_equal_passes(run(x, dy), by_hand(pages, x, dy.copy()))
        kept.append((layers[1].kept, layers[1].kept.copy()))
    for array, values in kept:
        np.testing.assert_array_equal(array, values)


def test_python_in_between_is_run_at_every_replay() -> None:
    layers = built(lambda: [Own(lambda x: x * (2 if x.sum() > 0 else 3))], (2,))
    run = ByProgram(layers)
    answers = [run(np.full((1, 2), sign), training=False).y.tolist() for sign in (1.0, -1.0, 1.0, -1.0)]
    assert answers == [[[2, 2]], [[-3, -3]], [[2, 2]], [[-3, -3]]]
    assert len(layers[0].received) == 4


def test_the_layer_is_told_whether_it_is_trained() -> None:
    class Told(Layer):
        def forward(self, inputs: Array, training: bool = False) -> Array:
            return np.full(inputs.shape, float(training))

    run = ByProgram(built(lambda: [Told()], (2,)))
    assert [run(np.zeros((1, 2)), training=training).y[0, 0] for training in (True, False, True)] == [1, 0, 1]


WRONG = {
    "got an array of shape (3, 1)": np.ones((3, 1)),
    "got an array of shape (4, 3)": np.ones((4, 3)),
    "got an array of shape ()": 1.0,
    "got nothing": None,
}


@pytest.mark.parametrize(("got", "values"), WRONG.items(), ids=WRONG)
@pytest.mark.parametrize(
    ("method", "remedy"), [("forward", "Say the new shape in infer_shape."), ("backward", "Return dinputs.")]
)
def test_results_of_another_shape_are_refused(got: str, values: Any, method: str, remedy: str) -> None:
    run = ByProgram(built(lambda: [returning(values, method)], (4,)))
    with pytest.raises(ValueError, match="must return an array") as refused:
        run(np.ones((3, 4)), np.ones((3, 4)))
    assert str(refused.value) == f"Own.{method} must return an array of shape (3, 4), {got}. {remedy}"


@pytest.mark.parametrize("values", [np.ones((3, 4), complex), np.full((3, 4), "a"), np.full((3, 4), None)])
@pytest.mark.parametrize("method", ["forward", "backward"])
def test_what_is_not_real_numbers_is_refused(values: Array, method: str) -> None:
    run = ByProgram(built(lambda: [returning(values, method)], (4,)))
    with pytest.raises(TypeError, match=rf"^Own\.{method} must return real numbers, got {values.dtype}\.$"):
        run(np.ones((3, 4)), np.ones((3, 4)))


def returning(values: Any, method: str) -> Own:
    """A layer of which one method returns these values, the other its argument."""

    def wrong(_: Array) -> Any:
        return values

    def right(x: Array) -> Array:
        return x

    return Own(wrong, right) if method == "forward" else Own(right, wrong)


def test_a_backward_whose_result_nobody_needs_may_return_anything() -> None:
    run = ByProgram(built(lambda: [Scale(3), ReLU()], (4,)))
    (scale, _) = run.ops
    scale.layers[0].answer = None
    _, dx, (dscale,) = run(np.ones((2, 4)), np.ones((2, 4)), needs_input_grad=False)
    assert dx is None
    assert dscale.tolist() == [2, 2, 2, 2]


class Scale(Layer):
    """y = s · x, with a parameter for each number, and layers within."""

    answer: Any = "dinputs"

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units

    def declare(self, input_shape: tuple[int, ...]) -> tuple[ParameterSpec, ...]:
        return (ParameterSpec("scales", input_shape, "ones"), ParameterSpec("seen", (1,), trainable=False))

    def forward(self, inputs: Array, training: bool = False) -> Array:
        self.x = inputs
        self.seen += len(inputs)
        return inputs * self.scales

    def backward(self, dvalues: Array) -> Any:
        self.dscales = (dvalues * self.x).sum(axis=0)
        return self.answer if self.answer is None else dvalues * self.scales


class Block(Scale):
    """y = s · x + dense(relu(dense(x)))."""

    def __init__(self, units: int) -> None:
        super().__init__(units)
        self.inner = [Dense(units), ReLU()]
        self.last = Dense(units, use_bias=False)

    def forward(self, inputs: Array, training: bool = False) -> Array:
        inner = inputs
        for layer in (*self.inner, self.last):
            inner = layer.forward(inner, training)
        return super().forward(inputs, training) + inner

    def backward(self, dvalues: Array) -> Any:
        inner = dvalues
        for layer in (self.last, *reversed(self.inner)):
            inner = layer.backward(inner)
        return super().backward(dvalues) + inner


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_of_own_parameters_and_of_sublayers_reach_the_accumulators(dtype: Any) -> None:
    def make() -> list[Layer]:
        return [Scale(3), Block(3), ReLU()]

    run, pages = ByProgram(built(make, (3,), dtype), dtype), built(make, (3,), dtype)
    assert [repr(op) for op in run.ops] == ["Scale", "Block", "ReLU"]
    for seed in range(3):
        x, dy = normal(seed, 4, 3, dtype=dtype), normal(seed + 5, 4, 3, dtype=dtype)
        received = run(x, dy)
        assert len(received.gradients) == 5
        assert_equal_passes(received, by_hand(pages, x, dy))


def test_parameters_that_are_not_trained_here_have_no_accumulator() -> None:
    (layer,) = built(lambda: [Scale(2)], (2,))
    op = PythonOp(layer, Context(Arena(), np.dtype(np.float64), lambda _: {}))
    x = np.ones((3, 2))
    np.testing.assert_array_equal(op.forward(x, training=False), x)
    np.testing.assert_array_equal(op.backward(x, needs_input_grad=True), x)


@pytest.mark.parametrize(("layer", "trained"), [(ReLU, False), (Flatten, False), (lambda: Scale(2), True)])
def test_an_op_has_parameters_if_a_layer_within_declares_one_that_is_trainable(layer: Any, trained: bool) -> None:
    class Holder(Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = layer()

    class Counter(Layer):
        def declare(self, input_shape: tuple[int, ...]) -> tuple[ParameterSpec, ...]:
            return (ParameterSpec("count", (1,), trainable=False),)

    for make, expected in ((Holder, trained), (Counter, False)):
        (op,) = ByProgram(built(lambda make=make: [make()], (2,))).ops  # type: ignore[misc]
        assert op.has_parameters is expected


class Within(Layer):
    """Dropout within, whose generator it was handed."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = Dropout(0.5)

    def forward(self, inputs: Array, training: bool = False) -> Array:
        assert self.generator is self.dropout.generator
        return self.dropout.forward(inputs, training)

    def backward(self, dvalues: Array) -> Array:
        return self.dropout.backward(dvalues)


def test_the_generator_is_handed_on_to_the_layer_and_to_those_within() -> None:
    generator, same = (np.random.default_rng(4) for _ in range(2))
    run, (page,) = ByProgram(built(lambda: [Within()], (20,)), generator=generator), built(lambda: [Within()], (20,))
    for _, each in page.tree():
        each.generator = same
    for seed in range(3):
        x = normal(seed, 3, 20)
        np.testing.assert_array_equal(run(x, x).y, page.forward(x, training=True))


def test_without_a_generator_the_layers_keep_their_own() -> None:
    (layer,) = layers = built(lambda: [Within()], (20,))
    own = np.random.default_rng(1)
    for _, each in layer.tree():
        each.generator = own
    ByProgram(layers)(np.ones((2, 20)))
    assert layer.generator is own


def test_an_op_says_what_it_computes() -> None:
    (op,) = ByProgram(built(lambda: [Own(lambda x: x)], (2,))).ops
    assert repr(op) == "Own"
    (block,) = ByProgram(built(lambda: [Conv2D(1, 1), ReLU()], (1, 2, 2))).ops
    assert repr(block) == "[Conv2D + ReLU]"


def test_an_op_must_define_both_passes() -> None:
    op = Op([], Context(Arena(), np.dtype(np.float64), lambda _: {}))
    with pytest.raises(NotImplementedError):
        op.forward(np.ones(1), training=False)
    with pytest.raises(NotImplementedError):
        op.backward(np.ones(1), needs_input_grad=False)


def test_outputs_lie_in_memory_as_the_next_op_reads_them() -> None:
    run = ByProgram(built(lambda: [Own(np.ascontiguousarray), Flatten(), Dense(2)], (2, 3, 4)))
    assert [type(op) for op in run.ops[2:]] == [DenseOp]
    y = run.ops[0].forward(normal(0, 5, 2, 3, 4), training=True)
    assert memory_view(y).flags.c_contiguous
