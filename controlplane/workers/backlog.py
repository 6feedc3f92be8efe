"""How much waits for each worker, for people and for alarms."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from engine.metadata import cleanup, intents, reaper
from engine.metadata.backends import list_backends
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


def _reaper(tx: Tx) -> int:
    """Retired rows, those at which the reaper stopped included."""
    return sum(reaper.waiting(tx))


def _compaction(tx: Tx) -> int:
    """Volume files being emptied or waiting to be unlinked."""
    waits = (VolumeState.COMPACTING, VolumeState.GONE)
    return sum(
        row.state in waits for backend in list_backends(tx) for row in list_volumes(tx, backend.backend_id)
    )


_COUNTS: Mapping[str, Callable[[Tx], int]] = MappingProxyType(
    {
        "cleanup": _cleanup,
        "compaction": _compaction,
        "intents": intents.count,
        "reaper": _reaper,
    }
)
