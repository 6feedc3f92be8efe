"""The long works that look after bytes and accounts, made of what a stored request says."""

from collections.abc import Mapping, Sequence
from typing import cast

from controlplane.integrity import integrity_parts
from engine.backends.base import Backend
from engine.backends.registry import Backends, volumes_in
from engine.clock import uuid7
from engine.deployment.process import OpenDeployment
from engine.metadata.discrepancies import DiscrepancyKind
from engine.upkeep.backfilling import ChecksumBackfill
from engine.upkeep.fsck import Fsck
from engine.upkeep.fsck_cards import RingCards
from engine.upkeep.fsck_work import FsckWork
from engine.upkeep.full_compaction import FullCompaction
from engine.upkeep.long_work import Fence, Json, LongWork, Pace
from engine.upkeep.piece_check import Depth
from engine.upkeep.reconciling import Ways
from engine.upkeep.recounting import Recount
from engine.upkeep.resolving import Repair, Resolution
from engine.upkeep.scrub_run import BackendWalk, BucketWalk, PieceWalk, ScrubRun

START_RECONCILE = "penstock.admin.v1.ReconcileService/StartReconcile"
RESOLVE_DISCREPANCIES = "penstock.admin.v1.ReconcileService/ResolveDiscrepancies"
RUN_SCRUB = "penstock.admin.v1.ScrubService/RunScrub"
BACKFILL_CHECKSUMS = "penstock.admin.v1.ScrubService/BackfillChecksums"
FSCK = "penstock.admin.v1.MaintenanceService/Fsck"
COMPACT = "penstock.admin.v1.MaintenanceService/Compact"
RECOUNT_QUOTAS = "penstock.admin.v1.MaintenanceService/RecountQuotas"

SCRUBBER = "scrubber"
"""Worker whose `rate_bytes` all that reads pieces shares."""

Request = Mapping[str, Json]


def start_reconcile(deployment: OpenDeployment, request: Request, fence: Fence, pace: Pace) -> LongWork:
    parts = integrity_parts(deployment)
    return parts.reconciliation(
        _chosen(parts.backends, request),
        fence,
        pace,
        ways=Ways(request["ways"]),
        depth=Depth(request["depth"]),
        repair=Repair.NONE if request["dry_run"] else Repair(request["repair"]),
    )


def resolve_discrepancies(deployment: OpenDeployment, request: Request, fence: Fence, pace: Pace) -> LongWork:
    kind = request["kind"]
    return Resolution(
        deployment.store,
        integrity_parts(deployment).resolver(fence, pace),
        repair=Repair(request["repair"]),
        backend_id=cast("int | None", request["backend_id"]),
        kind=None if kind is None else DiscrepancyKind(kind),
        is_dry_run=bool(request["dry_run"]),
    )


def run_scrub(deployment: OpenDeployment, request: Request, fence: Fence, pace: Pace) -> LongWork:
    parts = integrity_parts(deployment)
    bucket_id = cast("int | None", request["bucket_id"])
    walk: PieceWalk
    if bucket_id is not None:
        prefix = cast(str, request["prefix"]).encode("utf-8")
        walk = BucketWalk(deployment.store, bucket_id, prefix)
    else:
        walk = BackendWalk(deployment.store, [each.backend_id for each in _chosen(parts.backends, request)])
    return ScrubRun(
        walk,
        parts.inspector(fence, pace),
        ids=uuid7,
        depth=Depth(request["depth"]),
        sample=cast(float, request["sample"]),
    )


def backfill_checksums(deployment: OpenDeployment, request: Request, fence: Fence, pace: Pace) -> LongWork:
    (backend,) = _chosen(deployment.backends, request)
    return ChecksumBackfill(
        deployment.store,
        deployment.backends,
        backend_id=backend.backend_id,
        blob_bytes_max=deployment.snapshot.live.storage.chunk_bytes,
        fence=fence,
        pace=pace,
    )


def fsck(deployment: OpenDeployment, request: Request, fence: Fence, pace: Pace) -> LongWork:
    parts = integrity_parts(deployment)
    return FsckWork(
        Fsck(
            deployment.store,
            list(parts.backends),
            volumes=parts.volumes,
            cards=RingCards(deployment.ring),
            verify_payloads=not request["skip_payloads"],
            before_bytes=pace.take,
        )
    )


def compact(deployment: OpenDeployment, request: Request, fence: Fence, pace: Pace) -> LongWork:
    parts = integrity_parts(deployment)
    return FullCompaction(
        deployment.store,
        volumes_in(_chosen(parts.backends, request)),
        fence=fence,
        pace=pace,
        clock=deployment.clock,
        grace_us=parts.grace_us,
        is_dry_run=bool(request["dry_run"]),
    )


def recount_quotas(deployment: OpenDeployment, request: Request, fence: Fence, pace: Pace) -> LongWork:
    return Recount(deployment.store, fence=fence)


def _chosen(backends: Backends, request: Request) -> Sequence[Backend]:
    """Those that are named by their ids, or all. Raises BackendUnavailable for one that is not here."""
    backend_ids = cast("list[int]", request["backend_ids"])
    if not backend_ids:
        return sorted(backends, key=lambda each: each.backend_id)
    return [backends.get(backend_id) for backend_id in backend_ids]
