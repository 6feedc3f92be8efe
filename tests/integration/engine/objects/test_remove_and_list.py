"""Deleted keys are gone at once, whatever backends do; lists name what is there, in byte order, page by page."""

import pytest

from engine.backends.memory import Call, Fault
from engine.errors import BucketExists, BucketNotEmpty, EngineError, NoSuchBucket, NoSuchKey
from engine.names import bucket_name
from engine.objects.remove import RemoveOrder
from engine.records import Copies, Removed
from engine.units import KIB
from tests.integration.engine.objects.conftest import MakeRig
from tests.support.objects import BUCKET, ObjectRig, key_of
from tests.support.pieces import payload_of

NOWHERE = bucket_name("nowhere")


def orders(*keys: str) -> list[RemoveOrder]:
    return [RemoveOrder(key=key_of(key)) for key in keys]


def test_a_delete_asks_no_backend_and_its_bytes_go_later(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=2, scheme=Copies(count=2))
    rig.put("k", payload_of(10 * KIB))
    for memory in rig.memories:
        for call in Call:
            memory.faults.add(call, Fault.UNAVAILABLE, count=100)

    rig.delete("k")

    with pytest.raises(NoSuchKey):
        rig.find("k")
    rig.reap()
    rig.clean_up()
    assert [len(memory.storage_keys()) for memory in rig.memories] == [1, 1]
    for memory in rig.memories:
        memory.faults.clear()
    rig.clock.pass_grace()
    rig.clean_up()
    assert [len(memory.storage_keys()) for memory in rig.memories] == [0, 0]
    assert rig.settle().is_clean


def test_deleting_what_is_not_there_is_no_error_but_for_the_bucket(rig: ObjectRig) -> None:
    assert rig.objects.remover.delete(BUCKET, RemoveOrder(key=key_of("k"))).version_seq is None

    with pytest.raises(NoSuchBucket):
        rig.delete("k", bucket=NOWHERE)
    with pytest.raises(NoSuchBucket):
        rig.objects.remover.delete_many(NOWHERE, orders("k"))


def test_many_keys_are_deleted_each_with_its_outcome_in_order(rig: ObjectRig) -> None:
    for number in range(0, 250, 2):
        rig.put(f"k{number:03}", b"x")
    rig.put("kept", b"x")
    keys = orders(*(f"k{number:03}" for number in range(250)))

    outcomes = rig.objects.remover.delete_many(BUCKET, [*keys, keys[0]])

    removed = [isinstance(each, Removed) and each.version_seq is not None for each in outcomes]
    assert removed == [number % 2 == 0 for number in range(250)] + [False]
    assert rig.keys() == ["kept"]
    assert rig.settle().is_clean


def test_after_a_batch_that_failed_no_further_one_is_tried(rig: ObjectRig) -> None:
    keys = [f"k{number:03}" for number in range(150)]
    for key in keys:
        rig.put(key, b"x")
    remover = rig.objects.remover
    outcomes = remover.delete_many(BUCKET, orders(*keys[:100]))
    rig.store.close()

    refused = remover.delete_many(BUCKET, orders(*keys[100:]))

    assert all(isinstance(each, Removed) for each in outcomes)
    assert all(isinstance(each, EngineError) and each.may_repeat for each in refused)
    rig.crash()
    assert rig.keys() == keys[100:]


def test_pages_go_on_where_the_last_one_ended(rig: ObjectRig) -> None:
    keys = ["a", "a/1", "a/2", "a/b/1", "a0", "b/1", "c", "z/1", "ä", "\U0001f600"]
    for key in keys:
        rig.put(key, key.encode())

    assert rig.keys() == sorted(keys, key=str.encode)
    for count_max in (1, 2, 3, 1000):
        names: list[bytes] = []
        after: bytes | None = None
        while True:
            page = rig.objects.listings.page(BUCKET, b"", b"/", after, count_max)
            names += sorted([*(each.key for each in page.versions), *page.common_prefixes])
            assert len(page.versions) + len(page.common_prefixes) <= count_max
            if page.next_after is None:
                break
            after = page.next_after
        assert names == [b"a", b"a/", b"a0", b"b/", b"c", b"z/", "ä".encode(), "\U0001f600".encode()]


def test_a_page_is_of_a_prefix_and_has_what_a_client_is_shown(rig: ObjectRig) -> None:
    rig.put("dir/a", payload_of(300))
    rig.put("dir/sub/b", b"x")
    rig.put("other", b"x")

    page = rig.objects.listings.page(BUCKET, b"dir/", b"/", None, 1000)

    (listed,) = page.versions
    stored = rig.find("dir/a").version
    assert (listed.key, listed.size_bytes, listed.etag) == (b"dir/a", 300, stored.etag)
    assert listed.created_at_us == stored.created_at_us
    assert list(page.common_prefixes) == [b"dir/sub/"]
    assert not rig.objects.listings.page(BUCKET, b"", b"", None, 0).versions
    with pytest.raises(NoSuchBucket):
        rig.objects.listings.page(NOWHERE, b"", b"", None, 10)


def test_a_bucket_is_deleted_once_nothing_is_in_it_also_before_the_reaper(rig: ObjectRig) -> None:
    name = bucket_name("fleeting")
    buckets = rig.objects.buckets
    buckets.create(name, rig.account_id)
    with pytest.raises(BucketExists):
        buckets.create(name, rig.account_id)
    rig.put("k", payload_of(10 * KIB), bucket=name)
    with pytest.raises(BucketNotEmpty):
        buckets.delete(name)
    rig.delete("k", bucket=name)

    buckets.delete(name)

    with pytest.raises(NoSuchBucket):
        buckets.get(name)
    with pytest.raises(NoSuchBucket):
        rig.put("k", b"x", bucket=name)
    assert rig.settle().is_clean
    assert rig.fsck().counts["blob_count"] == 0
