"""How much waits for each worker, for people and for alarms."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from engine.metadata import cleanup, intents, outbox, pieces, reaper, repairs
from engine.metadata.backends import list_backends
from engine.metadata.repairs import RepairKind
from engine.metadata.store import Store, Tx
from engine.metadata.volumes import list_volumes
from engine.records import VolumeState


def backlog(store: Store, worker: str) -> int | None:
    """Things that wait for a worker; null for one that does not count them, or of which there is none."""
    count = _COUNTS.get(worker)
    return None if count is None else store.read(count)


def _cleanup(tx: Tx) -> int:
    """Keys to delete, those still in their grace included; dead letters wait for somebody else."""
    return cleanup.depth(tx).queued_count


def _notifier(tx: Tx) -> int:
    """Events to send, those that wait for another try included; dead letters are not."""
    return outbox.depth(tx).waiting_count


def _reaper(tx: Tx) -> int:
    """Retired rows, those at which the reaper stopped included."""
    return sum(reaper.waiting(tx))


def _compaction(tx: Tx) -> int:
    """Volume files being emptied or waiting to be unlinked."""
    waits = (VolumeState.COMPACTING, VolumeState.GONE)
    return sum(
        row.state in waits for backend in list_backends(tx) for row in list_volumes(tx, backend.backend_id)
    )


def _canary(tx: Tx) -> int:
    """Stores that took no trial write."""
    return sum(row.write_problem is not None for row in list_backends(tx))


def _scrubber(tx: Tx) -> int:
    """Pieces that were found bad and stay so."""
    return sum(sum(pieces.count_bad(tx, backend.backend_id).values()) for backend in list_backends(tx))


def _waiting(tx: Tx, *, kind: RepairKind) -> int:
    """Blobs with copies too few or too many."""
    return repairs.count_repairs(tx)[kind].waiting_count


_COUNTS: Mapping[str, Callable[[Tx], int]] = MappingProxyType(
    {
        "canary": _canary,
        "cleanup": _cleanup,
        "compaction": _compaction,
        "intents": intents.count,
        "notifier": _notifier,
        "reaper": _reaper,
        "replicator": partial(_waiting, kind=RepairKind.HEAL),
        "scrubber": _scrubber,
        "trimmer": partial(_waiting, kind=RepairKind.TRIM),
    }
)
