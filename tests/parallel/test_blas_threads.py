"""One BLAS thread, with threadpoolctl and without."""

import contextlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.errors import MissingExtraError
from handconv.parallel import blas_threads as blas


@pytest.fixture(autouse=True)
def found_anew() -> Iterator[None]:
    """Forget which libraries were loaded when BLAS was limited for the first time."""
    blas._controller.cache_clear()
    yield
    blas._controller.cache_clear()


def threads() -> set[int]:
    """How many threads BLAS uses."""
    threadpoolctl = pytest.importorskip("threadpoolctl")
    np.ones((2, 2)) @ np.ones((2, 2))
    return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}


def missing(module: str, *, extra: str) -> Any:
    raise MissingExtraError(f"This needs {module}, which is not installed.")


def test_the_environment_may_have_limited_it_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "import_optional", missing)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    assert blas.is_limited()


def test_else_threadpoolctl_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setattr(blas, "import_optional", missing)
    assert not blas.is_limited()
    monkeypatch.setattr(blas, "import_optional", lambda *_, **__: object())
    assert blas.is_limited()


@pytest.fixture
def two_threads() -> Iterator[None]:
    """BLAS as it is on a machine of two cores, whatever the environment says."""
    threadpoolctl = pytest.importorskip("threadpoolctl")
    with threadpoolctl.threadpool_limits(limits=2, user_api="blas"):
        yield


@pytest.mark.usefixtures("two_threads")
def test_one_thread_limits_blas_meanwhile() -> None:
    before = threads()
    with blas.one_thread():
        assert threads() == {1}
    assert threads() == before != {1}


@pytest.mark.usefixtures("two_threads")
def test_of_several_who_hold_blas_the_last_one_lets_go() -> None:
    before = threads()
    first, second = contextlib.ExitStack(), contextlib.ExitStack()
    first.enter_context(blas.one_thread())
    second.enter_context(blas.one_thread())
    first.close()
    assert threads() == {1}
    second.close()
    assert threads() == before
    with pytest.raises(KeyError), blas.one_thread():
        raise KeyError
    assert threads() == before


@pytest.mark.usefixtures("two_threads")
def test_any_thread_may_hold_it_and_let_go() -> None:
    before, seen = threads(), list[set[int]]()
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with blas.one_thread():
            seen.append(threads())
            entered.set()
            leave.wait(60)

    holder = threading.Thread(target=hold)
    with blas.one_thread():
        pass  # this thread was obeyed first
    holder.start()
    assert entered.wait(60)
    with blas.one_thread():
        leave.set()
        holder.join()
        seen.append(threads())
    assert seen == [{1}, {1}]
    assert threads() == before != {1}


@pytest.mark.usefixtures("two_threads")
def test_predictions_in_a_pool_of_threads_have_the_bits_of_one() -> None:
    model = hc.Sequential([hc.Dense(300), hc.Tanh(), hc.Dense(300), hc.Softmax()], input_shape=(300,), seed=0)
    x = np.random.default_rng(0).normal(size=(500, 300)).astype(np.float32)
    expected = model.predict(x)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(model.predict, [x] * 12):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("verb", ["predict", "evaluate"])
def test_predictions_need_one_thread_only(verb: str) -> None:
    class Watch(hc.Tanh):
        def forward(self, inputs: Any, training: bool = False) -> Any:
            seen.append(threads())
            return super().forward(inputs, training)

    seen: list[set[int]] = []
    model = hc.Sequential([hc.Dense(3), Watch(), hc.Softmax()], input_shape=(2,))
    x, y = np.zeros((4, 2), np.float32), np.zeros(4, int)
    model.predict(x) if verb == "predict" else model.evaluate(x, y)
    assert seen == [{1}]


def test_without_threadpoolctl_one_thread_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "import_optional", missing)
    with blas.one_thread():
        assert np.ones((2, 2)).sum() == 4


def test_children_are_started_with_one_thread_and_the_environment_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with blas.one_thread_in_children():
        assert {os.environ[name] for name in blas.ENVIRONMENT} == {"1"}
    assert os.environ["OPENBLAS_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ
