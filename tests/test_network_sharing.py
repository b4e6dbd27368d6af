"""What calls, copies, threads and processes share of a network, and what they do not: its memory above all."""

import contextlib
import copy
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from handconv.network import Network
from handconv.utils.locks import TrainingLock
from network_cases import IMAGE, Counting, Residual, small


class TestMemory:
    def test_outputs_belong_to_the_caller(self) -> None:
        network = small()
        first = network.infer(np.ones((2, *IMAGE)))
        kept = first.copy()
        network.infer(np.zeros((2, *IMAGE)))
        np.testing.assert_array_equal(first, kept)

    @pytest.mark.parametrize("engine", [True, False])
    def test_reused_memory_gives_the_same_numbers(self, engine: bool, rng: np.random.Generator) -> None:
        network = small(engine=engine)
        for count in (3, 5, 1, 3):  # batches that grow and shrink
            x = rng.normal(size=(count, *IMAGE))
            np.testing.assert_array_equal(network.infer(x), small(engine=engine).infer(x))

    def test_answers_of_layers_lie_in_memory_that_is_used_again(self) -> None:
        network = small()
        first = network.answer(np.ones((2, *IMAGE)), network.layers)
        kept = first.copy()
        second = network.answer(np.zeros((2, *IMAGE)), network.layers)
        assert np.shares_memory(first, second)
        assert not np.array_equal(first, kept)

    def test_answers_see_parameters_that_were_changed_or_bound(self) -> None:
        network, x = small(), np.ones((2, *IMAGE))
        network.infer(x)
        for bind in (False, True):
            values = np.linspace(-1, 1, network.parameters.size)
            if bind:
                network.bind(values, np.zeros_like(values), network.buffers)
            else:
                network.parameters = values[::-1]
            fresh = small()
            fresh.parameters = network.parameters
            np.testing.assert_array_equal(network.infer(x), fresh.infer(x))


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))],  # noqa: S301
)
def test_a_copy_computes_the_same_in_memory_of_its_own(
    copied: Callable[[Network], Network], rng: np.random.Generator
) -> None:
    layers = [Conv2D(2, 3), ReLU(), MaxPool2D(2), Conv2D(2, 2), Counting(), Flatten(), Residual(8)]
    network = Network(layers, input_shape=(1, 8, 8), seed=0)
    x = rng.normal(size=(2, 1, 8, 8)).astype(np.float32)
    network.forward(x, training=True)
    y, answer = network.forward(x), network.infer(x)
    network.forward(x)
    twin = copied(network)
    with pytest.raises(RuntimeError, match="needs a forward before it"):
        twin.backward(y)
    np.testing.assert_array_equal(twin.forward(x), y)
    np.testing.assert_array_equal(twin.infer(x), answer)
    np.testing.assert_array_equal(twin.buffers, network.buffers)
    assert twin.buffers.any()
    twin.parameters[...] = 0  # which its layers look into, and nobody else
    assert not twin.infer(x).any()
    twin.buffers[...] = 7
    np.testing.assert_array_equal(network.forward(x), y)
    assert not (network.buffers == 7).any()
    twin.backward(twin.forward(x))
    assert np.shares_memory(twin.layers[0].dweights, twin.gradients)
    assert np.shares_memory(twin.layers[-1].more[0].weights, twin.parameters)
    with pytest.raises(ValueError, match="belongs to another network"):
        Network([twin.layers[0]])


def test_a_copy_trains_on_to_the_same_bits(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(40, 6)).astype(np.float32), np.arange(40) % 3
    model = hc.Sequential([hc.Dense(6), Counting(), hc.Dropout(0.3), hc.Dense(3), hc.Softmax()], seed=0)
    model.fit(x, y, epochs=2, batch_size=16)
    twin = pickle.loads(pickle.dumps(copy.deepcopy(model)))  # noqa: S301
    for network in (model, twin):
        network.fit(x, y, epochs=2, batch_size=16)
    np.testing.assert_array_equal(twin.parameters, model.parameters)
    np.testing.assert_array_equal(twin.buffers, model.buffers)


def infers_when_forked(network: Network) -> bool:
    """Whether a process that is forked now can infer, within ten seconds, and leave all blocks that it is in."""
    child = os.fork()
    if not child:
        signal.setitimer(signal.ITIMER_REAL, 10)
        with contextlib.suppress(BaseException):
            network.infer(np.zeros((1, 3)))
            with network.in_use("infer"):
                os._exit(0)
        os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # about threads at a fork, the very thing
def test_a_process_that_is_forked_while_somebody_infers_waits_for_nobody() -> None:
    network = Network([Dense(2)], input_shape=(3,), seed=0)
    inside, done = threading.Event(), threading.Event()

    def hold() -> None:
        with network.in_use("infer"):
            inside.set()
            done.wait(30)

    with ThreadPoolExecutor(1) as threads:
        threads.submit(hold)
        inside.wait(30)
        assert infers_when_forked(network)
        done.set()
    with network.in_use("infer"):
        assert infers_when_forked(network)


def test_of_threads_that_build_at_once_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    network, builds = Network([Dense(2), Dense(3)], seed=0), []
    build = Network.build

    def slowly(self: Network, shape: Any) -> None:
        builds.append(shape)
        time.sleep(0.05)
        build(self, shape)

    monkeypatch.setattr(Network, "build", slowly)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: network.infer(np.ones((1, 4))), range(4)))
    assert len(builds) == 1
    for answer in answers:
        np.testing.assert_array_equal(answer, answers[0])


def test_threads_that_infer_at_once_take_turns(rng: np.random.Generator) -> None:
    network = Network([Conv2D(8, 3), ReLU(), MaxPool2D(2), Flatten(), Dense(9)], input_shape=(1, 20, 20), seed=0)
    inputs = [rng.normal(size=(64, 1, 20, 20)).astype(np.float32) for _ in range(4)]
    expected = [network.infer(x) for x in inputs]

    def infer_often(place: int) -> bool:
        return all(np.array_equal(network.infer(inputs[place]), expected[place]) for _ in range(50))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(infer_often, range(4)))


def test_a_copy_of_what_is_not_built_builds_itself() -> None:
    assert copy.deepcopy(Network([Dense(2)], seed=0)).infer(np.ones((1, 3))).shape == (1, 2)


@pytest.mark.parametrize("count", [1, 3, None])
def test_the_first_layers_share_memory_and_turns_with_the_whole(count: int | None, rng: np.random.Generator) -> None:
    network, x = small(), rng.normal(size=(2, *IMAGE))
    shown = network[:count]
    network.forward(x)
    answer = shown.infer(x)
    np.testing.assert_array_equal(shown.infer(x), answer)
    inside, done = threading.Event(), threading.Event()

    def hold() -> None:
        with network.in_use("infer"):
            inside.set()
            done.wait(30)

    with ThreadPoolExecutor(2) as threads:
        threads.submit(hold)
        inside.wait(30)
        waiting = threads.submit(shown.infer, x)
        assert not waiting.done()
        done.set()
        np.testing.assert_array_equal(waiting.result(30), answer)


class TestWhileItIsTrained:
    """A training holds the network: its own thread is served, any other is refused at once."""

    @staticmethod
    def from_another_thread(verb: str, call: Callable[[], object]) -> None:
        with (
            ThreadPoolExecutor(1) as threads,
            pytest.raises(
                RuntimeError, match=rf"being trained by another thread, and {verb} would meet it .*copy\.deepcopy"
            ),
        ):
            threads.submit(call).result(30)

    def test_other_threads_are_refused_at_once(self) -> None:
        network, x = small(), np.ones((2, *IMAGE))
        outputs = network.infer(x)
        with network.in_training():
            self.from_another_thread("infer", lambda: network.infer(x))
            self.from_another_thread("forward", lambda: network.forward(x))
            self.from_another_thread("backward", lambda: network.backward(outputs))
            self.from_another_thread("infer", lambda: network[:2].infer(x))
        with ThreadPoolExecutor(1) as threads:
            np.testing.assert_array_equal(threads.submit(network.infer, x).result(30), outputs)

    def test_its_own_thread_is_served(self) -> None:
        network, x = small(), np.ones((2, *IMAGE))
        with network.in_training():
            network.backward(network.forward(x))
            network.infer(x)

    def test_it_is_trained_once_at_a_time(self) -> None:
        network = small()
        with network.in_training():
            message = "being trained, and fit was called from a callback of that fit"
            with pytest.raises(RuntimeError, match=message), network.in_training():
                pass

            def train() -> None:
                with network.in_training():
                    pass

            with ThreadPoolExecutor(1) as threads, pytest.raises(RuntimeError, match="called from another thread"):
                threads.submit(train).result(30)
        train()

    def test_it_waits_for_who_is_asking_it(self) -> None:
        network, x = small(), np.ones((2, *IMAGE))
        inside, done = threading.Event(), threading.Event()

        def hold() -> None:
            with network.in_use("infer"):
                inside.set()
                done.wait(30)

        def train() -> None:
            with network.in_training():
                pass

        with ThreadPoolExecutor(2) as threads:
            threads.submit(hold)
            inside.wait(30)
            training = threads.submit(train)
            assert not training.done()
            done.set()
            training.result(30)
        assert network.infer(x).shape == (2, 4)

    def test_who_waited_for_it_to_begin_is_refused(self) -> None:
        """The lock is asked for before the training begins, and got after."""
        network = small()
        entered = threading.Event()

        class Lock(TrainingLock):
            def __enter__(self) -> None:
                super().__enter__()
                self._trainer = -1  # meanwhile another thread has begun
                entered.set()

        network._lock = Lock()
        with pytest.raises(RuntimeError, match="being trained by another thread"):
            network.infer(np.ones((2, *IMAGE)))
        assert entered.is_set()

    def test_a_forward_before_it_is_forgotten(self) -> None:
        network, x = small(), np.ones((2, *IMAGE))
        y = network.forward(x)
        with network.in_training(), pytest.raises(RuntimeError, match="needs a forward"):
            network.backward(y)
