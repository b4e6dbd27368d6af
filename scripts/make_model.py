"""Make src/handconv/reference-mnist.npz, the bundled model: the reference network, trained on MNIST by the recipe best.

    python -m scripts.make_model [DATA_DIR]          # the images from DATA_DIR, else as handconv finds them

The weights are those of ``handconv train --recipe best --seed 0``, calibrated: those of the last layer are divided by a
temperature, so that of the answers given with 90 % nine out of ten are right. (The recipe smooths the labels, which
leaves a network less sure than it might be.) The temperature is that of a network of the same recipe, measured on
training images that it has not seen. The same seed gives the same weights on the same kind of machine; another BLAS
rounds differently in the last digits.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scripts.calibration import calibrate, fit_temperature

import handconv as hc

TARGET = Path(__file__).resolve().parent.parent / "src" / "handconv" / "reference-mnist.npz"
COMMAND = "handconv train --recipe best --seed 0"
HELD_OUT = 6000  # the last training images, for the temperature


def trained(x: NDArray[np.uint8], y: NDArray[np.int64]) -> hc.Sequential:
    """Train the reference network by the recipe."""
    recipe = hc.recipes.load("best")
    model = hc.recipes.network(recipe, classes=10, input_shape=(1, 28, 28), seed=0)
    model.fit(x, y, **hc.recipes.fit_arguments(recipe), workers="auto")
    return model


def calibrated_twin(x: NDArray[np.uint8], y: NDArray[np.int64]) -> tuple[hc.Sequential, float]:
    """Train a network of the same recipe without the last images, and calibrate it by them; with the temperature."""
    twin = trained(x[:-HELD_OUT], y[:-HELD_OUT])
    temperature = fit_temperature(twin.predict(x[-HELD_OUT:]), y[-HELD_OUT:])
    calibrate(twin, temperature)
    return twin, temperature


def main() -> None:
    """Train, calibrate, measure and save."""
    data = hc.datasets.load("mnist", data_dir=sys.argv[1] if len(sys.argv) > 1 else None)
    if data.name != "mnist":
        raise SystemExit("The bundled model is trained on MNIST, which could not be had.")
    model = trained(data.x_train, data.y_train)
    _, temperature = calibrated_twin(data.x_train, data.y_train)
    calibrate(model, temperature)
    scores = model.evaluate(data.x_test, data.y_test)
    model.info = {
        "dataset": "mnist",
        "class_names": list(data.class_names),
        "handconv": hc.__version__,
        "command": COMMAND,
        "test_accuracy": scores["accuracy"],
        "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "calibrated_at": temperature,
    }
    model.save(TARGET)
    print(f"{TARGET}: {scores}")


if __name__ == "__main__":
    main()
