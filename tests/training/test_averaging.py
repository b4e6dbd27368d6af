"""Averaged weights are the means that they are said to be, for any number of workers, and after any resume."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.arrays import FloatArray
from handconv.engine.ops.python_op import PythonOp
from handconv.engine.program import Program
from handconv.samples import Samples
from handconv.training.averaging import WeightAverage
from handconv.training.statistics import measured_buffers

X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
Y = X[:, :3].argmax(axis=1)
EPOCHS, BATCH = 4, 16  # four steps an epoch
STEPS = EPOCHS * 4
AVERAGES = [
    hc.ExponentialAverage(0.8), hc.ExponentialAverage(0.0), hc.StochasticAverage(0.5), hc.StochasticAverage(0.0)
]  # fmt: skip

each_average = pytest.mark.parametrize("average", AVERAGES, ids=repr)


class Recording(hc.SGD):
    """Keeps the parameters after each step."""

    def __init__(self, learning_rate: float = 0.1) -> None:
        super().__init__(learning_rate)
        self.path: list[FloatArray] = []

    def _update(self, parameters: FloatArray, gradients: FloatArray, part: slice, rate: float) -> None:
        super()._update(parameters, gradients, part, rate)
        self.path.append(parameters.copy())


def network() -> hc.Sequential:
    layers = [hc.Dense(5), hc.BatchNorm(), hc.Tanh(), hc.Dropout(0.2), hc.Dense(3), hc.BatchNorm(), hc.Softmax()]
    return hc.Sequential(layers, input_shape=(4,), seed=0)


def fit(average: WeightAverage | None, **options: Any) -> hc.Sequential:
    model = network()
    history = model.fit(X, Y, averaging=average, **{"epochs": EPOCHS, "batch_size": BATCH} | options)
    model.info["history"] = [
        {name: epoch[name] for name in ("loss", "val_loss") if name in epoch} for epoch in history.epochs
    ]
    return model


def plain_mean(average: WeightAverage, start: FloatArray, path: list[FloatArray]) -> FloatArray:
    """The average in one expression: a weighted sum over the recorded parameters, in double precision."""
    points = np.array([start, *path], np.float64)
    if isinstance(average, hc.StochasticAverage):
        mean: FloatArray = points[max(1, int(average.start * len(path))) :].mean(axis=0)
        return mean
    assert isinstance(average, hc.ExponentialAverage)
    kept = np.array([min(average.decay, (1 + step) / (10 + step)) for step in range(1, len(points))])
    after = np.append(np.cumprod(kept[::-1])[::-1], 1.0)  # what later steps leave of each point
    weights = np.append(1.0, 1 - kept) * after
    return weights @ points


@each_average
def test_the_trained_model_is_the_mean_of_the_recorded_parameters(average: WeightAverage) -> None:
    recording = Recording()
    model = fit(average, optimizer=recording)
    assert len(recording.path) == STEPS
    expected = plain_mean(average, network().parameters, recording.path)
    np.testing.assert_allclose(model.parameters, expected, rtol=1e-5, atol=1e-6)


def test_the_mean_begins_with_the_parameters_where_it_starts() -> None:
    shares = [hc.StochasticAverage(0.75).share(step, 16) for step in range(1, 17)]
    assert shares == [1.0] * 12 + [1 / 2, 1 / 3, 1 / 4, 1 / 5]


@pytest.mark.parametrize(("start", "steps"), [(0.0, 4), (0.75, 1), (0.2, 4)])
def test_the_mean_has_nothing_of_the_initial_parameters(start: float, steps: int) -> None:
    shares = [hc.StochasticAverage(start).share(step, steps) for step in range(1, steps + 1)]
    assert shares == [1 / step for step in range(1, steps + 1)]


def test_the_mean_counts_the_steps_of_this_training_not_those_of_a_loaded_optimizer() -> None:
    recording, average = Recording(), hc.StochasticAverage(0.5)
    recording.build(network().parameters)
    recording.load_state_dict({"iterations": np.array(1000)})
    model = fit(average, optimizer=recording)
    expected = plain_mean(average, network().parameters, recording.path)
    np.testing.assert_allclose(model.parameters, expected, rtol=1e-5, atol=1e-6)


@each_average
def test_training_itself_goes_on_from_the_parameters_as_they_are(average: WeightAverage) -> None:
    averaged, plain = Recording(), Recording()
    fit(average, optimizer=averaged, validation_split=0.2)
    fit(None, optimizer=plain, validation_split=0.2)
    np.testing.assert_array_equal(averaged.path, plain.path)


def test_validation_asks_the_average() -> None:
    model = fit(hc.StochasticAverage(0.5), validation_data=(X, Y))
    assert model.info["history"][-1]["val_loss"] == model.evaluate(X, Y)["loss"]


@each_average
@pytest.mark.parametrize("workers", [2, 4])
def test_workers_make_the_same_bits(average: WeightAverage, workers: int) -> None:
    options: dict[str, Any] = {"batch_size": 32, "shard_size": 8, "validation_split": 0.2}
    alone, shared = fit(average, **options), fit(average, workers=workers, **options)
    np.testing.assert_array_equal(shared.parameters, alone.parameters)
    np.testing.assert_array_equal(shared.buffers, alone.buffers)
    assert shared.info["history"] == alone.info["history"]


@each_average
def test_the_saved_model_answers_with_the_average(average: WeightAverage, tmp_path: Path) -> None:
    model = fit(average)
    model.save(tmp_path / "model.npz")
    np.testing.assert_array_equal(hc.load(tmp_path / "model.npz").predict(X), model.predict(X))


@each_average
def test_the_model_in_a_checkpoint_is_the_average(average: WeightAverage, tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    model = fit(average, callbacks=[hc.Checkpoint(path)])
    np.testing.assert_array_equal(hc.load(path).parameters, model.parameters)
    np.testing.assert_array_equal(hc.load(path).buffers, model.buffers)


class BreakOff(hc.Callback):
    """Ends the run with an error after an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_end(self, run: Any, figures: Any) -> None:
        if figures["epoch"] == self.epoch:
            raise KeyboardInterrupt


@each_average
@pytest.mark.parametrize("workers", [1, 2])
def test_a_resumed_run_ends_at_the_same_bits(average: WeightAverage, workers: int, tmp_path: Path) -> None:
    options: dict[str, Any] = {"validation_split": 0.2, "workers": workers}
    path = tmp_path / "run.npz"
    with pytest.raises(KeyboardInterrupt):
        fit(average, callbacks=[hc.Checkpoint(path), BreakOff(3)], **options)
    resumed, whole = fit(average, resume=path, **options), fit(average, **options)
    np.testing.assert_array_equal(resumed.parameters, whole.parameters)
    np.testing.assert_array_equal(resumed.buffers, whole.buffers)
    assert resumed.info["history"] == whole.info["history"]


def brighter(images: Any, generator: np.random.Generator) -> Any:
    return images + np.float32(10)


class Running(hc.Layer):
    """Takes a running mean away, and counts the shards."""

    def declare(self, input_shape: tuple[int, ...]) -> tuple[hc.ParameterSpec, ...]:
        return (
            hc.ParameterSpec("mean", input_shape, trainable=False),
            hc.ParameterSpec("shards", (1,), trainable=False, reduce="sum"),
        )

    def forward(self, inputs: Any, training: bool = False) -> Any:
        if training:
            self.mean += 0.5 * (inputs.mean(axis=0) - self.mean)
            self.shards += 1
        return inputs - self.mean

    def backward(self, dvalues: Any) -> Any:
        return dvalues


class TestStatistics:
    """Running statistics fit the average: those of all samples, as they are, under its parameters."""

    @pytest.mark.parametrize("engine", [True, False])
    def test_of_few_samples_are_theirs(self, engine: bool) -> None:
        layers = [hc.Dense(5), hc.BatchNorm(), hc.Tanh(), hc.Dense(3), hc.Softmax()]
        model = hc.Sequential(layers, input_shape=(4,), seed=0, engine=engine)
        model.fit(X, Y, epochs=2, batch_size=BATCH, averaging=hc.StochasticAverage(0.2), optimizer=hc.SGD(0.5))
        seen = model[:1].predict(X)
        np.testing.assert_allclose(model.layers[1].running_mean, seen.mean(axis=0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(model.layers[1].running_var, seen.var(axis=0, ddof=1), rtol=1e-4)
        assert model.layers[1].momentum == 0.9

    def test_behind_a_convolution_are_theirs(self) -> None:
        x = np.random.default_rng(0).random((60, 1, 6, 6)).astype(np.float32)
        layers = [hc.Conv2D(2, 3), hc.BatchNorm(), hc.ReLU(), hc.Flatten(), hc.Dense(3)]
        model = hc.Sequential(layers, input_shape=(1, 6, 6), seed=0)
        model.fit(x, Y, epochs=2, batch_size=BATCH, averaging=hc.StochasticAverage(0.2), optimizer=hc.SGD(0.5))
        seen = model[:1].predict(x)
        np.testing.assert_allclose(model.layers[1].running_mean, seen.mean(axis=(0, 2, 3)), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(model.layers[1].running_var, seen.var(axis=(0, 2, 3), ddof=1), rtol=1e-4)

    def test_are_measured_in_one_round(self, monkeypatch: pytest.MonkeyPatch) -> None:
        network = hc.Sequential([hc.BatchNorm(), hc.Dense(3)], input_shape=(4,), seed=0)
        passes: list[int] = []
        page = hc.BatchNorm.forward

        def forward(self: Any, inputs: Any, training: bool = False) -> Any:
            passes.append(len(inputs))
            return page(self, inputs, training)

        monkeypatch.setattr(hc.BatchNorm, "forward", forward)
        measured_buffers(network, Samples(np.zeros((300, 4)), np.zeros(300)), network.parameters)
        assert passes == [100, 100, 100]

    @pytest.mark.parametrize("engine", [True, False])
    def test_are_measured_as_the_network_is_trained(self, engine: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        network = hc.Sequential([hc.BatchNorm(), hc.Dense(3)], input_shape=(4,), seed=0, engine=engine)
        programs: list[Program] = []

        def made(*arguments: Any, **options: Any) -> Program:
            programs.append(Program(*arguments, **options))
            return programs[-1]

        monkeypatch.setattr("handconv.training.statistics.Program", made)
        measured_buffers(network, Samples(np.zeros((30, 4)), np.zeros(30)), network.parameters)
        assert [isinstance(op, PythonOp) for op in programs[0].ops] == [not engine, not engine]

    def test_of_several_shards_are_their_mean(self) -> None:
        x = np.random.default_rng(1).normal(size=(1000, 4)).astype(np.float32)
        model = hc.Sequential([hc.BatchNorm(), hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
        model.fit(x, np.arange(1000) % 3, epochs=1, batch_size=100, averaging=hc.ExponentialAverage(0.5))
        np.testing.assert_allclose(model.layers[0].running_mean, x.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(model.layers[0].running_var, x.var(axis=0), rtol=0.02)

    def test_are_of_at_most_5000_samples(self) -> None:
        x = np.arange(20_000, dtype=np.float32)[:, None] % 2
        shards: list[int] = []
        forward = Running.forward

        class Counted(Running):
            def forward(self, inputs: Any, training: bool = False) -> Any:
                shards.append(len(inputs) if training else 0)
                return forward(self, inputs, training)

        model = hc.Sequential([Counted(), hc.Dense(2), hc.Softmax()], input_shape=(1,), seed=0)
        model.fit(x, x[:, 0].astype(int), epochs=1, batch_size=10_000, averaging=hc.ExponentialAverage(0.5))
        assert sum(shards) - 20_000 - 2 * 5000 in range(33)  # and the probes before the first step

    def test_are_of_images_as_they_are(self) -> None:
        x = np.random.default_rng(0).random((60, 1, 3, 3)).astype(np.float32)
        model = hc.Sequential([hc.BatchNorm(), hc.Flatten(), hc.Dense(3)], input_shape=(1, 3, 3), seed=0)
        model.fit(x, Y, epochs=1, batch_size=BATCH, averaging=hc.ExponentialAverage(), augment=brighter)
        assert model.layers[0].running_mean == pytest.approx(x.mean(), rel=1e-4)

    @pytest.mark.parametrize("workers", [1, 2])
    def test_of_a_layer_of_ones_own_are_what_it_makes_them(self, workers: int) -> None:
        model = hc.Sequential([hc.Dense(5), Running(), hc.Tanh(), hc.Dense(3)], input_shape=(4,), seed=0)
        averaging, optimizer = hc.StochasticAverage(0.2), hc.SGD(0.5)
        model.fit(
            X, Y, epochs=2, averaging=averaging, optimizer=optimizer, batch_size=30, shard_size=15, workers=workers
        )
        seen = model[:1].predict(X).mean(axis=0)
        assert np.abs(model.layers[1].mean - seen).max() < 0.3 * np.abs(seen).max()  # of the old mean a quarter is left
        assert model.layers[1].shards == 8  # those that it was trained on

    def test_without_an_average_are_those_of_the_training(self) -> None:
        model = hc.Sequential([hc.BatchNorm(momentum=0.0), hc.Dense(3)], input_shape=(4,), seed=0)
        model.fit(X, Y, epochs=1, batch_size=30, shard_size=30, shuffle=False)
        np.testing.assert_allclose(model.layers[0].running_mean, X[30:].mean(axis=0), atol=1e-6)

    def test_are_measured_once_for_the_same_average(self) -> None:
        measured: list[Any] = []

        class Look(hc.Callback):
            def on_epoch_end(self, run: Any, figures: Any) -> None:
                with run.answering():
                    measured.append((run.network.buffers.copy(), run.measured))
                assert not np.array_equal(run.network.buffers, measured[-1][0])

        model = network()
        model.fit(X, Y, epochs=2, batch_size=BATCH, averaging=hc.StochasticAverage(0.0), callbacks=[Look(), Look()])
        first, same, second, again = measured
        assert first[1] is same[1]
        assert second[1] is again[1]
        assert not np.array_equal(first[0], second[0])
        np.testing.assert_array_equal(model.buffers, again[0])

    def test_that_a_callback_changes_are_measured_as_after_a_resume(self, tmp_path: Path) -> None:
        path, average = tmp_path / "run.npz", hc.ExponentialAverage(0.8)

        class Shift(hc.Callback):
            def on_epoch_end(self, run: Any, figures: Any) -> None:
                run.network.buffers[:4] += 1

        def run(*callbacks: hc.Callback, **options: Any) -> hc.Sequential:
            model = hc.Sequential([Running(), hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
            options |= {"epochs": 2, "batch_size": 30, "averaging": average, "validation_data": (X, Y)}
            model.fit(X, Y, callbacks=[Shift(), *callbacks], **options)
            return model

        whole, resumed = run(hc.Checkpoint(path)), run(resume=path)
        np.testing.assert_array_equal(resumed.buffers, whole.buffers)

    def test_of_the_best_epoch_come_back_with_it(self) -> None:
        answers: list[Any] = []

        class Look(hc.Callback):
            def on_epoch_end(self, run: Any, figures: Any) -> None:
                with run.answering():
                    answers.append(run.network.predict(X))

        model = network()
        stopping = hc.EarlyStopping("val_loss", patience=3)
        options: dict[str, Any] = {"optimizer": hc.SGD(2.0), "averaging": hc.ExponentialAverage(0.5)}
        history = model.fit(
            X, Y, epochs=30, batch_size=BATCH, validation_data=(X[::-1], Y), callbacks=[Look(), stopping], **options
        )
        best = int(np.argmin(history["val_loss"]))
        assert best < len(answers) - 1
        np.testing.assert_array_equal(model.predict(X), answers[best])


def test_an_average_that_differs_from_its_network_answers_right() -> None:
    """With a high rate the statistics of the last steps are far from those of the average."""
    x = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    layers = [hc.Dense(32), hc.BatchNorm(), hc.ReLU(), hc.Dense(32), hc.BatchNorm(), hc.ReLU(), hc.Dense(2)]
    model = hc.Sequential(layers, input_shape=(8,), seed=0)
    model.fit(x, y, epochs=30, batch_size=20, optimizer=hc.SGD(1.0), averaging=hc.StochasticAverage(0.3))
    by_batch = model.forward(x, training=True)  # statistics of just these samples
    np.testing.assert_allclose(model.predict(x), by_batch, atol=0.15 * np.abs(by_batch).max())


def test_a_run_with_another_average_is_not_resumed(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    fit(hc.ExponentialAverage(0.8), epochs=2, callbacks=[hc.Checkpoint(path)])
    with pytest.raises(hc.ModelFileError, match=r"decay of averaging was 0\.8, is 0\.9"):
        fit(hc.ExponentialAverage(0.9), resume=path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: hc.ExponentialAverage(1.0), "decay must be .*of at least 0 and below 1"),
        (lambda: hc.StochasticAverage(-0.1), "start must be .*of at least 0 and below 1"),
    ],
)
def test_shares_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@each_average
def test_it_shows_how_it_is_made(average: WeightAverage) -> None:
    again = eval(repr(average), vars(hc))  # noqa: S307
    assert again.config() == average.config()


@pytest.mark.parametrize(("begun", "now", "told"), [(8, 4, True), (4, 5, True), (4, 8, False), (4, 4, False)])
def test_another_number_of_epochs_is_another_average_or_the_same_bits(
    begun: int, now: int, told: bool, tmp_path: Path
) -> None:
    class Stop(hc.Callback):
        def on_epoch_end(self, run: Any, figures: Any) -> bool:
            return run.epoch == 3

    def trained(epochs: int, *callbacks: hc.Callback, **options: Any) -> Any:
        network = hc.Sequential([hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
        x = np.random.default_rng(0).normal(size=(40, 4))
        settings = {"batch_size": 10, "optimizer": hc.SGD(0.5), "averaging": hc.StochasticAverage(0.5)}
        network.fit(x, np.arange(40) % 3, epochs=epochs, callbacks=callbacks, **settings, **options)
        return network.parameters

    path = tmp_path / "run.npz"
    trained(begun, Stop(), hc.Checkpoint(path))
    if told:
        with pytest.warns(UserWarning, match=f"up to here it had the averaged steps of {begun} epochs"):
            trained(now, resume=path)
    else:
        np.testing.assert_array_equal(trained(now, resume=path), trained(now))


@pytest.mark.parametrize("share", [2, -1, float("nan"), None])
def test_a_share_of_ones_own_is_from_0_to_1(share: Any) -> None:
    class Odd(WeightAverage):
        def share(self, step: int, steps: int) -> float:
            return share  # type: ignore[no-any-return]

    network = hc.Sequential([hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
    with pytest.raises(ValueError, match="Odd: the share after step 1 must be a number from 0 to 1, got"):
        network.fit(X, Y, averaging=Odd())


@pytest.mark.parametrize("stopped", [False, True])
def test_checkpoints_within_an_epoch_have_the_statistics_of_its_beginning_unless_they_stay(
    stopped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []

    def measuring(*arguments: Any) -> Any:
        measured.append(1)
        return measured_buffers(*arguments)

    monkeypatch.setattr("handconv.training.state.measured_buffers", measuring)
    monkeypatch.setattr("handconv.training.loop._REPORT_EVERY", 0.0)

    class Stops(hc.Callback):
        def on_batch_end(self, run: Any, progress: Any) -> None:
            run.pause()
            if stopped and progress.epoch == 2:
                run.stop(2)

    path = tmp_path / "run.npz"
    callbacks = [hc.Checkpoint(path), Stops()]
    options: dict[str, Any] = {"epochs": 2, "batch_size": BATCH, "averaging": hc.StochasticAverage(0.0)}
    if stopped:
        with pytest.raises(hc.TrainingInterrupted):
            network().fit(X, Y, callbacks=callbacks, **options)
        loaded = hc.load(path)
        expected = measured_buffers(loaded, Samples(X, Y), loaded.parameters)
        np.testing.assert_allclose(loaded.buffers, expected, rtol=1e-5)
    else:
        network().fit(X, Y, callbacks=callbacks, **options)
    assert len(measured) == 3  # at the first file; at the end of the first epoch; at the end, or where it was stopped


@pytest.mark.parametrize("workers", [1, 2])
def test_an_average_of_ones_own_that_never_moves_is_told(workers: int) -> None:
    class Elsewhere(hc.ExponentialAverage):
        def update(self, average: Any, parameters: Any, step: int, steps: int) -> None:
            average = 0.5 * average + 0.5 * parameters

    with pytest.warns(UserWarning, match=r"Elsewhere has left the average, .* Let update change it in place"):
        fit(Elsewhere(), workers=workers)


def test_an_average_of_what_does_not_move_is_not_told() -> None:
    model = hc.Sequential([hc.Tanh()], input_shape=(4,), seed=0)
    model.fit(X, X, loss=hc.MeanSquaredError(), averaging=hc.ExponentialAverage())
