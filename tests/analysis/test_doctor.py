"""The doctor: sick runs named rightly, healthy ones left alone, what each finding says, and what is refused."""

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import handconv as hc
from doctor_cases import (
    HEALTHY,
    ILLNESSES,
    Run,
    convolutional,
    dead_units,
    dense,
    digits,
    half_random,
    learning_rate_a_hundred_times_too_low,
    learning_rate_too_low,
    rare_class,
    shuffled_labels,
    trained,
    well,
    xor,
    xor_run,
)
from handconv.analysis import Diagnosis, Finding, findings


@pytest.mark.filterwarnings("ignore:x looks like pixels", "ignore:The loss has exploded")
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("sick", ILLNESSES, ids=lambda sick: sick.__name__)
def test_a_sick_run_is_named_rightly_and_nothing_else_is(sick: Callable[[int], Run], seed: int) -> None:
    assert sick(seed).diagnose().names == (sick.__name__.replace("_", " "),)


@pytest.mark.parametrize("name", HEALTHY)
def test_of_a_healthy_run_nothing_is_said(name: str, request: pytest.FixtureRequest) -> None:
    images = "MNIST" in name
    run = HEALTHY[name](request.getfixturevalue("data_dir") if images else Path())
    assert str(run.diagnose()) == "Nothing found."


@pytest.fixture(scope="module")
def healthy() -> Run:
    return well(0)


def only(diagnosis: Diagnosis) -> Finding:
    (finding,) = diagnosis.findings
    return finding


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("inverted inputs", lambda x, y: (255 - x, y)),
        ("transposed inputs", lambda x, y: (x.swapaxes(2, 3), y)),
        ("shifted labels", lambda x, y: (x, (y + 7) % 10)),
        ("shuffled labels", lambda x, y: (x, np.random.default_rng(0).permutation(y))),
        ("unscaled inputs", lambda x, y: (x * np.float32(1), y)),
    ],
)
def test_an_illness_of_the_test_set_alone_is_told_as_one_of_the_test_set(
    healthy: Run, name: str, change: Callable[..., tuple[NDArray[Any], NDArray[Any]]]
) -> None:
    x, y = change(healthy.x_test, healthy.y_test)
    finding = only(replace(healthy, x_test=x, y_test=y).diagnose())
    assert finding.name == name
    assert "the test set" in finding.evidence


def test_labels_shuffled_after_a_good_training_are_told(healthy: Run) -> None:
    y = np.random.default_rng(0).permutation(healthy.y)
    assert replace(healthy, y=y).diagnose().names == ("shuffled labels",)


def test_shuffled_labels_are_told_without_a_test_set_too() -> None:
    run = shuffled_labels(0)
    assert hc.doctor(run.model, run.x, run.y, history=run.history).names == ("shuffled labels",)


def test_shuffled_labels_are_told_where_luck_is_right_for_whole_classes_of_the_test_set() -> None:
    x, y, x_test, y_test = digits()
    assert x_test is not None
    run = trained(dense(hc.ReLU), 0, (x, np.random.default_rng(0).permutation(y), x_test, y_test), 20)
    answers = run.model.predict(x_test).argmax(axis=1)
    lucky = max(((y_test + shift) % 10 for shift in range(10)), key=lambda labels: np.mean(answers == labels))
    assert np.mean(answers == lucky) > 0.16  # of single answers, chance alone would be right on 0.15 at most
    assert "shuffled labels" in replace(run, y_test=lucky).diagnose().names


def test_labels_that_the_model_alone_can_tell_are_not_shuffled() -> None:
    model = dense(hc.ReLU, width=4, shape=(40,), classes=2)(0)  # |a - b| > |a + b| if the signs differ
    first = np.zeros((40, 4))
    first[:2] = [[1, -1, 1, -1], [1, -1, -1, 1]]
    model.layers[0].set_parameters(weights=first, biases=np.zeros(4))
    model.layers[2].set_parameters(weights=np.array([[1, 0], [1, 0], [0, 1], [0, 1]]), biases=np.zeros(2))
    x, y = xor(500, 40, 0)
    assert model.evaluate(x, y)["accuracy"] == 1
    assert hc.doctor(model, x, y).names == ("shuffled labels",)
    assert hc.doctor(model, x, y, *xor(200, 40, 1)).healthy


@pytest.mark.parametrize("of_test", [False, True], ids=["training set", "test set"])
def test_labels_of_which_half_are_random_are_told_of_the_set_that_has_them(healthy: Run, of_test: bool) -> None:
    if of_test:
        run = replace(healthy, y_test=half_random(healthy.y_test, 0))
    else:
        run = replace(healthy, y=half_random(healthy.y, 0), x_test=None, y_test=None, history=None)
    finding = only(run.diagnose())
    assert finding.name == "noisy labels"
    assert re.search(rf"wrong on 4\d% of {'the test' if of_test else 'the training'} set.* of the 9", finding.evidence)


def test_random_labels_that_are_partly_known_by_heart_are_told_by_a_test_set_of_better_ones() -> None:
    x, y, x_test, y_test = digits()
    run = trained(dense(hc.ReLU), 0, (x, half_random(y, 0), x_test, y_test), 20, hc.Adam(0.003))
    finding = only(run.diagnose())
    assert finding.name == "noisy labels"
    assert re.search(r"wrong on 4\d% of the training set, .* On the test set, .* right on 8\d%", finding.evidence)


@pytest.mark.parametrize("spoil", ["shifted", "turned", "noise", "cut"])
def test_images_that_are_far_harder_than_those_of_the_test_set_have_no_noisy_labels(spoil: str, healthy: Run) -> None:
    random, x = np.random.default_rng(0), healthy.x / np.float32(255)
    hard = {
        "shifted": lambda: hc.augment.Shift(9)(x, random),
        "turned": lambda: hc.augment.Rotate(90)(x, random),
        "noise": lambda: x + random.normal(0, 0.8, x.shape),
        "cut": lambda: x * (np.arange(28) >= 14)[:, None],
    }[spoil]()
    run = replace(healthy, x=np.asarray(hard, np.float32), history=None)
    assert run.model.evaluate(run.x, run.y)["accuracy"] < 0.75
    assert "noisy labels" not in run.diagnose().names


def test_where_three_classes_are_told_apart_errors_have_no_order() -> None:
    x = np.random.default_rng(0).normal(size=(900, 4)).astype(np.float32)
    y, labels = x[:, :3].argmax(axis=1), np.random.default_rng(1).integers(0, 3, 900)
    run = trained(dense(hc.ReLU, shape=(4,), classes=3), 0, (x, np.where(labels == 0, labels, y), None, None), 10)
    assert run.diagnose().healthy


@pytest.mark.parametrize("norm", [0.9, 0.99])
def test_running_statistics_that_have_arrived_are_no_illness(norm: float) -> None:
    assert trained(convolutional(hc.ReLU, norm=norm), 0, digits(), 2 if norm == 0.9 else 20).diagnose().healthy


def test_the_distance_of_running_statistics_is_told_and_the_loss_without_it() -> None:
    run = trained(convolutional(hc.ReLU, norm=0.9), 0, digits())
    norm = run.model.layers[1]
    norm.running_mean, norm.running_var = norm.running_mean + 3 * np.sqrt(norm.running_var), norm.running_var / 4
    finding = only(run.diagnose())
    assert finding.name == "stale running statistics"
    assert re.search(r"In 1 BatchNorm .* is (2\.9|3) standard .* a factor of (3\.9|4|4\.1),", finding.evidence)
    assert "in 1 of 1 BatchNorm" in finding.evidence
    told = re.search(r"The loss is (\S+); .* it would be (\S+)\.", finding.evidence)
    assert told is not None
    assert float(told[2]) == pytest.approx(run.history["loss"][-1], abs=0.1)
    assert float(told[1]) > 2 * float(told[2])


def test_running_statistics_that_do_no_harm_are_no_illness() -> None:
    run = trained(convolutional(hc.ReLU, norm=0.9), 0, digits())
    norm, most = run.model.layers[1], [0, 1, 2]
    norm.gamma[most] = 0  # what is multiplied by 0 may have any statistics
    norm.running_var[most] = 1e6
    assert "stale running statistics" not in replace(run, history=None).diagnose().names


def test_the_evidence_has_the_numbers(healthy: Run) -> None:
    accuracy = healthy.model.evaluate(healthy.x[:1000], healthy.y[:1000])["accuracy"]
    finding = only(replace(healthy, x=255 - healthy.x).diagnose())
    found = re.search(r"right on (\d+)% of the training set, and on (\d+)%", finding.evidence)
    assert found is not None
    assert int(found[1]) < 20
    assert int(found[2]) == pytest.approx(100 * accuracy, abs=2)


def test_the_shift_of_the_labels_is_told(healthy: Run) -> None:
    finding = only(replace(healthy, y=(healthy.y + 3) % 10).diagnose())
    assert "(y - 3) % 10" in finding.remedy


def test_swapped_classes_are_shifted_labels() -> None:
    run = xor_run(2, 0)(Path())
    assert replace(run, y=1 - run.y).diagnose().names == ("shifted labels",)


def test_a_model_that_always_gives_one_answer_has_no_shifted_labels() -> None:
    run = rare_class(Path())
    run.model.layers[-2].set_parameters(weights=0 * run.model.layers[-2].weights, biases=np.array([0.0, 9.0]))
    assert "shifted labels" not in replace(run, history=None).diagnose().names


def test_rows_of_pixels_are_images_too(healthy: Run) -> None:
    model = dense(hc.LeakyReLU, shape=(784,))(0)
    model.parameters = healthy.model.parameters
    assert hc.doctor(model, 255 - healthy.x.reshape(-1, 784), healthy.y).names == ("inverted inputs",)


def test_dead_channels_are_counted_in_the_layer_that_has_them() -> None:
    model = convolutional(hc.ReLU)(0)
    model.layers[3].set_parameters(biases=np.full(8, -50.0))
    x, y, _, _ = digits()
    finding = only(hc.doctor(model, x, y))
    assert finding.severity == "severe"
    assert "4 ReLU: 8 of 8 channels" in finding.evidence
    assert "1 ReLU" not in finding.evidence


def test_half_of_the_units_may_be_dead(healthy: Run) -> None:
    model = dense(hc.ReLU)(0)
    model.parameters = healthy.model.parameters
    biases = model.layers[1].biases.copy()
    biases[:16] = -100
    model.layers[1].set_parameters(biases=biases)
    assert "dead units" not in hc.doctor(model, healthy.x, healthy.y).names


def test_certainty_of_what_is_right_is_no_illness(healthy: Run) -> None:
    model = copy.deepcopy(healthy.model)
    model.layers[-2].set_parameters(weights=model.layers[-2].weights * 40)
    assert hc.doctor(model, healthy.x, healthy.y).healthy


def test_large_inputs_before_a_normalisation_are_no_illness(rng: np.random.Generator) -> None:
    x = rng.normal(500, 100, (300, 4)).astype(np.float32)
    y = (x[:, 0] > 500).astype(np.int64)
    model = hc.Sequential([hc.Flatten(), hc.BatchNorm(), hc.Dense(2), hc.Softmax()], input_shape=(4,), seed=0)
    history = model.fit(x, y, epochs=20, batch_size=32, optimizer=hc.Adam(0.02))
    assert hc.doctor(model, x, y, history=history).healthy


def test_features_that_are_no_pixels_are_to_be_standardised(rng: np.random.Generator) -> None:
    x = rng.normal(500, 100, (300, 4)).astype(np.float32)
    finding = only(hc.doctor(dense(shape=(4,), classes=2)(0), x, (x[:, 0] > 500).astype(int)))
    assert finding.name == "unscaled inputs"
    assert "standard deviation" in finding.remedy


@pytest.mark.parametrize("losses", [[2.2, 1.0, 0.5, 1.9], [90.0, 3.0, 1.0, 0.5]], ids=["grown", "overshot"])
def test_the_course_of_the_loss_tells_of_a_rate_too_high(healthy: Run, losses: list[float]) -> None:
    names = hc.doctor(healthy.model, healthy.x, healthy.y, history={"loss": losses}).names
    assert names == ("learning rate too high",)


@pytest.mark.parametrize(("rates", "advised"), [([0.1, 0.1], True), ([0.1, 0.01], False)])
def test_a_rate_that_changes_is_not_advised_to_change(healthy: Run, rates: list[float], advised: bool) -> None:
    course = {"loss": [90.0, 3.0], "learning_rate": rates}
    finding = only(hc.doctor(healthy.model, healthy.x, healthy.y, history=course))
    assert finding.name == "learning rate too high"
    assert ("OneCycle" in finding.remedy) is advised


@pytest.mark.parametrize(
    ("losses", "names"),
    [
        ([4.0, 2.4, 2.4], ("dead units", "learning rate too high")),
        ([2.6, 2.6, 2.6], ("dead units", "learning rate too high")),
        ([2.3, 2.3, 2.3], ("dead units",)),
    ],
    ids=["fallen back to guessing", "worse than guessing", "guessing from the beginning"],
)
def test_a_loss_that_stands_where_no_step_lowers_it(losses: list[float], names: tuple[str, ...]) -> None:
    run = dead_units(0)
    assert hc.doctor(run.model, run.x, run.y, history={"loss": losses}).names == names


def test_an_untrained_network_of_two_classes_has_no_shifted_labels() -> None:
    run = trained(dense(hc.ReLU, shape=(2,), classes=2), 1, (*clouds_of_two(0), *clouds_of_two(1)), 3, hc.SGD(1e-6))
    assert run.x_test is not None
    assert run.model.evaluate(run.x_test, run.y_test)["accuracy"] < 0.2
    assert run.diagnose().names == ("learning rate too low",)


def clouds_of_two(seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, 300)
    return (random.normal(size=(300, 2)) + 2 * y[:, None] - 1).astype(np.float32), y


@pytest.mark.filterwarnings("ignore:The loss has exploded")
def test_a_network_of_yes_and_no_overshoots_too() -> None:
    model = hc.Sequential([hc.Dense(8), hc.LeakyReLU(), hc.Dense(1), hc.Sigmoid()], input_shape=(2,), seed=0)
    run = trained(lambda _: model, 0, (*clouds_of_two(0), None, None), 4, hc.Adam(30.0))
    assert run.diagnose().names == ("learning rate too high",)


@pytest.mark.filterwarnings("ignore:The loss has exploded")
def test_a_regression_overshoots_too() -> None:
    finding = only(regression_with(hc.Adam(3.0)).diagnose())
    assert finding.name == "learning rate too high"
    assert "initial weights have about" in finding.evidence


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_scale_of_a_regression_is_no_illness(scale: float) -> None:
    assert "learning rate too high" not in regression_with(hc.Adam(0.02), scale).diagnose().names


def regression_with(optimizer: hc.Optimizer, scale: float = 1.0) -> Run:
    """A sum of two numbers, and of a constant: with this scale."""
    x = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    y, layers = scale * (3 + x.sum(axis=1, keepdims=True)), [hc.Dense(16), hc.LeakyReLU(), hc.Dense(1)]
    model = hc.Sequential(layers, input_shape=(2,), seed=0)
    return trained(lambda _: model, 0, (x, y, None, None), 10, optimizer, hc.MeanSquaredError())


def test_small_losses_may_rise_again(healthy: Run) -> None:
    assert hc.doctor(healthy.model, healthy.x, healthy.y, history={"loss": [0.5, 0.01, 0.03]}).healthy


def test_one_epoch_says_nothing_of_the_learning_rate(healthy: Run) -> None:
    assert hc.doctor(healthy.model, healthy.x, healthy.y, history={"loss": [90.0]}).healthy


def test_the_update_is_compared_with_the_weights() -> None:
    run = learning_rate_too_low(0)
    told = re.search(r"At the rate 1e-05 .* weights by about (\S+) .* SGD", only(run.diagnose()).evidence)
    assert told is not None
    assert float(told[1]) < 1e-4


def test_few_samples_say_nothing_of_units_and_labels(healthy: Run) -> None:
    shuffled = np.random.default_rng(0).permutation(healthy.y[:50])
    assert hc.doctor(dead_units(0).model, healthy.x[:50], shuffled).healthy


@pytest.mark.parametrize("count", [1, 2, 17, 113])
def test_any_number_of_samples_passes_a_normalisation(count: int) -> None:
    layers = [hc.Flatten(), hc.Dense(16), hc.BatchNorm(), hc.ReLU(), hc.Dense(10), hc.Softmax()]
    x, y, _, _ = digits()
    model = hc.Sequential(layers, input_shape=(1, 28, 28), seed=0)
    history = model.fit(x, y, epochs=4, optimizer=hc.Adam(0.01))
    assert hc.doctor(model, x[:count], y[:count], history=history).healthy


def test_one_hot_labels_are_labels(healthy: Run) -> None:
    assert replace(healthy, y=np.eye(10)[(healthy.y + 1) % 10]).diagnose().names == ("shifted labels",)


def test_a_set_of_one_class_is_told_and_nothing_else_of_it(healthy: Run) -> None:
    sevens = healthy.y == 7
    diagnosis = hc.doctor(healthy.model, healthy.x[sevens], healthy.y[sevens], history={"loss": [0.5, 0.3]})
    assert diagnosis.names == ("a single class",)
    assert "are of class 7; the model tells 10 classes apart" in only(diagnosis).evidence


def test_classes_of_a_few_samples_each_say_nothing_of_shuffled_labels(healthy: Run) -> None:
    rows = np.concatenate([np.flatnonzero(healthy.y == 0), *(np.flatnonzero(healthy.y == k)[:1] for k in range(1, 8))])
    assert len(rows) > 100
    model = dense(hc.LeakyReLU)(0)
    assert "shuffled labels" not in hc.doctor(model, healthy.x[rows], healthy.y[rows]).names


def test_labels_are_shifted_back_the_shorter_way(healthy: Run) -> None:
    assert "(y + 2) % 10" in only(replace(healthy, y=(healthy.y - 2) % 10).diagnose()).remedy


@pytest.mark.parametrize("seed", [0, 1])
def test_a_loss_that_moves_but_stays_above_that_of_guessing_has_a_rate_too_low(seed: int) -> None:
    assert learning_rate_a_hundred_times_too_low(seed).diagnose().names == ("learning rate too low",)


def test_rows_of_a_table_may_be_the_same(healthy: Run) -> None:
    x = np.tile(np.eye(4, dtype=np.float32), (60, 1))
    run = trained(dense(hc.ReLU, shape=(4,), classes=4), 0, (x, np.tile(np.arange(4), 60), None, None), 20)
    assert run.diagnose().healthy


def test_a_set_of_one_class_has_no_inverted_images(healthy: Run) -> None:
    model = dense(hc.LeakyReLU)(0)
    model.layers[-2].set_parameters(weights=np.zeros((32, 10)), biases=np.eye(10)[7])  # the answer is always 7
    sevens = healthy.y == 7
    assert hc.doctor(model, healthy.x[sevens], healthy.y[sevens]).names == ("a single class",)


def test_convolutions_that_begin_with_one_constant_are_identical_units(healthy: Run) -> None:
    model = convolutional(hc.ReLU)(0)
    model.layers[0].set_parameters(weights=np.full((4, 1, 3, 3), 0.1))
    assert only(hc.doctor(model, healthy.x, healthy.y)).evidence.startswith("All 4 units of 0 Conv2D")


def test_a_network_without_weights_is_examined_too(healthy: Run) -> None:
    model = hc.Sequential([hc.Reshape((10,)), hc.Softmax()], input_shape=(10,), seed=0)
    x = np.eye(10, dtype=np.float32)[healthy.y]
    assert hc.doctor(model, x, healthy.y, history={"loss": [2.3, 2.3], "learning_rate": [0.1, 0.1]}).healthy


def test_the_model_is_left_as_it_was(healthy: Run) -> None:
    model = convolutional(hc.ReLU, norm=0.9)(0)
    outputs = model.forward(healthy.x[:8], training=True)
    before = [values.copy() for values in (model.parameters, model.gradients, model.buffers)]
    hc.doctor(model, healthy.x, healthy.y, history={"loss": [2.3, 2.3]})
    for old, new in zip(before, (model.parameters, model.gradients, model.buffers), strict=True):
        np.testing.assert_array_equal(old, new)
    model.backward(np.ones_like(outputs))  # of the forward before


def test_the_same_question_has_the_same_answer() -> None:
    run = shuffled_labels(0)
    assert run.diagnose() == run.diagnose()


def test_severe_findings_come_first(healthy: Run) -> None:
    model = dense(hc.ReLU)(0)
    model.parameters = healthy.model.parameters
    biases = model.layers[1].biases.copy()
    biases[:26] = -100  # four fifths
    model.layers[1].set_parameters(biases=biases)
    found = findings(model, healthy.x, healthy.y, healthy.x[:50], healthy.y[:50])
    assert [(each.name, each.severity) for each in found] == [("leaked test set", "severe"), ("dead units", "mild")]


def test_a_diagnosis_prints_name_evidence_and_remedy() -> None:
    sick = Diagnosis((Finding("dead units", "All 8.", "Train anew.", "severe"), Finding("b", "c.", "d.", "mild")))
    assert str(sick) == "dead units (severe)\n  All 8.\n  Remedy: Train anew.\n\nb (mild)\n  c.\n  Remedy: d."


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": "model.npz"}, TypeError, "doctor examines a handconv.Sequential, got 'model.npz'"),
        ({"y": np.zeros(3, int)}, ValueError, "3"),
        ({"x": np.zeros((0, 1, 28, 28))}, ValueError, "at least one sample"),
        ({"x": np.zeros((5, 28, 28))}, ValueError, r"must have shape \(N, 1, 28, 28\)"),
        ({"x": np.full((5, 1, 28, 28), np.nan)}, ValueError, "must be finite"),
        ({"y_test": None}, ValueError, "got x_test alone. Give y_test too"),
        ({"x_test": None}, ValueError, "got y_test alone. Give x_test too"),
        ({"x_test": np.zeros((5, 28, 28))}, ValueError, "x_test must have shape"),
        ({"history": [0.5, 0.4]}, TypeError, "history must be what fit returned"),
        ({"history": {"loss": []}}, ValueError, "one finite loss an epoch"),
        ({"history": {"loss": [0.5, float("nan")]}}, ValueError, "one finite loss an epoch"),
        ({"loss": "mse"}, TypeError, "loss must be a loss such as"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(
    healthy: Run, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    good = {"model": healthy.model, "x": healthy.x, "y": healthy.y, "x_test": healthy.x_test, "y_test": healthy.y_test}
    with pytest.raises(error, match=message):
        hc.doctor(**good | arguments)


def test_a_model_with_broken_weights_is_refused(healthy: Run) -> None:
    model = copy.deepcopy(healthy.model)
    model.parameters[3] = np.nan
    with pytest.raises(ValueError, match=r"1\.weights of the model hold NaN or infinity.*smaller learning rate"):
        hc.doctor(model, healthy.x, healthy.y)


def test_a_model_whose_outputs_overflow_is_refused(healthy: Run) -> None:
    model = copy.deepcopy(healthy.model)
    model.parameters *= 1e30
    with pytest.raises(ValueError, match=r"outputs are NaN or infinity.*smaller learning rate"):
        hc.doctor(model, healthy.x, healthy.y)


def test_a_softmax_alone_is_examined() -> None:
    x = np.random.default_rng(0).normal(size=(200, 3))
    assert hc.doctor(hc.Sequential([hc.Softmax()], input_shape=(3,)), x, x.argmax(axis=1)).names == ()


def test_scores_without_a_sigmoid_are_judged_at_zero() -> None:
    x = np.random.default_rng(0).normal(size=(400, 3))
    y, loss = (x[:, :1] + 0.5 > 0).astype(int), hc.SigmoidBinaryCrossentropy()
    model = hc.Sequential([hc.Dense(1)], input_shape=(3,), seed=0)
    history = model.fit(x, y, loss=loss, epochs=60, optimizer=hc.Adam(0.05))
    assert hc.doctor(model, x, y, history=history, loss=loss).names == ()
    assert hc.doctor(model, x, 1 - y, loss=loss).names == ("shifted labels",)
