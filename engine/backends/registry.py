"""Making backends from what the configuration and the metadata say of them, and finding them by id or name."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.backends.base import Backend
from engine.backends.memory import MemoryBackend
from engine.backends.volume.backend import VolumeBackend
from engine.backends.volume.descriptors import DescriptorCache
from engine.backends.volume.ledger import VolumeLedger
from engine.errors import BackendUnavailable
from engine.names import BackendName
from engine.records import BackendRow


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumePlace:
    """A directory on a local disk of this node."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlace:
    """This process's memory: what is stored there ends with it."""

    capacity_bytes: int | None = None


Place = VolumePlace | MemoryPlace


def make_backend(
    row: BackendRow, place: Place, *, deployment_id: bytes, ledger: VolumeLedger, descriptors: DescriptorCache
) -> Backend:
    """The backend of a row at its place; nothing is opened or checked yet. `descriptors` is one per process."""
    if isinstance(place, VolumePlace):
        return VolumeBackend(
            backend_id=row.backend_id,
            name=row.name,
            path=place.path,
            ledger=ledger,
            deployment_id=deployment_id,
            identity_id=row.identity_id,
            node=row.node,
            descriptors=descriptors,
        )
    return MemoryBackend(backend_id=row.backend_id, name=row.name, capacity_bytes=place.capacity_bytes)


class Backends:
    """The backends a process knows, by id; their set never changes while it runs."""

    def __init__(self, backends: Iterable[Backend]) -> None:
        self._by_id = {backend.backend_id: backend for backend in backends}
        self._by_name = {backend.name: backend for backend in self._by_id.values()}

    def __iter__(self) -> Iterator[Backend]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, backend_id: int, /) -> Backend:
        """Raises BackendUnavailable for one that is not configured here: its pieces cannot be reached."""
        backend = self._by_id.get(backend_id)
        if backend is None:
            raise BackendUnavailable("not configured in this process", backend=str(backend_id))
        return backend

    def find(self, name: BackendName) -> Backend | None:
        return self._by_name.get(name)

    def close(self) -> None:
        """Close all of them."""
        for backend in self._by_id.values():
            backend.close()
