"""Attributes of one's own beside the names that this package uses: what would replace a method is refused at once."""

from typing import Any

import numpy as np
import pytest

import handconv as hc

KINDS: list[tuple[type, tuple[Any, ...], str]] = [
    (hc.Layer, (), "config"),
    (hc.Layer, (), "tree"),
    (hc.Dense, (3,), "copy"),
    (hc.CategoricalCrossentropy, (), "gradient"),
    (hc.SGD, (0.1,), "step"),
    (hc.SGD, (0.1,), "_update"),
    (hc.Callback, (), "on_epoch_end"),
    (hc.Sequential, ([hc.ReLU],), "predict"),
]


@pytest.mark.parametrize(("kind", "arguments", "name"), KINDS)
@pytest.mark.parametrize("value", [3, "text", None, [1, 2]])
def test_a_value_in_the_place_of_a_method_is_refused(
    kind: type, arguments: tuple[Any, ...], name: str, value: object
) -> None:
    class Mine(kind):  # type: ignore[misc]
        def __init__(self) -> None:
            given = ([layer() for layer in arguments[0]],) if kind is hc.Sequential else arguments
            super().__init__(*given)
            setattr(self, name, value)

    with pytest.raises(AttributeError, match=f"^Mine has a method '{name}', which .* would replace. Choose another"):
        Mine()


def test_a_function_may_replace_a_method(rng: np.random.Generator) -> None:
    layer, x = hc.ReLU(), rng.normal(size=(2, 3))
    layer.forward = lambda inputs, training=False: inputs + 1 + training  # type: ignore[method-assign]
    np.testing.assert_array_equal(hc.Sequential([layer], dtype="float64").predict(x), x + 1)


def test_what_is_no_name_of_a_method_is_free(rng: np.random.Generator) -> None:
    class Mine(hc.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.version, self.state, self.history = "2.0", None, [1]

        def forward(self, inputs: np.ndarray, training: bool = False) -> np.ndarray:
            return 2 * inputs

        def backward(self, dvalues: np.ndarray) -> np.ndarray:
            return 2 * dvalues

    model, x = hc.Sequential([Mine()], dtype="float64"), rng.normal(size=(2, 3))
    np.testing.assert_array_equal(model.predict(x), 2 * x)
    model.layers[0].forward = lambda inputs, training=False: 3 * inputs + training  # type: ignore[method-assign]
    np.testing.assert_array_equal(model.predict(x), 3 * x)
