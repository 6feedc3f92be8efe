"""A small deployment behind the use cases of clients: real metadata, real volumes, memory that behaves like S3."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from engine.backends.base import Backend
from engine.backends.memory import MemoryBackend
from engine.backends.registry import Backends, volumes_in
from engine.backends.volume.backend import VOLUME_SIZE_MAX_BYTES, VolumeBackend
from engine.backends.volume.disk import Disk
from engine.backends.volume.identity import Identity, init_identity
from engine.cache.blobs import BlobCache, CacheCounts
from engine.cache.folder import CacheFolder
from engine.clock import uuid7
from engine.deployment.use_cases import UseCases, build_use_cases, make_standing
from engine.errors import BackendError, NoSuchBucket
from engine.metadata import accounts, buckets, cleanup, intents, processes, reaper
from engine.metadata.backends import ensure_backend, mark_registered
from engine.metadata.keys import insert_key, list_keys
from engine.metadata.store import Store, Tx
from engine.names import BackendName, BucketName, ObjectKey, bucket_name
from engine.objects.complete import Completed, CompleteRequest
from engine.objects.copy import Copied, CopyOrder
from engine.objects.multipart import UploadOrder, WrittenPart
from engine.objects.read import Span
from engine.objects.remove import RemoveOrder
from engine.objects.storage_policy import StoragePolicy
from engine.objects.write import PutOrder, Written
from engine.placement.health import HealthBoard
from engine.placement.policy import Routing
from engine.records import (
    CleanupItem,
    Copies,
    ListedPart,
    ObjectHeaders,
    Origin,
    Scheme,
    Sealing,
    StoredVersion,
)
from engine.sealing.keyring import KeyRing, RingKeyRecord, new_ring_key
from engine.sealing.providers import inline_provider
from engine.streams import BodySource, ChecksumAlgorithm, ChecksumType
from engine.units import HOUR_S, KIB, MIB
from engine.upkeep.compaction import VolumeCompactor
from engine.upkeep.fsck import Fsck
from engine.upkeep.fsck_cards import RingCards
from engine.upkeep.fsck_report import FsckReport
from engine.upkeep.integrity_parts import IntegrityParts
from engine.upkeep.volume_ledger import StoredVolumeLedger
from engine.upkeep.volume_sweep import VolumeSweeper
from tests.support.bodies import BytesBody, regions_of
from tests.support.deployments import TestClock, no_fence
from tests.support.engines import open_metadata
from tests.support.metadata import run_sql

DEPLOYMENT_ID = b"deployment-----1"
NODE = "node-1"
BUCKET = bucket_name("photos")
GRACE_US = HOUR_S * 1_000_000


@dataclass(kw_only=True)
class Shape:
    """What a test's deployment looks like. Blobs are small, so that a few hundred KiB make several of them."""

    volume_count: int = 2
    memory_count: int = 0
    scheme: Scheme = field(default_factory=lambda: Copies(count=1))
    seal: Sealing = Sealing.NONE
    chunk_bytes: int = MIB
    inline_buffer_bytes: int = 64 * KIB
    write_quorum: int | None = None
    routing: Routing = Routing.SPREAD
    backend_quota_bytes: int | None = None
    bucket_quota_bytes: int | None = None
    part_size_min_bytes: int = 1
    volume_size_max_bytes: int = VOLUME_SIZE_MAX_BYTES
    fill_bytes: int = 0
    verify_reads: bool = True
    """Of all backends."""
    cache_bytes: int | None = None
    """Of a cache of blobs in the rig's folder; null: there is none."""


class RigClock(TestClock):
    """Time that passes does so for processes as well as for rows."""

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.ahead_us / 1_000_000


class ObjectRig:
    """Opens over a folder, a new one or one that was used before.

    `restart` stops cleanly; `crash` is a process gone between two instructions, whose writes the kernel still has.
    """

    def __init__(
        self,
        folder: Path,
        shape: Shape | None = None,
        *,
        disk: Disk | None = None,
        ring_record: RingKeyRecord | None = None,
        wrap_store: Callable[[Store], Store] = lambda store: store,
        wrap_backend: Callable[[Backend], Backend] = lambda backend: backend,
    ) -> None:
        """`disk` is what all volumes write through. Use cases see store and backends wrapped, upkeep sees them bare."""
        self.folder = folder
        self.shape = shape or Shape()
        self.clock = RigClock()
        self.disk = disk
        self.ring_record = ring_record or new_ring_key(inline_provider(_MASTER_KEY))
        self._wrap_store = wrap_store
        self._wrap_backend = wrap_backend
        # A memory backend outlives the process that writes to it, as a remote store does.
        self._memories: dict[int, MemoryBackend] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._open()
        self.account_id = self.store.write(lambda tx: accounts.ensure_account(tx, "main", Origin.CONFIG))
        if not self._has_bucket():
            self.make_bucket(BUCKET, quota_bytes=self.shape.bucket_quota_bytes)

    def make_bucket(
        self,
        name: BucketName,
        *,
        scheme: Scheme | None = None,
        seal: Sealing | None = None,
        quota_bytes: int | None = None,
    ) -> None:
        self.store.write(
            lambda tx: buckets.create_bucket(
                tx,
                name=name,
                account_id=self.account_id,
                origin=Origin.API,
                scheme=scheme,
                seal=seal,
                quota_bytes=quota_bytes,
            )
        )

    # --- objects, as clients would say it ---

    def put(
        self,
        key: str,
        data: bytes | BodySource,
        *,
        bucket: BucketName = BUCKET,
        if_none_match: bool = False,
        if_match_etag: str | None = None,
        headers: ObjectHeaders | None = None,
    ) -> Written:
        order = PutOrder(
            bucket=bucket,
            key=key_of(key),
            account_id=self.account_id,
            headers=headers or ObjectHeaders(),
            if_none_match=if_none_match,
            if_match_etag=if_match_etag,
        )
        body = BytesBody(data) if isinstance(data, bytes) else data
        return self.objects.writer.put(order, body)

    def find(self, key: str, *, bucket: BucketName = BUCKET) -> StoredVersion:
        return self.objects.reader.find(bucket, key_of(key))

    def get(self, key: str, start: int = 0, stop: int | None = None, *, bucket: BucketName = BUCKET) -> bytes:
        return self.read(self.find(key, bucket=bucket), start, stop)

    def read(self, stored: StoredVersion, start: int = 0, stop: int | None = None) -> bytes:
        end = stored.version.size_bytes if stop is None else stop
        return b"".join(regions_of(self.objects.reader.open(stored, Span(start=start, stop=end))))

    def delete(self, key: str, *, bucket: BucketName = BUCKET) -> None:
        self.objects.remover.delete(bucket, RemoveOrder(key=key_of(key)))

    def keys(self, *, bucket: BucketName = BUCKET) -> list[str]:
        found: list[str] = []
        after: bytes | None = None
        while True:
            page = self.objects.listings.page(bucket, b"", b"", after, 7)
            found += [each.key.decode() for each in page.versions]
            if page.next_after is None:
                return found
            after = page.next_after

    def copy(
        self,
        source: str,
        target: str,
        *,
        source_bucket: BucketName = BUCKET,
        bucket: BucketName = BUCKET,
        headers: ObjectHeaders | None = None,
        checksum_algorithm: ChecksumAlgorithm | None = None,
    ) -> Copied:
        order = CopyOrder(
            source=self.find(source, bucket=source_bucket),
            bucket=bucket,
            key=key_of(target),
            account_id=self.account_id,
            headers=headers,
            checksum_algorithm=checksum_algorithm,
        )
        return self.objects.copier.copy(order)

    def begin_upload(
        self,
        key: str,
        *,
        headers: ObjectHeaders | None = None,
        checksum_algorithm: ChecksumAlgorithm | None = None,
        checksum_type: ChecksumType | None = None,
    ) -> bytes:
        order = UploadOrder(
            bucket=BUCKET,
            key=key_of(key),
            account_id=self.account_id,
            headers=headers or ObjectHeaders(),
            checksum_algorithm=checksum_algorithm,
            checksum_type=checksum_type,
        )
        return self.objects.multipart.create(order)

    def put_part(self, upload_id: bytes, key: str, number: int, data: bytes | BodySource) -> WrittenPart:
        body = BytesBody(data) if isinstance(data, bytes) else data
        return self.objects.multipart.put_part(upload_id, BUCKET, key_of(key), number, body)

    def complete(self, upload_id: bytes, key: str, parts: Sequence[WrittenPart]) -> Completed:
        return self.objects.multipart.complete(
            CompleteRequest(
                upload_id=upload_id,
                bucket=BUCKET,
                key=key_of(key),
                parts=[ListedPart(part_number=each.part_number, etag=each.etag) for each in parts],
            )
        )

    def abort_upload(self, upload_id: bytes, key: str) -> None:
        self.objects.multipart.abort(upload_id, BUCKET, key_of(key))

    # --- upkeep ---

    def reap(self) -> None:
        """Walk everything that was retired."""
        while self.store.write(lambda tx: reaper.reap_step(tx, grace_us=GRACE_US)).has_more:
            pass

    def clean_up(self) -> int:
        """Try once to delete each piece that waits, its grace ignored; how many went."""
        waiting: list[CleanupItem] = []
        while items := self.store.write(
            lambda tx: cleanup.claim_due(tx, process_id=self.process_id, count_max=50, ignore_grace=True)
        ):
            waiting += items
        count = 0
        for item in waiting:
            try:
                self.backends.get(item.backend_id).delete(item.storage_key, item.size_bytes)
            except BackendError as error:
                self.store.write(partial(cleanup.postpone, item=item, error=str(error)))
            else:
                self.store.write(partial(cleanup.settle_deleted, items=[item]))
                count += 1
        return count

    def due_count(self) -> int:
        """How many pieces the cleanup queue would delete now."""
        return self.store.read(cleanup.depth).due_count

    def recover_intents(self) -> int:
        """Delete what dead processes announced; how many pieces they may have left. This process lives, and says so."""
        self.store.write(partial(processes.beat, process_id=self.process_id, generation=None))
        claimed = self.store.write(
            lambda tx: intents.claim_dead(tx, process_id=self.process_id, dead_after_s=15.0, count_max=1000)
        )
        for intent in claimed:
            backend = self.backends.get(intent.backend_id)
            backend.delete(intent.storage_key, 0)
            self.store.write(partial(intents.forget, intent_id=intent.intent_id))
        return len(claimed)

    def compact(self) -> None:
        """Close the files being appended to, empty those that are worth it, and unlink what may go."""
        for volume in self.volumes:
            volume.close_volumes()
        compactor = VolumeCompactor(self.store, self.volumes, fence=no_fence, grace_us=GRACE_US)
        while compactor.work().has_more:
            pass
        self.sweep()

    def sweep(self) -> None:
        """Unlink the files that were given up and whose grace has passed."""
        sweeper = VolumeSweeper(self.store, self.volumes, fence=no_fence, clock=self.clock)
        while sweeper.work().has_more:
            pass

    def settle(self) -> FsckReport:
        """All that upkeep does after whatever happened, with every grace passed; what fsck says then."""
        self.clock.pass_grace()
        self.recover_intents()
        self.reap()
        self.clean_up()
        return self.fsck()

    def unaccounted(self) -> set[str]:
        """Pieces on memory backends that neither a location, nor an intent, nor the cleanup queue names."""
        named = {key for (key,) in run_sql(self.store, _NAMED_KEYS)}
        return {key for memory in self.memories for key in memory.storage_keys()} - named

    def intent_count(self) -> int:
        return self.store.read(intents.count)

    def integrity(self) -> IntegrityParts:
        """What looking after bytes works with."""
        return IntegrityParts(
            store=self.store,
            backends=self.backends,
            health=self.health,
            ring=self.ring,
            announcer=self.objects.holder,
            routing=self.shape.routing,
            clock=self.clock,
            grace_us=GRACE_US,
            rewriter=self.objects.rewriter,
        )

    def fsck(self) -> FsckReport:
        """Rows and bytes compared, every payload verified."""
        cards = RingCards(self.ring)
        return Fsck(self.store, list(self.backends), volumes=self.volumes, cards=cards).run()

    @property
    def volumes(self) -> list[VolumeBackend]:
        return volumes_in(self.backends)

    @property
    def memories(self) -> list[MemoryBackend]:
        return list(self._memories.values())

    def damage(self, storage_key: str, offset: int) -> None:
        """Flip a bit of a payload at rest, on whatever backend holds it."""
        for backend in self.backends:
            if isinstance(backend, MemoryBackend):
                if storage_key in backend.storage_keys():
                    backend.flip_bit(storage_key, offset)
                    return
            elif isinstance(backend, VolumeBackend):
                volume_id, _, _ = storage_key.partition(":")
                path = next(backend.path.glob(f"*{volume_id}*"), None)
                if path is not None:
                    _flip(backend, storage_key, offset)
                    return
        raise AssertionError(f"no backend holds {storage_key}")

    # --- the end of processes ---

    def restart(self) -> None:
        """A clean stop and a new process over the same folders."""
        self._close()
        self._open()

    def crash(self) -> None:
        """The process is gone between two instructions: no row of it is settled and nothing is given back."""
        wreck, volumes = self.store, self.volumes
        self._open()
        # Descriptors and locks go as the kernel takes them; the database stays open in the new process meanwhile.
        for volume in volumes:
            volume.close()
        wreck.close()

    def close(self) -> None:
        self._close()

    def _close(self) -> None:
        self.objects.holder.close()
        for volume in self.volumes:
            volume.close()
        self.store.write(lambda tx: processes.stop(tx, self.process_id))
        self.store.close()

    def _open(self) -> None:
        self.instance_id, self.process_id = uuid7(), uuid7()
        self.store = open_metadata(self.folder, self.clock)
        self.store.write(self._register)
        made: list[Backend] = [
            *(self._open_volume(number) for number in range(self.shape.volume_count)),
            *(self._open_memory(number) for number in range(self.shape.memory_count)),
        ]
        self.backends = Backends(made)
        self.health = HealthBoard(self.clock)
        self.ring = KeyRing([self.ring_record], inline_provider(_MASTER_KEY))
        standing = make_standing(
            store=self._wrap_store(self.store),
            ring=self.ring,
            health=self.health,
            instance_id=self.instance_id,
            clock=self.clock,
            ids=uuid7,
        )
        self.cache = self._make_cache(standing.cache_counts)
        self.hedges = standing.hedges
        self.objects: UseCases = build_use_cases(
            standing,
            backends=Backends(map(self._wrap_backend, made)),
            policy=StoragePolicy(
                default_scheme=self.shape.scheme,
                default_seal=self.shape.seal,
                chunk_bytes=self.shape.chunk_bytes,
                inline_buffer_bytes=self.shape.inline_buffer_bytes,
                write_quorum=self.shape.write_quorum,
            ),
            routing=self.shape.routing,
            seals_cards=self.shape.seal is Sealing.ALL,
            part_size_min_bytes=self.shape.part_size_min_bytes,
            cache=self.cache,
            hedged=frozenset(each.backend_id for each in made),
            unverified=frozenset(() if self.shape.verify_reads else (each.backend_id for each in made)),
        )

    def _make_cache(self, counts: CacheCounts) -> BlobCache | None:
        if self.shape.cache_bytes is None:
            return None
        folder = CacheFolder(self.folder / "cache", size_bytes_max=self.shape.cache_bytes)
        return BlobCache(folder, blob_bytes_max=2 * self.shape.chunk_bytes, counts=counts)

    def _has_bucket(self) -> bool:
        try:
            self.objects.buckets.get(BUCKET)
        except NoSuchBucket:
            return False
        return True

    def _register(self, tx: Tx) -> None:
        processes.register(
            tx,
            instance_id=self.instance_id,
            process_id=self.process_id,
            node=NODE,
            version="0",
            plane="dataplane",
            pid=1,
            generation=None,
        )
        if not any(row.key_id == self.ring_record.key_id for row in list_keys(tx)):
            insert_key(
                tx,
                key_id=self.ring_record.key_id,
                key_name=self.ring_record.key_name,
                provider=self.ring_record.provider,
                wrapped_material=self.ring_record.wrapped_material,
                state=self.ring_record.state.value,
                check_value=self.ring_record.check_value,
            )

    def _ensure_backend(self, name: BackendName, kind: str, identity_id: bytes) -> int:
        def unit(tx: Tx) -> int:
            backend_id = ensure_backend(
                tx,
                name=name,
                kind=kind,
                node=NODE if kind == "volume" else None,
                failure_domain=name,
                identity_id=identity_id,
                quota_bytes=self.shape.backend_quota_bytes,
            )
            mark_registered(tx, backend_id)
            return backend_id

        return self.store.write(unit)

    def _open_volume(self, number: int) -> VolumeBackend:
        name = BackendName(f"disk-{number}")
        identity_id = f"volume---------{number}".encode()
        backend_id = self._ensure_backend(name, "volume", identity_id)
        path = self.folder / name
        identity = Identity(backend=name, deployment_id=DEPLOYMENT_ID, identity_id=identity_id, node=NODE)
        init_identity(path, identity, created_at_us=1)
        return VolumeBackend(
            backend_id=backend_id,
            name=name,
            path=path,
            ledger=StoredVolumeLedger(self.store, backend_id=backend_id, process_id=self.process_id),
            deployment_id=DEPLOYMENT_ID,
            identity_id=identity_id,
            node=NODE,
            clock=self.clock,
            size_max_bytes=self.shape.volume_size_max_bytes,
            free_min_bytes=0,
            fill_bytes=self.shape.fill_bytes,
            full_holdoff_s=0.0,
            disk=self.disk,
        )

    def _open_memory(self, number: int) -> MemoryBackend:
        name = BackendName(f"cloud-{number}")
        backend_id = self._ensure_backend(name, "memory", f"memory---------{number}".encode())
        return self._memories.setdefault(backend_id, MemoryBackend(backend_id=backend_id, name=name))


_NAMED_KEYS = """
SELECT storage_key FROM object_locations UNION SELECT storage_key FROM pending_objects
UNION SELECT storage_key FROM cleanup_queue UNION SELECT storage_key FROM cleanup_dlq
"""

_MASTER_KEY = base64.b64encode(bytes(range(32))).decode()


def key_of(text: str) -> ObjectKey:
    return ObjectKey(text.encode())


def _flip(backend: VolumeBackend, storage_key: str, offset: int) -> None:
    reader = backend.open_reader(storage_key, offset + 1)
    try:
        place = reader.region(offset, 1)
        assert place is not None
        path = Path(f"/proc/self/fd/{place.fd}").resolve()
        with path.open("r+b") as file:
            file.seek(place.offset)
            byte = file.read(1)[0]
            file.seek(place.offset)
            file.write(bytes([byte ^ 1]))
    finally:
        reader.close()
