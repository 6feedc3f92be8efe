"""Discrepancies, ways of looking and depths, between messages and the engine's words."""

from collections.abc import Mapping

from penstock.admin.v1 import discrepancy_pb2 as pb

from controlplane.times import timestamp
from engine.errors import MalformedField
from engine.metadata.discrepancies import Direction, Discrepancy, DiscrepancyKind
from engine.upkeep.piece_check import Depth
from engine.upkeep.reconciling import Ways
from engine.upkeep.resolving import Repair

KINDS: "Mapping[DiscrepancyKind, pb.DiscrepancyKind.ValueType]" = {
    DiscrepancyKind.MISSING: pb.DISCREPANCY_KIND_MISSING,
    DiscrepancyKind.ORPHAN: pb.DISCREPANCY_KIND_ORPHAN,
    DiscrepancyKind.SIZE: pb.DISCREPANCY_KIND_SIZE,
    DiscrepancyKind.CHECKSUM: pb.DISCREPANCY_KIND_CHECKSUM,
    DiscrepancyKind.FOREIGN: pb.DISCREPANCY_KIND_FOREIGN,
    DiscrepancyKind.STATE: pb.DISCREPANCY_KIND_STATE,
}

_DIRECTIONS = {
    Direction.ROWS: pb.RECONCILE_DIRECTION_ROWS,
    Direction.BYTES: pb.RECONCILE_DIRECTION_BYTES,
}

_WAYS = {
    pb.RECONCILE_DIRECTION_UNSPECIFIED: Ways.BOTH,
    pb.RECONCILE_DIRECTION_ROWS: Ways.ROWS,
    pb.RECONCILE_DIRECTION_BYTES: Ways.BYTES,
}

_DEPTHS = {
    pb.VERIFY_DEPTH_UNSPECIFIED: Depth.FULL,
    pb.VERIFY_DEPTH_SIZE: Depth.SIZE,
    pb.VERIFY_DEPTH_FULL: Depth.FULL,
}

_REPAIRS = {
    pb.REPAIR_UNSPECIFIED: Repair.NONE,
    pb.REPAIR_METADATA: Repair.METADATA,
    pb.REPAIR_STORAGE: Repair.STORAGE,
    pb.REPAIR_BOTH: Repair.BOTH,
}


def read_kind(field: str, kind: "pb.DiscrepancyKind.ValueType") -> DiscrepancyKind | None:
    """Null asks for any."""
    if kind == pb.DISCREPANCY_KIND_UNSPECIFIED:
        return None
    for ours, told in KINDS.items():
        if told == kind:
            return ours
    raise MalformedField(field, f"{kind} is no kind of discrepancy")


def read_ways(field: str, direction: "pb.ReconcileDirection.ValueType") -> Ways:
    if direction not in _WAYS:
        raise MalformedField(field, f"{direction} is no direction")
    return _WAYS[direction]


def read_depth(field: str, depth: "pb.VerifyDepth.ValueType") -> Depth:
    if depth not in _DEPTHS:
        raise MalformedField(field, f"{depth} is no depth")
    return _DEPTHS[depth]


def read_repair(field: str, repair: "pb.Repair.ValueType") -> Repair:
    if repair not in _REPAIRS:
        raise MalformedField(field, f"{repair} is no repair")
    return _REPAIRS[repair]


def read_rate(field: str, rate_bytes: int) -> int:
    """Zero: no bound."""
    if rate_bytes < 0:
        raise MalformedField(field, "a rate is not negative")
    return rate_bytes


def write_discrepancy(found: Discrepancy, names: Mapping[int, str]) -> pb.Discrepancy:
    mismatch = found.mismatch
    return pb.Discrepancy(
        name=f"discrepancies/{found.discrepancy_id}",
        backend=names[mismatch.backend_id],
        kind=KINDS[mismatch.kind],
        direction=_DIRECTIONS[mismatch.direction],
        subject=mismatch.subject,
        blob_id="" if mismatch.blob_id is None else mismatch.blob_id.hex(),
        piece_index=mismatch.piece_index or 0,
        size_bytes=mismatch.size_bytes,
        detail=mismatch.detail,
        found_time=timestamp(found.found_at_us),
        resolution=found.resolution or "",
        resolve_time=timestamp(found.resolved_at_us),
    )
