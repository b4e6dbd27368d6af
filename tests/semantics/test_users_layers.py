"""Every layer and loss of a user's own trains to the same numbers, by hand and by the engine, alone and in company.

Batches of 512 of 640 samples have four shards, then one.
"""

import ast
import copy
import inspect
import multiprocessing
import pickle
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from semantics import users_layers
from semantics.users_layers import CASES, Case

SAMPLES, BATCH = 640, 512
BUFFERS = ("running_mean", "running_variance", "samples_seen", "calls")
TOLERANCE = {"float32": 1e-5, "float64": 1e-11}
Arrays = dict[str, np.ndarray[Any, Any]]

COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda network: pickle.loads(pickle.dumps(network))}  # noqa: S301

every_case = pytest.mark.parametrize("name", CASES)


def model(case: Case, *, engine: bool = True, dtype: str = "float32", seed: int = 0) -> hc.Sequential:
    options: dict[str, Any] = {} if engine else {"engine": False}
    return hc.Sequential(case.layers(), input_shape=case.shape, seed=seed, dtype=dtype, **options)


def data(case: Case, samples: int = SAMPLES) -> tuple[Any, Any]:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(SAMPLES, *case.shape)).astype(np.float32)
    if case.loss is not None:
        return x[:samples], (x @ rng.normal(size=(4, 2)))[:samples]  # targets are float64, as NumPy makes them
    return x[:samples], (x.reshape(SAMPLES, -1)[:, :3].argmax(axis=1))[:samples]


def fit(network: hc.Sequential, case: Case, *, epochs: int = 2, **options: Any) -> hc.History:
    x, y = data(case)
    loss = case.loss() if case.loss else None
    optimizer = hc.SGD(0.05, momentum=0.9)
    return network.fit(x, y, epochs=epochs, batch_size=BATCH, optimizer=optimizer, loss=loss, **options)


def flattened(layers: Sequence[hc.Layer]) -> list[hc.Layer]:
    inner = [list(layer.sublayers().values()) for layer in layers]
    return [*layers, *(layer for held in inner for layer in (flattened(held) if held else []))]


def state(network: hc.Sequential) -> Arrays:
    """The parameters and every buffer."""
    found = {"parameters": network.parameters.copy()}
    for place, layer in enumerate(flattened(network.layers)):
        found |= {f"{place}.{name}": np.array(getattr(layer, name)) for name in BUFFERS if hasattr(layer, name)}
    return found


def assert_same_bits(actual: Arrays, expected: Arrays) -> None:
    assert actual.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(actual[name], values, err_msg=name)


def assert_close(actual: Arrays, expected: Arrays, tolerance: float) -> None:
    assert actual.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(actual[name], values, rtol=tolerance, atol=tolerance, err_msg=name)


def penalty_gradients(network: hc.Sequential) -> np.ndarray[Any, Any]:
    """The slope of the penalty by each parameter; central differences of squares are exact."""
    slopes = np.zeros_like(network.parameters)
    for place in range(slopes.size):
        middle = network.parameters[place]
        around = []
        for value in (middle + 0.5, middle - 0.5):
            network.parameters[place] = value
            around.append(network.penalty())
        network.parameters[place] = middle
        slopes[place] = around[0] - around[1]
    return slopes


def trained_or_refused(network: hc.Sequential, case: Case, **options: Any) -> bool:
    """Train; a refusal must come before the first step, and leave the network as it was."""
    before = state(network)
    files = case.file_may_refuse and "callbacks" in options
    try:
        fit(network, case, **options)
    except (RuntimeError, ValueError):
        if not (case.may_refuse or files):
            raise
        assert_same_bits(state(network), before)
        return False
    return True


@every_case
def test_training_moves_all_parameters(name: str) -> None:
    case = CASES[name]
    network = model(case)
    before = {key: values.copy() for key, values in network.named_parameters().items()}
    fit(network, case)
    unmoved = [key for key, values in network.named_parameters().items() if np.array_equal(values, before[key])]
    assert not unmoved


@every_case
def test_training_lowers_the_loss(name: str) -> None:
    case = CASES[name]
    losses = fit(model(case), case, epochs=12)["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("dtype", TOLERANCE)
@every_case
def test_without_the_engine_training_gives_the_same_numbers(name: str, dtype: str) -> None:
    case = CASES[name]
    with_engine, without = model(case, dtype=dtype), model(case, dtype=dtype, engine=False)
    losses, expected = fit(with_engine, case)["loss"], fit(without, case)["loss"]
    np.testing.assert_allclose(losses, expected, rtol=TOLERANCE[dtype])
    assert_close(state(with_engine), state(without), TOLERANCE[dtype])


@pytest.mark.parametrize("workers", [2, 4])
@every_case
def test_workers_give_the_same_bits(name: str, workers: int) -> None:
    case = CASES[name]
    alone, together = model(case), model(case)
    fit(alone, case)
    if trained_or_refused(together, case, workers=workers):
        assert_same_bits(state(together), state(alone))


@every_case
def test_without_the_engine_workers_give_the_same_bits(name: str) -> None:
    case = CASES[name]
    alone, together = model(case, engine=False), model(case, engine=False)
    fit(alone, case)
    if trained_or_refused(together, case, workers=2):
        assert_same_bits(state(together), state(alone))


@pytest.mark.parametrize("workers", [1, 2])
@every_case
def test_a_resumed_run_gives_the_same_bits(name: str, workers: int, tmp_path: Path) -> None:
    case, path = CASES[name], tmp_path / "run.npz"
    whole, resumed = model(case), model(case)
    fit(whole, case, epochs=3)
    if trained_or_refused(model(case), case, epochs=1, workers=workers, callbacks=[hc.Checkpoint(path)]):
        fit(resumed, case, epochs=3, workers=workers, resume=path)
        assert_same_bits(state(resumed), state(whole))


@pytest.mark.parametrize(
    "name", ["buffer", "counters", "batch norm of images", "random", "nested", "loss by functions"]
)
def test_a_run_resumed_within_an_epoch_gives_the_same_bits(name: str, tmp_path: Path) -> None:
    case, path = CASES[name], tmp_path / "run.npz"
    whole, resumed = model(case), model(case)
    fit(whole, case)

    class Interrupt(hc.Callback):
        def on_batch_end(self, run: Any, progress: Any) -> None:
            if progress.samples_done < progress.samples:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(hc.TrainingInterrupted, match="epoch 1"):
        fit(model(case), case, callbacks=[Interrupt(), hc.Checkpoint(path)])
    fit(resumed, case, resume=path)
    assert_same_bits(state(resumed), state(whole))


@every_case
def test_by_hand_the_gradient_is_that_of_fit(name: str) -> None:
    case = CASES[name]
    if not case.by_hand:
        pytest.skip("by hand it draws other random numbers")
    x, y = data(case, samples=8)  # one shard
    x = x / 8  # far from where a logarithm of probabilities is clipped
    fitted, by_hand = model(case, dtype="float64"), model(case, dtype="float64")
    fitted.fit(x, y, batch_size=8, optimizer=hc.SGD(1e-9), loss=case.loss() if case.loss else None, shuffle=False)
    loss = case.loss() if case.loss else hc.CategoricalCrossentropy()
    if case.loss is None and not isinstance(by_hand.layers[-1], hc.Softmax):
        loss = hc.SoftmaxCategoricalCrossentropy()
    loss.forward(by_hand.forward(x, training=True), y)
    by_hand.backward(loss.backward())
    assert np.abs(by_hand.gradients).max() > 1e-4
    by_hand_gradients = by_hand.gradients + penalty_gradients(by_hand)
    np.testing.assert_allclose(by_hand_gradients, fitted.gradients, rtol=1e-9, atol=1e-11)


@every_case
def test_by_hand_the_inputs_stay_as_they_are(name: str) -> None:
    case = CASES[name]
    network, (x, _) = model(case), data(case, samples=8)
    before = x.copy()
    network.forward(x, training=True)
    np.testing.assert_array_equal(x, before)


@every_case
def test_by_hand_the_gradient_of_the_outputs_stays_as_it_is(name: str) -> None:
    case = CASES[name]
    network, (x, _) = model(case), data(case, samples=8)
    dvalues = np.ones_like(network.forward(x, training=True))
    network.backward(dvalues)
    assert (dvalues == 1).all()


@every_case
def test_fit_and_predict_leave_the_samples_as_they_are(name: str) -> None:
    case = CASES[name]
    network, (x, y) = model(case), data(case)
    inputs, targets = x.copy(), y.copy()
    network.fit(x, y, batch_size=BATCH, loss=case.loss() if case.loss else None)
    network.predict(x)
    np.testing.assert_array_equal(x, inputs)
    np.testing.assert_array_equal(y, targets)


@every_case
def test_all_ways_to_ask_give_the_same_answers(name: str) -> None:
    case = CASES[name]
    network, (x, _) = model(case, dtype="float64"), data(case, samples=40)
    fit(network, case)
    answers = network.predict(x)
    assert answers.dtype == np.float64
    for other in (network.predict(x, batch_size=7), network.infer(x), network.forward(x)):
        np.testing.assert_allclose(other, answers, rtol=1e-11, atol=1e-11)


@every_case
def test_answers_belong_to_the_caller(name: str) -> None:
    case = CASES[name]
    network, (x, _) = model(case), data(case, samples=16)
    for ask in (network.predict, network.infer, network.forward):
        first = ask(x[:8])
        before = first.copy()
        ask(x[8:])
        np.testing.assert_array_equal(first, before, err_msg=ask.__name__)


@every_case
def test_answers_have_the_networks_dtype(name: str) -> None:
    case = CASES[name]
    network, (x, _) = model(case), data(case, samples=8)
    assert {network.predict(x).dtype, network.infer(x).dtype, network.forward(x).dtype} == {np.dtype(np.float32)}


@every_case
def test_workers_give_the_same_answers_and_figures(name: str) -> None:
    case = CASES[name]
    network, (x, y) = model(case), data(case)
    loss = case.loss() if case.loss else None
    np.testing.assert_array_equal(network.predict(x, workers=2), network.predict(x))
    assert network.evaluate(x, y, loss=loss, workers=2) == network.evaluate(x, y, loss=loss)


@pytest.mark.parametrize("how", COPIES)
@every_case
def test_a_copy_trains_on_to_the_same_bits(name: str, how: str) -> None:
    case = CASES[name]
    network = model(case)
    fit(network, case, epochs=1)
    other = COPIES[how](network)
    for one in (network, other):
        fit(one, case, epochs=1)
    assert_same_bits(state(other), state(network))


@every_case
def test_the_summary_and_the_text_show_every_layer(name: str) -> None:
    network = model(CASES[name])
    for shown in (str(network.summary()), repr(network)):
        assert not [layer for layer in network.layers if type(layer).__name__ not in shown]


@every_case
def test_a_loaded_network_answers_the_same(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    network, (x, _) = model(case), data(case, samples=40)
    fit(network, case)
    try:
        network.save(tmp_path / "model.npz")
    except ValueError:
        assert case.file_may_refuse  # what no file can hold is refused, never left out
        return
    classes = {kind.__name__: kind for kind in (users_layers.Scale, *map(type, flattened(network.layers)))}
    own = {key: kind for key, kind in classes.items() if kind.__module__ == users_layers.__name__}
    loaded = hc.load(tmp_path / "model.npz", layers=own)
    np.testing.assert_array_equal(loaded.predict(x), network.predict(x))


@every_case
def test_gradients_pass_the_check(name: str) -> None:
    case = CASES[name]
    if not case.differentiable:
        pytest.skip("its outputs change from call to call")
    x, y = data(case, samples=3)
    report = hc.gradcheck(model(case), x, y, loss=case.loss() if case.loss else None, samples=20)
    assert report.ok, report


def test_batch_norm_has_60_lines_at_most() -> None:
    assert len(inspect.getsource(users_layers.BatchNorm).splitlines()) <= 60


def test_no_layer_of_the_suite_knows_the_engine() -> None:
    tree = ast.parse(inspect.getsource(users_layers))
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {name for name in imported if name.startswith("handconv")} == {"handconv"}


@pytest.mark.parametrize("workers", [2, 4])
def test_as_many_processes_work_as_were_asked_for(workers: int) -> None:
    seen: list[int] = []

    class Look(hc.Callback):
        def on_epoch_end(self, run: Any, figures: object) -> None:
            seen.append(len(multiprocessing.active_children()))

    case = CASES["parameters"]
    fit(model(case), case, workers=workers, callbacks=[Look()])
    assert seen[0] in (workers - 1, workers)  # the first process may work too


class TestBuffers:
    def test_a_running_mean_moves_towards_the_mean_of_all_shards(self) -> None:
        x, y = data(CASES["buffer"], samples=300)  # shards of 128, 128 and 44
        x = x + np.float32(3)
        network = hc.Sequential([users_layers.RunningCentre(), hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
        network.fit(x, y, batch_size=300)
        np.testing.assert_allclose(network.layers[0].running_mean, 0.1 * x.mean(axis=0), rtol=1e-5)

    def test_each_shard_starts_from_the_value_before_the_step(self) -> None:
        x, y = data(CASES["buffer"], samples=300)
        network = hc.Sequential([users_layers.RunningCentre(), hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
        network.fit(x, y, batch_size=300, epochs=3)
        moved = (1 - 0.9**3) * x.mean(axis=0, dtype=np.float64)
        np.testing.assert_allclose(network.layers[0].running_mean, moved, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize("workers", [1, 2])
    def test_a_sum_counts_every_sample_once(self, workers: int) -> None:
        case = CASES["counters"]
        network = model(case)
        fit(network, case, epochs=3, workers=workers)
        assert network.layers[2].samples_seen.tolist() == [3 * SAMPLES]

    def test_a_sum_counts_every_shard_once(self) -> None:
        case = CASES["counters"]
        network = model(case)
        fit(network, case, epochs=3)
        assert network.layers[2].calls.tolist() == [3 * (4 + 1)]

    def test_prediction_and_evaluation_leave_buffers_as_they_are(self) -> None:
        case = CASES["counters"]
        network, (x, y) = model(case), data(case)
        network.predict(x)
        network.evaluate(x, y)
        network.infer(x)
        network.forward(x)
        assert network.layers[2].calls.tolist() == [0]

    def test_validation_leaves_buffers_as_they_are(self) -> None:
        case = CASES["counters"]
        network = model(case)
        fit(network, case, validation_data=data(case))
        assert network.layers[2].samples_seen.tolist() == [2 * SAMPLES]

    def test_by_hand_each_training_pass_moves_the_buffers(self) -> None:
        case = CASES["counters"]
        network, (x, _) = model(case), data(case, samples=8)
        network.forward(x, training=True)
        network.forward(x, training=True)
        assert network.layers[2].samples_seen.tolist() == [16]

    def test_gradcheck_leaves_buffers_as_they_are(self) -> None:
        case = CASES["batch norm of vectors"]
        network, (x, y) = model(case), data(case, samples=3)
        fit(network, case)
        before = state(network)
        hc.gradcheck(network, x, y, samples=5)
        assert_same_bits(state(network), before)

    def test_assigning_copies_into_the_view(self) -> None:
        layer = users_layers.RunningCentre()
        hc.Sequential([layer, hc.Dense(2)], input_shape=(4,), seed=0)
        view, value = layer.running_mean, np.arange(4, dtype=np.float32)
        layer.running_mean = value
        value[...] = 9
        assert view.tolist() == [0, 1, 2, 3]

    def test_buffers_have_no_penalty_no_gradient_and_are_no_parameters(self) -> None:
        network = model(CASES["batch norm of vectors"])
        assert list(network.named_parameters()) == [
            "0.weights", "0.biases", "2.gamma", "2.beta", "3.weights", "3.biases", "5.weights", "5.biases",
        ]  # fmt: skip
        assert network.parameters.size == sum(values.size for values in network.named_parameters().values())
        assert not hasattr(network.layers[2], "drunning_mean")

    def test_buffers_have_the_networks_dtype(self) -> None:
        assert model(CASES["buffer"], dtype="float64").layers[2].running_mean.dtype == np.float64

    def test_an_optimizer_with_weight_decay_leaves_buffers_as_they_are(self) -> None:
        case = CASES["batch norm of vectors"]
        network = model(case)
        network.layers[2].momentum = 1.0  # statistics stay where they are
        x, y = data(case)
        network.fit(x, y, batch_size=BATCH, epochs=2, optimizer=hc.AdamW(0.1, weight_decay=0.5))
        assert network.layers[2].running_variance.tolist() == [1] * 6

    def test_weight_decay_spares_what_is_declared_so(self) -> None:
        class Still(hc.Layer):
            def declare(self, input_shape: Any) -> Any:
                return (
                    hc.ParameterSpec("spared", input_shape, "ones", decay=False),
                    hc.ParameterSpec("shrunk", input_shape, "ones", decay=True),
                )

            def forward(self, inputs: Any, training: bool = False) -> Any:
                return inputs

            def backward(self, dvalues: Any) -> Any:
                self.dspared[...] = 0
                self.dshrunk[...] = 0
                return dvalues

        network = hc.Sequential([hc.Dense(3), Still(), hc.Softmax()], input_shape=(4,), seed=0)
        x, y = data(CASES["buffer"])
        network.fit(x, y, batch_size=BATCH, optimizer=hc.AdamW(0.1, weight_decay=0.5))
        assert network.layers[1].spared.tolist() == [1, 1, 1]
        assert (network.layers[1].shrunk < 1).all()


class TestLayersThatHoldLayers:
    def test_names_are_paths(self) -> None:
        network = hc.Sequential([users_layers.Residual(2), hc.Flatten(), hc.Dense(3)], input_shape=(2, 5, 5), seed=0)
        assert list(network.named_parameters()) == [
            "0.conv1.weights", "0.conv1.biases", "0.conv2.weights", "0.conv2.biases", "2.weights", "2.biases",
        ]  # fmt: skip

    def test_names_begin_with_the_layers_own_name(self) -> None:
        network = hc.Sequential([users_layers.Residual(2, name="block")], input_shape=(2, 5, 5), seed=0)
        assert next(iter(network.named_parameters())) == "block.conv1.weights"

    def test_names_go_as_deep_as_the_layers(self) -> None:
        network = hc.Sequential([users_layers.Nested(2)], input_shape=(2, 5, 5), seed=0)
        assert "0.inner.conv2.biases" in network.named_parameters()

    def test_the_parameters_of_inner_layers_are_views_into_the_vector(self) -> None:
        block = users_layers.Residual(2)
        network = hc.Sequential([hc.Tanh(), block], input_shape=(2, 5, 5), seed=0)
        network.parameters[...] = 0.25
        assert (block.conv1.weights == 0.25).all()
        assert (block.conv2.biases == 0.25).all()

    def test_penalties_of_inner_layers_count(self) -> None:
        block = users_layers.Residual(2)
        network = hc.Sequential([block], input_shape=(2, 5, 5), seed=0)
        expected = 0.01 * float(np.square(block.conv1.weights, dtype=np.float64).sum())
        assert network.penalty() == pytest.approx(expected, rel=1e-5)

    def test_count_parameters_counts_inner_layers(self) -> None:
        network = hc.Sequential([users_layers.Residual(2)], seed=0)
        assert network.count_parameters((2, 5, 5)) == 2 * (2 * 2 * 3 * 3 + 2)

    def test_the_summary_counts_inner_layers(self) -> None:
        network = hc.Sequential([users_layers.Nested(2), hc.Flatten(), hc.Dense(2)], input_shape=(2, 5, 5), seed=0)
        assert network.summary().parameters == network.parameters.size

    def test_an_inner_layer_belongs_to_one_network(self) -> None:
        block = users_layers.Residual(2)
        network = hc.Sequential([block], input_shape=(2, 5, 5), seed=0)
        with pytest.raises(ValueError, match=r"copy\(\)"):
            hc.Sequential([block.conv1], input_shape=(2, 5, 5), seed=0)
        assert network.parameters.size

    def test_one_layer_may_not_be_held_twice(self) -> None:
        block = users_layers.Residual(2)
        block.conv2 = block.conv1
        with pytest.raises(ValueError, match="layer"):
            hc.Sequential([block], input_shape=(2, 5, 5), seed=0)

    def test_a_layer_held_by_another_may_not_stand_beside_it(self) -> None:
        block = users_layers.Residual(2)
        with pytest.raises(ValueError, match="layer"):
            hc.Sequential([block, block.conv1], input_shape=(2, 5, 5), seed=0)

    def test_an_inner_dropout_follows_the_seed_of_the_network(self) -> None:
        class Holder(hc.Layer):
            def __init__(self) -> None:
                super().__init__()
                self.dropout = hc.Dropout(0.5)

            def sublayers(self) -> dict[str, hc.Layer]:
                return {"dropout": self.dropout}

            def infer_shape(self, input_shape: Any) -> Any:
                return self.dropout.infer_shape(input_shape)

            def forward(self, inputs: Any, training: bool = False) -> Any:
                return self.dropout.forward(inputs, training)

            def backward(self, dvalues: Any) -> Any:
                return self.dropout.backward(dvalues)

        x, y = data(CASES["buffer"])
        held = hc.Sequential([Holder(), hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
        plain = hc.Sequential([hc.Dropout(0.5), hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
        losses = [network.fit(x, y, batch_size=BATCH)["loss"] for network in (held, plain)]
        np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)

    def test_a_copy_of_such_a_layer_has_the_values_of_all_inner_layers(self) -> None:
        block = users_layers.Nested(2)
        network = hc.Sequential([block], input_shape=(2, 5, 5), seed=0)
        network.parameters[...] = 0.5
        network.fit(np.ones((8, 2, 5, 5)), np.zeros((8, 2, 5, 5)), loss=hc.MeanSquaredError())
        other = hc.Sequential([block.copy()], input_shape=(2, 5, 5), seed=1)
        np.testing.assert_array_equal(other.parameters, network.parameters)
        np.testing.assert_array_equal(other.layers[0].norm.running_mean, block.norm.running_mean)


def test_a_gradient_that_was_summed_over_too_much_is_refused() -> None:
    class Scale(hc.Layer):
        def declare(self, input_shape: Any) -> Any:
            return hc.ParameterSpec("scale", input_shape, "ones")

        def forward(self, inputs: Any, training: bool = False) -> Any:
            self.x = inputs
            return inputs * self.scale

        def backward(self, dvalues: Any) -> Any:
            self.dscale = (dvalues * self.x).sum()
            return dvalues * self.scale

    network = hc.Sequential([Scale(), hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
    with pytest.raises(ValueError, match=r"Scale: dscale must have shape \(4,\), got the single number .*sum"):
        network.fit(np.ones((8, 4)), np.arange(8) % 3)


def test_a_gradient_may_be_set_to_zero() -> None:
    layer = hc.Dense(3)
    layer.build((4,))
    layer.dweights = 0.0
    assert not layer.dweights.any()
