"""Fetching one file from a server that behaves, and from many that do not."""

import socket
import threading
from collections import deque
from dataclasses import replace

import pytest

from data_helpers import (
    HASTE,
    Behaviour,
    Handler,
    Web,
    cut_off,
    ignore_range,
    silence,
    stall,
    status,
)
from handconv.datasets.download import download
from handconv.errors import SourceError

FILE = bytes(range(256)) * 400  # 102,400 bytes


def get(web: Web, *behaviours: Behaviour, max_bytes: int = 200_000, **patience: float) -> bytes:
    web.files["/file"] = FILE
    web.behaviours["/file"] = deque(behaviours)
    return download(f"{web.address}/file", max_bytes=max_bytes, patience=replace(HASTE, **patience))  # type: ignore[arg-type]


def ranges(web: Web) -> list[str | None]:
    return [start for _, start in web.requests]


def test_a_file_arrives_whole(web: Web) -> None:
    assert get(web) == FILE
    assert ranges(web) == [None]


def test_progress_is_told_name_bytes_and_total(web: Web) -> None:
    web.files["/folder/file.gz"] = FILE
    told: list[tuple[str, int, int | None]] = []
    download(
        f"{web.address}/folder/file.gz",
        max_bytes=len(FILE),
        patience=HASTE,
        progress=lambda *step: told.append(step),
    )
    assert told[-1] == ("file.gz", len(FILE), len(FILE))
    assert [step[1] for step in told] == sorted({step[1] for step in told})


@pytest.mark.parametrize("breaks", [cut_off, stall])
def test_a_transfer_that_breaks_is_resumed_where_it_stopped(web: Web, breaks: Behaviour) -> None:
    assert get(web, breaks, stall=0.3) == FILE
    assert ranges(web) == [None, "bytes=51200-"]


def test_it_is_restarted_where_the_server_cannot_resume(web: Web) -> None:
    assert get(web, cut_off, ignore_range) == FILE


def test_a_server_that_always_breaks_at_the_same_place_is_given_up(web: Web) -> None:
    with pytest.raises(SourceError, match="cut off after 51,200 of 102,400 bytes"):
        get(web, *[cut_off] * 9)
    assert len(web.requests) == 2


def test_a_server_that_gives_a_little_each_time_is_given_up(web: Web) -> None:
    def a_little(handler: Handler, data: bytes) -> None:
        first = int((handler.headers["Range"] or "bytes=0-")[6:-1])
        handler.begin(206, Content_Length=len(data) - first, Content_Range=f"bytes {first}-102399/102400")
        handler.wfile.write(data[first : first + 10])

    with pytest.raises(SourceError, match="cut off after 30 of"):
        get(web, *[a_little] * 9, attempts=3)


def test_a_transfer_without_a_length_ends_where_the_server_hangs_up(web: Web) -> None:
    def no_length(handler: Handler, data: bytes) -> None:
        handler.begin()
        handler.wfile.write(data)

    assert get(web, no_length) == FILE


def test_a_broken_chunked_transfer_is_noticed_and_resumed(web: Web) -> None:
    def chunked(handler: Handler, data: bytes) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.begin(Transfer_Encoding="chunked", Connection="close")
        handler.wfile.write(b"1000\r\n" + data[:0x1000] + b"\r\n1000\r\n" + data[0x1000:0x1800])

    assert get(web, chunked) == FILE
    assert ranges(web) == [None, "bytes=6144-"]


def test_bytes_that_only_drip_count_as_a_stall(web: Web) -> None:
    def drip(handler: Handler, data: bytes) -> None:
        handler.begin(Content_Length=len(data))
        for value in data:
            handler.wfile.write(bytes([value]))
            if handler.server.web.over.wait(0.01):  # type: ignore[attr-defined]
                break

    with pytest.raises(SourceError, match="stalled after"):
        get(web, drip, attempts=1, stall=0.2)


def test_a_server_that_accepts_and_says_nothing_is_given_up(web: Web) -> None:
    with pytest.raises(SourceError, match=r"no answer within 0\.2 s"):
        get(web, silence, connect=0.2)


@pytest.mark.parametrize(("code", "text"), [(403, "HTTP 403 Forbidden"), (404, "HTTP 404"), (503, "HTTP 503")])
def test_an_error_status_is_final(web: Web, code: int, text: str) -> None:
    with pytest.raises(SourceError, match=text):
        get(web, status(code))
    assert len(web.requests) == 1


def test_a_closed_port_is_named(web: Web) -> None:
    web.close()
    with pytest.raises(SourceError, match="refused"):
        get(web)


def test_a_name_that_cannot_be_resolved_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(SourceError, match="name cannot be resolved"):
        download("http://mirror.invalid/file", max_bytes=1, patience=HASTE)


def test_a_name_server_that_says_nothing_costs_no_more_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def hang(*_: object, **__: object) -> None:
        over.wait()
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with pytest.raises(SourceError, match="no answer within"):
        download("http://mirror.invalid/file", max_bytes=1, patience=replace(HASTE, connect=0.1))
    over.set()


def test_a_promise_of_too_much_is_refused_before_reading(web: Web) -> None:
    def promise(handler: Handler, data: bytes) -> None:
        handler.begin(Content_Length=100 * 1024**3)

    with pytest.raises(SourceError, match="promises 107,374,182,400 bytes, the file can have at most 200,000"):
        get(web, promise)


def test_a_stream_without_end_is_cut(web: Web) -> None:
    def endless(handler: Handler, data: bytes) -> None:
        handler.begin()
        while True:
            handler.wfile.write(data)

    with pytest.raises(SourceError, match="sends more than the 200,000 bytes"):
        get(web, endless)


def test_the_wrong_rest_is_refused(web: Web) -> None:
    def other_rest(handler: Handler, data: bytes) -> None:
        handler.begin(206, Content_Length=10, Content_Range="bytes 0-9/102400")
        handler.wfile.write(data[:10])

    with pytest.raises(SourceError, match="asked for the bytes from 51,200 on, got bytes 0-9/102400"):
        get(web, cut_off, other_rest)


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://host/file", "mirror/file"])
def test_only_web_addresses_are_mirrors(address: str) -> None:
    with pytest.raises(SourceError, match="http or https"):
        download(address, max_bytes=10**6, patience=HASTE)


def test_an_address_that_is_none_is_an_error_of_the_source() -> None:
    with pytest.raises(SourceError):
        download("http://[broken/file", max_bytes=1, patience=HASTE)
