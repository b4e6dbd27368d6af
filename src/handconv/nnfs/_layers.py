"""The layers of the book, and the convolution in its manner."""

from __future__ import annotations

# ruff: noqa: NPY002 (the book seeds NumPy's global generator)
from typing import Any, ClassVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv import layers
from handconv.arrays import FloatArray
from handconv.network import Network


class _Array:
    """An attribute that is an array of the layer within; assigning copies into it."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, trainable: None, owner: type) -> _Array: ...

    @overload
    def __get__(self, trainable: Trainable, owner: type) -> FloatArray: ...

    def __get__(self, trainable: Trainable | None, owner: type) -> FloatArray | _Array:
        if trainable is None:
            return self
        if not trainable.network.built:  # no AttributeError: hasattr would take the layer for one without weights
            raise RuntimeError(
                f"{type(trainable).__name__} has no {self._name} before its first forward, which tells the number of "
                "channels. Call forward(x) first."
            )
        return self._view(getattr(trainable.network.layers[0], self._name))

    def __set__(self, trainable: Trainable, value: ArrayLike) -> None:
        self.__get__(trainable, type(trainable))[...] = value

    def _view(self, array: FloatArray) -> FloatArray:
        return array


class _Row(_Array):
    """The same, seen as one row (1, n), as the book keeps its biases."""

    def _view(self, array: FloatArray) -> FloatArray:
        return array[None]


class Trainable:
    """A layer with parameters, in a network of its own, which has the vectors of them and knows the penalties."""

    weights = _Array()
    dweights = _Array()
    biases = _Array()
    dbiases = _Array()

    def __init__(self, network: Network) -> None:
        self.network = network
        self.output: FloatArray | None = None
        self.dinputs: FloatArray | None = None

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """Compute ``output``."""
        self.output = self.network.forward(inputs, training)
        return self.output

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """Compute ``dinputs``, and ``dweights`` and ``dbiases`` with the gradient of the penalties."""
        self.dinputs = self.network.backward(dvalues)
        self.network.add_penalty_gradients(self.network.gradients)
        return self.dinputs

    def get_parameters(self) -> tuple[FloatArray, FloatArray]:
        """Return weights and biases."""
        return self.weights, self.biases

    def set_parameters(self, weights: ArrayLike, biases: ArrayLike) -> None:
        """Copy in weights and biases."""
        self.weights = weights
        self.biases = biases


class Layer_Dense(Trainable):
    """The fully connected layer: weights (n_inputs, n_neurons) of 0.01 · N(0, 1), biases (1, n_neurons) of zeros.

    Args:
        n_inputs: numbers to each sample.
        n_neurons: numbers that come out.
        weight_regularizer_l1: the L1 penalty of the weights.
        weight_regularizer_l2: the L2 penalty of the weights.
        bias_regularizer_l1: the L1 penalty of the biases.
        bias_regularizer_l2: the L2 penalty of the biases.

    Example:
        >>> np.random.seed(0)
        >>> dense = Layer_Dense(2, 3)
        >>> dense.weights[0], dense.forward(np.zeros((5, 2)), training=True).shape
        (array([0.01764052, 0.00400157, 0.00978738], dtype=float32), (5, 3))
    """

    biases = _Row()
    dbiases = _Row()

    def __init__(
        self,
        n_inputs: int,
        n_neurons: int,
        weight_regularizer_l1: float = 0,
        weight_regularizer_l2: float = 0,
        bias_regularizer_l1: float = 0,
        bias_regularizer_l2: float = 0,
    ) -> None:
        dense = layers.Dense(
            n_neurons,
            l1=weight_regularizer_l1,
            l2=weight_regularizer_l2,
            bias_l1=bias_regularizer_l1,
            bias_l2=bias_regularizer_l2,
            weight_init=lambda shape, *_: 0.01 * np.random.randn(*shape),
        )
        super().__init__(Network([dense], input_shape=(n_inputs,), seed=0))


class Conv2D(Trainable):
    """The convolution, in the book's manner: weights (n_filters, C, KH, KW) and biases (n_filters,).

    They exist from the first ``forward`` on, as the images tell how many channels C there are.

    Args:
        n_filters: channels that come out.
        kernel_size: height and width of a filter.
        stride: steps of the window, down and across.
        padding: zeros around the image; "same" and "valid" too.
        weight_regularizer_l1: the L1 penalty of the weights.
        weight_regularizer_l2: the L2 penalty of the weights.
        bias_regularizer_l1: the L1 penalty of the biases.
        bias_regularizer_l2: the L2 penalty of the biases.

    Example:
        >>> conv = Conv2D(8, 3, weight_regularizer_l2=5e-4)
        >>> conv.forward(np.zeros((4, 1, 28, 28)), training=True).shape, conv.weights.shape
        ((4, 8, 26, 26), (8, 1, 3, 3))
    """

    def __init__(
        self,
        n_filters: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        weight_regularizer_l1: float = 0,
        weight_regularizer_l2: float = 0,
        bias_regularizer_l1: float = 0,
        bias_regularizer_l2: float = 0,
    ) -> None:
        convolution = layers.Conv2D(
            n_filters,
            kernel_size,
            stride=stride,
            padding=padding,
            l1=weight_regularizer_l1,
            l2=weight_regularizer_l2,
            bias_l1=bias_regularizer_l1,
            bias_l2=bias_regularizer_l2,
        )
        super().__init__(Network([convolution], seed=_drawn_seed()))


class Layer_Dropout(layers.Dropout):
    """Dropout. ``forward(inputs)`` alone drops, as in the book's earlier chapters; ``training=False`` switches it off.

    Args:
        rate: the share that is dropped.

    Example:
        >>> np.random.seed(0)
        >>> dropout = Layer_Dropout(0.5)
        >>> sorted(set(dropout.forward(np.ones(100)[None])[0].tolist()))
        [0.0, 2.0]
        >>> dropout.forward(np.ones((1, 2)), training=False).tolist()
        [[1.0, 1.0]]
    """

    def __init__(self, rate: float) -> None:
        super().__init__(rate)

    def forward(self, inputs: NDArray[Any], training: bool = True) -> FloatArray:
        """Compute ``output``, in training with a new mask."""
        if self.generator is None:
            self.generator = np.random.default_rng(_drawn_seed())
        return super().forward(inputs, training)

    @property
    def binary_mask(self) -> NDArray[Any] | None:
        """What the inputs were multiplied by: 0 or 1 / (1 - rate); None out of training."""
        return self.mask


class Identity(layers.Layer):
    """A layer that hands its inputs on."""

    elementwise: ClassVar[bool] = True

    def forward(self, inputs: NDArray[Any], training: bool = False) -> FloatArray:
        """Hand on the inputs."""
        self.output = np.array(self.check_inputs(inputs))
        return self.output

    def backward(self, dvalues: NDArray[Any]) -> FloatArray:
        """Hand back the gradient."""
        self.dinputs = np.array(self.check_gradient(dvalues))
        return self.dinputs


class Layer_Input(Identity):
    """The begin of a network: its ``output`` is the inputs.

    Example:
        >>> Layer_Input().forward(np.ones((1, 2)), training=True).tolist()
        [[1.0, 1.0]]
    """


def _drawn_seed() -> int:
    """Draw a seed from the generator that ``np.random.seed`` seeds."""
    return int(np.random.randint(2**31 - 1))
