"""What a layer of one's own declares and returns is checked, by name."""

from typing import Any

import numpy as np
import pytest

from handconv.layers import Layer, ParameterSpec, ReLU


class Own(Layer):
    """Declares what it is given."""

    declared: Any = ()

    def declare(self, input_shape: tuple[int, ...]) -> Any:
        return self.declared


@pytest.mark.parametrize(
    ("declared", "error", "message"),
    [
        (3, TypeError, r"Own\.declare must return a tuple of ParameterSpec, got 3\."),
        (("weights",), TypeError, r"must return a tuple of ParameterSpec, got \('weights',\)\."),
        ((ParameterSpec("a b", (2,)),), ValueError, r"'a b' is no free name of an attribute\. Take another\."),
        ((ParameterSpec("output", (2,)),), ValueError, r"'output' is no free name"),
        ((ParameterSpec("inputs", (2,)),), ValueError, r"an array 'inputs', and 'dinputs' is no free name"),
        ((ParameterSpec("a", (2,)), ParameterSpec("a", (3,))), ValueError, r"'a' is no free name"),
        ((ParameterSpec("a", (2,)), ParameterSpec("da", (2,), trainable=False)), ValueError, r"'da' is no free name"),
        ((ParameterSpec("a", (0,)),), ValueError, r"the shape of a must be whole numbers of at least 1, got \(0,\)\."),
        ((ParameterSpec("a", 2),), ValueError, r"the shape of a must be whole numbers of at least 1, got 2\."),
        ((ParameterSpec("a", (2,), l1=-1),), ValueError, r"l1 and l2 of a must be numbers of at least 0, got \(-1, "),
        ((ParameterSpec("a", (2,), reduce="max"),), ValueError, r'reduce of a must be "mean" or "sum", got \'max\'\.'),
    ],
)  # fmt: skip
def test_declarations_that_make_no_sense_are_refused(declared: Any, error: type[Exception], message: str) -> None:
    layer = Own()
    layer.declared = declared
    with pytest.raises(error, match=message):
        layer.build((3,))


@pytest.mark.parametrize(
    "declared", [ParameterSpec("a", (2,)), [ParameterSpec("a", (2,))], (ParameterSpec("a", (2,)),)]
)
def test_one_spec_a_list_and_a_tuple_are_read_alike(declared: Any) -> None:
    layer = Own()
    layer.declared = declared
    layer.build((3,))
    assert layer.specs == (ParameterSpec("a", (2,)),)


@pytest.mark.parametrize(
    ("method", "values", "error", "message"),
    [
        (
            "forward",
            None,
            ValueError,
            r"ReLU\.forward must return an array of shape \(2, 3\), got nothing\. Say the new",
        ),
        ("backward", None, ValueError, r"ReLU\.backward must return .*, got nothing\. Return dinputs\."),
        (
            "forward",
            np.ones((2, 4)),
            ValueError,
            r"got an array of shape \(2, 4\)\. Say the new shape in infer_shape\.",
        ),
        ("forward", np.ones((2, 3), complex), TypeError, r"ReLU\.forward must return real numbers, got complex128\."),
        ("forward", "abc", TypeError, r"must return real numbers, got str\."),
        ("backward", [np.ones((2, 3)), np.ones((1, 3))], TypeError, r"must return real numbers, got list\."),
    ],
)
def test_what_a_method_returns_must_be_real_numbers_of_the_shape(
    method: str, values: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ReLU().check_result(method, values, (2, 3))


def test_what_fits_is_given_back_as_an_array() -> None:
    assert ReLU().check_result("forward", [[1, 2]], (1, 2)).tolist() == [[1, 2]]
