"""Optimizers: from gradients to better parameters, in place, on flat vectors.

    SGD     velocity = momentum · velocity + g          p -= rate · velocity
            Nesterov:                                   p -= rate · (g + momentum · velocity)
    Adam    m = beta_1 · m + (1 - beta_1) · g           m_hat = m / (1 - beta_1^t)
            v = beta_2 · v + (1 - beta_2) · g²          v_hat = v / (1 - beta_2^t)
                                                        p -= rate · m_hat / (sqrt(v_hat) + epsilon)
    AdamW   p -= rate · weight_decay · p, then as Adam
    RMSprop v = rho · v + (1 - rho) · g²                p -= rate · g / (sqrt(v) + epsilon)
    Adagrad v = v + g²                                  p -= rate · g / (sqrt(v) + epsilon)
    Lion    direction = sign(beta_1 · m + (1 - beta_1) · g)
            m = beta_2 · m + (1 - beta_2) · g           p -= rate · (direction + weight_decay · p)

g is the whole gradient, penalties included. t counts steps from 1; all vectors live from step to step.
"""

from collections.abc import Mapping
from typing import Any

from handconv.optimizers import schedules
from handconv.optimizers.adagrad import Adagrad as Adagrad
from handconv.optimizers.adam import Adam as Adam
from handconv.optimizers.adam import AdamW as AdamW
from handconv.optimizers.base import Optimizer as Optimizer
from handconv.optimizers.lion import Lion as Lion
from handconv.optimizers.rmsprop import RMSprop as RMSprop
from handconv.optimizers.sgd import SGD as SGD
from handconv.utils import configured

__all__ = ["OPTIMIZERS", "SGD", "Adagrad", "Adam", "AdamW", "Lion", "Optimizer", "RMSprop", "from_config"]

OPTIMIZERS: dict[str, type[Optimizer]] = {
    optimizer.__name__: optimizer for optimizer in (SGD, Adam, AdamW, RMSprop, Adagrad, Lion)
}


def from_config(config: Mapping[str, Any]) -> Optimizer:
    """Make the optimizer that ``config()`` described, without its state.

    Args:
        config: the name and the arguments.

    Raises:
        ValueError, TypeError: if it names no optimizer of this package.

    Example:
        >>> from_config({"name": "SGD", "learning_rate": 0.1})
        SGD(learning_rate=0.1, momentum=0.0, nesterov=False)
    """
    rate = configured.checked(config, "An optimizer").get("learning_rate")
    if isinstance(rate, Mapping):
        config = {**config, "learning_rate": schedules.from_config(rate)}
    return configured.from_config(config, OPTIMIZERS, "An optimizer")
