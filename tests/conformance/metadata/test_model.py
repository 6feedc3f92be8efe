"""Random histories of few keys, against a model in memory: current versions, listings, accounts, nothing left over."""

import random
from dataclasses import dataclass, field
from functools import partial

import pytest

from engine.errors import BlobGone, BucketQuotaExceeded, NoSuchKey
from engine.metadata import buckets, cleanup, quota, uploads, versions
from engine.metadata.complete import CompleteOrder, complete
from engine.metadata.listing import list_versions
from engine.metadata.publish import publish
from engine.metadata.reaper import reap_step
from engine.metadata.remove import remove, remove_version
from engine.metadata.store import Store, Tx
from engine.names import ObjectKey
from engine.records import Blob, Bucket, Versioning
from tests.conformance.metadata.conftest import OpenStore
from tests.support.metadata import (
    assert_consistent,
    make_backend,
    make_bucket,
    make_upload,
    new_blob,
    new_version,
    put_part,
    reap_all,
    run_sql,
    set_versioning,
    totals_of,
)

KEYS = [ObjectKey(key) for key in (b"a", b"a/b", b"a/c", b"d")]
STEP_COUNT = 160
QUOTA_BYTES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A version or marker of the model."""

    version_id: str
    etag: str
    size_bytes: int
    is_marker: bool = False


@dataclass(slots=True, kw_only=True)
class Model:
    """What clients should see: histories, the newest entry last."""

    versioning: Versioning = Versioning.OFF
    histories: dict[ObjectKey, list[Entry]] = field(default_factory=lambda: {key: [] for key in KEYS})

    def used_bytes(self) -> int:
        return sum(entry.size_bytes for history in self.histories.values() for entry in history)

    def add(self, key: ObjectKey, entry: Entry) -> None:
        if self.versioning is not Versioning.ENABLED:
            self.histories[key] = [each for each in self.histories[key] if each.version_id != "null"]
        self.histories[key].append(entry)

    def current(self, key: ObjectKey) -> Entry | None:
        history = self.histories[key]
        return history[-1] if history and not history[-1].is_marker else None

    def freed_by_put(self, key: ObjectKey) -> int:
        if self.versioning is Versioning.ENABLED:
            return 0
        return sum(each.size_bytes for each in self.histories[key] if each.version_id == "null")


class Walk:
    """Takes random steps on a store and its model."""

    def __init__(self, stores: list[Store], seed: int) -> None:
        self._stores = stores
        self.chance = random.Random(seed)
        self.model = Model()
        self.bucket: Bucket = make_bucket(stores[0], quota_bytes=QUOTA_BYTES)
        self._backends = [make_backend(stores[0], name, kind="memory") for name in ("near", "far")]
        self._copied: list[Blob] = []
        self._count = 0
        self.refused_count = 0

    @property
    def store(self) -> Store:
        return self.chance.choice(self._stores)

    def step(self) -> None:
        key = self.chance.choice(KEYS)
        steps = [
            *[self._put] * 6,
            *[self._copy] * 2,
            *[self._multipart] * 2,
            *[self._remove] * 3,
            *[self._remove_version] * 3,
            self._abort,
            self._reap,
            self._clean_up,
            self._switch_versioning,
        ]
        self._count += 1
        self.chance.choice(steps)(key)

    def _publish(
        self, key: ObjectKey, size_bytes: int, etag: str, *, joined: list[Blob] | None = None
    ) -> None:
        blobs = [] if joined else [new_blob(*self._backends, size_bytes=size_bytes)]
        new = new_version(self.bucket, key, *blobs, joined=joined or (), etag=etag)
        fits = self.model.used_bytes() - self.model.freed_by_put(key) + new.size_bytes <= QUOTA_BYTES
        try:
            published = self.store.write(partial(publish, new=new))
        except BucketQuotaExceeded:
            assert not fits
            self.refused_count += 1
            return
        assert fits
        self.model.add(key, Entry(version_id=published.version_id, etag=etag, size_bytes=new.size_bytes))

    def _put(self, key: ObjectKey) -> None:
        self._publish(key, self.chance.randrange(1, 200), f"put-{self._count}")

    def _copy(self, key: ObjectKey) -> None:
        source = self.model.current(self.chance.choice(KEYS))
        if source is not None and self.chance.random() < 0.7:
            owner = next(each for each in KEYS if self.model.current(each) == source)
            found = self.store.read(partial(versions.find_current, bucket=self.bucket.name, key=owner))
            self._copied = [each.blob for each in found.slices]
        if self._copied:
            try:
                self._publish(key, 0, f"copy-{self._count}", joined=self._copied)
            except BlobGone:
                rows = [
                    run_sql(self.store, "SELECT 1 FROM blobs WHERE blob_id = :id", {"id": each.blob_id})
                    for each in self._copied
                ]
                assert [] in rows

    def _multipart(self, key: ObjectKey) -> None:
        upload_id = make_upload(self.store, self.bucket, key)
        try:
            parts = [
                put_part(
                    self.store, self.bucket, key, upload_id, number, new_blob(*self._backends, size_bytes=40)
                )
                for number in (1, 2, 2, 3)
            ]
        except BucketQuotaExceeded:
            self.refused_count += 1
            self.store.write(partial(uploads.abort, upload_id=upload_id, bucket=self.bucket.name, key=key))
            return
        order = CompleteOrder(
            upload_id=upload_id,
            bucket=self.bucket.name,
            key=key,
            parts=[parts[0], parts[2]],
            parts_digest=b"d",
            etag=f"multipart-{self._count}",
            checksums=(),
            result=lambda _: "{}",
        )
        published = self.store.write(partial(complete, order=order))
        self.model.add(key, Entry(version_id=published.version_id, etag=order.etag, size_bytes=80))

    def _abort(self, key: ObjectKey) -> None:
        upload_id = make_upload(self.store, self.bucket, key)
        self.store.write(partial(uploads.abort, upload_id=upload_id, bucket=self.bucket.name, key=key))

    def _remove(self, key: ObjectKey) -> None:
        removed = self.store.write(partial(remove, bucket_name=self.bucket.name, key=key))
        if self.model.versioning is Versioning.OFF:
            history = self.model.histories[key]
            if history:
                history.pop()
            assert not removed.is_delete_marker
            return
        assert removed.version_id is not None
        marker = Entry(version_id=removed.version_id, etag="", size_bytes=0, is_marker=True)
        self.model.add(key, marker)

    def _remove_version(self, key: ObjectKey) -> None:
        history = self.model.histories[key]
        entry = self.chance.choice(history) if history else None
        version_id = "018f" if entry is None else entry.version_id
        removed = self.store.write(
            partial(remove_version, bucket_name=self.bucket.name, key=key, version_id=version_id)
        )
        assert (removed.version_seq is None) == (entry is None)
        if entry is not None:
            assert removed.is_delete_marker == entry.is_marker
            history.remove(entry)

    def _reap(self, key: ObjectKey) -> None:
        self.store.write(partial(reap_step, grace_us=0))

    def _clean_up(self, key: ObjectKey) -> None:
        def unit(tx: Tx) -> None:
            cleanup.settle_deleted(tx, cleanup.claim_due(tx, process_id=b"p", count_max=3))

        self.store.write(unit)

    def _switch_versioning(self, key: ObjectKey) -> None:
        if self.model.versioning is Versioning.ENABLED:
            self.model.versioning = Versioning.SUSPENDED
        else:
            # Once it was enabled a bucket is never without versioning again.
            self.model.versioning = Versioning.ENABLED
        set_versioning(self.store, self.bucket, self.model.versioning)

    def check(self) -> None:
        """Clients see what the model says."""
        for key in KEYS:
            expected = self.model.current(key)
            try:
                found = self.store.read(partial(versions.find_current, bucket=self.bucket.name, key=key))
            except NoSuchKey:
                assert expected is None
            else:
                assert expected is not None
                assert (found.version.etag, found.version.version_id) == (expected.etag, expected.version_id)
                assert sum(each.segment.length for each in found.slices) == expected.size_bytes
                assert all(len(each.locations) == 2 for each in found.slices)
        page = self.store.read(
            partial(
                list_versions, bucket=self.bucket.name, prefix=b"", delimiter=b"", after=b"", count_max=10
            )
        )
        assert [each.key for each in page.versions] == [key for key in KEYS if self.model.current(key)]
        totals = totals_of(self.store, quota.bucket_subject(self.bucket.bucket_id))
        assert totals.used_bytes == self.model.used_bytes()
        assert_consistent(self.store)


@pytest.mark.parametrize("seed", range(3))
def test_a_random_history_is_seen_as_the_model_sees_it_and_ends_with_nothing(
    open_store: OpenStore, seed: int
) -> None:
    walk = Walk([open_store(), open_store()], seed)

    for number in range(STEP_COUNT):
        walk.step()
        if number % 10 == 0:
            walk.check()
    walk.check()
    assert walk.refused_count

    for key, history in walk.model.histories.items():
        for entry in history:
            walk.store.write(
                partial(remove_version, bucket_name=walk.bucket.name, key=key, version_id=entry.version_id)
            )
    walk.store.write(partial(buckets.delete_bucket, name=walk.bucket.name))
    reap_all(walk.store)
    assert_consistent(walk.store)
    for table in (
        "object_versions",
        "object_segments",
        "blobs",
        "object_locations",
        "multipart_parts",
        "retired",
    ):
        assert run_sql(walk.store, f"SELECT COUNT(*) FROM {table}") == [(0,)], table
