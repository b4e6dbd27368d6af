"""What an optimizer is: vectors that live from step to step, a count of steps, and a step."""

from __future__ import annotations

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handconv.arrays import FloatArray
from handconv.optimizers.schedules import Schedule
from handconv.utils.settings import Settings, is_change
from handconv.utils.validation import POSITIVE, check_not_a_method, check_number, check_setting

#: How many numbers are worked on at once, so that with their state they fit in a second-level cache: on a million
#: parameters that halves the time of a step. Smaller blocks would cost more calls. The reference network is one block.
BLOCK = 65_536

#: Where gradients stay zero, running means shrink step by step until they are subnormal, and stay so: 0.9 times the
#: smallest float rounds to that float. Arithmetic on subnormal numbers is about ten times slower. So every 64 steps,
#: state that is nearly subnormal is set to zero; it is far too small to move a parameter. (Lion, which moves by the
#: sign alone, then leaves the parameter where it is.)
_SETTLE_EVERY, _SETTLE_BELOW = 64, 1e8

_EVERYTHING = slice(None)
_STATE = ("iterations", "total_steps", "state", "vectors")


def check_optimizer(optimizer: object) -> Optimizer:
    """Return the optimizer; refuse names and classes."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be an optimizer such as handconv.Adam(0.001), got {optimizer!r}.")
    if "_learning_rate" not in vars(optimizer):
        name = type(optimizer).__name__
        raise TypeError(f"{name} has no learning rate. Its __init__ must call super().__init__(learning_rate).")
    return optimizer


class Optimizer(Settings, ABC):
    """Moves parameters, step by step, against their gradients.

    ``state`` holds the vectors that live from step to step, by name; ``iterations`` is the number of steps done;
    ``total_steps`` is set by the training loop, for schedules. ``fit`` clips the whole gradient with
    ``clip_gradients`` before each step; ``step`` itself does not clip.

    Args:
        learning_rate: above 0, or a schedule.
        clip_norm: the largest Euclidean norm of the whole gradient; ``fit`` scales a longer one down. None: no limit.
        clip_value: the largest absolute value in the gradient; ``fit`` clips to it first. None: no limit.
    """

    #: The names of the vectors in ``state``, for these settings.
    vectors: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: Any) -> None:
        """Take a setting as the constructor would take it, and refuse what would have no effect."""
        check_not_a_method(self, name, value)
        if is_change(self, name):
            value = self.as_constructed(name, value)
        elif type(self).__module__.startswith("handconv.optimizers.") and name not in _STATE:
            check_setting(self, self._label, name, self.arguments)
        object.__setattr__(self, name, value)

    def __init__(
        self, learning_rate: float | Schedule, clip_norm: float | None = None, clip_value: float | None = None
    ) -> None:
        self.learning_rate = learning_rate
        limits = {"clip_norm": clip_norm, "clip_value": clip_value}
        for name, limit in limits.items():
            if limit is not None:
                limits[name] = check_number(f"{self._label}: {name}", limit, *POSITIVE)
        self.clip_norm, self.clip_value = limits["clip_norm"], limits["clip_value"]
        self._used = self._running = False
        self.iterations = 0
        self.total_steps: int | None = None
        self.state: dict[str, FloatArray] = {}
        self._shape: tuple[int, ...] | None = None
        self._decayed: tuple[slice, ...] = ()
        self._temporary: FloatArray = np.empty(0)

    @property
    def learning_rate(self) -> float | Schedule:
        """The learning rate, or the schedule that gives it; may be set between steps."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float | Schedule) -> None:
        if not isinstance(value, Schedule):
            if callable(value):
                raise TypeError(
                    f"{self._label}: a learning rate that changes is a schedule, got {value!r}. "
                    "Derive it from handconv.schedules.Schedule."
                )
            value = check_number(f"{self._label}: learning_rate", value, *POSITIVE)
        self._learning_rate = value

    @property
    def current_learning_rate(self) -> float:
        """The learning rate of the next step."""
        return self.rate_at(self.iterations)

    def rate_at(self, step: int) -> float:
        """The learning rate after so many steps.

        Raises:
            ValueError: if a schedule gives no finite number of at least 0.
        """
        rate = self._learning_rate
        if not isinstance(rate, Schedule):
            return rate
        value: Any = rate(step, self.total_steps)
        number = float(value) if isinstance(value, Real) else math.nan
        if not 0 <= number < math.inf:
            name = type(rate).__name__
            raise ValueError(
                f"{name}: the learning rate must be a finite number of at least 0, got {value!r} after step {step}."
            )
        return number

    def as_constructed(self, name: str, value: Any) -> Any:
        """The value of a setting as the constructor would keep it.

        Raises:
            ValueError: if a training is under way and the new value needs a vector that ``state`` does not have.
        """
        with contextlib.suppress(AttributeError):  # where not all arguments are kept
            like = type(self)(**super().config() | {name: value})
            missing = [vector for vector in like.vectors if vector not in self.state]
            if missing and self._running:
                raise ValueError(
                    f"{self._label}: {name}={value!r} would need {missing[0]!r}, which this training began without. "
                    "Set it before fit."
                )
            return getattr(like, name)
        return value

    @property
    def built(self) -> bool:
        """Whether the vectors in ``state`` exist, if there are any."""
        return self._shape is not None

    def build(self, parameters: FloatArray, decayed: Sequence[slice] | None = None) -> None:
        """Start anew for a vector of parameters: zeros in ``state``, no steps done.

        Args:
            parameters: one flat vector; only its shape and dtype are used.
            decayed: the pieces that weight decay shrinks, which should leave out biases; the whole vector unless given.

        Raises:
            ValueError, TypeError: if it is no flat vector.
        """
        self._check_arrays(parameters)
        if parameters.ndim != 1:
            raise ValueError(
                f"{self._label} expects one flat vector of parameters, got shape {parameters.shape}. Use x.reshape(-1)."
            )
        self._shape = parameters.shape
        self._decayed = (_EVERYTHING,) if decayed is None else tuple(decayed)
        self._temporary = np.empty(min(BLOCK, parameters.size), parameters.dtype)
        self.state = {name: np.zeros_like(parameters) for name in self.vectors}
        self.iterations, self._used = 0, False

    def start(self, parameters: FloatArray, decayed: Sequence[slice]) -> None:
        """Begin a training. State left by an earlier training is discarded.

        State that was loaded, or made by steps by hand, is kept, and training continues from it.

        Args:
            parameters: one flat vector.
            decayed: the pieces that decoupled weight decay shrinks.
        """
        if self._running:
            raise RuntimeError(f"{self._label} is in use by another training. Give each training its own optimizer.")
        if not self.built or self._used:
            self.build(parameters, decayed)
        self._running = True

    def finish(self) -> None:
        """End a training: the state stays to be looked at, and the next training begins anew."""
        self._used, self._running = True, False

    def clip_gradients(self, gradients: FloatArray, norm: Callable[[FloatArray], float]) -> None:
        """Clip gradients in place: each number to ``clip_value``, then the whole to ``clip_norm``, where they are set.

        Args:
            gradients: the gradient of loss and penalties, or the part of it that one of several processes works on.
            norm: called with the part, returns the Euclidean norm of the whole gradient.
        """
        if self.clip_value is not None:
            np.clip(gradients, -self.clip_value, self.clip_value, out=gradients)
        if self.clip_norm is not None and (length := norm(gradients)) > self.clip_norm:
            gradients *= self.clip_norm / length

    def step(self, parameters: FloatArray, gradients: FloatArray, part: slice = _EVERYTHING) -> None:
        """Do one step in place on ``parameters[part]``; builds at first use.

        Processes that share the vectors call this once a step each, with parts of their own; each counts the step.

        Args:
            parameters: the whole vector.
            gradients: the gradient of loss and penalties with respect to it; not changed.
            part: the piece to be updated.

        Raises:
            ValueError, TypeError: if the vectors, or the settings, are not those that the optimizer was built for.
        """
        self._check_arrays(parameters, gradients)
        if self._shape is None:
            self.build(parameters)
        if not self._shape == parameters.shape == gradients.shape:
            raise ValueError(
                f"{self._label} was built for vectors of shape {self._shape}, got parameters {parameters.shape} and "
                f"gradients {gradients.shape}. Call build(parameters) to start anew."
            )
        if missing := set(self.vectors) - self.state.keys():
            raise ValueError(
                f"{self._label} was built without {', '.join(sorted(missing))}, which its present settings need. "
                "Call build(parameters) to start anew."
            )
        rate = self.current_learning_rate
        self.iterations += 1
        self._update(parameters, gradients, part, rate)
        if self.iterations % _SETTLE_EVERY == 0:
            for vector in self.state.values():
                settled = vector[part]
                settled[np.abs(settled) < _SETTLE_BELOW * np.finfo(settled.dtype).tiny] = 0

    @abstractmethod
    def _update(self, parameters: FloatArray, gradients: FloatArray, part: slice, rate: float) -> None:
        """Move ``parameters[part]``; ``iterations`` counts this step already."""

    def _blocks(self, part: slice, *vectors: FloatArray) -> Iterator[tuple[FloatArray, ...]]:
        """Walk through a part: a view of each vector, and a temporary array of the same size."""
        start, stop, _ = part.indices(vectors[0].size)
        for first in range(start, stop, BLOCK):
            block = slice(first, min(first + BLOCK, stop))
            yield *[vector[block] for vector in vectors], self._temporary[: block.stop - first]

    def _decay(self, parameters: FloatArray, part: slice, share: float) -> None:
        """Shrink the decayed pieces of a part by a share of themselves (decoupled weight decay)."""
        first, last, _ = part.indices(parameters.size)
        for piece in self._decayed:
            start, stop, _ = piece.indices(parameters.size)
            shrinking = parameters[max(first, start) : max(first, min(last, stop))]
            np.multiply(shrinking, 1 - share, out=shrinking)

    def config(self) -> dict[str, object]:
        """Return name and arguments as plain values; ``from_config`` makes the same optimizer of them, stateless."""
        rate = self.learning_rate
        described = {"learning_rate": rate.config() if isinstance(rate, Schedule) else rate}
        return {"name": self._label} | super().config() | described

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Return copies of the vectors, and the number of steps as "iterations": what a resumed training needs."""
        return {name: vector.copy() for name, vector in self.state.items()} | {"iterations": np.array(self.iterations)}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Copy in what ``state_dict`` returned; the optimizer must have been built.

        Raises:
            ValueError, TypeError: if names or shapes do not fit; then nothing is changed.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"{self._label} expects a state by name, as state_dict() returns it, got {state!r}.")
        expected = {name: vector.shape for name, vector in self.state.items()} | {"iterations": ()}
        received = {name: np.shape(vector) for name, vector in state.items()}
        if expected != received:
            raise ValueError(
                f"{self._label} expects a state of {expected}, got {received}. "
                "Load what the same optimizer saved for the same network, after build(parameters)."
            )
        iterations = float(state["iterations"])
        if not (iterations >= 0 and iterations.is_integer()):
            raise ValueError(f"{self._label}: iterations must be a whole number of at least 0, got {iterations:g}.")
        for name, vector in self.state.items():
            vector[...] = state[name]
        self.iterations, self._used = int(iterations), False

    def _check_arrays(self, *vectors: object) -> None:
        for vector in vectors:
            if not isinstance(vector, np.ndarray) or vector.dtype.kind != "f":
                what = f"{vector.dtype} numbers" if isinstance(vector, np.ndarray) else type(vector).__name__
                raise TypeError(
                    f"{self._label} works in place on NumPy arrays of floats, got {what}. Use np.array(x, float)."
                )

    def __repr__(self) -> str:
        shown = super().config().items()
        return f"{self._label}({', '.join(f'{name}={value!r}' for name, value in shown if value is not None)})"

    @property
    def _label(self) -> str:
        return type(self).__name__
