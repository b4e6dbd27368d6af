"""Optimizers against hand-worked numbers, scalar-loop oracles and PyTorch; state, parts, checkpoints, messages."""

import json
import math
import tracemalloc

import numpy as np
import pytest

import oracles
from handconv.optimizers import OPTIMIZERS, SGD, Adam, AdamW, Optimizer, _base, from_config
from handconv.schedules import CosineDecay, InverseTimeDecay, StepDecay

FACTORIES = {
    "SGD": lambda: SGD(0.05),
    "SGD with momentum": lambda: SGD(0.05, momentum=0.9),
    "SGD with Nesterov momentum": lambda: SGD(0.05, momentum=0.9, nesterov=True),
    "Adam": lambda: Adam(0.05, beta_1=0.8, beta_2=0.99, epsilon=1e-3),
    "AdamW": lambda: AdamW(0.05, beta_1=0.8, beta_2=0.99, epsilon=1e-3, weight_decay=0.1),
}
ORACLES = {
    "SGD": lambda p, g: oracles.sgd(p, g, learning_rate=0.05),
    "SGD with momentum": lambda p, g: oracles.sgd(p, g, learning_rate=0.05, momentum=0.9),
    "SGD with Nesterov momentum": lambda p, g: oracles.sgd(p, g, learning_rate=0.05, momentum=0.9, nesterov=True),
    "Adam": lambda p, g: oracles.adam(p, g, learning_rate=0.05, beta1=0.8, beta2=0.99, epsilon=1e-3),
    "AdamW": lambda p, g: oracles.adam(p, g, learning_rate=0.05, beta1=0.8, beta2=0.99, epsilon=1e-3, weight_decay=0.1),
}

every_optimizer = pytest.mark.parametrize("name", FACTORIES)


def example(rng: np.random.Generator, size: int = 17, steps: int = 25, dtype: type = np.float64):
    """Parameters, and a gradient for each step: of very different sizes, one of them always zero."""
    scales = 10.0 ** rng.integers(-4, 4, size)
    scales[0] = 0
    return rng.standard_normal(size).astype(dtype), [
        (scales * rng.standard_normal(size)).astype(dtype) for _ in range(steps)
    ]


def trained(optimizer: Optimizer, parameters: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
    parameters = parameters.copy()
    for gradient in gradients:
        optimizer.step(parameters, gradient)
    return parameters


# Numbers worked by hand


def test_sgd_goes_down_the_slope() -> None:
    assert trained(SGD(0.5), np.array([1.0]), [np.array([2.0])] * 2).tolist() == [-1.0]


def test_momentum_adds_up() -> None:
    # velocity 2, 3, 3.5; the parameter moves by half of each
    assert trained(SGD(0.5, momentum=0.5), np.array([1.0]), [np.array([2.0])] * 3).tolist() == [1 - 0.5 * 8.5]


def test_nesterov_looks_one_step_ahead() -> None:
    # velocity 2, 3; the parameter moves by half of 2 + 0.5 · 2, then by half of 2 + 0.5 · 3
    optimizer = SGD(0.5, momentum=0.5, nesterov=True)
    assert trained(optimizer, np.array([1.0]), [np.array([2.0])] * 2).tolist() == [1 - 0.5 * 6.5]


def test_adams_first_step_is_the_learning_rate_whatever_the_gradient() -> None:
    gradient = np.array([1e-3, -1.0, 1e6])
    moved = trained(Adam(0.1, epsilon=1e-12), np.zeros(3), [gradient])
    np.testing.assert_allclose(moved, [-0.1, 0.1, -0.1], rtol=1e-8)


def test_adams_second_step_by_hand() -> None:
    # beta_1 = 0.5, beta_2 = 0.75; gradients 1, then 3
    # m: 0.5, 1.75; m_hat: 1, 7/3       v: 0.25, 2.4375; v_hat: 1, 39/7
    parameters = trained(Adam(1.0, 0.5, 0.75, epsilon=0.5), np.array([0.0]), [np.array([1.0]), np.array([3.0])])
    assert parameters[0] == pytest.approx(-1 / (1 + 0.5) - (7 / 3) / (math.sqrt(39 / 7) + 0.5), rel=1e-14)


def test_epsilon_is_added_to_the_corrected_root() -> None:
    moved = trained(Adam(1.0, epsilon=3.0), np.array([0.0]), [np.array([1.0])])
    assert moved[0] == pytest.approx(-1 / (1 + 3), rel=1e-14)


def test_adams_state_is_the_m_and_v_of_the_paper() -> None:
    optimizer = Adam(0.1, beta_1=0.5, beta_2=0.75)
    trained(optimizer, np.array([0.0]), [np.array([1.0]), np.array([3.0])])
    assert optimizer.state["m"].tolist() == [1.75]
    assert optimizer.state["v"].tolist() == [2.4375]


def test_a_gradient_that_is_always_zero_moves_nothing() -> None:
    for name, factory in FACTORIES.items():
        if name != "AdamW":
            assert trained(factory(), np.array([1.5]), [np.array([0.0])] * 5).tolist() == [1.5]


# Oracles


@every_optimizer
def test_steps_are_those_of_the_oracle(name: str, rng: np.random.Generator) -> None:
    parameters, gradients = example(rng)
    expected = ORACLES[name](parameters, gradients)
    np.testing.assert_allclose(trained(FACTORIES[name](), parameters, gradients), expected, rtol=1e-12, atol=1e-13)


@every_optimizer
def test_float32_steps_follow_the_oracle(name: str, rng: np.random.Generator) -> None:
    parameters, gradients = example(rng, dtype=np.float32)
    expected = ORACLES[name](parameters, gradients)
    moved = trained(FACTORIES[name](), parameters, gradients)
    assert moved.dtype == np.float32
    np.testing.assert_allclose(moved, expected, rtol=2e-5, atol=2e-6)


@every_optimizer
def test_a_vector_of_many_blocks_is_moved_like_one_of_one(
    name: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters, gradients = example(rng, steps=3)
    expected = trained(FACTORIES[name](), parameters, gradients)
    for block in (1, 4, 16, 17, 18):
        monkeypatch.setattr(_base, "BLOCK", block)
        np.testing.assert_array_equal(trained(FACTORIES[name](), parameters, gradients), expected)


# Parts


@every_optimizer
def test_parts_make_up_the_same_step_to_the_bit(name: str, rng: np.random.Generator) -> None:
    """Each of several processes has an optimizer of its own, and moves its part of vectors that they share."""
    parameters, gradients = example(rng, size=1001, dtype=np.float32)
    decayed = [slice(3, 400), slice(500, 800)]
    whole = FACTORIES[name]()
    whole.build(parameters, decayed)
    expected = trained(whole, parameters, gradients)

    shared: dict[int, np.ndarray] = {}
    workers = [FACTORIES[name]() for _ in range(4)]
    for worker in workers:
        count = iter(range(10))
        worker.build(
            parameters, decayed, lambda shape, dtype, n=count: shared.setdefault(next(n), np.zeros(shape, dtype))
        )
    for gradient in gradients:
        for worker, part in zip(
            workers, (slice(0, 100), slice(100, 613), slice(613, 613), slice(613, None)), strict=True
        ):
            worker.step(parameters, gradient, part)
    np.testing.assert_array_equal(parameters, expected)
    for vector, other in zip(whole.state.values(), shared.values(), strict=True):
        np.testing.assert_array_equal(vector, other)
    assert [worker.iterations for worker in workers] == [25] * 4


@every_optimizer
def test_a_step_on_a_part_leaves_the_rest_alone(name: str, rng: np.random.Generator) -> None:
    parameters, (gradient, *_) = example(rng)
    before = parameters.copy()
    optimizer = FACTORIES[name]()
    optimizer.step(parameters, gradient, slice(5, 9))
    untouched = np.r_[0:5, 9:17]
    np.testing.assert_array_equal(parameters[untouched], before[untouched])
    assert (parameters[5:9] != before[5:9]).all()
    for vector in optimizer.state.values():
        assert not vector[untouched].any()


# Weight decay


def test_adamw_decays_what_it_is_told_to_and_nothing_else() -> None:
    optimizer, parameters = AdamW(0.1, weight_decay=0.5), np.ones(6)
    optimizer.build(parameters, [slice(0, 2), slice(4, 5)])
    optimizer.step(parameters, np.zeros(6))
    np.testing.assert_allclose(parameters, [0.95, 0.95, 1, 1, 0.95, 1], rtol=1e-15)


def test_adamw_decays_everything_if_nothing_is_told() -> None:
    parameters = np.ones(2)
    AdamW(0.1, weight_decay=0.5).step(parameters, np.zeros(2))
    np.testing.assert_allclose(parameters, [0.95, 0.95], rtol=1e-15)


def test_adamw_may_decay_nothing() -> None:
    optimizer, parameters = AdamW(0.1, weight_decay=0.5), np.ones(2)
    optimizer.build(parameters, [])
    optimizer.step(parameters, np.zeros(2))
    assert parameters.tolist() == [1, 1]


def test_adamw_decays_once_a_step_where_parts_cut_a_piece() -> None:
    parameters = np.ones(6)
    for part in (slice(0, 1), slice(1, 3), slice(3, 6)):
        optimizer = AdamW(0.1, weight_decay=0.5)
        optimizer.build(parameters, [slice(0, 2), slice(4, 5)])
        optimizer.step(parameters, np.zeros(6), part)
    np.testing.assert_allclose(parameters, [0.95, 0.95, 1, 1, 0.95, 1], rtol=1e-15)


def test_the_decay_follows_the_schedule() -> None:
    optimizer, parameters = AdamW(InverseTimeDecay(0.2, 1.0), weight_decay=0.5), np.ones(1)
    optimizer.step(parameters, np.zeros(1))
    optimizer.step(parameters, np.zeros(1))
    assert parameters[0] == pytest.approx((1 - 0.1) * (1 - 0.05))


def test_decoupled_decay_is_not_a_penalty() -> None:
    """The gradient of a penalty goes through m and v, decay does not."""
    gradients = [np.array([0.1]), np.array([-0.3])]
    coupled, decoupled = np.array([2.0]), np.array([2.0])
    adam, adamw = Adam(0.1), AdamW(0.1, weight_decay=0.5)
    for gradient in gradients:
        adam.step(coupled, gradient + 0.5 * coupled)
        adamw.step(decoupled, gradient)
    assert abs(coupled[0] - decoupled[0]) > 0.01


# State


@every_optimizer
def test_a_step_moves_in_place_and_leaves_the_gradients_alone(name: str, rng: np.random.Generator) -> None:
    parameters, (gradient, *_) = example(rng)
    view, before, gradient_before = parameters[:], parameters.copy(), gradient.copy()
    FACTORIES[name]().step(parameters, gradient)
    assert (view[1:] != before[1:]).all()
    np.testing.assert_array_equal(gradient, gradient_before)


@every_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_state_has_the_shape_and_dtype_of_the_parameters(name: str, dtype: type) -> None:
    optimizer = FACTORIES[name]()
    asked: list[tuple[tuple[int, ...], np.dtype]] = []

    def allocate(shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
        asked.append((shape, kind))
        return np.zeros(shape, kind)

    optimizer.build(np.ones(5, dtype), allocate=allocate)
    expected = {"SGD": []}.get(name, ["velocity"] if name.startswith("SGD") else ["m", "v"])
    assert list(optimizer.state) == expected
    assert asked == [((5,), np.dtype(dtype))] * len(expected)
    assert all(vector.dtype == dtype and not vector.any() for vector in optimizer.state.values())


@every_optimizer
def test_state_lives_from_step_to_step_and_steps_are_counted(name: str, rng: np.random.Generator) -> None:
    parameters, gradients = example(rng)
    optimizer = FACTORIES[name]()
    assert not optimizer.built
    assert optimizer.iterations == 0
    optimizer.step(parameters, gradients[0])
    vectors = dict(optimizer.state)
    optimizer.step(parameters, gradients[1])
    assert optimizer.built
    assert optimizer.iterations == 2
    assert all(optimizer.state[key] is vector for key, vector in vectors.items())


@every_optimizer
def test_building_again_starts_anew(name: str, rng: np.random.Generator) -> None:
    parameters, gradients = example(rng)
    optimizer = FACTORIES[name]()
    first = trained(optimizer, parameters, gradients)
    optimizer.build(parameters)
    assert optimizer.iterations == 0
    np.testing.assert_array_equal(trained(optimizer, parameters, gradients), first)


@every_optimizer
def test_a_training_resumed_from_its_state_goes_on_to_the_bit(name: str, rng: np.random.Generator) -> None:
    parameters, gradients = example(rng, dtype=np.float32)
    expected = trained(FACTORIES[name](), parameters, gradients)

    first = FACTORIES[name]()
    parameters = trained(first, parameters, gradients[:10])
    saved, config = first.state_dict(), json.loads(json.dumps(first.config()))
    trained(first, parameters, gradients)  # what is saved are copies
    second = from_config(config)
    second.build(parameters)
    vectors = dict(second.state)
    second.load_state_dict(saved)
    assert second.iterations == 10
    assert all(second.state[key] is vector for key, vector in vectors.items())  # it may be shared memory
    np.testing.assert_array_equal(trained(second, parameters, gradients[10:]), expected)


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing() -> None:
    optimizer = Adam()
    optimizer.build(np.ones(3))
    for state in (
        {},
        {"m": np.ones(3), "iterations": np.array(1)},
        {"m": np.ones(3), "v": np.ones(4), "iterations": np.array(1)},
        {"m": np.ones(3), "v": np.ones(3)},
        {"m": np.ones(3), "v": np.ones(3), "iterations": np.ones(3)},
        {"m": np.ones(3), "v": np.ones(3), "velocity": np.ones(3), "iterations": np.array(1)},
    ):
        with pytest.raises(ValueError, match=r"Adam expects a state of \{'m': \(3,\), .*after build\(parameters\)\."):
            optimizer.load_state_dict(state)
    assert not optimizer.state["m"].any()
    assert optimizer.iterations == 0


@every_optimizer
def test_steps_make_no_new_vectors(name: str) -> None:
    parameters, gradient = np.ones(40_000, np.float32), np.full(40_000, 0.5, np.float32)
    optimizer = FACTORIES[name]()
    optimizer.step(parameters, gradient)
    tracemalloc.start()
    optimizer.step(parameters, gradient)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < parameters.nbytes / 4


# Learning rates


def test_the_learning_rate_may_change_between_steps() -> None:
    optimizer, parameters = SGD(0.5), np.array([1.0])
    optimizer.step(parameters, np.array([1.0]))
    optimizer.learning_rate = 0.25
    optimizer.step(parameters, np.array([1.0]))
    assert parameters.tolist() == [0.25]
    assert optimizer.current_learning_rate == 0.25


def test_a_schedule_is_asked_with_the_steps_that_are_done() -> None:
    optimizer, parameters = SGD(StepDecay(1.0, 0.5, (0.5,))), np.array([0.0])
    optimizer.total_steps = 4
    rates = []
    for _ in range(4):
        rates.append(optimizer.current_learning_rate)
        optimizer.step(parameters, np.array([1.0]))
    assert rates == [1.0, 1.0, 0.5, 0.5]
    assert parameters.tolist() == [-3.0]


def test_a_step_that_has_no_learning_rate_is_not_counted() -> None:
    optimizer = Adam(CosineDecay(0.1))
    with pytest.raises(ValueError, match=r"CosineDecay needs to know how many steps"):
        optimizer.step(np.ones(1), np.ones(1))
    assert optimizer.iterations == 0


def test_numpy_numbers_become_plain_ones() -> None:
    assert json.dumps(SGD(np.float32(0.5)).config()) == json.dumps(SGD(0.5).config())  # type: ignore[arg-type]


# Configurations


def test_the_defaults_are_the_usual_ones() -> None:
    adam = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
    assert SGD().config() == {"name": "SGD", "learning_rate": 0.01, "momentum": 0.0, "nesterov": False}
    assert Adam().config() == {"name": "Adam"} | adam
    assert AdamW().config() == {"name": "AdamW"} | adam | {"weight_decay": 0.01}


@every_optimizer
def test_a_config_survives_json_and_makes_the_same_optimizer(name: str) -> None:
    optimizer = FACTORIES[name]()
    again = from_config(json.loads(json.dumps(optimizer.config())))
    assert type(again) is type(optimizer)
    assert again.config() == optimizer.config()
    assert repr(again) == repr(optimizer)


def test_a_config_holds_the_schedule() -> None:
    again = from_config(json.loads(json.dumps(AdamW(CosineDecay(0.1, 0.01)).config())))
    assert again.learning_rate == CosineDecay(0.1, 0.01)


def test_every_optimizer_has_an_example_here() -> None:
    assert {type(factory()).__name__ for factory in FACTORIES.values()} == set(OPTIMIZERS)


def test_an_unknown_name_gets_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"An optimizer must be one of SGD, Adam, AdamW; got 'adam'\."):
        from_config({"name": "adam"})


def test_repr_shows_the_arguments() -> None:
    assert repr(SGD(0.1, momentum=0.9)) == "SGD(learning_rate=0.1, momentum=0.9, nesterov=False)"


# Wrong arguments


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(0), r"SGD: learning_rate must be a number above 0, got 0\."),
        (lambda: Adam(-1e-3), r"Adam: learning_rate must be a number above 0, got -0\.001\."),
        (lambda: Adam(math.nan), r"Adam: learning_rate must be a number above 0, got nan\."),
        (lambda: Adam(math.inf), r"Adam: learning_rate must be a number above 0, got inf\."),
        (lambda: Adam("fast"), r"Adam: learning_rate must be a number above 0, got 'fast'\."),
        (lambda: SGD(0.1, momentum=1), r"SGD: momentum must be a number of at least 0 and below 1, got 1\."),
        (lambda: SGD(0.1, momentum=-0.1), r"SGD: momentum must be a number of at least 0 and below 1, got -0\.1\."),
        (lambda: SGD(0.1, nesterov=True), r"SGD: nesterov needs momentum above 0, got 0\.0\. Set momentum=0\.9\."),
        (lambda: Adam(beta_1=1), r"Adam: beta_1 must be a number of at least 0 and below 1, got 1\."),
        (lambda: Adam(beta_1=-0.1), r"Adam: beta_1 must be a number of at least 0 and below 1, got -0\.1\."),
        (lambda: Adam(beta_2=1), r"Adam: beta_2 must be a number of at least 0 and below 1, got 1\."),
        (lambda: Adam(beta_2=-0.1), r"Adam: beta_2 must be a number of at least 0 and below 1, got -0\.1\."),
        (lambda: Adam(epsilon=0), r"Adam: epsilon must be a number above 0, got 0\."),
        (lambda: AdamW(weight_decay=-1), r"AdamW: weight_decay must be a number of at least 0, got -1\."),
    ],
)
def test_an_argument_out_of_range_is_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_the_ends_of_the_ranges_are_allowed() -> None:
    gradient = [np.array([-0.5])]
    assert trained(AdamW(1.0, 0, 0, weight_decay=0), np.array([1.0]), gradient)[0] == pytest.approx(2.0, abs=1e-6)


def test_a_learning_rate_set_later_is_checked_too() -> None:
    optimizer = Adam()
    with pytest.raises(ValueError, match=r"Adam: learning_rate must be a number above 0, got 0\."):
        optimizer.learning_rate = 0
    assert optimizer.learning_rate == 1e-3


@pytest.mark.parametrize("vectors", [([1.0], np.ones(1)), (np.ones(1), [1.0]), (1.0, None)])
def test_a_step_is_done_on_arrays_alone(vectors: tuple) -> None:
    with pytest.raises(TypeError, match=r"SGD works in place on NumPy arrays, got (list|float)\. Use np\.array"):
        SGD(0.1).step(*vectors)
    with pytest.raises(TypeError, match="Adam works in place on NumPy arrays, got list"):
        Adam().build([1.0])


def test_what_is_no_config_and_no_state_is_told() -> None:
    with pytest.raises(TypeError, match=r"made of what its config\(\) returned, got 'Adam'"):
        from_config("Adam")
    adam = Adam()
    adam.build(np.ones(2))
    with pytest.raises(TypeError, match=r"Adam expects a state by name, as state_dict\(\) returns it, got 3"):
        adam.load_state_dict(3)


def test_parameters_must_be_one_flat_vector() -> None:
    message = r"Adam expects one flat vector of parameters, got shape \(2, 3\)\. Use x\.reshape\(-1\)\."
    with pytest.raises(ValueError, match=message):
        Adam().build(np.ones((2, 3)))


@pytest.mark.parametrize(("parameters", "gradients"), [(4, 4), (3, 4), (4, 3)])
def test_vectors_of_another_size_are_refused(parameters: int, gradients: int) -> None:
    optimizer = Adam()
    optimizer.build(np.ones(3))
    message = (
        rf"built for vectors of shape \(3,\), got parameters \({parameters},\) and gradients \({gradients},\)\. Call"
    )
    with pytest.raises(ValueError, match=message):
        optimizer.step(np.ones(parameters), np.ones(gradients))


# Parity with PyTorch: 200 steps down a bowl that is a hundred times steeper one way than another, with noise


PYTORCH = {
    "SGD": lambda torch, p: torch.optim.SGD(p, lr=0.05),
    "SGD with momentum": lambda torch, p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "SGD with Nesterov momentum": lambda torch, p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "Adam": lambda torch, p: torch.optim.Adam(p, lr=0.05, betas=(0.8, 0.99), eps=1e-3),
    "AdamW": lambda torch, p: torch.optim.AdamW(p, lr=0.05, betas=(0.8, 0.99), eps=1e-3, weight_decay=0.1),
}


@every_optimizer
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-4), (np.float64, 1e-10)])
def test_parity_with_pytorch_over_200_steps(name: str, dtype: type, tolerance: float, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: make parity installs it")
    start = rng.standard_normal(50).astype(dtype)
    steepness = np.geomspace(0.05, 5, 50).astype(dtype)
    noise = 0.1 * rng.standard_normal((200, 50)).astype(dtype)

    theirs = torch.tensor(start, requires_grad=True)
    their_optimizer = PYTORCH[name](torch, [theirs])
    ours, our_optimizer = start.copy(), FACTORIES[name]()
    for step in range(200):
        their_optimizer.zero_grad()
        (0.5 * torch.tensor(steepness) * theirs**2 + torch.tensor(noise[step]) * theirs).sum().backward()
        their_optimizer.step()
        our_optimizer.step(ours, steepness * ours + noise[step])

    difference = np.abs(ours - theirs.detach().numpy()).max() / np.abs(ours).max()
    assert difference <= tolerance
    assert np.abs(ours - start).max() > 0.1
