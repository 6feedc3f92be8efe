"""Behind a reverse proxy that shares its connections among clients, nobody gets another's answer (rows G again).

nginx reads requests its own way and passes them on over kept connections: what the two read differently would show as
an answer to somebody else, or as a request that nobody sent.
"""

import os
import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.s3.wire import SENTINEL, SENTINEL_BODY, UNSIGNED, Wire
from tests.support.chunked_bodies import UNSIGNED_TRAILER, unsigned_body
from tests.support.ports import free_ports
from tests.support.raw_http import Answer, Connection, NoAnswer, Pairs, request_bytes

MIB = 1024**2
SAMPLE = Path(__file__).parents[3] / "deploy" / "nginx" / "penstock.conf"
KEPT_COUNT = 4
"""Connections to Penstock that clients share: few, so that they meet."""

FLIP_COUNT = 300
SEED = 20261126
_CONFIG = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log warn; worker_processes 1;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  include {folder}/site.conf;
}}
"""


def _site(address: tuple[str, int], listen: int) -> str:
    """The sample that is shipped, with ports of this test."""
    text = SAMPLE.read_text()
    for before, after in (
        ("server 127.0.0.1:9000;", f"server {address[0]}:{address[1]};"),
        ("listen 80;", f"listen 127.0.0.1:{listen};"),
        ("keepalive 64;", f"keepalive {KEPT_COUNT};"),
    ):
        assert text.count(before) == 1
        text = text.replace(before, after)
    return text


@pytest.fixture(scope="module")
def proxy(session_wire: Wire, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed on this machine")
    folder, (listen,) = tmp_path_factory.mktemp("proxy"), free_ports(1)
    config = folder / "nginx.conf"
    config.write_text(_CONFIG.format(folder=folder))
    (folder / "site.conf").write_text(_site(session_wire.address, listen))
    process = subprocess.Popen([program, "-c", config, "-p", folder], stderr=subprocess.DEVNULL)
    try:
        _wait_for(listen, folder)
        yield "127.0.0.1", listen
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int, folder: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            Connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError((folder / "error.log").read_text())


@pytest.fixture
def near(wire: Wire, proxy: tuple[str, int]) -> Wire:
    """A client of the proxy."""
    return replace(wire, address=proxy)


def everybody_gets_their_own(near: Wire, path: str) -> None:
    """More requests than there are kept connections, each answered with what it asked for."""
    for number in range(8):
        for target, body in (
            (f"{path}/own/{number}", f"{path} {number}".encode()),
            (SENTINEL, SENTINEL_BODY),
        ):
            if target != SENTINEL:
                assert plain(near, "PUT", target, body).status == 200
            answer = plain(near, "GET", target)
            assert (answer.status, answer.body) == (200, body)


def plain(near: Wire, method: str, target: str, body: bytes = b"", extra: Pairs = ()) -> Answer:
    return sent(near, near.raw(method, target, extra, body=body), method)


def sent(near: Wire, raw: bytes, method: str = "GET") -> Answer:
    with Connection(near.address) as connection:
        connection.send(raw)
        return connection.answer(method)


@pytest.mark.parametrize("size_bytes", [0, 1000, 70_000, 3 * MIB])
def test_bodies_pass_whole_both_ways(near: Wire, path: str, size_bytes: int) -> None:
    body = os.urandom(size_bytes)

    assert plain(near, "PUT", path, body).status == 200

    assert plain(near, "GET", path).body == body
    assert plain(near, "HEAD", path).header("content-length") == str(size_bytes)


def test_g10_refused_uploads_leave_nothing_for_the_next(near: Wire, wire: Wire, path: str) -> None:
    """Their bodies are requests, signed and good: none of them may ever be run."""
    wire.put(path, b"stays")
    hidden = wire.raw("DELETE", path)
    for size_bytes in (0, 1000, 70_000, 2 * MIB):
        for extra in ([("x-amz-storage-class", "FOO")], [("if-none-match", "*")], [("content-md5", "x")]):
            try:
                answer = plain(near, "PUT", path, hidden + bytes(size_bytes), extra)
            except NoAnswer:
                continue
            assert answer.status in (400, 412, 502), answer
        everybody_gets_their_own(near, path)
    assert wire.stored(path) == b"stays"


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: xchunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding : chunked\r\nContent-Length: 5",
        "Transfer-Encoding:\x0bchunked\r\nContent-Length: 5",
        "X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer_Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length: 5\nX: y",
        "Connection: Content-Length\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding",
        "Expect: 100-continue\r\nContent-Length: 5",
    ],
)
def test_g01_g02_g05_no_framing_reaches_another_client(
    near: Wire, wire: Wire, path: str, framing: str
) -> None:
    """On its own connection a client may ask for two things; what matters is that others get what they asked for."""
    hidden = wire.raw("GET", path)
    head = request_bytes("PUT", f"{path}/x", wire.headers("PUT", f"{path}/x", payload=UNSIGNED, length=None))[
        :-2
    ]

    for body in (b"0\r\n\r\n" + hidden, b"12345" + hidden, b"5\r\n12345\r\n0\r\n\r\n" + hidden):
        with Connection(near.address) as connection:
            connection.send(head + framing.encode("latin-1") + b"\r\n\r\n" + body)
            connection.end_sending()
            while not connection.ends(0.2):
                try:
                    answer = connection.answer("PUT", timeout_s=0.5)
                except NoAnswer:
                    break
                assert answer.status != 500
    everybody_gets_their_own(near, path)


def test_g03_chunks_pass_through(near: Wire, path: str) -> None:
    data = os.urandom(200_000)
    inner = unsigned_body([data])
    pairs = near.headers(
        "PUT",
        path,
        [("x-amz-decoded-content-length", str(len(data))), ("transfer-encoding", "chunked")],
        payload=UNSIGNED_TRAILER,
        length=None,
        unsigned=["transfer-encoding"],
    )

    pieces = [inner[at : at + 5000] for at in range(0, len(inner), 5000)]
    assert sent(near, request_bytes("PUT", path, pairs, unsigned_body(pieces)), "PUT").status == 200

    assert plain(near, "GET", path).body == data


def test_clients_that_leave_early_leave_nothing_behind(near: Wire, path: str) -> None:
    large = os.urandom(2 * MIB)
    assert plain(near, "PUT", f"{path}/large", large).status == 200
    chance = random.Random(1)
    for _ in range(60):
        connection = Connection(near.address)
        connection.send(near.raw("GET", f"{path}/large"))
        if chance.random() < 0.5:
            connection.is_silent(0.05)
        connection.reset()
        connection = Connection(near.address)
        connection.send(near.raw("PUT", f"{path}/cut", body=large)[: chance.randrange(len(large))])
        connection.reset()

    everybody_gets_their_own(near, path)
    assert plain(near, "GET", f"{path}/large").body == large
    assert plain(near, "GET", f"{path}/cut").status == 404


def test_many_at_once_each_get_their_own(near: Wire, path: str) -> None:
    problems: list[object] = []

    def work(name: str) -> None:
        try:
            everybody_gets_their_own(near, f"{path}/{name}")
        except BaseException as error:
            problems.append(error)

    workers = [threading.Thread(target=work, args=(str(number),)) for number in range(12)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert problems == []


@pytest.mark.parametrize(
    "raw", [b"GET /\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\0\r\n\r\n"]
)
def test_g07_what_is_no_request_of_ours_ends_at_the_proxy(near: Wire, path: str, raw: bytes) -> None:
    with socket.create_connection(near.address, timeout=10) as client:
        client.sendall(raw)
        told = b"".join(iter(lambda: client.recv(4096), b""))

    assert b" 200 " not in told
    everybody_gets_their_own(near, path)


def test_g07_http_1_0_is_answered_and_closed(near: Wire) -> None:
    with Connection(near.address) as connection:
        connection.send(request_bytes("GET", SENTINEL, near.headers("GET", SENTINEL), version="HTTP/1.0"))
        assert connection.answer().body == SENTINEL_BODY
        assert connection.ends()


def test_g08_pipelined_requests_are_answered_in_order(near: Wire, path: str) -> None:
    bodies = [b"%d" % number for number in range(20)]
    for number, body in enumerate(bodies):
        assert plain(near, "PUT", f"{path}/{number}", body).status == 200

    with Connection(near.address) as connection:
        connection.send(b"".join(near.raw("GET", f"{path}/{number}") for number in range(20)))

        assert [connection.answer().body for _ in bodies] == bodies


@pytest.mark.parametrize("expectations", [["100-continue"], ["100-continue"] * 2, ["x"]])
def test_g12_expectations_are_met_once_or_refused(near: Wire, path: str, expectations: list[str]) -> None:
    pairs = [*near.headers("PUT", path, body=b"abcde"), *(("expect", each) for each in expectations)]

    with Connection(near.address) as connection:
        connection.send(request_bytes("PUT", path, pairs))
        if expectations == ["x"]:
            # nginx knows no other expectation, and waits for the body.
            connection.send(b"abcde")
        first = connection.answer("PUT")
        if first.status == 100:
            assert connection.is_silent(0.1)
            connection.send(b"abcde")
            first = connection.answer("PUT")

    # nginx 1.22 and later refuse a header that is there twice.
    assert first.status in ((200,) if expectations == ["100-continue"] else (200, 400, 417))
    stored = plain(near, "GET", path)
    assert (stored.status, stored.body if stored.status == 200 else b"") in (
        (200, b"abcde") if first.status == 200 else (404, b""),
    )


def test_g13_slow_clients_at_the_proxy_hold_up_nobody(near: Wire, path: str) -> None:
    """A head that never ends, a body that stalls, an answer that is not read: a hundred of each."""
    large = os.urandom(4 * MIB)
    assert plain(near, "PUT", f"{path}/large", large).status == 200
    head = near.raw("GET", SENTINEL)[:-2] + b"x-drip: "
    body = near.raw("PUT", f"{path}/stalled", body=b"b" * 1000)[:-990]
    read = near.raw("GET", f"{path}/large")
    crowd = []
    try:
        for raw in (head, body, read):
            for _ in range(100):
                crowd.append(Connection(near.address, receive_bytes=4096))
                crowd[-1].send(raw)

        taken = []
        for _ in range(50):
            started_s = time.monotonic()
            assert plain(near, "GET", SENTINEL).body == SENTINEL_BODY
            taken.append(time.monotonic() - started_s)

        # The first may wait for three hundred connections to be taken in.
        assert sorted(taken)[len(taken) * 95 // 100] < 2.0
    finally:
        for connection in crowd:
            connection.reset()
    everybody_gets_their_own(near, path)
    assert plain(near, "GET", f"{path}/stalled").status == 404


def test_g16_only_the_proxy_says_who_asks(near: Wire, path: str) -> None:
    """What the client claims about itself is not what Penstock hears of it, so it cannot be signed either."""
    claims = [("x-forwarded-for", "10.1.2.3"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "other")]
    raw = near.raw("PUT", path, claims, body=b"mine", unsigned=["x-forwarded-for"])

    assert sent(near, raw, "PUT").status == 200

    assert plain(near, "GET", path).body == b"mine"


def test_g18_flipped_bits_reach_nobody_else(near: Wire, wire: Wire, path: str) -> None:
    wire.put(path, b"as it was")
    chance = random.Random(SEED)

    for number in range(FLIP_COUNT):
        method = chance.choice(("PUT", "DELETE"))
        whole = near.raw(method, path, body=b"never to be seen" if method == "PUT" else b"")
        altered = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            altered[chance.randrange(len(altered))] ^= 1 << chance.randrange(8)
        if bytes(altered).replace(b"HTTP/1.0", b"HTTP/1.1").lower() == whole.lower():
            continue
        with Connection(near.address) as connection:
            connection.send(bytes(altered))
            connection.end_sending()
            try:
                answer = connection.answer(method)
            except NoAnswer:
                continue
            assert answer.status not in (204, 500), (SEED, number, bytes(altered))
        if number % 50 == 0:
            everybody_gets_their_own(near, path + "/own")
    assert wire.stored(path) == b"as it was"
