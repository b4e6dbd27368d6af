"""Make src/handconv/datasets/digits.npz, the embedded data set, from the copy that scikit-learn carries.

    python scripts/make_digits.py            # needs scikit-learn; writes the same bytes every time

The 1,797 digits are shuffled and split once, class by class, into 1,437 to train on and 360 to test with. The file is
a plain npz without compression, with fixed timestamps: no zlib, clock or platform shows in it. (The wheel compresses.)
"""

import io
import zipfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

TARGET = Path(__file__).resolve().parent.parent / "src" / "handconv" / "datasets" / "digits.npz"
SEED = 1998


def split(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw the row numbers of the training and the test part, both shuffled; a fifth of each class is for the test."""
    # RandomState, because NumPy promises that its stream never changes.
    random = np.random.RandomState(SEED)
    order = random.permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    is_test = np.arange(len(labels)) % 5 == 0
    return random.permutation(by_class[~is_test]), random.permutation(by_class[is_test])


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays as an npz file whose bytes depend on nothing but the arrays."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, version=(1, 0), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content.getvalue())


def main() -> None:
    """Write the file: 1,437 + 360 digits."""
    images, labels = load_digits().images, load_digits().target  # (1797, 8, 8), whole numbers 0 to 16
    train, test = split(labels)
    write_npz(
        TARGET,
        {
            "x_train": images[train].astype(np.uint8),
            "y_train": labels[train].astype(np.uint8),
            "x_test": images[test].astype(np.uint8),
            "y_test": labels[test].astype(np.uint8),
        },
    )


if __name__ == "__main__":
    main()
