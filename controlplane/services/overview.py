"""SystemService's methods that show the whole deployment: figures, dashboard, events, and the read-only switch."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from penstock.admin.v1 import event_pb2, stats_pb2
from penstock.admin.v1 import system_service_pb2 as pb

from controlplane.callers import calling
from controlplane.fields import read_id
from controlplane.health import HealthCheck
from controlplane.overview.dashboard import Dashboards
from controlplane.overview.events import EventHub, Look
from controlplane.overview.listed import Listed
from controlplane.overview.read_only import write_read_only
from controlplane.overview.statistics import read_stats
from controlplane.pool import EnginePool
from controlplane.watching import watch
from engine.backends.registry import Backends
from engine.errors import MalformedField
from engine.metadata import generations
from engine.metadata.store import Store
from engine.metadata.switches import find_read_only, turn_read_only

INTERVAL_S = 2.0
INTERVAL_MIN_S = 1.0
INTERVAL_MAX_S = 3600.0
DASHBOARD_EVERY_S = 1.0
REASON_LENGTH_MAX = 200


class OverviewMethods:
    """A part of SystemServicer. `epoch` is of this process alone."""

    def __init__(
        self,
        store: Store,
        pool: EnginePool,
        listed: Listed,
        *,
        checks: Callable[[], Awaitable[Sequence[HealthCheck]]],
        backends: Callable[[], Backends],
        epoch: str,
    ) -> None:
        self._all_rows = store
        self._threads = pool
        self._listed = listed
        self._dashboards = Dashboards(store, pool, listed, checks=checks, backends=backends)
        self._events = EventHub(self._looks(), epoch=epoch)

    async def GetStats(self, request: pb.GetStatsRequest, context: Any) -> pb.GetStatsResponse:
        return pb.GetStatsResponse(instances=await self._stats(_read_instances(request.instances)))

    async def WatchStats(
        self, request: pb.WatchStatsRequest, context: Any
    ) -> AsyncIterator[pb.WatchStatsResponse]:
        instances, interval_s = _read_instances(request.instances), _read_interval_s(request)
        while True:
            yield pb.WatchStatsResponse(instances=await self._stats(instances))
            await asyncio.sleep(interval_s)

    async def GetDashboard(self, request: pb.GetDashboardRequest, context: Any) -> pb.GetDashboardResponse:
        answer = pb.GetDashboardResponse(dashboard=await self._dashboards.look())
        answer.dashboard.look_time.GetCurrentTime()
        return answer

    async def WatchDashboard(
        self, request: pb.WatchDashboardRequest, context: Any
    ) -> AsyncIterator[pb.WatchDashboardResponse]:
        async with aclosing(watch(self._dashboards.look, every_s=DASHBOARD_EVERY_S)) as looks:
            async for kind, dashboard in looks:
                answer = pb.WatchDashboardResponse(kind=kind, dashboard=dashboard)
                answer.dashboard.look_time.GetCurrentTime()
                yield answer

    async def WatchEvents(
        self, request: pb.WatchEventsRequest, context: Any
    ) -> AsyncIterator[pb.WatchEventsResponse]:
        async with aclosing(self._events.listen(request.topics, request.resume_token)) as events:
            async for event in events:
                yield pb.WatchEventsResponse(event=event)

    async def GetReadOnly(self, request: pb.GetReadOnlyRequest, context: Any) -> pb.GetReadOnlyResponse:
        switch = await self._threads.run(self._all_rows.read, find_read_only)
        return pb.GetReadOnlyResponse(read_only=write_read_only(switch))

    async def SetReadOnly(self, request: pb.SetReadOnlyRequest, context: Any) -> pb.SetReadOnlyResponse:
        if len(request.reason) > REASON_LENGTH_MAX:
            raise MalformedField("reason", f"a reason has at most {REASON_LENGTH_MAX} characters")
        unit = partial(
            turn_read_only, is_on=request.enabled, reason=request.reason, changed_by=calling().name
        )
        switch = await self._threads.run(self._all_rows.write, unit)
        return pb.SetReadOnlyResponse(read_only=write_read_only(switch))

    async def close(self) -> None:
        """End what is looked at for streams."""
        await self._events.close()

    async def _stats(self, instances: Sequence[str]) -> list[stats_pb2.InstanceStats]:
        return await self._threads.run(read_stats, self._all_rows, instances)

    def _looks(self) -> dict["event_pb2.EventTopic.ValueType", Look]:
        """What is looked at for each topic, without the signs of life that are others each time."""

        async def backends() -> dict[str, Any]:
            return {each.name: each for each in await self._listed.backends()}

        async def workers() -> dict[str, Any]:
            found = await self._listed.workers()
            for each in found:
                each.ClearField("lease_expire_time")
            return {each.name: each for each in found}

        async def operations() -> dict[str, Any]:
            return {each.name: each for each in await self._listed.operations()}

        async def instances() -> dict[str, Any]:
            found = await self._listed.instances()
            for each in found:
                each.ClearField("heartbeat_time")
                for process in each.processes:
                    process.ClearField("heartbeat_time")
            return {each.name: each for each in found}

        async def config() -> dict[str, Any]:
            newest = await self._threads.run(self._all_rows.read, generations.newest_number)
            return {"config": newest}

        async def stats() -> dict[str, Any]:
            return {each.instance: each for each in await self._stats(())}

        async def read_only() -> dict[str, Any]:
            switch = await self._threads.run(self._all_rows.read, find_read_only)
            return {"readOnly": write_read_only(switch)}

        return {
            event_pb2.EVENT_TOPIC_BACKEND: backends,
            event_pb2.EVENT_TOPIC_WORKER: workers,
            event_pb2.EVENT_TOPIC_OPERATION: operations,
            event_pb2.EVENT_TOPIC_CONFIG: config,
            event_pb2.EVENT_TOPIC_INSTANCE: instances,
            event_pb2.EVENT_TOPIC_STATS: stats,
            event_pb2.EVENT_TOPIC_READ_ONLY: read_only,
        }


def _read_instances(names: Sequence[str]) -> Sequence[str]:
    return [f"instances/{read_id('instances', name, 'instances').hex()}" for name in names]


def _read_interval_s(request: pb.WatchStatsRequest) -> float:
    if not request.HasField("interval"):
        return INTERVAL_S
    interval_s = request.interval.ToNanoseconds() / 1e9
    if not INTERVAL_MIN_S <= interval_s <= INTERVAL_MAX_S:
        raise MalformedField("interval", "an interval is 1 second to 1 hour")
    return interval_s
