"""Memory stays flat: over many steps of one run, and over many runs of one process.

``--long-steps 1000000`` does more steps than an hour of training the reference network has, on a tiny one. ``-s`` shows
the measured memory.
"""

import ctypes
import gc
import os
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc

EPOCHS, BATCH = 40, 4
STATM = Path("/proc/self/statm")
PROCESS = pytest.mark.skipif(not STATM.exists(), reason="needs /proc, to see what the process has")


def network() -> hc.Sequential:
    layers = [hc.Conv2D(2, 3), hc.LeakyReLU(), hc.MaxPool2D(2), hc.Flatten(), hc.Dropout(0.3), hc.Dense(3, l2=1e-4)]
    return hc.Sequential([*layers, hc.Softmax()], input_shape=(1, 6, 6), seed=0)


def samples(count: int) -> tuple[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (count, 1, 6, 6), np.uint8), np.arange(count) % 3


def resident() -> int:
    """Bytes of this process that are in memory."""
    gc.collect()
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Watch(hc.Callback):
    """Measures after each epoch."""

    def __init__(self, measure: Callable[[], int]) -> None:
        self.measure, self.values = measure, list[int]()

    def on_epoch_end(self, run: Any, figures: Mapping[str, float]) -> None:
        self.values.append(self.measure())


@pytest.fixture
def traced() -> Iterator[Callable[[], int]]:
    """Measures the bytes that Python and NumPy have allocated, to the byte."""

    def measure() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    yield measure
    tracemalloc.stop()


@pytest.fixture
def no_huge_pages() -> Iterator[None]:
    """Keep the system from joining pages meanwhile: at any moment that makes megabytes resident that nobody touched."""
    prctl, disable = ctypes.CDLL(None).prctl, 41  # PR_SET_THP_DISABLE
    prctl(disable, 1, 0, 0, 0)
    yield
    prctl(disable, 0, 0, 0, 0)


@PROCESS
@pytest.mark.usefixtures("no_huge_pages")
def test_over_many_steps_the_process_does_not_grow(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    steps, watch = pytestconfig.getoption("long_steps"), Watch(resident)
    x, y = samples(BATCH * steps // EPOCHS)
    callbacks = [hc.Checkpoint(tmp_path / "run.npz"), watch]
    network().fit(x, y, epochs=EPOCHS, batch_size=BATCH, validation_data=(x[:99], y[:99]), callbacks=callbacks)
    print(f"\n{steps:,} steps; MB after each epoch:", *(f"{value / 1e6:.2f}" for value in watch.values))
    assert max(watch.values[EPOCHS // 2 :]) - max(watch.values[: EPOCHS // 2]) < 500_000


def test_a_step_leaves_nothing_allocated(traced: Callable[[], int]) -> None:
    watch, (x, y) = Watch(traced), samples(200)
    network().fit(x, y, epochs=20, batch_size=BATCH, callbacks=[watch])
    growth = np.diff(watch.values[3:])  # an epoch of 50 steps, and what the history keeps of it
    assert growth.max() < 2_000


def test_a_hundred_runs_leave_nothing_allocated(tmp_path: Path, traced: Callable[[], int]) -> None:
    values, (x, y) = list[int](), samples(20)
    for _ in range(100):
        network().fit(x, y, batch_size=BATCH, validation_split=0.2, callbacks=[hc.Checkpoint(tmp_path / "run.npz")])
        values.append(traced())
    growth = max(values[50:]) - max(values[5:50])
    assert growth < 50 * 500  # a network has more; looking up the BLAS library's functions costs about 100 bytes a run


@PROCESS
def test_runs_with_workers_leave_no_memory_and_no_open_file() -> None:
    watch, (x, y) = Watch(resident), samples(64)
    files = list[int]()
    for _ in range(12):
        network().fit(x, y, batch_size=32, workers=2, callbacks=[watch])
        files.append(len(list(Path("/proc/self/fd").iterdir())))
    assert files[-1] == files[2]
    assert watch.values[-1] - watch.values[5] < 500_000
