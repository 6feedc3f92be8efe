"""The workers there are: what each does, how often, and how it is made under a lease."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from controlplane.workers.runner import Job, Unit
from engine.backends.registry import Backends
from engine.backends.volume.backend import VolumeBackend
from engine.clock import Clock
from engine.metadata import leases
from engine.metadata.store import Store
from engine.records import Lease, Progress
from engine.units import HOUR_S, MINUTE_S
from engine.upkeep.cleanup import CleanupSweeper
from engine.upkeep.compaction import Fence, VolumeCompactor
from engine.upkeep.intent_recovery import IntentRecovery
from engine.upkeep.journal_expiry import JournalExpiry
from engine.upkeep.multipart_expiry import MultipartExpiry
from engine.upkeep.reaping import Reaper
from engine.upkeep.volume_sweep import VolumeSweeper


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerParts:
    """What workers work with. `process_id` is who claims rows and holds leases."""

    store: Store
    backends: Backends
    process_id: bytes
    clock: Clock
    read_grace_s: float
    intent_ttl_s: float

    @property
    def grace_us(self) -> int:
        return int(self.read_grace_s * 1_000_000)

    @property
    def volumes(self) -> list[VolumeBackend]:
        return [each for each in self.backends if isinstance(each, VolumeBackend)]


class InTurn:
    """Units one after the other, each until it has no more to do."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self._units = list(units)

    def work(self) -> Progress:
        """One step of the first unit that has any left."""
        progress = self._units[0].work()
        if progress.has_more or len(self._units) == 1:
            return progress
        del self._units[0]
        return Progress(done_count=progress.done_count, deferred_count=progress.deferred_count, has_more=True)


def make_roster(parts: WorkerParts) -> tuple[Job, ...]:
    """Every worker by name; the names are the fields of `engine.settings.running.WorkersSettings`."""
    return (
        Job(
            name="cleanup",
            description="Deletes bytes that nothing points at any more, once their grace is over.",
            interval_s=30.0,
            build=partial(_cleanup, parts),
        ),
        Job(
            name="compaction",
            description="Empties volume files that are mostly dead and unlinks those given up.",
            interval_s=5.0 * MINUTE_S,
            build=partial(_compaction, parts),
        ),
        Job(
            name="intents",
            description="Recovers announced writes whose writer died.",
            interval_s=float(MINUTE_S),
            build=partial(_intents, parts),
        ),
        Job(
            name="multipart",
            description="Forgets multipart uploads that ended a day ago.",
            interval_s=float(HOUR_S),
            build=partial(_multipart, parts),
        ),
        Job(
            name="reaper",
            description="Takes apart what was overwritten or deleted, and drops journal rows a day old.",
            interval_s=10.0,
            build=partial(_reaper, parts),
        ),
    )


def _fence(lease: Lease) -> Fence:
    return partial(leases.check, lease=lease)


def _cleanup(parts: WorkerParts, lease: Lease) -> Unit:
    return CleanupSweeper(
        parts.store, parts.backends, fence=_fence(lease), process_id=parts.process_id, clock=parts.clock
    )


def _compaction(parts: WorkerParts, lease: Lease) -> Unit:
    volumes, fence = parts.volumes, _fence(lease)
    return InTurn(
        [
            VolumeCompactor(
                parts.store,
                volumes,
                fence=fence,
                grace_us=parts.grace_us,
                clock=parts.clock,
                rest_us=parts.grace_us,
            ),
            VolumeSweeper(parts.store, volumes, fence=fence, clock=parts.clock),
        ]
    )


def _intents(parts: WorkerParts, lease: Lease) -> Unit:
    return IntentRecovery(
        parts.store,
        parts.backends,
        fence=_fence(lease),
        process_id=parts.process_id,
        clock=parts.clock,
        ttl_s=parts.intent_ttl_s,
    )


def _multipart(parts: WorkerParts, lease: Lease) -> Unit:
    return MultipartExpiry(parts.store, fence=_fence(lease))


def _reaper(parts: WorkerParts, lease: Lease) -> Unit:
    fence = _fence(lease)
    return InTurn(
        [
            Reaper(parts.store, fence=fence, grace_us=parts.grace_us, clock=parts.clock),
            JournalExpiry(parts.store, fence=fence),
        ]
    )
