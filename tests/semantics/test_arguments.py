"""Arguments that Python would take for something else than what was meant are refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import handconv as hc
from semantics.networks import CLASSES, VECTORS, dense

SWITCHES: dict[str, Callable[[Any], Any]] = {
    "shuffle": lambda value: dense().fit(VECTORS, CLASSES, shuffle=value),
    "verbose": lambda value: dense().fit(VECTORS, CLASSES, verbose=value),
    "training": lambda value: dense().forward(VECTORS, value),
    "engine": lambda value: dense(engine=value),
    "fuse": lambda value: dense(fuse=value),
    "Dense: use_bias": lambda value: hc.Dense(3, use_bias=value),
    "Conv2D: use_bias": lambda value: hc.Conv2D(3, 3, use_bias=value),
    "EarlyStopping: restore_best": lambda value: hc.EarlyStopping(restore_best=value),
    "SGD: nesterov": lambda value: hc.SGD(momentum=0.9, nesterov=value),
}


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_text_is_neither_true_nor_false(switch: str) -> None:
    with pytest.raises(TypeError, match=rf"^{switch} must be True or False, got 'no'\.$"):
        SWITCHES[switch]("no")


@pytest.mark.parametrize("switch", SWITCHES)
def test_true_and_false_of_numpy_are_taken(switch: str) -> None:
    SWITCHES[switch](np.False_)


def test_an_engine_cannot_be_switched_by_a_text_later() -> None:
    with pytest.raises(TypeError, match="engine must be True or False"):
        dense().engine = "off"  # type: ignore[assignment]


@pytest.mark.parametrize("dtype", [None, "float16", int, ">f4", "floats", 32])
def test_no_other_type_of_numbers_is_taken_for_float32_or_float64(dtype: Any) -> None:
    with pytest.raises(ValueError, match="dtype must be float32 or float64, got"):
        dense(dtype=dtype)


def test_a_layer_alone_is_built_of_float32_or_float64() -> None:
    with pytest.raises(ValueError, match="dtype must be float32 or float64, got None"):
        hc.Dense(2).build((3,), dtype=None)
