"""Requests are answered in order on kept connections, wherever they run, and strictly or not at all."""

import select
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataplane.server.contract import Lane
from tests.integration.dataplane.server.conftest import Serve
from tests.integration.dataplane.server.stub import Ending, Running, eventually, request

LANES = [lane.value for lane in Lane]


@pytest.mark.parametrize("lane", LANES)
def test_a_connection_serves_one_request_after_the_other(server: Running, lane: str) -> None:
    client = server.client()

    for n in range(5):
        answer = client.get(f"/hello?n={n}&lane={lane}")
        assert (answer.status, answer.body) == (200, f"hello {n}".encode())
        assert "connection" not in answer.headers
        assert answer.headers["date"].endswith("GMT")

    assert [run[1].value for run in server.application.runs] == [lane] * 5
    for n in range(5):
        assert server.application.ending() == Ending(
            target=f"/hello?n={n}&lane={lane}", status=200, received_bytes=0, sent_body_bytes=7, is_whole=True
        )
    assert server.application.endings.empty()


def test_the_environment_says_what_is_agreed(server: Running) -> None:
    client = server.client()
    body = b"abc"

    client.send(
        request(
            "PUT", "/echo?lane=short", "Content-Type: a/b", "Content-Length: 3", "X_Y: 1", "X-Y: 2", body=body
        )
    )
    client.answer()

    environ = server.application.environs[0]
    started_s = environ["penstock.started_s"]
    assert isinstance(started_s, float)
    assert environ["penstock.target"] == b"/echo?lane=short"
    assert environ["penstock.headers"] == [
        (b"host", b"a"),
        (b"content-type", b"a/b"),
        (b"content-length", b"3"),
        (b"x-y", b"2"),
    ]
    assert environ["penstock.listener"] == 0
    assert environ["penstock.lane"] is Lane.SHORT
    assert environ["wsgi.input"].size_bytes == 3
    expected = {
        "REQUEST_METHOD": "PUT",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(server.address[1]),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "a",
        "CONTENT_TYPE": "a/b",
        "CONTENT_LENGTH": "3",
        "wsgi.url_scheme": "http" if server.tls is None else "https",
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    assert {name: environ[name] for name in expected} == expected


def test_a_request_without_length_has_a_body_without_size(server: Running) -> None:
    server.get("/hello")

    assert server.application.environs[0]["wsgi.input"].size_bytes is None
    assert server.application.environs[0]["wsgi.input"].readinto(memoryview(bytearray(1))) == 0


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("piece_bytes", [1, 1000])
def test_pipelined_requests_are_answered_in_order(server: Running, piece_bytes: int, lane: str) -> None:
    client = server.client()
    raw = (
        request("GET", f"/hello?n=1&lane={lane}")
        + request("PUT", f"/echo?lane={lane}", "Content-Length: 5", body=b"first")
        + request("PUT", f"/echo?lane={lane}", "Transfer-Encoding: chunked", body=b"6\r\nsecond\r\n0\r\n\r\n")
        + request("GET", f"/regions?size=300000&lane={lane}")
        + request("GET", f"/hello?n=2&lane={lane}")
    )

    for start in range(0, len(raw), piece_bytes):
        client.send(raw[start : start + piece_bytes])

    bodies = [client.answer().body for _ in range(5)]
    assert [len(body) for body in bodies] == [7, 5, 6, 300000, 7]
    assert (bodies[0], bodies[1], bodies[2], bodies[4]) == (b"hello 1", b"first", b"second", b"hello 2")


def test_a_hundred_pipelined_requests_are_answered_in_order(server: Running) -> None:
    client = server.client()

    client.send(b"".join(request("GET", f"/hello?n={n}") for n in range(100)))

    assert [client.answer().body for _ in range(100)] == [f"hello {n}".encode() for n in range(100)]


def test_cutting_a_pipeline_anywhere_gives_the_same_answers(serve: Serve) -> None:
    server = serve(small_body_bytes=40)
    raw, expected = b"", []
    for n, lane in enumerate([*LANES, *LANES]):
        raw += request("GET", f"/hello?n={n}&lane={lane}")
        raw += request("PUT", f"/echo?lane={lane}", "Content-Length: 60", body=b"%d" % n * 60)
        raw += request(
            "PUT",
            f"/echo?lane={lane}",
            "Transfer-Encoding: chunked",
            body=b"3\r\nabc\r\n1e\r\n" + b"d" * 30 + b"\r\n0\r\n\r\n",
        )
        raw += request("DELETE", f"/early?lane={lane}", "Content-Length: 3", body=b"xyz")
        expected += [
            (200, f"hello {n}".encode()),
            (200, b"%d" % n * 60),
            (200, b"abc" + b"d" * 30),
            (403, b"no"),
        ]

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.integers(0, len(raw)), max_size=30).map(sorted))
    def check(cuts: list[int]) -> None:
        client = server.new_client()
        try:
            for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True):
                client.send(raw[start:stop])
            answers = []
            for _ in expected:
                answer = client.answer()
                answers.append((answer.status, answer.body))
                if answer.headers.get("connection") == "close":
                    break
            assert answers == expected[: len(answers)]
            # Only an early answer whose body has not come yet may end the connection.
            assert len(answers) == len(expected) or answers[-1] == (403, b"no")
        finally:
            client.close()

    check()


def test_a_flipped_byte_is_refused_or_changes_its_own_request_only(server: Running) -> None:
    requests = [request("GET", f"/hello?n={n}", "X-Amz-Date: 20261125T000000Z") for n in range(5)]
    raw = b"".join(requests)

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(len(requests[0]), len(raw) - 1), st.integers(1, 255))
    def check(at: int, flip: int) -> None:
        flipped = bytearray(raw)
        flipped[at] ^= flip
        client = server.new_client()
        try:
            client.send(bytes(flipped))
            client.end_sending()
            answers = []
            try:
                while True:
                    answers.append(client.answer())
            except EOFError:
                pass
        finally:
            client.close()
        changed = 0
        for n, answer in enumerate(answers):
            assert answer.status in (200, 400, 404, 414, 417, 431, 501)
            changed += (answer.status, answer.body) != (200, f"hello {n}".encode())
        assert changed <= 1
        assert answers[0].body == b"hello 0"
        assert len(answers) == 5 or answers[-1].headers.get("connection") == "close" or at >= len(raw) - 4

    check()


@pytest.mark.parametrize("lane", LANES)
def test_http_10_gets_a_closed_connection_unless_it_asks(server: Running, lane: str) -> None:
    client = server.client()
    client.send(f"GET /hello?lane={lane} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".encode())
    assert client.answer().headers["connection"] == "keep-alive"

    client.send(f"GET /hello?lane={lane} HTTP/1.0\r\n\r\n".encode())

    assert client.answer().headers["connection"] == "close"
    assert client.is_at_end()


def test_connection_close_is_honoured(server: Running) -> None:
    client = server.client()

    answer = client.get("/hello", "Connection: close")

    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert client.is_at_end()


def test_head_and_204_have_no_body(server: Running) -> None:
    client = server.client()

    client.send(request("HEAD", "/regions?size=1000") + request("GET", "/empty") + request("GET", "/hello"))

    assert client.answer(is_head=True).headers["content-length"] == "1000"
    assert "content-length" not in client.answer().headers
    assert client.answer().body == b"hello "
    assert server.application.sources[0].close_count == 1


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, "BadRequest"),
        (b"GET /\r\n", 400, "BadRequest"),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400, "BadRequest"),
        (b"GET / HTTP/1.1\r\nHost: a\nB: c\r\n", 400, "BadRequest"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "BadRequest"),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400, "BadRequest"),
        (b"GET http://evil/ HTTP/1.1\r\nHost: evil\r\n\r\n", 400, "BadRequest"),
        (
            request("PUT", "/echo", "Content-Length: 5", "Transfer-Encoding: chunked") + b"5\r\nhello",
            400,
            "BadRequest",
        ),
        (request("PUT", "/echo", "Content-Length: 5", "Content-Length: 5") + b"hello", 400, "BadRequest"),
        (request("PUT", "/echo", "Content-Length: +5") + b"hello", 400, "BadRequest"),
        (request("PUT", "/echo", "Transfer-Encoding: gzip, chunked"), 501, "NotImplemented"),
        (request("PUT", "/echo", "Expect: a-miracle"), 417, "ExpectationFailed"),
        (request("GET", "/" + "k" * 20_000), 414, "URITooLong"),
        (b"GET /" + b"k" * 20_000, 414, "URITooLong"),
        (request("GET", "/hello", *(f"N{n}: v" for n in range(120))), 431, "RequestHeaderSectionTooLarge"),
        (b"GET / HTTP/1.1\r\n" + b"N: vvvvvvv\r\n" * 7_000, 431, "RequestHeaderSectionTooLarge"),
    ],
)
def test_framing_errors_are_answered_as_xml_and_end_the_connection(
    server: Running, raw: bytes, status: int, code: str
) -> None:
    client = server.client()

    client.send(raw)

    answer = client.answer()
    assert (answer.status, answer.headers["connection"]) == (status, "close")
    assert f"<Code>{code}</Code>".encode() in answer.body
    assert answer.headers["content-type"] == "application/xml"
    assert client.is_at_end()
    assert server.application.runs == []


def test_what_follows_a_framing_error_has_no_effect(server: Running) -> None:
    client = server.client()

    client.send(
        request("GET", "/hello?n=1")
        + request("PUT", "/echo", "Content-Length: 5", "Content-Length: 6", body=b"hello")
        + request("GET", "/hello?n=2")
    )

    assert [client.answer().status, client.answer().status] == [200, 400]
    assert client.is_at_end()
    assert [run[0] for run in server.application.runs] == ["/hello?n=1"]


@pytest.mark.parametrize("to", ["short", "streaming"])
def test_a_request_that_needs_to_wait_runs_again_on_a_thread(server: Running, to: str) -> None:
    client = server.client()

    answer = client.get(f"/handon?to={to}")

    assert answer.body == to.encode()
    (first, second) = server.application.runs
    assert first[1] is Lane.INLINE
    assert second[1] is Lane(to)
    assert second[2].startswith(f"{to}-")
    assert server.application.environs[0] is not server.application.environs[1]
    assert server.application.ending().is_whole
    assert server.application.endings.empty()


@pytest.mark.parametrize("lane", LANES)
def test_a_failing_application_is_answered_for_and_told(server: Running, lane: str) -> None:
    client = server.client()

    answer = client.get(f"/raise?lane={lane}")

    assert answer.status == 500
    assert b"<Code>InternalError</Code>" in answer.body
    assert b"told to" not in answer.body
    ending = server.application.ending()
    assert (ending.status, ending.is_whole) == (500, True)
    assert client.get("/hello").status == 200, "a request without a body leaves nothing behind"
    server.application.ending()
    assert server.application.endings.empty()


@pytest.mark.parametrize("lane", LANES)
def test_a_failure_in_ended_harms_nobody(server: Running, lane: str) -> None:
    client = server.client()

    assert client.get(f"/hello?ended=raises&lane={lane}").status == 200
    assert client.get("/hello").status == 200


def test_a_full_pool_is_slow_down_at_once(serve: Serve) -> None:
    server = serve(short_thread_count=1, short_queue_count=1, streaming_thread_count=1)
    waiting = [server.client() for _ in range(2)]
    waiting[0].send(request("GET", "/wait?n=0&lane=short"))
    assert server.application.entered.get(timeout=20) == "0"
    waiting[1].send(request("GET", "/wait?n=1&lane=short"))
    eventually(lambda: server.loop.call_count(Lane.SHORT) == 2)
    client = server.client()

    refused = client.get("/hello?lane=short")

    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert b"<Code>SlowDown</Code>" in refused.body
    assert server.application.full == ["short"]
    assert client.get("/hello?lane=inline").status == 200
    server.application.go_on.set()
    assert [each.answer().body for each in waiting] == [b"waited", b"waited"]
    assert client.get("/hello?lane=short").status == 200


def test_connections_beyond_the_limit_wait_while_none_is_idle(serve: Serve) -> None:
    server = serve(connection_count_max=2)
    busy = [server.client() for _ in range(2)]
    for n, client in enumerate(busy):
        client.send(request("GET", f"/wait?n={n}&lane=short"))
        assert server.application.entered.get(timeout=20) == f"{n}"
    third = socket.create_connection(server.address, timeout=20)
    poll = select.poll()
    poll.register(third, select.POLLIN)
    third.send(b"\0")
    assert not poll.poll(100)

    server.application.go_on.set()

    assert [each.answer().body for each in busy] == [b"waited", b"waited"]
    # Answered or hung up on: somebody looked at it.
    assert poll.poll(20_000)
    third.close()
    eventually(lambda: server.application.counts[-1:] == [1])


def test_at_the_limit_of_connections_the_one_that_is_idle_for_longest_makes_room(serve: Serve) -> None:
    server = serve(connection_count_max=2)
    first, second = server.client(), server.client()
    assert second.get("/hello").status == 200
    assert first.get("/hello").status == 200

    third = server.client()

    assert third.get("/hello?n=3").body == b"hello 3"
    assert second.is_at_end()
    assert first.get("/hello?n=1").body == b"hello 1"
