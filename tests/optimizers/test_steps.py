"""The steps of optimizers against hand-worked numbers, scalar-loop oracles and PyTorch; parts of a vector; decay."""

import math

import numpy as np
import pytest

from handconv.optimizers import SGD, Adagrad, Adam, AdamW, Lion, RMSprop
from handconv.optimizers import base as _base
from handconv.optimizers.schedules import InverseTimeDecay
from optimizer_cases import FACTORIES, ORACLES, every_optimizer, example, trained

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


def test_rmsprops_second_step_by_hand() -> None:
    # rho = 0.75; gradients 2, then 4        v: 1, 4.75
    moved = trained(RMSprop(1.0, rho=0.75, epsilon=0.5), np.array([0.0]), [np.array([2.0]), np.array([4.0])])
    assert moved[0] == pytest.approx(-2 / (1 + 0.5) - 4 / (math.sqrt(4.75) + 0.5), rel=1e-14)


def test_rmsprops_velocity_adds_up_what_is_divided_already() -> None:
    # rho = 0.75, momentum = 0.5; gradients 2, then 0        v: 1, 0.75        velocity: 2 / 1.5, 1 / 1.5
    optimizer = RMSprop(0.5, rho=0.75, momentum=0.5, epsilon=0.5)
    assert trained(optimizer, np.array([0.0]), [np.array([2.0]), np.array([0.0])])[0] == pytest.approx(-1, rel=1e-14)


def test_rmsprop_forgets_and_adagrad_does_not() -> None:
    gradients = [np.array([100.0])] + [np.array([1.0])] * 200
    for optimizer, last in ((RMSprop(1.0, rho=0.5), 1.0), (Adagrad(1.0), 1 / math.sqrt(100**2 + 200))):
        before = trained(optimizer, np.zeros(1), gradients[:-1])
        after = trained(optimizer, before, gradients[-1:])
        assert before[0] - after[0] == pytest.approx(last, rel=1e-6)


def test_adagrads_steps_by_hand() -> None:
    # gradients 3, then 4        v: 9, 25
    moved = trained(Adagrad(1.0, epsilon=0.5), np.array([0.0]), [np.array([3.0]), np.array([4.0])])
    assert moved[0] == pytest.approx(-3 / 3.5 - 4 / 5.5, rel=1e-14)


def test_lion_moves_by_exactly_the_rate() -> None:
    moved = trained(Lion(0.25, weight_decay=0), np.zeros(4), [np.array([1e-6, -1e6, 0.0, 3.0])])
    assert moved.tolist() == [-0.25, 0.25, 0.0, -0.25]


def test_lions_direction_weighs_momentum_against_the_gradient() -> None:
    # beta_1 = 0.5, beta_2 = 0.75        first gradient 4: m = 1        then 0.5·1 + 0.5·g has the sign of 1 + g
    for gradient, moved in ((-0.9, -2.0), (-1.1, 0.0)):
        optimizer = Lion(1.0, beta_1=0.5, beta_2=0.75, weight_decay=0)
        assert trained(optimizer, np.zeros(1), [np.array([4.0]), np.array([gradient])]).tolist() == [moved]
        assert optimizer.state["m"].tolist() == [0.75 + 0.25 * gradient]


def test_a_gradient_that_is_always_zero_moves_nothing() -> None:
    for name, factory in FACTORIES.items():
        if name not in {"AdamW", "Lion"}:
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

    workers = [FACTORIES[name]() for _ in range(4)]
    for worker in workers:
        worker.build(parameters, decayed)
        worker.state = workers[0].state
    for gradient in gradients:
        for worker, part in zip(
            workers, (slice(0, 100), slice(100, 613), slice(613, 613), slice(613, None)), strict=True
        ):
            worker.step(parameters, gradient, part)
    np.testing.assert_array_equal(parameters, expected)
    for vector, other in zip(whole.state.values(), workers[0].state.values(), strict=True):
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


decaying = pytest.mark.parametrize("kind", [AdamW, Lion])


@decaying
def test_what_is_told_to_decay_does_and_nothing_else(kind: type[AdamW | Lion]) -> None:
    optimizer, parameters = kind(0.1, weight_decay=0.5), np.ones(6)
    optimizer.build(parameters, [slice(0, 2), slice(4, 5)])
    optimizer.step(parameters, np.zeros(6))
    np.testing.assert_allclose(parameters, [0.95, 0.95, 1, 1, 0.95, 1], rtol=1e-15)


@decaying
def test_everything_decays_if_nothing_is_told(kind: type[AdamW | Lion]) -> None:
    parameters = np.ones(2)
    kind(0.1, weight_decay=0.5).step(parameters, np.zeros(2))
    np.testing.assert_allclose(parameters, [0.95, 0.95], rtol=1e-15)


@decaying
def test_nothing_may_decay(kind: type[AdamW | Lion]) -> None:
    optimizer, parameters = kind(0.1, weight_decay=0.5), np.ones(2)
    optimizer.build(parameters, [])
    optimizer.step(parameters, np.zeros(2))
    assert parameters.tolist() == [1, 1]


@decaying
def test_a_piece_that_parts_cut_decays_once_a_step(kind: type[AdamW | Lion]) -> None:
    parameters = np.ones(6)
    for part in (slice(0, 1), slice(1, 3), slice(3, 6)):
        optimizer = kind(0.1, weight_decay=0.5)
        optimizer.build(parameters, [slice(0, 2), slice(4, 5)])
        optimizer.step(parameters, np.zeros(6), part)
    np.testing.assert_allclose(parameters, [0.95, 0.95, 1, 1, 0.95, 1], rtol=1e-15)


@decaying
def test_the_decay_follows_the_schedule(kind: type[AdamW | Lion]) -> None:
    optimizer, parameters = kind(InverseTimeDecay(0.2, 1.0), weight_decay=0.5), np.ones(1)
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


# Parity with PyTorch: 200 steps down a bowl that is a hundred times steeper one way than another, with noise


PYTORCH = {
    "SGD": lambda torch, p: torch.optim.SGD(p, lr=0.05),
    "SGD with momentum": lambda torch, p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "SGD with Nesterov momentum": lambda torch, p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "Adam": lambda torch, p: torch.optim.Adam(p, lr=0.05, betas=(0.8, 0.99), eps=1e-3),
    "AdamW": lambda torch, p: torch.optim.AdamW(p, lr=0.05, betas=(0.8, 0.99), eps=1e-3, weight_decay=0.1),
    "RMSprop": lambda torch, p: torch.optim.RMSprop(p, lr=0.05, alpha=0.8, eps=1e-3),
    "RMSprop with momentum": lambda torch, p: torch.optim.RMSprop(p, lr=0.05, alpha=0.8, eps=1e-3, momentum=0.9),
    "Adagrad": lambda torch, p: torch.optim.Adagrad(p, lr=0.05, eps=1e-3),
}


def test_pytorch_has_all_optimizers_but_lion() -> None:
    assert set(FACTORIES) - set(PYTORCH) == {"Lion"}


@pytest.mark.parametrize("name", PYTORCH)
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
