"""Rows around the objects: buckets, accounts, generations, identities, tokens, ring keys, the deployment, processes."""

from functools import partial

import pytest

from engine.errors import BucketExists, BucketNotEmpty, InvalidConfig, NoSuchBucket
from engine.metadata import (
    accounts,
    buckets,
    deployments,
    generations,
    identities,
    keys,
    processes,
    quota,
    uploads,
)
from engine.metadata.deployments import STEP_BACK_MAX_US, DeploymentRow
from engine.metadata.processes import DEAD_AFTER_S, FORGET_AFTER_S
from engine.metadata.store import Store, Tx
from engine.names import BucketName
from engine.records import Bucket, Copies, Origin, Sealing, Versioning
from tests.conformance.metadata.conftest import OpenStore
from tests.support.metadata import (
    START_US,
    SetClock,
    assert_consistent,
    make_account,
    make_backend,
    make_bucket,
    make_upload,
    put,
    run_sql,
    totals_of,
    with_changes,
)

# --- buckets and accounts ---


def find(store: Store, name: str = "photos") -> Bucket:
    return store.read(partial(buckets.find_bucket, name=name))


def test_a_bucket_is_made_with_all_it_was_asked_for(store: Store) -> None:
    account_id = make_account(store)

    made = store.write(
        partial(
            buckets.create_bucket,
            name=BucketName("photos"),
            account_id=account_id,
            origin=Origin.CONFIG,
            scheme=Copies(count=3),
            seal=Sealing.ALL,
            quota_bytes=100,
        )
    )

    assert made == find(store)
    assert (made.account, made.versioning, made.object_lock) == ("main", Versioning.OFF, False)
    assert (made.scheme, made.seal, made.quota_bytes) == (Copies(count=3), Sealing.ALL, 100)
    assert (made.origin, made.revision, made.created_at_us) == (Origin.CONFIG, 1, START_US)
    assert totals_of(store, quota.bucket_subject(made.bucket_id)).limit_bytes == 100


def test_a_name_is_taken_once_and_says_by_whom(store: Store) -> None:
    make_bucket(store)
    other_id = make_account(store, "other")

    with pytest.raises(BucketExists) as mine:
        make_bucket(store)
    with pytest.raises(BucketExists) as theirs:
        store.write(
            partial(buckets.create_bucket, name=BucketName("photos"), account_id=other_id, origin=Origin.API)
        )

    assert (mine.value.owned_by_caller, theirs.value.owned_by_caller) == (True, False)


def test_buckets_are_listed_by_name_in_pages_of_one_account_or_all(store: Store) -> None:
    for name in ("ccc", "aaa", "bbb"):
        make_bucket(store, name)
    other_id = make_account(store, "other")
    store.write(
        partial(buckets.create_bucket, name=BucketName("abc"), account_id=other_id, origin=Origin.API)
    )

    def names(account_id: int | None, after: str, count_max: int) -> list[str]:
        unit = partial(buckets.list_buckets, account_id=account_id, after=after, count_max=count_max)
        return [each.name for each in store.read(unit)]

    assert names(None, "", 10) == ["aaa", "abc", "bbb", "ccc"]
    assert names(make_account(store), "", 2) == ["aaa", "bbb"]
    assert names(make_account(store), "bbb", 2) == ["ccc"]
    assert names(other_id, "", 10) == ["abc"]


def test_settings_change_with_the_revision_and_the_quota(store: Store) -> None:
    bucket = make_bucket(store)
    change = partial(buckets.update_settings, scheme=Copies(count=2), seal=Sealing.NONE, quota_bytes=7)

    store.write(partial(change, bucket=bucket))
    store.write(partial(change, bucket=find(store)))

    changed = find(store)
    assert (changed.scheme, changed.seal, changed.quota_bytes) == (Copies(count=2), Sealing.NONE, 7)
    assert changed.revision == 2
    assert totals_of(store, quota.bucket_subject(bucket.bucket_id)).limit_bytes == 7


def test_a_bucket_with_an_object_stays(store: Store) -> None:
    bucket = make_bucket(store)
    put(store, bucket, b"one", make_backend(store, kind="memory"))

    with pytest.raises(BucketNotEmpty):
        store.write(partial(buckets.delete_bucket, name="photos"))

    assert find(store) == bucket
    assert_consistent(store)


def test_a_bucket_with_too_many_uploads_for_one_transaction_stays(store: Store) -> None:
    bucket = make_bucket(store)
    for _ in range(buckets.OPEN_UPLOAD_COUNT_MAX):
        make_upload(store, bucket)
    last = make_upload(store, bucket)

    with pytest.raises(BucketNotEmpty):
        store.write(partial(buckets.delete_bucket, name="photos"))
    store.write(with_changes(uploads.abort_open_upload, upload_id=last, bucket_id=bucket.bucket_id))
    store.write(partial(buckets.delete_bucket, name="photos"))

    assert run_sql(store, "SELECT DISTINCT state FROM multipart_uploads") == [("aborted",)]


def test_a_bucket_that_is_made_again_is_another_one(store: Store) -> None:
    first = make_bucket(store, quota_bytes=50)
    put(store, first, b"one")
    from engine.metadata.remove import remove
    from engine.names import ObjectKey

    store.write(partial(remove, bucket_name=first.name, key=ObjectKey(b"one")))
    store.write(partial(buckets.delete_bucket, name="photos"))
    with pytest.raises(NoSuchBucket):
        find(store)
    with pytest.raises(NoSuchBucket):
        store.write(partial(buckets.delete_bucket, name="photos"))

    second = make_bucket(store)

    assert second.bucket_id > first.bucket_id
    assert totals_of(store, quota.bucket_subject(second.bucket_id)).limit_bytes is None
    assert_consistent(store)


def test_an_account_is_made_once(store: Store) -> None:
    first = store.write(partial(accounts.ensure_account, name="main", origin=Origin.CONFIG))
    again = store.write(partial(accounts.ensure_account, name="main", origin=Origin.API))
    other = store.write(partial(accounts.ensure_account, name="other", origin=Origin.API))

    assert first == again != other
    assert run_sql(store, "SELECT name, origin FROM accounts ORDER BY name") == [
        ("main", "config"),
        ("other", "api"),
    ]


# --- generations ---


def test_generations_are_numbered_from_one_and_the_newest_counts(store: Store) -> None:
    assert store.read(generations.current) is None
    commit = partial(
        generations.commit_generation, document="{}", file_digest=b"d", origin=Origin.CONFIG, author="file"
    )

    assert [store.write(commit) for _ in range(3)] == [1, 2, 3]
    store.write(partial(commit, document='{"a":1}', file_digest=None, origin=Origin.API, author="me"))

    newest = store.read(generations.current)
    assert newest is not None
    assert (newest.generation, newest.document, newest.file_digest) == (4, '{"a":1}', None)
    assert (newest.origin, newest.author, newest.created_at_us) == (Origin.API, "me", START_US)


# --- identities and tokens ---


@pytest.fixture
def ring(store: Store) -> None:
    store.write(insert_ring_key)


def insert_ring_key(
    tx: Tx, *, key_id: bytes = b"key-1", state: str = "primary", key_name: str = "main"
) -> None:
    keys.insert_key(
        tx,
        key_id=key_id,
        key_name=key_name,
        provider="file",
        wrapped_material=b"wrapped",
        state=state,
        check_value=b"check",
    )


def apply(
    store: Store,
    name: str = "ana",
    access_key_id: str = "AKIA1",
    *,
    role: str = "writer",
    limited_to: list[str] | None = None,
) -> None:
    store.write(
        partial(
            identities.apply_identity,
            name=name,
            account_id=make_account(store),
            role=role,
            buckets=limited_to,
            access_key_id=access_key_id,
            sealed_secret=b"sealed",
            key_id=b"key-1",
        )
    )


def key_row(store: Store, access_key_id: str = "AKIA1") -> identities.AccessKeyRow:
    row = store.read(partial(identities.find_access_key, access_key_id=access_key_id))
    assert row is not None
    return row


@pytest.mark.usefixtures("ring")
def test_an_access_key_tells_whose_it_is(store: Store) -> None:
    apply(store, limited_to=["photos", "docs"])

    row = key_row(store)

    assert (row.identity, row.account, row.role) == ("ana", "main", "writer")
    assert (row.buckets, row.sealed_secret, row.key_id) == (("photos", "docs"), b"sealed", b"key-1")
    assert not row.is_disabled
    assert row.expires_at_us > START_US
    assert store.read(partial(identities.find_access_key, access_key_id="AKIA2")) is None


@pytest.mark.usefixtures("ring")
def test_a_generation_replaces_the_key_the_role_and_the_buckets(store: Store) -> None:
    apply(store)
    apply(store, access_key_id="AKIA2", role="reader", limited_to=[])

    assert key_row(store, "AKIA1").is_disabled
    assert not key_row(store, "AKIA2").is_disabled
    assert (key_row(store, "AKIA2").role, key_row(store, "AKIA2").buckets) == ("reader", ())


@pytest.mark.usefixtures("ring")
def test_an_identity_gone_from_the_file_is_off_and_one_that_returns_is_on(store: Store) -> None:
    apply(store)
    apply(store, "ben", "AKIA2")

    store.write(partial(identities.disable_missing, identities=["ben"], tokens=[]))
    assert (key_row(store).is_disabled, key_row(store, "AKIA2").is_disabled) == (True, False)
    apply(store)

    assert not key_row(store).is_disabled


@pytest.mark.usefixtures("ring")
def test_a_generation_does_not_take_what_the_api_made(store: Store) -> None:
    apply(store)
    run_sql(store, "UPDATE identities SET origin = 'api'")

    with pytest.raises(InvalidConfig, match="made through the API"):
        apply(store)
    store.write(partial(identities.disable_missing, identities=[], tokens=[]))

    assert not key_row(store).is_disabled


@pytest.mark.usefixtures("ring")
def test_the_earlier_end_of_key_and_identity_counts(store: Store) -> None:
    apply(store)
    run_sql(store, "UPDATE identities SET expires_at_us = 900")
    run_sql(store, "UPDATE access_keys SET expires_at_us = 700")
    assert key_row(store).expires_at_us == 700

    run_sql(store, "UPDATE access_keys SET expires_at_us = NULL")
    assert key_row(store).expires_at_us == 900


def apply_token(store: Store, name: str = "ops", *, sha256: bytes = b"h" * 32, role: str = "admin") -> None:
    store.write(partial(identities.apply_admin_token, name=name, role=role, sha256=sha256))


def find_token(store: Store, sha256: bytes = b"h" * 32) -> identities.AdminTokenRow | None:
    return store.read(partial(identities.find_admin_token, sha256=sha256))


def test_a_token_is_found_by_its_hash_until_it_is_replaced_off_or_over(store: Store, clock: SetClock) -> None:
    apply_token(store)
    assert find_token(store) == identities.AdminTokenRow(name="ops", role="admin")

    apply_token(store, sha256=b"n" * 32, role="viewer")
    assert find_token(store) is None
    assert find_token(store, b"n" * 32) == identities.AdminTokenRow(name="ops", role="viewer")
    run_sql(store, "UPDATE admin_tokens SET expires_at_us = :at", {"at": START_US + 1_000_000})
    assert find_token(store, b"n" * 32) is not None
    clock.move(1)
    assert find_token(store, b"n" * 32) is None
    run_sql(store, "UPDATE admin_tokens SET expires_at_us = NULL")
    store.write(partial(identities.disable_missing, identities=[], tokens=["other"]))

    assert find_token(store, b"n" * 32) is None


def test_a_token_has_scopes_and_an_end_as_its_generation_says(store: Store, clock: SetClock) -> None:
    limited = partial(
        identities.apply_admin_token,
        name="ops",
        role="operator",
        sha256=b"h" * 32,
        scopes=("WorkerService/*", "*/Get*"),
        expires_at_us=START_US + 1_000_000,
    )
    store.write(limited)
    assert find_token(store) == identities.AdminTokenRow(
        name="ops", role="operator", scopes=("WorkerService/*", "*/Get*")
    )
    clock.move(1)
    assert find_token(store) is None

    apply_token(store)
    assert find_token(store) == identities.AdminTokenRow(name="ops", role="admin")


def test_whether_there_is_any_token_to_listen_for(store: Store) -> None:
    assert not store.read(identities.has_admin_token)
    apply_token(store)
    assert store.read(identities.has_admin_token)
    store.write(partial(identities.disable_missing, identities=[], tokens=[]))

    assert not store.read(identities.has_admin_token)


def test_a_generation_does_not_take_a_token_that_the_api_made(store: Store) -> None:
    apply_token(store)
    run_sql(store, "UPDATE admin_tokens SET origin = 'api'")

    with pytest.raises(InvalidConfig, match="made through the API"):
        apply_token(store, sha256=b"n" * 32)
    store.write(partial(identities.disable_missing, identities=[], tokens=[]))

    assert find_token(store) is not None


# --- keys ---


def test_the_ring_comes_whole_and_the_oldest_key_first(store: Store, clock: SetClock) -> None:
    for key_id, state in ((b"b", "retired"), (b"a", "active"), (b"c", "primary")):
        store.write(partial(insert_ring_key, key_id=key_id, state=state))
        clock.move(1)

    ring = store.read(keys.list_keys)

    assert [(row.key_id, row.state) for row in ring] == [
        (b"b", "retired"),
        (b"a", "active"),
        (b"c", "primary"),
    ]
    assert (ring[0].wrapped_material, ring[0].check_value, ring[0].provider) == (b"wrapped", b"check", "file")


def test_a_name_has_one_primary_key(store: Store) -> None:
    store.write(insert_ring_key)

    with pytest.raises(Exception, match=r"(?i)unique"):
        store.write(partial(insert_ring_key, key_id=b"key-2"))
    store.write(partial(insert_ring_key, key_id=b"key-2", key_name="other"))

    assert len(store.read(keys.list_keys)) == 2


# --- the deployment and its clock ---


def make_deployment(store: Store, node: str | None = None) -> None:
    store.write(partial(deployments.create_deployment, deployment_id=b"deployment-1", node=node))


def test_there_is_one_deployment(store: Store) -> None:
    assert store.read(deployments.read_deployment) is None
    make_deployment(store)

    with pytest.raises(Exception, match=r"(?i)unique|constraint"):
        make_deployment(store)

    assert store.read(deployments.read_deployment) == DeploymentRow(
        deployment_id=b"deployment-1", node=None, created_at_us=START_US
    )


def test_the_first_volumes_give_the_deployment_its_node_for_good(store: Store) -> None:
    make_deployment(store)

    for node in ("node-1", "node-2"):
        store.write(partial(deployments.set_node, node=node))

    found = store.read(deployments.read_deployment)
    assert found is not None
    assert found.node == "node-1"


def test_a_clock_far_behind_what_was_seen_is_told(store: Store, clock: SetClock) -> None:
    assert store.write(deployments.note_time) == 0
    make_deployment(store)
    clock.move(3600)
    assert store.write(deployments.note_time) == 0

    clock.move(-STEP_BACK_MAX_US / 1_000_000)
    assert store.write(deployments.note_time) == 0
    clock.move(-0.5)
    assert store.write(deployments.note_time) == STEP_BACK_MAX_US + 500_000
    assert store.write(deployments.note_time) == STEP_BACK_MAX_US + 500_000
    clock.move(10)

    assert store.write(deployments.note_time) == 0


# --- processes ---


def register(store: Store, instance: bytes, process: bytes, plane: str = "dataplane") -> None:
    store.write(
        partial(
            processes.register,
            instance_id=instance,
            process_id=process,
            node="node-1",
            version="1.0",
            plane=plane,
            pid=42,
            generation=1,
        )
    )


def alive(store: Store) -> dict[bytes, tuple[bool, dict[bytes, bool]]]:
    return {
        each.instance_id: (
            each.is_alive,
            {process.process_id: process.is_alive for process in each.processes},
        )
        for each in store.read(partial(processes.list_instances, count_max=10))
    }


def test_an_instance_lives_while_any_of_its_processes_does(store: Store, clock: SetClock) -> None:
    register(store, b"i1", b"p1")
    register(store, b"i1", b"p2", "controlplane")
    clock.move(DEAD_AFTER_S - 1)
    store.write(partial(processes.beat, process_id=b"p2", generation=7))
    clock.move(1)

    assert alive(store) == {b"i1": (True, {b"p1": False, b"p2": True})}
    instance = store.read(partial(processes.find_instance, instance_id=b"i1"))
    assert instance is not None
    assert {each.process_id: each.generation for each in instance.processes} == {b"p1": 1, b"p2": 7}
    assert (instance.node, instance.version) == ("node-1", "1.0")


def test_an_instance_has_stopped_when_its_last_process_has(store: Store) -> None:
    register(store, b"i1", b"p1")
    register(store, b"i1", b"p2")

    store.write(partial(processes.stop, process_id=b"p1"))
    assert alive(store) == {b"i1": (True, {b"p1": False, b"p2": True})}
    store.write(partial(processes.stop, process_id=b"p2"))
    assert alive(store) == {b"i1": (False, {b"p1": False, b"p2": False})}
    register(store, b"i1", b"p3")

    assert alive(store)[b"i1"][0]


def test_those_long_dead_are_forgotten_when_somebody_starts(store: Store, clock: SetClock) -> None:
    register(store, b"i1", b"p1")
    clock.move(FORGET_AFTER_S)
    register(store, b"i2", b"p2")
    assert set(alive(store)) == {b"i1", b"i2"}
    clock.move(1)

    register(store, b"i3", b"p3")

    assert set(alive(store)) == {b"i2", b"i3"}


def test_instances_come_the_newest_first_and_in_pages(open_store: OpenStore) -> None:
    store = open_store()
    for number in range(1, 5):
        register(store, bytes([number]) * 16, bytes([number]))

    first = store.read(partial(processes.list_instances, count_max=2))
    rest = store.read(partial(processes.list_instances, before=first[-1].instance_id, count_max=9))

    assert [each.instance_id[0] for each in (*first, *rest)] == [4, 3, 2, 1]
    assert store.read(partial(processes.find_instance, instance_id=b"unknown")) is None
