"""Learning rates by step, worked by hand."""

import json
import math
from dataclasses import FrozenInstanceError, dataclass

import pytest

from handconv.optimizers.schedules import (
    SCHEDULES,
    Constant,
    CosineDecay,
    InverseTimeDecay,
    LinearWarmup,
    OneCycle,
    Schedule,
    StepDecay,
    from_config,
)

NEED_NO_TOTAL = [Constant(0.1), InverseTimeDecay(0.1, 0.01)]
NEED_THE_TOTAL = [
    StepDecay(0.1, 0.5, (0.3, 0.6)),
    CosineDecay(0.1, 0.02),
    OneCycle(0.1, 0.2, 10, 100),
    LinearWarmup(StepDecay(0.1, 0.5, (0.3, 0.6)), 0.1),
]
EXAMPLES = NEED_NO_TOTAL + NEED_THE_TOTAL


def rates(schedule: Schedule, steps: list[int], total: int | None = 100) -> list[float]:
    return [schedule(step, total) for step in steps]


def test_constant_never_changes() -> None:
    assert rates(Constant(0.1), [0, 1, 1000], None) == [0.1, 0.1, 0.1]


def test_inverse_time_decay_falls_like_one_over_the_step() -> None:
    assert rates(InverseTimeDecay(0.1, 0.5), [0, 1, 2, 8], None) == pytest.approx([0.1, 0.1 / 1.5, 0.05, 0.02])


def test_no_decay_is_a_constant_rate() -> None:
    assert rates(InverseTimeDecay(0.1, 0), [0, 99]) == [0.1, 0.1]


def test_step_decay_drops_at_its_milestones() -> None:
    schedule = StepDecay(0.8, factor=0.5, milestones=(0.3, 0.6))
    assert rates(schedule, [0, 29, 30, 59, 60, 99]) == pytest.approx([0.8, 0.8, 0.4, 0.4, 0.2, 0.2])


def test_step_decay_drops_by_ten_at_half_and_three_quarters() -> None:
    assert rates(StepDecay(1.0), [49, 50, 74, 75]) == pytest.approx([1, 0.1, 0.1, 0.01])


def test_cosine_decay_follows_half_a_cosine() -> None:
    expected = [0.02 + 0.08 * (1 + math.cos(math.pi * step / 100)) / 2 for step in (0, 10, 25, 50, 99, 100)]
    assert rates(CosineDecay(0.1, 0.02), [0, 10, 25, 50, 99, 100]) == pytest.approx(expected)
    assert rates(CosineDecay(0.1, 0.02), [0, 50, 100]) == pytest.approx([0.1, 0.06, 0.02])


def test_cosine_decay_ends_at_zero_unless_told_otherwise() -> None:
    assert CosineDecay(0.1)(100, 100) == 0
    assert CosineDecay(0.1)(99, 100) > 0


def test_one_cycle_rises_in_a_line_and_falls_along_half_a_cosine() -> None:
    schedule = OneCycle(1.0, warmup=0.2, start_divisor=10, final_divisor=100)
    assert rates(schedule, [0, 10, 20]) == pytest.approx([0.1, 0.55, 1.0])
    assert rates(schedule, [40, 60, 100]) == pytest.approx([0.01 + 0.99 * (1 + math.sqrt(0.5)) / 2, 0.505, 0.01])


def test_one_cycle_has_the_usual_defaults() -> None:
    assert rates(OneCycle(1.0), [0, 30, 100]) == pytest.approx([1 / 25, 1.0, 1e-4])


def test_one_cycle_without_warm_up_starts_at_its_peak() -> None:
    assert rates(OneCycle(1.0, warmup=0), [0, 100]) == pytest.approx([1.0, 1e-4])


def test_linear_warmup_rises_in_a_line_to_the_first_rate() -> None:
    schedule = LinearWarmup(Constant(1.0), warmup=0.04)
    assert rates(schedule, [0, 1, 2, 3, 4, 5, 99]) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1])


def test_after_the_warmup_the_other_schedule_has_the_rest_of_the_training() -> None:
    schedule, other = LinearWarmup(CosineDecay(1.0, 0.1), warmup=0.2), CosineDecay(1.0, 0.1)
    assert rates(schedule, [20, 21, 60, 100]) == [other(step, 80) for step in (0, 1, 40, 80)]


def test_a_warmup_rises_to_the_rate_with_which_the_rest_of_the_training_begins() -> None:
    class Sized(Schedule):
        def __call__(self, step: int, total_steps: int | None) -> float:
            return float(total_steps or 0)

    assert rates(LinearWarmup(Sized(), 0.2), [9, 20]) == pytest.approx([80 * 10 / 21, 80])


def test_the_steps_of_a_warmup_are_rounded() -> None:
    assert rates(LinearWarmup(Constant(1.0), 0.29), [28, 29]) == pytest.approx([29 / 30, 1])  # 0.29 · 100 < 29


def test_no_warmup_is_the_other_schedule() -> None:
    assert rates(LinearWarmup(OneCycle(1.0), 0), [0, 7, 50, 100]) == rates(OneCycle(1.0), [0, 7, 50, 100])


def test_linear_warmup_wants_a_schedule_and_not_a_number() -> None:
    with pytest.raises(
        TypeError, match=r"LinearWarmup: schedule must be a schedule, got 0\.1\. .* use Constant\(rate\)"
    ):
        LinearWarmup(0.1)  # type: ignore[arg-type]


def test_a_config_holds_the_inner_schedule_as_plain_values() -> None:
    inner = {"name": "Constant", "rate": 0.1}
    assert LinearWarmup(Constant(0.1)).config() == {"name": "LinearWarmup", "schedule": inner, "warmup": 0.05}


@pytest.mark.parametrize("schedule", NEED_THE_TOTAL)
def test_training_on_beyond_the_end_keeps_the_last_rate(schedule: Schedule) -> None:
    assert schedule(101, 100) == schedule(100, 100)
    assert schedule(500, 100) == schedule(100, 100)


@pytest.mark.parametrize("schedule", EXAMPLES)
def test_a_training_of_one_step_or_none_has_a_rate(schedule: Schedule) -> None:
    assert schedule(0, 1) > 0
    assert schedule(0, 0) > 0


@pytest.mark.parametrize("schedule", NEED_THE_TOTAL)
def test_a_schedule_that_needs_the_total_says_so(schedule: Schedule) -> None:
    message = rf"{type(schedule).__name__} needs to know how many steps .* set optimizer\.total_steps"
    with pytest.raises(ValueError, match=message):
        schedule(0, None)


@pytest.mark.parametrize("schedule", EXAMPLES)
def test_a_config_survives_json_and_makes_the_same_schedule(schedule: Schedule) -> None:
    assert from_config(json.loads(json.dumps(schedule.config()))) == schedule


@pytest.mark.parametrize("schedule", EXAMPLES)
def test_a_schedule_cannot_be_changed(schedule: Schedule) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(schedule, next(iter(vars(schedule))), 1.0)


def test_every_schedule_has_an_example_here() -> None:
    assert {type(schedule).__name__ for schedule in EXAMPLES} == set(SCHEDULES)


def test_config_is_the_name_and_the_arguments() -> None:
    assert CosineDecay(0.1).config() == {"name": "CosineDecay", "initial": 0.1, "final": 0.0}


def test_an_unknown_name_gets_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"one of Constant, .*, OneCycle, LinearWarmup; got 'Cosine'\."):
        from_config({"name": "Cosine"})


def test_a_schedule_of_ones_own_is_a_dataclass() -> None:
    @dataclass(frozen=True)
    class Halving(Schedule):
        initial: float

        def __call__(self, step: int, total_steps: int | None) -> float:
            return self.initial / 2**step

    assert Halving(1.0)(3, None) == 0.125
    assert Halving(1.0).config() == {"name": "Halving", "initial": 1.0}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(0), r"Constant: rate must be a number above 0, got 0\."),
        (
            lambda: LinearWarmup(Constant(1), 1),
            r"LinearWarmup: warmup must be a number of at least 0 and below 1, got 1\.",
        ),
        (
            lambda: LinearWarmup(Constant(1), -0.1),
            r"LinearWarmup: warmup must be a number of at least 0 and below 1, got -0\.1\.",
        ),
        (lambda: InverseTimeDecay(0, 0.1), r"InverseTimeDecay: initial must be a number above 0, got 0\."),
        (lambda: InverseTimeDecay(0.1, -1), r"InverseTimeDecay: decay must be a number of at least 0, got -1\."),
        (lambda: StepDecay(0), r"StepDecay: initial must be a number above 0, got 0\."),
        (lambda: StepDecay(0.1, factor=0), r"StepDecay: factor must be a number above 0 and at most 1, got 0\."),
        (lambda: StepDecay(0.1, factor=1.1), r"StepDecay: factor must be a number above 0 and at most 1, got 1\.1\."),
        (
            lambda: StepDecay(0.1, milestones=(0.5, 30)),
            r"StepDecay: each of the milestones must be a number from 0 to 1, got 30",
        ),
        (
            lambda: StepDecay(0.1, milestones=(-0.1,)),
            r"StepDecay: each of the milestones must be a number from 0 to 1, got -0\.1",
        ),
        (lambda: CosineDecay(0), r"CosineDecay: initial must be a number above 0, got 0\."),
        (lambda: CosineDecay(0.1, 0.2), r"CosineDecay: final must be a number from 0 to initial, 0\.1, got 0\.2\."),
        (lambda: CosineDecay(0.1, -0.2), r"CosineDecay: final must be a number from 0 to initial, 0\.1, got -0\.2\."),
        (lambda: OneCycle(0), r"OneCycle: peak must be a number above 0, got 0\."),
        (lambda: OneCycle(1, warmup=1), r"OneCycle: warmup must be a number of at least 0 and below 1, got 1\."),
        (lambda: OneCycle(1, warmup=-0.1), r"OneCycle: warmup must be a number of at least 0 and below 1, got -0\.1\."),
        (lambda: OneCycle(1, start_divisor=0.5), r"OneCycle: start_divisor must be a number of at least 1, got 0\.5\."),
        (lambda: OneCycle(1, final_divisor=0.5), r"OneCycle: final_divisor must be a number of at least 1, got 0\.5\."),
        (lambda: OneCycle(math.nan), r"OneCycle: peak must be a number above 0, got nan\."),
        (lambda: OneCycle(math.inf), r"OneCycle: peak must be a number above 0, got inf\."),
        (lambda: OneCycle("1"), r"OneCycle: peak must be a number above 0, got '1'\."),  # type: ignore[arg-type]
    ],
)
def test_an_argument_out_of_range_is_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: StepDecay(0.1, factor=1, milestones=(0, 1)),
        lambda: CosineDecay(0.1, 0.1),
        lambda: OneCycle(1, warmup=0, start_divisor=1, final_divisor=1),
    ],
)
def test_the_ends_of_the_ranges_are_allowed(make) -> None:
    assert make()(0, 100) > 0


def test_what_is_no_config_of_a_schedule_is_told() -> None:
    with pytest.raises(TypeError, match=r"A schedule is made of what its config\(\) returned, got 'CosineDecay'\."):
        from_config("CosineDecay")  # type: ignore[arg-type]


def test_a_single_milestone_is_a_list_of_one() -> None:
    with pytest.raises(TypeError, match=r"milestones must be a list of shares, as in \[0\.5\], got 0\.5\."):
        StepDecay(0.1, milestones=0.5)  # type: ignore[arg-type]
