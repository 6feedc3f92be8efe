"""Pipes between sockets: bounded, never used again with bytes in them, and waited for no longer than allowed."""

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from engine.pipes import PIPE_BYTES, Pipe, PipePool

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    near.setblocking(False)
    with near, far:
        yield near, far


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_what_comes_over_a_socket_goes_through(pair: Pair) -> None:
    near, far = pair
    pipe = Pipe()
    far.sendall(b"x" * 1000)

    count = pipe.fill_from(near, 600, timeout_s=5.0)

    assert not pipe.is_empty
    assert os.read(pipe.read_fd, PIPE_BYTES) == b"x" * count
    assert 0 < count <= 600
    assert pipe.is_empty
    pipe.close()


def test_the_first_byte_is_waited_for_and_an_end_is_told(pair: Pair) -> None:
    near, far = pair
    pipe = Pipe()
    timer = threading.Timer(0.05, far.sendall, [b"late"])
    timer.start()

    assert pipe.fill_from(near, 100, timeout_s=5.0) == 4

    timer.join()
    os.read(pipe.read_fd, 100)
    with pytest.raises(TimeoutError):
        pipe.fill_from(near, 100, timeout_s=0.01)
    far.close()
    assert pipe.fill_from(near, 100, timeout_s=5.0) == 0
    pipe.close()


def test_there_are_no_more_pipes_than_allowed() -> None:
    pool = PipePool(count_max=2)
    pipes = [pool.take(), pool.take()]

    assert pool.take() is None

    assert pipes[0] is not None
    pool.give_back(pipes[0])
    assert pool.take() is pipes[0]
    for pipe in pipes:
        assert pipe is not None
        pool.give_back(pipe)
    assert pool.out_count == 0


def test_a_pipe_with_bytes_in_it_is_closed(pair: Pair) -> None:
    near, far = pair
    pool = PipePool()
    before = open_fds()
    pipe = pool.take()
    assert pipe is not None
    far.sendall(b"somebody's")
    assert pipe.fill_from(near, 100, timeout_s=5.0) > 0

    pool.give_back(pipe)

    assert open_fds() == before
    again = pool.take()
    assert again is not None
    assert again.is_empty
    again.close()
