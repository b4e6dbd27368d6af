"""One BLAS thread, with threadpoolctl and without."""

import os
from typing import Any

import numpy as np
import pytest

from handconv.errors import MissingExtraError
from handconv.training import blas


def missing(module: str, *, extra: str) -> Any:
    raise MissingExtraError(f"This needs {module}, which is not installed.")


def test_the_environment_may_have_limited_it_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "require", missing)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    assert blas.is_limited()


def test_else_threadpoolctl_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setattr(blas, "require", missing)
    assert not blas.is_limited()
    monkeypatch.setattr(blas, "require", lambda *_, **__: object())
    assert blas.is_limited()


def test_one_thread_limits_blas_meanwhile() -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")

    def threads() -> set[int]:
        np.ones((2, 2)) @ np.ones((2, 2))
        return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}

    before = threads()
    with blas.one_thread():
        assert threads() <= {1}
    assert threads() == before


def test_without_threadpoolctl_one_thread_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "require", missing)
    with blas.one_thread():
        assert np.ones((2, 2)).sum() == 4


def test_children_are_started_with_one_thread_and_the_environment_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with blas.one_thread_in_children():
        assert {os.environ[name] for name in blas.ENVIRONMENT} == {"1"}
    assert os.environ["OPENBLAS_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ
