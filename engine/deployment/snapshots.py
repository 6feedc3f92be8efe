"""What a generation makes of a process: its settings, its backends and the use cases over them, never changed."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.cache.blobs import BlobCache
from engine.cache.folder import CacheFolder
from engine.deployment.lagging import shared_backends
from engine.deployment.outage import Precautions
from engine.deployment.ring import DocumentSeal
from engine.deployment.stores import BackendOpener, OpenBackends
from engine.deployment.use_cases import Standing, UseCases, build_use_cases
from engine.metadata.buckets import is_any_sealed
from engine.metadata.generations import Generation
from engine.objects.storage_policy import StoragePolicy
from engine.placement.policy import Routing
from engine.records import Sealing, UsageKind
from engine.settings import LiveSettings, live_from_document
from engine.settings.storage import BackendSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One generation at work. Requests end on the one they began with."""

    generation: int
    live: LiveSettings
    opened: OpenBackends
    use: UseCases


def cache_folder(live: LiveSettings) -> CacheFolder | None:
    """Where blobs are kept near; null when the generation says nothing of it."""
    settings = live.storage.cache
    return None if settings is None else CacheFolder(settings.path, size_bytes_max=settings.size_bytes)


def month_limits(snapshot: Snapshot) -> Mapping[int, Mapping[UsageKind, int]]:
    """What may be used of backends in a month, by their ids."""
    limits = {each.name: each.limits.amounts for each in snapshot.live.backends}
    return {each.backend_id: limits.get(each.name, {}) for each in snapshot.opened.backends}


def _of_which(
    live: LiveSettings, opened: OpenBackends, is_meant: Callable[[BackendSettings], bool]
) -> frozenset[int]:
    """The backends whose settings say so."""
    names = {each.name for each in live.backends if is_meant(each)}
    return frozenset(each.backend_id for each in opened.backends if each.name in names)


class SnapshotMaker:
    """Makes the snapshots of one process, one after the other, over what stands through all of them."""

    def __init__(
        self,
        standing: Standing,
        opener: BackendOpener,
        precautions: Precautions,
        *,
        environ: Mapping[str, str],
        folder: Path,
    ) -> None:
        """`environ` and `folder` are what references of a generation mean on this node."""
        self._standing = standing
        self._opener = opener
        self._precautions = precautions
        self._environ = environ
        self._folder = folder

    def of(self, generation: int, live: LiveSettings, opened: OpenBackends, *, seals_cards: bool) -> Snapshot:
        """The snapshot of settings and backends that are there."""
        storage = live.storage
        policy = StoragePolicy(
            default_scheme=storage.default_scheme,
            default_seal=storage.seal,
            chunk_bytes=storage.chunk_bytes,
            inline_buffer_bytes=storage.inline_buffer_bytes,
            write_quorum=storage.write_quorum,
        )
        use = build_use_cases(
            self._standing,
            backends=opened.backends,
            policy=policy,
            routing=Routing(live.routing),
            seals_cards=seals_cards,
            memory=self._precautions.memory_for(live),
            cache=self._cache(live),
            hedged=_of_which(live, opened, lambda each: each.is_hedged),
            unverified=_of_which(live, opened, lambda each: not each.verify_reads),
            shared=lambda tx: shared_backends(tx, generation),
            notification_targets=frozenset(each.name for each in live.notifications),
        )
        return Snapshot(generation=generation, live=live, opened=opened, use=use)

    def _cache(self, live: LiveSettings) -> BlobCache | None:
        folder, settings = cache_folder(live), live.storage.cache
        if folder is None or settings is None:
            return None
        return BlobCache(folder, blob_bytes_max=settings.blob_bytes_max, counts=self._standing.cache_counts)

    def next(self, before: Snapshot, generation: Generation) -> Snapshot:
        """The snapshot of a generation that takes the place of another; what both have is the same in both.

        Raises InvalidConfig for a reference without value here, BackendError and StartRefused for a backend that
        cannot be used, SealBroken and KeyUnavailable, and what a write raises; then nothing has changed.
        """
        live = live_from_document(
            json.loads(generation.document),
            DocumentSeal(self._standing.ring).open,
            environ=self._environ,
            folder=self._folder,
        )
        opened = self._opener.open_next(before.opened, live)
        return self.of(generation.generation, live, opened, seals_cards=self.seals_cards(live))

    def seals_cards(self, live: LiveSettings) -> bool:
        """Whether something of the deployment is sealed. Raises what a read raises."""
        return live.storage.seal is Sealing.ALL or self._standing.store.read(is_any_sealed)
