"""Worker processes: the same bits for any number of them, and an error where one is lost."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import handconv as hc
from handconv.parallel.barrier import Barrier
from handconv.parallel.shared_memory import SharedArray
from handconv.training import Callback
from handconv.training import worker as workers
from handconv.training.copies import without_samples
from handconv.training.state import Task
from handconv.training.step import SharedState
from network_cases import Counting, Residual
from worker_cases import Scaled, X, Y, model, task, trained


class TestTheSameBits:
    @pytest.mark.parametrize("count", [2, 3, 4, 5])
    def test_for_any_number_of_workers(self, count: int) -> None:
        x, y = np.random.default_rng(0).integers(0, 256, (1250, 1, 8, 8)).astype(np.uint8), np.arange(1250) % 3
        started: list[int] = []

        class Look(Callback):
            def on_train_begin(self, run: Any) -> None:
                started.append(run.workers)

        one, several = model(), model()
        options: dict[str, Any] = {"epochs": 2, "batch_size": 1200}  # ten shards: more than there are accumulators
        history = one.fit(x, y, optimizer=hc.Adam(0.01), **options)
        other = several.fit(x, y, optimizer=hc.Adam(0.01), workers=count, callbacks=[Look()], **options)
        assert started == [count]
        np.testing.assert_array_equal(one.parameters, several.parameters)
        for name in ("loss", "accuracy", "penalty"):
            assert history[name] == other[name]

    def test_however_they_are_started(self) -> None:
        forked, spawned = trained(2, "fork"), trained(2, "spawn")
        for first, second in zip(forked, spawned, strict=True):
            np.testing.assert_array_equal(first, second)

    def test_wherever_they_are_paused(self) -> None:
        run, pauses = task(batch_size=1), 0
        with workers.ProcessExecutor(run, 2) as executor:
            while executor.steps_done < 90:
                for _ in executor.epoch(0, executor.steps_done):
                    executor.pause()
                pauses += 1
        one = task(batch_size=1)
        one.network.fit(X, Y, batch_size=1, optimizer=one.optimizer)  # type: ignore[attr-defined]
        assert pauses >= 1
        np.testing.assert_array_equal(run.network.parameters, one.network.parameters)

    def test_with_validation_weights_and_callbacks(self) -> None:
        parameters = []
        for count in (1, 2):
            network, lines = model(), list[str]()
            network.fit(
                X, Y, epochs=2, batch_size=16, workers=count, validation_split=0.2, class_weights={0: 2.0},
                callbacks=[hc.PrintProgress(lines.append)],
            )  # fmt: skip
            assert len(lines) == 2
            parameters.append(network.parameters)
        np.testing.assert_array_equal(*parameters)

    @pytest.mark.parametrize("moment", ["on_train_begin", "on_epoch_end"])
    def test_with_callbacks_that_change_settings(self, moment: str) -> None:
        def change(self: Callback, run: Any, figures: object = None) -> None:
            run.optimizer.learning_rate *= 0.25
            run.optimizer.beta_1 = 0.5
            run.network.layers[4].rate = 0.1
            run.loss.label_smoothing = 0.2

        parameters = []
        for count in (1, 2):
            network = model()
            callbacks = [type("Change", (Callback,), {moment: change})()]
            network.fit(X, Y, epochs=3, batch_size=40, optimizer=hc.Adam(0.01), workers=count, callbacks=callbacks)
            parameters.append(network.parameters)
        np.testing.assert_array_equal(*parameters)
        plain = model()
        plain.fit(X, Y, epochs=3, batch_size=40, optimizer=hc.Adam(0.01))
        assert np.abs(plain.parameters - parameters[0]).max() > 1e-3


class TestAfterwards:
    def test_the_model_is_as_after_training_alone(self) -> None:
        network = model()
        vector = network.parameters
        network.fit(X, Y, workers=2)
        assert network.parameters is vector
        first = network.predict(X[:3])
        kept = first.copy()
        network.predict(X[3:6])
        np.testing.assert_array_equal(first, kept)
        network.fit(X, Y)

    def test_no_process_is_left(self) -> None:
        model().fit(X, Y, workers=2)
        assert multiprocessing.active_children() == []

    def test_an_optimizer_that_was_used_begins_anew(self) -> None:
        one, several = model(), model()
        for network, count in ((one, 1), (several, 2)):
            optimizer = hc.Adam(0.01)
            for _ in range(2):
                network.fit(X, Y, batch_size=40, optimizer=optimizer, workers=count)
            assert optimizer.iterations == 3
        np.testing.assert_array_equal(one.parameters, several.parameters)


class TestTrouble:
    @pytest.mark.parametrize("moment", ["on_epoch_end", "on_pause"])
    @pytest.mark.parametrize("gone", [False, True])
    def test_a_killed_worker_is_an_error_and_ends_the_others(self, moment: str, gone: bool) -> None:
        def kill(self: Callback, run: Any, figures: object = None) -> None:
            victim = multiprocessing.active_children()[-1]
            os.kill(victim.pid or 0, signal.SIGKILL)
            if gone:
                victim.join()

        class Pause(Callback):
            def on_batch_end(self, run: Any, figures: Any) -> None:
                run.pausing = True

        killer = type("Kill", (Callback,), {moment: kill})()
        long = (X, Y) if moment == "on_epoch_end" else (np.tile(X, (1000, 1, 1, 1)), np.tile(Y, 1000))
        with pytest.raises(hc.WorkerError, match=r"Worker process \d of 2 was killed by SIGKILL.*Use fewer workers"):
            model().fit(*long, epochs=50, batch_size=16, workers=2, callbacks=[killer, Pause()])
        assert multiprocessing.active_children() == []

    def test_divergence_in_a_worker_is_told_as_it_is_without(self) -> None:
        messages = []
        for count in (1, 2):
            network = model()
            with np.errstate(all="ignore"), pytest.raises(hc.DivergenceError) as caught:
                network.fit(X, Y, epochs=3, batch_size=40, optimizer=hc.SGD(1e30), workers=count)
            messages.append(str(caught.value))
        assert messages[0] == messages[1]

    def test_an_error_in_a_worker_comes_with_its_traceback(self) -> None:
        with pytest.raises(
            hc.WorkerError, match=r"(?s)A worker process failed:\nTraceback.*ZeroDivisionError: in a worker"
        ):
            model(Broken()).fit(X, Y, workers=2)
        assert multiprocessing.active_children() == []

    def test_a_worker_that_ends_before_it_begins_says_what_scripts_forget(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(workers, "_work", lambda *_: os._exit(3))
        with pytest.raises(hc.WorkerError, match=r'ended with status 3.*if __name__ == "__main__"'):
            trained(2, "fork")

    def test_an_error_in_a_callback_ends_the_workers(self) -> None:
        class Stop(Callback):
            def on_epoch_end(self, run: Any, figures: Any) -> None:
                raise KeyboardInterrupt

        network = model()
        with pytest.raises(KeyboardInterrupt):
            network.fit(X, Y, epochs=50, workers=2, callbacks=[Stop()])
        assert multiprocessing.active_children() == []
        assert np.isfinite(network.parameters).all()

    def test_a_worker_is_not_asked_when_a_training_breaks_off(self) -> None:
        class Deaf:
            name, calls = "deaf", list[str]()

            def __getattr__(self, name: str) -> Any:
                return lambda *_: self.calls.append(name)

        executor = workers.ProcessExecutor(task(), 2)
        with executor:
            pass
        executor._processes = [Deaf()]  # type: ignore[list-item]
        executor.__exit__()
        assert Deaf.calls == ["kill", "join", "close"]


class TestAWorkersLife:
    """What happens in the other process, seen from within."""

    @pytest.fixture(autouse=True)
    def signals(self) -> Iterator[None]:
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        yield
        for number, handler in before.items():
            signal.signal(number, handler)

    @staticmethod
    def work(run: Task, *orders_sent: Any, shared_samples: bool = False) -> list[Any]:
        """Let the only worker do this job in this process; what it answers."""
        context = multiprocessing.get_context()

        def shared(values: NDArray[Any]) -> SharedArray:
            copy = SharedArray(context, values.shape, values.dtype)
            copy.array[...] = values
            return copy

        arrays = vars(SharedState.of_one_process(run))
        vectors = run.optimizer.state
        x = shared(run.samples.x) if shared_samples else None
        job = workers.Job(
            without_samples(run) if shared_samples else run,
            x,
            {name: shared(array) for name, array in arrays.items()},
            {name: shared(array) for name, array in vectors.items()},
            Barrier(context, 1),
        )
        ours, theirs = context.Pipe()
        for order in orders_sent:
            ours.send(order)
        answers: list[Any] = []

        def listen() -> None:
            answers.extend(ours.recv() for _ in range(len(orders_sent) - orders_sent.count(None) + 1))
            if answers[-1][0] == "done":
                ours.close()
            elif answers[-1][0] != "ready":
                ours.send("farewell")

        listener = threading.Thread(target=listen)
        listener.start()
        workers._work(job, 0, theirs)
        listener.join()
        return answers

    @pytest.mark.parametrize("shared_samples", [True, False])
    def test_it_does_epochs_until_nobody_is_there_to_tell_it(self, shared_samples: bool) -> None:
        answers = self.work(task(), (0, 0, 0), (1, 1, 3), shared_samples=shared_samples)
        assert answers == [("ready", (0, 0)), ("done", (3, 3)), ("done", (5, 3))]

    def test_it_ends_when_it_is_told_to(self) -> None:
        assert self.work(task(), (0, 0, 0), None) == [("ready", (0, 0)), ("done", (3, 3))]

    def test_it_leaves_signals_to_its_parent(self) -> None:
        self.work(task(), None)
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == [signal.SIG_IGN] * 2

    def test_it_ends_with_its_parent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        answers = iter([False, False, True])
        monkeypatch.setattr(workers, "PARENT_EVERY", 1e-3)
        monkeypatch.setattr(workers, "orphaned", lambda: next(answers))
        assert self.work(task()) == [("ready", (0, 0))]

    def test_it_tells_of_divergence(self) -> None:
        network = model()
        network.parameters[...] = np.inf
        with np.errstate(all="ignore"):
            answers = self.work(task(network), (0, 0, 0))
        assert answers[1][0] == "diverged"
        assert "epoch 1, step 1" in answers[1][1]

    @pytest.mark.parametrize("kind", [ValueError, TypeError])
    def test_it_tells_of_what_is_refused_by_an_error_of_the_same_kind(
        self, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: Any) -> Any:
            raise type("Own", (kind,), {})("the rule")

        monkeypatch.setattr(workers.ShardStep, "epoch", refuse)
        answers = self.work(task(), (0, 0, 0))
        assert answers[1][0] == "refused"
        assert type(answers[1][1]) is kind
        assert str(answers[1][1]) == "the rule"
        assert "In a worker process:\nTraceback" in answers[1][1].__notes__[0]

    def test_it_tells_of_any_other_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(workers.ShardStep, "epoch", lambda *_: 1 / 0)
        answers = self.work(task(), (0, 0, 0))
        assert answers[1][0] == "failed"
        assert "Traceback" in answers[1][1]


@pytest.mark.parametrize(("batch_size", "expected"), [(64, 2), (1200, 8)])
def test_more_workers_than_a_batch_has_shards_or_accumulators_are_not_started(
    monkeypatch: pytest.MonkeyPatch, batch_size: int, expected: int
) -> None:
    counts: list[int] = []
    start = workers.ProcessExecutor.__init__

    def watched(self: workers.ProcessExecutor, task: Task, count: int) -> None:
        counts.append(count)
        start(self, task, count)

    monkeypatch.setattr(workers.ProcessExecutor, "__init__", watched)
    x, y = np.random.default_rng(0).normal(size=(batch_size, 3)), np.zeros(batch_size, np.int64)
    hc.Sequential([hc.Dense(2), hc.Softmax()], seed=0).fit(x, y, batch_size=batch_size, workers=500)
    assert counts == [expected]


def test_the_optimizers_state_is_that_of_the_workers_while_they_are_at_work() -> None:
    seen: list[float] = []

    class Look(Callback):
        def on_epoch_end(self, run: Any, figures: Any) -> None:
            seen.append(float(np.abs(run.optimizer.state["m"]).sum()))

    x, y = np.random.default_rng(0).normal(size=(64, 3)), np.arange(64) % 2
    optimizer = hc.Adam(0.01)
    network = hc.Sequential([hc.Dense(2), hc.Softmax()], seed=0)
    network.fit(x, y, batch_size=32, epochs=2, optimizer=optimizer, workers=2, callbacks=[Look()])
    assert seen[0] > 0
    assert seen[1] == float(np.abs(optimizer.state["m"]).sum())


class Broken(Scaled):
    """One that fails in a worker alone."""

    def forward(self, inputs: Any, training: bool = False) -> Any:
        if multiprocessing.parent_process() is not None:
            raise ZeroDivisionError("in a worker")
        return inputs


class Wrong(Scaled):
    """One whose output has the wrong shape in a worker alone."""

    def forward(self, inputs: Any, training: bool = False) -> Any:
        return inputs[:, :-1] if multiprocessing.parent_process() is not None else inputs


class TestWhatTheUserWrote:
    """It is what runs in the workers, with its attributes; and its buffers come back."""

    @pytest.mark.parametrize("count", [2, 4])
    @pytest.mark.parametrize("engine", [True, False])
    def test_layers_with_buffers_and_layers_within_train_to_the_same_bits(self, engine: bool, count: int) -> None:
        x, y = np.tile(X, (8, 1, 1, 1)), np.tile(Y, 8)
        networks = []
        for workers_count in (1, count):
            own = Scaled()
            own.factor = 0.7
            layers = [hc.Conv2D(2, 3), hc.ReLU(), hc.Flatten(), Counting(), own, Residual(72), hc.Dropout(0.2)]
            network = hc.Sequential([*layers, hc.Dense(3), hc.Softmax()], input_shape=(1, 8, 8), seed=0, engine=engine)
            network.fit(x, y, epochs=2, batch_size=720, workers=workers_count, optimizer=hc.Adam(0.01, clip_norm=0.1))
            networks.append(network)
        np.testing.assert_array_equal(networks[0].parameters, networks[1].parameters)
        np.testing.assert_array_equal(networks[0].buffers, networks[1].buffers)
        assert networks[0].named_buffers()["3.steps"] == 12  # shards of 120 or so: six, twice
        assert networks[1].predict(X).shape == (90, 3)

    def test_attributes_set_by_a_callback_are_heard(self) -> None:
        class Change(Callback):
            def on_epoch_end(self, run: Any, figures: Any) -> None:
                run.network.layers[4].factor *= 0.5

        networks = [model(Scaled()), model(Scaled())]
        for network, count in zip(networks, (1, 2), strict=True):
            network.fit(X, Y, epochs=3, batch_size=40, workers=count, callbacks=[Change()])
            assert network.layers[4].factor == 0.125
        np.testing.assert_array_equal(networks[0].parameters, networks[1].parameters)

    def test_an_output_of_the_wrong_shape_is_refused_as_it_is_in_one_process(self) -> None:
        with pytest.raises(ValueError, match=r"Wrong\.forward must return an array of shape .*Say the new shape in"):
            model(Wrong()).fit(X, Y, workers=2)
