"""What the tests of networks share: a small one."""

from typing import Any

from handconv.layers import Conv2D, Dense, Flatten, ReLU, Softmax, Tanh
from handconv.network import Network

IMAGE = (2, 6, 6)


def small(**options: Any) -> Network:
    """A network with two layers of parameters, the first after a layer without."""
    layers = [Tanh(), Conv2D(3, 3, l1=0.1, l2=0.2, name="conv"), ReLU(), Flatten(), Dense(4, bias_l2=0.3), Softmax()]
    return Network(layers, **{"input_shape": IMAGE, "seed": 0, "dtype": "float64"} | options)
