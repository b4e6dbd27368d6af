"""Temperatures, by which the bundled model is made to say how sure it is."""

import numpy as np
import pytest
from scripts.calibration import calibrate, fit_temperature, with_temperature

import handconv as hc


def made(rng: np.random.Generator, count: int = 4000, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of four classes, and labels drawn from them before they were sharpened."""
    chances = rng.dirichlet(np.full(4, 0.4), count)
    labels = np.array([rng.choice(4, p=row) for row in chances])
    return with_temperature(chances, 1 / sharpness), labels


def test_temperature_one_changes_nothing(rng: np.random.Generator) -> None:
    chances = rng.dirichlet(np.ones(10), 5)
    np.testing.assert_allclose(with_temperature(chances, 1.0), chances, atol=1e-12)


def test_the_ranking_stays(rng: np.random.Generator) -> None:
    chances = rng.dirichlet(np.ones(10), 50)
    np.testing.assert_array_equal(with_temperature(chances, 3.0).argmax(axis=1), chances.argmax(axis=1))


def test_probabilities_stay_probabilities_where_one_is_zero() -> None:
    scaled = with_temperature(np.array([[1.0, 0.0]]), 2.0)
    assert np.isfinite(scaled).all()
    assert scaled.sum() == pytest.approx(1)


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0])
def test_the_fitted_temperature_undoes_a_sharpening(rng: np.random.Generator, sharpness: float) -> None:
    assert fit_temperature(*made(rng, sharpness=sharpness)) == pytest.approx(sharpness, rel=0.1)


def test_a_calibrated_model_answers_at_the_temperature(rng: np.random.Generator) -> None:
    model, x = hc.zoo.reference(seed=0), rng.random((5, 1, 28, 28))
    before = model.predict(x)
    calibrate(model, 0.5)
    np.testing.assert_allclose(model.predict(x), with_temperature(before, 0.5), atol=1e-6)


def test_a_model_without_scores_is_refused() -> None:
    with pytest.raises(TypeError, match="must be Dense and Softmax"):
        calibrate(hc.Sequential([hc.Dense(2), hc.Sigmoid()], input_shape=(2,)), 2.0)
