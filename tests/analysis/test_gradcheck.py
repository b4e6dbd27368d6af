"""The gradient check passes every layer of the package, finds broken ones, and says where they are broken."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import handconv as hc
from handconv.analysis import GradientReport, GradientRow, gradcheck
from handconv.analysis.gradcheck.check import _Check
from handconv.analysis.gradcheck.differences import PLACES, slope
from handconv.analysis.gradcheck.subjects import LossSubject
from handconv.sequential import Sequential
from layer_cases import Chain, Residual, Running
from strategies import normal, tied

IMAGES = (2, 2, 6, 5)


def row_of(report: GradientReport, what: str) -> GradientRow:
    return next(row for row in report.rows if row.what == what)


LAYERS: dict[str, tuple[Callable[[], hc.Layer], tuple[int, ...]]] = {
    "dense": (lambda: hc.Dense(4), (3, 5)),
    "dense without biases": (lambda: hc.Dense(4, use_bias=False), (3, 5)),
    "dense, one sample": (lambda: hc.Dense(1), (1, 1)),
    "convolution": (lambda: hc.Conv2D(3, 3), IMAGES),
    "convolution, stride 2": (lambda: hc.Conv2D(2, 3, stride=2), IMAGES),
    "convolution, stride beyond the kernel": (lambda: hc.Conv2D(2, 2, stride=3), IMAGES),
    "convolution, padding 1": (lambda: hc.Conv2D(2, 3, padding=1), IMAGES),
    "convolution, padding same, stride (2, 1)": (lambda: hc.Conv2D(2, (3, 2), stride=(2, 1), padding="same"), IMAGES),
    "convolution without biases": (lambda: hc.Conv2D(2, (1, 4), padding=(2, 0), use_bias=False), IMAGES),
    "maximum": (lambda: hc.MaxPool2D(2), IMAGES),
    "maximum, overlapping": (lambda: hc.MaxPool2D(3, stride=1), IMAGES),
    "maximum, padding": (lambda: hc.MaxPool2D(3, stride=2, padding=1), IMAGES),
    "maximum, padding same": (lambda: hc.MaxPool2D((2, 3), stride=(1, 2), padding="same"), IMAGES),
    "average": (lambda: hc.AveragePool2D(2), IMAGES),
    "average, overlapping, padding": (lambda: hc.AveragePool2D(3, stride=2, padding=1), IMAGES),
    "global average": (lambda: hc.GlobalAveragePool2D(), IMAGES),
    "leaky relu": (lambda: hc.LeakyReLU(0.1), IMAGES),
    "relu": (lambda: hc.ReLU(), (3, 7)),
    "sigmoid": (lambda: hc.Sigmoid(), (3, 7)),
    "tanh": (lambda: hc.Tanh(), IMAGES),
    "softmax": (lambda: hc.Softmax(), (3, 7)),
    "dropout": (lambda: hc.Dropout(0.4), (3, 7)),
    "flatten": (lambda: hc.Flatten(), IMAGES),
    "reshape": (lambda: hc.Reshape((5, -1)), IMAGES),
}


@pytest.mark.parametrize("name", LAYERS)
def test_every_entry_of_every_layer_passes(name: str) -> None:
    make, shape = LAYERS[name]
    report = gradcheck(make(), normal(1, *shape), samples=10_000)
    assert report.ok, str(report)
    assert report.worst.error <= 1e-7
    assert sum(row.skipped for row in report.rows) == 0
    assert [row.checked for row in report.rows] == [row.size for row in report.rows]


@pytest.mark.parametrize("name", ["maximum", "maximum, overlapping", "maximum, padding", "leaky relu", "relu"])
def test_layers_pass_where_all_inputs_are_tied_or_at_the_kink(name: str) -> None:
    make, shape = LAYERS[name]
    for x in (np.zeros(shape), tied(2, *shape)):
        report = gradcheck(make(), x)
        assert report.ok, str(report)
        assert report.rows[0].checked > 0.9 * report.rows[0].size


@pytest.fixture(scope="module")
def digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    data = hc.datasets.load("digits")
    return data.x_train[:2], data.y_train[:2]


@pytest.mark.parametrize("fuse", [True, False])
def test_the_reference_network_passes_with_loss_penalty_and_dropout(fuse: bool, digits: Any) -> None:
    model = hc.zoo.reference()
    model.fuse = fuse
    report = gradcheck(model, *digits, samples=12)
    assert report.ok, str(report)
    assert report.worst.error <= 1e-7
    layers = list(dict.fromkeys(row.layer for row in report.rows))
    assert layers == [
        *(f"{place} {type(layer).__name__}" for place, layer in enumerate(model.layers)),
        "SoftmaxCategoricalCrossentropy",
        "network",
        "program",
    ]


@pytest.mark.parametrize(
    ("last", "loss", "y"),
    [
        (hc.Sigmoid, None, np.array([[0, 1, 1], [1, 0, 1]])),
        (hc.Softmax, hc.CategoricalCrossentropy(label_smoothing=0.1), [2, 0]),
        (hc.Tanh, hc.MeanSquaredError(), normal(3, 2, 3)),
        (hc.Tanh, None, None),
    ],
)
def test_networks_pass_with_every_loss_and_without_one(last: type[hc.Layer], loss: hc.Loss | None, y: Any) -> None:
    layers = [hc.Dense(4, l1=0.01, l2=0.1, bias_l2=0.2), hc.ReLU(), hc.Dropout(0.2), hc.Dense(3, name="out"), last()]
    report = gradcheck(Sequential(layers, seed=1), normal(0, 2, 5), y, loss=loss)
    assert report.ok, str(report)
    assert {row.what for row in report.rows if row.layer == "network"} == {
        "inputs", "0.weights", "0.biases", "out.weights", "out.biases"
    }  # fmt: skip


class WrongAtOneWeight(hc.Dense):
    def backward(self, dvalues: NDArray[Any]) -> NDArray[Any]:
        dinputs = super().backward(dvalues)
        self.dweights[3, 1] *= 1.0001
        return dinputs


class NotFlipped(hc.Conv2D):
    def backward(self, dvalues: NDArray[Any]) -> NDArray[Any]:
        right = self.weights.copy()
        self.weights = right[:, :, ::-1, ::-1]
        dinputs = super().backward(dvalues)
        self.weights = right
        return dinputs


class WithoutBiasGradient(hc.Dense):
    def backward(self, dvalues: NDArray[Any]) -> NDArray[Any]:
        self.dweights = self._x.T @ dvalues
        return np.asarray(dvalues @ self.weights.T)


class ZeroBiasGradient(hc.Dense):
    def backward(self, dvalues: NDArray[Any]) -> NDArray[Any]:
        dinputs = super().backward(dvalues)
        self.dbiases = 0
        return dinputs


class Accumulating(hc.Dense):
    def backward(self, dvalues: NDArray[Any]) -> NDArray[Any]:
        before = self.dweights.copy()
        dinputs = super().backward(dvalues)
        self.dweights += before
        return dinputs


class PlainMaxPool(hc.Layer):
    """Windows of ``size`` at steps of 1, forward and backward by loops, broken in one of two ways."""

    def __init__(self, size: int = 2, *, to_all_ties: bool = False, assigns: bool = False) -> None:
        super().__init__()
        self.size, self.to_all_ties, self.assigns = size, to_all_ties, assigns

    def forward(self, inputs: NDArray[Any], training: bool = False) -> NDArray[Any]:
        self.x = np.asarray(inputs)
        windows = np.lib.stride_tricks.sliding_window_view(self.x, (self.size, self.size), axis=(2, 3))
        self.y = windows.max(axis=(4, 5))
        return self.y

    def backward(self, dvalues: NDArray[Any]) -> NDArray[Any]:
        dx = np.zeros_like(self.x)
        for n, c, i, j in np.ndindex(self.y.shape):
            window = self.x[n, c, i : i + self.size, j : j + self.size]
            hits = np.argwhere(window == self.y[n, c, i, j])
            for u, v in hits if self.to_all_ties else hits[:1]:
                if self.assigns:
                    dx[n, c, i + u, j + v] = dvalues[n, c, i, j]
                else:
                    dx[n, c, i + u, j + v] += dvalues[n, c, i, j]
        return dx


def test_a_wrong_factor_at_one_weight_is_located() -> None:
    row = row_of(gradcheck(WrongAtOneWeight(4), normal(0, 3, 5)), "weights")
    assert row.verdict == "FAILED"
    assert row.worst is not None
    assert row.worst.index == (3, 1)
    assert row.worst.analytic / row.worst.numeric == pytest.approx(1.0001, rel=1e-6)
    assert row.error == pytest.approx(1e-4, rel=1e-3)


def test_a_missing_flip_is_found_in_the_inputs_alone() -> None:
    report = gradcheck(NotFlipped(2, 3), normal(0, *IMAGES))
    assert [(row.what, row.verdict) for row in report.rows] == [
        ("inputs", "FAILED"),
        ("weights", "ok"),
        ("biases", "ok"),
    ]


@pytest.mark.parametrize("broken", [WithoutBiasGradient, ZeroBiasGradient])
def test_a_missing_bias_gradient_is_found(broken: type[hc.Dense]) -> None:
    report = gradcheck(broken(4), normal(0, 3, 5))
    assert [row.what for row in report.rows if row.verdict == "FAILED"] == ["biases"]
    assert report.worst.error >= 1


def test_a_gradient_that_is_added_to_the_last_one_is_found() -> None:
    report = gradcheck(Accumulating(4), normal(0, 3, 5))
    assert [row.what for row in report.rows if row.verdict == "FAILED"] == ["weights"]


def test_a_gradient_sent_to_all_ties_is_found_at_a_tied_entry() -> None:
    x = np.arange(32.0).reshape(1, 2, 4, 4)
    assert gradcheck(PlainMaxPool(to_all_ties=True), x).ok  # nothing is tied, so nothing is wrong
    x[0, 1, 2, 2] = x[0, 1, 3, 3]  # the greatest value of the last window, twice
    row = gradcheck(PlainMaxPool(to_all_ties=True), x).rows[0]
    assert row.verdict == "FAILED"
    assert row.worst is not None
    assert row.worst.index == (0, 1, 3, 3)
    assert row.worst.numeric == pytest.approx(0, abs=1e-8)
    assert gradcheck(PlainMaxPool(), x).ok


def test_overlapping_windows_that_assign_instead_of_adding_are_found() -> None:
    x = np.zeros((1, 1, 3, 3))
    x[0, 0, 1, 1] = 1  # the maximum of all four windows
    row = gradcheck(PlainMaxPool(assigns=True), x + 0.1 * normal(0, 1, 1, 3, 3)).rows[0]
    assert row.verdict == "FAILED"
    assert row.worst is not None
    assert row.worst.index == (0, 0, 1, 1)


def test_in_a_network_the_broken_layer_is_named() -> None:
    layers = [hc.Dense(5), hc.Tanh(), WrongAtOneWeight(4, name="hidden"), hc.Tanh(), hc.Dense(3), hc.Softmax()]
    report = gradcheck(Sequential(layers, seed=0), normal(0, 3, 6), [0, 1, 2])
    assert [(row.layer, row.what) for row in report.rows if row.verdict != "ok"] == [
        ("hidden WrongAtOneWeight", "weights"),
        ("network", "hidden.weights"),
    ]
    assert "[3, 1]" in str(report)
    assert report.conclusion in " ".join(str(report).split())


class Scale(hc.Layer):
    """A user's layer that keeps its parameters by itself."""

    def __init__(self, wrong: float = 0.0) -> None:
        super().__init__()
        self.wrong, self.scale = wrong, np.array([2.0, -1.0, 0.5], np.float32)

    def forward(self, inputs: NDArray[Any], training: bool = False) -> NDArray[Any]:
        self.inputs = np.asarray(inputs)
        self.output = self.inputs * self.scale
        return self.output

    def backward(self, dvalues: NDArray[Any]) -> NDArray[Any]:
        self.dscale = (dvalues * self.inputs).sum(axis=0) * (1 + self.wrong)
        return dvalues * self.scale


class Cubed(hc.Layer):
    """A user's layer."""

    def forward(self, inputs: NDArray[Any], training: bool = False) -> NDArray[Any]:
        self._x = inputs
        return inputs**3

    def backward(self, dvalues: NDArray[Any]) -> NDArray[Any]:
        return 3 * self._x**2 * dvalues


def test_layers_of_a_user_are_checked_parameters_that_they_keep_themselves_included() -> None:
    assert gradcheck(Cubed(), normal(0, 4, 3)).ok
    report = gradcheck(Scale(), normal(0, 4, 3))
    assert report.ok
    assert [row.what for row in report.rows] == ["inputs", "scale"]
    assert not gradcheck(Scale(1e-3), normal(0, 4, 3)).ok
    assert gradcheck(
        Sequential([Cubed(), Scale(), hc.Dense(2), hc.Softmax()], seed=0), normal(0, 4, 3), [0, 1, 1, 0]
    ).ok


class Restless(hc.Layer):
    def forward(self, inputs: NDArray[Any], training: bool = False) -> NDArray[Any]:
        return inputs + np.random.default_rng().random()


class Single(hc.Layer):
    def forward(self, inputs: NDArray[Any], training: bool = False) -> NDArray[Any]:
        return np.asarray(inputs, np.float32)


class Stairs(hc.Layer):
    def forward(self, inputs: NDArray[Any], training: bool = False) -> NDArray[Any]:
        return np.floor(inputs * 1e7)

    def backward(self, dvalues: NDArray[Any]) -> NDArray[Any]:
        return 0 * dvalues


class Reciprocal(hc.Layer):
    def forward(self, inputs: NDArray[Any], training: bool = False) -> NDArray[Any]:
        with np.errstate(divide="ignore"):
            return np.asarray(1 / inputs)


class WrongSquaredError(hc.MeanSquaredError):
    def gradient(self, predictions: Any, targets: Any) -> NDArray[Any]:
        return 2 * super().gradient(predictions, targets)


def test_a_wrong_loss_is_named() -> None:
    model = Sequential([hc.Dense(3), hc.Tanh()], seed=0)
    report = gradcheck(model, normal(0, 2, 4), normal(1, 2, 3), loss=WrongSquaredError())
    assert {row.layer for row in report.rows if row.verdict != "ok"} == {"WrongSquaredError", "network"}
    assert report.conclusion.startswith("WrongSquaredError: the gradient with respect to the inputs is wrong at [")
    assert "(relative error 5.0e-01, at most 1e-07 is allowed)" in report.conclusion


def test_a_layer_that_is_wrong_is_said_to_be_in_a_sentence() -> None:
    report = gradcheck(WrongAtOneWeight(4), normal(0, 3, 5))
    assert report.conclusion.startswith(
        "WrongAtOneWeight: the gradient with respect to the weights is wrong at [3, 1]: backward says "
    )


def test_the_report_is_shown_in_short_and_as_a_table_in_a_notebook() -> None:
    report = gradcheck(
        Sequential([hc.Dense(4), hc.Tanh(), hc.Dense(3)], seed=0),
        normal(0, 3, 5),
        [0, 1, 2],
        loss=hc.SoftmaxCategoricalCrossentropy(),
    )
    assert repr(report) == f"<gradients of {len(report.rows)} arrays. {report.conclusion}>"
    assert report._repr_html_().count("<tr>") == len(report.rows) + 1
    assert report._repr_html_().endswith(f"<p>{report.conclusion}</p>")


@pytest.mark.parametrize("make", [Running, hc.BatchNorm])
def test_layers_with_buffers_pass_alone_and_in_a_network(make: Callable[[], hc.Layer]) -> None:
    x, y = normal(0, 4, 3), [0, 1, 1, 0]
    network = Sequential([hc.Dense(3), make(), hc.Dense(2), hc.Softmax()], seed=0)
    report = gradcheck(network, x, y)
    assert report.ok, str(report)
    assert gradcheck(make(), x).ok


def test_the_buffers_of_the_model_stay_as_they_are() -> None:
    network = Sequential([Running(), hc.Dense(2), hc.Softmax()], input_shape=(3,), seed=0)
    network.buffers = np.arange(3.0)
    assert gradcheck(network, normal(0, 4, 3), [0, 1, 1, 0]).ok
    np.testing.assert_array_equal(network.buffers, np.arange(3))


class WrongWithin(hc.Dense):
    def backward(self, dvalues: NDArray[Any]) -> NDArray[Any]:
        dinputs = super().backward(dvalues)
        self.dbiases[1] += 0.5
        return dinputs


def test_layers_that_hold_layers_pass_alone_and_in_a_network() -> None:
    assert gradcheck(Chain(), normal(0, 3, 4)).ok
    layers = [Residual(2), hc.Flatten(), Chain(), hc.Softmax()]
    report = gradcheck(Sequential(layers, seed=0), normal(0, 2, 2, 4, 4), [0, 1])
    assert report.ok, str(report)
    assert {"first.weights", "second.biases"} <= {row.what for row in report.rows if row.layer == "0 Residual"}
    assert "2.rest.2.weights" in {row.what for row in report.rows if row.layer == "program"}


def test_a_wrong_layer_within_a_layer_is_located() -> None:
    chain = Chain()
    chain.first = WrongWithin(3)
    report = gradcheck(Sequential([chain, hc.Softmax()], seed=0), normal(0, 3, 4), [0, 1, 1])
    assert report.conclusion.startswith("0 Chain: the gradient with respect to the first.biases is wrong at [1]: ")


def test_layers_without_a_slope_are_refused_with_the_reason() -> None:
    x = normal(0, 2, 3)
    for layer, reason in ((Restless(), "self.generator"), (Single(), "float32"), (Reciprocal(), "not finite")):
        with pytest.raises(ValueError, match=reason):
            gradcheck(layer, np.zeros((2, 3)) if isinstance(layer, Reciprocal) else x)


def test_what_cannot_be_checked_is_counted_and_not_passed() -> None:
    report = gradcheck(Stairs(), normal(0, 2, 3))
    assert not report.ok
    assert (report.rows[0].checked, report.rows[0].skipped, report.rows[0].verdict) == (0, 6, "unproved")
    assert "Not proved" in str(report)


@pytest.mark.parametrize("kink", np.linspace(-1.99, 1.99, 41))
def test_a_kink_anywhere_between_the_points_is_noticed_or_harmless(kink: float) -> None:
    differences = [max(k - kink, 0) - max(-kink, 0) for k in PLACES]
    known = slope(differences, 1.0, 1.0)
    right = 1.0 if kink < 0 else 0.0
    assert min(abs(known.value - right), abs(known.value - (1 - right))) <= known.spread * 2 / 3 + 1e-12


def test_the_model_is_unchanged_trained_or_not() -> None:
    model = hc.Sequential([hc.Dense(3), hc.Dropout(0.5), hc.Dense(2), hc.Softmax()], input_shape=(4,), seed=0)
    x, y = normal(0, 8, 4, dtype=np.float32), np.arange(8) % 2
    model.fit(x, y)
    before, gradients, states = model.parameters.copy(), model.gradients.copy(), [vars(each) for each in model.layers]
    kept = [dict(state) for state in states]
    x_before = x.copy()
    assert gradcheck(model, x, y).ok
    assert (model.parameters == before).all()
    assert (model.gradients == gradients).all()
    assert (x == x_before).all()
    assert model.dtype == np.float32
    for state, earlier in zip(states, kept, strict=True):
        assert state.keys() == earlier.keys()
        assert all(state[name] is earlier[name] for name in earlier)
    fresh = hc.Sequential([hc.Dense(2)])
    gradcheck(fresh, x)
    assert not fresh.built


def test_a_layer_with_parameters_is_checked_with_its_own_parameters_and_left_alone() -> None:
    dense = hc.Dense(2)
    dense.forward(normal(0, 3, 4, dtype=np.float32))
    before = dense.weights.copy()
    report = gradcheck(dense, np.eye(4)[:1])
    row = row_of(report, "inputs")
    assert row.worst is not None
    assert (dense.weights == before).all()
    assert dense.dtype == np.float32
    assert dense.weights.shape == (4, 2)


def test_large_arrays_are_sampled_and_the_report_says_so() -> None:
    report = gradcheck(hc.Dense(40), normal(0, 2, 30), samples=25)
    assert [(row.checked, row.size) for row in report.rows] == [(25, 60), (25, 1200), (25, 40)]
    assert "25 of 1,200" in str(report)
    again = gradcheck(hc.Dense(40), normal(0, 2, 30), samples=25)
    assert again == report
    assert gradcheck(hc.Dense(40), normal(0, 2, 30), samples=25, seed=1) != report


@pytest.mark.parametrize(
    ("arguments", "error", "rule"),
    [
        ({"model": 3}, TypeError, "a network or a layer"),
        ({"eps": 0}, ValueError, "eps must be"),
        ({"tolerance": 2}, ValueError, "tolerance must be"),
        ({"samples": 0}, ValueError, "samples must be"),
        ({"samples": True}, ValueError, "samples must be"),
        ({"loss": hc.Adam()}, TypeError, "loss must be a loss"),
        ({"y": [0]}, ValueError, "without labels"),
        ({"x": np.empty((0, 3))}, ValueError, "not empty"),
        ({"x": ["a"]}, ValueError, "numbers"),
        ({"model": hc.Sequential([hc.Dense(2)]), "loss": hc.MeanSquaredError()}, ValueError, "give y too"),
        ({"model": hc.Sequential([hc.Dense(2)]), "y": [0, 1]}, ValueError, "one target for each"),
    ],
)
def test_wrong_arguments_are_explained(arguments: dict[str, Any], error: type[Exception], rule: str) -> None:
    with pytest.raises(error, match=rule):
        gradcheck(**({"model": hc.Dense(2), "x": np.ones((1, 3))} | arguments))


class TestAFactorThatBeginsWithOne:
    """At 1 a backward that forgets it would be right."""

    def test_of_a_layer_of_ones_own_is_missed_where_it_is_forgotten(self) -> None:
        class Gain(hc.Layer):
            def declare(self, input_shape: Any) -> Any:
                return (hc.ParameterSpec("gain", input_shape, "ones"),)

            def forward(self, inputs: Any, training: bool = False) -> Any:
                self.kept = inputs
                return inputs * self.gain

            def backward(self, dvalues: Any) -> Any:
                self.dgain = (dvalues * self.kept).sum(axis=0)
                return dvalues

        x = np.random.default_rng(0).normal(size=(5, 4))
        assert not hc.gradcheck(Gain(), x).ok
        network = hc.Sequential([Gain(), hc.Dense(3)], input_shape=(4,), seed=0)
        report = hc.gradcheck(network, x)
        assert report.worst is not None
        assert (report.ok, report.worst.layer, report.worst.what) == (False, "0 Gain", "inputs")
        assert (network.layers[0].gain == 1).all()

    @pytest.mark.parametrize(("kind", "arguments"), [(hc.BatchNorm, ()), (hc.LayerNorm, ()), (hc.GroupNorm, (2,))])
    def test_of_a_normalisation_is_missed_where_it_is_forgotten(self, kind: Any, arguments: Any) -> None:
        class Forgetful(kind):  # type: ignore[misc]
            def backward(self, dvalues: Any) -> Any:
                kept, self.gamma = self.gamma.copy(), 1.0
                dinputs = super().backward(dvalues)
                self.gamma = kept
                return dinputs

        x = np.random.default_rng(0).normal(size=(5, 4, 3, 3))
        assert hc.gradcheck(kind(*arguments), x).ok
        assert not hc.gradcheck(Forgetful(*arguments), x).ok


class Factor(hc.Layer):
    """A factor for all numbers: a parameter without axes."""

    def declare(self, input_shape: Any) -> Any:
        return (hc.ParameterSpec("factor", (), "ones"),)

    def forward(self, inputs: Any, training: bool = False) -> Any:
        self.kept = inputs
        return inputs * self.factor

    def backward(self, dvalues: Any) -> Any:
        self.dfactor = (self.kept * dvalues).sum()
        return dvalues * self.factor


class AsLists(hc.Layer):
    """Returns lists, which fit takes too."""

    def forward(self, inputs: Any, training: bool = False) -> Any:
        return inputs.tolist()

    def backward(self, dvalues: Any) -> Any:
        return dvalues.tolist()


class WithoutInputGradient(hc.Layer):
    """Forgets to return what comes back to its inputs."""

    def forward(self, inputs: Any, training: bool = False) -> Any:
        return inputs

    def backward(self, dvalues: Any) -> Any:
        return None


@pytest.mark.parametrize("kind", [Factor, AsLists])
@pytest.mark.parametrize("y", [None, [0, 1, 0]])
def test_a_layer_of_ones_own_passes_alone_and_in_a_network(kind: type[hc.Layer], y: Any) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4))
    assert gradcheck(kind(), x).ok
    assert gradcheck(hc.Sequential([hc.Dense(3), kind()], input_shape=(4,), seed=0), x, y).ok


def test_a_backward_that_returns_nothing_is_refused_as_fit_refuses_it() -> None:
    with pytest.raises(ValueError, match=r"backward must return an array of shape \(3, 4\), got nothing"):
        gradcheck(WithoutInputGradient(), np.ones((3, 4)))


class OwnSoftmax(hc.Softmax):
    """Of a class of one's own, so that the loss takes probabilities."""

    def forward(self, inputs: Any, training: bool = False) -> Any:
        return super().forward(inputs, training)


@pytest.mark.parametrize("scale", [1, 4])
def test_a_loss_of_probabilities_passes_where_some_are_small(scale: float) -> None:
    network = hc.Sequential([hc.Dense(3), OwnSoftmax()], input_shape=(6,), seed=1)
    report = gradcheck(network, scale * np.random.default_rng(0).normal(size=(4, 6)), [0, 1, 2, 0])
    assert report.ok, str(report)
    assert row_of(report, "inputs").layer == "0 Dense"
    assert next(row for row in report.rows if row.layer == "CategoricalCrossentropy").checked >= 10


class Distance(hc.Loss):
    """Has a kink where a prediction is right, and works in the memory that it is given."""

    def sample_losses(self, predictions: Any, targets: Any) -> Any:
        predictions -= targets
        return np.abs(predictions).mean(axis=1)

    def gradient(self, predictions: Any, targets: Any) -> Any:
        return np.sign(predictions - targets) / predictions.shape[1]


class Probable(Distance):
    """Takes probabilities alone."""

    def check_predictions(self, predictions: Any) -> Any:
        assert predictions.min() >= 0
        assert predictions.max() <= 1
        return super().check_predictions(predictions)


@pytest.mark.parametrize(("loss", "right"), [(Distance(), 3.0), (Probable(), 0.5)])
def test_predictions_at_a_kink_are_moved_to_others_that_the_loss_takes(loss: hc.Loss, right: float) -> None:
    at_kink = np.full((2, 2), right)
    subject = LossSubject(loss, at_kink.copy(), at_kink.copy())
    (row,) = _Check(1e-5, 1e-7, None, 0).rows(subject)
    assert (row.error <= 1e-7, row.checked, row.skipped) == (True, 4, 0)
    assert (subject.arrays["inputs"] != right).all()


@pytest.mark.parametrize(
    ("loss", "y"),
    [(None, [0, 2]), (hc.MeanSquaredError(), np.eye(3)[:2]), (hc.SigmoidBinaryCrossentropy(), np.eye(3)[:2])],
)
def test_scores_that_all_are_0_are_checked(loss: hc.Loss | None, y: Any) -> None:
    report = gradcheck(hc.Sequential([hc.Dense(3)], input_shape=(4,), seed=0), np.zeros((2, 4)), y, loss=loss)
    assert report.ok, str(report)
    assert [row.checked for row in report.rows if row.layer.endswith(("entropy", "Error"))] == [6]


@pytest.mark.parametrize("engine", [True, False])
def test_a_softmax_alone_is_checked_together_with_its_loss(engine: bool) -> None:
    network = hc.Sequential([hc.Softmax()], input_shape=(3,), engine=engine)
    assert gradcheck(network, np.random.default_rng(0).normal(size=(2, 3)), [2, 0]).ok
