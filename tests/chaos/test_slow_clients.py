"""Slow clients by the hundred never hold up a good one, and are cut in the end.

`PENSTOCK_SLOW=500` runs the long form: five hundred of each kind, and a wait for the deadlines that cut them.
"""

import os
import threading
from collections.abc import Iterator

import pytest

from tests.conformance.s3.wire import UNSIGNED, Wire
from tests.support.raw_http import Connection, NoAnswer, request_bytes
from tests.support.served import Served
from tests.support.slow_crowd import GoodClients, SlowCrowd, raise_open_files

LONG = os.environ.get("PENSTOCK_SLOW")
CROWD_COUNT = int(LONG or "150")
WATCHED_S = 10.0 if LONG else 2.3
"""Longer than the bound that is asserted: a client that is held up for as long fails it."""

CUT_WITHIN_S = 50.0
"""The deadlines of the server are 10 s for heads and 20 s for bodies and readers."""

PROCESS_COUNT, STREAMING_THREAD_COUNT = 2, 32
STREAMING_ROOM_COUNT = PROCESS_COUNT * (STREAMING_THREAD_COUNT + 8)
P99_MAX_S = 2.0
KIB, MIB = 1024, 1024**2
BUCKET = "slow"
SEALED_BUCKET = "slow-and-sealed"

pytestmark = pytest.mark.timeout(300 if LONG else 60)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    raise_open_files()
    more = (
        f"\nprocesses: {{dataplane: {PROCESS_COUNT}, threads_streaming: {STREAMING_THREAD_COUNT}}}\n"
        f"\nbuckets:\n  - {{name: {SEALED_BUCKET}, account: main, seal: all}}\n"
    )
    with Served(
        tmp_path_factory.mktemp("slow"),
        volumes=2,
        edit_config=lambda text: text.replace("\nidentities:", more + "\nidentities:"),
    ) as each:
        yield each


@pytest.fixture(scope="module")
def wire(served: Served) -> Wire:
    made = Wire.of(served)
    made.lay_sentinel()
    with Connection(made.address) as connection:
        for target, body in [
            (f"/{BUCKET}", b""),
            (f"/{BUCKET}/small", b"s" * 1000),
            (f"/{BUCKET}/medium", b"m" * 64 * KIB),
            (f"/{BUCKET}/large", os.urandom(MIB) * 64),
            (f"/{SEALED_BUCKET}/large", os.urandom(MIB) * 64),
        ]:
            connection.send(made.raw("PUT", target, body=body, payload=UNSIGNED))
            assert connection.answer("PUT").status == 200
    return made


@pytest.fixture
def good(wire: Wire) -> Iterator[GoodClients]:
    """Good clients that work while the test runs; at its end all was well with them."""
    at = f"/{BUCKET}"
    clients = GoodClients(
        wire.address,
        [
            ("GET", lambda: wire.raw("GET", f"{at}/small"), 200),
            ("GET", lambda: wire.raw("GET", f"{at}/medium"), 200),
            ("HEAD", lambda: wire.raw("HEAD", f"{at}/small"), 200),
            ("GET", lambda: wire.raw("GET", f"{at}?list-type=2"), 200),
            ("PUT", lambda: wire.raw("PUT", f"{at}/put-small", body=b"p" * 1000), 200),
            ("PUT", lambda: wire.raw("PUT", f"{at}/put-medium", body=b"p" * 64 * KIB), 200),
            ("DELETE", lambda: wire.raw("DELETE", f"{at}/never"), 204),
        ],
    )
    yield clients
    clients.finish()
    assert clients.problems == []
    assert len(clients.took_s) > 20
    assert clients.p99_s < P99_MAX_S


def watch(crowd: SlowCrowd) -> None:
    """Let the good clients work beside the crowd, in the long form until the last of it was cut."""
    try:
        threading.Event().wait(WATCHED_S)
        if LONG:
            assert crowd.wait_until_cut(CUT_WITHIN_S) == 0
    finally:
        crowd.close()


def test_g13_heads_that_drip_and_connections_that_say_nothing(wire: Wire, good: GoodClients) -> None:
    opening = wire.raw("GET", f"/{BUCKET}/small")[:-2] + b"x-drip: "
    silent = SlowCrowd(wire.address, [b""] * (CROWD_COUNT // 2))

    watch(SlowCrowd(wire.address, [opening] * CROWD_COUNT, drip=b"d"))

    # Whoever says nothing may stay for a minute.
    silent.close()


def test_g13_small_bodies_that_stall(wire: Wire, good: GoodClients) -> None:
    """A byte of the body and then nothing, or not even that, since 100 Continue was asked for."""
    openings = []
    for number in range(CROWD_COUNT):
        target, size_bytes = f"/{BUCKET}/stalled/{number}", (10, 64 * KIB)[number % 2]
        expects = number < STREAMING_ROOM_COUNT // 2
        pairs = wire.headers("PUT", target, payload=UNSIGNED, length=size_bytes)
        pairs += [("expect", "100-continue")] if expects else []
        openings.append(request_bytes("PUT", target, pairs, b"" if expects else b"b"))

    watch(SlowCrowd(wire.address, openings))

    assert b"<Key>" not in wire.get(f"/{BUCKET}?prefix=stalled").body


def test_g13_large_bodies_that_stall(wire: Wire, good: GoodClients) -> None:
    """Past what the loop receives, each takes a thread; when there is none left, they are told at once."""
    body = b"b" * (64 * KIB + 1)
    openings = [
        request_bytes(
            "PUT",
            f"/{BUCKET}/stalled/{number}",
            wire.headers("PUT", f"/{BUCKET}/stalled/{number}", payload=UNSIGNED, length=MIB),
            body,
        )
        for number in range(CROWD_COUNT)
    ]
    crowd = SlowCrowd(wire.address, openings)
    refused_min = CROWD_COUNT - STREAMING_ROOM_COUNT

    told = crowd.answers("PUT", count_min=refused_min, timeout_s=P99_MAX_S)

    assert {answer.said for answer in told} == {(503, "SlowDown")}
    assert all(answer.header("retry-after") for answer in told)
    assert refused_min <= len(told) <= CROWD_COUNT - STREAMING_THREAD_COUNT
    watch(crowd)
    assert b"<Key>" not in wire.get(f"/{BUCKET}?prefix=stalled").body


def test_what_a_crowd_held_is_free_again(wire: Wire) -> None:
    """Threads and places of stalled uploads come back when their clients leave."""
    at = f"/{BUCKET}/after"
    head = wire.headers("PUT", at, payload=UNSIGNED, length=MIB)
    SlowCrowd(wire.address, [request_bytes("PUT", at, head, b"b" * 70_000)] * CROWD_COUNT).close()
    body = os.urandom(MIB)

    statuses = []
    for _ in range(200):
        with Connection(wire.address) as connection:
            connection.send(wire.raw("PUT", at, body=body))
            statuses.append(connection.answer("PUT").status)
        if statuses[-1] == 200:
            break
        threading.Event().wait(0.05)

    assert statuses[-1] == 200
    assert set(statuses[:-1]) <= {503}
    assert wire.get(at).body == body


@pytest.mark.parametrize("bucket", [BUCKET, SEALED_BUCKET])
def test_g13_readers_that_do_not_read(wire: Wire, good: GoodClients, bucket: str) -> None:
    watch(SlowCrowd(wire.address, [wire.raw("GET", f"/{bucket}/large")] * CROWD_COUNT, reads=False))


@pytest.mark.skipif(not LONG, reason="waits for a deadline of 20 s: PENSTOCK_SLOW=500")
def test_c06_a_body_that_stalls_is_told_so_and_cut(wire: Wire) -> None:
    with Connection(wire.address, timeout_s=40) as connection:
        connection.send(wire.raw("PUT", f"/{BUCKET}/stalled/one", body=b"0123456789")[:-9])
        try:
            answer = connection.answer("PUT")
        except NoAnswer:
            assert connection.ends()
        else:
            assert answer.said in ((400, "RequestTimeout"), (408, "RequestTimeout"))
            assert answer.closes
    assert wire.get(f"/{BUCKET}/stalled/one").status == 404


def test_every_process_outlived_it(wire: Wire, served: Served) -> None:
    assert "Traceback" not in served.log.read_text(errors="replace")
    assert wire.get(f"/{BUCKET}/small").body == b"s" * 1000
