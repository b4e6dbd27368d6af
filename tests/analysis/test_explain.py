"""The narrated training step: every number that it tells is one that the nested loops compute too."""

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import handconv as hc
import oracles
from explain_oracle import (
    NAME,
    ByLoops,
    check_equation,
    check_section,
    same,
)
from handconv.analysis import Explanation, Line, Section, Table, toy

NETWORKS: dict[str, tuple[list[Any], int]] = {
    "reference": (
        [hc.Conv2D(2, 3), hc.LeakyReLU(), hc.MaxPool2D(2), hc.Flatten(), hc.Dense(4, l2=0.01), hc.LeakyReLU(),
         hc.Dropout(0.3), hc.Dense(3)], 1),
    "two convolutions": ([hc.Conv2D(3, 3, padding=1), hc.ReLU(), hc.Conv2D(2, 2, stride=2), hc.Tanh(), hc.Flatten(),
                          hc.Dense(3)], 2),
    "averages": ([hc.Conv2D(2, 3, padding="same"), hc.AveragePool2D(3, stride=2, padding=1), hc.Sigmoid(),
                  hc.GlobalAveragePool2D(), hc.Dense(3)], 1),
    "overlapping pools": ([hc.MaxPool2D(3, stride=1, padding=1), hc.Reshape((49,)), hc.Dense(3)], 1),
    "batch norm": ([hc.Conv2D(2, 3), hc.BatchNorm(), hc.Flatten(), hc.Dense(3)], 3),
    "layer norm": ([hc.Conv2D(2, 3), hc.LayerNorm(), hc.Flatten(), hc.Dense(4), hc.LayerNorm(0.1), hc.Dense(3)], 2),
    "group norm": ([hc.Conv2D(4, 3), hc.GroupNorm(2), hc.Tanh(), hc.Flatten(), hc.Dense(3)], 2),
    "margin": ([hc.ZeroPad2D((1, 0, 2, 1)), hc.Conv2D(2, 3), hc.ReLU(), hc.Flatten(), hc.Dense(3)], 1),
    "residual": ([hc.Residual([hc.Conv2D(1, 3, padding=1), hc.ReLU()]), hc.Flatten(), hc.Dense(3)], 1),
    "many inputs": ([hc.Flatten(), hc.Dense(3)], 1),
}  # fmt: skip


def step_of(
    name: str, unit: Any = None, sample: int = 0, **settings: Any
) -> tuple[Explanation, ByLoops, hc.Sequential]:
    layers, count = NETWORKS[name]
    model = hc.Sequential(
        [*(layer.copy() for layer in layers), hc.Softmax()], input_shape=(1, 7, 7), seed=3, dtype="float64"
    )
    x, labels = np.random.default_rng(5).normal(size=(count, 1, 7, 7)), [1, 0, 2][:count]
    told = hc.explain(model, x, labels, unit=unit, sample=sample, **settings)
    return told, ByLoops(model, x, labels, sample), model


@pytest.mark.parametrize("name", NETWORKS)
def test_every_number_of_every_layer_is_that_of_the_nested_loops(name: str) -> None:
    last = NETWORKS[name][1] - 1
    told, loops, model = step_of(name, sample=last)
    sections = [section for section in told if section.phase in ("forward", "backward")]
    assert len(sections) == 2 * (len(model.layers) - 1)
    for section in sections:
        assert check_section(section, loops, model) > 0, section.title


@pytest.mark.parametrize("name", NETWORKS)
def test_the_loss_and_its_gradient_are_those_of_the_nested_loops(name: str) -> None:
    told, loops, _ = step_of(name)
    (section,) = [section for section in told if section.phase == "loss"]
    table = next(part for part in section.parts if isinstance(part, Table))
    last = max(loops.y)
    for row in table.rows:
        k = int(str(row[0]).removeprefix("k = "))
        scores = loops.y[last][0]
        same(
            row[1:], [scores[k], math.exp(scores[k] - max(scores)), loops.p[0, k], float(k == 1), loops.dy[last][0, k]]
        )
    same(section.numbers["loss"], -math.log(loops.p[0, 1]))
    if loops.several:
        same(section.numbers["mean"], loops.loss)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "residual"])
def test_every_part_of_adam_is_that_of_the_formulas_and_the_new_weight_that_of_the_nested_loops(name: str) -> None:
    told, loops, model = step_of(name)
    updates = [section for section in told if section.phase == "update"]
    assert len(updates) == sum(bool(layer.specs) for layer in model.layers)
    for section in updates:
        k = int(re.findall(r"layer (\d+)", section.title)[0])
        for begin, *lines in arrays_of(section):
            ((array, index),) = NAME.findall(begin.template)
            place, old = tuple(map(int, index.split(","))), begin.numbers["old"]
            known, l2 = getattr(model.layers[k], array), getattr(model.layers[k], "l2", 0) if array == "weights" else 0
            g = loops.gradients[k][array][place] + 2 * l2 * old
            same(old, known[place])
            numbers = {name: value for line in lines for name, value in line.numbers.items()}
            same([numbers["g"], numbers["m"], numbers["v"]], [g, 0.1 * g, 0.001 * g * g])
            same([numbers["m_hat"], numbers["v_hat"]], [g, g * g])
            same(numbers["new"], oracles.adam(np.array([old]), [np.array([g])], epsilon=1e-7)[0])
            for line in lines:
                check_equation(line)


def arrays_of(section: Section) -> Iterator[list[Line]]:
    """The lines of an update, array by array."""
    lines: list[Line] = []
    for part in section.parts:
        if isinstance(part, Line):
            if part.template.endswith("before the step."):
                if lines:
                    yield lines
                lines = []
            lines.append(part)
    yield lines


def test_the_units_hang_together_from_the_input_to_the_true_class() -> None:
    told, _, model = step_of("reference")
    (table,) = [part for part in told.sections[0].parts if isinstance(part, Table)]
    assert [row[0] for row in table.rows[1:]] == [f"{k} {layer!r}" for k, layer in enumerate(model.layers[:-1])]
    assert table.rows[-1][1] == "[1]"


@pytest.mark.parametrize("unit", [(0, (1, 4, 2)), ("2", (0, 1, 1)), (4, (3,)), (7, [0])])
def test_a_unit_that_is_asked_for_is_told_about_and_its_numbers_are_right(unit: Any) -> None:
    told, loops, model = step_of("reference", unit=unit)
    (table,) = [part for part in told.sections[0].parts if isinstance(part, Table)]
    assert table.rows[1 + int(unit[0])][1] == str(list(unit[1]))
    for section in told:
        if section.phase in ("forward", "backward"):
            assert check_section(section, loops, model) > 0


def test_a_unit_of_the_margin_came_from_no_input() -> None:
    told, *_ = step_of("margin", unit=(0, (0, 0, 1)))
    assert "y[0, 0, 1] = 0 is one of the margin." in str(told)
    assert "dy[0, 0, 1] is dropped: no input lies in the margin." in str(told)


def test_the_formula_of_an_activation_explains_its_letters() -> None:
    model = hc.Sequential([hc.Flatten(), hc.Dense(3), hc.GELU(), hc.Dense(2), hc.Softmax()], input_shape=(1, 2, 2))
    told = hc.explain(model, np.ones((1, 1, 2, 2)), [0])
    (section,) = [section for section in told if section.phase == "forward" and "GELU" in section.title]
    assert section.formula[0].startswith("y = x / 2 · (1 + t)        t = tanh(u)        u = sqrt(2 / π)")


def test_a_unit_in_a_row_that_no_pool_looks_at_is_told_about_too() -> None:
    told, *_ = step_of("reference", unit=(1, (0, 4, 4)))
    assert "[0, 4, 4]" in str(told)


def test_a_layer_of_a_users_own_is_told_by_its_numbers() -> None:
    class Twice(hc.Layer):
        def forward(self, inputs: np.ndarray, training: bool = False) -> np.ndarray:
            return 2 * inputs

        def backward(self, dvalues: np.ndarray) -> np.ndarray:
            return 2 * dvalues

    model = hc.Sequential([Twice(), hc.Dense(2), hc.Softmax()], input_shape=(3,), seed=0)
    told = hc.explain(model, np.array([[1.0, 2.0, 4.0]]), [0])
    (forward,) = [section for section in told if section.phase == "forward" and "Twice" in section.title]
    assert forward.numbers["y"] == 2 * forward.numbers["x"]
    assert forward.numbers["all numbers"][1] == {"all numbers": "y", "smallest": 2, "mean": 14 / 3, "greatest": 8} | {
        "mean": pytest.approx(14 / 3)
    }


OPTIMIZERS = [
    hc.SGD(0.1),
    hc.SGD(0.1, momentum=0.9),
    hc.SGD(0.1, momentum=0.9, nesterov=True),
    hc.RMSprop(),
    hc.RMSprop(rho=0.0, momentum=0.5),
    hc.Adagrad(),
    hc.Lion(weight_decay=0.5),
    hc.Lion(0.1, beta_1=0.0),
    hc.AdamW(0.1, weight_decay=0.5),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_the_new_weight_is_the_one_that_the_optimizers_own_step_makes(optimizer: hc.Optimizer) -> None:
    told, loops, model = step_of("many inputs", optimizer=optimizer)
    gradients = np.concatenate([loops.gradients[1]["weights"].ravel(), loops.gradients[1]["biases"]])
    moved = model.parameters.copy()
    optimizer.build(moved, model.decayed())
    optimizer.step(moved, gradients)
    (section,) = [section for section in told if section.phase == "update"]
    begin, *lines = next(arrays_of(section))
    ((_, index),) = NAME.findall(begin.template)
    d, k = map(int, index.split(","))
    same(lines[-1].numbers["new"], moved[d * 3 + k])


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_every_equation_of_a_later_step_holds_for_the_numbers_in_it(optimizer: hc.Optimizer) -> None:
    _, _, model = step_of("many inputs")
    optimizer.build(model.parameters, model.decayed())
    optimizer.step(model.parameters.copy(), np.linspace(-1, 2, model.parameters.size))
    told, *_ = step_of("many inputs", optimizer=optimizer)
    (section,) = [section for section in told if section.phase == "update"]
    for _, g, *lines in arrays_of(section):
        assert g.template == "g = {g}"
        assert len(lines) == len(section.formula) - 1
        for line in lines:
            assert check_equation(line), line.template


class Stubborn(hc.SGD):
    """Moves nothing."""

    def _update(self, *_: Any) -> None:
        pass


def test_an_optimizer_of_a_users_own_is_told_by_its_numbers() -> None:
    told, *_ = step_of("many inputs", optimizer=Stubborn(0.1, momentum=0.9))
    (section,) = [section for section in told if section.phase == "update"]
    begin, _, velocity, end = next(arrays_of(section))
    assert velocity.template.startswith("velocity: {before} before")
    assert begin.numbers["old"] == end.numbers["new"]
    assert "Stubborn" in section.formula[0]


@pytest.mark.parametrize("limits", [{"clip_norm": 0.05}, {"clip_value": 0.01}])
def test_a_clipped_gradient_is_told_whole_and_clipped(limits: dict[str, float]) -> None:
    told, loops, _ = step_of("many inputs", optimizer=hc.Adam(**limits))
    gradients = loops.gradients[1]
    if "clip_norm" in limits:
        norm = math.sqrt(sum(float((array**2).sum()) for array in gradients.values()))
        clipped = {name: array * limits["clip_norm"] / norm for name, array in gradients.items()}
    else:
        bound = limits["clip_value"]
        clipped = {name: np.clip(array, -bound, bound) for name, array in gradients.items()}
    (section,) = [section for section in told if section.phase == "update"]
    for begin, *lines in arrays_of(section):
        ((array, index),) = NAME.findall(begin.template)
        place = tuple(map(int, index.split(",")))
        assert "The gradient is clipped from" in lines[0].template
        same([lines[0].numbers["whole"], lines[0].numbers["g"]], [gradients[array][place], clipped[array][place]])
        why = {name: lines[0].numbers[name] for name in limits}
        assert why == limits
        if "clip_norm" in limits:
            same(lines[0].numbers["length"], norm)
        new = oracles.adam(np.array([begin.numbers["old"]]), [np.array([clipped[array][place]])], epsilon=1e-7)[0]
        same(lines[-1].numbers["new"], new)


def test_a_gradient_within_the_limits_is_not_said_to_be_clipped() -> None:
    told, *_ = step_of("many inputs", optimizer=hc.Adam(0.1, clip_norm=1e6, clip_value=1e6))
    assert "clipped" not in str(told)


@pytest.mark.parametrize("limits", [{"clip_norm": 0.05}, {"clip_value": 0.01}, {"clip_norm": 0.05, "clip_value": 0.02}])
def test_the_new_weights_of_a_clipped_step_are_those_that_fit_makes(limits: dict[str, float]) -> None:
    _, loops, model = step_of("reference")
    model.layers[6].rate = 0.0
    told = hc.explain(model, loops.x[0], [1], optimizer=hc.SGD(0.1, **limits))
    model.fit(loops.x[0], [1], batch_size=1, optimizer=hc.SGD(0.1, **limits))
    for section in told:
        if section.phase == "update":
            k = int(re.findall(r"layer (\d+)", section.title)[0])
            for begin, *lines in arrays_of(section):
                ((array, index),) = NAME.findall(begin.template)
                same(lines[-1].numbers["new"], getattr(model.layers[k], array)[tuple(map(int, index.split(",")))])


def test_a_later_step_goes_on_from_the_optimizers_state_and_leaves_it_alone() -> None:
    optimizer = hc.Adam(0.1)
    _, loops, model = step_of("many inputs")
    gradients = np.concatenate([loops.gradients[1]["weights"].ravel(), loops.gradients[1]["biases"]])
    optimizer.step(model.parameters.copy(), gradients)
    told = hc.explain(model, loops.x[0], [1], optimizer=optimizer)
    (section,) = [section for section in told if section.phase == "update"]
    _, *lines = next(arrays_of(section))
    numbers = {name: value for line in lines for name, value in line.numbers.items()}
    assert numbers["t"] == 2
    assert "this is step 2 of Adam(learning_rate=0.1" in " ".join(str(told).split())
    same(numbers["m"], 0.9 * 0.1 * numbers["g"] + 0.1 * numbers["g"])
    assert optimizer.iterations == 1


def test_the_loss_after_the_step_is_that_of_the_nested_loops_with_the_new_weights() -> None:
    told, loops, model = step_of("batch norm", optimizer=hc.Adam(0.1))
    parts = [loops.gradients[k][name] for k, names in ((0, "weights biases"), (1, "gamma beta"), (3, "weights biases"))
             for name in names.split()]  # fmt: skip
    moved = model.parameters.copy()
    hc.Adam(0.1).step(moved, np.concatenate([part.ravel() for part in parts]))
    model.parameters = moved
    after = ByLoops(model, loops.x[0], [1, 0, 2], 0).loss
    same([told.sections[-1].numbers["before"], told.sections[-1].numbers["after"]], [loops.loss, after])


def test_the_model_is_left_as_it_is() -> None:
    model, x, y, optimizer = toy()
    before = model.parameters.copy(), model.gradients.copy()
    hc.explain(model, x, y, optimizer=optimizer)
    assert (model.parameters == before[0]).all()
    assert (model.gradients == before[1]).all()
    assert not optimizer.built


def test_the_same_is_told_whenever_one_asks() -> None:
    assert str(step_of("reference")[0]) == str(step_of("reference")[0])


JUDGED_BY_OUTPUT: list[tuple[hc.Loss, Any]] = [
    (hc.MeanSquaredError(), oracles.mean_squared_error),
    (hc.BinaryCrossentropy(), oracles.binary_crossentropy),
    (hc.SigmoidBinaryCrossentropy(), oracles.sigmoid_crossentropy),
]


@pytest.mark.parametrize(("loss", "oracle"), JUDGED_BY_OUTPUT, ids=lambda case: type(case).__name__)
def test_a_loss_of_each_output_is_told_with_the_truth_and_its_gradient(loss: hc.Loss, oracle: Any) -> None:
    layers: list[Any] = [hc.Dense(3)]
    if isinstance(loss, hc.BinaryCrossentropy):
        layers.append(Chances())  # a sigmoid that is not taken together with the loss
    model = hc.Sequential(layers, input_shape=(4,), seed=0, dtype="float64")
    x = np.random.default_rng(0).normal(size=(2, 4))
    targets = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    y = model.forward(x)
    mean, gradient = oracle(y, targets)
    (section,) = [section for section in hc.explain(model, x, targets, loss=loss, sample=1) if section.phase == "loss"]
    table = next(part for part in section.parts if isinstance(part, Table))
    columns = np.array([row[1:] for row in table.rows], float).T
    own = [oracle(y[1:, k : k + 1], targets[1:, k : k + 1])[0] for k in range(3)]
    same(columns[0], y[1])
    same(columns[-3:], [targets[1], own, gradient[1]])
    same([section.numbers["loss"], section.numbers["mean"]], [np.mean(own), mean])


class Chances(hc.Sigmoid):
    """A sigmoid of a user's own."""


class Shares(hc.Softmax):
    """A softmax of a user's own."""


def test_a_loss_on_probabilities_is_told_with_the_truth() -> None:
    model = hc.Sequential([hc.Dense(3), Shares()], input_shape=(4,), seed=0, dtype="float64")
    loss = hc.losses.CategoricalCrossentropy(label_smoothing=0.3)
    chances = np.array([0.2, 0.3, 0.5])
    model.layers[0].set_parameters(weights=np.zeros((4, 3)), biases=np.log(chances))
    told = hc.explain(model, np.ones((1, 4)), [2], loss=loss)
    (section,) = [section for section in told if section.phase == "loss"]
    table = next(part for part in section.parts if isinstance(part, Table))
    same([row[1:3] for row in table.rows], [(0.2, 0.1), (0.3, 0.1), (0.5, 0.8)])


def test_an_index_is_not_broken_over_two_lines() -> None:
    told, *_ = step_of("two convolutions")
    lines = str(told).splitlines()
    assert any("v - 1]" in line for line in lines)
    assert [line for line in lines if line.count("[") != line.count("]") and "|" not in line] == []


def test_equations_that_do_not_fit_side_by_side_stand_one_below_the_other() -> None:
    section = Section("forward", "a layer", ("y = " + "x + " * 12 + "x        dx = " + "dy + " * 6 + "dy",), "", ())
    assert [line.split(" = ")[0].strip() for line in str(section).splitlines()[1:]] == ["y", "dx"]


def test_a_subclass_does_not_borrow_the_formulas_of_its_parent() -> None:
    model = hc.Sequential([hc.Flatten(), Doubled(3)], input_shape=(1, 2, 2), seed=0)
    told = hc.explain(model, np.ones((1, 1, 2, 2), np.float32), [1], loss=hc.losses.SoftmaxCategoricalCrossentropy())
    (section,) = [section for section in told if section.phase == "forward" and "Doubled" in section.title]
    assert section.formula == ()


class Doubled(hc.Dense):
    def forward(self, inputs: Any, training: bool = False) -> Any:
        return 2 * super().forward(inputs, training)


def test_a_title_is_cut_where_it_would_be_wider_than_80_columns() -> None:
    assert max(map(len, str(step_of("residual")[0]).splitlines())) <= 80


def test_a_loss_on_numbers_is_told_with_its_formula_and_no_class() -> None:
    model = hc.Sequential([hc.Dense(2)], input_shape=(3,), seed=0, dtype="float64")
    x, targets = np.ones((2, 3)), np.array([[1.0, 0.0], [0.0, 2.0]])
    told = hc.explain(model, x, targets, loss=hc.MeanSquaredError())
    (section,) = [section for section in told if section.phase == "loss"]
    loss, gradient = oracles.mean_squared_error(model.forward(x), targets)
    same([section.numbers["mean"], section.numbers["output"][0]["dy"]], [loss, gradient[0, 0]])
    assert any("²" in formula for formula in section.formula)
    assert "The truth is class" not in str(told)


BLOCK = hc.Residual([hc.Conv2D(16, 3, padding=1), hc.GroupNorm(4), hc.Conv2D(16, 3, padding=1)], hc.Conv2D(16, 1))
WIDE = hc.Sequential([BLOCK, hc.MaxPool2D(4), hc.Flatten(), hc.Dense(10), hc.Softmax()], input_shape=(1, 28, 28))


@pytest.mark.parametrize("model", [hc.zoo.reference(), WIDE], ids=["reference", "residual"])
def test_nothing_is_wider_than_80_columns(model: hc.Sequential) -> None:
    told = hc.explain(model, np.random.default_rng(0).random((1, 1, 28, 28), np.float32), [3])
    assert max(map(len, str(told).splitlines())) <= 80


def test_a_matrix_of_small_numbers_that_does_not_fit_into_80_columns_is_left_out() -> None:
    deep = [layer for _ in range(6) for layer in (hc.Dense(9), hc.Sigmoid())]
    model = hc.Sequential([*deep, hc.Dense(2), hc.Softmax()], input_shape=(9,), seed=3)
    told = str(hc.explain(model, np.random.default_rng(0).random((2, 9), np.float32), [0, 1]))
    assert "e-05" in told
    assert max(map(len, told.splitlines())) <= 80


# The toy, on paper


def test_the_toy_is_what_one_gets_on_paper() -> None:
    model, x, y, optimizer = toy()
    told = hc.explain(model, x, y, optimizer=optimizer)
    image = [[1, 1, 0, 0], [0, 1, 0, 1], [0.5, 1, 0, 0], [0, 1, 0, 0]]
    kernel, bias = [[-1, 1, 0], [-1, 1, 0.5], [0, 1, -0.5]], 0.5
    z = [
        [sum(kernel[u][v] * image[i + u][j + v] for u in range(3) for v in range(3)) + bias for j in range(2)]
        for i in range(2)
    ]
    leaky = [[value if value > 0 else 0.1 * value for value in row] for row in z]
    best = max(leaky[0] + leaky[1])
    row, column = next((i, j) for i in range(2) for j in range(2) if leaky[i][j] == best)
    assert (z[row][column], row, column) == (3, 1, 0)
    dense = [0.5, -0.5]
    scores = [best * w for w in dense]
    exponentials = [math.exp(score - max(scores)) for score in scores]
    p = [e / sum(exponentials) for e in exponentials]
    loss = -math.log(p[1])
    dscores = [p[0] - 0, p[1] - 1]
    ddense = [best * d for d in dscores]
    dbest = sum(d * w for d, w in zip(dscores, dense, strict=True))
    dkernel = [[dbest * image[row + u][column + v] for v in range(3)] for u in range(3)]
    dimage = [[0.0] * 4 for _ in range(4)]
    for u in range(3):
        for v in range(3):
            dimage[row + u][column + v] += dbest * kernel[u][v]

    def moved(weight: float, g: float) -> float:
        m, v = 0.1 * g, 0.001 * g * g
        return weight - 0.1 * (m / (1 - 0.9)) / (math.sqrt(v / (1 - 0.999)) + 1e-7)

    sections = {(section.phase, section.title): section.numbers for section in told}
    conv, leaky_title, pool, dense_title = (
        "layer 0, Conv2D(1, 3)", "layer 1, LeakyReLU(0.1)", "layer 2, MaxPool2D(2, stride=2)", "layer 4, Dense(2)",
    )  # fmt: skip
    same(sections["forward", conv]["z[0]"], z)
    same(sections["forward", leaky_title]["y[0]"], leaky)
    same(sections["forward", pool]["y"], best)
    same(sections["loss", "Softmax and cross-entropy"]["loss"], loss)
    same(sections["backward", dense_title]["dw"], ddense[1])
    same(sections["backward", dense_title]["db"], dscores[1])
    same(sections["backward", pool]["dx[0]"], [[0, 0], [dbest, 0]])
    same(sections["backward", conv]["dw[0, 0]"], dkernel)
    same(sections["backward", conv]["db"], dbest)
    (sum_of_input,) = [rows for name, rows in sections["backward", conv].items() if name == "gradient of an input"]
    same(sum_of_input[-1]["product"], dimage[1][1])
    update = sections["update", f"{conv}, by Adam"]
    same(
        update["w after[0, 0]"],
        [[moved(kernel[u][v], dkernel[u][v]) for v in range(3)] for u in range(3)],
    )
    same(update["new_2"], moved(bias, dbest))
    same(
        sections["update", f"{dense_title}, by Adam"]["w after"],
        [[moved(w, g) for w, g in zip(dense, ddense, strict=True)]],
    )
    assert sections["end", "the same batch, with the new weights"]["after"] < loss


def test_the_numbers_of_the_toy_stay_simple() -> None:
    model, x, y, optimizer = toy()
    forward = [str(section) for section in hc.explain(model, x, y, optimizer=optimizer) if section.phase == "forward"]
    assert "z[0, 1, 0] = 0 + 1 + 0 - 0.5 + 1 + 0 + 0 + 1 + 0 + 0.5 (the bias) = 3" in forward[0]
    assert "y[0, 0, 0] = max(2.5, -0.1, 3, -0.15) = 3" in forward[2]


# What cannot be narrated


def small() -> hc.Sequential:
    return hc.Sequential([hc.Flatten(), hc.Dense(2), hc.Softmax()], input_shape=(1, 2, 2), seed=0)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"sample": 1}, "sample must be a row of the batch, from 0 to 0, got 1"),
        ({"unit": (5, (0,))}, "There is no layer 5 before the loss; the layers are 0, 1"),
        ({"unit": ("conv", (0,))}, "There is no layer 'conv' before the loss"),
        ({"unit": (1, (2,))}, "has units 0 to 1; there is no unit 2"),
        ({"unit": (1, (0, 0))}, "has units 0 to 1; there is no unit 0,0"),
        ({"unit": (1, (-1,))}, "there is no unit -1"),
        ({"unit": 7}, "unit must be a layer and an index"),
    ],
)
def test_what_does_not_exist_is_refused(settings: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=re.escape(rule)):
        hc.explain(small(), np.ones((1, 1, 2, 2)), [0], **settings)


def test_a_network_of_nan_is_refused() -> None:
    model = small()
    model.parameters[-1] = np.nan
    with pytest.raises(ValueError, match=r"This network is dead: \S+ hold NaN or infinity"):
        hc.explain(model, np.ones((1, 1, 2, 2)), [0])


def test_a_network_without_weights_is_refused() -> None:
    model = hc.Sequential([hc.Flatten(), hc.Softmax()], input_shape=(1, 2, 2))
    with pytest.raises(ValueError, match="this network has none"):
        hc.explain(model, np.ones((1, 1, 2, 2)), [0])


@pytest.mark.parametrize(
    ("x", "y"), [(np.ones((1, 2, 2)), [0]), (np.ones((0, 1, 2, 2)), []), (np.ones((1, 1, 2, 2)), [2])]
)
def test_a_batch_that_does_not_fit_is_refused(x: np.ndarray, y: list[int]) -> None:
    with pytest.raises(ValueError, match=r"[A-Z]?.+\."):
        hc.explain(small(), x, y)


def test_nothing_but_a_network_can_be_explained() -> None:
    with pytest.raises(TypeError, match=r"narrates a step of a handconv\.Sequential, got 3"):
        hc.explain(3, np.ones((1, 1)), [0])  # type: ignore[arg-type]


@pytest.mark.parametrize("unit", [(0, (0.7, 0, 0)), (0, ("0", 0, 0)), (True, (0, 0, 0)), "unit", 3])
def test_a_unit_is_a_layer_and_whole_numbers(unit: object) -> None:
    model, x, y, _ = toy()
    with pytest.raises(ValueError, match=r"^(unit must be a layer and an index|There is no layer True)"):
        hc.explain(model, x, y, unit=unit)  # type: ignore[arg-type]
