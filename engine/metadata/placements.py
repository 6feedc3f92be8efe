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
        places = {_place_of(each) for each in locations}
        for backend_id in sorted({backend_id for backend_id, _ in places}):
            tx.lock("lock_fence", {"backend_id": backend_id})
        for volume_id in sorted({each for _, each in places if each is not None}):
            tx.lock("lock_volume", {"volume_id": volume_id})
        self._locations = locations
        self._asked = {
            (backend_id, volume_id): tx.ask(
                "find_placement", {"backend_id": backend_id, "volume_id": volume_id}
            )
            for backend_id, volume_id in places
        }

    def refused(self, locations: Sequence[Location] | None = None) -> list[str]:
        """Storage keys of the places that no row may come to name, of some of the pieces or of all."""
        return [
            each.storage_key
            for each in (self._locations if locations is None else locations)
            if not _takes_placement(self._asked[_place_of(each)].row_or_none())
        ]

    def check(self, locations: Sequence[Location] | None = None) -> None:
        """Raises PlacementRefused, which names all of these pieces that may not be named."""
        refused = self.refused(locations)
        if refused:
            raise PlacementRefused(storage_keys=tuple(refused))


def _place_of(location: Location) -> tuple[int, bytes | None]:
    """Its backend, and its volume if it lies in one."""
    return location.backend_id, volume_of(location.storage_key)


def _takes_placement(row: Row | None) -> bool:
    if row is None:
        return False
    kind, backend_state, volume_state = row
    if backend_state != BackendState.ACTIVE.value:
        return False
    return kind != "volume" or volume_state in _TAKES_PLACEMENTS
