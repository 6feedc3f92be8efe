"""A watch tells how things stand, every change, and that somebody is there; it outlasts a database that is away."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import pytest
from penstock.admin.v1 import watch_pb2

from controlplane.watching import watch
from engine.errors import DatabaseUnavailable, NoSuchResource

SNAPSHOT, CHANGE, HEARTBEAT = (
    watch_pb2.WATCH_KIND_SNAPSHOT,
    watch_pb2.WATCH_KIND_CHANGE,
    watch_pb2.WATCH_KIND_HEARTBEAT,
)


def told(
    looks: Sequence[int | Exception], *, count: int, heartbeat_s: float = 1000.0
) -> list[tuple[int, int]]:
    """The first messages of a watch over what successive looks find; the last look is repeated."""
    left = list(looks)

    async def look() -> int:
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found

    async def collect() -> list[tuple[int, int]]:
        answers: list[tuple[int, int]] = []
        async with aclosing(watch(look, every_s=0.001, heartbeat_s=heartbeat_s)) as stream:
            async for kind, value in stream:
                answers.append((kind, value))
                if len(answers) == count:
                    break
        return answers

    return asyncio.run(collect())


def test_a_snapshot_comes_first_and_then_what_changes() -> None:
    assert told([1, 1, 1, 2, 2, 3, 1], count=4) == [(SNAPSHOT, 1), (CHANGE, 2), (CHANGE, 3), (CHANGE, 1)]


def test_while_nothing_changes_heartbeats_say_that_somebody_is_there() -> None:
    answers = told([1], count=3, heartbeat_s=0.0)

    assert answers == [(SNAPSHOT, 1), (HEARTBEAT, 1), (HEARTBEAT, 1)]


def test_a_database_that_is_away_changes_nothing() -> None:
    away = DatabaseUnavailable("away")

    assert told([1, away, away, 2], count=2) == [(SNAPSHOT, 1), (CHANGE, 2)]
    assert told([1, away], count=2, heartbeat_s=0.0)[1] == (HEARTBEAT, 1)


def test_a_thing_that_goes_ends_the_watch() -> None:
    with pytest.raises(NoSuchResource):
        told([1, NoSuchResource(name="operations/1")], count=2)
    with pytest.raises(DatabaseUnavailable):
        told([DatabaseUnavailable("away")], count=1)
