"""What the first migration must hold for all that comes later, each with its test.

| hook | test |
|---|---|
| version_seq as the only reference to versions | `test_children_refer_to_versions_by_their_sequence` |
| keys as bytes | `test_keys_are_bytes_in_byte_order` |
| storage keys with attempt | `test_each_attempt_has_a_storage_key_of_its_own` |
| block_crcs | `test_blobs_keep_the_checksums_of_their_blocks` |
| per-blob data keys and card_key_id | `test_each_blob_has_a_data_key_and_each_piece_names_its_cards_key` |
| retired state and reaper | `test_retired_versions_leave_the_bucket_at_once_and_wait_for_the_reaper` |
| journal | `test_a_change_and_its_journal_row_are_one_transaction` |
| striped quotas | `test_quotas_are_striped` |
| intent renew and claim | `test_intents_are_renewed_and_claimed` |
| cleanup not_before | `test_cleanup_rows_wait_for_their_time` |
| volumes table | `test_volumes_have_rows` |
| backend identity | `test_backends_have_an_identity` |
| node and processes | `test_processes_of_a_node_have_rows` |
| accounts | `test_everything_has_an_owner` |
| config generations | `test_generations_have_rows` |
| barriers in store.write | `test_a_barrier_comes_before_the_commit` |
| lock columns checked in remove | `test_remove_asks_the_lock_columns` |
| imported origin | `test_pieces_may_be_imported` |
| comments on columns | `test_every_column_carries_a_comment` |
"""

import re
from dataclasses import replace
from functools import partial

import pytest

from engine.errors import BackendUnavailable, VersionLocked
from engine.metadata import cleanup, intents, keys, processes, quota, reaper, versions, volumes
from engine.metadata.backends import list_backends
from engine.metadata.generations import commit_generation, current
from engine.metadata.listing import list_versions
from engine.metadata.publish import publish
from engine.metadata.remove import remove
from engine.metadata.store import Store, Tx
from engine.names import ObjectKey
from engine.records import Location, Origin
from tests.support.metadata import (
    SetClock,
    journal_of,
    make_account,
    make_backend,
    make_bucket,
    make_volume,
    new_blob,
    new_version,
    put,
    reap_all,
    run_sql,
)
from tools.schema_reference import Table, read_tables

KEY = ObjectKey(b"one")


def schema() -> dict[str, Table]:
    return {table.name: table for table in read_tables()}


def columns(table: str) -> dict[str, str]:
    return {column.name: f"{column.type} {column.rules}".strip() for column in schema()[table].columns}


def test_the_table_above_names_every_test_of_this_module() -> None:
    named = set(re.findall(r"`(test_\w+)`", __doc__ or ""))

    there = {name for name in globals() if name.startswith("test_")}

    assert named == there - {"test_the_table_above_names_every_test_of_this_module"}


def test_children_refer_to_versions_by_their_sequence(store: Store) -> None:
    referring = {
        (table.name, column.name)
        for table in schema().values()
        for column in table.columns
        if "REFERENCES object_versions" in column.rules
    }
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    first, second = put(store, bucket, KEY, backend), put(store, bucket, KEY, backend)

    assert referring == {(table, "version_seq") for table in ("object_segments", "mirror_queue")}
    assert second.version_seq > first.version_seq


def test_keys_are_bytes_in_byte_order(store: Store) -> None:
    bucket = make_bucket(store)
    raw = ["\uffff".encode(), "\U00010000".encode(), b"Z", b"a", "\u00e9".encode()]
    for key in raw:
        put(store, bucket, key)

    page = store.read(
        partial(list_versions, bucket=bucket.name, prefix=b"", delimiter=b"", after=b"", count_max=10)
    )

    assert [each.key for each in page.versions] == sorted(raw)
    for table in ("object_versions", "multipart_uploads"):
        assert columns(table)["object_key"] == "BLOB NOT NULL"


def test_each_attempt_has_a_storage_key_of_its_own(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    attempts = [new_blob(backend, storage_key=f"pieces/1/{attempt}") for attempt in range(2)]

    for attempt in attempts:
        store.write(partial(publish, new=new_version(bucket, KEY, attempt)))

    with pytest.raises(Exception, match=r"(?i)unique"):
        store.write(
            partial(publish, new=new_version(bucket, KEY, new_blob(backend, storage_key="pieces/1/0")))
        )


def test_blobs_keep_the_checksums_of_their_blocks(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    new = new_blob(backend)
    blob = replace(new.blob, block_crcs=bytes(range(12)))

    store.write(partial(publish, new=new_version(bucket, KEY, replace(new, blob=blob))))

    stored = store.read(partial(versions.find_blob, blob_id=blob.blob_id))
    assert stored is not None
    assert stored.block_crcs == bytes(range(12))


def test_each_blob_has_a_data_key_and_each_piece_names_its_cards_key(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    insert_key = partial(
        keys.insert_key,
        key_id=b"ring",
        key_name="main",
        provider="file",
        wrapped_material=b"w",
        state="primary",
        check_value=b"c",
    )
    store.write(insert_key)
    sealed = []
    for number in range(2):
        new = new_blob(backend)
        blob = replace(new.blob, key_id=b"ring", wrapped_dek=b"dek-%d" % number, frame_bytes=65536)
        location: Location = replace(new.locations[0], card_key_id=b"ring")
        sealed.append(replace(new, blob=blob, locations=[location]))

    store.write(partial(publish, new=new_version(bucket, KEY, *sealed)))
    slices = store.read(partial(versions.find_current, bucket=bucket.name, key=KEY)).slices

    assert [each.blob.wrapped_dek for each in slices] == [b"dek-0", b"dek-1"]
    assert [each.locations[0].card_key_id for each in slices] == [b"ring", b"ring"]
    with pytest.raises(Exception, match=r"(?i)check"):
        run_sql(store, "UPDATE blobs SET wrapped_dek = NULL")


def test_retired_versions_leave_the_bucket_at_once_and_wait_for_the_reaper(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    put(store, bucket, KEY, backend)

    store.write(partial(remove, bucket_name=bucket.name, key=KEY))

    assert run_sql(store, "SELECT state, bucket_id, is_current FROM object_versions") == [
        ("retired", None, 0)
    ]
    assert store.read(reaper.waiting) == (1, 0)
    assert reap_all(store) == 1
    assert run_sql(store, "SELECT COUNT(*) FROM object_versions") == [(0,)]


def test_a_change_and_its_journal_row_are_one_transaction(store: Store) -> None:
    bucket = make_bucket(store)
    before = len(journal_of(store))

    def unit(tx: Tx) -> None:
        publish(tx, new_version(bucket, KEY))
        raise InterruptedError

    with pytest.raises(InterruptedError):
        store.write(unit)
    assert len(journal_of(store)) == before
    put(store, bucket, KEY)

    assert len(journal_of(store)) == before + 1


def test_quotas_are_striped(store: Store) -> None:
    opened = partial(quota.ensure_subject, subject="backend:test", limit_bytes=10, stripe_count=3)
    store.write(opened)

    assert run_sql(
        store, "SELECT stripe, share_bytes FROM backend_quotas WHERE subject = 'backend:test' ORDER BY stripe"
    ) == [(0, 4), (1, 3), (2, 3)]
    assert store.write(partial(quota.take, subject="backend:test", size_bytes=10))
    assert not store.write(partial(quota.take, subject="backend:test", size_bytes=1))


def test_intents_are_renewed_and_claimed(store: Store, clock: SetClock) -> None:
    backend = make_backend(store, kind="s3")
    intent = intents.Intent(intent_id=b"i" * 16, backend_id=backend, storage_key="piece")
    store.write(partial(intents.announce, instance_id=b"instance", intents=[intent]))
    clock.move(60)

    assert store.write(partial(intents.renew, instance_id=b"instance")) == 1
    assert run_sql(store, "SELECT renewed_at_us FROM pending_objects") == [(clock.now_us(),)]
    claimed = store.write(partial(intents.claim_dead, process_id=b"p", dead_after_s=15.0, count_max=5))
    assert claimed == [intent]
    assert run_sql(store, "SELECT claimed_by, claimed_at_us FROM pending_objects") == [(b"p", clock.now_us())]


def test_cleanup_rows_wait_for_their_time(store: Store, clock: SetClock) -> None:
    enqueue = partial(
        cleanup.enqueue,
        backend_id=make_backend(store),
        storage_key="a",
        size_bytes=1,
        reason="test",
        not_before_us=clock.now_us() + 1,
    )
    store.write(enqueue)
    claim = partial(cleanup.claim_due, process_id=b"p", count_max=1)

    assert store.write(claim) == []
    clock.move(1)
    assert len(store.write(claim)) == 1


def test_volumes_have_rows(store: Store) -> None:
    backend = make_backend(store)
    volume_id = make_volume(store, backend)

    (row,) = store.read(partial(volumes.list_volumes, backend_id=backend))

    assert (row.volume_id, row.dead_bytes) == (volume_id, 0)
    assert {"owner_process", "state", "size_bytes", "dead_bytes"} <= set(columns("volumes"))


def test_backends_have_an_identity(store: Store) -> None:
    make_backend(store)

    (row,) = store.read(list_backends)

    assert row.identity_id == b"near------------"
    assert columns("backends")["identity_id"] == "BLOB NOT NULL"


def test_processes_of_a_node_have_rows(store: Store) -> None:
    register = partial(
        processes.register,
        instance_id=b"i",
        process_id=b"p",
        node="node-1",
        version="1",
        plane="dataplane",
        pid=7,
        generation=None,
    )
    store.write(register)

    (instance,) = store.read(partial(processes.list_instances, count_max=5))

    assert (instance.node, [each.pid for each in instance.processes]) == ("node-1", [7])
    assert "node" in columns("deployment")


def test_everything_has_an_owner(store: Store) -> None:
    account_id = make_account(store)
    bucket = make_bucket(store)
    put(store, bucket, KEY)

    assert bucket.account_id == account_id
    assert run_sql(store, "SELECT account_id FROM object_versions") == [(account_id,)]
    for table in ("buckets", "object_versions", "multipart_uploads", "identities"):
        assert "NOT NULL REFERENCES accounts" in columns(table)["account_id"]


def test_generations_have_rows(store: Store) -> None:
    commit = partial(commit_generation, document="{}", file_digest=None, origin=Origin.CONFIG, author="a")

    assert store.write(commit) == 1

    newest = store.read(current)
    assert newest is not None
    assert newest.generation == 1


def test_a_barrier_comes_before_the_commit(store: Store) -> None:
    class Fails:
        def sync(self) -> None:
            raise BackendUnavailable("the disk failed", backend="near")

    with pytest.raises(BackendUnavailable):
        store.write(partial(publish, new=new_version(make_bucket(store), KEY)), after=[Fails()])

    assert run_sql(store, "SELECT COUNT(*) FROM object_versions") == [(0,)]


def test_remove_asks_the_lock_columns(store: Store) -> None:
    bucket, backend = make_bucket(store), make_backend(store, kind="memory")
    put(store, bucket, KEY, backend)

    run_sql(store, "UPDATE object_versions SET legal_hold = TRUE")

    with pytest.raises(VersionLocked):
        store.write(partial(remove, bucket_name=bucket.name, key=KEY))
    assert {"retention_mode", "retain_until_us", "legal_hold"} <= set(columns("object_versions"))


def test_pieces_may_be_imported(store: Store) -> None:
    put(store, make_bucket(store), KEY, make_backend(store, kind="memory"))

    assert run_sql(store, "SELECT origin FROM object_locations") == [("ours",)]
    run_sql(store, "UPDATE object_locations SET origin = 'imported'")
    with pytest.raises(Exception, match=r"(?i)check"):
        run_sql(store, "UPDATE object_locations SET origin = 'found'")


def test_every_column_carries_a_comment(store: Store) -> None:
    tables = schema()

    for name, table in tables.items():
        listed = ", ".join(column.name for column in table.columns)
        assert run_sql(store, f"SELECT {listed} FROM {name} WHERE 1 = 0") == []
        assert [column.name for column in table.columns if not column.meaning] == [], name
