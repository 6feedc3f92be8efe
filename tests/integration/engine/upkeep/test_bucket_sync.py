"""A sync that is interrupted anywhere is gone on with: every object becomes one version, and none a second one."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from engine.backends.s3.listing import Entry
from engine.backends.s3.objects import FoundObject, NotReadable, ObjectsPage
from engine.clock import uuid7
from engine.errors import (
    BackendInState,
    BackendUnavailable,
    DatabaseUnavailable,
    EngineError,
    NoSuchBucket,
    OutcomeUnknown,
)
from engine.metadata import backends, buckets
from engine.metadata.bucket_settings import OwnBucket
from engine.metadata.store import Store
from engine.metadata.versions import find_current
from engine.names import BackendName, ObjectKey
from engine.records import BackendState, Bucket, ObjectHeaders
from engine.upkeep import bucket_sync
from engine.upkeep.bucket_sync import BucketSync, SyncOrder
from engine.upkeep.long_work import Step
from tests.support.deployments import TestClock, no_fence
from tests.support.engines import open_metadata
from tests.support.interruptions import InterruptedStore
from tests.support.metadata import assert_consistent, make_backend, make_bucket, run_sql

PAGE_COUNT = 4
KEYS = [f"k{number:02}" for number in range(10)]


class FakeObjects:
    """A bucket in memory: sizes by key. The call of one number, from 1, fails once."""

    def __init__(self, sizes: Mapping[str, int], *, fails_at: int = 0) -> None:
        self.sizes = dict(sizes)
        self.unreadable: set[str] = set()
        self.call_count = 0
        self._fails_at = fails_at

    def is_ours(self, key: str) -> bool:
        return key.startswith("own/")

    def list(self, *, prefix: str, after: str, count_max: int) -> ObjectsPage:
        self._call()
        keys = [key for key in sorted(self.sizes) if key.startswith(prefix) and key > after]
        listed = [
            Entry(
                key=key,
                size_bytes=self.sizes[key],
                etag=f"e{self.sizes[key]}",
                storage_class="",
                changed_at_us=None,
            )
            for key in keys[:count_max]
        ]
        return ObjectsPage(objects=listed, has_more=len(keys) > count_max)

    def find(self, key: str) -> FoundObject | None:
        self._call()
        if key in self.unreadable:
            raise NotReadable("403")
        size = self.sizes.get(key)
        if size is None:
            return None
        return FoundObject(
            key=key,
            size_bytes=size,
            etag=f"e{size}",
            modified_at_us=1_000_000,
            headers=ObjectHeaders(),
            is_etag_md5=False,
        )

    def _call(self) -> None:
        self.call_count += 1
        if self.call_count == self._fails_at:
            raise BackendUnavailable("no answer", backend="far")


class Rig:
    """A database with a bucket and a backend."""

    def __init__(self, folder: Path) -> None:
        self.store = open_metadata(folder, TestClock())
        self.bucket: Bucket = make_bucket(self.store)
        self.backend_id = make_backend(self.store, "far", kind="s3")

    def sync(
        self, objects: FakeObjects, store: Store | None = None, *, is_dry_run: bool = False
    ) -> BucketSync:
        order = SyncOrder(
            backend=BackendName("far"),
            backend_id=self.backend_id,
            backend_ids=[self.backend_id],
            bucket=OwnBucket(name=self.bucket.name, bucket_id=self.bucket.bucket_id),
            is_dry_run=is_dry_run,
        )
        return BucketSync(
            store or self.store,
            objects,
            order,
            fence=no_fence,
            ids=uuid7,
            rest=lambda seconds: None,
            page_count_max=PAGE_COUNT,
        )

    def taken_keys(self) -> list[str]:
        rows = run_sql(self.store, "SELECT object_key FROM object_versions ORDER BY version_seq")
        return sorted(bytes(row[0]).decode() for row in rows if isinstance(row[0], bytes))


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.store.close()


def run(sync: BucketSync, cursor: str | None = None) -> Step:
    while not (step := sync.step(cursor)).is_last:
        cursor = step.cursor
    return step


@pytest.mark.parametrize("is_committed", [False, True], ids=["before", "behind"])
def test_the_process_dies_at_the_nth_commit(rig: Rig, is_committed: bool) -> None:
    for number in range(1, 6):
        objects = FakeObjects({f"{number}-{is_committed}-{key}": 10 + number for key in KEYS})
        store = InterruptedStore(rig.store, at=number, is_committed=is_committed)
        sync, cursor, has_died = rig.sync(objects, store), None, False
        try:
            while not (step := sync.step(cursor)).is_last:
                cursor = step.cursor
        except (DatabaseUnavailable, OutcomeUnknown):
            has_died = True

        # Whoever goes on has the cursor that was stored with the last step.
        last = run(rig.sync(objects), cursor)

        assert last.result is not None
        taken = last.result["imported_count"], last.result["known_count"]
        repeated = (
            0 if has_died and not is_committed else PAGE_COUNT if number < 3 else len(KEYS) % PAGE_COUNT
        )
        assert taken == (len(KEYS) - repeated, repeated)
        mine = [key for key in rig.taken_keys() if key in objects.sizes]
        assert mine == sorted(objects.sizes)
        assert_consistent(rig.store)
        assert has_died == (number <= 3)


def test_every_call_to_the_store_fails_once(rig: Rig) -> None:
    for number in range(1, 16):
        objects = FakeObjects({f"{number}-{key}": 20 + number for key in KEYS}, fails_at=number)

        last = run(rig.sync(objects))

        assert last.result is not None
        assert last.result["imported_count"] == len(KEYS)
        assert sorted(objects.sizes) == [key for key in rig.taken_keys() if key in objects.sizes]
    assert_consistent(rig.store)


def test_a_store_that_stays_away_ends_it(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_sync, "WAIT_COUNT_MAX", 3)
    objects = FakeObjects({"a": 1})
    objects.list = lambda **_: (_ for _ in ()).throw(BackendUnavailable("no answer", backend="far"))  # type: ignore[method-assign]

    with pytest.raises(EngineError, match="gave up after 3 waits"):
        run(rig.sync(objects))


def test_what_cannot_be_taken_over_is_named_and_the_rest_goes_on(rig: Rig) -> None:
    objects = FakeObjects({"a": 1, "own/piece": 2, "secret": 3, "x" * 1025: 4, "|" * 700: 5, "z": 6})
    objects.unreadable.add("secret")

    counted = run(rig.sync(objects, is_dry_run=True))
    steps: list[Step] = []
    cursor = None
    while not steps or not steps[-1].is_last:
        steps.append(rig.sync(objects).step(cursor))
        cursor = steps[-1].cursor

    assert rig.taken_keys() == ["a", "z"]
    result = steps[-1].result
    assert result is not None
    assert (result["own_count"], result["refused_count"]) == (1, 3)
    assert counted.result == {**result, "imported_count": 3, "size_bytes": 10, "refused_count": 2}
    told = [warning for step in steps for warning in step.warnings]
    assert len(told) == 3
    assert "'secret' stays: 403" in told


def test_one_that_goes_between_the_listing_and_the_look_is_nobody_s_loss(rig: Rig) -> None:
    objects = FakeObjects({"a": 1, "b": 2})
    found = objects.find
    objects.find = lambda key: None if key == "a" else found(key)  # type: ignore[method-assign]

    last = run(rig.sync(objects))

    assert rig.taken_keys() == ["b"]
    assert last.result is not None
    assert (last.result["imported_count"], last.result["refused_count"]) == (1, 0)


def test_it_ends_when_the_bucket_is_another_or_the_backend_takes_nothing(rig: Rig) -> None:
    objects = FakeObjects({"a": 1})
    rig.store.write(lambda tx: backends.set_state(tx, rig.backend_id, BackendState.READ_ONLY, reason=None))
    with pytest.raises(BackendInState):
        run(rig.sync(objects))
    rig.store.write(partial(buckets.delete_bucket, name=rig.bucket.name))
    make_bucket(rig.store)
    with pytest.raises(NoSuchBucket):
        run(rig.sync(objects))
    assert rig.taken_keys() == []


def test_the_version_is_as_old_as_the_object(rig: Rig) -> None:
    run(rig.sync(FakeObjects({"a": 1})))

    stored = rig.store.read(partial(find_current, bucket=rig.bucket.name, key=ObjectKey(b"a")))

    assert stored.version.created_at_us == 1_000_000
    assert stored.version.etag == "e1"
