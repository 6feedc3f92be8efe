"""Responses go out whole, handed between loop and threads, or are cut so that nobody takes them for whole."""

import socket

import pytest

from dataplane.server.contract import Lane
from dataplane.wire.long_answer import DECLARATION
from tests.integration.dataplane.server.conftest import Serve
from tests.integration.dataplane.server.stub import Client, Ending, Running, eventually, pattern, request

LANES = [lane.value for lane in Lane]
KINDS = ["file", "memory"]
SIZE = 10 * 1024 * 1024


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 1, 300_000, SIZE])
def test_regions_go_out_whole(server: Running, lane: str, kind: str, size: int) -> None:
    client = server.client()
    target = f"/regions?size={size}&kind={kind}&lane={lane}"

    answer = client.get(target)

    assert answer.body == pattern(size)
    assert client.get("/hello").status == 200
    assert server.application.sources[0].close_count == 1
    assert server.application.ending() == Ending(
        target=target, status=200, received_bytes=0, sent_body_bytes=size, is_whole=True
    )


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_slow_reader_gets_everything(server: Running, lane: str, kind: str) -> None:
    client = server.client(receive_buffer_bytes=16 * 1024)
    target = f"/regions?size={SIZE}&kind={kind}&lane={lane}"
    client.send(request("GET", target))
    good = server.client()

    received = bytearray()
    while (at := received.find(b"\r\n\r\n")) < 0 or len(received) < at + 4 + SIZE:
        piece = client.sock.recv(64 * 1024)
        assert piece
        received += piece
        if len(received) % 50 == 0:
            assert good.get("/hello").status == 200

    assert received[at + 4 :] == pattern(SIZE)
    client.send(request("GET", "/hello"))
    assert client.answer().status == 200


def test_a_source_that_would_block_goes_on_on_a_thread(server: Running) -> None:
    client = server.client()

    answer = client.get(f"/regions?size={SIZE}&blocks=1&lane=inline")

    assert answer.body == pattern(SIZE)
    assert server.application.sources[0].blocked_count > 0


def test_slow_readers_hold_no_thread(serve: Serve) -> None:
    server = serve(streaming_thread_count=1)
    slow = [server.client(receive_buffer_bytes=4096) for _ in range(20)]
    for client in slow:
        client.send(request("GET", f"/regions?size={SIZE}&lane=inline"))
        assert client.head().status == 200

    assert server.get("/hello?lane=streaming").status == 200
    assert server.get(f"/regions?size={SIZE}&lane=streaming").body == pattern(SIZE)


def test_a_response_in_its_middle_waits_for_a_thread(serve: Serve) -> None:
    server = serve(streaming_thread_count=1, streaming_queue_count=0)
    client = server.client(receive_buffer_bytes=4096)
    client.send(request("GET", f"/regions?size={SIZE}&kind=memory&lane=streaming"))
    # The thread gives up waiting for the reader, and another request may have it.
    assert client.head().status == 200
    eventually(lambda: server.loop.call_count(Lane.STREAMING) == 0)
    busy = server.client()
    busy.send(request("GET", "/wait?lane=streaming"))
    server.application.entered.get(timeout=20)

    received = 0
    while "streaming" not in server.application.full:
        received += len(client.sock.recv(64 * 1024))
    server.application.go_on.set()

    assert busy.answer().body == b"waited"
    assert server.application.ending().target == "/wait?lane=streaming"
    while not server.application.endings.qsize():
        received += len(client.sock.recv(64 * 1024))
    assert server.application.ending().is_whole


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["fails", "ends"])
def test_a_body_that_cannot_go_on_is_cut(server: Running, lane: str, kind: str, how: str) -> None:
    client = server.client()
    target = f"/regions?size={SIZE}&{how}=1000000&kind={kind}&lane={lane}"

    answer = client.get(target)

    assert answer.status == 200
    assert not answer.is_whole
    ending = server.application.ending()
    assert (ending.status, ending.is_whole) == (200, False)
    assert ending.sent_body_bytes < SIZE
    assert server.application.sources[0].close_count == 1
    assert server.application.endings.empty()


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("disk", ["", "&disk=1"])
def test_a_body_that_cannot_go_on_is_logged(
    server: Running, lane: str, disk: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.get(f"/regions?size={SIZE}&fails=1000000&lane={lane}{disk}")
    server.application.ending()

    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [("ERROR", "response.cut")]


@pytest.mark.parametrize("lane", LANES)
def test_a_body_that_fails_before_its_first_byte_is_an_error(server: Running, lane: str) -> None:
    client = server.client()

    answer = client.get(f"/regions?size={SIZE}&fails=0&lane={lane}")

    assert answer.status == 500
    assert b"<Code>InternalError</Code>" in answer.body
    assert server.application.sources[0].close_count == 1
    assert server.application.ending().status == 500


def test_a_file_shorter_than_its_region_is_cut(server: Running) -> None:
    server.application.file.seek(0)
    with open(server.application.file.name, "r+b") as file:
        file.truncate(100_000)

    answer = server.get(f"/regions?size={SIZE}")

    assert not answer.is_whole
    assert not server.application.ending().is_whole


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("file_bytes", [0, 1, 100_000, 300_000])
def test_what_a_file_does_not_give_comes_from_elsewhere(server: Running, lane: str, file_bytes: int) -> None:
    with open(server.application.file.name, "r+b") as file:
        file.truncate(file_bytes)
    client = server.client()

    answer = client.get(f"/regions?size={SIZE}&spare=1&lane={lane}")

    assert answer.body == pattern(SIZE)
    assert server.application.sources[0].unsent_errors == [None]
    assert server.application.ending().sent_body_bytes == SIZE
    assert client.get("/hello").body == b"hello "


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_goes_away_is_noticed(server: Running, lane: str, kind: str) -> None:
    client = server.client(receive_buffer_bytes=4096)
    client.send(request("GET", f"/regions?size={SIZE}&kind={kind}&lane={lane}"))
    assert client.head().status == 200

    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()

    assert not server.application.ending().is_whole
    assert server.application.sources[0].close_count == 1
    assert server.get("/hello").status == 200
    server.application.ending()
    assert server.application.endings.empty()


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_that_takes_nothing_is_cut(serve: Serve, lane: str, kind: str) -> None:
    server = serve(send_timeout_s=0.3)
    client = server.client(receive_buffer_bytes=4096)

    client.send(request("GET", f"/regions?size={SIZE}&kind={kind}&lane={lane}"))

    assert not server.application.ending().is_whole
    assert server.application.sources[0].close_count == 1


def test_a_reader_below_the_least_rate_is_cut(serve: Serve) -> None:
    server = serve(send_timeout_s=1.0, rate_window_s=0.3, rate_bytes_min=1 << 40)
    client = server.client(receive_buffer_bytes=4096)
    client.send(request("GET", f"/regions?size={SIZE}"))

    with pytest.raises(ConnectionError):
        trickle(client, count=1000)

    assert not server.application.ending().is_whole


def test_a_slow_reader_above_the_least_rate_is_served_beyond_both_deadlines(serve: Serve) -> None:
    server = serve(send_timeout_s=0.4, rate_window_s=0.4, rate_bytes_min=10)
    client = server.client(receive_buffer_bytes=256 * 1024)
    client.send(request("GET", f"/regions?size={10 * SIZE}"))

    trickle(client, count=30)

    assert server.application.endings.empty()


def trickle(client: Client, *, count: int) -> None:
    """Read a little every now and then."""
    never, other = socket.socketpair()
    with never, other:
        never.settimeout(0.04)
        for _ in range(count):
            # TLS gives a record at a time.
            for _ in range(4):
                if client.sock.recv(64 * 1024) == b"":
                    raise ConnectionResetError
                if client.tls is None or client.is_silent(0.0):
                    break
            with pytest.raises(TimeoutError):
                never.recv(1)


def test_a_stop_finishes_what_runs_and_closes_what_idles(server: Running) -> None:
    idle, busy, reading = server.client(), server.client(), server.client(receive_buffer_bytes=4096)
    assert idle.get("/hello").status == 200
    busy.send(request("GET", "/wait?lane=short"))
    server.application.entered.get(timeout=20)
    reading.send(request("GET", f"/regions?size={SIZE}"))
    head = reading.head()

    server.loop.stop(20.0)

    assert server.application.is_draining.wait(20)
    assert idle.is_at_end()
    server.application.go_on.set()
    answer = busy.answer()
    assert (answer.body, answer.headers["connection"]) == (b"waited", "close")
    assert busy.is_at_end()
    assert head.headers["content-length"] == str(SIZE)
    assert len(reading.rest()) == SIZE
    server.thread.join(20)
    assert not server.thread.is_alive()
    assert {server.application.ending().is_whole for _ in range(3)} == {True}


def test_a_stop_cuts_what_outlasts_the_grace(server: Running) -> None:
    reading = server.client(receive_buffer_bytes=4096)
    reading.send(request("GET", f"/regions?size={SIZE}"))
    reading.head()
    sending = server.client()
    sending.send(request("PUT", "/echo?lane=streaming", "Content-Length: 100", "Expect: 100-continue"))
    assert sending.answer().status == 100

    server.stop(0.1)

    endings = {server.application.ending() for _ in range(2)}
    assert {(ending.target.split("?")[0], ending.is_whole) for ending in endings} == {
        ("/regions", False),
        ("/echo", False),
    }
    assert server.application.endings.empty()


def test_stalls_of_the_loop_are_told(server: Running) -> None:
    client = server.client()
    server.application.go_on.clear()
    client.send(request("GET", "/wait?lane=inline"))
    server.application.entered.get(timeout=20)
    never, other = socket.socketpair()
    with never, other:
        never.settimeout(0.02)
        with pytest.raises(TimeoutError):
            never.recv(1)

    server.application.go_on.set()

    assert client.answer().body == b"waited"
    eventually(lambda: max(server.application.stalls, default=0.0) > 0.01)


def test_a_long_answer_says_blanks_while_its_work_goes_on(serve: Serve) -> None:
    server = serve(send_timeout_s=0.4, rate_window_s=0.4, rate_bytes_min=1 << 20)
    client = server.client()
    client.send(request("POST", "/long?lane=streaming&interval=0.2"))

    # Far below the least rate, and longer than a reader may take for nothing: it is not the reader that is slow.
    received = bytearray()
    while not received.endswith(DECLARATION + b" " * 8):
        piece = client.sock.recv(1024)
        assert piece
        received += piece
    server.application.work.set_result("at last")
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    announced = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < announced:
        piece = client.sock.recv(1024)
        assert piece
        body += piece

    assert body.strip() == DECLARATION + b" " * 8 + b"<Done>at last</Done>"
    assert len(body) == announced
    assert client.get("/hello").status == 200
