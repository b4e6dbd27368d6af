"""What may be asked of a network while it trains, by whom, and that it is whole after whatever broke off."""

import copy
import inspect
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from semantics.networks import CLASSES, IMAGES, LABELS, VECTORS, at, convolutional, dense, once, twin
from semantics.users_layers import SamplesSeen

OPTIONS: dict[str, Any] = {"epochs": 3, "batch_size": 32}
SOURCE = str(Path(hc.__file__).parent)


def fit(network: hc.Sequential, *callbacks: hc.Callback, **options: Any) -> hc.History:
    return network.fit(IMAGES, LABELS, callbacks=callbacks, **OPTIONS | options)


def gradients_of(network: hc.Sequential) -> Any:
    network.gradients[...] = 0
    network.forward(IMAGES[:5])
    dinputs = network.backward(np.eye(5, 3, dtype=np.float32))
    return np.concatenate([network.gradients, np.ravel(dinputs)])


VERBS: dict[str, Callable[[hc.Sequential], Any]] = {
    "predict": lambda network: network.predict(IMAGES[:40]),
    "predict in small batches": lambda network: network.predict(IMAGES[:40], batch_size=7),
    "infer": lambda network: network.infer(IMAGES[:5]),
    "forward": lambda network: network.forward(IMAGES[:5]),
    "backward": gradients_of,
    "evaluate": lambda network: np.array(list(network.evaluate(IMAGES, LABELS).values())),
    "first layers": lambda network: network[:2].predict(IMAGES[:5]),
    "penalty": lambda network: np.array(network.penalty()),
}
MOMENTS = [("on_train_begin", 1), ("on_batch_end", 1), ("on_epoch_end", 1), ("on_train_end", 1),
           ("on_train_begin", 2), ("on_epoch_end", 2), ("on_train_end", 2)]  # fmt: skip

every_verb = pytest.mark.parametrize("verb", VERBS)
every_moment = pytest.mark.parametrize(("moment", "workers"), MOMENTS)


class TestInACallback:
    @every_verb
    @every_moment
    def test_answers_are_those_of_the_parameters_at_hand(self, verb: str, moment: str, workers: int) -> None:
        network, pairs = convolutional(), []

        def ask(_run: Any) -> None:
            pairs.append((VERBS[verb](network), VERBS[verb](twin(network, convolutional))))

        fit(network, at(moment, ask), workers=workers)
        assert pairs
        for answer, expected in pairs:
            np.testing.assert_array_equal(answer, expected)

    @every_verb
    @pytest.mark.parametrize("workers", [1, 2])
    @pytest.mark.parametrize("moment", ["on_train_begin", "on_batch_end", "on_epoch_end"])
    def test_asking_changes_nothing_in_the_training(self, verb: str, moment: str, workers: int) -> None:
        asked, left_alone = convolutional(), convolutional()
        losses = fit(asked, at(moment, lambda _run: VERBS[verb](asked)), workers=workers)["loss"]
        assert losses == fit(left_alone)["loss"]
        np.testing.assert_array_equal(asked.parameters, left_alone.parameters)

    @pytest.mark.parametrize("verb", ["predict", "infer", "forward", "first layers"])
    @pytest.mark.parametrize("workers", [1, 2])
    def test_answers_belong_to_the_caller(self, verb: str, workers: int) -> None:
        network, kept = convolutional(), []

        def ask(_run: Any) -> None:
            answer = VERBS[verb](network)
            kept.append((answer, answer.copy()))
            VERBS[verb](network)

        fit(network, at("on_epoch_end", ask), workers=workers)
        for answer, before in kept:
            np.testing.assert_array_equal(answer, before)

    @pytest.mark.parametrize("workers", [1, 2])
    def test_the_gradient_by_the_inputs_belongs_to_the_caller(self, workers: int) -> None:
        network, kept = convolutional(), []

        def ask(_run: Any) -> None:
            outputs = network.forward(IMAGES[:5])
            answer = network.backward(np.ones_like(outputs))
            kept.append((answer, answer.copy()))

        fit(network, at("on_epoch_end", ask), workers=workers)
        for answer, before in kept:
            np.testing.assert_array_equal(answer, before)

    @pytest.mark.parametrize("workers", [1, 2])
    @pytest.mark.parametrize("moment", ["on_train_begin", "on_batch_end", "on_epoch_end", "on_train_end"])
    def test_another_network_trains_as_it_does_alone(self, moment: str, workers: int) -> None:
        outer, inner, alone = convolutional(), convolutional(seed=5), convolutional(seed=5)
        fit(outer, at(moment, once(lambda: fit(inner))), workers=workers)
        fit(alone)
        np.testing.assert_array_equal(inner.parameters, alone.parameters)

    @pytest.mark.parametrize("workers", [1, 2])
    @pytest.mark.parametrize("moment", ["on_train_begin", "on_batch_end", "on_epoch_end"])
    def test_training_another_network_changes_nothing(self, moment: str, workers: int) -> None:
        outer, alone = convolutional(), convolutional()
        fit(outer, at(moment, once(lambda: fit(convolutional(seed=5)))), workers=workers)
        fit(alone)
        np.testing.assert_array_equal(outer.parameters, alone.parameters)

    @pytest.mark.parametrize("workers", [1, 2])
    @pytest.mark.parametrize("moment", ["on_train_begin", "on_batch_end", "on_epoch_end", "on_train_end"])
    def test_the_same_network_cannot_be_trained(self, moment: str, workers: int) -> None:
        network, alone, refused = convolutional(), convolutional(), []

        def train_it() -> None:
            with pytest.raises(RuntimeError) as caught:
                fit(network)
            refused.append(str(caught.value))

        fit(network, at(moment, once(train_it)), workers=workers)
        assert len(refused) == 1
        assert "fit" in refused[0]
        np.testing.assert_array_equal(network.parameters, fit_parameters(alone))

    @pytest.mark.parametrize("workers", [1, 2])
    @pytest.mark.parametrize("how", ["deepcopy", "pickle", "save"])
    def test_a_copy_is_whole_and_trains_on(self, how: str, workers: int, tmp_path: Path) -> None:
        network, copies = convolutional(), []

        def take() -> None:
            if how == "save":
                network.save(tmp_path / "model.npz")
                other = hc.load(tmp_path / "model.npz")
            else:
                other = copy.deepcopy(network) if how == "deepcopy" else pickle.loads(pickle.dumps(network))  # noqa: S301
            copies.append((other, network.parameters.copy()))

        fit(network, at("on_epoch_end", once(take)), workers=workers)
        other, parameters = copies[0]
        np.testing.assert_array_equal(other.parameters, parameters)
        other.fit(IMAGES, LABELS)
        assert not np.array_equal(other.parameters, parameters)

    @pytest.mark.parametrize("moment", ["on_batch_end", "on_epoch_end"])
    def test_what_it_does_to_buffers_stays_done(self, moment: str) -> None:
        layers = [hc.Flatten(), hc.BatchNorm(momentum=0.5), hc.Dense(3), hc.Softmax()]
        network = hc.Sequential(layers, input_shape=(1, 8, 8), seed=0)

        def change() -> None:
            network.buffers[...] = 2**20

        fit(network, at(moment, once(change)), epochs=2, batch_size=48)  # four steps, of which it halves at each
        assert network.buffers.min() > 2**20 / 16

    def test_parameters_kept_without_a_copy_are_the_networks_own(self) -> None:
        network, kept = convolutional(), []
        fit(network, at("on_train_begin", lambda _run: kept.append(network.parameters)), workers=2)
        np.testing.assert_array_equal(kept[0], network.parameters)


def fit_parameters(network: hc.Sequential) -> Any:
    fit(network)
    return network.parameters


def from_another_thread(action: Callable[[], object]) -> list[BaseException | None]:
    """What the action raises in a thread of its own; the thread must end by itself."""
    raised: list[BaseException | None] = []

    def run() -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001
            raised.append(error)
        else:
            raised.append(None)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "it waits for the training"
    return raised


REFUSED: dict[str, Callable[[hc.Sequential], Any]] = {
    "predict": lambda network: network.predict(IMAGES[:4]),
    "evaluate": lambda network: network.evaluate(IMAGES, LABELS),
    "infer": lambda network: network.infer(IMAGES[:4]),
    "forward": lambda network: network.forward(IMAGES[:4]),
    "fit": lambda network: fit(network),
    "first layers": lambda network: network[:2].predict(IMAGES[:4]),
}


class TestFromAnotherThread:
    @pytest.mark.parametrize("verb", REFUSED)
    @pytest.mark.parametrize("workers", [1, 2])
    @pytest.mark.parametrize("moment", ["on_train_begin", "on_batch_end", "on_epoch_end", "on_train_end"])
    def test_what_is_asked_meanwhile_is_refused_at_once(self, moment: str, workers: int, verb: str) -> None:
        network, alone, raised = convolutional(), convolutional(), []
        ask = once(lambda: raised.extend(from_another_thread(lambda: REFUSED[verb](network))))
        fit(network, at(moment, ask), workers=workers)
        assert [type(error) for error in raised] == [RuntimeError]
        assert "fit" in str(raised[0])
        np.testing.assert_array_equal(network.parameters, fit_parameters(alone))

    @pytest.mark.parametrize("verb", REFUSED)
    def test_what_is_asked_after_the_training_is_answered(self, verb: str) -> None:
        network = convolutional()
        fit(network)
        assert from_another_thread(lambda: REFUSED[verb](network)) == [None]

    @pytest.mark.parametrize("workers", [1, 2])
    def test_another_network_answers_meanwhile(self, workers: int) -> None:
        network, other, raised = convolutional(), convolutional(seed=3), []
        ask = once(lambda: raised.extend(from_another_thread(lambda: other.predict(IMAGES))))
        fit(network, at("on_epoch_end", ask), workers=workers)
        assert raised == [None]

    def test_training_in_a_thread_gives_the_same_bits(self) -> None:
        threaded, here = convolutional(), convolutional()
        assert from_another_thread(lambda: fit(threaded)) == [None]
        fit(here)
        np.testing.assert_array_equal(threaded.parameters, here.parameters)

    @pytest.mark.parametrize("shared", ["loss", "callback"])
    def test_is_refused_what_keeps_the_figures_of_a_training_in_another(self, shared: str) -> None:
        raised: list[BaseException | None] = []
        loss, watching = hc.SoftmaxCategoricalCrossentropy(), hc.EarlyStopping("loss")

        def train(*more: hc.Callback) -> object:
            options = {"loss": loss} if shared == "loss" else {}
            return dense().fit(VECTORS, CLASSES, callbacks=[*more, *([watching] if not options else [])], **options)

        train(at("on_epoch_end", once(lambda: raised.extend(from_another_thread(train)))))
        assert [type(error) for error in raised] == [RuntimeError]
        assert "is used by a training in another thread" in str(raised[0])
        train()  # and is free again

    def test_two_networks_train_in_two_threads_to_the_same_bits(self) -> None:
        networks = [convolutional(seed=1), convolutional(seed=2)]
        threads = [threading.Thread(target=fit, args=(network,)) for network in networks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for seed, network in zip((1, 2), networks, strict=True):
            np.testing.assert_array_equal(network.parameters, fit_parameters(convolutional(seed=seed)))

    def test_many_threads_predict_at_once(self) -> None:
        network = convolutional()
        expected = {count: network.predict(IMAGES[:count]) for count in (3, 7, 40)}
        wrong: list[object] = []

        def ask(count: int) -> None:
            answers = [network.predict(IMAGES[:count]) for _ in range(20)]
            wrong.extend(count for answer in answers if not np.array_equal(answer, expected[count]))

        threads = [threading.Thread(target=ask, args=(count,)) for count in (3, 7, 40, 7)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong

    def test_a_fit_that_starts_while_others_predict_is_right_or_refused(self) -> None:
        network, stop, raised = convolutional(), threading.Event(), []

        def ask() -> None:
            while not stop.is_set():
                try:
                    network.predict(IMAGES[:13])
                except RuntimeError as error:
                    raised.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            parameters = fit_parameters(network)
        except RuntimeError:
            parameters = None
        finally:
            stop.set()
            thread.join()
        if parameters is not None:
            np.testing.assert_array_equal(parameters, fit_parameters(convolutional()))


def assert_whole(network: hc.Sequential, make: Callable[[], hc.Sequential] = convolutional) -> None:
    """It answers as another network of its parameters does, and trains as that one does."""
    other = twin(network, make)
    other.epochs_trained = network.epochs_trained
    np.testing.assert_array_equal(network.predict(IMAGES), other.predict(IMAGES))
    np.testing.assert_array_equal(network.forward(IMAGES[:5]), other.forward(IMAGES[:5]))
    losses = [one.fit(IMAGES, LABELS, **OPTIONS)["loss"] for one in (network, other)]
    assert losses[0] == losses[1]
    np.testing.assert_array_equal(network.parameters, other.parameters)
    size = network.layers[0].weights.size
    np.testing.assert_array_equal(network.layers[0].weights.ravel(), network.parameters[:size])


def interrupted(action: Callable[[], object], place: int) -> int:
    """Do something, and raise KeyboardInterrupt at its n-th call of a function; returns how many calls there were.

    Some places are left alone: the methods that enter and leave a ``with`` block, where nothing can be made sure in
    Python, and generators, whose end Python may bring about where no exception can be raised.
    """
    count, process = 0, os.getpid()
    left_alone = ("__enter__", "__exit__", "__del__", "acquire", "release")

    def count_call(frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        code = frame.f_code
        if event not in ("call", "c_call") or not code.co_filename.startswith(SOURCE) or os.getpid() != process:
            return
        if code.co_name in left_alone or code.co_flags & inspect.CO_GENERATOR:
            return
        count += 1
        if count == place:
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(count_call)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


class Ended(Exception):
    """Training has come as far as was asked for."""


def fit_to(network: hc.Sequential, moment: str, **options: Any) -> None:
    """Train to a moment."""

    def end(_run: Any) -> None:
        raise Ended

    with pytest.raises(Ended):
        fit(network, at(moment, end), **options)


class TestAfterAnInterruption:
    @pytest.mark.parametrize("moment", ["on_train_begin", "on_batch_end", "on_epoch_end", "on_train_end"])
    @pytest.mark.parametrize("workers", [1, 2])
    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, ValueError])
    def test_in_a_callback_the_network_is_whole(self, kind: type[BaseException], workers: int, moment: str) -> None:
        network = convolutional()

        def break_off() -> None:
            raise kind

        with pytest.raises(kind):
            fit(network, at(moment, once(break_off)), workers=workers)
        assert_whole(network)

    @pytest.mark.parametrize("percent", range(0, 92, 4))
    def test_at_any_call_of_fit_the_network_is_whole(self, percent: int) -> None:
        fit(convolutional())  # what is imported late is imported now
        counted, network = convolutional(), convolutional()
        calls = interrupted(lambda: fit_to(counted, "on_train_end"), 0)
        with pytest.raises(KeyboardInterrupt):
            interrupted(lambda: fit(network, hc.Callback()), 1 + percent * calls // 100)
        assert_whole(network)

    @pytest.mark.parametrize("percent", range(0, 100, 4))
    def test_while_fit_sets_up_the_network_is_whole(self, percent: int) -> None:
        counted, network = convolutional(), convolutional()
        for one in (counted, network):
            fit(one)
        calls = interrupted(lambda: fit_to(counted, "on_train_begin"), 0)
        with pytest.raises(KeyboardInterrupt):
            interrupted(lambda: fit(network), 1 + percent * calls // 100)
        assert_whole(network)

    @pytest.mark.parametrize("percent", [0, 25, 50, 75])
    def test_while_workers_are_started_the_network_is_whole(self, percent: int) -> None:
        counted, network = convolutional(), convolutional()
        calls = interrupted(lambda: fit_to(counted, "on_train_begin", workers=2), 0)
        with pytest.raises(KeyboardInterrupt):
            interrupted(lambda: fit(network, workers=2), 1 + percent * calls // 100)
        assert_whole(network)

    @pytest.mark.parametrize("verb", ["predict", "evaluate", "infer", "forward"])
    @pytest.mark.parametrize("percent", [0, 20, 40, 60, 80])
    def test_while_it_answers_the_network_is_whole(self, verb: str, percent: int) -> None:
        counted, network = convolutional(), convolutional()
        calls = interrupted(lambda: VERBS[verb](counted), 0)
        with pytest.raises(KeyboardInterrupt):
            interrupted(lambda: VERBS[verb](network), 1 + percent * calls // 100)
        assert_whole(network)

    @pytest.mark.parametrize("call", [1, 2, 5])
    @pytest.mark.parametrize("method", ["forward", "backward"])
    @pytest.mark.parametrize("kind", [KeyboardInterrupt, ZeroDivisionError])
    def test_in_a_layer_of_ones_own_the_network_is_whole(
        self, kind: type[BaseException], method: str, call: int
    ) -> None:
        calls = {"forward": 0, "backward": 0}

        class Breaks(hc.Layer):
            armed = True

            def forward(self, inputs: Any, training: bool = False) -> Any:
                return self.count("forward", inputs)

            def backward(self, dvalues: Any) -> Any:
                return self.count("backward", dvalues)

            def count(self, name: str, values: Any) -> Any:
                calls[name] += 1
                if Breaks.armed and name == method and calls[name] == call:
                    raise kind
                return values

        def make() -> hc.Sequential:
            layers = [hc.Conv2D(3, 3), Breaks(), hc.Tanh(), hc.Flatten(), hc.Dense(3), hc.Softmax()]
            return hc.Sequential(layers, input_shape=(1, 8, 8), seed=0)

        network = make()
        with pytest.raises(kind):
            fit(network)
        Breaks.armed = False
        assert_whole(network, make)

    @pytest.mark.parametrize("call", [2, 3, 5, 8])
    def test_within_a_step_the_buffers_are_those_of_the_step_before(self, call: int) -> None:
        class Breaks(hc.Layer):
            calls = 0

            def forward(self, inputs: Any, training: bool = False) -> Any:
                Breaks.calls += training
                if Breaks.calls == call:
                    raise KeyboardInterrupt
                return inputs

            def backward(self, dvalues: Any) -> Any:
                return dvalues

        layers = [hc.Flatten(), SamplesSeen(), Breaks(), hc.Dense(3), hc.Softmax()]
        network = hc.Sequential(layers, input_shape=(1, 8, 8), seed=0)
        with pytest.raises(KeyboardInterrupt):
            fit(network)
        assert network.layers[1].samples_seen[0] % OPTIONS["batch_size"] == 0

    def test_by_the_death_of_a_worker_the_network_is_whole(self) -> None:
        network = convolutional()

        def kill() -> None:
            child = multiprocessing.active_children()[0]
            os.kill(child.pid or 0, signal.SIGKILL)
            child.join()

        with pytest.raises(hc.WorkerError):
            fit(network, at("on_epoch_end", once(kill)), workers=2)
        assert_whole(network)

    def test_by_divergence_the_network_can_be_given_other_parameters(self) -> None:
        network, start = convolutional(), convolutional().parameters.copy()
        with pytest.raises(hc.DivergenceError):
            fit(network, optimizer=hc.SGD(1e30))
        network.parameters = start
        assert_whole(network)

    @pytest.mark.parametrize("workers", [1, 2])
    def test_the_steps_done_are_kept(self, workers: int) -> None:
        network, stopped = convolutional(), convolutional()

        def break_off(run: Any) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit(stopped, at("on_epoch_end", break_off), workers=workers)
        fit(network, epochs=1)
        np.testing.assert_array_equal(stopped.parameters, network.parameters)

    def test_by_a_refused_argument_nothing_has_changed(self) -> None:
        network = dense()
        before = network.parameters.copy()
        with pytest.raises(ValueError, match="epochs"):
            network.fit(np.ones((4, 4)), [0, 1, 2, 0], epochs=0)
        np.testing.assert_array_equal(network.parameters, before)
        assert network.epochs_trained == 0


class TestABackwardThatIsPending:
    def test_is_invalid_after_an_inference(self) -> None:
        network = convolutional()
        outputs = network.forward(IMAGES[:4])
        network.predict(IMAGES[:4])
        with pytest.raises(RuntimeError, match="forward"):
            network.backward(np.ones_like(outputs))

    def test_is_invalid_after_a_training(self) -> None:
        network = convolutional()
        outputs = network.forward(IMAGES[:4])
        fit(network)
        with pytest.raises(RuntimeError, match="forward"):
            network.backward(np.ones_like(outputs))

    def test_is_invalid_after_a_training_that_was_broken_off(self) -> None:
        network = convolutional()
        outputs = network.forward(IMAGES[:4])

        def break_off(_run: Any) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit(network, at("on_epoch_end", break_off))
        with pytest.raises(RuntimeError, match="forward"):
            network.backward(np.ones_like(outputs))
