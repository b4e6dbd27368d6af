"""What all tests share: one BLAS thread, a Hypothesis profile, caches of their own, a seeded generator, the data."""
# ruff: noqa: E402 (the environment must be set before NumPy is imported)

import os
import signal
import threading

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell ignores Ctrl-C for what it starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

for _library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, settings

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=40)
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.register_profile(  # for scripts/mutants.py: a failure is enough, the smallest one takes long to find
    "mutants", settings.get_profile("ci"), phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("ci")  # --hypothesis-profile=thorough overrides it

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long the tests go on that can go on for as long as one likes."""
    parser.addoption("--kill-rounds", type=int, default=3, help="how often tests/training/test_killed.py kills a run")
    parser.addoption("--fuzz-rounds", type=int, default=2, help="how often the fuzzing tests go through everything")
    parser.addoption("--long-steps", type=int, default=4000, help="the steps that tests/training/test_long_run.py does")
    answers = "whose answers tests/test_learn.py checks: docs/learn/solutions, or yours in docs/learn/exercises"
    parser.addoption("--answers", choices=("solutions", "exercises"), default="solutions", help=answers)


@pytest.fixture(scope="session", autouse=True)
def own_caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's real caches out of the tests, and the tests out of them."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("HANDCONV_CACHE", "KAGGLEHUB_CACHE"):
            patch.setenv(variable, str(tmp_path_factory.mktemp(variable.lower())))
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that starts from the same seed in every test."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the official MNIST and Fashion-MNIST files; the test skips where there is none."""
    folder = Path(os.environ.get("HANDCONV_DATA_DIR") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "mnist").is_dir():
        pytest.skip(f"the real data sets are not in {folder}; set HANDCONV_DATA_DIR to the folder that has them")
    return folder


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """A thread that a test leaves behind would keep later ones from forking."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(1)
    assert not [thread for thread in left if thread.is_alive()]
