"""A small deployment over real metadata and real volumes, driven without HTTP: what upkeep works on."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from engine.backends.volume.backend import VolumeBackend
from engine.backends.volume.disk import Disk
from engine.backends.volume.identity import Identity, init_identity
from engine.clock import SystemClock, uuid7
from engine.errors import BackendError
from engine.metadata import accounts, buckets, cleanup, locations, publish, reaper, remove, versions
from engine.metadata.backends import ensure_backend
from engine.metadata.store import Tx
from engine.names import BackendName, BucketName, bucket_name, object_key
from engine.records import (
    Blob,
    Copies,
    Location,
    LocationState,
    NewBlob,
    NewVersion,
    ObjectHeaders,
    Origin,
    Segment,
)
from engine.units import BLOCK_BYTES, HOUR_S, MIB
from engine.upkeep.compaction import Fence, VolumeCompactor
from engine.upkeep.fsck import Fsck
from engine.upkeep.fsck_report import FsckReport
from engine.upkeep.long_work import Pace
from engine.upkeep.volume_ledger import StoredVolumeLedger
from engine.upkeep.volume_sweep import VolumeSweeper
from tests.support.engines import open_metadata
from tests.support.metadata import with_changes
from tests.support.pieces import tail_of

DEPLOYMENT_ID = b"deployment-----1"
GRACE_US = HOUR_S * 1_000_000
BUCKET = bucket_name("photos")


class TestClock(SystemClock):
    """The machine's clock, some time ahead."""

    __test__ = False

    def __init__(self) -> None:
        self.ahead_us = 0

    def now_us(self) -> int:
        return super().now_us() + self.ahead_us

    def pass_grace(self) -> None:
        self.ahead_us += GRACE_US + 1


def no_fence(tx: Tx) -> None:
    """Leads without a lease."""


class TestDeployment:
    """One node with one volume backend. `reopen` is a restart: nothing in memory survives it."""

    __test__ = False

    def __init__(self, directory: Path, *, disk: Disk | None = None, **volume_options: Any) -> None:
        self.directory = directory
        self.clock = TestClock()
        self.volume_options: dict[str, Any] = {"free_min_bytes": 0, "fill_bytes": 0, **volume_options}
        self._open(disk)
        self.account_id = self.store.write(
            partial(accounts.ensure_account, name="main", origin=Origin.CONFIG)
        )
        self.store.write(
            partial(buckets.create_bucket, name=BUCKET, account_id=self.account_id, origin=Origin.API)
        )

    def _open(self, disk: Disk | None) -> None:
        self.store = open_metadata(self.directory, self.clock)
        self.backend = self.open_backend(disk=disk)

    def open_backend(self, *, disk: Disk | None = None) -> VolumeBackend:
        """Another process's view of the one backend."""
        name = BackendName("near")
        path = self.directory / "near"
        identity = Identity(
            backend=name, deployment_id=DEPLOYMENT_ID, identity_id=b"backend--------1", node="node-1"
        )
        backend_id = self.store.write(
            partial(
                ensure_backend,
                name=name,
                kind="volume",
                node="node-1",
                failure_domain="disk-1",
                identity_id=identity.identity_id,
                quota_bytes=None,
            )
        )
        init_identity(path, identity, created_at_us=1)
        return VolumeBackend(
            backend_id=backend_id,
            name=name,
            path=path,
            ledger=StoredVolumeLedger(self.store, backend_id=backend_id, process_id=uuid7()),
            deployment_id=DEPLOYMENT_ID,
            identity_id=identity.identity_id,
            node="node-1",
            clock=self.clock,
            disk=disk,
            **self.volume_options,
        )

    def reopen(self, *, disk: Disk | None = None) -> None:
        """Stop and start."""
        self.close()
        self._open(disk)

    def close(self) -> None:
        self.backend.close()
        self.store.close()

    def put(self, key: str, payload: bytes, *, through: VolumeBackend | None = None) -> Location:
        """Store an object as one blob; where its piece lies."""
        location, new = self.prepare(key, payload, through=through)
        self.store.write(partial(publish.publish, new=new[0]), after=new[1])
        return location

    def prepare(
        self, key: str, payload: bytes, *, through: VolumeBackend | None = None
    ) -> tuple[Location, tuple[NewVersion, Sequence[Any]]]:
        """Everything of a PUT but its commit."""
        backend = through or self.backend
        blob_id = uuid7()
        tail = tail_of(payload, card=blob_id)
        if len(payload) <= MIB:
            piece = backend.store(memoryview(payload), tail)
        else:
            writer = backend.open_writer(len(payload), len(blob_id))
            for start in range(0, len(payload), BLOCK_BYTES):
                writer.write(memoryview(payload)[start : start + BLOCK_BYTES])
            piece = writer.finish(tail)
        blob = Blob(
            blob_id=blob_id,
            size_bytes=len(payload),
            stored_bytes=len(payload),
            content_hash=None,
            dedup_domain=None,
            scheme=Copies(count=1),
            key_id=None,
            wrapped_dek=None,
            frame_bytes=None,
            block_crcs=tail.block_crcs,
        )
        location = Location(
            blob_id=blob_id,
            piece_index=0,
            backend_id=backend.backend_id,
            storage_key=piece.storage_key,
            stored_bytes=piece.stored_bytes,
            card_key_id=None,
        )
        new = NewVersion(
            bucket=BUCKET,
            key=object_key(key.encode()),
            account_id=self.account_id,
            size_bytes=len(payload),
            etag=hashlib.md5(payload, usedforsecurity=False).hexdigest(),
            headers=ObjectHeaders(),
            checksums=(),
            segments=(
                Segment(ordinal=0, start_offset=0, blob_id=blob_id, blob_offset=0, length=len(payload)),
            ),
            blobs=(NewBlob(blob=blob, locations=(location,)),),
        )
        return location, (new, [] if piece.barrier is None else [piece.barrier])

    def location(self, key: str) -> Location:
        """Where the one piece of an object lies now."""
        stored = self.store.read(
            lambda tx: versions.find_current(tx, BucketName(BUCKET), object_key(key.encode()))
        )
        return stored.slices[0].locations[0]

    def get(self, key: str) -> bytes:
        """The whole object, by where the metadata says it lies."""
        location = self.location(key)
        blob = self.store.read(partial(versions.find_blob, blob_id=location.blob_id))
        assert blob is not None
        buffer = bytearray(blob.stored_bytes)
        reader = self.backend.open_reader(location.storage_key, blob.stored_bytes)
        try:
            reader.read_into(0, memoryview(buffer))
        finally:
            reader.close()
        assert tail_of(bytes(buffer)).block_crcs == blob.block_crcs
        return bytes(buffer)

    def delete(self, key: str) -> None:
        self.store.write(
            lambda tx: remove.remove(tx, BucketName(BUCKET), object_key(key.encode())),
        )

    def reap(self) -> None:
        while self.store.write(partial(reaper.reap_step, grace_us=GRACE_US)).has_more:
            pass

    def clean_up(self) -> None:
        """Delete what waits, its grace ignored."""
        while items := self.store.write(
            partial(cleanup.claim_due, process_id=uuid7(), count_max=100, ignore_grace=True)
        ):
            for item in items:
                try:
                    self.backend.delete(item.storage_key, item.size_bytes)
                except BackendError as error:
                    self.store.write(partial(cleanup.postpone, item=item, error=str(error)))
                else:
                    self.store.write(partial(cleanup.settle_deleted, items=[item]))

    def mark(self, location: Location, state: LocationState) -> None:
        self.store.write(partial(locations.mark_location, location=location, state=state))

    def move(self, location: Location, storage_key: str) -> bool:
        """What a heal or a drain does: the piece lies elsewhere now."""
        return self.store.write(
            with_changes(
                locations.switch_location,
                old=location,
                new=replace(location, storage_key=storage_key),
                reason="moved",
                not_before_us=self.clock.now_us(),
            )
        )

    def compactor(
        self, *, fence: Fence = no_fence, unit_count_max: int = 5, rest_us: int = 0, pace: Pace | None = None
    ) -> VolumeCompactor:
        return VolumeCompactor(
            self.store,
            [self.backend],
            fence=fence,
            grace_us=GRACE_US,
            clock=self.clock,
            rest_us=rest_us,
            pace=pace,
            unit_count_max=unit_count_max,
        )

    def compact(
        self, *, fence: Fence = no_fence, after_unit: Callable[[], None] = lambda: None
    ) -> tuple[int, int]:
        """Run units until there is nothing to do: how much was done, how much put off."""
        compactor = self.compactor(fence=fence)
        done = deferred = 0
        for _ in range(1000):
            progress = compactor.work()
            done += progress.done_count
            deferred += progress.deferred_count
            after_unit()
            if not progress.has_more:
                return done, deferred
        raise AssertionError("compaction never ends")

    def sweeper(self) -> VolumeSweeper:
        return VolumeSweeper(self.store, [self.backend], fence=no_fence, clock=self.clock)

    def fsck(self) -> FsckReport:
        return Fsck(self.store, [self.backend], volumes=[self.backend], cards=BlobIdCards()).run()

    def volume_files(self) -> list[Path]:
        return sorted((self.directory / "near").glob("*.volume"))


class BlobIdCards:
    """Reads the cards of these tests, which are the blob's id and nothing else."""

    def blob_id(self, card: bytes, location: Location, /) -> bytes:
        if len(card) != 16:
            raise ValueError("not a card of these tests")
        return card

    def any_blob_id(self, card: bytes, /) -> bytes:
        if len(card) != 16:
            raise ValueError("not a card of these tests")
        return card
