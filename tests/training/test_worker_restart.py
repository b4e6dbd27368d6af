"""When workers are started anew: where what they were started with has changed."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

import handconv as hc
from handconv.parallel.communicator import OneProcess
from handconv.samples import Samples
from handconv.training import worker as workers
from handconv.training.copies import sample_hashes
from handconv.training.step import SharedState, arithmetic
from network_cases import Residual
from worker_cases import OwnAdam, OwnLoss, OwnRate, X, Y, brighter, epoch, model, pids, task


class TestStartingAnew:
    """A worker has samples and settings as they were when it was started: it is started anew when they have changed."""

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    @pytest.mark.parametrize("own", [False, True])
    def test_after_code_of_the_users_only_where_more_is_their_own(self, method: str, own: bool) -> None:
        run = task(model(Residual(18)) if own else None)
        with workers.ProcessExecutor(run, 2, method=method) as executor:
            epoch(executor, 0, anything_changed=True)
            before = pids()
            assert len(before) == 2
            epoch(executor, 1)
            assert pids() == before
            epoch(executor, 1, anything_changed=True)
            assert (pids() == before) is (method == "spawn" or not own)

    @pytest.mark.parametrize("part", ["loss", "optimizer", "schedule", "augmentation"])
    def test_a_function_or_class_of_the_users_may_look_at_anything(self, part: str) -> None:
        run = task()
        if part == "loss":
            run.loss = OwnLoss()
        if part in ("optimizer", "schedule"):
            run.optimizer = OwnAdam(0.01) if part == "optimizer" else hc.Adam(OwnRate())
            run.optimizer.build(run.network.parameters, run.network.decayed())
        if part == "augmentation":
            run.augment = brighter
        with workers.ProcessExecutor(run, 2, method="fork") as executor:
            epoch(executor, 0, anything_changed=True)
            before = pids()
            epoch(executor, 1, anything_changed=True)
            assert not pids() & before

    def test_not_for_steps_that_are_done_or_a_count_that_is_set(self) -> None:
        run = task()
        with workers.ProcessExecutor(run, 2, method="fork") as executor:
            epoch(executor, 0)
            before, run.optimizer.iterations = pids(), 100
            epoch(executor, 1)
            assert pids() == before
            assert run.optimizer.iterations == 103

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    def test_when_a_setting_has_changed(self, method: str) -> None:
        run = task()
        with workers.ProcessExecutor(run, 2, method=method) as executor:
            epoch(executor, 0)
            before = pids()
            run.optimizer.learning_rate = 0.5
            epoch(executor, 1)
            assert not pids() & before

    def test_what_cannot_be_compared_is_taken_for_changed(self) -> None:
        network = model()
        network.layers[1].helper = lambda: None  # type: ignore[attr-defined]
        with workers.ProcessExecutor(task(network), 2, method="fork") as executor:
            epoch(executor, 0)
            before = pids()
            epoch(executor, 1)
            assert not pids() & before

    def test_an_augmentation_that_cannot_be_compared_counts_as_changed_after_code_of_the_users_alone(self) -> None:
        run = task(augment=lambda images, _rng: images)
        with workers.ProcessExecutor(run, 2, method="fork") as executor:
            epoch(executor, 0, anything_changed=True)
            before = pids()
            epoch(executor, 1)
            assert pids() == before
            epoch(executor, 1, anything_changed=True)
            assert not pids() & before

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    @pytest.mark.parametrize("part", ["x", "y", "weights"])
    def test_samples_that_were_changed_in_place_are_heard(self, method: str, part: str) -> None:
        results = []
        for count in (1, 2):
            samples = Samples(X.astype(np.float32), Y.copy(), np.ones(len(Y)))
            network = model()
            run = task(network, samples=samples)
            changed = getattr(samples, part)
            if count == 1:
                state = SharedState.of_one_process(run)
                with arithmetic():
                    step = workers.ShardStep(run, state, OneProcess())
                    list(step.epoch(0))
                    changed[:] = changed[::-1].copy()
                    changed[:3] = 0
                    list(step.epoch(1))
            else:
                with workers.ProcessExecutor(run, 2, method=method) as executor:
                    epoch(executor, 0, anything_changed=True)
                    changed[:] = changed[::-1].copy()
                    changed[:3] = 0
                    epoch(executor, 1, anything_changed=True)
            results.append(network.parameters)
        np.testing.assert_array_equal(*results)

    @given(
        values=arrays(np.uint8, st.tuples(st.integers(1, 3), st.sampled_from([1, 7, 8, 33, 4096 * 8, 4096 * 8 + 11]))),
        data=st.data(),
    )
    def test_any_change_of_any_sample_leaves_a_mark(self, values: NDArray[np.uint8], data: st.DataObject) -> None:
        samples = Samples(values, np.zeros(len(values)))
        before = sample_hashes(samples)
        assert sample_hashes(samples) == before != b""
        where = tuple(data.draw(st.integers(0, size - 1)) for size in values.shape)
        values[where] ^= data.draw(st.integers(1, 255))
        assert sample_hashes(samples) != before

    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_an_exchange_of_equal_numbers_leaves_a_mark(self, axis: int) -> None:
        x = np.random.default_rng(0).integers(0, 256, (1000, 32, 32)).astype(np.uint8)
        samples = Samples(x, np.zeros(len(x)))
        before = sample_hashes(samples)
        x[:] = np.roll(x, 8, axis)
        assert sample_hashes(samples) != before

    def test_samples_in_any_order_are_compared_where_they_lie(self, tmp_path: Path) -> None:
        x = X.astype(np.float32)
        for ordered in (x.transpose(0, 3, 1, 2), np.asfortranarray(x)):
            before = sample_hashes(Samples(ordered, Y))
            ordered[3] += 1
            assert sample_hashes(Samples(ordered, Y)) != before != b""
        assert sample_hashes(Samples(x[::2], Y)) == b""  # it would cost a copy
        np.save(tmp_path / "x.npy", X)
        mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
        assert sample_hashes(Samples(mapped, Y)) == sample_hashes(Samples(mapped[::2], Y))
