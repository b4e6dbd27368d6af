"""Fetching one file over HTTP with the patience, the limits and the distrust that a download needs.

The bytes go to memory, at most as many as the file can have, and to nowhere else: what fails leaves nothing behind.
A transfer that is cut off is resumed where it stopped (``Range``), or restarted if the server does not know how.

The connection lives in a thread of its own, and the caller waits for its next bytes with a time limit: one limit for
everything that can hang, be it looking up the name, connecting, the handshake, the headers or the bytes.
"""

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from handconv.errors import SourceError

if TYPE_CHECKING:
    from email.message import Message

Progress = Callable[[str, int, int | None], object]
"""Told what is being loaded, the bytes so far, and the bytes in all where they are known."""

_CHUNK = 1 << 16


@dataclass(frozen=True)
class Patience:
    """How long a source may keep us waiting.

    Args:
        connect: seconds until a server must have begun to answer.
        stall: seconds in which ``least_bytes`` must arrive, again and again.
        least_bytes: see stall.
        attempts: how often a file is asked for while each attempt gets further than the one before.
        kaggle_start: seconds until Kaggle's client must have given a sign of life.
        kaggle_stall: seconds that Kaggle's client may then be silent (it unpacks the archive in silence).
    """

    connect: float = 4.0
    stall: float = 10.0
    least_bytes: int = 10_000
    attempts: int = 5
    kaggle_start: float = 8.0
    kaggle_stall: float = 60.0


class _CutOff(Exception):
    """The transfer ended too early; what came until then is good."""


@dataclass(frozen=True)
class _Answer:
    """How the server began its answer."""

    status: int
    headers: "Message"


def download(url: str, *, max_bytes: int, patience: Patience, progress: Progress | None = None) -> bytes:
    """Fetch a file, resuming or restarting it as long as that gets further.

    Args:
        url: an http or https address.
        max_bytes: a server that promises or sends more is refused.
        patience: the time limits.
        progress: told after each piece, with the file's name.

    Raises:
        SourceError: if the file could not be had whole; the message says why in a few words.
    """
    if not url.startswith(("http://", "https://")):
        raise SourceError(f"a mirror must be an http or https address, got {url}")
    received = bytearray()
    why = ""
    for _ in range(patience.attempts):
        before = len(received)
        try:
            _Transfer(url, received, max_bytes, patience, progress).run()
            return bytes(received)
        except _CutOff as error:
            why = str(error)
            if len(received) <= before:
                break
    raise SourceError(why)


class _Transfer:
    """One request for what is missing of a file, whose bytes are appended to ``received``."""

    def __init__(
        self, url: str, received: bytearray, max_bytes: int, patience: Patience, progress: Progress | None
    ) -> None:
        self._url, self._received, self._max_bytes = url, received, max_bytes
        self._patience, self._progress = patience, progress
        self._answer: SimpleQueue[_Answer | Exception] = SimpleQueue()
        self._pieces: SimpleQueue[bytes | Exception] = SimpleQueue()
        self._given_up = threading.Event()

    def run(self) -> None:
        """Transfer until the end of the file."""
        threading.Thread(target=self._converse, args=(len(self._received),), daemon=True).start()
        try:
            self._receive(self._begin())
        finally:
            self._given_up.set()

    def _converse(self, start: int) -> None:
        """Hand over the server's answer and then the pieces, b"" at the end; or what went wrong (in the thread)."""
        import urllib.error  # a third of the time that it takes to import this package, and seldom needed
        import urllib.request

        inbox: SimpleQueue[_Answer | Exception] | SimpleQueue[bytes | Exception] = self._answer
        headers = {"User-Agent": "handconv", "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        timeout = self._patience.connect + self._patience.stall  # only so that a thread that was left alone ends
        try:
            request = urllib.request.Request(self._url, headers=headers)
            with urllib.request.urlopen(request, timeout=timeout) as response:
                self._answer.put(_Answer(response.status, response.headers))
                inbox = self._pieces
                piece = b"more"
                while piece and not self._given_up.is_set():
                    piece = response.read1(_CHUNK)
                    self._pieces.put(piece)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must reach the thread that waits for it
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            inbox.put(error)

    def _begin(self) -> int | None:
        """Wait for the answer and judge its headers; return the size of the whole file if the server tells it."""
        try:
            answer = self._answer.get(timeout=self._patience.connect)
        except Empty:
            raise SourceError(f"no answer within {self._patience.connect:g} s") from None
        if isinstance(answer, Exception):
            raise SourceError(reason(answer)) from answer
        rest = answer.headers.get("Content-Range", "")
        if answer.status != 206:
            self._received.clear()
        elif not rest.startswith(f"bytes {len(self._received)}-"):
            raise SourceError(f"asked for the bytes from {len(self._received):,} on, got {rest or 'others'}")
        length = answer.headers.get("Content-Length", "")
        total = len(self._received) + int(length) if length.isdecimal() else None
        if total is not None and total > self._max_bytes:
            raise SourceError(f"the server promises {total:,} bytes, the file can have at most {self._max_bytes:,}")
        return total

    def _receive(self, total: int | None) -> None:
        """Append the pieces until the end."""
        received, name = self._received, self._url.rpartition("/")[2]
        deadline, in_time = time.monotonic() + self._patience.stall, 0
        while piece := self._next_piece(deadline):
            received += piece
            if len(received) > self._max_bytes:
                raise SourceError(f"the server sends more than the {self._max_bytes:,} bytes that the file can have")
            if self._progress is not None:
                self._progress(name, len(received), total)
            in_time += len(piece)
            if in_time >= self._patience.least_bytes:
                deadline, in_time = time.monotonic() + self._patience.stall, 0
        if total is not None and len(received) < total:
            raise _CutOff(f"cut off after {len(received):,} of {total:,} bytes")

    def _next_piece(self, deadline: float) -> bytes:
        try:
            piece = self._pieces.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            raise _CutOff(f"stalled after {len(self._received):,} bytes") from None
        if isinstance(piece, Exception):
            raise _CutOff(f"cut off after {len(self._received):,} bytes ({reason(piece)})") from piece
        return piece


def reason(error: Exception) -> str:
    """Say in a few words why a connection or a file failed.

    Example:
        >>> import urllib.error
        >>> reason(urllib.error.URLError(ConnectionRefusedError(111, "Connection refused")))
        'Connection refused'
    """
    import urllib.error

    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, socket.gaierror):
        return "the server's name cannot be resolved (is there a network?)"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause) or type(cause).__name__
