"""ReplicationService: blobs with too few or too many copies, and repairing them on request."""

from collections.abc import Callable
from functools import partial
from typing import Any

from google.protobuf.duration_pb2 import Duration
from penstock.admin.v1 import replication_service_pb2 as pb
from penstock.admin.v1 import replication_service_pb2_grpc as pb_grpc

from controlplane.fields import read_page_size, read_page_token, write_page_token
from controlplane.operations.replicating import CLEAN_EXCESS_COPIES, HEAL_OBJECT, RUN_REPLICATION
from controlplane.operations.starting import OperationStarter
from controlplane.pool import EnginePool
from controlplane.services.affected_messages import read_blob_page_size, write_affected, write_excess
from controlplane.services.discrepancy_messages import read_rate
from controlplane.services.named_backends import backend_names
from controlplane.services.operation_messages import write_operation
from controlplane.times import timestamp
from engine.errors import MalformedField
from engine.metadata import repairs
from engine.metadata.redundancy_passes import Phase
from engine.metadata.repairs import Repair, RepairCounts, RepairKind, RepairState
from engine.metadata.store import Store, Tx
from engine.names import bucket_name, object_key
from engine.upkeep.affected_objects import list_affected, preview_excess
from engine.upkeep.away import HealPolicy, read_presence
from engine.upkeep.replication_works import read_version

_KINDS = {pb.REPAIR_KIND_HEAL: RepairKind.HEAL, pb.REPAIR_KIND_TRIM: RepairKind.TRIM}
_STATES = {
    RepairState.DETECTED: pb.REPAIR_STATE_DETECTED,
    RepairState.RECONSTRUCTING: pb.REPAIR_STATE_RECONSTRUCTING,
    RepairState.PLACED: pb.REPAIR_STATE_PLACED,
    RepairState.VERIFIED: pb.REPAIR_STATE_VERIFIED,
    RepairState.SWITCHED: pb.REPAIR_STATE_SWITCHED,
}


class ReplicationServicer(pb_grpc.ReplicationServiceServicer):
    def __init__(
        self, store: Store, starter: OperationStarter, pool: EnginePool, *, policy: Callable[[], HealPolicy]
    ) -> None:
        """`policy` is that of the generation in force when it is asked for."""
        self._store = store
        self._starter = starter
        self._pool = pool
        self._policy = policy

    async def GetReplicationStatus(
        self, request: pb.GetReplicationStatusRequest, context: Any
    ) -> pb.GetReplicationStatusResponse:
        return await self._pool.run(self._store.read, partial(_read_status, policy=self._policy()))

    async def ListRepairs(self, request: pb.ListRepairsRequest, context: Any) -> pb.ListRepairsResponse:
        if request.kind not in _KINDS:
            raise MalformedField("kind", "say which kind of repairs")
        kind, count_max = _KINDS[request.kind], read_page_size(request.page_size)
        after = read_blob_position(request.page_token)
        unit = partial(repairs.list_repairs, kind=kind, after=after, count_max=count_max + 1)
        found = await self._pool.run(self._store.read, unit)
        shown = found[:count_max]
        position = shown[-1].blob_id.hex() if len(found) > count_max else None
        return pb.ListRepairsResponse(
            repairs=[_write_repair(each) for each in shown], next_page_token=write_page_token(position)
        )

    async def ListUnderReplicatedObjects(
        self, request: pb.ListUnderReplicatedObjectsRequest, context: Any
    ) -> pb.ListUnderReplicatedObjectsResponse:
        objects, token = await self._affected(RepairKind.HEAL, request.page_size, request.page_token)
        return pb.ListUnderReplicatedObjectsResponse(objects=objects, next_page_token=token)

    async def ListOverReplicatedObjects(
        self, request: pb.ListOverReplicatedObjectsRequest, context: Any
    ) -> pb.ListOverReplicatedObjectsResponse:
        objects, token = await self._affected(RepairKind.TRIM, request.page_size, request.page_token)
        return pb.ListOverReplicatedObjectsResponse(objects=objects, next_page_token=token)

    async def PreviewExcessCopies(
        self, request: pb.PreviewExcessCopiesRequest, context: Any
    ) -> pb.PreviewExcessCopiesResponse:
        excess = await self._pool.run(preview_excess, self._store, self._policy())
        return write_excess(excess, await self._pool.run(self._store.read, backend_names))

    async def CleanExcessCopies(
        self, request: pb.CleanExcessCopiesRequest, context: Any
    ) -> pb.CleanExcessCopiesResponse:
        rate_bytes = read_rate("max_bytes_per_second", request.max_bytes_per_second)
        row = await self._starter.start(
            method=CLEAN_EXCESS_COPIES, target="deployment", request={"max_bytes_per_second": rate_bytes}
        )
        return pb.CleanExcessCopiesResponse(operation=write_operation(row))

    async def RunReplication(
        self, request: pb.RunReplicationRequest, context: Any
    ) -> pb.RunReplicationResponse:
        rate_bytes = read_rate("max_bytes_per_second", request.max_bytes_per_second)
        row = await self._starter.start(
            method=RUN_REPLICATION, target="deployment", request={"max_bytes_per_second": rate_bytes}
        )
        return pb.RunReplicationResponse(operation=write_operation(row))

    async def HealObject(self, request: pb.HealObjectRequest, context: Any) -> pb.HealObjectResponse:
        bucket, key = bucket_name(request.bucket), object_key(request.key.encode("utf-8"))
        found = await self._pool.run(
            self._store.read,
            partial(read_version, bucket=bucket, key=key, version_id=request.version_id),
        )
        row = await self._starter.start(
            method=HEAL_OBJECT,
            target=f"versions/{found.version.version_seq}",
            request={
                "bucket": bucket,
                "key": request.key,
                "version_id": request.version_id,
                "version_seq": found.version.version_seq,
            },
        )
        return pb.HealObjectResponse(operation=write_operation(row))

    async def _affected(
        self, kind: RepairKind, page_size: int, page_token: str
    ) -> tuple[list[pb.MisreplicatedObject], str]:
        """A page, and the token of the next one."""
        count_max, after = read_blob_page_size(page_size), read_blob_position(page_token)
        unit = partial(list_affected, kind=kind, policy=self._policy(), after=after, count_max=count_max + 1)
        found = await self._pool.run(self._store.read, unit)
        shown = found[:count_max]
        position = shown[-1].repair.blob_id.hex() if len(found) > count_max else None
        return write_affected(shown), write_page_token(position)


def _read_status(tx: Tx, policy: HealPolicy) -> pb.GetReplicationStatusResponse:
    counts, names = repairs.count_repairs(tx), backend_names(tx)
    presence = read_presence(tx, policy)
    return pb.GetReplicationStatusResponse(
        under_replicated=write_counts(counts[RepairKind.HEAL]),
        over_replicated=write_counts(counts[RepairKind.TRIM]),
        absences=[
            pb.BackendAbsence(
                backend=names[each.backend_id],
                returned=each.phase is Phase.RETURNED,
                since_time=timestamp(each.since_us),
                written_off=each.backend_id in presence.away,
                passed_count=each.seen_count,
                repair_count=each.found_count,
            )
            for each in presence.passes
            if each.backend_id is not None and each.backend_id in names
        ],
        stopped=presence.is_stopped,
    )


def write_counts(counts: RepairCounts) -> pb.RepairCounts:
    average_us = counts.ended_total_us // counts.ended_count if counts.ended_count else 0
    return pb.RepairCounts(
        waiting_count=counts.waiting_count,
        failing_count=counts.failing_count,
        oldest_time=timestamp(counts.oldest_us),
        ended_count=counts.ended_count,
        average_duration=_duration(average_us),
        slowest_duration=_duration(counts.slowest_us),
    )


def _duration(span_us: int) -> Duration:
    span = Duration()
    span.FromMicroseconds(span_us)
    return span


def _write_repair(repair: Repair) -> pb.BlobRepair:
    return pb.BlobRepair(
        blob_id=repair.blob_id.hex(),
        state=_STATES[repair.state],
        reason=repair.reason,
        detect_time=timestamp(repair.detected_at_us),
        due_time=timestamp(repair.due_us),
        attempt_count=repair.attempt_count,
        error_message=repair.error or "",
    )


def read_blob_position(page_token: str) -> bytes:
    """The id of the blob behind which a page begins."""
    position = read_page_token(page_token)
    try:
        return b"" if position is None else bytes.fromhex(position)
    except ValueError:
        raise MalformedField("page_token", "not a token of this method") from None
