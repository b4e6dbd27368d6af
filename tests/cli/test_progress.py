"""Progress where there is no terminal: few lines, each with something to say."""

import pytest

from handconv.cli import _progress
from handconv.cli._output import Output
from handconv.cli._progress import DownloadProgress


def test_a_download_tells_its_start_and_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    with DownloadProgress(Output()) as progress:
        for done in range(0, 11_000_000, 1_000_000):
            progress("images.gz", done, 10_000_000)
        progress("labels.gz", 100, None)
    assert capsys.readouterr().err.splitlines() == [
        "  images.gz: 0.0 of 10.0 MB",
        "  images.gz: 10.0 of 10.0 MB",
        "  labels.gz: 0.1 kB",
    ]


def test_a_long_download_tells_now_and_then_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(100))
    monkeypatch.setattr(_progress.time, "monotonic", lambda: float(next(clock)))
    with DownloadProgress(Output()) as progress:
        for done in range(1, 12):
            progress("images.gz", done * 1_000_000, 100_000_000)
    assert len(capsys.readouterr().err.splitlines()) == 2
