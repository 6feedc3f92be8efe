"""Replication of a small deployment: what workers are made of, and backends that go away and come back."""

from dataclasses import replace
from functools import partial

from engine.backends.memory import Call, Fault, MemoryBackend
from engine.metadata import backends, repairs
from engine.metadata.pieces import StandingPiece, list_pieces_of
from engine.metadata.repairs import Repair, RepairKind
from engine.metadata.store import Store, Tx
from engine.upkeep.away import HealPolicy
from engine.upkeep.long_work import Fence, Pace, Unpaced
from engine.upkeep.replication import Replicator, Trimmer
from tests.support.deployments import no_fence
from tests.support.objects import ObjectRig

HEAL_AFTER_S = 600.0
_MANY = 10_000


def policy_of(rig: ObjectRig) -> HealPolicy:
    return HealPolicy(heal_after_s=HEAL_AFTER_S, default_scheme=rig.shape.scheme)


def replicator_of(
    rig: ObjectRig, *, store: Store | None = None, fence: Fence = no_fence, pace: Pace | None = None
) -> Replicator:
    parts = replace(rig.integrity(), store=store or rig.store)
    return Replicator(parts, policy_of(rig), fence=fence, pace=pace or Unpaced())


def trimmer_of(rig: ObjectRig, *, store: Store | None = None, fence: Fence = no_fence) -> Trimmer:
    parts = replace(rig.integrity(), store=store or rig.store)
    return Trimmer(parts, policy_of(rig), fence=fence, pace=Unpaced())


def replicate(rig: ObjectRig, *, store: Store | None = None) -> None:
    """One run of the replicator and one of the trimmer, each to its end."""
    for worker in (replicator_of(rig, store=store), trimmer_of(rig, store=store)):
        while worker.work().has_more:
            pass


def pass_time(rig: ObjectRig, seconds: float, *failed: int) -> None:
    """Time goes by, after which this instance holds these backends for failed, and no others."""
    rig.clock.ahead_us += int(seconds * 1_000_000)
    rig.store.write(partial(_see, rig=rig, failed=failed))


def go_away(rig: ObjectRig, memory: MemoryBackend) -> None:
    """It answers nothing any more, and this instance has noticed."""
    for call in Call:
        memory.faults.add(call, Fault.UNAVAILABLE, count=_MANY)
    pass_time(rig, 0.0, memory.backend_id)


def come_back(rig: ObjectRig, memory: MemoryBackend) -> None:
    """It answers again, and this instance has noticed; what failed before may be tried again by now."""
    memory.faults.clear()
    rig.health.forgive(memory.backend_id)
    pass_time(rig, repairs.BACKOFF_MAX_S)


def pieces_of(rig: ObjectRig, key: str) -> list[StandingPiece]:
    """Pieces of an object's blobs, in order."""
    return [
        piece
        for each in rig.find(key).slices
        for piece in rig.store.read(partial(list_pieces_of, blob_id=each.blob.blob_id))
    ]


def places_of(rig: ObjectRig, key: str) -> list[int]:
    """Backends of an object of one blob."""
    return sorted(piece.location.backend_id for piece in pieces_of(rig, key))


def waiting(rig: ObjectRig, kind: RepairKind = RepairKind.HEAL) -> list[Repair]:
    return rig.store.read(partial(repairs.list_repairs, kind=kind, after=b"", count_max=1000))


def _see(tx: Tx, rig: ObjectRig, failed: tuple[int, ...]) -> None:
    for backend in rig.backends:
        is_failed = backend.backend_id in failed
        backends.note_view(
            tx,
            backend_id=backend.backend_id,
            instance_id=rig.instance_id,
            problem="it does not answer" if is_failed else None,
            is_failed=is_failed,
        )
