"""The reference network: the small convolutional network that the command line trains unless told otherwise."""

from collections.abc import Sequence
from pathlib import Path

from handconv.layers import Conv2D, Dense, Dropout, Flatten, LeakyReLU, MaxPool2D, Softmax
from handconv.sequential import Sequential, load
from handconv.zoo.task import check_task

_SMALLEST = 10  # rows and columns of an image of which something is left after the second pooling


def reference(
    *,
    classes: int = 10,
    input_shape: Sequence[int] = (1, 28, 28),
    l2: float = 1e-4,
    dropout: float = 0.3,
    seed: int | None = 0,
    engine: bool = True,
) -> Sequential:
    """Build the reference network: two convolutions, each with a pooling, then two dense layers.

    The convolutions find strokes, and strokes of strokes; each pooling halves the image and keeps what was found; the
    dense layers weigh it all up. On MNIST it reaches about 99 % after five epochs.

    Args:
        classes: number of outputs, at least 2.
        input_shape: channels, height and width of an image.
        l2: the penalty on the weights of the hidden dense layer.
        dropout: the share of its units that is silenced in training.
        seed: of everything random in the model; None draws one.
        engine: whether layers run as the engine's fast ops; if not, ``fit`` and ``predict`` run the layers' own pages.

    Shapes:
        input (N, 1, 28, 28) -> output (N, classes); with ten classes:

        =================================  ===============  ==========
        layer                              output shape     parameters
        =================================  ===============  ==========
        Conv2D, 8 filters, 3x3             (N, 8, 26, 26)           80
        LeakyReLU                          (N, 8, 26, 26)
        MaxPool2D 2x2                      (N, 8, 13, 13)
        Conv2D, 16 filters, 3x3            (N, 16, 11, 11)       1,168
        LeakyReLU                          (N, 16, 11, 11)
        MaxPool2D 2x2                      (N, 16, 5, 5)
        Flatten                            (N, 400)
        Dense 400 -> 128                   (N, 128)             51,328
        LeakyReLU                          (N, 128)
        Dropout, rate 0.3                  (N, 128)
        Dense 128 -> 10                    (N, 10)               1,290
        Softmax                            (N, 10)
        =================================  ===============  ==========

    Raises:
        ValueError: if an argument is out of range, or the images are too small (below 10x10).

    Example:
        >>> reference().parameters.size
        53866
    """
    check_task("The reference network", classes, input_shape, _SMALLEST)
    layers = [
        Conv2D(8, 3),
        LeakyReLU(),
        MaxPool2D(2),
        Conv2D(16, 3),
        LeakyReLU(),
        MaxPool2D(2),
        Flatten(),
        Dense(128, l2=l2),
        LeakyReLU(),
        Dropout(dropout),
        Dense(classes),
        Softmax(),
    ]
    return Sequential(layers, input_shape=input_shape, seed=seed, engine=engine)


def trained_reference() -> Sequential:
    """Load the reference network as this package carries it, trained on MNIST (``scripts/make_model.py`` makes it).

    Example:
        >>> round(trained_reference().info["test_accuracy"], 3)
        0.996
    """
    return load(Path(__file__).parent.parent / "reference-mnist.npz")
