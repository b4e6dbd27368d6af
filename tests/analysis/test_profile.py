"""Profiles: their rows add up, their products are those of the layers, and the model is as it was before."""

import numpy as np
import pytest

import handconv as hc
from handconv.analysis import Profile, profile_step
from handconv.analysis.profile import step_products

SAMPLES = 32


@pytest.fixture
def samples(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.random((SAMPLES, 1, 28, 28), dtype=np.float32), np.arange(SAMPLES) % 10


@pytest.fixture
def profile(samples: tuple[np.ndarray, np.ndarray]) -> Profile:
    return profile_step(hc.zoo.reference(), *samples, 16, passes=2)


def test_the_rows_add_up_to_the_step(profile: Profile) -> None:
    assert sum(row.seconds for row in profile.rows) == pytest.approx(profile.seconds)
    assert all(row.seconds >= 0 for row in profile.rows)


def test_the_floor_is_the_sum_of_the_products_alone(profile: Profile) -> None:
    assert profile.floor == pytest.approx(sum(row.floor for row in profile.rows))
    assert profile.share == profile.floor / profile.seconds
    assert all((row.floor > 0) == (row.multiply_adds > 0) for row in profile.rows)


def test_every_op_has_both_directions(profile: Profile) -> None:
    titles = [(row.name, row.direction) for row in profile.rows if row.name[0].isdigit()]
    forward = [name for name, direction in titles if direction == "forward"]
    assert forward[0] == "0 Conv2D + LeakyReLU + MaxPool2D"
    assert sorted(forward) == sorted(name for name, direction in titles if direction == "backward")


def test_the_table_names_every_row_and_the_share_of_the_floor(profile: Profile) -> None:
    table = str(profile)
    assert all(row.name in table for row in profile.rows)
    assert " ".join(table.split()).endswith("% of them the arithmetic floor")


def test_it_is_shown_in_short_and_as_a_table_in_a_notebook(profile: Profile) -> None:
    assert repr(profile).startswith(f"<profile of a step in {len(profile.rows)} parts; one process, batches of ")
    assert profile._repr_html_().count("<tr>") == len(profile.rows) + 2
    assert profile._repr_html_().endswith(f"<p>{profile.conclusion}</p>")


def test_the_forward_products_of_unfused_layers_are_the_multiply_adds_of_the_summary(
    samples: tuple[np.ndarray, np.ndarray],
) -> None:
    layers = [layer.copy() for layer in hc.zoo.reference().layers]
    model = hc.Sequential(layers, input_shape=(1, 28, 28), seed=0, fuse=False)
    products = step_products(model, *samples, batch_size=16)
    forward = sum(product.multiply_adds for product in products if product.label[1] == "forward")
    assert forward == 16 * model.summary().multiply_adds


def test_fused_ops_leave_out_what_the_pooling_drops(samples: tuple[np.ndarray, np.ndarray]) -> None:
    model = hc.zoo.reference()
    products = step_products(model, *samples, batch_size=16)
    forward = sum(product.multiply_adds for product in products if product.label[1] == "forward")
    dropped = (26 * 26 - 24 * 24) * 8 * 9 + (11 * 11 - 10 * 10) * 16 * 8 * 9
    assert forward == 16 * (model.summary().multiply_adds - dropped)


def test_parameters_layers_and_numpy_are_as_they_were(samples: tuple[np.ndarray, np.ndarray]) -> None:
    model, matmul = hc.zoo.reference(), np.matmul
    before = model.parameters.copy()
    profile_step(model, *samples, 16, passes=1)
    assert np.array_equal(model.parameters, before)
    assert np.matmul is matmul
    assert not any({"forward", "backward"} & set(vars(layer)) for layer in model.layers)


def test_fewer_samples_than_a_batch_are_refused(samples: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="at least one batch of 64 samples, got 32"):
        profile_step(hc.zoo.reference(), *samples, 64)


@pytest.mark.parametrize("name", ["steps", "passes", "batch_size"])
def test_a_profile_is_of_at_least_one_step_and_pass(name: str) -> None:
    model = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(3,), seed=0)
    with pytest.raises(ValueError, match=rf"^{name} must be a whole number of at least 1, got 0\.$"):
        profile_step(model, np.ones((8, 3)), np.arange(8) % 2, **{"batch_size": 4, name: 0})


def test_a_model_is_as_it_was_after_steps_that_failed() -> None:
    model = hc.Sequential([hc.BatchNorm(), hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
    before = model.parameters.copy(), model.buffers.copy()
    with pytest.raises(hc.DivergenceError):
        profile_step(model, np.full((10, 4), 1e38), np.arange(10) % 3, batch_size=5)
    np.testing.assert_array_equal(model.parameters, before[0])
    np.testing.assert_array_equal(model.buffers, before[1])


def test_samples_are_checked_as_fit_checks_them(samples: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = samples
    with pytest.raises(ValueError, match="x must be finite, got NaN or infinity"):
        profile_step(hc.zoo.reference(), np.where(x > 0, np.nan, x), y)
