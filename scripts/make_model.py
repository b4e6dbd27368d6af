"""Make src/handconv/reference-mnist.npz, the bundled model: the reference network, trained on MNIST by the recipe best.

    python scripts/make_model.py [DATA_DIR]          # the images from DATA_DIR, else as handconv finds them

The weights are those of ``handconv train --recipe best --seed 0``. The same seed gives the same weights on the same
kind of machine; another BLAS rounds differently in the last digits. ``make_reader.py`` then calibrates the answers.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import handconv as hc

TARGET = Path(__file__).resolve().parent.parent / "src" / "handconv" / "reference-mnist.npz"
COMMAND = "handconv train --recipe best --seed 0"


def trained(x: NDArray[np.uint8], y: NDArray[np.int64]) -> hc.Sequential:
    """Train the reference network by the recipe."""
    recipe = hc.recipes.load("best")
    model = hc.recipes.network(recipe, classes=10, input_shape=(1, 28, 28), seed=0)
    model.fit(x, y, **hc.recipes.fit_arguments(recipe), workers="auto")
    return model


def main() -> None:
    """Train, measure and save."""
    data = hc.datasets.load("mnist", data_dir=sys.argv[1] if len(sys.argv) > 1 else None)
    if data.name != "mnist":
        raise SystemExit("The bundled model is trained on MNIST, which could not be had.")
    model = trained(data.x_train, data.y_train)
    scores = model.evaluate(data.x_test, data.y_test)
    model.info = {
        "dataset": "mnist",
        "class_names": list(data.class_names),
        "handconv": hc.__version__,
        "command": COMMAND,
        "test_accuracy": scores["accuracy"],
    }
    model.save(TARGET)
    print(f"{TARGET}: {scores}")


if __name__ == "__main__":
    main()
