"""What the tests of data sources share: files, a web server that misbehaves on command, a stand-in for kagglehub."""

import gzip
import socket
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handconv.datasets.catalog import KnownSet
from handconv.datasets.download import Patience
from handconv.datasets.readers import encode_idx, write_idx

Arrays = dict[str, NDArray[np.uint8]]

HASTE = Patience(connect=5, stall=5, least_bytes=1000, kaggle_start=20, kaggle_stall=10)
"""Time limits for a server in the same process; tests of what stalls set shorter ones."""


def stand_in(folder: Path, body: str, head: str = "") -> None:
    """Put a module kagglehub on the path whose function dataset_download(handle) has this body."""
    place = folder / "stand-in"
    place.mkdir(exist_ok=True)
    (place / "kagglehub.py").write_text(f"import sys\n{head}\ndef dataset_download(handle):\n    {body}\n")
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))


def write_idx_files(folder: Path, known: KnownSet, arrays: Arrays, suffix: str = ".gz") -> Path:
    """Write the four IDX files of a set."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, file in known.files.items():
        write_idx(folder / f"{file.name}{suffix}", arrays[part].reshape(file.shape))
    return folder


def write_csv_files(folder: Path, known: KnownSet, arrays: Arrays) -> Path:
    """Write the two CSV files of a set as Kaggle has them."""
    folder.mkdir(parents=True, exist_ok=True)
    decimal = np.zeros((256, 4), np.uint8)  # "0,", "1,", … "255,", the rest of each row 0
    for value in range(256):
        text = f"{value},".encode()
        decimal[value, : len(text)] = list(text)
    for name, half in zip(known.csv_names, ("train", "test"), strict=True):
        images, labels = arrays[f"x_{half}"], arrays[f"y_{half}"]
        with (folder / name).open("wb") as file:
            file.write(b",".join([b"label", *(b"%dx%d" % (i, j) for i in range(1, 29) for j in range(1, 29))]) + b"\n")
            for start in range(0, len(labels), 1000):
                rows = np.column_stack([labels[start : start + 1000], images[start : start + 1000].reshape(-1, 784)])
                characters = decimal[rows]
                characters[:, -1][characters[:, -1] == ord(",")] = ord("\n")
                file.write(characters[characters > 0].tobytes())
    return folder


Behaviour = Callable[["Handler", bytes], None]


class Handler(BaseHTTPRequestHandler):
    """Answers as the web server's queue of behaviours for this path says, and properly when the queue is empty."""

    def do_GET(self) -> None:
        web: Web = self.server.web  # type: ignore[attr-defined]
        web.requests.append((self.path, self.headers.get("Range")))
        behaviours = web.behaviours[self.path]
        behaviour = behaviours.popleft() if behaviours else web.otherwise
        behaviour(self, web.files.get(self.path, b""))

    def begin(self, status: int = 200, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def wait(self) -> None:
        """Hold the connection open until the test is over."""
        self.wfile.flush()
        self.server.web.over.wait()  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what these tests are about."""


class Web:
    """A web server on this machine: ``files`` by path, ``behaviours`` to go wrong with, ``requests`` (path, Range)."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.behaviours: defaultdict[str, deque[Behaviour]] = defaultdict(deque)
        self.otherwise: Behaviour = serve
        self.requests: list[tuple[str, str | None]] = []
        self.over = threading.Event()
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.web = self  # type: ignore[attr-defined]
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def reachable(self) -> bool:
        """Whether this machine can talk to itself."""
        try:
            socket.create_connection(self._server.server_address[:2], timeout=5).close()
        except OSError:
            return False
        return True

    def hold(self, known: KnownSet, arrays: Arrays, folder: str) -> str:
        """Serve the four files of a set from a folder; give its address, as a mirror."""
        for part, file in known.files.items():
            data = gzip.compress(encode_idx(arrays[part].reshape(file.shape)), mtime=0)
            self.files[f"/{folder}/{file.name}.gz"] = data
        return f"{self.address}/{folder}/"

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def serve(handler: Handler, data: bytes) -> None:
    """Answer as a good server does, ``Range`` included; 404 where there is no file."""
    if not data:
        handler.send_error(404)
        return
    start = handler.headers.get("Range")
    if start is None:
        handler.begin(Content_Length=len(data))
        handler.wfile.write(data)
    else:
        first = int(start.removeprefix("bytes=").removesuffix("-"))
        rest = data[first:]
        handler.begin(206, Content_Length=len(rest), Content_Range=f"bytes {first}-{len(data) - 1}/{len(data)}")
        handler.wfile.write(rest)


def ignore_range(handler: Handler, data: bytes) -> None:
    handler.begin(Content_Length=len(data))
    handler.wfile.write(data)


def cut_off(handler: Handler, data: bytes) -> None:
    """Promise the whole file, send half of it and hang up."""
    handler.begin(Content_Length=len(data))
    handler.wfile.write(data[: len(data) // 2])


def stall(handler: Handler, data: bytes) -> None:
    """Promise the whole file, send half of it and nothing more, ever."""
    handler.begin(Content_Length=len(data))
    handler.wfile.write(data[: len(data) // 2])
    handler.wait()


def silence(handler: Handler, data: bytes) -> None:
    handler.wait()


def wrong_bytes(handler: Handler, data: bytes) -> None:
    """Send a good gzip file of the right size with one other bit."""
    content = bytearray(gzip.decompress(data))
    content[-1] ^= 1
    serve(handler, gzip.compress(bytes(content)))


def html_page(handler: Handler, data: bytes) -> None:
    page = b"<!DOCTYPE html><html><body>Please log in to this network.</body></html>"
    handler.begin(Content_Type="text/html", Content_Length=len(page))
    handler.wfile.write(page)


def status(code: int) -> Behaviour:
    return lambda handler, _: handler.send_error(code)
