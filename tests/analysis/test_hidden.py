"""The last hidden layer and its principal components."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.analysis.hidden import last_hidden, principal_components
from handconv.analysis.histograms import Histograms, loss_gradients


def model() -> hc.Sequential:
    return hc.Sequential([hc.Dense(4), hc.Tanh(), hc.Dense(3), hc.Softmax()], input_shape=(2,), seed=0, dtype="float64")


def test_the_last_hidden_layer_is_what_the_last_dense_layer_gets(rng: np.random.Generator) -> None:
    x, network = rng.random((5, 2)), model()
    np.testing.assert_allclose(last_hidden(network, x), np.tanh(x @ network.layers[0].weights))


def test_components_are_the_eigenvectors_of_the_covariance(rng: np.random.Generator) -> None:
    values = rng.normal(size=(40, 5)) * [5, 3, 1, 1, 1]
    places, share = principal_components(values)
    variances = np.sort(np.linalg.eigvalsh(np.cov(values.T)))[::-1]
    np.testing.assert_allclose(places.var(axis=0, ddof=1), variances[:2])
    np.testing.assert_allclose(share, variances[:2] / variances.sum())
    assert np.corrcoef(places.T)[0, 1] == pytest.approx(0, abs=1e-12)


def test_samples_that_are_all_the_same_have_no_direction() -> None:
    assert principal_components(np.ones((3, 2)))[1].tolist() == [0, 0]


def test_too_few_samples_and_models_without_a_hidden_layer_are_told() -> None:
    with pytest.raises(ValueError, match="2 directions need at least 2 samples"):
        principal_components(np.ones((1, 4)))
    with pytest.raises(ValueError, match="this model has none"):
        last_hidden(hc.Sequential([hc.Dense(2)], input_shape=(2,), seed=0), np.ones((1, 2)))


def test_gradients_of_the_loss_equal_central_differences(rng: np.random.Generator) -> None:
    network, x, y, step = model(), rng.random((6, 2)), np.arange(6) % 3, 1e-6
    found = loss_gradients(network, x, y)["0.weights"]
    for place in np.ndindex(2, 4):
        losses = []
        for change in (step, -2 * step):
            network.layers[0].weights[place] += change
            losses.append(network.evaluate(x, y)["loss"])
        network.layers[0].weights[place] += step
        assert found[place] == pytest.approx((losses[0] - losses[1]) / (2 * step), abs=1e-8)


def test_class_numbers_out_of_range_have_no_gradient() -> None:
    with pytest.raises(ValueError, match="class numbers must be from 0 to 2"):
        loss_gradients(model(), np.ones((2, 2)), [0, 3])


class OwnSoftmax(hc.Softmax):
    def forward(self, inputs: Any, training: bool = False) -> Any:
        return super().forward(inputs, training)


@pytest.mark.parametrize("kind", [hc.Softmax, OwnSoftmax])
def test_gradients_of_the_loss_are_those_of_the_probabilities_whose_ever_the_softmax_is(kind: Any) -> None:
    network = hc.Sequential([hc.Dense(3), kind()], input_shape=(2,), seed=0, dtype="float64")
    x, y = np.random.default_rng(0).normal(size=(6, 2)), np.arange(6) % 3
    expected = x.T @ (network.predict(x) - np.eye(3)[y]) / 6
    np.testing.assert_allclose(loss_gradients(network, x, y)["0.weights"], expected, rtol=1e-9)


def test_gradients_of_the_loss_of_yes_or_no() -> None:
    network = hc.Sequential([hc.Dense(1), hc.Sigmoid()], input_shape=(2,), seed=0, dtype="float64")
    x, y = np.random.default_rng(0).normal(size=(6, 2)), np.arange(6) % 2
    expected = x.T @ (network.predict(x) - y[:, None]) / 6
    np.testing.assert_allclose(loss_gradients(network, x, y)["0.weights"], expected, rtol=1e-9)


@pytest.mark.parametrize("workers", [1, 2])
def test_each_epoch_keeps_a_histogram_of_weights_and_of_the_last_gradient(workers: int) -> None:
    kept, network, x = Histograms(), model(), np.linspace(-1, 1, 24).reshape(12, 2)
    network.fit(x, np.arange(12) % 3, epochs=2, batch_size=4, callbacks=[kept], workers=workers)
    assert set(kept.weights) == set(kept.gradients) == {"0.weights", "2.weights"}
    last = kept.weights["0.weights"][-1]
    assert len(kept.weights["0.weights"]) == 2
    assert last.counts.sum() == 8
    assert (last.edges[0], last.edges[-1]) == (network.layers[0].weights.min(), network.layers[0].weights.max())
    assert kept.gradients["2.weights"][0].edges[0] < 0 < kept.gradients["2.weights"][0].edges[-1]


class Stopping(hc.Callback):
    """Ends a training early."""

    def __init__(self, after: int) -> None:
        self.after = after

    def on_epoch_end(self, run: Any, figures: Any) -> bool:
        return bool(figures["epoch"] == self.after)


def test_histograms_are_saved_with_a_run_and_go_on_when_it_is_resumed(tmp_path: Path) -> None:
    x, y, path = np.linspace(-1, 1, 24).reshape(12, 2), np.arange(12) % 2, tmp_path / "run.npz"
    whole, first, second = Histograms(20), Histograms(20), Histograms(20)
    model().fit(x, y, epochs=3, callbacks=[whole])
    model().fit(x, y, epochs=3, callbacks=[first, Stopping(after=2), hc.Checkpoint(path)])
    assert Histograms.read(path).weights.keys() == whole.weights.keys()  # type: ignore[union-attr]
    model().fit(x, y, epochs=3, callbacks=[second, hc.Checkpoint(path)], resume=path)
    for found in (second, Histograms.read(path)):
        assert found is not None
        assert found.bins == 20
        for kind in ("weights", "gradients"):
            for name, series in getattr(whole, kind).items():
                again = getattr(found, kind)[name]
                assert len(again) == len(series) == 3
                for one, other in zip(series, again, strict=True):
                    np.testing.assert_array_equal(one.counts, other.counts)
                    np.testing.assert_array_equal(one.edges, other.edges)


def test_a_checkpoint_without_histograms_has_none(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    model().fit(np.zeros((4, 2)), [0, 1, 0, 1], callbacks=[hc.Checkpoint(path)])
    assert Histograms.read(path) is None


@pytest.mark.parametrize(("values", "count"), [([[1, 2], [3, np.nan]], 1), ([[1, 2], [3, 4]], 0)])
def test_directions_are_of_finite_numbers_and_at_least_one(values: list, count: int) -> None:
    with pytest.raises(ValueError, match=r"all finite|count must be a whole number of at least 1, got 0"):
        principal_components(values, count)
