"""How many processes may share the work: the cores that may be used."""

import multiprocessing
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from handconv.parallel import cpu as cores


def test_auto_is_one_for_each_usable_core() -> None:
    assert cores.worker_count("auto") == cores.usable_cores() >= 1
    assert cores.worker_count(3) == cores.worker_count(np.int64(3)) == 3


@pytest.mark.parametrize("count", [1, 3, "auto"])
def test_a_daemon_works_alone(count: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing, "current_process", lambda: SimpleNamespace(daemon=True))
    assert cores.worker_count(count) == 1


def test_a_process_that_knows_no_others_is_no_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "multiprocessing")
    assert not cores.is_daemon()


@pytest.mark.parametrize("count", [0, -1, 1.5, "two", True, None])
def test_other_numbers_are_an_error(count: Any) -> None:
    with pytest.raises(ValueError, match=r'workers must be a whole number of at least 1, or "auto", got '):
        cores.worker_count(count)


@pytest.mark.parametrize(
    ("limit", "usable"),
    [("max 100000", 8), ("200000 100000", 2), ("50000 100000", 1), ("1600000 100000", 8), ("", 8), (None, 8)],
)
def test_affinity_and_the_containers_limit_are_respected(
    limit: str | None, usable: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_text(path: Path, encoding: str) -> str:
        if limit is None:
            raise FileNotFoundError
        return limit

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert cores.usable_cores() == usable


def test_where_there_is_no_affinity_all_cores_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_: "max 100000")
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cores.usable_cores() == 6
