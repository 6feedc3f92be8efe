"""HealService: what waits to be healed and what cannot be, and healing whatever lies behind a prefix."""

from collections.abc import Callable
from functools import partial
from typing import Any

from penstock.admin.v1 import heal_service_pb2 as pb
from penstock.admin.v1 import heal_service_pb2_grpc as pb_grpc

from controlplane.fields import write_page_token
from controlplane.operations.replicating import HEAL_PREFIX
from controlplane.operations.starting import OperationStarter
from controlplane.pool import EnginePool
from controlplane.services.affected_messages import read_blob_page_size, write_affected
from controlplane.services.discrepancy_messages import read_rate
from controlplane.services.operation_messages import write_operation
from controlplane.services.replication import read_blob_position, write_counts
from engine.errors import MalformedField
from engine.metadata.backends import list_backends
from engine.metadata.bucket_settings import OwnBucket
from engine.metadata.buckets import find_bucket
from engine.metadata.pieces import count_bad
from engine.metadata.repairs import RepairKind, count_repairs
from engine.metadata.store import Store, Tx
from engine.names import bucket_name
from engine.records import LocationState
from engine.upkeep.affected_objects import list_affected
from engine.upkeep.away import HealPolicy, read_presence
from engine.upkeep.prefix_healing import Damage, preview_healing

PREFIX_BYTES_MAX = 1024


class HealServicer(pb_grpc.HealServiceServicer):
    def __init__(
        self, store: Store, starter: OperationStarter, pool: EnginePool, *, policy: Callable[[], HealPolicy]
    ) -> None:
        """`policy` is that of the generation in force when it is asked for."""
        self._store = store
        self._starter = starter
        self._pool = pool
        self._policy = policy

    async def GetHealStatus(self, request: pb.GetHealStatusRequest, context: Any) -> pb.GetHealStatusResponse:
        return await self._pool.run(self._store.read, partial(_read_status, policy=self._policy()))

    async def ListHealFailures(
        self, request: pb.ListHealFailuresRequest, context: Any
    ) -> pb.ListHealFailuresResponse:
        count_max, after = read_blob_page_size(request.page_size), read_blob_position(request.page_token)
        unit = partial(
            list_affected, kind=RepairKind.HEAL, policy=self._policy(), after=after, count_max=count_max + 1
        )
        found = await self._pool.run(self._store.read, unit)
        shown = found[:count_max]
        position = shown[-1].repair.blob_id.hex() if len(found) > count_max else None
        return pb.ListHealFailuresResponse(
            objects=write_affected(each for each in shown if each.repair.error is not None),
            next_page_token=write_page_token(position),
        )

    async def HealPrefix(self, request: pb.HealPrefixRequest, context: Any) -> pb.HealPrefixResponse:
        if len(request.prefix.encode("utf-8")) > PREFIX_BYTES_MAX:
            raise MalformedField("prefix", "no key is so long")
        rate_bytes = read_rate("max_bytes_per_second", request.max_bytes_per_second)
        name = bucket_name(request.bucket)
        found = await self._pool.run(self._store.read, partial(find_bucket, name=name))
        bucket = OwnBucket(name=name, bucket_id=found.bucket_id)
        if request.dry_run:
            prefix = request.prefix.encode("utf-8")
            damage = await self._pool.run(preview_healing, self._store, self._policy(), bucket, prefix)
            return pb.HealPrefixResponse(plan=_write_plan(damage))
        row = await self._starter.start(
            method=HEAL_PREFIX,
            target=f"buckets/{name}",
            request={
                "bucket": name,
                "bucket_id": bucket.bucket_id,
                "prefix": request.prefix,
                "max_bytes_per_second": rate_bytes,
            },
        )
        return pb.HealPrefixResponse(operation=write_operation(row))


def _read_status(tx: Tx, policy: HealPolicy) -> pb.GetHealStatusResponse:
    bad = [count_bad(tx, row.backend_id) for row in list_backends(tx)]
    return pb.GetHealStatusResponse(
        waiting=write_counts(count_repairs(tx)[RepairKind.HEAL]),
        suspect_piece_count=sum(each.get(LocationState.SUSPECT, 0) for each in bad),
        lost_piece_count=sum(each.get(LocationState.LOST, 0) for each in bad),
        stopped=read_presence(tx, policy).is_stopped,
    )


def _write_plan(damage: Damage) -> pb.HealPlan:
    return pb.HealPlan(
        slice_count=damage.slice_count,
        lacking_count=damage.lacking_count,
        bad_count=damage.bad_count,
        excess_count=damage.excess_count,
        partial=damage.is_partial,
    )
