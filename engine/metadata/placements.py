"""Places that rows come to name: locked against those who would take them away, and asked whether they may be named."""

from collections.abc import Sequence

from engine.errors import PlacementRefused
from engine.metadata.store import Row, Tx
from engine.metadata.volumes import volume_of
from engine.records import BackendState, Location, VolumeState

_TAKES_PLACEMENTS = (VolumeState.OPEN.value, VolumeState.CLOSED.value)


class Placements:
    """The places of fresh pieces. Locks and reads are two statements: the second sees what the first waited for."""

    def __init__(self, tx: Tx, locations: Sequence[Location]) -> None:
        for backend_id in sorted({each.backend_id for each in locations}):
            tx.lock("lock_fence", {"backend_id": backend_id})
        volume_ids = {volume_of(each.storage_key) for each in locations}
        for volume_id in sorted(each for each in volume_ids if each is not None):
            tx.lock("lock_volume", {"volume_id": volume_id})
        self._asked = [
            (
                each.storage_key,
                tx.ask(
                    "find_placement",
                    {"backend_id": each.backend_id, "volume_id": volume_of(each.storage_key)},
                ),
            )
            for each in locations
        ]

    def refused(self) -> list[str]:
        """Storage keys of the places that no row may come to name."""
        return [key for key, asked in self._asked if not _takes_placement(asked.row_or_none())]

    def check(self) -> None:
        """Raises PlacementRefused, which names all that may not be named."""
        refused = self.refused()
        if refused:
            raise PlacementRefused(storage_keys=tuple(refused))


def _takes_placement(row: Row | None) -> bool:
    if row is None:
        return False
    kind, backend_state, volume_state = row
    if backend_state != BackendState.ACTIVE.value:
        return False
    return kind != "volume" or volume_state in _TAKES_PLACEMENTS
