"""Running a network over many samples: the same numbers whatever the batch."""

import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

from handconv.evaluation import count_correct, evaluate, inference_batch, predict
from handconv.layers import Conv2D, Dense, Flatten, Layer, ReLU, Softmax
from handconv.losses import CategoricalCrossentropy, SoftmaxCategoricalCrossentropy
from handconv.network import Network
from handconv.objective import Objective
from handconv.samples import Samples


@pytest.fixture
def network() -> Network:
    return Network(
        [Conv2D(2, 3), ReLU(), Flatten(), Dense(3), Softmax()], input_shape=(1, 5, 5), seed=0, dtype="float64"
    )


@pytest.fixture
def samples(rng: np.random.Generator) -> Samples:
    return Samples(rng.normal(size=(23, 1, 5, 5)), rng.integers(0, 3, 23))


@pytest.mark.parametrize("batch_size", [None, 1, 5, 23, 100])
class TestAnyBatchSize:
    def test_predict_gives_all_outputs_in_order(self, network: Network, samples: Samples, batch_size: Any) -> None:
        np.testing.assert_allclose(predict(network, samples.x, batch_size), network.infer(samples.x), rtol=1e-12)

    def test_evaluate_gives_the_mean_over_all_samples(
        self, network: Network, samples: Samples, batch_size: Any
    ) -> None:
        figures = evaluate(network, Objective(network, SoftmaxCategoricalCrossentropy()), samples, batch_size)
        probabilities = network.infer(samples.x)
        assert figures["loss"] == pytest.approx(CategoricalCrossentropy().forward(probabilities, samples.y), rel=1e-9)
        assert figures["accuracy"] == pytest.approx(np.mean(probabilities.argmax(axis=1) == samples.y))

    def test_evaluate_looks_at_the_chosen_alone(self, network: Network, samples: Samples, batch_size: Any) -> None:
        chosen = np.array([3, 7, 8, 20])
        some, same = Samples(samples.x, samples.y, chosen=chosen), Samples(samples.x[chosen], samples.y[chosen])
        loss = SoftmaxCategoricalCrossentropy()
        figures = evaluate(network, Objective(network, loss), some, batch_size)
        assert figures == pytest.approx(evaluate(network, Objective(network, loss), same, batch_size), rel=1e-12)

    def test_evaluate_weighs_samples(self, network: Network, samples: Samples, batch_size: Any, rng: Any) -> None:
        weights = rng.random(23)
        weighted = Samples(samples.x, samples.y, weights)
        loss = SoftmaxCategoricalCrossentropy()
        expected = np.mean(weights * loss.sample_losses(network[:-1].infer(samples.x), samples.y))
        assert evaluate(network, Objective(network, loss), weighted, batch_size)["loss"] == pytest.approx(
            expected, rel=1e-9
        )


@pytest.mark.parametrize("targets", [[1, 0, 2], [[0, 1, 0], [0.6, 0.4, 0], [0, 0.1, 0.9]]])
def test_right_are_the_rows_whose_greatest_output_is_the_class(targets: Any) -> None:
    outputs = np.array([[0.1, 0.9, 0.5], [0.2, 0.3, 0.5], [0.0, 0.1, 0.2]])
    assert count_correct(outputs, np.array(targets)) == 2


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_right_are_the_single_outputs_on_the_side_of_one_half_of_their_targets(shape: tuple[int, ...]) -> None:
    outputs, targets = np.array([0.5, 0.5, 0.6, 0.6]).reshape(shape), np.array([0.5, 0.5, 0.5, 1.0])
    assert count_correct(outputs, targets) == count_correct(outputs, targets[:, None]) == 3


def test_batches_are_as_large_as_the_cache_and_at_most_128() -> None:
    units = (1, 100, 16_000, 60_000, 10**6)
    sizes = [inference_batch(Network([Dense(each)], input_shape=(1,))) for each in units]
    assert sizes == [128, 128, 64, 16, 8]


def test_predictions_lie_row_by_row(network: Network, samples: Samples) -> None:
    predictions = predict(network, samples.x)
    assert predictions.flags.c_contiguous
    assert (predictions.shape, predictions.dtype) == ((23, 3), np.float64)


def test_predictions_may_be_images() -> None:
    network = Network([Conv2D(2, 3)], input_shape=(1, 5, 5), seed=0)
    x = np.random.default_rng(0).normal(size=(7, 1, 5, 5))
    np.testing.assert_array_equal(
        predict(network, x, 2), np.concatenate([network.infer(x[i : i + 2]) for i in range(0, 7, 2)])
    )


def test_pixels_are_divided_by_255(network: Network) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 1, 5, 5)).astype(np.uint8)
    np.testing.assert_array_equal(predict(network, pixels), predict(network, pixels / 255))
    loss, y = SoftmaxCategoricalCrossentropy(), np.zeros(6, int)
    figures = [evaluate(network, Objective(network, loss), Samples(x, y)) for x in (pixels, pixels / 255)]
    assert figures[0] == figures[1]


def test_memory_is_reused_only_meanwhile(network: Network, samples: Samples) -> None:
    predict(network, samples.x, 10)
    first = network.infer(samples.x[:3])
    kept = first.copy()
    network.infer(samples.x[3:6])
    np.testing.assert_array_equal(first, kept)


def test_samples_are_not_changed(network: Network, samples: Samples) -> None:
    before = samples.x.copy()
    evaluate(network, Objective(network, SoftmaxCategoricalCrossentropy()), samples)
    predict(network, samples.x)
    np.testing.assert_array_equal(samples.x, before)


@pytest.mark.parametrize("batch_size", [None, 1, 5, 23])
@pytest.mark.parametrize("workers", [2, 3])
def test_any_number_of_workers_gives_the_same_bits(
    network: Network, samples: Samples, batch_size: Any, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "active_count", lambda: 1)  # those of the test runner keep quiet
    weighted = Samples(samples.x, samples.y, np.linspace(0, 1, 23), chosen=np.arange(22, 0, -1))
    loss = SoftmaxCategoricalCrossentropy()
    alone = predict(network, samples.x, batch_size), evaluate(network, Objective(network, loss), weighted, batch_size)
    shared = predict(network, samples.x, batch_size, workers)
    np.testing.assert_array_equal(shared, alone[0])
    assert (shared.dtype, shared.flags.c_contiguous, shared.flags.writeable) == (np.float64, True, True)
    assert evaluate(network, Objective(network, loss), weighted, batch_size, workers) == alone[1]


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")
def test_batches_are_shared_out(network: Network, samples: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    answer, here = Network.answer, []

    def counting(*arguments: Any, **options: Any) -> Any:
        here.append(1)
        time.sleep(0.02)
        return answer(*arguments, **options)

    monkeypatch.setattr(Network, "answer", counting)
    predict(network, samples.x, 1, workers=2)
    assert 2 <= len(here) < 20
    evaluate(network, Objective(network, SoftmaxCategoricalCrossentropy()), samples, 1, 2)
    assert len(here) < 40


class Root(Layer):
    """The square root, which is not a number below 0."""

    def forward(self, inputs: Any, training: bool = False) -> Any:
        with np.errstate(invalid="ignore"):
            return np.sqrt(inputs)


def test_an_answer_that_is_not_a_number_is_not_right() -> None:
    network = Network([Root()], input_shape=(2,), seed=0)
    samples = Samples(np.array([[4.0, 1.0], [-1.0, 9.0], [1.0, 9.0]], np.float32), np.array([0, 0, 0]))
    found = evaluate(network, Objective(network, SoftmaxCategoricalCrossentropy()), samples)
    assert np.isnan(found["loss"])
    assert found["accuracy"] == pytest.approx(1 / 3)
