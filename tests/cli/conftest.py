"""A small model that was trained once, as the command line does it; and a shell that finds ``handconv``."""

from pathlib import Path

import pytest

from cli_helpers import handconv


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was trained on the embedded digits for three epochs."""
    folder = tmp_path_factory.mktemp("models")
    path = folder / "digits.npz"
    done = handconv(
        *("train", "--dataset", "digits", "--epochs", 3, "--no-play", "--save", path), HANDCONV_CACHE=str(folder)
    )
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let advice name the command as it is where the shell finds it, wherever these tests run."""
    monkeypatch.setattr("handconv.cli._typed.how_to_call", lambda: "handconv")


@pytest.fixture(autouse=True)
def wide_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let messages be whole lines, in which tests look for words."""
    monkeypatch.setenv("COLUMNS", "1000")


@pytest.fixture
def usual_lines(wide_lines: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lines be as long as in a file."""
    monkeypatch.delenv("COLUMNS")


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder for this test and the processes that it starts."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("HANDCONV_CACHE", str(folder))
    monkeypatch.delenv("HANDCONV_DATA_DIR", raising=False)
    return folder
