"""The steps of an epoch: shards add up to the gradient of the batch, and every sample counts once."""

import dataclasses
import threading
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

import handconv as hc
from handconv.arrays import FloatArray
from handconv.engine.program import Passes
from handconv.layers import Layer
from handconv.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Loss,
    MeanSquaredError,
    SoftmaxCategoricalCrossentropy,
)
from handconv.network import Network
from handconv.training.samples import Samples
from handconv.training.step import LANES, Alone, Board, Engine, Task, shard_size

SHAPE, CLASSES = (1, 6, 6), 3


def model(**options: Any) -> hc.Sequential:
    layers = [
        hc.Conv2D(2, 3, l2=0.01), hc.LeakyReLU(), hc.MaxPool2D(2), hc.Flatten(),
        hc.Dense(CLASSES, l1=0.02), hc.Softmax(),
    ]  # fmt: skip
    return hc.Sequential(layers, **{"input_shape": SHAPE, "seed": 0, "dtype": "float64"} | options)


def data(count: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, *SHAPE)), rng.integers(0, CLASSES, count)


def task(count: int, **options: Any) -> Task:
    x, y = data(count)
    network: Network = options.pop("network", None) or model()
    values: dict[str, Any] = {
        "network": network, "loss": SoftmaxCategoricalCrossentropy(), "optimizer": hc.SGD(1.0),
        "samples": Samples(x, y), "epochs": 3, "batch_size": count, "shuffle": False, "logits": True,
    }  # fmt: skip
    return Task(**values | options)


def by_hand(network: Network, x: Any, y: Any, weights: Any = None, size: int | None = None) -> FloatArray:
    """The gradient of a batch in one piece, penalties included."""
    loss = SoftmaxCategoricalCrossentropy()
    loss.forward(network.forward(x, logits=True), y, weights, batch_size=size)
    network.backward(loss.backward(), logits=True)
    gradients = network.gradients.copy()
    network.add_penalty_gradients(gradients)
    return gradients


class TestOneStep:
    @pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 16, 64, 100, 128 * LANES, 128 * LANES + 1, 2600])
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
            losses.append(loss.forward(reference.infer(x[part], logits=True), y[part]))
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
            def _forward(self, x: Any, *, training: bool, remember: bool) -> Any:
                self.seen = x[:, 0].copy()
                return x

            def _backward(self, dvalues: Any) -> Any:
                return dvalues

        watched = Inputs()

        class Spy(MeanSquaredError):
            def measure(self, predictions: Any, targets: Any, sample_weights: Any, batch_size: int) -> Any:
                seen.append((watched.seen, targets[:, 0].copy(), sample_weights.copy()))
                return super().measure(predictions, targets, sample_weights, batch_size)

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


class TestEngine:
    def test_it_yields_the_steps_done(self) -> None:
        run = task(20, batch_size=8)
        run.optimizer.build(run.network.parameters)
        engine = Engine(run, Board.allocate(run.network), Alone())
        assert list(engine.epoch(0)) == [1, 2, 3]
        assert list(engine.epoch(1, first_step=2)) == [3]

    def test_the_parts_of_an_epoch_are_the_epoch(self) -> None:
        whole, parts = task(20, batch_size=8, shuffle=True), task(20, batch_size=8, shuffle=True)
        engines = [Engine(each, Board.allocate(each.network), Alone()) for each in (whole, parts)]
        for _ in engines[0].epoch(0):
            pass
        steps = engines[1].epoch(0)
        assert next(steps) == 1
        steps.close()
        for _ in engines[1].epoch(0, first_step=1):
            pass
        np.testing.assert_array_equal(whole.network.parameters, parts.network.parameters)
        np.testing.assert_array_equal(engines[0].board.sums, engines[1].board.sums)

    def test_release_gives_the_network_its_own_memory_and_gradients_back(self) -> None:
        run = task(20, batch_size=8)
        gradients = run.network.gradients
        engine = Engine(run, Board.allocate(run.network), Alone())
        list(engine.epoch(0))
        engine.release()
        assert run.network.gradients is gradients
        first = run.network.infer(data(2)[0])
        kept = first.copy()
        run.network.infer(-data(2)[0])
        np.testing.assert_array_equal(first, kept)

    def test_the_members_of_a_crew_get_the_bits_of_one(self) -> None:
        """Threads instead of processes, so that it can be seen from here; batches of eleven shards, in eight lanes."""
        alone = task(2600, batch_size=1300, optimizer=hc.Adam(0.01))
        alone.network.fit(*data(2600), epochs=1, batch_size=1300, shuffle=False, optimizer=alone.optimizer)  # type: ignore[attr-defined]
        run = task(2600, batch_size=1300)
        board, barrier = Board.allocate(run.network), threading.Barrier(3)
        parameters, gradients, state = run.network.parameters, run.network.gradients, hc.Adam(0.01)
        state.build(parameters)

        @dataclasses.dataclass
        class Crew:
            rank: int
            size: int = 3

            def meet(self) -> None:
                barrier.wait(60)

        def work(rank: int) -> None:
            mine = task(2600, batch_size=1300, optimizer=hc.Adam(0.01))
            mine.network.bind(parameters, gradients)
            mine.optimizer.build(parameters)
            mine.optimizer.state = state.state
            list(Engine(mine, board, Crew(rank)).epoch(0))

        members = [threading.Thread(target=work, args=(rank,)) for rank in range(3)]
        for member in members:
            member.start()
        for member in members:
            member.join()
        np.testing.assert_array_equal(parameters, alone.network.parameters)
        assert board.sums[3] == 2600

    def test_dropout_masks_differ_by_epoch_step_and_shard(self) -> None:
        masks: list[bytes] = []

        class Watched(hc.Dropout):
            def _draw(self, mask: Any) -> None:
                super()._draw(mask)
                masks.append(mask.tobytes())

        network = hc.Sequential([Watched(0.5), hc.Dense(CLASSES), hc.Softmax()], input_shape=(40,), seed=0)
        x = np.ones((64, 40))
        network.fit(x, data(64)[1], epochs=2, batch_size=32)
        assert len(masks) == 2 * 2 * 2
        assert len(set(masks)) == len(masks)


class Own(Loss):
    """What a user may write: Python in between, and another answer each time."""

    calls = 0

    def check_targets(self, targets: Any, shape: tuple[int, ...]) -> Any:
        return np.asarray(targets)

    def _evaluate(self, predictions: Any, targets: Any) -> tuple[Any, Any]:
        Own.calls += 1
        factor = 2.0 if predictions.max() > 0.1 else 3.0
        return factor * predictions[np.arange(len(targets)), targets], lambda: factor * np.ones_like(predictions)


class TestRepetition:
    """Shards of a size that came before are repeated without Python: the bits are those of computing them."""

    LOSSES: ClassVar = [
        (SoftmaxCategoricalCrossentropy, True, "classes"), (SoftmaxCategoricalCrossentropy, True, "shares"),
        (lambda: SoftmaxCategoricalCrossentropy(0.2), True, "classes"),
        (lambda: SoftmaxCategoricalCrossentropy(0.2), True, "shares"),
        (CategoricalCrossentropy, False, "classes"), (CategoricalCrossentropy, False, "shares"),
        (lambda: CategoricalCrossentropy(0.2), False, "classes"),
        (BinaryCrossentropy, False, "shares"), (MeanSquaredError, False, "shares"), (Own, False, "classes"),
    ]  # fmt: skip

    @staticmethod
    def both(train: Callable[[], list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
        repeated = train()
        monkeypatch.setattr(Passes, "repeat", lambda *arguments: arguments[-1]())
        for received, expected in zip(repeated, train(), strict=True):
            np.testing.assert_array_equal(received, expected)

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize(("loss", "logits", "targets"), LOSSES)
    def test_every_loss(
        self, loss: Any, logits: bool, targets: str, weighted: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        judge, (x, y) = loss(), data(50)
        weights = np.random.default_rng(1).random(50) if weighted else None
        shares = np.eye(CLASSES)[y] * 0.8 + 0.2 / CLASSES
        truth = judge.check_targets(y if targets == "classes" else shares, (50, CLASSES))

        def train() -> list[Any]:
            Own.calls = 0
            network = model(dtype="float32")
            samples = Samples(x.astype(np.float32), truth, weights)
            options = {"network": network, "loss": loss(), "samples": samples, "batch_size": 20, "shuffle": True}
            one = task(50, **options, logits=logits, optimizer=hc.Adam(0.01))
            board = Board.allocate(network)
            engine = Engine(one, board, Alone())
            for epoch in range(3):
                list(engine.epoch(epoch))
            assert Own.calls == (3 * 5 if isinstance(judge, Own) else 0)
            return [network.parameters, board.sums]

        self.both(train, monkeypatch)

    def test_python_runs_for_the_first_shard_of_a_size_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sizes: list[int] = []
        forward = Network.forward

        def watched(network: Network, x: Any, *arguments: Any, **options: Any) -> Any:
            sizes.append(len(x))
            return forward(network, x, *arguments, **options)

        monkeypatch.setattr(Network, "forward", watched)
        model().fit(*data(47), epochs=3, batch_size=20)
        assert sizes == [10, 7]

    @pytest.mark.parametrize("name", ["label_smoothing", "alpha"])
    def test_a_setting_may_change_while_training_goes_on(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def train() -> list[Any]:
            loss, network = SoftmaxCategoricalCrossentropy(), model()

            class Change(hc.Callback):
                def on_epoch_end(self, run: Any, figures: Any) -> None:
                    setattr(loss if name == "label_smoothing" else network.layers[1], name, 0.3)

            network.fit(*data(40), epochs=3, batch_size=20, loss=loss, callbacks=[Change()])
            return [network.parameters]

        unchanged = model()
        unchanged.fit(*data(40), epochs=3, batch_size=20)
        assert not np.array_equal(train()[0], unchanged.parameters)
        self.both(train, monkeypatch)
