"""Requests are told while somebody wishes for them, as many as fit; otherwise nothing is even looked at."""

import json
import time
from typing import Any

from dataplane.middleware.traces import LINE_COUNT_MAX, Traces
from engine.telling.wishes import TraceWish


def wish(*, errors_only: bool = False, sample: float = 1.0) -> TraceWish:
    return TraceWish(errors_only=errors_only, sample=sample, until_us=time.time_ns() // 1000 + 10_000_000)


def request(status: int = 200, code: str = "", **fields: Any) -> dict[str, Any]:
    return {"status": status, "code": code, "key": "k", "user_agent": "curl", **fields}


def told_by(traces: Traces, told: list[bytes]) -> list[dict[str, Any]]:
    traces.flush()
    return [json.loads(line) for line in told]


def test_without_a_wish_nothing_is_told() -> None:
    told: list[bytes] = []
    traces = Traces(told.extend)

    traces.take(request())

    assert told_by(traces, told) == []


def test_errors_alone_are_told_when_errors_are_wished_for() -> None:
    told: list[bytes] = []
    traces = Traces(told.extend)
    traces.wish = wish(errors_only=True)

    for each in (request(200), request(404), request(200, "ConnectionCut"), request(503)):
        traces.take(each)

    assert [each["status"] for each in told_by(traces, told)] == [404, 200, 503]


def test_a_sample_is_a_share_of_requests() -> None:
    told: list[bytes] = []
    chances = iter([0.05, 0.5, 0.099, 0.1])
    traces = Traces(told.extend, chance=lambda: next(chances))
    traces.wish = wish(sample=0.1)

    for status in (200, 201, 202, 203):
        traces.take(request(status))

    assert [each["status"] for each in told_by(traces, told)] == [200, 202]


def test_a_flood_and_long_names_are_bounded() -> None:
    told: list[bytes] = []
    traces = Traces(told.extend)
    traces.wish = wish()

    for _ in range(LINE_COUNT_MAX + 500):
        traces.take(request(key="é" * 1024, user_agent="u" * 100_000))

    lines = told_by(traces, told)
    assert len(lines) == LINE_COUNT_MAX
    assert (len(lines[0]["key"]), len(lines[0]["user_agent"])) == (1024, 1024)
    assert max(map(len, told)) < 16 * 1024
