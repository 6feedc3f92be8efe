"""Everything that is waited for on a connection has an end, however little comes at a time."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engine.backends.s3.connection import HEAD_LINE_COUNT_MAX, BadAnswer, Connection

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n"


@contextmanager
def connected() -> Iterator[tuple[Connection, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Connection(ours), theirs


@contextmanager
def dripping(sock: socket.socket, text: bytes, *, pause_s: float) -> Iterator[None]:
    """A byte of it after the other, until the block ends."""
    ended = threading.Event()

    def drip() -> None:
        for byte in text:
            sock.sendall(bytes([byte]))
            if ended.wait(pause_s):
                return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_head_that_comes_in_pieces_is_read() -> None:
    with connected() as (connection, theirs), dripping(theirs, HEAD, pause_s=0.001):
        head = connection.read_head(patience_s=5.0)

    assert (head.status, head.headers) == (200, {"content-length": "3"})


@pytest.mark.parametrize("text", [HEAD, b"HTTP/1.1 100 Continue\r\n\r\n" * 20], ids=["drips", "goes on"])
def test_a_head_is_there_whole_in_its_time(text: bytes) -> None:
    with (
        connected() as (connection, theirs),
        dripping(theirs, text, pause_s=0.02),
        pytest.raises(TimeoutError),
    ):
        connection.read_head(patience_s=0.2)


def test_what_follows_the_head_has_its_own_time() -> None:
    with connected() as (connection, theirs):
        theirs.sendall(HEAD)
        connection.read_head(patience_s=0.1)
        buffer = memoryview(bytearray(3))

        with dripping(theirs, b"abc", pause_s=0.06):
            count = connection.read_into(buffer)

        assert (count, bytes(buffer)) == (3, b"abc")


def test_a_block_of_reads_ends_in_its_time_and_an_inner_one_no_later() -> None:
    with (
        connected() as (connection, theirs),
        dripping(theirs, bytes(100), pause_s=0.02),
        pytest.raises(TimeoutError),
        connection.ends_within(0.1),
        connection.ends_within(60.0),
    ):
        connection.read_into(memoryview(bytearray(100)))


def test_trailers_have_an_end() -> None:
    with connected() as (connection, theirs):
        theirs.sendall(b"a: b\r\n" * (HEAD_LINE_COUNT_MAX + 1))

        with pytest.raises(BadAnswer):
            connection.pass_trailers()
