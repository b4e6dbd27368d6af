"""What a contestant and the referee say to each other, one JSON object a line.

    referee      {job}              "run"              "run"   …   end of file
    contestant          {ready}            {seconds}          {seconds}

A job is one of three kinds, and a repetition of it is:

    train        one pass over the samples in a new random order, ``batch_size`` to a step
    latency      every sample alone; the median time of a call is what counts
    throughput   the outputs for all samples, ``batch_size`` to a call
"""

import contextlib
import gzip
import importlib.metadata
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Network:
    """A convolutional network: blocks of 3x3 convolutions, each block with a 2x2 pooling, then a hidden dense layer.

    ``slope`` is that of the leaky ReLU after every layer but the last (0: a plain one).
    """

    shape: tuple[int, int, int]
    blocks: tuple[tuple[int, ...], ...]
    padding: int
    hidden: int
    slope: float
    dropout: float
    l2: float
    classes: int = 10

    @property
    def features(self) -> int:
        """How many numbers the last pooling leaves."""
        height, width = self.shape[1:]
        for block in self.blocks:
            height, width = ((size + len(block) * (2 * self.padding - 2)) // 2 for size in (height, width))
        return self.blocks[-1][-1] * height * width


@dataclass(frozen=True)
class ResidualNetwork:
    """A network of ``handconv.zoo`` by its name: a stem of half the first width, then stages of these widths.

    stage(F) = Conv2D(F) -> MaxPool2D -> BatchNorm -> ReLU -> x + [Conv2D, BatchNorm, ReLU, Conv2D, BatchNorm] -> ReLU
    """

    name: str
    shape: tuple[int, int, int]
    stages: tuple[int, ...]
    classes: int = 10


NETWORKS = {
    "reference": Network((1, 28, 28), ((8,), (16,)), padding=0, hidden=128, slope=0.01, dropout=0.3, l2=1e-4),
    "colour": Network((3, 32, 32), ((32, 32), (64, 64)), padding=1, hidden=256, slope=0.0, dropout=0.3, l2=1e-4),
}
RESIDUAL_NETWORKS = {
    "zoo.plus": ResidualNetwork("plus", (1, 28, 28), (24, 48, 96)),
    "zoo.colour": ResidualNetwork("colour", (3, 32, 32), (24, 48, 96)),
}


@dataclass(frozen=True)
class Job:
    """What is to be done, by whom."""

    kind: str = "train"
    network: str = "reference"
    mode: str = ""
    cores: int = 1
    batch_size: int = 128
    samples: int = 1280
    data_dir: str = ""

    @property
    def net(self) -> Network:
        """The network by its name."""
        return NETWORKS[self.network]

    @property
    def residual(self) -> ResidualNetwork | None:
        """The network by its name, if it is a residual one."""
        return RESIDUAL_NETWORKS.get(self.network)

    def pixels(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Images (N, C, H, W) and class numbers: MNIST where it is at hand and fits, else random ones."""
        random = np.random.default_rng(0)
        net = self.residual or self.net
        x = random.integers(0, 256, (self.samples, *net.shape), dtype=np.uint8)
        y = random.integers(0, net.classes, self.samples)
        if self.network == "reference" and self.data_dir:
            known, labels = mnist(Path(self.data_dir), "train")
            x, y = known[: self.samples], labels[: self.samples]
        return x, y

    def images(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The same as floats from 0 to 1."""
        x, y = self.pixels()
        return np.divide(x, 255, dtype=np.float32), y

    def batches(self, random: np.random.Generator) -> NDArray[np.int64]:
        """The samples of each step of a new pass: (steps, batch_size)."""
        steps = self.samples // self.batch_size
        return random.permutation(self.samples)[: steps * self.batch_size].reshape(steps, self.batch_size)


class Channel:
    """A contestant's line to the referee."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)  # what libraries print must not be taken for an answer
        self.job = Job(**json.loads(sys.stdin.readline()))

    def say(self, **facts: Any) -> None:
        """Answer."""
        print(json.dumps(facts), file=self._answers)

    def wait(self) -> bool:
        """Wait for the order to run; False if there are no more."""
        return bool(sys.stdin.readline())

    def run(self, repetition: Callable[[], float | None], **facts: Any) -> None:
        """Be ready (``repetition`` has warmed up), then repeat when told to; a repetition may return its last loss."""
        self.say(ready=True, **facts)
        while self.wait():
            start = time.perf_counter()
            loss = repetition()
            self.say(seconds=time.perf_counter() - start, loss=loss)

    def run_alone(self, call: Callable[[int], object], **facts: Any) -> None:
        """Be ready, then call with each sample's number when told to, and report the median time of a call."""
        self.say(ready=True, **facts)
        while self.wait():
            seconds = []
            for sample in range(self.job.samples):
                start = time.perf_counter()
                call(sample)
                seconds.append(time.perf_counter() - start)
            self.say(seconds=statistics.median(seconds), loss=None)


def compete(contestant: Callable[[Job, Channel], None]) -> None:
    """Run a contestant in this process; a library that is not installed, or fails, is an answer too."""
    channel = Channel()
    try:
        contestant(channel.job, channel)
    except ImportError as error:
        channel.say(missing=str(error))
    except Exception as error:  # noqa: BLE001 (whatever it is, the referee must hear of it)
        channel.say(failed=f"{type(error).__name__}: {error}"[:500])


def mnist(folder: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read the "train" or "t10k" images (N, 1, 28, 28) and labels of MNIST, packed or not."""
    found = []
    for kind, header in (("images-idx3", 16), ("labels-idx1", 8)):
        packed = folder / f"{part}-{kind}-ubyte.gz"
        data = gzip.decompress(packed.read_bytes()) if packed.exists() else packed.with_suffix("").read_bytes()
        found.append(np.frombuffer(data, np.uint8, offset=header))
    return found[0].reshape(-1, 1, 28, 28), found[1].astype(np.int64)


def version(library: str) -> str:
    """The installed version of a library, or ""."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(library)
    return ""
