"""Streams that tell how something stands: a snapshot, then every change, and heartbeats while nothing changes."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeAlias, TypeVar

from penstock.admin.v1 import watch_pb2

from engine.errors import DatabaseUnavailable, Overloaded

LOOK_EVERY_S = 0.5
HEARTBEAT_S = 8.0

T = TypeVar("T")
WatchKind: TypeAlias = "watch_pb2.WatchKind.ValueType"


async def watch(
    look: Callable[[], Awaitable[T]], *, every_s: float = LOOK_EVERY_S, heartbeat_s: float = HEARTBEAT_S
) -> AsyncGenerator[tuple[WatchKind, T], None]:
    """What `look` finds, without end; what it raises ends the stream.

    While the database is away, or too many ask it, nothing changes as far as anybody knows: that those who watch come
    again would only be one more call.
    """
    seen = await look()
    yield watch_pb2.WATCH_KIND_SNAPSHOT, seen
    told_s = time.monotonic()
    while True:
        await asyncio.sleep(every_s)
        try:
            found = await look()
        except (DatabaseUnavailable, Overloaded):
            found = seen
        if found != seen:
            seen = found
            yield watch_pb2.WATCH_KIND_CHANGE, seen
        elif time.monotonic() - told_s >= heartbeat_s:
            yield watch_pb2.WATCH_KIND_HEARTBEAT, seen
        else:
            continue
        told_s = time.monotonic()
