"""Draw every learning rate schedule of the package, over a training of 1,000 steps.

python scripts/plot_schedules.py                       # needs matplotlib; writes docs/figures/schedules.png
"""

import argparse
from pathlib import Path

import matplotlib as mpl

from handconv.optimizers.schedules import (
    SCHEDULES,
    Constant,
    CosineDecay,
    InverseTimeDecay,
    LinearWarmup,
    OneCycle,
    Schedule,
    StepDecay,
)

mpl.use("Agg")
import matplotlib.pyplot as plt

TARGET = Path(__file__).resolve().parent.parent / "docs" / "figures" / "schedules.png"
STEPS = 1000
EXAMPLES: dict[str, Schedule] = {
    "Constant(0.1)": Constant(0.1),
    "InverseTimeDecay(0.1, decay=0.01)": InverseTimeDecay(0.1, decay=0.01),
    "StepDecay(0.1)": StepDecay(0.1),
    "CosineDecay(0.1)": CosineDecay(0.1),
    "OneCycle(0.1)": OneCycle(0.1),
    "LinearWarmup(CosineDecay(0.1), warmup=0.1)": LinearWarmup(CosineDecay(0.1), warmup=0.1),
}


def main() -> None:
    """Write the figure: one small plot for each schedule, all with the same axes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", type=Path, default=TARGET, help="the PNG to write")
    target = parser.parse_args().target
    missing = set(SCHEDULES) - {type(schedule).__name__ for schedule in EXAMPLES.values()}
    if missing:
        parser.error(f"every schedule needs an example here; missing: {', '.join(sorted(missing))}")

    figure, all_axes = plt.subplots(2, 3, figsize=(10, 5), sharex=True, sharey=True, layout="constrained")
    for axes, (title, schedule) in zip(all_axes.flat, EXAMPLES.items(), strict=True):
        axes.plot([schedule(step, STEPS) for step in range(STEPS + 1)], color="tab:blue", linewidth=2)
        axes.set_title(title, fontsize=9, family="monospace")
        axes.set(xlim=(0, STEPS), ylim=(0, 0.105))
        axes.grid(alpha=0.3)
    figure.supxlabel(f"step, of {STEPS:,}")
    figure.supylabel("learning rate")
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
