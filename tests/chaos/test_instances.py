"""Two instances over one database are one store: one order of writes, one winner, one quota, one leader a worker.

`PENSTOCK_LINEAR_OPERATIONS` asks for the long forms.
"""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.chaos.leases import DOUBLED_LEASES
from tests.chaos.register_load import BUCKET, Load
from tests.chaos.test_linearizable import places
from tests.support.history import Kind, Operation, Outcome
from tests.support.instances import Instance, SharedDatabase, running_instances
from tests.support.linearizability import check_all
from tests.support.register_client import Place, RegisterClient

IS_LONG = "PENSTOCK_LINEAR_OPERATIONS" in os.environ
SEED = int(os.environ.get("PENSTOCK_LINEAR_SEED", "1"))
WRITER_COUNT = 8
RACE_COUNT = 500 if IS_LONG else 200
OVERWRITE_COUNT = 8000 if IS_LONG else 500
WAIT_TIMEOUT_S = 60.0
LIMITED = "limited"
QUOTA_BYTES = 3_000_001
_LIMITED_BUCKET = f"""
buckets:
  - {{name: {LIMITED}, account: main, quota_bytes: {QUOTA_BYTES}}}
"""
_LAZY_WORKERS = """
workers:
  reaper: {interval: 1h}
  cleanup: {interval: 1h}
"""


@pytest.mark.timeout(300)
def test_eight_writers_of_one_key_all_succeed_in_one_order(database: SharedDatabase, tmp_path: Path) -> None:
    with running_instances(tmp_path, database=database) as instances:
        load = Load(
            places=places(instances),
            seed=SEED,
            operation_count=OVERWRITE_COUNT,
            client_count=WRITER_COUNT,
            key_count=1,
            weights={Kind.PUT: 3, Kind.GET: 1},
        )
        load.make_bucket()

        outcomes = load.run()

        current = database.rows(
            "SELECT COUNT(*) FROM object_versions WHERE is_current AND object_key = %s", b"k0"
        )
    assert outcomes.unexpected == []
    assert not outcomes.troubles
    assert {each.outcome for each in outcomes.operations} == {Outcome.DONE}
    assert check_all(outcomes.histories) == []
    assert current == [(1,)]


@pytest.mark.timeout(300)
def test_of_writers_with_one_condition_exactly_one_wins_each_time(
    database: SharedDatabase, tmp_path: Path
) -> None:
    with running_instances(tmp_path, database=database) as instances, writers_of(instances) as writers:
        writers[0].make_bucket()

        absent_races = raced(writers, lambda writer, race: writer.put_if_absent(f"r{race}", 64))
        winners = [winner_of(race) for race in absent_races]
        match_races = raced(writers, lambda writer, race: writer.put_if_match(f"r{race}", winners[race], 64))

        stored = [writers[race % WRITER_COUNT].get(f"r{race}") for race in range(RACE_COUNT // 2)]
    for race in match_races:
        winner_of(race)
    assert [each and each.value for each in stored] == [winner_of(race) for race in match_races]
    assert not sum((each.troubles for each in writers), Counter())


@pytest.mark.timeout(300)
def test_a_quota_is_never_exceeded_by_a_byte_and_can_be_used_to_the_last(
    database: SharedDatabase, tmp_path: Path
) -> None:
    with (
        running_instances(tmp_path, database=database, settings=_LIMITED_BUCKET) as instances,
        ExitStack() as stack,
    ):
        fillers = [
            Filler(place, SEED * 100 + number)
            for number, place in enumerate(places(instances) * (WRITER_COUNT // 2))
        ]
        for each in fillers:
            stack.enter_context(each.client)
            each.start()
        highest_bytes, look_count = watched(database, fillers)

        assert [each.failure for each in fillers if each.failure] == []
        assert sum(each.refused_count for each in fillers) > WRITER_COUNT
        assert look_count > 10
        assert highest_bytes <= QUOTA_BYTES
        (used_bytes,) = database.rows(STORED)[0]
        writer = fillers[0].client
        # What is left is found whole, wherever it was put aside, and then there is nothing.
        if used_bytes < QUOTA_BYTES:
            assert stores(writer, "last", QUOTA_BYTES - used_bytes)
        assert database.rows(STORED) == [(QUOTA_BYTES,)]
        assert not stores(writer, "too-much", 1)
        # What is deleted here can be used there.
        freed_bytes = fillers[0].delete_one()
        assert not stores(fillers[1].client, "again", freed_bytes + 1)
        assert stores(fillers[1].client, "again", freed_bytes)
        assert database.rows(STORED) == [(QUOTA_BYTES,)]


@pytest.mark.timeout(300)
def test_a_worker_that_slept_through_its_lease_is_fenced_off(
    database: SharedDatabase, tmp_path: Path
) -> None:
    with (
        running_instances(tmp_path, database=database, settings=_LAZY_WORKERS) as instances,
        writers_of(instances) as (writer, *_),
    ):
        writer.make_bucket()
        first_runs = wait_for(lambda: database.rows("SELECT 1 FROM worker_runs WHERE worker = 'reaper'"))
        assert first_runs
        assert writer.put("k", 64)
        assert writer.put("k", 64)

        with database.server.connect(database.name) as blocker, blocker.transaction():
            # In the middle of its transaction the worker waits for a row that is held here.
            blocker.execute(
                "SELECT 1 FROM blobs WHERE blob_id IN (SELECT blob_id FROM object_versions"
                " WHERE state = 'retired') FOR UPDATE"
            )
            instances[0].adminctl("worker", "trigger", "reaper")
            pid, holder = wait_for(lambda: leader_in_a_lock(database))
            os.kill(pid, signal.SIGSTOP)
        try:
            if not IS_LONG:
                # As if so much time had passed; the stopped one's transaction has to be ended by the server first.
                database.rows(
                    "UPDATE worker_leases SET expires_at_us = 0 WHERE worker = 'reaper' RETURNING 1"
                )
            awake = next(each for each in instances if pid not in each.processes())
            awake.adminctl("worker", "trigger", "reaper")
            next_run = wait_for(lambda: finished_runs(database, but_not=holder))
        finally:
            os.kill(pid, signal.SIGCONT)
        slept_run = wait_for(
            lambda: database.rows(
                "SELECT done_count, error FROM worker_runs WHERE worker = 'reaper' AND holder = %s"
                " AND finished_at_us IS NOT NULL AND error IS NOT NULL",
                holder,
            )
        )
        doubled = database.rows(DOUBLED_LEASES)

    assert next_run[-1] == (1, None)
    assert slept_run == [(0, slept_run[0][1])]
    assert slept_run[0][1].startswith("LeaseLost")
    assert doubled == []


STORED = f"""
SELECT COALESCE(SUM(size_bytes), 0)::bigint FROM object_versions
WHERE bucket_id = (SELECT bucket_id FROM buckets WHERE name = '{LIMITED}')
"""


def wait_for(look: Callable[[], Any]) -> Any:
    """What `look` finds, once it finds anything."""
    deadline_s = time.monotonic() + WAIT_TIMEOUT_S
    while time.monotonic() < deadline_s:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


@contextmanager
def writers_of(instances: Sequence[Instance]) -> Iterator[list[RegisterClient]]:
    """Writers that are spread over the instances."""
    all_places = places(instances)
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                RegisterClient(
                    f"w{number}", all_places[number % len(all_places)], BUCKET, SEED * 100 + number
                )
            )
            for number in range(WRITER_COUNT)
        ]


def raced(
    writers: Sequence[RegisterClient], ask: Callable[[RegisterClient, int], Operation | None]
) -> list[list[Operation | None]]:
    """What each writer was told in each race; in a race all ask at once."""
    races: list[list[Operation | None]] = [[] for _ in range(RACE_COUNT // 2)]
    start = threading.Barrier(len(writers))

    def take_part(writer: RegisterClient) -> None:
        try:
            for race, told in enumerate(races):
                start.wait(WAIT_TIMEOUT_S)
                told.append(ask(writer, race))
        except BaseException:
            start.abort()
            raise

    threads = [threading.Thread(target=take_part, args=(writer,)) for writer in writers]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return races


def winner_of(race: Sequence[Operation | None]) -> str:
    """The value of the one that won; all others were refused by their condition, or asked to try again."""
    assert len(race) == WRITER_COUNT
    outcomes = Counter(each.outcome if each else None for each in race)
    assert outcomes[Outcome.DONE] == 1, outcomes
    assert outcomes[Outcome.REFUSED] + outcomes[Outcome.NOTHING] == WRITER_COUNT - 1, outcomes
    (value,) = [each.value for each in race if each and each.outcome is Outcome.DONE]
    assert value is not None
    return value


class Filler(threading.Thread):
    """Stores objects of any size, overwrites and deletes some, until nothing more goes in anywhere."""

    def __init__(self, place: Place, seed: int) -> None:
        super().__init__(daemon=True)
        self._random = random.Random(seed)
        self._sizes: dict[str, int] = {}
        self.client = RegisterClient(f"f{seed}", place, LIMITED, seed)
        self.refused_count = 0
        self.failure: str | None = None

    def run(self) -> None:
        try:
            for step in range(400):
                key = f"{self.client.name}/{self._random.randrange(60)}"
                if self._sizes and self._random.random() < 0.25 and step < 300:
                    self.delete_one()
                    continue
                size_bytes = self._random.choice([40, 1000, 7001, 30_000])
                if stores(self.client, key, size_bytes):
                    self._sizes[key] = size_bytes
                else:
                    self.refused_count += 1
        except Exception as error:  # the test's own thread reports it
            self.failure = f"{type(error).__name__}: {error}"

    def delete_one(self) -> int:
        """How many bytes that gave back."""
        key = self._random.choice(sorted(self._sizes))
        operation = self.client.delete(key)
        assert operation is not None
        assert operation.outcome is Outcome.DONE
        return self._sizes.pop(key)


def stores(writer: RegisterClient, key: str, size_bytes: int) -> bool:
    """Whether an object of exactly this size went in; otherwise the quota refused it."""
    answer = writer.put_exactly(key, size_bytes)
    if answer is not None and answer.said == (403, "QuotaExceeded"):
        return False
    assert answer is not None, f"{key} was not answered"
    assert answer.status == 200, answer.said
    return True


def watched(database: SharedDatabase, fillers: Sequence[threading.Thread]) -> tuple[int, int]:
    """The most bytes the bucket held while the fillers were at it, and how often that was looked at."""
    highest_bytes = look_count = 0
    with database.server.connect(database.name) as connection:
        while any(each.is_alive() for each in fillers):
            highest_bytes = max(highest_bytes, _one(connection, STORED))
            look_count += 1
    return highest_bytes, look_count


def _one(connection: "psycopg.Connection[Any]", statement: str) -> int:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


def leader_in_a_lock(database: SharedDatabase) -> tuple[int, bytes] | None:
    """Process id and id of the reaper's leader while the database lets it wait for a row."""
    found = database.rows(
        "SELECT pid, process_id FROM processes JOIN worker_leases ON holder = process_id"
        " WHERE worker = 'reaper' AND EXISTS (SELECT 1 FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock')",
    )
    return found[0] if found else None


def finished_runs(database: SharedDatabase, *, but_not: bytes) -> list[Any]:
    """What the reaper did under leases of others that did anything."""
    return database.rows(
        "SELECT done_count, error FROM worker_runs WHERE worker = 'reaper' AND holder <> %s"
        " AND finished_at_us IS NOT NULL AND done_count > 0 ORDER BY run_id",
        but_not,
    )
