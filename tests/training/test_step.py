"""The steps of an epoch: shards add up to the gradient of the batch, and every sample counts once."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.arrays import FloatArray
from handconv.layers import Layer
from handconv.losses import (
    MeanSquaredError,
    SoftmaxCategoricalCrossentropy,
)
from handconv.network import Network
from handconv.parallel.communicator import BLOCK
from handconv.training.state import Task
from handconv.training.step import ACCUMULATORS, ShardStep, SharedState, shard_size
from network_cases import Counting
from step_cases import CLASSES, SHAPE, data, model, step_of, task


def by_hand(network: Network, x: Any, y: Any, weights: Any = None, size: int | None = None) -> FloatArray:
    """The gradient of a batch in one piece, penalties included."""
    loss = SoftmaxCategoricalCrossentropy()
    scores = network[:-1]
    loss.forward(scores.forward(x), y, weights, batch_size=size)
    scores.backward(loss.backward())
    gradients = network.gradients.copy()
    network.add_penalty_gradients(gradients)
    return gradients


class TestOneStep:
    @pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 16, 64, 100, 128 * ACCUMULATORS, 128 * ACCUMULATORS + 1, 2600])
    def test_shards_add_up_to_the_gradient_of_the_batch(self, count: int) -> None:
        x, y = data(count)
        trained, reference = model(), model()
        (figures,) = trained.fit(x, y, epochs=1, batch_size=count, shuffle=False, optimizer=hc.SGD(1.0)).epochs
        step = reference.parameters - trained.parameters
        np.testing.assert_allclose(step, by_hand(reference, x, y), rtol=1e-9, atol=1e-12)
        expected = reference.evaluate(x, y)  # of the parameters before the step
        assert figures["data_loss"] == pytest.approx(expected["loss"], rel=1e-9)
        assert figures["accuracy"] == expected["accuracy"]
        assert figures["penalty"] == pytest.approx(reference.penalty(), rel=1e-9)

    def test_sample_weights_reach_their_samples(self) -> None:
        x, y = data(100)
        weights = np.random.default_rng(1).random(100)
        trained, reference = model(), model()
        trained.fit(x, y, epochs=1, batch_size=100, optimizer=hc.SGD(1.0), sample_weights=weights)
        step = reference.parameters - trained.parameters
        np.testing.assert_allclose(step, by_hand(reference, x, y, weights), rtol=1e-9, atol=1e-12)

    def test_a_weight_of_two_is_the_sample_twice(self) -> None:
        x, y = data(50)
        weighted, repeated = model(), model()
        weights = np.where(np.arange(50) < 20, 2.0, 1.0)
        weighted.fit(x, y, epochs=1, batch_size=50, optimizer=hc.SGD(0.5), sample_weights=weights)
        twice = np.concatenate([np.arange(50), np.arange(20)])
        repeated.fit(x[twice], y[twice], epochs=1, batch_size=70, optimizer=hc.SGD(0.5))
        plain = model().parameters
        penalties = np.zeros_like(plain)
        model().add_penalty_gradients(penalties)
        of_weighted = (plain - weighted.parameters) / 0.5 - penalties  # a mean over 50 and one over 70
        of_repeated = (plain - repeated.parameters) / 0.5 - penalties
        np.testing.assert_allclose(50 * of_weighted, 70 * of_repeated, rtol=1e-9, atol=1e-12)

    def test_a_weight_of_zero_leaves_the_sample_out(self) -> None:
        x, y = data(60)
        trained, reference = model(), model()
        weights = (np.arange(60) < 40).astype(float)
        trained.fit(x, y, epochs=1, batch_size=60, optimizer=hc.SGD(1.0), sample_weights=weights)
        step = reference.parameters - trained.parameters
        np.testing.assert_allclose(step, by_hand(reference, x[:40], y[:40], size=60), rtol=1e-9, atol=1e-12)

    def test_class_weights_are_sample_weights_by_class(self) -> None:
        x, y = data(60)
        first, second = model(), model()
        first.fit(x, y, epochs=2, batch_size=16, class_weights={0: 0.5, 2: 3})
        second.fit(x, y, epochs=2, batch_size=16, sample_weights=np.array([0.5, 1, 3])[y])
        np.testing.assert_array_equal(first.parameters, second.parameters)

    def test_one_hot_targets_are_class_numbers(self) -> None:
        x, y = data(60)
        first, second = model(), model()
        first.fit(x, y, epochs=2, batch_size=16)
        second.fit(x, np.eye(CLASSES)[y], epochs=2, batch_size=16)
        np.testing.assert_array_equal(first.parameters, second.parameters)

    def test_pixels_are_floats_divided_by_255_to_the_bit(self) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (40, *SHAPE)).astype(np.uint8)
        first, second = model(dtype="float32"), model(dtype="float32")
        for network, x in ((first, pixels), (second, pixels.astype(np.float32) / 255)):
            network.fit(x, data(40)[1], epochs=2, batch_size=16)
        np.testing.assert_array_equal(first.parameters, second.parameters)


class TestBatches:
    def test_the_last_smaller_batch_is_trained_on_and_weighs_as_many_samples_as_it_has(self) -> None:
        x, y = data(22)
        trained, reference = model(), model()
        history = trained.fit(x, y, epochs=1, batch_size=8, shuffle=False, optimizer=hc.SGD(0.1))
        losses, loss = [], SoftmaxCategoricalCrossentropy()
        for part in (slice(0, 8), slice(8, 16), slice(16, 22)):
            losses.append(loss.forward(reference[:-1].infer(x[part]), y[part]))
            reference.parameters -= 0.1 * by_hand(reference, x[part], y[part])
        np.testing.assert_allclose(trained.parameters, reference.parameters, rtol=1e-9, atol=1e-12)
        assert history["data_loss"] == pytest.approx([(8 * losses[0] + 8 * losses[1] + 6 * losses[2]) / 22], rel=1e-9)

    def test_each_epoch_takes_every_sample_once_in_a_new_order(self) -> None:
        batches = [np.concatenate(task(50, batch_size=8, shuffle=True).batches(epoch)) for epoch in range(3)]
        for order in batches:
            np.testing.assert_array_equal(np.sort(order), np.arange(50))
        assert not np.array_equal(batches[0], batches[1])
        assert not np.array_equal(batches[1], batches[2])
        assert not np.array_equal(batches[0], np.arange(50))

    def test_the_order_of_an_epoch_follows_from_the_seed_alone(self) -> None:
        first, second = (np.concatenate(task(50, shuffle=True).batches(7)) for _ in range(2))
        other = np.concatenate(task(50, shuffle=True, network=model(seed=1)).batches(7))
        np.testing.assert_array_equal(first, second)
        assert not np.array_equal(first, other)

    def test_without_shuffle_the_order_is_that_of_the_samples(self) -> None:
        np.testing.assert_array_equal(np.concatenate(task(50, batch_size=8).batches(2)), np.arange(50))

    @pytest.mark.parametrize(("count", "batch_size", "steps"), [(16, 8, 2), (17, 8, 3), (3, 8, 1), (1, 1, 1)])
    def test_steps_per_epoch_count_the_last_small_batch(self, count: int, batch_size: int, steps: int) -> None:
        run = task(count, batch_size=batch_size)
        assert run.steps_per_epoch == len(run.batches(0)) == steps

    def test_inputs_targets_and_weights_are_shuffled_together(self) -> None:
        seen: list[tuple[Any, ...]] = []

        class Inputs(Layer):
            def forward(self, inputs: Any, training: bool = False) -> Any:
                self.seen = inputs[:, 0].copy()
                return inputs

            def backward(self, dvalues: Any) -> Any:
                return dvalues

        watched = Inputs()

        class Spy(MeanSquaredError):
            def forward(self, predictions: Any, targets: Any, sample_weights: Any = None, **options: Any) -> float:
                seen.append((watched.seen, targets[:, 0].copy(), sample_weights.copy()))
                return super().forward(predictions, targets, sample_weights, **options)

        ids = np.arange(1.0, 31.0)
        network = hc.Sequential([watched, hc.Dense(1)], input_shape=(1,), seed=0, dtype="float64")
        network.fit(ids[:, None], 10 * ids, epochs=2, batch_size=7, loss=Spy(), sample_weights=100 * ids)
        x, y, weights = (np.concatenate(parts) for parts in zip(*seen, strict=True))
        np.testing.assert_array_equal(np.sort(x), np.repeat(ids, 2))
        np.testing.assert_array_equal(y, 10 * x)
        np.testing.assert_array_equal(weights, 100 * x)
        assert not np.array_equal(x[:30], x[30:])


class TestShardSize:
    def test_a_shard_keeps_the_largest_output_in_the_cache(self) -> None:
        sizes = [shard_size(Network([hc.Dense(units)], input_shape=(2,)), 1000) for units in (10, 8_000, 16_000, 10**6)]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[0] == 128
        assert sizes[-1] == 8

    def test_a_small_batch_has_two_shards(self) -> None:
        network = Network([hc.Dense(10)], input_shape=(2,))
        assert [shard_size(network, count) for count in (1, 16, 32, 33, 128, 1000)] == [8, 8, 16, 17, 64, 128]


class Rank:
    """One of several threads: all that a communicator needs to be."""

    def __init__(self, rank: int, barrier: threading.Barrier) -> None:
        self.rank, self.size, self._barrier = rank, barrier.parties, barrier

    def exchange(self, *accumulators: Any) -> None:
        self._barrier.wait(60)

    def publish(self, *vectors: Any) -> None:
        self._barrier.wait(60)


def by_ranks(make: Callable[[], Task], size: int) -> tuple[Task, SharedState]:
    """Let threads do an epoch of a task, each with a task of its own over the same vectors."""
    shared, barrier, errors = make(), threading.Barrier(size), []
    state = SharedState.of_one_process(shared)
    shared.optimizer.build(shared.network.parameters, shared.network.decayed())

    def work(rank: int) -> None:
        try:
            mine = make()
            mine.network.bind(state.parameters, np.zeros_like(state.gradients), state.buffers.copy())
            mine.optimizer.build(state.parameters, mine.network.decayed())
            mine.optimizer.state = shared.optimizer.state
            list(ShardStep(mine, state, Rank(rank, barrier)).epoch(0))
        except BaseException as error:  # noqa: BLE001 - of a thread, it would be lost
            errors.append(error)
            barrier.abort()

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    return shared, state


class TestShardStep:
    def test_it_yields_the_steps_done(self) -> None:
        step = step_of(task(20, batch_size=8))
        assert list(step.epoch(0)) == [1, 2, 3]
        assert list(step.epoch(1, first_step=2)) == [3]

    def test_the_parts_of_an_epoch_are_the_epoch(self) -> None:
        whole, parts = task(20, batch_size=8, shuffle=True), task(20, batch_size=8, shuffle=True)
        steps = [step_of(each) for each in (whole, parts)]
        for _ in steps[0].epoch(0):
            pass
        begun = steps[1].epoch(0)
        assert next(begun) == 1
        begun.close()
        for _ in steps[1].epoch(0, first_step=1):
            pass
        np.testing.assert_array_equal(whole.network.parameters, parts.network.parameters)
        np.testing.assert_array_equal(steps[0].state.sums, steps[1].state.sums)

    @pytest.mark.parametrize(("fuse", "ops"), [(True, 3), (False, 5)])
    def test_the_program_is_fused_as_the_network_is(self, fuse: bool, ops: int) -> None:
        step = step_of(task(20, network=model(fuse=fuse)))
        list(step.epoch(0))
        assert len(step.program.ops) == ops

    def test_a_pause_is_granted_after_the_step_at_hand(self) -> None:
        step = step_of(task(40, batch_size=8))
        done = []
        for count in step.epoch(0):
            done.append(count)
            step.state.control[0] = count == 2
        assert done == [1, 2, 3]

    def test_the_network_keeps_its_own_memory_and_gradients(self) -> None:
        run = task(20, batch_size=8)
        gradients = run.network.gradients
        list(step_of(run).epoch(0))
        assert run.network.gradients is gradients
        assert gradients.any()
        first = run.network.infer(data(2)[0])
        kept = first.copy()
        run.network.infer(-data(2)[0])
        np.testing.assert_array_equal(first, kept)

    @pytest.mark.parametrize("size", [1, 2, 3, 8])
    def test_ranks_that_are_threads_get_the_bits_of_one_process(self, size: int) -> None:
        """Any object that exchanges and publishes is a communicator; a batch has eleven shards, in eight sums."""

        def make() -> Task:
            return task(2600, batch_size=1300, optimizer=hc.Adam(0.01))

        alone = make()
        alone.network.fit(*data(2600), epochs=1, batch_size=1300, shuffle=False, optimizer=alone.optimizer)  # type: ignore[attr-defined]
        run, state = by_ranks(make, size)
        np.testing.assert_array_equal(run.network.parameters, alone.network.parameters)
        np.testing.assert_array_equal(run.network.gradients, alone.network.gradients)
        assert state.sums[3] == 2600

    @pytest.mark.parametrize("engine", [True, False])
    def test_dropout_masks_differ_by_epoch_step_and_shard(self, engine: bool) -> None:
        masks: list[bytes] = []

        class Look(Layer):
            def forward(self, inputs: Any, training: bool = False) -> Any:
                if training:
                    masks.append((inputs == 0).tobytes())
                return inputs

            def backward(self, dvalues: Any) -> Any:
                return dvalues

        layers = [hc.Dropout(0.5), Look(), hc.Dense(CLASSES), hc.Softmax()]
        network = hc.Sequential(layers, input_shape=(40,), seed=0, engine=engine)
        network.fit(np.ones((64, 40)), data(64)[1], epochs=2, batch_size=32)
        assert len(masks) == 2 * 2 * 2
        assert len(set(masks)) == len(masks)
        assert all(0.3 < np.frombuffer(mask, np.bool_).mean() < 0.7 for mask in masks)

    def test_the_chance_of_augmentation_follows_from_seed_epoch_step_and_shard(self) -> None:
        drawn: list[float] = []

        def look(images: Any, generator: np.random.Generator) -> Any:
            drawn.append(generator.random())
            return images

        def numbers(seed: int) -> list[float]:
            drawn.clear()
            model(seed=seed).fit(*data(64), epochs=2, batch_size=32, augment=look)
            return drawn.copy()

        first = numbers(0)
        assert len(first) == len(set(first)) == 2 * 2 * 2
        assert numbers(0) == first
        assert not set(numbers(1)) & set(first)

    def test_the_chance_of_augmentation_goes_on_in_a_second_training(self) -> None:
        drawn: list[float] = []

        def look(images: Any, generator: np.random.Generator) -> Any:
            drawn.append(generator.random())
            return images

        parts, whole = model(), model()
        for _ in range(2):
            parts.fit(*data(64), epochs=1, batch_size=32, augment=look)
        of_parts = drawn.copy()
        drawn.clear()
        whole.fit(*data(64), epochs=2, batch_size=32, augment=look)
        assert of_parts == drawn


def test_the_arrays_that_ranks_share_are_never_exchanged() -> None:
    state = SharedState.of_one_process(task(8))
    with pytest.raises(AttributeError):
        state.parameters = np.zeros(1)  # type: ignore[misc]


def test_ranks_share_as_much_memory_as_they_use() -> None:
    run = task(8)
    size = run.network.parameters.size
    shapes = {name: shape for name, (shape, _) in SharedState.layout(run).items()}
    assert shapes == {
        "parameters": (size,), "gradients": (size,), "average": (0,), "buffers": (0,),
        "accumulators": (8, size), "changes": (8, 0), "totals": (8, 3),  # loss, answers that are right, squares
        "squares": (1,), "sums": (4,), "control": (2,),
    }  # fmt: skip


@pytest.mark.parametrize("value", [1e300, np.inf, np.nan])
def test_a_run_that_diverges_warns_of_no_arithmetic(value: float) -> None:
    network = model()
    network.parameters[...] = value
    with pytest.raises(hc.DivergenceError):
        network.fit(*data(8), epochs=1)


def wide(**options: Any) -> hc.Sequential:
    """A network whose vector has several blocks, the last of them small."""
    layers = [hc.Flatten(), hc.Dense(70, l2=0.01), hc.Tanh(), hc.Dense(CLASSES), hc.Softmax()]
    return hc.Sequential(layers, **{"input_shape": SHAPE, "seed": 0} | options)


class TestClipping:
    @staticmethod
    def moved(dtype: str, **clipping: Any) -> tuple[FloatArray, FloatArray]:
        """How far one step of SGD goes, and the gradient of the batch."""
        x, y = data(100)
        trained, reference = wide(dtype=dtype), wide(dtype=dtype)
        trained.fit(x, y, batch_size=100, shuffle=False, optimizer=hc.SGD(1.0, **clipping))
        return reference.parameters - trained.parameters, by_hand(reference, x, y)

    def test_a_gradient_that_is_too_long_is_shortened(self) -> None:
        moved, gradient = self.moved("float64", clip_norm=0.01)
        np.testing.assert_allclose(moved, gradient * (0.01 / np.linalg.norm(gradient)), rtol=1e-7, atol=1e-12)

    def test_a_gradient_that_is_not_stays_as_it_is(self) -> None:
        moved, gradient = self.moved("float64", clip_norm=1e3, clip_value=1e3)
        np.testing.assert_allclose(moved, gradient, rtol=1e-7, atol=1e-12)

    def test_numbers_that_are_too_large_are_cut(self) -> None:
        moved, gradient = self.moved("float64", clip_value=1e-3)
        assert np.abs(gradient).max() > 1e-3
        np.testing.assert_allclose(moved, np.clip(gradient, -1e-3, 1e-3), rtol=1e-7, atol=1e-12)

    def test_numbers_are_cut_before_the_length_is_taken(self) -> None:
        moved, gradient = self.moved("float64", clip_value=1e-3, clip_norm=0.01)
        cut = np.clip(gradient, -1e-3, 1e-3)
        np.testing.assert_allclose(moved, cut * (0.01 / np.linalg.norm(cut)), rtol=1e-7, atol=1e-12)

    @pytest.mark.parametrize("size", [2, 3, 5])
    def test_the_length_is_the_same_bits_for_any_number_of_ranks(self, size: int) -> None:
        def make() -> Task:
            return task(400, network=wide(), batch_size=400, optimizer=hc.Adam(0.01, clip_norm=0.003))

        one, several = by_ranks(make, 1), by_ranks(make, size)
        assert one[0].network.parameters.size > 2 * BLOCK
        np.testing.assert_array_equal(one[1].squares, several[1].squares)
        np.testing.assert_array_equal(one[0].network.parameters, several[0].network.parameters)
        length = np.sqrt(one[1].squares.sum())
        assert length > 0.003  # it was shortened
        assert np.linalg.norm(one[0].network.gradients) == pytest.approx(0.003, rel=1e-5)


class TestBuffers:
    """Every shard starts from the step's old value; what shards make of it is put together."""

    @staticmethod
    def network(**options: Any) -> hc.Sequential:
        layers = [hc.Flatten(), Counting(), hc.Dropout(0.2), hc.Dense(CLASSES), hc.Softmax()]
        return hc.Sequential(layers, **{"input_shape": SHAPE, "seed": 0, "dtype": "float64"} | options)

    @pytest.mark.parametrize("engine", [True, False])
    @pytest.mark.parametrize("count", [1, 50, 100, 2600])
    def test_running_means_are_weighted_by_the_samples_of_each_shard(self, count: int, engine: bool) -> None:
        x, y = data(count)
        network = self.network(engine=engine)
        network.buffers[:36] = np.arange(36.0)
        network.fit(x, y, batch_size=count, shuffle=False)
        expected = 0.9 * np.arange(36.0) + 0.1 * x.reshape(count, 36).mean(axis=0)
        np.testing.assert_allclose(network.buffers[:36], expected, rtol=1e-12)

    def test_of_several_steps_follow_one_another(self) -> None:
        x, y = data(50)
        network, mean = self.network(), np.zeros(36)
        network.fit(x, y, epochs=2, batch_size=20, shuffle=False)
        for start in (0, 20, 40) * 2:
            mean = 0.9 * mean + 0.1 * x[start : start + 20].reshape(-1, 36).mean(axis=0)
        np.testing.assert_allclose(network.buffers[:36], mean, rtol=1e-12)

    @pytest.mark.parametrize(("count", "shards"), [(8, 1), (9, 2), (100, 2), (2600, 21)])
    def test_counters_are_summed(self, count: int, shards: int) -> None:
        network = self.network()
        network.fit(*data(count), epochs=3, batch_size=count)
        assert network.layers[1].steps == 3 * shards

    @pytest.mark.parametrize("size", [2, 3, 4])
    def test_are_the_same_bits_for_any_number_of_ranks(self, size: int) -> None:
        def make() -> Task:
            return task(2600, network=self.network(dtype="float32"), batch_size=1300)

        one, several = by_ranks(make, 1), by_ranks(make, size)
        assert one[1].buffers.any()
        np.testing.assert_array_equal(one[1].buffers, several[1].buffers)
        np.testing.assert_array_equal(one[0].network.parameters, several[0].network.parameters)
