"""Making backends from what the configuration and the metadata say of them, and finding them by id or name."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from engine.backends.base import Backend, ListedBackend
from engine.backends.layers.layer import innermost
from engine.backends.memory import MemoryBackend
from engine.backends.s3.backend import S3Backend
from engine.backends.s3.client import BeforeRequest, not_counted
from engine.backends.s3.format import TrailerMac
from engine.backends.s3.place import S3Place
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


Place = VolumePlace | MemoryPlace | S3Place


def make_backend(
    row: BackendRow,
    place: Place,
    *,
    deployment_id: bytes,
    ledger: VolumeLedger,
    descriptors: DescriptorCache,
    mac: TrailerMac,
    before_request: BeforeRequest = not_counted,
) -> Backend:
    """The backend of a row at its place; nothing is opened or checked yet. `descriptors` is one per process.

    `mac` is that of trailers on remote stores, `before_request` is told of each request to one.
    """
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
    if isinstance(place, S3Place):
        return S3Backend(
            backend_id=row.backend_id,
            name=row.name,
            place=place,
            deployment_id=deployment_id,
            identity_id=row.identity_id,
            mac=mac,
            before_request=before_request,
        )
    return MemoryBackend(backend_id=row.backend_id, name=row.name, capacity_bytes=place.capacity_bytes)


def volume_in(backend: Backend | None) -> VolumeBackend | None:
    """The volume itself, whatever layers stand around it; null for another kind of store."""
    bare = None if backend is None else innermost(backend)
    return bare if isinstance(bare, VolumeBackend) else None


def volumes_in(backends: Iterable[Backend]) -> list[VolumeBackend]:
    """The volumes among backends, without their layers: for what is done to files."""
    return [volume for volume in map(volume_in, backends) if volume is not None]


def s3_in(backend: Backend) -> S3Backend | None:
    """The S3 backend itself, whatever layers stand around it; null for another kind of store."""
    bare = innermost(backend)
    return bare if isinstance(bare, S3Backend) else None


def listed_in(backend: Backend) -> ListedBackend | None:
    """A backend as one whose store can be listed, through its layers; null for one that cannot."""
    return cast(ListedBackend, backend) if isinstance(innermost(backend), S3Backend | MemoryBackend) else None


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
