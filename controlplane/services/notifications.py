"""NotificationService: the webhooks that are told of events, a try of one, and events that did not arrive."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from google.protobuf.duration_pb2 import Duration
from penstock.admin.v1 import notification_service_pb2 as pb
from penstock.admin.v1 import notification_service_pb2_grpc as pb_grpc

from controlplane.fields import (
    read_id,
    read_name,
    read_page,
    read_page_size,
    read_page_token,
    write_page_token,
)
from controlplane.pool import EnginePool
from controlplane.times import duration, timestamp
from engine.clock import Ids, id_text
from engine.errors import CountMismatch, MalformedField, NoSuchResource
from engine.metadata import undelivered
from engine.metadata.store import Store, Tx
from engine.metadata.undelivered import TargetBacklog, UndeliveredEvent, UndeliveredFilter
from engine.notifications.delivery import Sender, deliver
from engine.notifications.messages import message_of_test
from engine.notifications.targets import MessageFormat, Target
from engine.notifications.webhooks import DeliveryFailed

EVENT_COUNT_MAX = 10_000
"""Events that one call has tried again or lets go."""

NAME_COUNT_MAX = 1000

PAGE_SIZE_MAX = 200
"""Events of a page: with their messages, which hold keys, they fit into an answer."""

TEST_BUCKET = "penstock-test"
"""Bucket that the message of a test names."""

ANSWER_TIME_S = 0.5
"""Of a call's time, kept for its answer."""

_FORMATS = {
    MessageFormat.S3: pb.NOTIFICATION_FORMAT_S3,
    MessageFormat.CLOUD_EVENTS: pb.NOTIFICATION_FORMAT_CLOUD_EVENTS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a call asks for, before the database says what time it is."""

    target: str | None
    older_than_us: int

    def filter(self, tx: Tx) -> UndeliveredFilter:
        """Never what is given up from now on."""
        return UndeliveredFilter(target=self.target, died_before_us=tx.now_us() + 1 - self.older_than_us)


class NotificationServicer(pb_grpc.NotificationServiceServicer):
    def __init__(
        self,
        store: Store,
        pool: EnginePool,
        *,
        targets: Callable[[], Mapping[str, Target]],
        region: Callable[[], str],
        sender: Sender,
        ids: Ids,
    ) -> None:
        """`targets` and `region` are those of the generation in force when they are asked for."""
        self._store = store
        self._pool = pool
        self._targets = targets
        self._region = region
        self._sender = sender
        self._ids = ids

    async def ListNotificationTargets(
        self, request: pb.ListNotificationTargetsRequest, context: Any
    ) -> pb.ListNotificationTargetsResponse:
        page = read_page(request.page_size, read_page_token(request.page_token))
        backlogs = {
            each.target: each for each in await self._pool.run(self._store.read, undelivered.by_target)
        }
        targets = self._targets()
        shown, position = page.of(sorted({*targets, *backlogs}), str)
        return pb.ListNotificationTargetsResponse(
            targets=[_write_target(name, targets.get(name), backlogs.get(name)) for name in shown],
            next_page_token=write_page_token(position),
        )

    async def TestNotificationTarget(
        self, request: pb.TestNotificationTargetRequest, context: Any
    ) -> pb.TestNotificationTargetResponse:
        name = read_name("name", request.name, "notificationTargets")
        target = self._targets().get(name)
        if target is None:
            raise NoSuchResource(name=f"notificationTargets/{name}")
        left_s = context.time_remaining()
        if left_s is not None:
            target = replace(target, timeout_s=max(0.1, min(target.timeout_s, left_s - ANSWER_TIME_S)))
        return await self._pool.run(self._try, target)

    async def ListUndelivered(
        self, request: pb.ListUndeliveredRequest, context: Any
    ) -> pb.ListUndeliveredResponse:
        wanted = _read_filter(request.filter)
        after = _read_position(request.page_token)
        count_max = min(read_page_size(request.page_size), PAGE_SIZE_MAX)

        def unit(tx: Tx) -> list[UndeliveredEvent]:
            return undelivered.list_undelivered(tx, wanted.filter(tx), after=after, count_max=count_max + 1)

        found = await self._pool.run(self._store.read, unit)
        shown = found[:count_max]
        position = shown[-1].event_id.hex() if len(found) > count_max else None
        return pb.ListUndeliveredResponse(
            events=[_write_event(each) for each in shown], next_page_token=write_page_token(position)
        )

    async def RetryUndelivered(
        self, request: pb.RetryUndeliveredRequest, context: Any
    ) -> pb.RetryUndeliveredResponse:
        ids, wanted = _read_choice(request)
        if wanted is None:
            retried = await self._pool.run(self._store.write, partial(_named, ids=ids, do=undelivered.retry))
            return pb.RetryUndeliveredResponse(retried_count=retried)
        kind = await self._pool.run(self._store.read, wanted.filter)
        retried = await self._pool.run(self._in_units, kind, undelivered.retry)
        left = await self._pool.run(self._store.read, partial(undelivered.count_undelivered, wanted=kind))
        return pb.RetryUndeliveredResponse(retried_count=retried, left_count=left)

    async def DiscardUndelivered(
        self, request: pb.DiscardUndeliveredRequest, context: Any
    ) -> pb.DiscardUndeliveredResponse:
        ids, wanted = _read_choice(request)
        if not 0 < request.confirm_count <= EVENT_COUNT_MAX:
            raise MalformedField("confirm_count", f"between 1 and {EVENT_COUNT_MAX}: narrow the filter")
        if wanted is None:
            found = await self._pool.run(
                self._store.read, partial(_named, ids=ids, do=lambda _, each: len(each))
            )
            kind = None
        else:
            kind = await self._pool.run(self._store.read, wanted.filter)
            found = await self._pool.run(
                self._store.read, partial(undelivered.count_undelivered, wanted=kind)
            )
        if found != request.confirm_count:
            raise CountMismatch(
                what="undelivered events", expected_count=request.confirm_count, found_count=found
            )
        if not request.validate_only:
            found = await self._pool.run(self._discard, ids, kind)
        return pb.DiscardUndeliveredResponse(discarded_count=found)

    def _try(self, target: Target) -> pb.TestNotificationTargetResponse:
        event_id, started_s = self._ids(), time.monotonic()
        message = message_of_test(TEST_BUCKET, time.time_ns() // 1000)
        answer = pb.TestNotificationTargetResponse(event_id=id_text(event_id))
        try:
            deliver(self._sender, target, message, event_id=event_id, region=self._region())
        except DeliveryFailed as error:
            answer.error = str(error)
        answer.latency.CopyFrom(duration(time.monotonic() - started_s))
        return answer

    def _discard(self, ids: Sequence[bytes], kind: UndeliveredFilter | None) -> int:
        if kind is None:
            return self._store.write(partial(_named, ids=ids, do=undelivered.discard))
        return self._in_units(kind, undelivered.discard)

    def _in_units(self, kind: UndeliveredFilter, do: Callable[[Tx, Sequence[UndeliveredEvent]], int]) -> int:
        """Do it to all of a kind, some at a time in one transaction; to how many it was done."""
        done_count, after, left_count = 0, b"", EVENT_COUNT_MAX

        def unit(tx: Tx) -> tuple[list[UndeliveredEvent], int]:
            events = undelivered.list_undelivered(
                tx, kind, after=after, count_max=min(left_count, undelivered.UNIT_COUNT_MAX)
            )
            return events, do(tx, events)

        while left_count:
            events, done = self._store.write(unit)
            if not events:
                break
            done_count += done
            after, left_count = events[-1].event_id, left_count - len(events)
        return done_count


def _named(tx: Tx, ids: Sequence[bytes], do: Callable[[Tx, Sequence[UndeliveredEvent]], int]) -> int:
    return do(tx, undelivered.find_undelivered(tx, ids))


def _read_choice(
    request: pb.RetryUndeliveredRequest | pb.DiscardUndeliveredRequest,
) -> tuple[Sequence[bytes], _Wanted | None]:
    """Ids, or what the filter asks for."""
    if bool(request.names) == request.HasField("filter"):
        raise MalformedField("names", "give either names or a filter; an empty filter asks for all")
    if request.HasField("filter"):
        return (), _read_filter(request.filter)
    if len(request.names) > NAME_COUNT_MAX:
        raise MalformedField("names", f"at most {NAME_COUNT_MAX} names")
    return [read_id("names", each, "undeliveredEvents") for each in dict.fromkeys(request.names)], None


def _read_filter(wanted: pb.UndeliveredFilter) -> _Wanted:
    has_age = wanted.HasField("older_than")
    return _Wanted(
        target=read_name("filter.target", wanted.target, "notificationTargets") if wanted.target else None,
        older_than_us=_read_age("filter.older_than", wanted.older_than) if has_age else 0,
    )


def _read_age(field: str, age: Duration) -> int:
    age_us = age.seconds * 1_000_000 + age.nanos // 1000
    if not 0 < age_us <= 10**16:
        raise MalformedField(field, "an age is positive, and shorter than three centuries")
    return age_us


def _read_position(page_token: str) -> bytes:
    position = read_page_token(page_token)
    try:
        return b"" if position is None else bytes.fromhex(position)
    except ValueError:
        raise MalformedField("page_token", "not a token of this method") from None


def _write_target(name: str, target: Target | None, backlog: TargetBacklog | None) -> pb.NotificationTarget:
    backlog = backlog or TargetBacklog(target=name)
    told = pb.NotificationTarget(
        name=f"notificationTargets/{name}",
        waiting_count=backlog.waiting_count,
        undelivered_count=backlog.dead_count,
        most_attempt_count=backlog.most_attempts,
        last_error=backlog.last_error or "",
    )
    if target is not None:
        told.configured = True
        told.url = target.url
        told.format = _FORMATS[target.format]
        told.allow_private = target.allows_private
        told.timeout.CopyFrom(duration(target.timeout_s))
    return told


def _write_event(event: UndeliveredEvent) -> pb.UndeliveredEvent:
    told = json.loads(event.payload)
    records = told.get("Records")
    s3 = records[0]["s3"] if records else None
    return pb.UndeliveredEvent(
        name=undelivered.resource_name(event.event_id),
        event_id=id_text(event.event_id),
        type=event.type,
        target=f"notificationTargets/{event.target}",
        event_time=timestamp(event.happened_at_us),
        give_up_time=timestamp(event.died_at_us),
        attempt_count=event.attempt_count,
        last_error=event.last_error or "",
        message=event.payload,
        bucket=s3["bucket"]["name"] if s3 else told.get("Bucket", ""),
        key=s3["object"]["key"] if s3 else "",
    )
