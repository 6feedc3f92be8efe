"""What happens, for any number of streams: one look a second for all of them, and what differs from the last one."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from itertools import islice
from typing import Any, TypeAlias

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from penstock.admin.v1 import event_pb2

from engine.errors import DatabaseUnavailable, ResumeTooOld

LOOK_EVERY_S = 1.0
BOOKMARK_EVERY_S = 8.0
KEPT_COUNT_MAX = 4096
"""Events that are kept for streams that go on; one that is further behind begins again."""

Topic: TypeAlias = "event_pb2.EventTopic.ValueType"
Subjects = Mapping[str, Any]
"""By resource name: a message, or a number for the generation."""
Look = Callable[[], Awaitable[Subjects]]

FIELDS: Mapping[Topic, str] = {
    event_pb2.EVENT_TOPIC_BACKEND: "backend",
    event_pb2.EVENT_TOPIC_WORKER: "worker",
    event_pb2.EVENT_TOPIC_OPERATION: "operation",
    event_pb2.EVENT_TOPIC_CONFIG: "generation",
    event_pb2.EVENT_TOPIC_INSTANCE: "instance",
    event_pb2.EVENT_TOPIC_STATS: "stats",
    event_pb2.EVENT_TOPIC_READ_ONLY: "read_only",
}

_log = logging.getLogger("penstock.control")


class EventHub:
    """Looks while anybody listens. For one event loop.

    `epoch` is of this process alone: tokens of another one, or of one before a restart, are not known here.
    """

    def __init__(
        self,
        looks: Mapping[Topic, Look],
        *,
        epoch: str,
        look_every_s: float = LOOK_EVERY_S,
        bookmark_every_s: float = BOOKMARK_EVERY_S,
        kept_count_max: int = KEPT_COUNT_MAX,
    ) -> None:
        self._looks = looks
        self._epoch = epoch
        self._look_every_s = look_every_s
        self._bookmark_every_s = bookmark_every_s
        self._known: dict[Topic, Subjects] = {}
        self._kept: deque[event_pb2.Event] = deque(maxlen=kept_count_max)
        self._next_number = 0
        self._listener_count = 0
        self._looking: asyncio.Task[None] | None = None
        self._moved = asyncio.Condition()
        self._one_look = asyncio.Lock()

    async def listen(
        self, topics: Collection[Topic], resume_token: str
    ) -> AsyncGenerator[event_pb2.Event, None]:
        """Events of these topics, all if none is named, without end. Raises ResumeTooOld, and what a look raises."""
        wanted = frozenset(topics) or frozenset(FIELDS)
        number = self._read_token(resume_token) if resume_token else None
        self._begin_listening()
        try:
            await self._look()
            if number is None:
                # Nothing may happen between the snapshot and its bookmark: there is no await in between.
                number = self._next_number
                snapshot = [*self._snapshot(wanted), self._bookmark(number)]
                for event in snapshot:
                    yield event
            while True:
                for event in self._since(number):
                    number += 1
                    if event.topic in wanted:
                        yield event
                if not await self._wait_beyond(number):
                    yield self._bookmark(number)
        finally:
            self._end_listening()

    async def close(self) -> None:
        """End looking, whoever listens."""
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    def _begin_listening(self) -> None:
        self._listener_count += 1
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_on(), name="events")

    def _end_listening(self) -> None:
        self._listener_count -= 1
        if not self._listener_count and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(self._look_every_s)
            try:
                await self._look()
            except DatabaseUnavailable:
                # As far as anybody knows nothing changes meanwhile.
                continue
            except Exception:  # a look that fails in a way of its own must not end those of others
                _log.exception("events.look_failed")

    async def _look(self) -> None:
        async with self._one_look:
            found = {topic: await look() for topic, look in self._looks.items()}
            async with self._moved:
                self._take(found)
                self._moved.notify_all()

    def _take(self, found: dict[Topic, Subjects]) -> None:
        is_first = not self._known
        for topic, subjects in found.items():
            known = self._known.get(topic, {})
            self._known[topic] = subjects
            if is_first:
                continue
            for name, subject in subjects.items():
                if name not in known:
                    self._keep(event_pb2.EVENT_KIND_ADDED, topic, name, subject)
                elif subject != known[name]:
                    self._keep(event_pb2.EVENT_KIND_CHANGED, topic, name, subject)
            for name in known.keys() - subjects.keys():
                self._keep(event_pb2.EVENT_KIND_REMOVED, topic, name, None)

    def _keep(self, kind: "event_pb2.EventKind.ValueType", topic: Topic, name: str, subject: Any) -> None:
        self._next_number += 1
        event = _event(kind, topic, name, subject)
        event.resume_token = self._token(self._next_number)
        self._kept.append(event)

    def _snapshot(self, wanted: Collection[Topic]) -> list[event_pb2.Event]:
        return [
            _event(event_pb2.EVENT_KIND_SNAPSHOT, topic, name, subject)
            for topic, subjects in self._known.items()
            if topic in wanted
            for name, subject in subjects.items()
        ]

    def _bookmark(self, number: int) -> event_pb2.Event:
        event = event_pb2.Event(kind=event_pb2.EVENT_KIND_BOOKMARK, resume_token=self._token(number))
        event.time.GetCurrentTime()
        return event

    def _since(self, number: int) -> list[event_pb2.Event]:
        behind = self._next_number - number
        if behind > len(self._kept):
            raise ResumeTooOld()
        return list(islice(self._kept, len(self._kept) - behind, None)) if behind else []

    async def _wait_beyond(self, number: int) -> bool:
        """Whether something happened, before it is time for a bookmark."""
        try:
            async with asyncio.timeout(self._bookmark_every_s), self._moved:
                await self._moved.wait_for(lambda: self._next_number > number)
        except TimeoutError:
            return False
        return True

    def _token(self, number: int) -> str:
        return f"{self._epoch}-{number}"

    def _read_token(self, token: str) -> int:
        epoch, _, number = token.rpartition("-")
        is_number = number.isascii() and number.isdigit() and len(number) < 19
        if epoch != self._epoch or not is_number or int(number) > self._next_number:
            raise ResumeTooOld()
        return int(number)


def _event(kind: "event_pb2.EventKind.ValueType", topic: Topic, name: str, subject: Any) -> event_pb2.Event:
    now = Timestamp()
    now.GetCurrentTime()
    event = event_pb2.Event(kind=kind, topic=topic, name=name, time=now)
    if isinstance(subject, Message):
        getattr(event, FIELDS[topic]).CopyFrom(subject)
    elif subject is not None:
        setattr(event, FIELDS[topic], subject)
    return event
