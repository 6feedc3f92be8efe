"""Sizes, spans and times as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.timestamp_pb2 import Timestamp

_SIZE = re.compile(r"([0-9]+)\s*(B|KiB|MiB|GiB|TiB)?")
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(s|m|h|d)?")
_SIZE_UNITS = {None: 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SPAN_UNITS = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN_MAX_S = 3650 * 86400


class SizeType(click.ParamType[int]):
    """Bytes: `1048576`, `512MiB`, `1TiB`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = _SIZE.fullmatch(value) if len(value) < 40 else None
        if match is None:
            self.fail("a size is bytes, or such as 256KiB, 64MiB, 1GiB, 2TiB", param, ctx)
        return int(match[1]) * _SIZE_UNITS[match[2]]


class SpanType(click.ParamType[float]):
    """Seconds: `90`, `15m`, `12h`, `7d`."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return value
        match = _SPAN.fullmatch(value) if len(value) < 40 else None
        seconds = float(match[1]) * _SPAN_UNITS[match[2]] if match is not None else -1.0
        if not 0 <= seconds <= _SPAN_MAX_S:
            self.fail("a span is seconds, or such as 90s, 15m, 12h, 7d", param, ctx)
        return seconds


class MomentType(click.ParamType["Timestamp"]):
    """A point in time: `2027-01-31`, `2027-01-31T12:00:00Z`, or a span from now such as `30d`."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Timestamp:
        from google.protobuf.timestamp_pb2 import Timestamp

        if isinstance(value, Timestamp):
            return value
        moment = Timestamp()
        match = _SPAN.fullmatch(value) if len(value) < 40 else None
        if match is not None and match[2] is not None:
            span = timedelta(seconds=SPAN.convert(value, param, ctx))
            moment.FromDatetime(datetime.now(UTC).replace(tzinfo=None) + span)
            return moment
        try:
            given = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                "a time is such as 2027-01-31, 2027-01-31T12:00:00Z, or 30d for so long from now", param, ctx
            )
        moment.FromDatetime(given.replace(tzinfo=given.tzinfo or UTC).astimezone(UTC).replace(tzinfo=None))
        return moment


SIZE = SizeType()
SPAN = SpanType()
MOMENT = MomentType()


def span_of(seconds: float) -> Duration:
    """As messages have it."""
    from google.protobuf.duration_pb2 import Duration

    span = Duration()
    span.FromMicroseconds(int(seconds * 1_000_000))
    return span
