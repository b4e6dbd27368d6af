"""What the tests of semantics share: small networks, samples, and callbacks that act at one moment."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import handconv as hc

_RNG = np.random.default_rng(0)
VECTORS = _RNG.normal(size=(640, 4)).astype(np.float32)
CLASSES = VECTORS[:, :3].argmax(axis=1)
IMAGES = _RNG.normal(size=(96, 1, 8, 8)).astype(np.float32)
LABELS = np.arange(96) % 3

MOMENTS = ("on_train_begin", "on_batch_end", "on_epoch_end", "on_train_end")


def dense(*, seed: int = 0, **options: Any) -> hc.Sequential:
    """A network of vectors with three classes."""
    layers = [hc.Dense(6), hc.Tanh(), hc.Dense(3), hc.Softmax()]
    return hc.Sequential(layers, **{"input_shape": (4,), "seed": seed} | options)


def convolutional(*, seed: int = 0, **options: Any) -> hc.Sequential:
    """A network of images with three classes, and with dropout."""
    layers = [
        hc.Conv2D(3, 3), hc.LeakyReLU(), hc.MaxPool2D(2), hc.Flatten(), hc.Dropout(0.3), hc.Dense(3, l2=0.01),
        hc.Softmax(),
    ]  # fmt: skip
    return hc.Sequential(layers, **{"input_shape": (1, 8, 8), "seed": seed} | options)


def at(moment: str, action: Callable[[Any], object]) -> hc.Callback:
    """A callback that calls ``action(run)`` at a moment of training."""

    def hook(_self: hc.Callback, run: Any, *_more: object) -> None:
        action(run)

    return type("At", (hc.Callback,), {moment: hook})()


def once(action: Callable[[], object]) -> Callable[[Any], object]:
    """An action for ``at`` that acts the first time alone."""
    done: list[object] = []

    def act(_run: Any) -> None:
        if not done:
            done.append(True)
            action()

    return act


def twin(network: hc.Sequential, make: Callable[[], hc.Sequential]) -> hc.Sequential:
    """Another network with the same parameters, which shares nothing with the first."""
    other = make()
    other.parameters[...] = network.parameters
    return other


def refusal(action: Callable[[], object]) -> str:
    """The words with which something is refused; nothing if it is done."""
    try:
        action()
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        return str(error)
    return ""


def told(action: Callable[[], object]) -> str:
    """What a user is told by warnings or an error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        refused = refusal(action)
    return " ".join([*(str(warning.message) for warning in caught), refused]).strip()
