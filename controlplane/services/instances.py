"""What SystemService asks of instances: they learn of it through their rows, whichever of them is called."""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration
from penstock.admin.v1 import system_pb2
from penstock.admin.v1 import system_service_pb2 as pb

from controlplane.fields import read_id
from controlplane.pool import EnginePool
from controlplane.services.instance_messages import write_instance
from engine.errors import InstanceStopping, MalformedField, NoSuchResource
from engine.metadata import generations, wishes
from engine.metadata.processes import InstanceRow, ProcessRow, find_instance, list_instances
from engine.metadata.store import Store, Tx
from engine.units import DAY_S

GRACE_S = 25.0
"""What a data plane gives its requests when it is stopped otherwise."""

INSTANCE_COUNT_MAX = 1000
POLL_S = 0.1
WAIT_MAX_S = 50.0
ANSWER_TIME_S = 0.5
"""Of a call's time, kept for its answer."""

T = TypeVar("T")


class InstanceMethods:
    """A part of the SystemServicer."""

    _store: Store
    _pool: EnginePool

    async def ReloadDataPlane(
        self, request: pb.ReloadDataPlaneRequest, context: Any
    ) -> pb.ReloadDataPlaneResponse:
        wanted = read_id("instance", request.instance, "instances") if request.instance else None
        if request.mode in (system_pb2.RELOAD_MODE_UNSPECIFIED, system_pb2.RELOAD_MODE_GENERATION):
            asked, pending = await self._pool.run(self._store.write, partial(_ask_to_look, wanted=wanted))
        elif request.mode == system_pb2.RELOAD_MODE_RESTART_PROCESSES:
            asked, pending = await self._pool.run(self._store.write, partial(_ask_to_restart, wanted=wanted))
        else:
            raise MalformedField("mode", "no mode that is known here")
        look = partial(_results, asked=asked, pending=pending)
        deadline_s = _deadline_s(context) if request.wait else 0.0
        results = await self._until(look, lambda each: not any(one.pending_count for one in each), deadline_s)
        return pb.ReloadDataPlaneResponse(results=results)

    async def DrainInstance(self, request: pb.DrainInstanceRequest, context: Any) -> pb.DrainInstanceResponse:
        instance_id = read_id("name", request.name, "instances")
        wait_s = _read_span("deadline", request.deadline)
        await self._pool.run(
            self._store.write, partial(_ask_to_drain, instance_id=instance_id, is_wanted=True)
        )
        deadline_s = min(time.monotonic() + wait_s, _deadline_s(context))
        row = await self._until(partial(_live, instance_id=instance_id), _is_drained, deadline_s)
        return pb.DrainInstanceResponse(instance=write_instance(row), drained=_is_drained(row))

    async def UndrainInstance(
        self, request: pb.UndrainInstanceRequest, context: Any
    ) -> pb.UndrainInstanceResponse:
        instance_id = read_id("name", request.name, "instances")
        row = await self._pool.run(
            self._store.write, partial(_ask_to_drain, instance_id=instance_id, is_wanted=False)
        )
        return pb.UndrainInstanceResponse(instance=write_instance(row))

    async def Shutdown(self, request: pb.ShutdownRequest, context: Any) -> pb.ShutdownResponse:
        instance_id = read_id("instance", request.instance, "instances")
        grace_s = _read_span("grace", request.grace) if request.HasField("grace") else GRACE_S
        row = await self._pool.run(
            self._store.write, partial(_ask_to_stop, instance_id=instance_id, grace_s=grace_s)
        )
        return pb.ShutdownResponse(instance=write_instance(row))

    async def _until(self, look: Callable[[Tx], T], is_enough: Callable[[T], bool], deadline_s: float) -> T:
        while True:
            seen = await self._pool.run(self._store.read, look)
            if is_enough(seen) or time.monotonic() >= deadline_s:
                return seen
            await asyncio.sleep(POLL_S)


CountPending = Callable[[InstanceRow], int]
"""How many processes of an instance have not done yet what was asked."""


def _ask_to_look(tx: Tx, wanted: bytes | None) -> tuple[Sequence[bytes], CountPending]:
    """The instances asked, and by what their processes show that they have done it."""
    asked = _live_ids(tx, wanted)
    newest, now_us = generations.newest_number(tx), tx.now_us()
    for each in asked:
        wishes.ask_to_look(tx, each)

    def has_looked(row: ProcessRow) -> bool:
        has_tried = (row.generation or 0) >= newest or (row.refused_generation or 0) >= newest
        return has_tried and row.heartbeat_at_us > now_us

    return asked, lambda row: sum(not has_looked(each) for each in row.processes if each.is_alive)


def _ask_to_restart(tx: Tx, wanted: bytes | None) -> tuple[Sequence[bytes], CountPending]:
    """Done is it once none of those that served does, and another one for each of them."""
    asked, now_us = _live_ids(tx, wanted), tx.now_us()
    least = {each: min(1, len(_serving(_live(tx, each)))) for each in asked}
    for each in asked:
        wishes.ask_to_restart(tx, each)

    def pending(row: InstanceRow) -> int:
        is_new = [each.started_at_us >= now_us for each in _serving(row)]
        # Of those that were there, some may have been dead without anybody knowing yet.
        replaced = [
            each
            for each in row.processes
            if each.started_at_us < now_us < each.heartbeat_at_us and _serves(each)
        ]
        return max(is_new.count(False), max(least[row.instance_id], len(replaced)) - is_new.count(True))

    return asked, pending


def _ask_to_drain(tx: Tx, instance_id: bytes, *, is_wanted: bool) -> InstanceRow:
    row = _live(tx, instance_id)
    if row.is_stopping and not is_wanted:
        raise InstanceStopping(instance=_name(instance_id))
    wishes.ask_to_drain(tx, instance_id, is_wanted=is_wanted)
    return _live(tx, instance_id)


def _ask_to_stop(tx: Tx, instance_id: bytes, *, grace_s: float) -> InstanceRow:
    _live(tx, instance_id)
    wishes.ask_to_stop(tx, instance_id, grace_s=grace_s)
    return _live(tx, instance_id)


def _results(tx: Tx, *, asked: Sequence[bytes], pending: CountPending) -> list[system_pb2.InstanceResult]:
    found = [find_instance(tx, each) for each in asked]
    return [_result(row, pending) for row in found if row is not None]


def _result(row: InstanceRow, pending: CountPending) -> system_pb2.InstanceResult:
    alive = [each for each in row.processes if each.is_alive]
    refusals = sorted({each.refusal for each in alive if each.refusal})
    return system_pb2.InstanceResult(
        instance=_name(row.instance_id),
        node=row.node,
        process_count=len(alive),
        pending_count=pending(row),
        problem="; ".join(refusals),
    )


def _live_ids(tx: Tx, wanted: bytes | None) -> Sequence[bytes]:
    if wanted is not None:
        return [_live(tx, wanted).instance_id]
    found = [each.instance_id for each in list_instances(tx, count_max=INSTANCE_COUNT_MAX) if each.is_alive]
    if not found:
        raise NoSuchResource(name="instances")
    return found


def _live(tx: Tx, instance_id: bytes) -> InstanceRow:
    row = find_instance(tx, instance_id)
    if row is None or not row.is_alive:
        raise NoSuchResource(name=_name(instance_id))
    return row


def _is_drained(row: InstanceRow) -> bool:
    return row.is_draining and all(each.is_drained for each in _serving(row))


def _serving(row: InstanceRow) -> Sequence[ProcessRow]:
    return [each for each in row.processes if each.is_alive and _serves(each)]


def _serves(process: ProcessRow) -> bool:
    return process.plane == "dataplane"


def _name(instance_id: bytes) -> str:
    return f"instances/{instance_id.hex()}"


def _read_span(field: str, span: Duration) -> float:
    seconds = span.ToNanoseconds() / 1e9
    if not 0 <= seconds <= DAY_S:
        raise MalformedField(field, "a time from nothing to a day is expected")
    return seconds


def _deadline_s(context: Any) -> float:
    left_s = context.time_remaining()
    most_s = WAIT_MAX_S if left_s is None else min(WAIT_MAX_S, left_s - ANSWER_TIME_S)
    return time.monotonic() + most_s
