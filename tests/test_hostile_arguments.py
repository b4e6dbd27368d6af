"""Whatever is handed to a public class, function or method, only the documented errors come out.

Everything in the public namespaces is called with arguments of which some are hostile, then the methods of what came
of it. ``--fuzz-rounds 500`` goes on for longer.
"""

import dataclasses
import inspect
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv import analysis as inspection
from handconv import augment, layers, nnfs, training
from handconv.datasets import readers as formats

NAMESPACES = (hc, hc.losses, hc.metrics, hc.optimizers, hc.initializers, hc.schedules, hc.datasets, formats, layers)
NAMESPACES += (nnfs, training, inspection, augment, hc.recipes, hc.zoo)
#: RuntimeError: what must have happened before has not, backward without forward for one.
DOCUMENTED = (ValueError, TypeError, RuntimeError, hc.HandconvError)
DOCUMENTED += (FileNotFoundError, IsADirectoryError, NotADirectoryError)
#: What the package alone calls, with what it has checked; and what would ask the network for data.
INTERNAL = {"bind", "add_penalty_gradients", "on_train_begin", "on_batch_end", "on_pause", "on_epoch_end"}
INTERNAL |= {"on_train_end", "check_targets", "check_predictions", "load_mnist", "load_fashion_mnist"}
INTERNAL |= {"declare", "truth", "answer"}
INTERNAL |= {"draw_maps"}
INTERNAL_ARGUMENTS = {"generator", "fan_in", "fan_out", "values", "gradients", "part"}


def hostile() -> list[Any]:
    """Values of every kind; new ones, as some can be used up or changed."""
    return [
        None, True, False,
        -1, 0, 1, 2, 3, 1.5, 0.1, float("nan"), float("inf"), 10**30, -(10**30), 2**63, 1e308, 1e-320,
        "", "same", "valid", "he_normal", "relu", "float32", "a/b\n", "∞", b"x", 1 + 1j, ..., NotImplemented, object(),
        [], (), (0, 0), (1, 2, 3), (2, 2), [1, [2, 3]], {}, {"a": 1}, {"name": "Adam"}, set(), range(3),
        np.empty(0), np.empty((0, 4)), np.zeros((2, 1, 4, 4), np.float32), np.zeros((2, 3)), np.full((2, 3), np.nan),
        np.array([0, 1]), np.array([0.5, 1]), np.array(["a", "b"]), np.array([None, 1]), np.array(3), np.eye(2),
        np.zeros((2, 3), complex), np.zeros((2, 3), "M8[s]"), np.zeros((2, 4, 4, 1)), np.array([0.5, 0.5], ">f4"),
        np.float32(2), np.int64(3), np.uint8(1), np.bool_(True), np.float32, float, hc.Dense, Path("none.npz"),
        lambda *_, **__: None, hc.Dense(2), hc.ReLU(), hc.Adam(), [hc.Dense(2), hc.Softmax()],
    ]  # fmt: skip


#: Arguments that lead further into the code than hostile ones, by the parameter's name.
FITTING: dict[str, Callable[[], Any]] = {
    "filters": lambda: 2, "units": lambda: 2, "kernel_size": lambda: 2, "pool_size": lambda: 2, "rate": lambda: 0.1,
    "layers": lambda: [hc.Dense(2), hc.Softmax()], "x": lambda: np.zeros((2, 1, 4, 4)), "shape": lambda: (3,),
    "y": lambda: np.array([0, 1]), "targets": lambda: np.array([0, 1]), "predictions": lambda: np.full((2, 2), 0.5),
    "path": lambda: Path("model.npz"), "dvalues": lambda: np.zeros((2, 2)), "parameters": lambda: np.zeros(3),
    "gradients": lambda: np.zeros(3), "source": lambda: "offline", "model": lambda: samples_of_every_class()[0],
    "images": lambda: np.zeros((2, 1, 4, 4)), "augmentation": lambda: augment.Elastic(),
    "steps": lambda: [augment.Rotate(10)],
    "generator": lambda: np.random.default_rng(0), "fan_in": lambda: 2, "fan_out": lambda: 3,
}  # fmt: skip


def samples_of_every_class() -> list[Any]:
    """Objects whose methods are called."""
    windows = [hc.Conv2D(2, 2), hc.MaxPool2D(2), hc.AveragePool2D(2), hc.GlobalAveragePool2D(), hc.Flatten()]
    model = hc.Sequential([*windows[:2], hc.Flatten(), hc.Dense(3), hc.Softmax()], input_shape=(1, 4, 4), seed=0)
    units = [hc.Dense(2), hc.Dropout(0.3), hc.LeakyReLU(), hc.ReLU(), hc.Sigmoid(), hc.Tanh(), hc.Softmax()]
    losses = [hc.SoftmaxCategoricalCrossentropy(), hc.CategoricalCrossentropy(), hc.BinaryCrossentropy()]
    losses += [hc.SigmoidBinaryCrossentropy()]
    book = [nnfs.Layer_Dense(3, 2), nnfs.Layer_Dropout(0.1), nnfs.Activation_Softmax(), nnfs.Accuracy_Categorical()]
    rest = [hc.MeanSquaredError(), hc.Adam(), hc.AdamW(), hc.SGD(0.1, 0.9), hc.schedules.OneCycle(0.1)]
    rest += [augment.Compose([augment.Rotate(10), augment.Elastic()])]
    return [model, *windows, *units, *losses, *book, *rest, nnfs.Loss_CategoricalCrossentropy()]


def public() -> list[tuple[str, Any]]:
    """Every class and function that a public namespace promises, once."""
    found: dict[int, tuple[str, Any]] = {}
    for namespace in NAMESPACES:
        for name, thing in inspect.getmembers(namespace, callable):
            ours = str(getattr(thing, "__module__", "")).startswith("handconv")
            error = inspect.isclass(thing) and issubclass(thing, Exception)
            results = dataclasses.is_dataclass(thing)  # which the package makes
            if ours and not error and not results and not name.startswith("_") and name not in INTERNAL:
                found[id(thing)] = (f"{namespace.__name__}.{name}", thing)
    return list(found.values())


def methods(thing: Any) -> Iterator[tuple[str, Any]]:
    """The public methods of an object."""
    for name, kind in inspect.getmembers(type(thing)):
        if not name.startswith("_") and name not in INTERNAL and callable(kind):
            yield f"{type(thing).__name__}.{name}", getattr(thing, name)


def arguments(function: Callable[..., Any], chance: random.Random) -> tuple[list[Any], dict[str, Any]]:
    """Arguments for a call: one to three hostile ones, fitting ones where they are needed and known."""
    parameters = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    open_to_attack = [parameter for parameter in parameters if parameter.name not in INTERNAL_ARGUMENTS]
    attacked = chance.sample(open_to_attack, min(len(open_to_attack), chance.randint(1, 3)))
    by_place, by_name = list[Any](), dict[str, Any]()
    for parameter in parameters:
        if parameter not in attacked and parameter.default is not parameter.empty:
            continue
        fitting = FITTING.get(parameter.name)
        value = fitting() if fitting and parameter not in attacked else chance.choice(hostile())
        if parameter.kind == parameter.POSITIONAL_ONLY:
            by_place.append(value)
        else:
            by_name[parameter.name] = value
    return by_place, by_name


def attack(name: str, function: Callable[..., Any], chance: random.Random) -> Any:
    """Call with such arguments; what comes of it, or None after a documented error."""
    by_place, by_name = arguments(function, chance)
    try:
        return function(*by_place, **by_name)
    except DOCUMENTED as error:
        if isinstance(error, RecursionError) or not str(error):
            raise AssertionError(f"{name} without a sentence") from error
    except Exception as error:
        error.add_note(f"{name}(*{by_place!r}, **{by_name!r})")
        raise
    return None


@pytest.mark.filterwarnings("ignore")  # of NumPy, about what hostile numbers do to arithmetic
def test_only_documented_errors_come_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.chdir(tmp_path)
    chance, calls = random.Random(0), 0
    for _ in range(pytestconfig.getoption("fuzz_rounds")):
        targets = public() + [method for thing in samples_of_every_class() for method in methods(thing)]
        for name, function in targets:
            made = attack(name, function, chance)
            calls += 1
            if inspect.isclass(function) and made is not None:
                for inner, method in methods(made):
                    attack(inner, method, chance)
                    calls += 1
    print(f"\n{calls:,} calls")
    assert calls > 500
    assert {file.suffix for file in tmp_path.iterdir()} <= {".npz"}
