"""The rows of the page: what is measured, who takes part, and where the bar is.

Whatever is measured, less is better. A bar compares handconv with the quickest mode of a rival, by their medians:

    faster   rival / handconv at least …       longer   handconv / rival at most …
    share    rival / handconv at least … %     below    handconv at most …           accuracy   at least … %
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.referee import Command, Entry
from benchmarks.rivals.protocol import Job, mnist
from handconv import recipes

OURS = "handconv"
EPOCH = 60_000  # samples


@dataclass(frozen=True)
class Bar:
    """What handconv's figure, or its ratio to a rival's, must reach."""

    kind: Literal["faster", "longer", "share", "below", "accuracy"]
    limit: float
    rival: str = ""


@dataclass(frozen=True)
class Row:
    """One measurement; ``scale`` turns seconds a sample (or a step, or a run) into the unit."""

    name: str
    what: str
    unit: str
    entries: tuple[Entry | Command, ...]
    bars: tuple[Bar, ...]
    job: Job = field(default_factory=Job)
    scale: float = 1.0
    each: Literal["sample", "step", "run"] = "sample"
    repetitions: int = 7
    mean: bool = False
    note: str = ""


TORCH = tuple(Entry("PyTorch", "torch_rival", mode) for mode in ("eager", "channels_last", "compile"))
HALF = Entry("PyTorch in half precision", "torch_rival", "bfloat16")
JAX = tuple(Entry("JAX", "jax_rival", mode) for mode in ("jit", "jit, channels last"))
KERAS = tuple(Entry("Keras", "keras_rival", mode) for mode in ("graph", "XLA"))
HANDCONV = Entry(OURS, "handconv_own")
ONE_THREAD = (("OPENBLAS_NUM_THREADS", "1"), ("OMP_NUM_THREADS", "1"))


def shown(*rivals: str) -> tuple[Bar, ...]:
    """Rivals that are shown beside, without a bar."""
    return tuple(Bar("faster", 0.0, rival) for rival in rivals)


def inference(*modes: str, ours: tuple[str, ...] = ("predict", "infer")) -> tuple[Entry, ...]:
    """Everybody's ways to answer."""
    return (
        *(Entry(OURS, "handconv_own", mode) for mode in ours),
        *(Entry("PyTorch", "torch_inference", mode) for mode in modes),
        *(Entry("ONNX Runtime", "onnx_rival", mode) for mode in ("", "one thread")),
    )


def training(batch_size: int, cores: int) -> Row:
    """Training the reference network at a batch size, against PyTorch."""
    job = Job(batch_size=batch_size, cores=cores, samples=24 * 1024)
    what = f"training, batch {batch_size}, {cores} workers"
    return Row(f"train-{batch_size}", what, "s/epoch", (HANDCONV, *TORCH), (Bar("faster", 2.0, "PyTorch"),), job, EPOCH)


def zoo(name: str, cores: int) -> Row:
    """Training a residual network of the zoo, against PyTorch."""
    entries, bars = (HANDCONV, *TORCH, HALF), (Bar("faster", 1.0, "PyTorch"), *shown(HALF.library))
    job = Job(network=f"zoo.{name}", cores=cores, samples=128 * 8)
    return Row(name, f"training hc.zoo.{name}, batch 128", "ms/step", entries, bars, job, 1e3, each="step")


def augmented(mode: str, limit: float, cores: int) -> Row:
    """Training with images that are changed, against training without."""
    entries = Entry(OURS, "handconv_own", mode), Entry("without", "handconv_own")
    job, bars = Job(cores=cores, samples=24 * 1024), (Bar("longer", limit, "without"),)
    what = "moved, turned, scaled, slanted" + (", elastic" if mode == "elastic" else "")
    return Row(
        f"augment-{mode}", f"training on images {what}, batch 128", "ms/step", entries, bars, job, 1e3, each="step"
    )


def rows(cores: int, data_dir: str) -> list[Row]:
    """All rows, for a number of cores and a folder with MNIST (or "")."""
    main = Row(
        "train-128",
        f"training the reference network, batch 128, {cores} workers",
        "s/epoch",
        (HANDCONV, *TORCH, *JAX, *KERAS, HALF),
        (Bar("faster", 3.0, "PyTorch"), Bar("faster", 3.5, "JAX"), *shown("Keras", HALF.library)),
        Job(cores=cores, samples=EPOCH // 128 * 128),
        EPOCH,
    )
    return [
        main,
        *(training(size, cores) for size in (32, 64, 256, 512, 1024)),
        Row(
            "train-one-core",
            "the same, batch 128, all on one core",
            "s/epoch",
            (HANDCONV, *TORCH, *JAX),
            (Bar("faster", 1.7, "PyTorch"),),
            Job(cores=1, samples=24 * 1024),
            EPOCH,
        ),
        Row(
            "numpy-peers",
            f"the same, batch 128, {cores} cores, against NumPy",
            "s/epoch",
            (
                HANDCONV,
                *(Entry("DeZero", "dezero_rival", mode, samples=20 * 128) for mode in ("float32", "as it comes")),
            ),
            (Bar("faster", 20.0, "DeZero"),),
            Job(cores=cores, samples=24 * 1024),
            EPOCH,
            note="deep-learning-from-scratch is on no package registry and therefore not run.",
        ),
        Row(
            "infer-1",
            "inference, latency of one image",
            "microseconds",
            inference(
                "eager", "eager, one thread", "channels_last", "frozen", "frozen, one thread", "compile, one thread"
            ),
            (Bar("faster", 1.0, "PyTorch"), *shown("ONNX Runtime")),
            Job(kind="latency", cores=cores, samples=1000),
            1e6,
            each="run",
        ),
        Row(
            "infer-256",
            "inference, batch 256",
            "microseconds/image",
            inference(
                *("eager", "channels_last", "channels_last, shared out", "frozen", "frozen, shared out", "compile"),
                ours=("predict", "infer", "predict, shared out"),
            ),
            (Bar("faster", 1.5, "PyTorch"), *shown("ONNX Runtime")),
            Job(kind="throughput", cores=cores, batch_size=256, samples=256 * 40),
            1e6,
        ),
        Row(
            "colour-32x32",
            "training, convolutions 32-32-pool-64-64-pool, dense 256, 32x32 colour images, batch 128",
            "ms/step",
            (HANDCONV, *TORCH, *JAX, HALF),
            (Bar("faster", 1.0, "PyTorch"), *shown(HALF.library)),
            Job(network="colour", cores=cores, samples=128 * 10),
            1e3,
            each="step",
        ),
        *(zoo(name, cores) for name in ("plus", "colour")),
        *(augmented(mode, limit, cores) for mode, limit in (("affine", 1.4), ("elastic", 2.0))),
        Row(
            "gemm-floor",
            "share of the arithmetic floor: the matrix products of a step alone / the step, one core",
            "ms/step",
            (Entry(OURS, "handconv_own", cores=1), Entry("GEMM alone", "steps", "floor", cores=1, env=ONE_THREAD)),
            (Bar("share", 0.5, "GEMM alone"),),
            Job(cores=1, samples=50 * 128),
            1e3,
            each="step",
            repetitions=41,
        ),
        Row(
            "time-to-99",
            "from process start, data on disk, to 99.0 % on the test set; mean of 10 seeds",
            "s",
            fast(data_dir),
            (Bar("below", 5.0), Bar("faster", 3.0, "PyTorch"), Bar("accuracy", 0.99)),
            each="run",
            repetitions=10,
            mean=True,
        ),
        Row(
            "import",
            "import handconv",
            "ms",
            (
                Command(OURS, _python("import handconv")),
                Command("NumPy", _python("import numpy")),
            ),
            (Bar("longer", 1.3, "NumPy"),),
            scale=1e3,
            each="run",
            repetitions=51,
        ),
        Row(
            "memory",
            "peak memory of the main job, workers included",
            "MB",
            (Command(OURS, _handconv("train", "--epochs", "1", *_from(data_dir)), measure="memory"),),
            (Bar("below", 400.0),),
            scale=1e-6,
            each="run",
            repetitions=3,
        ),
        Row(
            "ablation",
            "what each idea brings, batch 128",
            "s/epoch",
            (
                Entry("plain loops", "steps", "plain loops", samples=1, cores=1),
                *(
                    Entry(mode, "steps", mode, samples=20 * 128, cores=1, env=ONE_THREAD)
                    for mode in ("im2col", "by hand")
                ),
                Entry("not fused", "handconv_own", "not fused", cores=1),
                Entry("engine", "handconv_own", cores=1),
                Entry(OURS, "handconv_own"),
            ),
            (),
            Job(cores=cores, samples=24 * 1024),
            EPOCH,
            repetitions=3,
        ),
    ]


def fast(data_dir: str) -> tuple[Command, ...]:
    """The recipe, and its likeness in PyTorch, which gets its data unpacked."""
    ours = _handconv("train", "--recipe", "fast", *_from(data_dir))
    recipe = recipes.load("fast")
    how = recipes.fit_arguments(recipe)
    wanted = {name: recipe[name] for name in ("epochs", "batch_size", "dropout", "l2")} | {
        "label_smoothing": how["loss"].label_smoothing,
        **vars(how["optimizer"].learning_rate),
    }
    settings = [part for name, value in wanted.items() for part in (f"--{name.replace('_', '-')}", str(value))]

    def peer(seed: int) -> list[str]:
        module = "benchmarks.rivals.torch_fast"
        return [sys.executable, "-m", module, "--seed", str(seed), "--data", _unpacked(data_dir), *settings]

    return (
        Command(OURS, lambda seed: [*ours(seed), "--seed", str(seed)], "recipe fast"),
        Command("PyTorch", peer, "channels_last"),
    )


def _unpacked(data_dir: str) -> str:
    """MNIST in one file of arrays, made at first use."""
    file = Path(tempfile.gettempdir()) / "handconv-benchmarks-mnist.npz"
    if not file.exists():
        (x_train, y_train), (x_test, y_test) = (mnist(Path(data_dir), part) for part in ("train", "t10k"))
        np.savez(file, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return str(file)


def _handconv(*arguments: str) -> Callable[[int], list[str]]:
    return lambda _: [sys.executable, "-m", "handconv", *arguments, "--json", "--no-play"]


def _python(program: str) -> Callable[[int], list[str]]:
    return lambda _: [sys.executable, "-c", program]


def _from(data_dir: str) -> list[str]:
    return ["--data-dir", data_dir] if data_dir else []
