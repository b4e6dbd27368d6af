"""How worker processes are started, and how one knows that its parent is gone."""

import multiprocessing
import os
import threading
import warnings
from types import SimpleNamespace

import pytest

from handconv.parallel import blas_threads as blas
from handconv.parallel import processes


@pytest.mark.parametrize(
    ("platform", "threads", "limited", "method"),
    [
        ("linux", 1, True, "fork"),
        ("darwin", 1, True, "spawn"),
        ("linux", 2, True, "spawn"),
        ("linux", 1, False, "spawn"),
    ],
)
def test_workers_are_forked_where_it_is_safe(
    platform: str, threads: int, limited: bool, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(threading, "active_count", lambda: threads)
    monkeypatch.setattr(blas, "is_limited", lambda: limited)
    assert processes.start_method() == method


def test_a_workers_parent_is_gone_when_it_has_another(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not processes.orphaned()  # this process is nobody's worker
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: SimpleNamespace(pid=os.getppid()))
    assert not processes.orphaned()
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: SimpleNamespace(pid=-1))
    assert processes.orphaned()


def test_while_processes_are_started_blas_is_limited_and_nothing_is_said_about_threads() -> None:
    with processes.starting():
        assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
        warnings.warn("This process is multi-threaded", DeprecationWarning, stacklevel=1)
