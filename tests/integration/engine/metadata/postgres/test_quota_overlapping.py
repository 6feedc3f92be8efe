"""Bytes given back while an account comes to stand above its limit make no room there, though the two overlap."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from engine.metadata import quota
from engine.metadata.postgres.store import PostgresStore
from engine.metadata.store import Tx
from tests.support.postgres import open_postgres, shared_server

SUBJECT = "bucket:1"
LIMIT_BYTES = 1600
GIVEN_BACK_BYTES = 10
WAIT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Two:
    """Two processes on one database."""

    near: PostgresStore
    far: PostgresStore
    database: str


@pytest.fixture
def two() -> Iterator[Two]:
    database = shared_server().lend_database()
    near, far = open_postgres(shared_server(), database), open_postgres(shared_server(), database)
    yield Two(near=near, far=far, database=database)
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


def fill(tx: Tx, column: str) -> None:
    """Every stripe holds what it may, so that it is of no matter which one is changed."""
    quota.ensure_subject(tx, SUBJECT, LIMIT_BYTES)
    for stripe, share_bytes, *_ in tx.rows("list_quota_stripes", {"subject": SUBJECT}):
        held = {"subject": SUBJECT, "stripe": stripe, "bytes": share_bytes}
        if column == "reserved":
            assert tx.run("reserve_quota", held) == 1
        else:
            assert tx.run("take_quota", {**held, "objects": 0}) == 1
        if column == "orphan":
            tx.run("orphan_quota", {**held, "objects": 0})


def lower_limit(tx: Tx) -> None:
    quota.set_limit(tx, SUBJECT, LIMIT_BYTES - GIVEN_BACK_BYTES // 2)


def find_bytes(tx: Tx) -> None:
    quota.add_orphan(tx, SUBJECT, size_bytes=GIVEN_BACK_BYTES)
    # Its answers are not read by the unit: now the stripes are locked and the share is raised.
    quota.read_quota(tx, SUBJECT)


def give_back(tx: Tx) -> None:
    quota.give_back(tx, SUBJECT, size_bytes=GIVEN_BACK_BYTES)


def give_back_at_the_end(tx: Tx) -> None:
    changes = quota.Changes()
    changes.use(SUBJECT, size_bytes=-GIVEN_BACK_BYTES)
    assert changes.apply(tx) is None


def free_orphan(tx: Tx) -> None:
    quota.free_orphan(tx, SUBJECT, size_bytes=GIVEN_BACK_BYTES)


def free_orphan_at_the_end(tx: Tx) -> None:
    changes = quota.Changes()
    changes.free_orphan(SUBJECT, size_bytes=GIVEN_BACK_BYTES)
    assert changes.apply(tx) is None


def break_promise(tx: Tx) -> None:
    quota.settle_reserved(tx, SUBJECT, 1, reserved_bytes=GIVEN_BACK_BYTES, used_bytes=0)


@pytest.mark.parametrize("raise_above", [lower_limit, find_bytes])
@pytest.mark.parametrize(
    ("column", "shrink"),
    [
        ("used", give_back),
        ("used", give_back_at_the_end),
        ("orphan", free_orphan),
        ("orphan", free_orphan_at_the_end),
        ("reserved", break_promise),
    ],
)
def test_what_leaves_while_an_account_comes_above_its_limit_makes_no_room_above_it(
    two: Two, column: str, shrink: Callable[[Tx], None], raise_above: Callable[[Tx], None]
) -> None:
    two.near.write(lambda tx: fill(tx, column))

    with ThreadPoolExecutor(1) as threads:

        def raise_while_another_waits(tx: Tx) -> Future[None]:
            raise_above(tx)
            leaving = threads.submit(two.far.write, shrink)
            wait_until_one_waits(two.database)
            return leaving

        leaving = two.near.write(raise_while_another_waits)
        leaving.result(WAIT_S)

    room = GIVEN_BACK_BYTES // 2 if raise_above is lower_limit else 0
    assert not two.near.write(lambda tx: quota.take(tx, SUBJECT, size_bytes=room + 1))
    assert room == 0 or two.near.write(lambda tx: quota.take(tx, SUBJECT, size_bytes=room))
