"""Where the figures come from: processor, caches, system, libraries, and the command."""

import contextlib
import datetime as dt
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.referee import ROOT, Result


def describe(cores: list[int], data_dir: str) -> dict[str, Any]:
    """Everything that a figure depends on, by name."""
    return {
        "command": " ".join(["python -m benchmarks", *sys.argv[1:]]),
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": said("git", "-C", str(ROOT), "describe", "--always", "--dirty") or "unknown",
        "processor": f"{_processor()}, caches {_caches()}",
        "cores": f"{len(cores)} of {os.cpu_count()} (numbers {', '.join(map(str, cores))}), for every contestant",
        "load before": load(),
        "system": platform.platform(),
        "Python": platform.python_version(),
        "NumPy": f"{np.__version__}, {_blas()}",
        "threads": "handconv: one BLAS thread a worker, a worker a core; rivals: as many threads as cores, unless a "
        "mode says one; no *_NUM_THREADS in the environment",
        "data": f"MNIST from {Path(data_dir).name}" if data_dir else "random images (no MNIST at hand: see --data-dir)",
    }


def rivals(results: Iterable[Result]) -> dict[str, str]:
    """Which version of each library took part, and what is not installed."""
    known = list(results)
    versions = {result.library: result.facts["version"] for result in known if result.facts.get("version")}
    absent = {result.library for result in known if result.status.startswith("not installed")} - set(versions)
    return {
        "rivals": ", ".join(f"{library} {version}" for library, version in sorted(versions.items())) or "none",
        "not installed": ", ".join(sorted(absent)) or "nothing",
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _caches() -> str:
    """Sizes of the first core's caches: "L1 32K, L2 2048K, L3 …"."""
    found = []
    for cache in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        with contextlib.suppress(OSError):
            level, kind, size = ((cache / name).read_text().strip() for name in ("level", "type", "size"))
            if kind != "Instruction":
                found.append(f"L{level} {size}")
    return ", ".join(found) or "unknown"


def load() -> str:
    """How busy the machine has been; a figure of a busy one is none."""
    return f"{os.getloadavg()[0]:.2f} (one minute)" if hasattr(os, "getloadavg") else "unknown"


def _blas() -> str:
    build: Any = np.show_config(mode="dicts")
    blas = build.get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'BLAS')} {blas.get('version', '')}".strip()


def said(*command: str) -> str:
    """What a command prints, or "" if it fails."""
    with contextlib.suppress(OSError):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""
    return ""
