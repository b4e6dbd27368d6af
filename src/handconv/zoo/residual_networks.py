"""Small modern networks: three stages, each a convolution that widens, a pooling, and a residual of two convolutions.

    stage(F) = Conv2D(F) -> MaxPool2D -> BatchNorm -> ReLU -> x + [Conv2D, BatchNorm, ReLU, Conv2D, BatchNorm] -> ReLU

The pooling comes before the normalisation: what follows then has a quarter of the numbers, and the engine computes
convolution and pooling as one. A convolution before a normalisation has no biases, which its mean would take away.
"""

from collections.abc import Sequence

from handconv.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    GlobalAveragePool2D,
    Layer,
    MaxPool2D,
    ReLU,
    Residual,
    Softmax,
)
from handconv.sequential import Sequential
from handconv.zoo.task import check_task

_WIDTHS = (24, 48, 96)  # channels of each stage
_SMALLEST = 8  # rows and columns of an image of which something is left after the third pooling


def plus(
    *,
    classes: int = 10,
    input_shape: Sequence[int] = (1, 28, 28),
    l2: float = 0.0,
    dropout: float = 0.0,
    seed: int | None = 0,
    engine: bool = True,
) -> Sequential:
    """Build the small modern network for grey images: ten convolutions, normalised, with three residuals.

    Each stage halves the image, widens it, and then improves what it has by what two more convolutions find. The mean
    of each channel goes to one dense layer, so that there are few weights to learn by heart. It wants augmentation, a
    schedule and some forty epochs (``handconv train --recipe best --network plus --epochs 40``).

    Args:
        classes: number of outputs, at least 2.
        input_shape: channels, height and width of an image, at least 8x8.
        l2: the penalty on the weights of all convolutions.
        dropout: the share of the last features that is silenced in training.
        seed: of everything random in the model; None draws one.
        engine: whether layers run as the engine's fast ops; if not, ``fit`` and ``predict`` run the layers' own pages.

    Shapes:
        input (N, 1, 28, 28) -> output (N, classes); with ten classes:

        =======================================  ===============  ==========
        layer                                    output shape     parameters
        =======================================  ===============  ==========
        Conv2D, 12 filters, 3x3                  (N, 12, 28, 28)         108
        BatchNorm, ReLU                          (N, 12, 28, 28)          24
        Conv2D, 24 filters, 3x3; MaxPool2D 2x2   (N, 24, 14, 14)       2,592
        BatchNorm, ReLU                          (N, 24, 14, 14)          48
        Residual of two Conv2D, 24 filters       (N, 24, 14, 14)      10,464
        Conv2D, 48 filters, 3x3; MaxPool2D 2x2   (N, 48, 7, 7)        10,368
        BatchNorm, ReLU                          (N, 48, 7, 7)            96
        Residual of two Conv2D, 48 filters       (N, 48, 7, 7)        41,664
        Conv2D, 96 filters, 3x3; MaxPool2D 2x2   (N, 96, 3, 3)        41,472
        BatchNorm, ReLU                          (N, 96, 3, 3)           192
        Residual of two Conv2D, 96 filters       (N, 96, 3, 3)       166,272
        GlobalAveragePool2D, Dropout             (N, 96)
        Dense 96 -> 10                           (N, 10)                 970
        Softmax                                  (N, 10)
        =======================================  ===============  ==========

        A ReLU follows each residual.

    Raises:
        ValueError: if an argument is out of range, or the images are too small (below 8x8).

    Example:
        >>> plus().parameters.size
        274270

    References:
        He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2016; the order of a stage as in Page,
        How to train your ResNet, 2018.
    """
    check_task("The network plus", classes, input_shape, _SMALLEST)
    layers = _layers(classes, l2, dropout)
    return Sequential(layers, input_shape=input_shape, seed=seed, engine=engine)


def colour(
    *,
    classes: int = 10,
    input_shape: Sequence[int] = (3, 32, 32),
    l2: float = 0.0,
    dropout: float = 0.0,
    seed: int | None = 0,
    engine: bool = True,
) -> Sequential:
    """Build the small modern network for colour images: ``plus`` for three channels of 32x32.

    Each convolution that widens costs 2.7 million multiply-adds, and so do the two of each residual together: what a
    stage loses in places it gains in channels.

    Args:
        classes: number of outputs, at least 2.
        input_shape: channels, height and width of an image, at least 8x8.
        l2: the penalty on the weights of all convolutions.
        dropout: the share of the last features that is silenced in training.
        seed: of everything random in the model; None draws one.
        engine: whether layers run as the engine's fast ops; if not, ``fit`` and ``predict`` run the layers' own pages.

    Shapes:
        input (N, 3, 32, 32) -> output (N, classes); with ten classes:

        =======================================  ===============  ==========
        layer                                    output shape     parameters
        =======================================  ===============  ==========
        Conv2D, 12 filters, 3x3                  (N, 12, 32, 32)         324
        BatchNorm, ReLU                          (N, 12, 32, 32)          24
        Conv2D, 24 filters, 3x3; MaxPool2D 2x2   (N, 24, 16, 16)       2,592
        BatchNorm, ReLU                          (N, 24, 16, 16)          48
        Residual of two Conv2D, 24 filters       (N, 24, 16, 16)      10,464
        Conv2D, 48 filters, 3x3; MaxPool2D 2x2   (N, 48, 8, 8)        10,368
        BatchNorm, ReLU                          (N, 48, 8, 8)            96
        Residual of two Conv2D, 48 filters       (N, 48, 8, 8)        41,664
        Conv2D, 96 filters, 3x3; MaxPool2D 2x2   (N, 96, 4, 4)        41,472
        BatchNorm, ReLU                          (N, 96, 4, 4)           192
        Residual of two Conv2D, 96 filters       (N, 96, 4, 4)       166,272
        GlobalAveragePool2D, Dropout             (N, 96)
        Dense 96 -> 10                           (N, 10)                 970
        Softmax                                  (N, 10)
        =======================================  ===============  ==========

        A ReLU follows each residual.

    Raises:
        ValueError: if an argument is out of range, or the images are too small (below 8x8).

    Example:
        >>> colour().parameters.size
        274486

    References:
        He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2016; the order of a stage as in Page,
        How to train your ResNet, 2018.
    """
    check_task("The network colour", classes, input_shape, _SMALLEST)
    layers = _layers(classes, l2, dropout)
    return Sequential(layers, input_shape=input_shape, seed=seed, engine=engine)


def _layers(classes: int, l2: float, dropout: float) -> list[Layer]:
    """All layers: a first convolution, a stage of each width, and what decides."""

    def convolution(filters: int) -> Conv2D:
        return Conv2D(filters, 3, padding=1, use_bias=False, l2=l2)

    layers: list[Layer] = [convolution(_WIDTHS[0] // 2), BatchNorm(), ReLU()]
    for width in _WIDTHS:
        improved = [convolution(width), BatchNorm(), ReLU(), convolution(width), BatchNorm()]
        layers += [convolution(width), MaxPool2D(2), BatchNorm(), ReLU(), Residual(improved), ReLU()]
    return [*layers, GlobalAveragePool2D(), Dropout(dropout), Dense(classes), Softmax()]
