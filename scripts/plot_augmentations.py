"""Draw what every augmentation of the package does to one digit of the embedded data set.

python scripts/plot_augmentations.py                   # needs matplotlib; writes docs/figures/augmentations.png
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np

from handconv.augment import (
    AUGMENTATIONS,
    Affine,
    Augmentation,
    Brightness,
    Compose,
    Elastic,
    HorizontalFlip,
    RandomErasing,
    Rotate,
    Scale,
    Shear,
    Shift,
)
from handconv.datasets import load_digits

mpl.use("Agg")
import matplotlib.pyplot as plt

TARGET = Path(__file__).resolve().parent.parent / "docs" / "figures" / "augmentations.png"
COLUMNS = 10
EXAMPLES: dict[str, Augmentation] = {
    "Shift(3)": Shift(3),
    "Rotate(20)": Rotate(20),
    "Scale(0.25)": Scale(0.25),
    "Shear(20)": Shear(20),
    "Affine(shift=2, rotate=10,\nscale=0.1, shear=5)": Affine(shift=2, rotate=10, scale=0.1, shear=5),
    "Elastic(alpha=34, sigma=4)": Elastic(alpha=34, sigma=4),
    "Brightness(0.6)": Brightness(0.6),
    "HorizontalFlip()": HorizontalFlip(),
    "RandomErasing()": RandomErasing(),
    "Compose([Affine(…),\nElastic(20), RandomErasing()])": Compose(
        [Affine(shift=2, rotate=10, scale=0.1, shear=5), Elastic(20), RandomErasing()]
    ),
}


def main() -> None:
    """Write the figure: a row for each augmentation, the digit itself at the left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", type=Path, default=TARGET, help="the PNG to write")
    target = parser.parse_args().target
    missing = set(AUGMENTATIONS) - {type(augmentation).__name__ for augmentation in EXAMPLES.values()}
    if missing:
        parser.error(f"every augmentation needs an example here; missing: {', '.join(sorted(missing))}")

    (images, labels), _ = load_digits()
    digit = images[np.flatnonzero(labels == 4)[:1]]
    figure, axes = plt.subplots(len(EXAMPLES), COLUMNS, figsize=(COLUMNS + 3.3, len(EXAMPLES)), layout="constrained")
    for row, (title, augmentation) in zip(axes, EXAMPLES.items(), strict=True):
        changed = augmentation(np.repeat(digit, COLUMNS - 1, axis=0), np.random.default_rng(0))
        for place, image in zip(row, np.concatenate([digit, changed]), strict=True):
            place.imshow(image[0], cmap="gray", vmin=0, vmax=1)
            place.set(xticks=[], yticks=[])
        row[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9, family="monospace")
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=64, metadata={"Software": None})


if __name__ == "__main__":
    main()
