"""The learner's path: the answers to its exercises are right, wrong ones are noticed, and its chapters are true.

``--answers exercises`` checks what a learner wrote into docs/learn/exercises instead of docs/learn/solutions.
"""

import doctest
import importlib.util
import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import handconv as hc
import oracles
from handconv.analysis import toy

Array = NDArray[Any]
Found = tuple[str, str] | None

REPOSITORY = Path(__file__).resolve().parent.parent
LEARN = REPOSITORY / "docs" / "learn"
CHAPTERS = sorted(LEARN.glob("*.md"))
EXERCISES = sorted(path.stem for path in (LEARN / "exercises").glob("*.py"))


def load(folder: str, name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(f"{folder}_{name}", LEARN / folder / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def answer(request: pytest.FixtureRequest) -> Callable[[str], ModuleType]:
    """The file of an exercise, with the answers that are to be checked."""
    return lambda name: load(request.config.getoption("--answers"), name)


# One step on paper

WORKED_OUT = re.compile(r"(\w+)(?:\[([\d, ]+)\])? = (.+) = (\S+)")
PAPER = re.findall(r"(?ms)^## (.*?)\n(.*?)(?=^## |\Z)", (LEARN / "one-step-on-paper.md").read_text("utf-8"))


def lines_of(text: str) -> list[str]:
    """The lines of the blocks of figures."""
    return [line for block in re.findall(r"(?ms)^```text\n(.*?)^```", text) for line in block.splitlines()]


def worked_out(text: str) -> list[tuple[str, tuple[int, ...], str, str]]:
    """The name, index, calculation and result of each line."""
    found = [WORKED_OUT.fullmatch(line) for line in lines_of(text)]
    return [
        (line[1], tuple(map(int, line[2].split(","))) if line[2] else (), line[3], line[4]) for line in found if line
    ]


def calculated(text: str) -> float:
    """What a calculation gives."""
    python = text.replace("·", "*").replace("²", "**2").replace("^", "**")
    return float(eval(python, {**vars(math), "max": max}))  # noqa: S307 (lines of the chapter)


def known_of_the_toy() -> dict[str, dict[str, Any]]:
    """By heading, what a step of the toy computes, by the names that the chapter has for it."""
    model, x, y, optimizer = toy()
    conv, leaky, pool, _, dense, _ = model.layers
    told = hc.explain(model, x, y, optimizer=optimizer)
    sections = {(section.phase, section.title): section.numbers for section in told}

    def forward() -> dict[str, Any]:
        model.forward(x)
        p = model.layers[-1].output[0]
        z, a, h, s = conv.output[0, 0], leaky.output[0, 0], pool.output.item(), dense.output[0]
        e = np.exp(s - s.max())
        return {"z": z, "a": a, "h": h, "s": s, "e": e, "total": e.sum(), "p": p, "loss": -np.log(p[1])}

    before = forward()
    ds = model.layers[-1].output - oracles.one_hot([1], 2)
    dh = dense.backward(ds)
    da = pool.backward(dh.reshape(1, 1, 1, 1))
    dz = leaky.backward(da)
    dx = conv.backward(dz)
    backward = {
        "ds": ds[0], "dW": dense.dweights[0], "dB": dense.dbiases, "dh": dh.item(), "da": da[0, 0], "dz": dz[0, 0],
        "dw": conv.dweights[0, 0], "db": conv.dbiases.item(), "dx": dx[0, 0],
    }  # fmt: skip
    model.fit(x, y, batch_size=1, optimizer=optimizer)
    w, b = conv.weights[0, 0].copy(), conv.biases.item()
    updates = {"w": w, "b": b, "W": dense.weights[0].copy(), "B": dense.biases.copy()}
    for name, of in (("w", "layer 0, Conv2D(1, 3), by Adam"), ("W", "layer 4, Dense(2), by Adam")):
        told_of = sections["update", of]
        updates |= {f"{part} of {name}": told_of[part] for part in ("m", "v", "m_hat", "v_hat")}
    return {
        "Forward": before,
        "How wrong is it?": before,
        "Backward": backward,
        "The update": updates,
        "Was it worth it?": forward(),
    }


def test_the_chapter_begins_with_the_image_and_the_filter_of_the_toy() -> None:
    model, x, _, _ = toy()
    rows = [list(map(float, line.split())) for line in lines_of(dict(PAPER)["What is given"])[1:]]
    assert [row[:4] for row in rows] == x[0, 0].tolist()
    assert [row[4:] for row in rows[:3]] == model.layers[0].weights[0, 0].tolist()


@pytest.mark.parametrize("heading", [heading for heading, text in PAPER if worked_out(text)])
def test_every_line_on_paper_is_calculated_rightly_and_is_what_the_toy_computes(heading: str) -> None:
    known, adam = known_of_the_toy()[heading], "w"
    found = worked_out(dict(PAPER)[heading])
    assert len(found) == len(lines_of(dict(PAPER)[heading]))
    for name, index, calculation, result in found:
        assert calculated(calculation) == pytest.approx(float(result), rel=1e-3, abs=1e-9), (name, index)
        value = known[name] if name in known else known[f"{name} of {adam}"]
        assert f"{float(result):.4g}" == f"{np.asarray(value)[index] + 0.0:.4g}", (name, index)
        adam = "W" if name == "w" else adam  # after the filter's weight comes the dense layer's


def test_every_number_that_the_toy_prints_is_worked_out_on_paper() -> None:
    model, x, y, optimizer = toy()
    told = str(hc.explain(model, x, y, optimizer=optimizer))
    equations = [line for line in told.splitlines() if re.search(r"= -?\d", line) and "beta_1" not in line]
    paper = "\n".join(text for _, text in PAPER)

    def numbers(text: str) -> set[float]:
        return {abs(float(number)) for number in re.findall(r"\d+(?:\.\d+)?(?:e-\d+)?", re.sub(r"\[.*?\]", "", text))}

    missing = {number for line in equations for number in numbers(line)} - numbers(paper)
    assert missing == set()


# Exercise 1: the backward pass of a max pooling


def check_max_pool(layer: Callable[..., hc.Layer]) -> None:
    """Compare with the nested loops: odd sizes, windows side by side, apart and overlapping, and many ties."""
    rng = np.random.default_rng(0)
    for size, stride in ((2, 2), (3, 3), (2, 3), (3, 2), (2, 1)):
        x = rng.integers(0, 3, (2, 3, 8, 7)).astype(np.float64)
        pool = layer(size, stride)
        y = pool.forward(x)
        dy = rng.integers(-9, 10, y.shape).astype(np.float64)
        expected = oracles.max_pool_backward(x, dy, (size, size), (stride, stride))
        np.testing.assert_array_equal(pool.backward(dy), expected, err_msg=f"window {size}, stride {stride}")


def test_the_answer_to_max_pool_routes_gradients_as_the_nested_loops_do(
    answer: Callable[[str], ModuleType],
) -> None:
    check_max_pool(answer("max_pool_backward").MaxPool2D)


def test_a_network_with_the_answer_to_max_pool_trains_as_one_with_the_packages_own(
    answer: Callable[[str], ModuleType], rng: np.random.Generator
) -> None:
    def trained(pool: hc.Layer) -> Array:
        layers = [hc.Conv2D(2, 3), pool, hc.Flatten(), hc.Dense(3), hc.Softmax()]
        model = hc.Sequential(layers, input_shape=(1, 9, 9), seed=0, dtype="float64")
        model.fit(x, y, epochs=2, batch_size=10)
        return model.parameters

    x, y = rng.normal(size=(30, 1, 9, 9)), np.arange(30) % 3
    own = answer("max_pool_backward").MaxPool2D(3, 2)
    np.testing.assert_allclose(trained(own), trained(hc.MaxPool2D(3, stride=2)), rtol=0, atol=1e-9)


def wrong_pool(winners: Callable[[Array], Array], *, add: bool = True) -> type[hc.Layer]:
    """A pooling that routes the gradient to the cells which ``winners`` finds in (N, C, OH, OW, K·K)."""
    pool: type[hc.Layer] = load("solutions", "max_pool_backward").MaxPool2D

    class WrongPool(pool):  # type: ignore[valid-type, misc]
        def backward(self, dvalues: Array) -> Array:
            size, step, (rows, columns) = self.pool_size, self.stride, dvalues.shape[2:]
            chosen = winners(self.windows().reshape(*dvalues.shape, -1))
            dinputs = np.zeros_like(self.inputs)
            for position, (u, v) in enumerate(np.ndindex(size, size)):
                dcells = dinputs[:, :, u : u + step * rows : step, v : v + step * columns : step]
                share = dvalues * chosen[..., position]
                dcells[...] = dcells + share if add else np.where(chosen[..., position], share, dcells)
            return dinputs

    return WrongPool


def first_only(cells: Array) -> Array:
    return np.arange(cells.shape[-1]) == cells.argmax(axis=-1)[..., None]


def last_only(cells: Array) -> Array:
    return first_only(cells[..., ::-1])[..., ::-1]


def all_of_them(cells: Array) -> Array:
    return cells == cells.max(axis=-1, keepdims=True)


def test_the_frame_of_the_wrong_poolings_is_right() -> None:
    check_max_pool(wrong_pool(first_only))


@pytest.mark.parametrize("winners", [last_only, all_of_them], ids=["to the last maximum", "to every maximum"])
def test_a_gradient_that_ties_send_elsewhere_is_noticed(winners: Callable[[Array], Array]) -> None:
    with pytest.raises(AssertionError, match="window 2, stride 2"):
        check_max_pool(wrong_pool(winners))


def test_overlapping_windows_that_overwrite_one_another_are_noticed() -> None:
    with pytest.raises(AssertionError, match="window 3, stride 2"):
        check_max_pool(wrong_pool(first_only, add=False))


# Exercise 2: break a gradient and find it


def model_with(*layers: hc.Layer) -> hc.Sequential:
    return hc.Sequential([*layers, hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)


X, Y = np.random.default_rng(0).normal(size=(6, 4)), np.arange(6) % 3


def check_broken(layer: hc.Layer) -> None:
    """The gradient check of a network that holds the layer fails, and it fails at this layer alone."""
    report = hc.gradcheck(model_with(hc.Dense(5), layer), X, Y)
    guilty = {row.layer for row in report.rows if row.verdict == "FAILED"} - {"network"}
    assert guilty == {f"1 {type(layer).__name__}"}, str(report)


class DoubledWeights(hc.Dense):
    def backward(self, dvalues: Array) -> Array:
        dinputs = super().backward(dvalues)
        self.dweights[...] *= 2
        return dinputs


class ForgottenBiases(hc.Dense):
    def backward(self, dvalues: Array) -> Array:
        dinputs = super().backward(dvalues)
        self.dbiases[...] = 0
        return dinputs


class WrongSlope(hc.LeakyReLU):
    def backward(self, dvalues: Array) -> Array:
        return 1.01 * super().backward(dvalues)


def check_finds(find_mistake: Callable[[hc.Sequential, Array, Array], Found]) -> None:
    """Networks with one mistake each, of a layer's weights, inputs and biases, and one without a mistake."""
    cases: list[tuple[list[hc.Layer], Found]] = [
        ([hc.Dense(5), hc.LeakyReLU()], None),
        ([DoubledWeights(5), hc.LeakyReLU()], ("0 DoubledWeights", "weights")),
        ([hc.Dense(5), WrongSlope()], ("1 WrongSlope", "inputs")),
        ([hc.Dense(5), hc.LeakyReLU(), ForgottenBiases(5)], ("2 ForgottenBiases", "biases")),
    ]
    for layers, expected in cases:
        found = find_mistake(model_with(*layers), X, Y)
        assert found == expected, f"{found}, not {expected}"


def test_the_answer_to_break_a_gradient_has_one_that_is_found_at_its_layer(answer: Callable[[str], ModuleType]) -> None:
    check_broken(answer("break_a_gradient").broken_layer())


def test_the_answer_to_break_a_gradient_finds_what_is_broken(answer: Callable[[str], ModuleType]) -> None:
    check_finds(answer("break_a_gradient").find_mistake)


class BothWays(hc.Layer):
    """Another function than its author meant; but backward fits it."""

    def forward(self, inputs: Array, training: bool = False) -> Array:
        return 2 * inputs

    def backward(self, dvalues: Array) -> Array:
        return 2 * dvalues


def test_a_mistake_in_both_directions_breaks_no_gradient() -> None:
    with pytest.raises(AssertionError, match="All gradients are right"):
        check_broken(BothWays())


def largest_error(model: hc.Sequential, x: Array, y: Array) -> Found:
    report = hc.gradcheck(model, x, y)
    row = max(report.rows, key=lambda row: row.error)
    return None if report.ok else (row.layer, row.what)


def test_the_row_with_the_largest_error_is_not_where_the_mistake_is() -> None:
    with pytest.raises(AssertionError, match="network"):
        check_finds(largest_error)


# Exercise 3: softmax with cross-entropy

Losses = Callable[[Array, Array], tuple[Any, Array]]


def check_softmax(function: Losses) -> None:
    """Compare with the nested loops, for small scores and for scores whose exponentials overflow or vanish."""
    rng = np.random.default_rng(0)
    for scale in (1.0, 1e4):
        scores, labels = scale * rng.normal(size=(5, 4)), np.array([0, 1, 2, 3, 1])
        before = scores.copy()
        loss, dscores = function(scores, labels)
        np.testing.assert_array_equal(scores, before, err_msg="the scores themselves were changed")
        expected_loss, expected = oracles.softmax_crossentropy(scores, oracles.one_hot(labels, 4))
        np.testing.assert_allclose(dscores, expected, rtol=1e-12, atol=1e-15, err_msg="the gradient")
        np.testing.assert_allclose(loss, expected_loss, rtol=1e-12, err_msg="the loss")


def test_the_answer_to_softmax_gives_the_loss_and_gradient_of_the_nested_loops(
    answer: Callable[[str], ModuleType],
) -> None:
    check_softmax(answer("softmax_cross_entropy").softmax_cross_entropy)


def of_the_sum(scores: Array, labels: Array) -> tuple[Any, Array]:
    """The gradient of the sum over the samples, not of their mean."""
    loss, dscores = load("solutions", "softmax_cross_entropy").softmax_cross_entropy(scores, labels)
    return loss, len(labels) * dscores


def of_the_probabilities(scores: Array, labels: Array) -> tuple[Any, Array]:
    """The gradient with respect to p, -1 / p, where that with respect to the scores is wanted."""
    loss, dscores = load("solutions", "softmax_cross_entropy").softmax_cross_entropy(scores, labels)
    truth = oracles.one_hot(labels, scores.shape[1])
    return loss, -truth / (len(labels) * dscores + truth) / len(labels)


def in_place(scores: Array, labels: Array) -> tuple[Any, Array]:
    """The greatest score is taken off the caller's array."""
    scores -= scores.max(axis=1, keepdims=True)
    loss, dscores = load("solutions", "softmax_cross_entropy").softmax_cross_entropy(scores, labels)
    return loss, dscores


def not_shifted(scores: Array, labels: Array) -> tuple[Any, Array]:
    """The formula as it stands in books, whose exponentials overflow."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        truth = oracles.one_hot(labels, scores.shape[1])
        return -np.log(p[np.arange(len(labels)), labels]).mean(), (p - truth) / len(labels)


@pytest.mark.parametrize(
    ("function", "mismatch"),
    [
        (of_the_sum, "gradient(?s:.*)100%"),
        (of_the_probabilities, "gradient(?s:.*)100%"),
        (not_shifted, "nan"),
        (in_place, "changed"),
    ],
)
def test_a_typical_mistake_in_softmax_is_noticed(function: Losses, mismatch: str) -> None:
    with pytest.raises(AssertionError, match=mismatch):
        check_softmax(function)


# The files of the path


def test_each_exercise_has_a_solution() -> None:
    assert len(EXERCISES) == 3
    assert sorted(path.stem for path in (LEARN / "solutions").glob("*.py")) == EXERCISES


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("max_pool_backward", lambda file: file.MaxPool2D().backward(np.ones((1, 1, 1, 1)))),
        ("break_a_gradient", lambda file: file.broken_layer()),
        ("break_a_gradient", lambda file: file.find_mistake(None, X, Y)),
        ("softmax_cross_entropy", lambda file: file.softmax_cross_entropy(X, Y)),
    ],
)
def test_an_exercise_that_nobody_has_solved_says_what_to_write(
    name: str, call: Callable[[ModuleType], object], request: pytest.FixtureRequest
) -> None:
    if request.config.getoption("--answers") == "exercises":
        pytest.skip("the exercises are being solved")
    with pytest.raises(NotImplementedError, match=r"^Write [\w.]+: .*\.$"):
        call(load("exercises", name))


@pytest.mark.parametrize("name", EXERCISES)
def test_the_line_that_checks_one_exercise_chooses_its_tests_alone(name: str, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--answers") == "exercises":
        pytest.skip("an answer may have other words at its head")
    asked = re.search(r"--answers exercises -k (\w+)", (LEARN / "exercises" / f"{name}.py").read_text("utf-8"))
    assert asked is not None
    answers = [test for test in globals() if test.startswith("test_the_answer_to_") and asked[1] in test]
    titles = {test.removeprefix("test_the_answer_to_").partition("_")[0] for test in answers}
    assert titles == {name.partition("_")[0]}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.name)
def test_the_python_of_a_chapter_prints_what_it_says(path: Path) -> None:
    blocks = re.findall(r"(?ms)^```python\n(.*?)^```", path.read_text("utf-8"))
    source = "\n".join(block for block in blocks if block.startswith(">>>"))
    test = doctest.DocTestParser().get_doctest(source, {"np": np, "hc": hc}, path.name, str(path), 0)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.name)
def test_the_links_of_a_chapter_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text("utf-8"))
    assert links
    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []


def test_the_chapter_on_speed_goes_as_far_as_the_path_says() -> None:
    table = re.findall(r"(?m)^\| [\d, ]+ \| .* \| ([\d.]+)( hours)? \|", (LEARN / "6-speed.md").read_text("utf-8"))
    (slow, hours), (quick, _) = table[0], table[-1]
    assert f"from {slow}{hours} for an epoch to {quick} seconds" in (LEARN / "README.md").read_text("utf-8")


def test_the_drawings_are_those_of_their_script(tmp_path: Path) -> None:
    script = REPOSITORY / "scripts" / "draw_learn.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, capture_output=True)
    drawn = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    assert drawn == {path.name: path.read_text("utf-8") for path in (LEARN / "figures").iterdir()}
    shown = "".join(path.read_text("utf-8") for path in CHAPTERS)
    assert [name for name in drawn if f"figures/{name}" not in shown] == []
