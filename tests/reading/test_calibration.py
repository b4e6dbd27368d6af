"""Temperatures, and how far confidence and accuracy are apart."""

import numpy as np
import pytest

from handconv.reading.calibration import expected_calibration_error, fit_temperature, with_temperature


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


def test_overconfidence_is_measured(rng: np.random.Generator) -> None:
    honest, sharp = made(rng), made(rng, sharpness=3)
    assert expected_calibration_error(*honest) < 0.03
    assert expected_calibration_error(*sharp) > 0.08


def test_certainty_that_is_always_right_has_no_error() -> None:
    assert expected_calibration_error(np.eye(3), np.arange(3)) == 0
