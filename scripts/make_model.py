"""Make src/handconv/reference-mnist.npz, the bundled model: the reference network, trained on MNIST.

    python scripts/make_model.py [DATA_DIR]          # the training images from DATA_DIR, else as handconv finds them

The same seed gives the same weights on the same kind of machine; another BLAS rounds differently in the last digits.
"""

import sys
from pathlib import Path

import handconv as hc

TARGET = Path(__file__).resolve().parent.parent / "src" / "handconv" / "reference-mnist.npz"
EPOCHS = 12


def main() -> None:
    """Train, measure and save."""
    data = hc.datasets.load("mnist", data_dir=sys.argv[1] if len(sys.argv) > 1 else None)
    if data.name != "mnist":
        raise SystemExit("The bundled model is trained on MNIST, which could not be had.")
    model = hc.zoo.reference(seed=0)
    optimizer = hc.Adam(hc.schedules.OneCycle(6e-3))
    model.fit(
        data.x_train, data.y_train, epochs=EPOCHS, optimizer=optimizer, callbacks=[hc.PrintProgress()], workers="auto"
    )
    scores = model.evaluate(data.x_test, data.y_test)
    model.info = {
        "dataset": "mnist",
        "class_names": list(data.class_names),
        "handconv": hc.__version__,
        "test_accuracy": scores["accuracy"],
    }
    model.save(TARGET)
    print(f"{TARGET}: {scores}")


if __name__ == "__main__":
    main()
