"""The proxy that tests of backends across a network rely on does to a plain server what it says it does."""

import http.client
import itertools
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.fault_proxy import FaultProxy
from tests.support.faults import (
    Altered,
    BitFlip,
    BlackHole,
    Instead,
    LateLanding,
    Latency,
    LyingEtag,
    Rate,
    Refusal,
    ReplyLost,
    Reset,
    Said,
    Truncate,
    Twice,
)

BODY = bytes(range(256)) * 1024
CLIENT_TIMEOUT_S = 5.0


class _Shelf(ThreadingHTTPServer):
    """Keeps bodies by path, in memory."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kept: dict[str, bytes] = {"/old": BODY}
        self.hosts: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Shelf

    def do_PUT(self) -> None:
        self.server.hosts.append(self.headers["Host"])
        self.server.kept[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200, b"")

    def do_GET(self) -> None:
        found = self.server.kept.get(self.path)
        self._answer(404 if found is None else 200, found or b"")

    do_HEAD = do_GET

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"true"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture
def shelf() -> Iterator[_Shelf]:
    server = _Shelf()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def proxy(shelf: _Shelf) -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", shelf.server_address[1]) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=CLIENT_TIMEOUT_S)
    yield connection
    connection.close()


def get(client: http.client.HTTPConnection, path: str = "/old") -> tuple[int, bytes, str | None]:
    client.request("GET", path)
    answer = client.getresponse()
    return answer.status, answer.read(), answer.getheader("ETag")


def test_what_is_not_to_fail_passes_unchanged_on_one_connection(
    proxy: FaultProxy, client: http.client.HTTPConnection, shelf: _Shelf
) -> None:
    client.request("PUT", "/new?x=%2F", body=BODY)
    client.getresponse().read()
    used = client.sock
    client.request("HEAD", "/old")
    head = client.getresponse()
    head.read()

    assert get(client, "/new?x=%2F") == (200, BODY, '"true"')
    assert head.getheader("Content-Length") == str(len(BODY))
    assert client.sock is used
    assert shelf.hosts == [f"127.0.0.1:{proxy.port}"]
    assert [each.method for each in proxy.seen] == ["PUT", "HEAD", "GET"]


def test_late_answers_and_slow_bodies_are_whole(
    proxy: FaultProxy, client: http.client.HTTPConnection
) -> None:
    proxy.add(Latency(0.2), count=1)
    proxy.add(Rate(len(BODY) * 4), count=1)

    for least_s in (0.2, 0.25):
        began_s = time.monotonic()
        assert get(client)[1] == BODY
        assert time.monotonic() - began_s >= least_s
    assert get(client)[1] == BODY


def test_a_truncated_answer_shows_or_ends_cleanly_as_asked(
    proxy: FaultProxy, client: http.client.HTTPConnection
) -> None:
    proxy.add(Truncate(70_000), count=1)
    proxy.add(Truncate(70_000, is_clean=True), count=1)

    with pytest.raises(http.client.IncompleteRead) as short:
        get(client)
    client.close()

    assert short.value.partial == BODY[:70_000]
    assert get(client)[1] == BODY[:70_000]


@pytest.mark.parametrize("after_bytes", [None, 70_000])
def test_a_reset_is_one(
    proxy: FaultProxy, client: http.client.HTTPConnection, after_bytes: int | None
) -> None:
    proxy.add(Reset(after_bytes), count=1)

    with pytest.raises(ConnectionResetError):
        get(client)
    client.close()

    assert get(client)[1] == BODY


def test_a_black_hole_holds_its_request_until_it_is_cleared(proxy: FaultProxy, shelf: _Shelf) -> None:
    proxy.add(BlackHole())
    caught = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=0.2)
    caught.request("PUT", "/lost", body=b"x")
    with pytest.raises(TimeoutError):
        caught.getresponse()
    caught.close()
    proxy.clear()
    free = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=CLIENT_TIMEOUT_S)

    assert get(free)[0] == 200
    assert "/lost" not in shelf.kept
    free.close()


def test_one_bit_of_what_is_read_or_stored_is_another_one(
    proxy: FaultProxy, client: http.client.HTTPConnection, shelf: _Shelf
) -> None:
    proxy.add(BitFlip(100_000), count=1)
    proxy.add(BitFlip(100_000, in_request=True), count=1)

    _, read, _ = get(client)
    client.request("PUT", "/new", body=BODY)
    client.getresponse().read()

    changed = bytearray(BODY)
    changed[100_000] ^= 1
    assert read == changed
    assert shelf.kept["/new"] == changed


def test_a_refusal_touches_nothing_and_keeps_the_connection(
    proxy: FaultProxy, client: http.client.HTTPConnection, shelf: _Shelf
) -> None:
    proxy.add(Refusal(500), count=1)
    client.request("PUT", "/new", body=BODY)
    answer = client.getresponse()
    answer.read()

    assert answer.status == 500
    assert "/new" not in shelf.kept
    assert get(client)[0] == 200


def test_a_lost_reply_is_lost_behind_what_was_done(
    proxy: FaultProxy, client: http.client.HTTPConnection, shelf: _Shelf
) -> None:
    proxy.add(ReplyLost(), count=1)
    client.request("PUT", "/new", body=BODY)

    with pytest.raises(http.client.RemoteDisconnected):
        client.getresponse()
    assert shelf.kept["/new"] == BODY


@pytest.mark.parametrize("status", [None, 503])
def test_a_late_landing_lands_when_it_is_told_to(
    proxy: FaultProxy, client: http.client.HTTPConnection, shelf: _Shelf, status: int | None
) -> None:
    proxy.add(LateLanding(status), count=1)
    client.request("PUT", "/new", body=BODY)
    if status is None:
        with pytest.raises(http.client.RemoteDisconnected):
            client.getresponse()
    else:
        assert client.getresponse().status == status
    before = dict(shelf.kept)

    assert proxy.land_late() == 1
    assert "/new" not in before
    assert shelf.kept["/new"] == BODY
    assert proxy.land_late() == 0


def test_an_etag_can_lie_about_chosen_requests(proxy: FaultProxy, client: http.client.HTTPConnection) -> None:
    proxy.add(LyingEtag('"false"'), which=lambda request: request.target == "/old")

    assert get(client, "/old")[2] == '"false"'
    assert get(client, "/other")[2] == '"true"'
    assert proxy.struck_count == 1


def test_an_answer_can_be_made_up_or_altered(
    proxy: FaultProxy, client: http.client.HTTPConnection, shelf: _Shelf
) -> None:
    proxy.add(
        Instead(lambda request, body: Said(status=202, headers=(("ETag", body.decode()),), body=b"made up")),
        count=1,
    )
    proxy.add(Altered(lambda request, said: Said(status=said.status, body=b"altered")), count=1)
    client.request("PUT", "/new", body=b"sent")
    made_up = client.getresponse()

    assert (made_up.status, made_up.getheader("ETag"), made_up.read()) == (202, "sent", b"made up")
    assert "/new" not in shelf.kept
    assert get(client) == (200, b"altered", None)
    assert get(client) == (200, BODY, '"true"')


def test_an_answer_without_an_end_goes_on_until_nobody_listens(
    proxy: FaultProxy, client: http.client.HTTPConnection
) -> None:
    proxy.add(Instead(lambda request, body: Said(body=itertools.repeat(b"x" * 1000))), count=1)
    client.request("GET", "/old")
    answer = client.getresponse()

    assert answer.read(5_000_000) == b"x" * 5_000_000
    answer.close()
    client.close()
    assert get(client)[1] == BODY


def test_a_request_can_arrive_twice(
    proxy: FaultProxy, client: http.client.HTTPConnection, shelf: _Shelf
) -> None:
    proxy.add(Twice(), count=1)
    client.request("PUT", "/new", body=BODY)

    assert client.getresponse().read() == b""
    assert len(shelf.hosts) == 2
    assert shelf.kept["/new"] == BODY
