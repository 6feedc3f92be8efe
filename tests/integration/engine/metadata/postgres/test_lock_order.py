"""Upkeep beside upkeep and clients: whoever is first is waited for, and no two ever wait for each other."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import pytest

from engine.clock import uuid7
from engine.metadata import intents
from engine.metadata.intents import Intent
from engine.metadata.moves import Copied, Switched, switch_pieces
from engine.metadata.postgres.store import PostgresStore
from engine.metadata.publish import publish
from engine.metadata.quota import backend_subject
from engine.metadata.reaper import Reaping
from engine.metadata.remove import remove
from engine.metadata.store import Tx
from engine.metadata.strays import Stray, settle_strays
from engine.names import ObjectKey
from engine.records import Bucket, NewBlob
from tests.support.metadata import assert_consistent, make_backend, make_bucket, new_blob, new_version
from tests.support.postgres import open_postgres, shared_server

WAIT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Two:
    """Two processes on one database, with a bucket and two backends."""

    near: PostgresStore
    far: PostgresStore
    database: str
    bucket: Bucket
    backend_ids: tuple[int, int]

    def put(self, key: bytes, blob: NewBlob) -> None:
        self.near.write(partial(publish, new=new_version(self.bucket, key, blob)))

    def delete(self, key: bytes) -> None:
        self.near.write(partial(remove, bucket_name=self.bucket.name, key=ObjectKey(key)))

    def strays(self) -> list[Stray]:
        """One on each backend, that of the last one first."""
        found = []
        for number, backend_id in enumerate(reversed(self.backend_ids)):
            intent = Intent(intent_id=uuid7(), backend_id=backend_id, storage_key=f"stray-{number}")
            self.near.write(partial(intents.announce, instance_id=uuid7(), intents=[intent]))
            found.append(Stray(intent=intent, size_bytes=10))
        return found


@pytest.fixture
def two() -> Iterator[Two]:
    database = shared_server().lend_database()
    near, far = open_postgres(shared_server(), database), open_postgres(shared_server(), database)
    backends = make_backend(near, "a", kind="memory"), make_backend(near, "b", kind="memory")
    yield Two(
        near=near,
        far=far,
        database=database,
        bucket=make_bucket(near),
        backend_ids=(backends[0], backends[1]),
    )
    near.close()
    far.close()
    shared_server().take_back_database(database)


def wait_until_one_waits(database: str) -> None:
    """Until a statement in that database waits for a lock of another transaction."""
    deadline_s = time.monotonic() + WAIT_S
    with shared_server().connect() as connection:
        while not connection.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'", (database,)
        ).fetchone():
            assert time.monotonic() < deadline_s, "nobody waits"


def beside(
    two: Two, first: Callable[[Tx], None], then: Callable[[Tx], None], unit: Callable[[Tx], None]
) -> None:
    """Near does `first`, and `then` once far's unit waits for it. Neither may be ended by the server and run again."""
    runs: Counter[str] = Counter()

    def far_unit(tx: Tx) -> None:
        runs["far"] += 1
        unit(tx)

    with ThreadPoolExecutor(1) as threads:

        def near_unit(tx: Tx) -> Future[None]:
            runs["near"] += 1
            assert runs["near"] == 1, "run again"
            first(tx)
            waiting = threads.submit(two.far.write, far_unit)
            wait_until_one_waits(two.database)
            then(tx)
            return waiting

        two.near.write(near_unit).result(WAIT_S)

    assert runs == {"near": 1, "far": 1}
    assert_consistent(two.near)


def lock_blob(tx: Tx, blob: NewBlob) -> None:
    """As a move does."""
    tx.lock("lock_blob_for_move", {"blob_id": blob.blob.blob_id})
    tx.rows("list_blob_locations", {"blob_id": blob.blob.blob_id})


def lock_account(tx: Tx, backend_id: int) -> None:
    tx.lock("lock_quota", {"subject": backend_subject(backend_id)})
    tx.rows("list_quota_stripes", {"subject": backend_subject(backend_id)})


def test_the_reaper_and_a_move_do_not_wait_for_each_other(two: Two) -> None:
    least, greatest = sorted(
        (new_blob(two.backend_ids[0]) for _ in range(2)), key=lambda each: each.blob.blob_id
    )
    two.put(b"least", least)
    two.put(b"greatest", greatest)
    two.delete(b"greatest")
    two.delete(b"least")
    freed = []

    def reap(tx: Tx) -> None:
        reaping = Reaping(tx, grace_us=0)
        while reaping.step().has_more:
            pass
        freed.append(reaping.finish())

    beside(two, partial(lock_blob, blob=least), partial(lock_blob, blob=greatest), reap)

    assert freed == [2]


def test_a_move_with_strays_and_whoever_changes_accounts_do_not_wait_for_each_other(two: Two) -> None:
    first, last = two.backend_ids
    blob = new_blob(last)
    two.put(b"key", blob)
    (old,) = blob.locations
    copy = Copied(old=old, new=replace(old, backend_id=first, storage_key="copy"))
    unit = partial(switch_pieces, copies=[copy], reason="moved", grace_us=0, strays=two.strays())
    outcomes: list[Switched] = []

    beside(
        two,
        partial(lock_account, backend_id=first),
        partial(lock_account, backend_id=last),
        lambda tx: outcomes.extend(unit(tx)),
    )

    assert outcomes == [Switched.MOVED]


def test_strays_and_whoever_changes_accounts_do_not_wait_for_each_other(two: Two) -> None:
    first, last = two.backend_ids

    beside(
        two,
        partial(lock_account, backend_id=first),
        partial(lock_account, backend_id=last),
        partial(settle_strays, strays=two.strays()),
    )
