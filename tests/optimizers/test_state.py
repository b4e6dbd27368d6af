"""What optimizers keep, save and are made of: state, learning rates, configurations, wrong arguments."""

import json
import math
import tracemalloc

import numpy as np
import pytest

import handconv as hc
from handconv.optimizers import OPTIMIZERS, SGD, Adagrad, Adam, AdamW, Lion, RMSprop, from_config
from handconv.optimizers.schedules import CosineDecay, StepDecay
from optimizer_cases import FACTORIES, VECTORS, every_optimizer, example, trained

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
    optimizer.build(np.ones(5, dtype))
    assert list(optimizer.state) == VECTORS[name]
    for vector in optimizer.state.values():
        assert (vector.shape, vector.dtype, vector.any()) == ((5,), dtype, False)


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
    clips = {"clip_norm": None, "clip_value": None}
    adam = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7} | clips
    assert SGD().config() == {"name": "SGD", "learning_rate": 0.01, "momentum": 0.0, "nesterov": False} | clips
    assert Adam().config() == {"name": "Adam"} | adam
    assert AdamW().config() == {"name": "AdamW"} | adam | {"weight_decay": 0.01}
    rmsprop = {"learning_rate": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7} | clips
    assert RMSprop().config() == {"name": "RMSprop"} | rmsprop
    assert Adagrad().config() == {"name": "Adagrad", "learning_rate": 0.01, "epsilon": 1e-7} | clips
    lion = {"learning_rate": 0.0001, "beta_1": 0.9, "beta_2": 0.99, "weight_decay": 0.1} | clips
    assert Lion().config() == {"name": "Lion"} | lion


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
    with pytest.raises(ValueError, match=r"one of SGD, Adam, AdamW, RMSprop, Adagrad, Lion; got 'adam'\."):
        from_config({"name": "adam"})


def test_repr_shows_the_arguments() -> None:
    assert repr(SGD(0.1, momentum=0.9)) == "SGD(learning_rate=0.1, momentum=0.9, nesterov=False)"


def test_repr_shows_limits_of_the_gradient_where_there_are_any() -> None:
    assert repr(SGD(0.1, clip_norm=1, clip_value=0.5)).endswith("nesterov=False, clip_norm=1.0, clip_value=0.5)")


# One training after another


@every_optimizer
def test_a_training_begins_anew_if_the_state_is_that_of_another_that_is_over(
    name: str, rng: np.random.Generator
) -> None:
    parameters, gradients = example(rng)
    expected = trained(FACTORIES[name](), parameters, gradients)
    optimizer = FACTORIES[name]()
    for _ in range(2):
        optimizer.start(parameters, [slice(None)])
        assert optimizer.iterations == 0
        np.testing.assert_array_equal(trained(optimizer, parameters, gradients), expected)
        optimizer.finish()


@every_optimizer
def test_after_a_training_its_state_is_there_to_be_looked_at(name: str, rng: np.random.Generator) -> None:
    parameters, gradients = example(rng)
    optimizer = FACTORIES[name]()
    optimizer.start(parameters, [slice(None)])
    trained(optimizer, parameters, gradients)
    before = optimizer.state_dict()
    optimizer.finish()
    assert optimizer.iterations == 25
    for key, vector in optimizer.state_dict().items():
        np.testing.assert_array_equal(vector, before[key])


@every_optimizer
def test_a_training_goes_on_from_steps_that_were_made_by_hand(name: str, rng: np.random.Generator) -> None:
    parameters, gradients = example(rng)
    expected = trained(FACTORIES[name](), parameters, gradients)
    optimizer = FACTORIES[name]()
    parameters = trained(optimizer, parameters, gradients[:10])
    optimizer.start(parameters, [slice(None)])
    assert optimizer.iterations == 10
    np.testing.assert_array_equal(trained(optimizer, parameters, gradients[10:]), expected)


@every_optimizer
def test_a_training_goes_on_from_a_state_that_was_loaded_after_another_training(
    name: str, rng: np.random.Generator
) -> None:
    parameters, gradients = example(rng)
    expected = trained(FACTORIES[name](), parameters, gradients)
    first, second = FACTORIES[name](), FACTORIES[name]()
    parameters = trained(first, parameters, gradients[:10])
    second.start(np.zeros_like(parameters), [slice(None)])
    trained(second, np.zeros_like(parameters), gradients[:3])
    second.finish()
    second.load_state_dict(first.state_dict())
    second.start(parameters, [slice(None)])
    assert second.iterations == 10
    np.testing.assert_array_equal(trained(second, parameters, gradients[10:]), expected)


def test_two_trainings_at_once_are_refused() -> None:
    optimizer, parameters = Adam(), np.ones(3)
    optimizer.start(parameters, [slice(None)])
    with pytest.raises(
        RuntimeError, match=r"Adam is in use by another training\. Give each training its own optimizer"
    ):
        optimizer.start(parameters, [slice(None)])
    optimizer.finish()
    optimizer.start(parameters, [slice(None)])


def test_starting_tells_what_decays() -> None:
    optimizer, parameters = AdamW(0.1, weight_decay=0.5), np.ones(3)
    optimizer.start(parameters, [slice(0, 1)])
    optimizer.step(parameters, np.zeros(3))
    np.testing.assert_allclose(parameters, [0.95, 1, 1], rtol=1e-15)


def test_another_fit_with_the_same_optimizer_is_a_fit_with_a_new_one() -> None:
    x, y = np.random.default_rng(0).normal(size=(12, 4)), np.arange(12) % 3
    used, ends = Adam(0.05), []
    for optimizer in (used, used, Adam(0.05)):
        model = hc.Sequential([hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
        model.fit(x, y, epochs=2, batch_size=5, optimizer=optimizer)
        ends.append(model.parameters.copy())
    np.testing.assert_array_equal(ends[1], ends[0])
    np.testing.assert_array_equal(ends[2], ends[0])


# Wrong arguments


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(0), r"SGD: learning_rate must be a number above 0, got 0\."),
        (lambda: Adam(-1e-3), r"Adam: learning_rate must be a number above 0, got -0\.001\."),
        (lambda: Adam(math.nan), r"Adam: learning_rate must be a number above 0, got nan\."),
        (lambda: Adam(math.inf), r"Adam: learning_rate must be a number above 0, got inf\."),
        (lambda: Adam(True), r"Adam: learning_rate must be a number above 0, got True\."),
        (lambda: Adam("fast"), r"Adam: learning_rate must be a number above 0, got 'fast'\."),
        (lambda: SGD(0.1, momentum=1), r"SGD: momentum must be a number of at least 0 and below 1, got 1\."),
        (lambda: SGD(0.1, momentum=-0.1), r"SGD: momentum must be a number of at least 0 and below 1, got -0\.1\."),
        (lambda: SGD(0.1, nesterov=True), r"SGD: nesterov needs momentum above 0, got 0\.0\. Set momentum=0\.9\."),
        (lambda: Adam(beta_1=1), r"Adam: beta_1 must be a number of at least 0 and below 1, got 1\."),
        (lambda: Adam(beta_1=-0.1), r"Adam: beta_1 must be a number of at least 0 and below 1, got -0\.1\."),
        (lambda: Adam(beta_2=1), r"Adam: beta_2 must be a number of at least 0 and below 1, got 1\."),
        (lambda: Adam(beta_2=-0.1), r"Adam: beta_2 must be a number of at least 0 and below 1, got -0\.1\."),
        (lambda: Adam(epsilon=0), r"Adam: epsilon must be a number above 0, got 0\."),
        (lambda: SGD(clip_norm=0), r"SGD: clip_norm must be a number above 0, got 0\."),
        (lambda: Adam(clip_norm=math.nan), r"Adam: clip_norm must be a number above 0, got nan\."),
        (lambda: AdamW(clip_value=-1), r"AdamW: clip_value must be a number above 0, got -1\."),
        (lambda: SGD(clip_value="1"), r"SGD: clip_value must be a number above 0, got '1'\."),
        (lambda: AdamW(weight_decay=-1), r"AdamW: weight_decay must be a number of at least 0, got -1\."),
        (lambda: RMSprop(0), r"RMSprop: learning_rate must be a number above 0, got 0\."),
        (lambda: RMSprop(rho=1), r"RMSprop: rho must be a number of at least 0 and below 1, got 1\."),
        (lambda: RMSprop(rho=-0.1), r"RMSprop: rho must be a number of at least 0 and below 1, got -0\.1\."),
        (lambda: RMSprop(momentum=1), r"RMSprop: momentum must be a number of at least 0 and below 1, got 1\."),
        (lambda: RMSprop(momentum=-1), r"RMSprop: momentum must be a number of at least 0 and below 1, got -1\."),
        (lambda: RMSprop(epsilon=0), r"RMSprop: epsilon must be a number above 0, got 0\."),
        (lambda: Adagrad(-1), r"Adagrad: learning_rate must be a number above 0, got -1\."),
        (lambda: Adagrad(epsilon=0), r"Adagrad: epsilon must be a number above 0, got 0\."),
        (lambda: Lion(0), r"Lion: learning_rate must be a number above 0, got 0\."),
        (lambda: Lion(beta_1=1), r"Lion: beta_1 must be a number of at least 0 and below 1, got 1\."),
        (lambda: Lion(beta_1=-1), r"Lion: beta_1 must be a number of at least 0 and below 1, got -1\."),
        (lambda: Lion(beta_2=1), r"Lion: beta_2 must be a number of at least 0 and below 1, got 1\."),
        (lambda: Lion(beta_2=-1), r"Lion: beta_2 must be a number of at least 0 and below 1, got -1\."),
        (lambda: Lion(weight_decay=-1), r"Lion: weight_decay must be a number of at least 0, got -1\."),
    ],
)
def test_an_argument_out_of_range_is_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_the_ends_of_the_ranges_are_allowed() -> None:
    gradient = [np.array([-0.5])]
    assert trained(AdamW(1.0, beta_1=0, beta_2=0, weight_decay=0), np.array([1.0]), gradient)[0] == pytest.approx(
        2.0, abs=1e-6
    )
    assert trained(RMSprop(1.0, rho=0, momentum=0), np.array([1.0]), gradient)[0] == pytest.approx(2.0, abs=1e-6)
    assert trained(Lion(1.0, 0, 0, weight_decay=0), np.array([1.0]), gradient)[0] == 2.0


def test_a_learning_rate_set_later_is_checked_too() -> None:
    optimizer = Adam()
    with pytest.raises(ValueError, match=r"Adam: learning_rate must be a number above 0, got 0\."):
        optimizer.learning_rate = 0
    assert optimizer.learning_rate == 1e-3


@pytest.mark.parametrize("vectors", [([1.0], np.ones(1)), (np.ones(1), [1.0]), (1.0, None)])
def test_a_step_is_done_on_arrays_alone(vectors: tuple) -> None:
    with pytest.raises(TypeError, match=r"works in place on NumPy arrays of floats, got (list|float)\. Use np\.array"):
        SGD(0.1).step(*vectors)
    with pytest.raises(TypeError, match="Adam works in place on NumPy arrays of floats, got list"):
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


@pytest.mark.parametrize("vectors", [(np.ones(2, int), np.ones(2)), (np.ones(2), np.ones(2, int))])
def test_a_step_is_done_on_floats_alone(vectors: tuple) -> None:
    with pytest.raises(TypeError, match=r"arrays of floats, got int64 numbers\. Use np\.array\(x, float\)\."):
        SGD(0.1).step(*vectors)


@pytest.mark.parametrize("optimizer", [SGD(0.1), RMSprop(0.1)], ids=repr)
def test_momentum_that_comes_later_needs_a_new_start(optimizer) -> None:
    parameters = np.ones(2)
    optimizer.step(parameters, np.ones(2))
    optimizer.momentum = 0.9
    with pytest.raises(ValueError, match=r"was built without velocity, which its present settings need\. Call build"):
        optimizer.step(parameters, np.ones(2))
    optimizer.build(parameters)
    optimizer.step(parameters, np.ones(2))
    assert optimizer.state["velocity"].all()


@pytest.mark.parametrize("optimizer", [SGD(0.1, 0.9), RMSprop(0.1, momentum=0.9)], ids=repr)
def test_momentum_can_be_switched_off_between_steps(optimizer) -> None:
    parameters = np.ones(2)
    optimizer.step(parameters, np.ones(2))
    velocity = optimizer.state["velocity"].copy()
    optimizer.momentum = 0.0
    optimizer.step(parameters, np.ones(2))
    np.testing.assert_array_equal(optimizer.state["velocity"], velocity)


def test_nesterov_is_a_truth_value() -> None:
    with pytest.raises(TypeError, match=r"SGD: nesterov must be True or False, got 'no'\."):
        SGD(0.1, 0.9, "no")  # type: ignore[arg-type]


def test_a_name_that_is_no_text_is_no_optimizer() -> None:
    with pytest.raises(ValueError, match=r"An optimizer must be one of SGD, .*; got \['SGD'\]\."):
        from_config({"name": ["SGD"]})


def test_a_setting_of_an_optimizer_that_does_not_keep_all_its_arguments_is_taken_as_it_is() -> None:
    class Mine(SGD):
        def __init__(self, learning_rate: float = 0.1, slowing: float = 1.0, steps: int = 1) -> None:
            super().__init__(learning_rate / steps)
            self.slowing = slowing

    optimizer = Mine()
    optimizer.slowing = 2.0
    assert optimizer.slowing == 2.0


@pytest.mark.parametrize("iterations", [-5, 2.7, np.nan])
def test_the_steps_of_a_state_are_a_whole_number(iterations: float) -> None:
    adam = hc.Adam()
    adam.build(np.ones(3))
    state = adam.state_dict() | {"m": np.ones(3), "iterations": np.array(iterations)}
    with pytest.raises(ValueError, match="Adam: iterations must be a whole number of at least 0, got"):
        adam.load_state_dict(state)
    assert not adam.state["m"].any()


def test_a_changed_setting_is_taken_as_the_constructor_takes_it() -> None:
    optimizer = Adam(0.1)
    with pytest.raises(ValueError, match=r"Adam: beta_1 must be a number of at least 0 and below 1, got 1\.5"):
        optimizer.beta_1 = 1.5
    assert optimizer.beta_1 == 0.9
    optimizer.beta_1 = np.float32(0.5)  # type: ignore[assignment]
    assert type(optimizer.beta_1) is float


def test_adamw_takes_its_numbers_by_name_as_others_have_weight_decay_second() -> None:
    with pytest.raises(TypeError, match="2 positional arguments but 3 were given"):
        AdamW(1e-3, 1e-2)  # type: ignore[misc]
