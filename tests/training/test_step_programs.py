"""How the shards of a step are computed: by the engine, by the pages, and again by calls that were made before."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

import handconv as hc
from handconv.engine.program import Program
from handconv.layers import Layer
from handconv.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Loss,
    MeanSquaredError,
    SoftmaxCategoricalCrossentropy,
)
from handconv.samples import Samples
from step_cases import CLASSES, SHAPE, data, model, step_of, task


class TestWithoutTheEngine:
    """``engine=False`` trains the layers' own pages, to the same numbers."""

    @pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-11)])
    @pytest.mark.parametrize("loss", [None, MeanSquaredError(), CategoricalCrossentropy(0.1)])
    def test_the_pages_train_to_the_numbers_of_the_engine(self, loss: Any, dtype: str, tolerance: float) -> None:
        def layers() -> list[Layer]:
            return [
                hc.Conv2D(3, 3, l2=1e-3), hc.LeakyReLU(), hc.MaxPool2D(2), hc.Conv2D(4, 2, padding="same"), hc.Tanh(),
                hc.AveragePool2D(2), hc.Flatten(), hc.Dropout(0.2), hc.Dense(8), hc.ReLU(), hc.Dense(3), hc.Softmax(),
            ]  # fmt: skip

        x = np.random.default_rng(0).integers(0, 256, (60, 2, 11, 11)).astype(np.uint8)
        y: Any = np.arange(60) % 3
        if isinstance(loss, MeanSquaredError):
            y = np.eye(3)[y]
        trained = []
        for engine in (True, False):
            network = hc.Sequential(layers(), input_shape=(2, 11, 11), seed=0, dtype=dtype, engine=engine)
            history = network.fit(
                x, y, epochs=3, batch_size=16, optimizer=hc.SGD(0.05, 0.9), loss=loss, validation_split=0.2
            )
            trained.append((network.parameters, history["loss"], history["val_loss"], network.predict(x)))
        start = hc.Sequential(layers(), input_shape=(2, 11, 11), seed=0, dtype=dtype).parameters
        assert np.abs(trained[0][0] - start).max() > 1e-2
        for fast, page in zip(*trained, strict=True):
            np.testing.assert_allclose(page, fast, rtol=tolerance, atol=tolerance)

    def test_no_layer_runs_as_a_fast_op(self) -> None:
        network = model(engine=False)
        run = task(20, network=network, batch_size=8)
        step = step_of(run)
        list(step.epoch(0))
        assert {type(op).__name__ for op in step.program.ops} == {"PythonOp"}
        assert type(step.loss).__name__ == "LossOp"

    def test_what_an_edited_page_computes_is_what_trains(self) -> None:
        class Halved(hc.Dense):
            def backward(self, dvalues: Any) -> Any:
                dinputs = super().backward(dvalues)
                self.dbiases[...] = 7
                return dinputs

        network = hc.Sequential([hc.Flatten(), Halved(CLASSES)], input_shape=SHAPE, seed=0)
        network.fit(*data(16), batch_size=16, optimizer=hc.SGD(1.0))
        np.testing.assert_allclose(network.named_parameters()["1.biases"], -14)  # of each of two shards


class Own(Loss):
    """What a user may write: Python in between, and another answer each time."""

    calls = 0

    def check_targets(self, targets: Any, shape: tuple[int, ...]) -> Any:
        return np.asarray(targets)

    def sample_losses(self, predictions: Any, targets: Any) -> Any:
        Own.calls += 1
        self.factor = 2.0 if predictions.max() > 0.1 else 3.0
        return self.factor * predictions[np.arange(len(targets)), targets]

    def gradient(self, predictions: Any, targets: Any) -> Any:
        return self.factor * np.ones_like(predictions)


class OwnSoftmax(hc.Softmax):
    """One that is not taken together with the loss."""

    def forward(self, inputs: Any, training: bool = False) -> Any:
        return super().forward(inputs, training)


class TestRepetition:
    """Shards of a size that came before are repeated without Python: the bits are those of computing them."""

    LOSSES: ClassVar = [
        (SoftmaxCategoricalCrossentropy, hc.Softmax, "classes"),
        (SoftmaxCategoricalCrossentropy, hc.Softmax, "shares"),
        (lambda: SoftmaxCategoricalCrossentropy(0.2), hc.Softmax, "classes"),
        (lambda: SoftmaxCategoricalCrossentropy(0.2), hc.Softmax, "shares"),
        (CategoricalCrossentropy, hc.Softmax, "classes"),
        (CategoricalCrossentropy, OwnSoftmax, "classes"), (CategoricalCrossentropy, OwnSoftmax, "shares"),
        (lambda: CategoricalCrossentropy(0.2), OwnSoftmax, "classes"),
        (BinaryCrossentropy, hc.Softmax, "shares"), (BinaryCrossentropy, hc.Sigmoid, "shares"),
        (MeanSquaredError, hc.Softmax, "shares"), (Own, hc.Softmax, "classes"),
    ]  # fmt: skip

    @staticmethod
    def both(train: Callable[[], list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
        repeated = train()
        monkeypatch.setattr(Program, "run", lambda *arguments: arguments[-1]())
        for received, expected in zip(repeated, train(), strict=True):
            np.testing.assert_array_equal(received, expected)

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize(("loss", "last", "targets"), LOSSES)
    def test_every_loss(
        self, loss: Any, last: Any, targets: str, weighted: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        judge, (x, y) = loss(), data(50)
        weights = np.random.default_rng(1).random(50) if weighted else None
        shares = np.eye(CLASSES)[y] * 0.8 + 0.2 / CLASSES
        truth = judge.check_targets(y if targets == "classes" else shares, (50, CLASSES))

        def train() -> list[Any]:
            Own.calls = 0
            network = model(last(), dtype="float32")
            samples = Samples(x.astype(np.float32), truth, weights)
            options = {"network": network, "loss": loss(), "samples": samples, "batch_size": 20, "shuffle": True}
            step = step_of(task(50, **options, optimizer=hc.Adam(0.01)))
            for epoch in range(3):
                list(step.epoch(epoch))
            assert Own.calls == (3 * 5 if isinstance(judge, Own) else 0)
            return [network.parameters, step.state.sums]

        self.both(train, monkeypatch)

    def test_python_runs_for_the_first_shard_of_a_size_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sizes: list[int] = []
        forward = Program.forward

        def watched(program: Program, x: Any, **options: Any) -> Any:
            sizes.append(len(x))
            return forward(program, x, **options)

        monkeypatch.setattr(Program, "forward", watched)
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
