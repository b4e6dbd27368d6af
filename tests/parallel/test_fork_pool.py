"""Helpers do their share of the items, and what they leave undone is done all the same."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from handconv.parallel import fork_pool as helpers
from handconv.parallel.fork_pool import share_out, shared_array

forks = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")
ITEMS = range(10, 17)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test runner may have threads, which keep quiet."""
    monkeypatch.setattr(threading, "active_count", lambda: 1)


def doers(workers: int, before: Callable[[int], object] = lambda _: None) -> list[int]:
    """The process that did each item, and did it once; ``before`` is called before each."""
    done = shared_array((len(ITEMS), 2), np.int64, 2)

    def work(item: int) -> None:
        before(item)
        done[item - 10] += os.getpid(), 1

    share_out(work, ITEMS, workers)
    assert (done[:, 1] == 1).all()
    assert not multiprocessing.active_children()
    return [int(process) for process in done[:, 0]]


@forks
@pytest.mark.parametrize("workers", [2, 3, 7, 20])
def test_all_take_part(workers: int) -> None:
    started = shared_array((), np.int64, 2)

    def wait_for_all(_: int) -> None:
        with lock:
            started[...] += 1
        while started < min(workers, len(ITEMS)):
            time.sleep(1e-3)

    lock = multiprocessing.get_context("fork").Lock()
    processes = doers(workers, wait_for_all)
    assert os.getpid() in processes
    assert len(set(processes)) == min(workers, len(ITEMS))


@forks
def test_each_of_many_items_is_done_once() -> None:
    done = shared_array((5000,), np.int64, 2)
    share_out(lambda item: done.__setitem__(item, done[item] + 1), range(5000), 4)
    assert (done == 1).all()


@forks
def test_who_is_slow_does_less() -> None:
    here = os.getpid()
    processes = doers(2, lambda _: time.sleep(0.5 if os.getpid() == here else 0.01))
    assert processes.count(here) == 1


@forks
@pytest.mark.parametrize("how", ["killed", "failed", "ended"])
def test_what_a_helper_leaves_undone_is_done_here(how: str) -> None:
    here = os.getpid()

    def spoil(_: int) -> None:
        time.sleep(0.1)
        if os.getpid() != here:
            if how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if how == "failed":
                raise MemoryError
            os._exit(3)

    assert doers(3, spoil) == [here] * len(ITEMS)


@forks
def test_where_no_process_can_be_started_all_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    assert doers(3) == [os.getpid()] * len(ITEMS)


@pytest.mark.parametrize("workers", [1, 3])
def test_where_forking_is_not_safe_all_is_done_here(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helpers, "start_method", lambda: "spawn")
    assert doers(workers) == [os.getpid()] * len(ITEMS)


@forks
def test_a_helper_has_no_helpers() -> None:
    here, inner = os.getpid(), shared_array((7, 7), np.int64, 2)

    def work(item: int) -> None:
        time.sleep(0.1 if os.getpid() == here else 0)
        share_out(lambda place: inner.__setitem__((item, place), os.getpid()), range(7), 2)

    share_out(work, range(7), 2)
    alone = [set(line) for line in inner.tolist() if here not in line]
    assert alone
    assert all(len(line) == 1 for line in alone)


@forks
@pytest.mark.parametrize("item", ITEMS)
def test_an_error_is_raised_here_and_no_helper_stays(item: int) -> None:
    def spoil(at: int) -> None:
        time.sleep(0.02)
        if at == item:
            raise ZeroDivisionError(f"at {at}")

    with pytest.raises(ZeroDivisionError, match=f"at {item}"):
        doers(3, spoil)
    assert not multiprocessing.active_children()


@forks
def test_ctrl_c_ends_the_helpers_at_once() -> None:
    here, start, helping = os.getpid(), time.perf_counter(), shared_array((), np.bool_, 2)

    def spoil(_: int) -> None:
        if os.getpid() != here:
            helping[...] = True
            time.sleep(60)
        while not helping:
            time.sleep(1e-3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        doers(2, spoil)
    assert time.perf_counter() - start < 30
    assert not multiprocessing.active_children()


ORPHAN = """
import os, sys, time
from handconv.parallel.fork_pool import share_out
here = os.getpid()
def work(item):
    if os.getpid() != here:
        print(os.getpid(), flush=True)
    time.sleep(0.2 if os.getpid() != here else 60)
share_out(work, range(10_000), 2)
"""


@forks
def test_a_helper_whose_parent_was_killed_ends() -> None:
    with subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        helper = int(parent.stdout.readline())
        assert Path(f"/proc/{helper}").exists()
        parent.kill()
        lines = parent.stdout.read().splitlines()  # until the helper's end of the pipe is closed as well
    assert len(lines) < 10  # one that lived on would print five thousand


def test_an_array_for_one_is_an_ordinary_one() -> None:
    assert shared_array((2, 3), np.float32, 1).flags.owndata
    shared = shared_array((2, 3), np.float32, 2)
    assert (shared.shape, shared.dtype, shared.tolist()) == ((2, 3), np.float32, [[0] * 3] * 2)
    assert shared_array((0, 3), np.float64, 2).shape == (0, 3)
