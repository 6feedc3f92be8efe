"""One look serves all streams; one too far behind has to begin again; bookmarks come while nothing does."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from penstock.admin.v1 import backend_pb2, event_pb2

from controlplane.overview.events import EventHub
from engine.errors import DatabaseUnavailable, ResumeTooOld

TOPIC = event_pb2.EVENT_TOPIC_BACKEND


class FakeLooks:
    """Backends that a test changes; `failure` is raised in their place."""

    def __init__(self) -> None:
        self.subjects: dict[str, Any] = {}
        self.failure: Exception | None = None
        self.count = 0

    async def __call__(self) -> dict[str, Any]:
        self.count += 1
        if self.failure is not None:
            raise self.failure
        return dict(self.subjects)

    def put(self, name: str, problem: str = "") -> None:
        self.subjects[name] = backend_pb2.Backend(name=name, problem=problem)


def hub_of(looks: FakeLooks, **options: Any) -> EventHub:
    return EventHub({TOPIC: looks}, epoch="e", look_every_s=0.01, **options)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await test()

    asyncio.run(bounded())


def told(event: event_pb2.Event) -> tuple[str, str]:
    return event_pb2.EventKind.Name(event.kind).removeprefix("EVENT_KIND_"), event.name


def test_what_is_added_changed_and_removed_is_told_in_order() -> None:
    looks = FakeLooks()
    looks.put("backends/a")

    async def test() -> None:
        hub = hub_of(looks)
        events = hub.listen([], "")
        assert [told(await anext(events)) for _ in range(2)] == [("SNAPSHOT", "backends/a"), ("BOOKMARK", "")]
        looks.put("backends/b")
        assert told(await anext(events)) == ("ADDED", "backends/b")
        looks.put("backends/b", problem="gone")
        changed = await anext(events)
        assert (told(changed), changed.backend.problem) == (("CHANGED", "backends/b"), "gone")
        del looks.subjects["backends/b"]
        assert told(await anext(events)) == ("REMOVED", "backends/b")
        await events.aclose()

    run(test)


def test_looking_ends_with_the_last_stream() -> None:
    looks = FakeLooks()

    async def test() -> None:
        hub = hub_of(looks)
        events = hub.listen([], "")
        await anext(events)
        await events.aclose()
        count = looks.count
        await asyncio.sleep(0.1)
        assert looks.count == count

    run(test)


def test_a_token_goes_on_where_it_was_given_even_after_nobody_looked() -> None:
    looks = FakeLooks()

    async def test() -> None:
        hub = hub_of(looks)
        events = hub.listen([], "")
        token = (await anext(events)).resume_token
        await events.aclose()
        looks.put("backends/a")
        again = hub.listen([], token)
        assert told(await anext(again)) == ("ADDED", "backends/a")
        await again.aclose()

    run(test)


def test_who_is_further_behind_than_what_is_kept_begins_again() -> None:
    looks = FakeLooks()

    async def test() -> None:
        hub = hub_of(looks, kept_count_max=2)
        events = hub.listen([], "")
        token = (await anext(events)).resume_token
        for number in range(3):
            looks.put(f"backends/{number}")
        with pytest.raises(ResumeTooOld):
            await anext(hub.listen([], token))
        with pytest.raises(ResumeTooOld):
            await anext(events)

    run(test)


def test_a_bookmark_comes_while_nothing_happens() -> None:
    async def test() -> None:
        hub = hub_of(FakeLooks(), bookmark_every_s=0.05)
        events = hub.listen([], "")
        assert [told(await anext(events))[0] for _ in range(3)] == ["BOOKMARK"] * 3
        await events.aclose()

    run(test)


def test_while_the_database_is_away_streams_stay() -> None:
    looks = FakeLooks()

    async def test() -> None:
        hub = hub_of(looks)
        events = hub.listen([], "")
        await anext(events)
        looks.failure = DatabaseUnavailable("away")
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.1)
        looks.failure = None
        looks.put("backends/a")
        assert told(await waiting) == ("ADDED", "backends/a")
        await events.aclose()

    run(test)
