"""The workers there are: what each does, how often, and how it is made under a lease."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from controlplane.workers.runner import Job, Unit
from engine.backends.registry import Backends, volumes_in
from engine.backends.volume.backend import VolumeBackend
from engine.clock import Clock
from engine.metadata import leases
from engine.metadata.audit import Seal
from engine.metadata.store import Store
from engine.notifications.tally import DeliveryTally
from engine.notifications.targets import Target
from engine.notifications.webhooks import Webhooks
from engine.records import Lease, Progress, UsageKind
from engine.units import HOUR_S, MINUTE_S
from engine.upkeep.audit_expiry import AuditExpiry
from engine.upkeep.away import HealPolicy
from engine.upkeep.cleanup import CleanupSweeper
from engine.upkeep.compaction import Fence, VolumeCompactor
from engine.upkeep.integrity_parts import IntegrityParts
from engine.upkeep.intent_recovery import IntentRecovery
from engine.upkeep.journal_expiry import JournalExpiry
from engine.upkeep.long_work import Pace
from engine.upkeep.multipart_expiry import MultipartExpiry
from engine.upkeep.notifying import Notifier
from engine.upkeep.operation_expiry import OperationExpiry
from engine.upkeep.reaping import Reaper
from engine.upkeep.replication import Replicator, Trimmer
from engine.upkeep.scrubbing import Agenda, Scrubber
from engine.upkeep.undelivered_expiry import UndeliveredExpiry
from engine.upkeep.usage_recording import UsageRecorder
from engine.upkeep.volume_sweep import VolumeSweeper
from engine.upkeep.write_canary import WriteCanary


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerParts:
    """What workers work with, as one generation says. `process_id` is who claims rows and holds leases.

    `agenda` and `deliveries` are one for all runs of a process. `limits` are what may be used of backends in a month.
    """

    store: Store
    backends: Backends
    process_id: bytes
    clock: Clock
    read_grace_s: float
    intent_ttl_s: float
    scrub_period_s: float
    healing: HealPolicy
    integrity: IntegrityParts
    agenda: Agenda
    audit_seal: Seal
    audit_keep_s: float | None
    targets: Mapping[str, Target]
    region: str
    limits: Mapping[int, Mapping[UsageKind, int]]
    deliveries: DeliveryTally = field(default_factory=DeliveryTally)

    @property
    def grace_us(self) -> int:
        return int(self.read_grace_s * 1_000_000)

    @property
    def volumes(self) -> list[VolumeBackend]:
        return volumes_in(self.backends)


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
            name="canary",
            description="Tries with a small piece of its own whether remote stores take writes.",
            interval_s=30.0,
            build=partial(_canary, parts),
        ),
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
            moves_bytes=True,
        ),
        Job(
            name="intents",
            description="Recovers announced writes whose writer died.",
            interval_s=float(MINUTE_S),
            build=partial(_intents, parts),
        ),
        Job(
            name="multipart",
            description="Forgets multipart uploads that ended a day ago, and drops audit events past their time.",
            interval_s=float(HOUR_S),
            build=partial(_multipart, parts),
        ),
        Job(
            name="notifier",
            description="Sends events of buckets to the webhooks that their notification documents name.",
            interval_s=5.0,
            build=partial(_notifier, parts),
        ),
        Job(
            name="reaper",
            description="Takes apart what was overwritten or deleted, and drops old rows of journal and operations.",
            interval_s=10.0,
            build=partial(_reaper, parts),
        ),
        Job(
            name="replicator",
            description="Makes copies that blobs lack: written without them, found bad, or on a backend that is away.",
            interval_s=5.0,
            build=partial(_replicator, parts),
            moves_bytes=True,
        ),
        Job(
            name="scrubber",
            description="Reads and verifies every stored byte once a period, and makes bad pieces anew.",
            interval_s=float(MINUTE_S),
            build=partial(_scrubber, parts),
            moves_bytes=True,
        ),
        Job(
            name="trimmer",
            description="Removes copies that blobs have beyond their scheme, after reading all of them.",
            interval_s=5.0,
            build=partial(_trimmer, parts),
            moves_bytes=True,
        ),
        Job(
            name="usage",
            description="Records what backends were used for and what lies there, and what buckets hold.",
            interval_s=5.0 * MINUTE_S,
            build=partial(_usage, parts),
        ),
    )


def live_roster(parts: Callable[[], WorkerParts]) -> tuple[Job, ...]:
    """The same, each run with the parts that are there when it begins."""

    def build(name: str, lease: Lease, pace: Pace) -> Unit:
        job = next(each for each in make_roster(parts()) if each.name == name)
        return job.build(lease, pace)

    return tuple(replace(job, build=partial(build, job.name)) for job in make_roster(parts()))


def _fence(lease: Lease) -> Fence:
    return leases.LeaseFence(lease)


def _canary(parts: WorkerParts, lease: Lease, pace: Pace) -> Unit:
    return WriteCanary(
        parts.store,
        parts.backends,
        parts.integrity.announcer,
        fence=_fence(lease),
        clock=parts.clock,
        ring=parts.integrity.ring,
        limits=parts.limits,
    )


def _cleanup(parts: WorkerParts, lease: Lease, pace: Pace) -> Unit:
    return CleanupSweeper(
        parts.store,
        parts.backends,
        fence=_fence(lease),
        process_id=parts.process_id,
        clock=parts.clock,
        lease=lease,
    )


def _compaction(parts: WorkerParts, lease: Lease, pace: Pace) -> Unit:
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
                pace=pace,
            ),
            VolumeSweeper(parts.store, volumes, fence=fence, clock=parts.clock),
        ]
    )


def _intents(parts: WorkerParts, lease: Lease, pace: Pace) -> Unit:
    return IntentRecovery(
        parts.store,
        parts.backends,
        fence=_fence(lease),
        process_id=parts.process_id,
        clock=parts.clock,
        lease=lease,
        ttl_s=parts.intent_ttl_s,
    )


def _multipart(parts: WorkerParts, lease: Lease, pace: Pace) -> Unit:
    fence = _fence(lease)
    return InTurn(
        [
            MultipartExpiry(parts.store, fence=fence),
            AuditExpiry(parts.store, fence=fence, seal=parts.audit_seal, keep_s=parts.audit_keep_s),
        ]
    )


def _notifier(parts: WorkerParts, lease: Lease, pace: Pace) -> Unit:
    fence = _fence(lease)
    return InTurn(
        [
            Notifier(
                parts.store,
                parts.targets,
                Webhooks(),
                fence=fence,
                clock=parts.clock,
                region=parts.region,
                tally=parts.deliveries,
            ),
            UndeliveredExpiry(parts.store, fence=fence),
        ]
    )


def _reaper(parts: WorkerParts, lease: Lease, pace: Pace) -> Unit:
    fence = _fence(lease)
    return InTurn(
        [
            Reaper(parts.store, fence=fence, grace_us=parts.grace_us, clock=parts.clock),
            JournalExpiry(parts.store, fence=fence),
            OperationExpiry(parts.store, fence=fence),
        ]
    )


def _replicator(parts: WorkerParts, lease: Lease, pace: Pace) -> Unit:
    return Replicator(parts.integrity, parts.healing, fence=_fence(lease), pace=pace)


def _trimmer(parts: WorkerParts, lease: Lease, pace: Pace) -> Unit:
    return Trimmer(parts.integrity, parts.healing, fence=_fence(lease), pace=pace)


def _usage(parts: WorkerParts, lease: Lease, pace: Pace) -> Unit:
    return UsageRecorder(parts.store, fence=_fence(lease))


def _scrubber(parts: WorkerParts, lease: Lease, pace: Pace) -> Unit:
    fence = _fence(lease)
    return Scrubber(
        parts.store,
        parts.integrity.backends,
        parts.integrity.inspector(fence, pace),
        agenda=parts.agenda,
        fence=fence,
        clock=parts.clock,
        period_s=parts.scrub_period_s,
    )
