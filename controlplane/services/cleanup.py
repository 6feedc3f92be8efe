"""CleanupService: what waits for deletion, what was given up, and uploads that nobody finishes."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from google.protobuf.duration_pb2 import Duration
from penstock.admin.v1 import cleanup_service_pb2 as pb
from penstock.admin.v1 import cleanup_service_pb2_grpc as pb_grpc

from controlplane.fields import read_name, read_page_size, read_page_token, write_page_token
from controlplane.operations.cleaning import ABORT_STALE_UPLOADS, RUN_CLEANUP
from controlplane.operations.starting import OperationStarter
from controlplane.pool import EnginePool
from controlplane.services.operation_messages import write_operation
from controlplane.times import timestamp
from engine.errors import CountMismatch, MalformedField, NoSuchResource
from engine.metadata import cleanup, dead_letters, reaper
from engine.metadata.backends import list_backends
from engine.metadata.dead_letters import Amount, DeadLetter, DeadLetterFilter, QueuedItem
from engine.metadata.store import Store, Tx

LETTER_COUNT_MAX = 10_000
"""Dead letters that one call tries again or lets go."""

NAME_COUNT_MAX = 1000

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_REASON_LENGTH_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a call asks for, before the database says which backends there are, and what time it is."""

    backend: str | None
    reason: str | None
    older_than_us: int | None

    def filter(self, tx: Tx) -> DeadLetterFilter:
        """Never what is given up from now on. Raises NoSuchResource."""
        return DeadLetterFilter(
            backend_id=None if self.backend is None else _find_backend(tx, self.backend),
            reason=self.reason,
            died_before_us=tx.now_us() + 1 - (self.older_than_us or 0),
        )


class CleanupServicer(pb_grpc.CleanupServiceServicer):
    def __init__(self, store: Store, starter: OperationStarter, pool: EnginePool) -> None:
        self._store = store
        self._starter = starter
        self._pool = pool

    async def GetCleanupStatus(
        self, request: pb.GetCleanupStatusRequest, context: Any
    ) -> pb.GetCleanupStatusResponse:
        return await self._pool.run(self._store.read, _read_status)

    async def ListCleanupItems(
        self, request: pb.ListCleanupItemsRequest, context: Any
    ) -> pb.ListCleanupItemsResponse:
        backend = read_name("backend", request.backend, "backends") if request.backend else None
        after, count_max = _read_position(request.page_token), read_page_size(request.page_size)

        def unit(tx: Tx) -> tuple[list[QueuedItem], Mapping[int, str]]:
            backend_id = None if backend is None else _find_backend(tx, backend)
            due_us = tx.now_us() if request.due_only else None
            items = dead_letters.list_queued(
                tx, backend_id=backend_id, due_us=due_us, after=after, count_max=count_max + 1
            )
            return items, _backend_names(tx)

        items, names = await self._pool.run(self._store.read, unit)
        return pb.ListCleanupItemsResponse(
            items=[_write_item(each, names) for each in items[:count_max]],
            next_page_token=_next_token([each.cleanup_id for each in items], count_max),
        )

    async def ListDeadLetters(
        self, request: pb.ListDeadLettersRequest, context: Any
    ) -> pb.ListDeadLettersResponse:
        wanted = _read_filter(request.filter)
        after, count_max = _read_position(request.page_token), read_page_size(request.page_size)

        def unit(tx: Tx) -> tuple[list[DeadLetter], Mapping[int, str]]:
            letters = dead_letters.list_dead_letters(
                tx, wanted.filter(tx), after=after, count_max=count_max + 1
            )
            return letters, _backend_names(tx)

        letters, names = await self._pool.run(self._store.read, unit)
        return pb.ListDeadLettersResponse(
            dead_letters=[_write_letter(each, names) for each in letters[:count_max]],
            next_page_token=_next_token([each.cleanup_id for each in letters], count_max),
        )

    async def RetryDeadLetters(
        self, request: pb.RetryDeadLettersRequest, context: Any
    ) -> pb.RetryDeadLettersResponse:
        ids, wanted = _read_choice(request)
        if wanted is None:
            retried = await self._pool.run(self._store.write, partial(_retry_named, ids=ids))
            return pb.RetryDeadLettersResponse(retried_count=retried, left_count=len(ids) - retried)
        kind = await self._pool.run(self._store.read, wanted.filter)
        retried = sum(await self._pool.run(self._in_units, kind, dead_letters.retry))
        left = await self._pool.run(self._store.read, partial(dead_letters.sum_dead_letters, wanted=kind))
        return pb.RetryDeadLettersResponse(retried_count=retried, left_count=left.count)

    async def DiscardDeadLetters(
        self, request: pb.DiscardDeadLettersRequest, context: Any
    ) -> pb.DiscardDeadLettersResponse:
        ids, wanted = _read_choice(request)
        if not 0 < request.confirm_count <= LETTER_COUNT_MAX:
            raise MalformedField("confirm_count", f"between 1 and {LETTER_COUNT_MAX}: narrow the filter")
        if wanted is None:
            found = await self._pool.run(self._store.read, partial(_named, ids=ids))
            _require_count(len(found), request.confirm_count)
            chosen, kind = _amount(found), None
        else:
            kind = await self._pool.run(self._store.read, wanted.filter)
            chosen = await self._pool.run(
                self._store.read, partial(dead_letters.sum_dead_letters, wanted=kind)
            )
            _require_count(chosen.count, request.confirm_count)
        if not request.validate_only:
            gone = await self._pool.run(self._discard, ids, kind)
            chosen = Amount(
                count=sum(each.count for each in gone), size_bytes=sum(each.size_bytes for each in gone)
            )
        return pb.DiscardDeadLettersResponse(discarded_count=chosen.count, discarded_bytes=chosen.size_bytes)

    async def RunCleanup(self, request: pb.RunCleanupRequest, context: Any) -> pb.RunCleanupResponse:
        row = await self._starter.start(
            method=RUN_CLEANUP, target="workers/cleanup", request={"now": request.now}
        )
        return pb.RunCleanupResponse(operation=write_operation(row))

    async def AbortStaleUploads(
        self, request: pb.AbortStaleUploadsRequest, context: Any
    ) -> pb.AbortStaleUploadsResponse:
        age_us = _read_age("older_than", request.older_than)
        now_us = await self._pool.run(self._store.read, lambda tx: tx.now_us())
        row = await self._starter.start(
            method=ABORT_STALE_UPLOADS,
            target="uploads",
            request={"age_us": age_us, "before_us": now_us - age_us},
            apart_from=("before_us",),
        )
        return pb.AbortStaleUploadsResponse(operation=write_operation(row))

    def _discard(self, ids: Sequence[int], kind: DeadLetterFilter | None) -> list[Amount]:
        if kind is None:
            return [self._store.write(lambda tx: dead_letters.discard(tx, _named(tx, ids)))]
        return self._in_units(kind, dead_letters.discard)

    def _in_units(self, kind: DeadLetterFilter, do: Callable[[Tx, Sequence[DeadLetter]], Any]) -> list[Any]:
        """Do it to all of a kind, some at a time in one transaction; what it gave each time."""
        given: list[Any] = []
        after, left_count = 0, LETTER_COUNT_MAX

        def unit(tx: Tx) -> tuple[list[DeadLetter], Any]:
            letters = dead_letters.list_dead_letters(
                tx, kind, after=after, count_max=min(left_count, dead_letters.UNIT_COUNT_MAX)
            )
            return letters, do(tx, letters)

        while left_count:
            letters, done = self._store.write(unit)
            if not letters:
                break
            given.append(done)
            after, left_count = letters[-1].cleanup_id, left_count - len(letters)
        return given


def _read_status(tx: Tx) -> pb.GetCleanupStatusResponse:
    depth, names = cleanup.depth(tx), _backend_names(tx)
    waiting, stopped = reaper.waiting(tx)
    by_backend = dead_letters.sum_by_backend(tx)
    return pb.GetCleanupStatusResponse(
        queued_count=depth.queued_count,
        queued_bytes=depth.queued_bytes,
        due_count=depth.due_count,
        oldest_due_time=timestamp(depth.oldest_due_us),
        dead_letter_count=depth.dead_count,
        dead_letter_bytes=sum(each.dead.size_bytes for each in by_backend),
        retired_count=waiting + stopped,
        stopped_count=stopped,
        backends=[
            pb.BackendCleanup(
                backend=names[each.backend_id],
                queued_count=each.queued.count,
                queued_bytes=each.queued.size_bytes,
                dead_letter_count=each.dead.count,
                dead_letter_bytes=each.dead.size_bytes,
            )
            for each in by_backend
        ],
    )


def _retry_named(tx: Tx, ids: Sequence[int]) -> int:
    return dead_letters.retry(tx, _named(tx, ids))


def _named(tx: Tx, ids: Sequence[int]) -> list[DeadLetter]:
    return dead_letters.find_dead_letters(tx, ids)


def _amount(letters: Sequence[DeadLetter]) -> Amount:
    return Amount(count=len(letters), size_bytes=sum(each.size_bytes for each in letters))


def _require_count(found_count: int, confirm_count: int) -> None:
    if found_count != confirm_count:
        raise CountMismatch(what="dead letters", expected_count=confirm_count, found_count=found_count)


def _read_choice(
    request: pb.RetryDeadLettersRequest | pb.DiscardDeadLettersRequest,
) -> tuple[Sequence[int], _Wanted | None]:
    """Ids, or what the filter asks for."""
    if bool(request.names) == request.HasField("filter"):
        raise MalformedField("names", "give either names or a filter; an empty filter asks for all")
    if request.HasField("filter"):
        return (), _read_filter(request.filter)
    if len(request.names) > NAME_COUNT_MAX:
        raise MalformedField("names", f"at most {NAME_COUNT_MAX} names")
    return [
        _read_number("names", read_name("names", each, "deadLetters"))
        for each in dict.fromkeys(request.names)
    ], None


def _read_filter(wanted: pb.DeadLetterFilter) -> _Wanted:
    if len(wanted.reason) > _REASON_LENGTH_MAX:
        raise MalformedField("filter.reason", "no reason is so long")
    has_age = wanted.HasField("older_than")
    return _Wanted(
        backend=read_name("filter.backend", wanted.backend, "backends") if wanted.backend else None,
        reason=wanted.reason or None,
        older_than_us=_read_age("filter.older_than", wanted.older_than) if has_age else None,
    )


def _read_age(field: str, age: Duration) -> int:
    age_us = age.seconds * 1_000_000 + age.nanos // 1000
    if not 0 < age_us <= 10**16:
        raise MalformedField(field, "an age is positive, and shorter than three centuries")
    return age_us


def _read_number(field: str, text: str) -> int:
    if _NUMBER.fullmatch(text) is None:
        raise MalformedField(field, f"{text[:40]!r} is no number")
    return int(text)


def _read_position(page_token: str) -> int:
    position = read_page_token(page_token)
    return 0 if position is None else _read_number("page_token", position)


def _next_token(ids: Sequence[int], count_max: int) -> str:
    return write_page_token(str(ids[count_max - 1]) if len(ids) > count_max else None)


def _find_backend(tx: Tx, name: str) -> int:
    for row in list_backends(tx):
        if row.name == name:
            return row.backend_id
    raise NoSuchResource(name=f"backends/{name}")


def _backend_names(tx: Tx) -> Mapping[int, str]:
    return {row.backend_id: f"backends/{row.name}" for row in list_backends(tx)}


def _write_item(item: QueuedItem, names: Mapping[int, str]) -> pb.CleanupItem:
    return pb.CleanupItem(
        name=f"cleanupItems/{item.cleanup_id}",
        backend=names[item.backend_id],
        storage_key=item.storage_key,
        size_bytes=item.size_bytes,
        reason=item.reason,
        attempt_count=item.attempt_count,
        due_time=timestamp(item.due_us),
        last_error=item.last_error or "",
        claimed=item.is_claimed,
    )


def _write_letter(letter: DeadLetter, names: Mapping[int, str]) -> pb.DeadLetter:
    return pb.DeadLetter(
        name=dead_letters.resource_name(letter.cleanup_id),
        backend=names[letter.backend_id],
        storage_key=letter.storage_key,
        size_bytes=letter.size_bytes,
        reason=letter.reason,
        attempt_count=letter.attempt_count,
        last_error=letter.last_error or "",
        give_up_time=timestamp(letter.died_at_us),
    )
