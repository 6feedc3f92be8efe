"""The journal: each kind of change leaves its after-image in its own transaction, and a refused one leaves none."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from engine.errors import EngineError
from engine.metadata import bucket_documents, buckets, identities, journal, keys
from engine.metadata.buckets import find_bucket
from engine.metadata.complete import CompleteOrder, complete
from engine.metadata.publish import publish
from engine.metadata.remove import remove, remove_version
from engine.metadata.store import Store, Tx
from engine.metadata.tagging import set_tags
from engine.names import ObjectKey
from engine.records import Bucket, Copies, DocumentKind, Sealing, Versioning
from tests.support.metadata import (
    START_US,
    SetClock,
    journal_of,
    make_account,
    make_backend,
    make_bucket,
    make_upload,
    new_blob,
    new_version,
    put,
    put_part,
    run_sql,
    set_versioning,
)

KEY = ObjectKey(b"one")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """A store with a bucket and a backend."""

    store: Store
    bucket: Bucket
    backend_id: int


@pytest.fixture
def rig(store: Store) -> Rig:
    return Rig(store=store, bucket=make_bucket(store), backend_id=make_backend(store, kind="memory"))


Change = Callable[[Tx], object]


def change_put(rig: Rig) -> Change:
    return partial(publish, new=new_version(rig.bucket, KEY, new_blob(rig.backend_id)))


def change_remove(rig: Rig) -> Change:
    put(rig.store, rig.bucket, KEY, rig.backend_id)
    return partial(remove, bucket_name=rig.bucket.name, key=KEY)


def change_marker(rig: Rig) -> Change:
    set_versioning(rig.store, rig.bucket, Versioning.ENABLED)
    return partial(remove, bucket_name=rig.bucket.name, key=KEY)


def change_remove_version(rig: Rig) -> Change:
    put(rig.store, rig.bucket, KEY, rig.backend_id)
    return partial(remove_version, bucket_name=rig.bucket.name, key=KEY, version_id="null")


def change_complete(rig: Rig) -> Change:
    upload_id = make_upload(rig.store, rig.bucket, KEY)
    part = put_part(rig.store, rig.bucket, KEY, upload_id, 1, new_blob(rig.backend_id))
    order = CompleteOrder(
        upload_id=upload_id,
        bucket=rig.bucket.name,
        key=KEY,
        parts=[part],
        parts_digest=b"d",
        etag="e",
        checksums=(),
        result=lambda _: "{}",
    )
    return partial(complete, order=order)


def change_bucket_settings(rig: Rig) -> Change:
    return partial(
        buckets.update_settings, bucket=rig.bucket, scheme=Copies(count=2), seal=Sealing.ALL, quota_bytes=5
    )


def change_document(rig: Rig) -> Change:
    return partial(
        bucket_documents.put_document, name=rig.bucket.name, kind=DocumentKind.TAGGING, document="[]"
    )


def change_document_gone(rig: Rig) -> Change:
    rig.store.write(change_document(rig))
    return partial(bucket_documents.delete_document, name=rig.bucket.name, kind=DocumentKind.TAGGING)


def change_tags(rig: Rig) -> Change:
    put(rig.store, rig.bucket, KEY, rig.backend_id)
    return lambda tx: set_tags(tx, rig.bucket.name, KEY, None, {"a": "1"}, rig.bucket.account_id)


def change_delete_bucket(rig: Rig) -> Change:
    return partial(buckets.delete_bucket, name=rig.bucket.name)


def key_id(rig: Rig) -> bytes:
    rig.store.write(insert_key)
    return b"key-1"


def insert_key(tx: Tx) -> None:
    keys.insert_key(
        tx,
        key_id=b"key-1",
        key_name="main",
        provider="file",
        wrapped_material=b"wrapped",
        state="primary",
        check_value=b"check",
    )


def apply_reader(tx: Tx, *, account_id: int, access_key_id: str = "AKIA1") -> None:
    identities.apply_identity(
        tx,
        name="reader",
        account_id=account_id,
        role="reader",
        buckets=["photos"],
        access_key_id=access_key_id,
        sealed_secret=b"sealed",
        key_id=b"key-1",
    )


def change_key(rig: Rig) -> Change:
    return insert_key


def change_identity(rig: Rig) -> Change:
    key_id(rig)
    return partial(apply_reader, account_id=make_account(rig.store))


def change_access_key(rig: Rig) -> Change:
    rig.store.write(change_identity(rig))
    return partial(apply_reader, account_id=make_account(rig.store), access_key_id="AKIA2")


def change_disable(rig: Rig) -> Change:
    rig.store.write(change_identity(rig))
    return partial(identities.disable_missing, identities=[], tokens=[])


CHANGES: dict[str, tuple[Callable[[Rig], Change], list[str]]] = {
    "put": (change_put, ["version"]),
    "remove": (change_remove, ["removed"]),
    "marker": (change_marker, ["marker"]),
    "remove a version": (change_remove_version, ["removed"]),
    "complete": (change_complete, ["version"]),
    "bucket settings": (change_bucket_settings, ["bucket"]),
    "bucket document": (change_document, ["bucket", "bucket_document"]),
    "bucket document gone": (change_document_gone, ["bucket", "bucket_document_deleted"]),
    "tags": (change_tags, ["tagged"]),
    "delete bucket": (change_delete_bucket, ["bucket_deleted"]),
    "ring key": (change_key, ["key"]),
    "identity": (change_identity, ["identity", "access_key"]),
    "another access key": (change_access_key, ["access_key", "identity", "access_key"]),
    "identity gone from the configuration": (change_disable, ["identity"]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_leaves_its_image(rig: Rig, name: str) -> None:
    prepare, kinds = CHANGES[name]
    change = prepare(rig)
    before = len(journal_of(rig.store))

    rig.store.write(change)

    assert [kind for kind, _ in journal_of(rig.store, after_count=before)] == kinds


@pytest.mark.parametrize("kind", list(DocumentKind))
def test_a_document_that_says_what_is_so_and_one_that_is_not_there_leave_no_image(
    rig: Rig, kind: DocumentKind
) -> None:
    put_it = partial(bucket_documents.put_document, name=rig.bucket.name, kind=kind, document="[1]")
    delete_it = partial(bucket_documents.delete_document, name=rig.bucket.name, kind=kind)
    for change in (put_it, delete_it):
        rig.store.write(change)
        once = journal_of(rig.store)

        rig.store.write(change)

        assert journal_of(rig.store) == once


class Refused(EngineError):
    """What a test rolls back with."""


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_is_rolled_back_leaves_no_image(rig: Rig, name: str) -> None:
    prepare, _ = CHANGES[name]
    change = prepare(rig)
    before = journal_of(rig.store)

    def unit(tx: Tx) -> None:
        change(tx)
        raise Refused

    with pytest.raises(Refused):
        rig.store.write(unit)

    assert journal_of(rig.store) == before


def test_the_image_of_a_bucket_tells_every_setting_as_it_is_afterwards(rig: Rig) -> None:
    rig.store.write(change_bucket_settings(rig))

    image = journal_of(rig.store)[-1][1]
    bucket = rig.store.read(partial(find_bucket, name=rig.bucket.name))
    assert image == {
        "id": bucket.bucket_id,
        "name": "photos",
        "account": bucket.account_id,
        "at_us": bucket.created_at_us,
        "versioning": "off",
        "object_lock": False,
        "scheme": "copies(2)",
        "seal": "all",
        "quota_bytes": 5,
        "revision": 2,
        "origin": "api",
    }


def test_settings_that_change_nothing_leave_no_image(rig: Rig) -> None:
    before = journal_of(rig.store)

    rig.store.write(
        partial(buckets.update_settings, bucket=rig.bucket, scheme=None, seal=None, quota_bytes=None)
    )

    assert journal_of(rig.store) == before


def test_the_image_of_a_ring_key_holds_it_wrapped(rig: Rig) -> None:
    rig.store.write(insert_key)

    assert journal_of(rig.store)[-1][1] == {
        "id": b"key-1".hex(),
        "name": "main",
        "provider": "file",
        "state": "primary",
        "wrapped": b"wrapped".hex(),
        "check": b"check".hex(),
        "at_us": START_US,
    }


def test_what_is_off_already_is_not_switched_off_again(rig: Rig) -> None:
    rig.store.write(change_disable(rig))
    before = journal_of(rig.store)

    rig.store.write(partial(identities.disable_missing, identities=[], tokens=[]))

    assert journal_of(rig.store) == before


def test_old_images_are_dropped_the_oldest_first_and_some_at_a_time(store: Store, clock: SetClock) -> None:
    for number in range(5):
        store.write(partial(journal.append, kind="test", image={"number": number}))
        clock.move(1)

    drop = partial(journal.drop_older, than_us=clock.now_us() - 1_000_000, count_max=3)
    counts = [store.write(drop) for _ in range(3)]

    assert counts == [3, 1, 0]
    assert [image["number"] for _, image in journal_of(store)] == [4]


def test_numbers_of_images_are_never_used_again(store: Store, clock: SetClock) -> None:
    store.write(partial(journal.append, kind="test", image={}))
    ((first,),) = run_sql(store, "SELECT seq FROM journal")
    clock.move(1)
    store.write(partial(journal.drop_older, than_us=clock.now_us()))

    store.write(partial(journal.append, kind="test", image={}))

    ((second,),) = run_sql(store, "SELECT seq FROM journal")
    assert (first, second) == (1, 2)
