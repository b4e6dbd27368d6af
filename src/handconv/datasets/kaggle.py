"""Data sets from Kaggle, through Kaggle's own client `kagglehub`, which reads the user's credentials itself.

The client runs in a process of its own: in a network that swallows packets it waits without a limit, and only a process
can be stopped; and it writes its notices to stdout, which belongs to our results. What it downloads it keeps in a cache
of its own (KAGGLEHUB_CACHE, else ``~/.cache/kagglehub``).
"""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import BinaryIO

from handconv.datasets.download import Patience, Progress, reason
from handconv.errors import MissingExtraError, SourceError
from handconv.utils.optional_imports import import_optional

# Begins the lines that `_child` writes for `_follow`, among whatever else is printed in its process.
_MARK = "handconv-kaggle:"
# The progress bar of tqdm: " 45%|####      | 6.90M/15.3M [00:01<00:01, 6.10MB/s]"
_BAR = re.compile(r"\| *([\d.]+)([kMG]?)/([\d.]+)([kMG]?) \[")
_UNITS = {"": 1, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def download_folder(handle: str, *, patience: Patience, progress: Progress | None = None) -> Path:
    """Have Kaggle's client fetch a data set; give the folder in which it put the files.

    Its notices go to stderr, its progress bar goes to ``progress``.

    Args:
        handle: "owner/name" of the data set.
        patience: how long the client may be silent.
        progress: told the bytes as they come.

    Raises:
        SourceError: if kagglehub is not installed, fails, or is silent for too long.
    """
    inbox: SimpleQueue[str | None] = SimpleQueue()
    command = [sys.executable, "-P", "-c", f"from {__name__} import _child; _child()", handle]
    # The child finds the modules that this process finds, whatever was put on the path meanwhile.
    own_path = os.pathsep.join(filter(None, sys.path))
    environment = os.environ | {"PYTHONPATH": own_path, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    try:
        child = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as error:
        raise SourceError(f"Kaggle's client cannot be started ({reason(error)})") from error
    threading.Thread(target=_read_lines, args=(child.stdout, inbox), daemon=True).start()
    try:
        return _follow(inbox, handle, patience, progress)
    finally:
        child.kill()
        child.wait()


def _follow(inbox: "SimpleQueue[str | None]", handle: str, patience: Patience, progress: Progress | None) -> Path:
    """Read what the child says until it names the folder or an error, or ends."""
    limit = patience.kaggle_start
    while True:
        try:
            line = inbox.get(timeout=limit)
        except Empty:
            raise SourceError(f"no sign of life from Kaggle's client within {limit:g} s") from None
        if line is None:
            raise SourceError("Kaggle's client ended without a word")
        kind, _, text = line.removeprefix(_MARK).partition(":") if line.startswith(_MARK) else ("", "", line)
        if kind == "folder":
            return Path(text)
        if kind == "error":
            raise SourceError(text)
        if kind == "ready":
            continue
        limit = patience.kaggle_stall
        if bar := _BAR.search(text):
            if progress is not None:
                done, done_unit, total, total_unit = bar.groups()
                progress(handle, int(float(done) * _UNITS[done_unit]), int(float(total) * _UNITS[total_unit]))
        else:
            sys.stderr.write(f"{text}\n")


def _read_lines(stream: BinaryIO, inbox: "SimpleQueue[str | None]") -> None:
    """Put into the inbox each line that comes, and None at the end (in a thread)."""
    with stream:
        rest = b""
        while piece := os.read(stream.fileno(), 1 << 16):
            *lines, rest = re.split(rb"[\r\n]+", rest + piece)
            for line in filter(None, lines):
                inbox.put(line.decode(errors="replace"))
    inbox.put(None)


def _child() -> None:
    """Run Kaggle's client and write what became of it (in the child process)."""
    try:
        kagglehub = import_optional("kagglehub", extra="kaggle")
        sys.stdout.write(f"{_MARK}ready:\n")
        folder = kagglehub.dataset_download(sys.argv[1])
    except MissingExtraError as error:
        sys.stdout.write(f"{_MARK}error:{error}\n")
    except Exception as error:  # noqa: BLE001 - whatever it is, it becomes one line in the parent process
        root: BaseException = error
        while cause := root.__cause__ or root.__context__:
            root = cause
        text = reason(root) if isinstance(root, OSError) else f"{type(error).__name__}: {error}"
        sys.stdout.write(f"{_MARK}error:{' '.join(text.split())[:300]}\n")
    else:
        sys.stdout.write(f"{_MARK}folder:{folder}\n")
