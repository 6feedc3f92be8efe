"""Which requests the loop runs itself, which a short thread, and which one that streams; and what health says."""

import json
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from falcon import Request, Response
from falcon.testing import create_environ

from dataplane.health import Health
from dataplane.plane import Plane
from dataplane.server.contract import Lane
from dataplane.server.parking import Parking
from dataplane.server.settings import ServerSettings


class Silence:
    """An observer without interest."""

    def stalled(self, seconds: float, /) -> None: ...

    def pool_full(self, pool: str, /) -> None: ...

    def connections(self, count: int, /) -> None: ...


@pytest.fixture
def plane() -> Any:
    made = Plane(
        endpoint=None,  # type: ignore[arg-type]
        parks=True,
        health=health(),
        observer=Silence(),
        server_settings=ServerSettings(),
        parking=Parking(),
        certificates={},
        reads_wait=False,
        control_figures=Path("/nonexistent"),
        tick=lambda: None,
        settle=lambda: None,
        close=lambda: None,
    )
    yield made
    made.close()


def health(*, read: str | None = None, write: str | None = None) -> Health:
    return Health(may_read=lambda: read, may_write=lambda: write)


@pytest.mark.parametrize(
    ("method", "target", "headers", "length", "lane"),
    [
        ("GET", b"/b/k", [], None, Lane.INLINE),
        ("HEAD", b"/b/k", [], None, Lane.INLINE),
        ("GET", b"/metrics", [], None, Lane.SHORT),
        ("GET", b"/metrics?name=penstock_requests_total", [], None, Lane.SHORT),
        ("GET", b"/metrics-of-may/a/large/object", [], None, Lane.INLINE),
        ("OPTIONS", b"/b/k", [], None, Lane.INLINE),
        ("PUT", b"/b/k", [], 0, Lane.PARKING),
        ("PUT", b"/b/k", [], 65536, Lane.PARKING),
        ("PUT", b"/b/k", [], 65537, Lane.STREAMING),
        ("PUT", b"/b/k", [(b"transfer-encoding", b"chunked")], None, Lane.STREAMING),
        ("PUT", b"/b/k", [(b"x-amz-copy-source", b"/b/other")], 0, Lane.STREAMING),
        ("PUT", b"/b/k?X-Amz-Copy-Source=/b/other&X-Amz-Signature=0", [], 0, Lane.STREAMING),
        ("PUT", b"/b/k?x-amz-copy%2Dsource=/b/other&X-Amz-Signature=0", [], 0, Lane.STREAMING),
        ("PUT", b"/b/k?partNumber=1&uploadId=00", [], 5, Lane.PARKING),
        ("DELETE", b"/b/k", [], None, Lane.PARKING),
        ("POST", b"/b/k?uploads", [], 0, Lane.PARKING),
        ("POST", b"/b/k?uploadId=1", [], 200_000, Lane.STREAMING),
    ],
)
def test_what_may_wait_never_runs_on_the_loop(
    plane: Plane,
    method: str,
    target: bytes,
    headers: list[tuple[bytes, bytes]],
    length: int | None,
    lane: Lane,
) -> None:
    assert plane.classify(method, target, headers, length) is lane


def test_a_tick_that_fails_is_not_the_last_one(caplog: pytest.LogCaptureFixture) -> None:
    ticks: Queue[str] = Queue()

    def settle() -> None:
        ticks.put("settled")
        raise ValueError("told to")

    made = Plane(
        endpoint=None,  # type: ignore[arg-type]
        parks=True,
        health=health(),
        observer=Silence(),
        server_settings=ServerSettings(),
        parking=Parking(),
        certificates={},
        reads_wait=False,
        control_figures=Path("/nonexistent"),
        tick=lambda: None,
        settle=settle,
        close=lambda: None,
    )

    assert [ticks.get(timeout=20) for _ in range(3)] == ["settled"] * 3
    made.close()
    assert "plane.tick_failed" in caplog.text


def ask(health: Health, target: bytes) -> tuple[int, dict[str, str]]:
    environ = create_environ() | {"penstock.target": target}
    resp = Response()
    health.serve(Request(environ), resp)
    assert resp.data is not None
    return resp.status_code, json.loads(resp.data)


def test_ready_means_that_reads_can_be_served() -> None:
    assert ask(health(), b"/-/ready") == (200, {"mode": "normal"})
    assert ask(health(read="no database"), b"/-/ready")[0] == 503
    assert ask(health(write="no backend"), b"/-/ready")[0] == 200


def test_ready_for_writes_asks_for_more() -> None:
    assert ask(health(), b"/-/ready?for=write")[0] == 200
    status, answer = ask(health(write="no backend can be used"), b"/-/ready?for=write")
    assert (status, answer["problem"]) == (503, "no backend can be used")


def test_live_asks_nobody() -> None:
    assert ask(health(read="no database"), b"/-/live")[0] == 200


def test_a_draining_process_is_not_ready() -> None:
    checked = health()
    checked.drain()

    assert ask(checked, b"/-/ready")[0] == 503


def test_what_is_not_there_is_told() -> None:
    assert ask(health(), b"/-/other")[0] == 404
    assert ask(health(), b"/-/ready?for=nothing")[0] == 404
