"""Bodies of requests come whole or not at all, without a thread for those who send slowly."""

import socket
import ssl

import pytest

from dataplane.server.contract import Lane
from dataplane.server.errors import BodyTooSlow, IncompleteBody, MalformedFraming
from tests.integration.dataplane.server.conftest import Serve
from tests.integration.dataplane.server.stub import WAIT_S, Running, eventually, pattern, request

LANES = [lane.value for lane in Lane]
THREADS = ["short", "streaming"]


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("size", [0, 1, 1000, 64 * 1024, 64 * 1024 + 1, 3_000_000])
def test_a_body_of_known_length_arrives_whole(server: Running, lane: str, size: int) -> None:
    client = server.client()

    client.send(
        request("PUT", f"/echo?buffer=100000&lane={lane}", f"Content-Length: {size}", body=pattern(size))
    )

    assert client.answer().body == pattern(size)
    assert client.get("/hello").status == 200
    assert server.application.ending().received_bytes == size


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("chunk_bytes", [7, 1000, 100_000])
def test_a_chunked_body_arrives_whole(server: Running, lane: str, chunk_bytes: int) -> None:
    data = pattern(200_000 if chunk_bytes > 7 else 2_000)
    pieces = [data[at : at + chunk_bytes] for at in range(0, len(data), chunk_bytes)]
    raw = b"".join(b"%X\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nx-a: b\r\n\r\n"
    client = server.client()

    client.send(request("PUT", f"/echo?lane={lane}", "Transfer-Encoding: chunked", body=raw))

    assert client.answer().body == data
    assert client.get("/hello").status == 200


def test_a_large_body_never_runs_on_a_thread_for_short_waits(server: Running) -> None:
    client = server.client()

    client.send(request("PUT", "/echo?lane=short", "Content-Length: 100000", body=pattern(100_000)))
    client.answer()
    client.send(request("PUT", "/echo?lane=short", "Content-Length: 1000", body=pattern(1000)))
    client.answer()

    assert [run[1] for run in server.application.runs] == [Lane.STREAMING, Lane.SHORT]


def test_senders_who_wait_for_continue_hold_no_thread_for_short_waits(serve: Serve) -> None:
    server = serve(short_thread_count=1)
    waiting = [server.client() for _ in range(3)]
    for client in waiting:
        client.send(request("PUT", "/echo?lane=short", "Content-Length: 10", "Expect: 100-continue"))
        assert client.answer().status == 100

    assert server.get("/hello?lane=short").status == 200

    for client in waiting:
        client.send(b"0123456789")
        assert client.answer().body == b"0123456789"


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("size", [10, 100_000])
def test_continue_is_sent_when_the_handler_first_reads(server: Running, lane: str, size: int) -> None:
    client = server.client()

    client.send(request("PUT", f"/echo?lane={lane}", f"Content-Length: {size}", "Expect: 100-continue"))

    assert client.answer().status == 100
    client.send(pattern(size))
    assert client.answer().body == pattern(size)
    assert client.get("/hello").status == 200


@pytest.mark.parametrize("lane", LANES)
def test_continue_is_sent_for_chunks_too(server: Running, lane: str) -> None:
    client = server.client()

    client.send(request("PUT", f"/echo?lane={lane}", "Transfer-Encoding: chunked", "Expect: 100-continue"))

    assert client.answer().status == 100
    client.send(b"5\r\nhello\r\n0\r\n\r\n")
    assert client.answer().body == b"hello"


@pytest.mark.parametrize("lane", LANES)
def test_continue_is_not_sent_when_nobody_reads(server: Running, lane: str) -> None:
    client = server.client()

    client.send(request("PUT", f"/early?lane={lane}", "Content-Length: 10", "Expect: 100-continue"))

    answer = client.answer()
    assert (answer.status, answer.headers["connection"]) == (403, "close")
    assert client.is_at_end()
    assert server.application.ending().received_bytes == 0


@pytest.mark.parametrize("lane", LANES)
def test_continue_is_not_sent_to_those_who_did_not_wait(server: Running, lane: str) -> None:
    client = server.client()

    client.send(request("PUT", f"/echo?lane={lane}", "Content-Length: 2", "Expect: 100-continue", body=b"ab"))

    assert client.answer().body == b"ab"


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize(("target", "status"), [("/echo", 200), ("/early", 403)])
def test_who_announces_an_empty_body_and_waits_is_told_to_continue_before_the_answer(
    server: Running, lane: str, target: str, status: int
) -> None:
    """botocore takes an answer without it for the answer to its next request on the connection, too."""
    client = server.client()

    client.send(request("PUT", f"{target}?lane={lane}", "Content-Length: 0", "Expect: 100-continue"))

    assert [client.answer().status, client.answer().status] == [100, status]
    assert client.get("/hello").status == 200


@pytest.mark.parametrize("lane", LANES)
def test_an_early_answer_passes_over_a_small_body_and_keeps_the_connection(
    server: Running, lane: str
) -> None:
    client = server.client()

    client.send(request("PUT", f"/early?lane={lane}", "Content-Length: 5", body=b"GET /"))

    assert client.answer().status == 403
    assert client.get("/hello?n=2").body == b"hello 2"
    assert [run[0] for run in server.application.runs] == [f"/early?lane={lane}", "/hello?n=2"]


@pytest.mark.parametrize("lane", LANES)
def test_an_early_answer_to_a_large_body_is_read_before_the_connection_ends(
    server: Running, lane: str
) -> None:
    client = server.client()

    client.send(request("PUT", f"/early?lane={lane}", "Content-Length: 10000000", body=pattern(100_000)))

    answer = client.answer()
    assert (answer.status, answer.body, answer.headers["connection"]) == (403, b"no", "close")
    assert client.is_at_end()
    assert len(server.application.runs) == 1


def test_an_ended_connection_is_closed_although_the_client_goes_on(serve: Serve) -> None:
    server = serve(drain_timeout_s=0.05)
    client = server.client()

    client.send(request("PUT", "/early", "Content-Length: 10000000", body=pattern(70_000)))

    assert client.answer().status == 403
    # TLS calls what is no longer taken an end that it was not told of.
    with pytest.raises((ConnectionError, ssl.SSLEOFError)):
        client.send(pattern(20_000_000))


def test_a_body_read_in_part_ends_the_connection(server: Running) -> None:
    client = server.client()

    client.send(
        request("PUT", "/some?count=10&lane=streaming", "Content-Length: 200000", body=pattern(150_000))
    )

    answer = client.answer()
    assert (answer.body, answer.headers["connection"]) == (pattern(10), "close")
    assert server.application.ending().received_bytes == 10


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize(
    ("headers", "begun"),
    [
        (["Content-Length: 10"], b"a"),
        (["Content-Length: 100000"], pattern(80_000)),
        (["Transfer-Encoding: chunked"], b"5\r\nhel"),
        (["Transfer-Encoding: chunked"], b"5\r\nhello\r\n0\r\n"),
        (["Transfer-Encoding: chunked"], b""),
    ],
)
def test_a_client_that_ends_early_gets_incomplete_body(
    server: Running, lane: str, headers: list[str], begun: bytes
) -> None:
    client = server.client()

    client.send(request("PUT", f"/echo?lane={lane}", *headers, body=begun))
    client.end_sending()

    answer = client.answer()
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert b"<Code>IncompleteBody</Code>" in answer.body
    assert client.is_at_end()
    assert isinstance(server.application.reads.get(timeout=WAIT_S), IncompleteBody)
    assert server.application.ending().status == 400


@pytest.mark.parametrize("size", [100_000, 10])
def test_a_client_that_resets_mid_body_is_told_to_the_handler(server: Running, size: int) -> None:
    client = server.client()
    client.send(request("PUT", "/echo?lane=streaming", f"Content-Length: {size}", "Expect: 100-continue"))
    assert client.answer().status == 100

    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()

    assert isinstance(server.application.reads.get(timeout=WAIT_S), IncompleteBody)
    assert not server.application.ending().is_whole


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("body", [b"5\r\nhelloX0\r\n\r\n", b"zz\r\n", b"0x5\r\nhello\r\n0\r\n\r\n"])
def test_malformed_chunks_are_refused_and_end_the_connection(server: Running, lane: str, body: bytes) -> None:
    client = server.client()

    client.send(request("PUT", f"/echo?lane={lane}", "Transfer-Encoding: chunked", body=body))

    assert client.answer().status == 400
    assert client.is_at_end()
    assert isinstance(server.application.reads.get(timeout=WAIT_S), MalformedFraming)


def test_slow_beginnings_of_bodies_hold_no_thread(serve: Serve) -> None:
    server = serve(short_thread_count=1, short_queue_count=0, streaming_thread_count=1)
    slow = []
    for n in range(100):
        lane = THREADS[n % 2]
        client = server.client()
        framing = "Transfer-Encoding: chunked" if n % 3 == 0 else "Content-Length: 70000"
        client.send(request("PUT", f"/echo?lane={lane}", framing, body=b"5\r\nab"))
        slow.append(client)

    good = server.client()
    for lane in THREADS:
        assert good.get(f"/hello?lane={lane}").status == 200

    assert [run[0][:6] for run in server.application.runs] == ["/hello", "/hello"]


def test_a_slow_beginning_of_a_body_is_refused(serve: Serve) -> None:
    server = serve(rate_window_s=0.1)
    client = server.client()

    client.send(request("PUT", "/echo?lane=short", "Content-Length: 10", body=b"a"))

    answer = client.answer()
    assert answer.status == 400
    assert b"<Code>RequestTimeout</Code>" in answer.body
    assert client.is_at_end()
    assert server.application.runs == []


@pytest.mark.parametrize("begun", [b"", b"a" * 70_000])
def test_a_slow_body_is_given_up_by_its_thread(serve: Serve, begun: bytes) -> None:
    server = serve(rate_window_s=0.1, rate_bytes_min=10_000_000)
    client = server.client()
    client.send(request("PUT", "/echo?lane=streaming", "Content-Length: 100000", "Expect: 100-continue"))
    assert client.answer().status == 100

    client.send(begun)

    answer = client.answer()
    assert answer.status == 400
    assert b"<Code>RequestTimeout</Code>" in answer.body
    assert client.is_at_end()
    assert isinstance(server.application.reads.get(timeout=WAIT_S), BodyTooSlow)


def test_a_body_that_pauses_but_keeps_the_rate_is_served(serve: Serve) -> None:
    server = serve(rate_window_s=0.1, rate_bytes_min=10)
    client = server.client()
    client.send(request("PUT", "/echo?lane=streaming", "Content-Length: 8", "Expect: 100-continue"))
    assert client.answer().status == 100

    for n in range(8):
        client.send(b"%d" % n)
        assert n == 7 or client.is_silent(0.05)

    assert client.answer().body == b"01234567"


def test_half_sent_heads_do_not_stop_a_good_client(serve: Serve) -> None:
    server = serve(head_timeout_s=0.3, short_thread_count=1, streaming_thread_count=1)
    slow = [server.client() for _ in range(300)]
    for client in slow:
        client.send(b"GET /hello HTTP/1.1\r\nHo")

    good = server.client()
    for n, lane in enumerate(LANES * 10):
        assert good.get(f"/hello?n={n}&lane={lane}").body == f"hello {n}".encode()

    assert all(client.is_at_end() for client in slow)
    eventually(lambda: server.application.counts[-1:] == [1])


def test_a_head_that_trickles_is_cut_at_its_deadline(serve: Serve) -> None:
    server = serve(head_timeout_s=0.2)
    client = server.client()
    client.sock.settimeout(0.02)

    is_cut = False
    for byte in request("GET", "/hello", *["N: v"] * 90):
        try:
            client.send(bytes([byte]))
            is_cut = client.sock.recv(1) == b""
        except TimeoutError:
            continue
        except ConnectionError:
            is_cut = True
        if is_cut:
            break

    assert is_cut
    assert server.application.runs == []


def test_idle_connections_are_closed(serve: Serve) -> None:
    server = serve(idle_timeout_s=0.1)
    fresh, used = server.client(), server.client()
    assert used.get("/hello").status == 200

    assert fresh.is_at_end()
    assert used.is_at_end()


def test_a_request_straight_after_the_body_is_served(server: Running) -> None:
    client = server.client()

    client.send(
        request("PUT", "/echo?lane=streaming", "Content-Length: 100000", body=pattern(100_000))
        + request("GET", "/hello?n=2")
    )

    assert client.answer().body == pattern(100_000)
    assert client.answer().body == b"hello 2"
