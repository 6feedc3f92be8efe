"""Looking at a deployment without being part of it: no process row, no volume taken, nothing registered or renewed."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.backends.base import Backend
from engine.backends.registry import VolumePlace, make_backend
from engine.backends.volume.backend import VolumeBackend
from engine.backends.volume.descriptors import DescriptorCache
from engine.deployment.database import open_store
from engine.deployment.places import s3_place
from engine.deployment.ring import DocumentSeal, key_provider, open_ring
from engine.errors import StartRefused
from engine.metadata import backends, deployments, generations, keys
from engine.metadata.generations import Generation
from engine.metadata.sqlite.doubt import Doubt
from engine.metadata.sqlite.store import SqliteStore
from engine.metadata.store import Store
from engine.names import BackendName
from engine.records import BackendState
from engine.sealing.keyring import KeyRing
from engine.sealing.trailer_macs import trailer_mac
from engine.settings import LiveSettings, Settings, live_from_document, load_settings
from engine.settings.database import SqliteSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """An open deployment to look at. `unseen` are backends whose bytes only their own process can reach.

    `volumes` are those of `backends` that lie in files.
    """

    store: Store
    ring: KeyRing
    backends: tuple[Backend, ...]
    volumes: tuple[VolumeBackend, ...]
    unseen: tuple[BackendName, ...]


class _NoLedger:
    """No volume is this process's to append to."""

    def opened(self, volume_id: bytes, /) -> bool:
        return False

    def closed(self, volume_id: bytes, size_bytes: int, /) -> None:
        raise AssertionError("nothing was opened")


@contextmanager
def inspect(config: Path, environ: Mapping[str, str]) -> Iterator[Inspection]:
    """Open what a configuration describes, served or not, as the newest generation says.

    Raises InvalidConfig, WrongKey, StartRefused when there is no deployment, and what the store raises.
    """
    settings = load_settings(config, environ)
    provider = key_provider(settings.node.keys)
    database = settings.node.database
    if isinstance(database, SqliteSettings) and not database.path.exists():
        raise StartRefused(
            f"there is no deployment yet: {database.path} is made by the first `penstock serve`"
        )
    with ExitStack() as stack:
        store = open_store(settings.node)
        stack.callback(store.close)
        if isinstance(store, SqliteStore) and store.was_unclean:
            # This look ends cleanly, and would be the last to know.
            Doubt(store.path).arise()
        deployment, newest = store.read(deployments.read_deployment), store.read(generations.current)
        if deployment is None or newest is None:
            raise StartRefused("there is no deployment yet: the first `penstock serve` makes it")
        ring = open_ring(store.read(keys.list_keys), provider)
        places = {each.name: each for each in _live(settings, newest, ring, environ).backends}
        descriptors = DescriptorCache()
        stack.callback(descriptors.close)
        opened: list[Backend] = []
        unseen: list[BackendName] = []
        for row in store.read(backends.list_backends):
            if row.state is BackendState.REMOVED:
                continue
            place = places.get(row.name)
            if place is None or place.kind == "memory":
                unseen.append(row.name)
                continue
            backend = make_backend(
                row,
                VolumePlace(path=place.folder) if place.kind == "volume" else s3_place(place),
                deployment_id=deployment.deployment_id,
                ledger=_NoLedger(),
                descriptors=descriptors,
                mac=trailer_mac(ring),
            )
            stack.callback(backend.close)
            opened.append(backend)
        volumes = tuple(each for each in opened if isinstance(each, VolumeBackend))
        yield Inspection(
            store=store, ring=ring, backends=tuple(opened), volumes=volumes, unseen=tuple(unseen)
        )


def _live(settings: Settings, newest: Generation, ring: KeyRing, environ: Mapping[str, str]) -> LiveSettings:
    if newest.file_digest == settings.file_digest:
        return settings.live
    return live_from_document(
        json.loads(newest.document),
        DocumentSeal(ring).open,
        environ=environ,
        folder=settings.path.parent,
    )
