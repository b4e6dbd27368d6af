"""The book's seed, for every test."""
# ruff: noqa: NPY002 (the book seeds NumPy's global generator)

from collections.abc import Iterator

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Every test starts from the book's seed, and leaves the global generator as it was."""
    state = np.random.get_state()
    np.random.seed(0)
    yield
    np.random.set_state(state)
