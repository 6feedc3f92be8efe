"""Each key is one register, whoever asks which instance and whatever breaks meanwhile: an order of all that clients
did explains all that they were told, and nothing that was acknowledged is lost.

`PENSTOCK_LINEAR_OPERATIONS` makes the runs longer, `PENSTOCK_LINEAR_SEED` makes them others.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.chaos.leases import DOUBLED_LEASES
from tests.chaos.nemeses import (
    Crashes,
    EndedCommits,
    EndedConnections,
    KilledProcesses,
    SleepingProcesses,
)
from tests.chaos.register_load import Load, Nemesis, Outcomes
from tests.support.history import count_outcomes, save
from tests.support.instances import (
    Instance,
    InstanceWish,
    SharedDatabase,
    running_instances,
)
from tests.support.linearizability import check_all
from tests.support.register_client import Place
from tests.support.wrong_clocks import HAS_WRONG_CLOCKS

OPERATION_COUNT = int(os.environ.get("PENSTOCK_LINEAR_OPERATIONS", "500"))
SEED = int(os.environ.get("PENSTOCK_LINEAR_SEED", "1"))
TIMEOUT_S = 120 + OPERATION_COUNT // 20


REFUSAL_S_MAX = 10.0
"""Writes are refused within two seconds when the database is away; on a machine that does much else, later."""
HOUR_S = 3600
SLEEP_S_MAX = 12.0 if OPERATION_COUNT > 5000 else 1.5
"""In the long form beyond what the database lets a transaction idle."""

_BUSY_WORKERS = """
workers:
  reaper: {interval: 300ms}
  cleanup: {interval: 300ms}
  intents: {interval: 300ms}
  compaction: {interval: 300ms}
  multipart: {interval: 300ms}
  scrubber: {interval: 300ms}
"""


def places(instances: Sequence[Instance]) -> list[Place]:
    return [Place.of(f"i{number}", each) for number, each in enumerate(instances)]


def run(instances: Sequence[Instance], folder: Path, nemesis: Nemesis | None = None) -> Outcomes:
    """A load over the instances, whose answers one register a key explains."""
    load = Load(places=places(instances), seed=SEED, operation_count=OPERATION_COUNT)
    load.make_bucket()

    outcomes = load.run(nemesis)

    kept = folder / "history.jsonl"
    save(kept, outcomes.histories)
    print(count_outcomes(outcomes.operations), dict(outcomes.troubles), nemesis and dict(nemesis.deeds))
    if outcomes.refusals_s:
        middle_s, last_s = outcomes.refusals_s[len(outcomes.refusals_s) // 2], outcomes.refusals_s[-1]
        print(f"503 of a change: half within {middle_s:.2f} s, all within {last_s:.2f} s")
    assert outcomes.unexpected == []
    problems = check_all(outcomes.histories)
    assert not problems, f"seed {SEED}, history in {kept}:\n" + "\n".join(problems)
    return outcomes


@pytest.mark.timeout(TIMEOUT_S)
def test_one_register_a_key_over_two_processes_and_sqlite(tmp_path: Path) -> None:
    with running_instances(tmp_path, database=None, wishes=[InstanceWish()]) as instances:
        outcomes = run(instances, tmp_path)

    assert not outcomes.troubles


@pytest.mark.timeout(TIMEOUT_S)
def test_one_register_a_key_over_two_instances_of_two_processes(
    database: SharedDatabase, tmp_path: Path
) -> None:
    with running_instances(tmp_path, database=database) as instances:
        outcomes = run(instances, tmp_path)

    assert not outcomes.troubles


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.skipif(not HAS_WRONG_CLOCKS, reason="there is no C compiler for a clock that is wrong")
def test_clocks_an_hour_apart_change_no_order(database: SharedDatabase, tmp_path: Path) -> None:
    wishes = [InstanceWish(clock_ahead_s=-HOUR_S // 2), InstanceWish(clock_ahead_s=HOUR_S // 2)]
    with running_instances(tmp_path, database=database, wishes=wishes) as instances:
        outcomes = run(instances, tmp_path)

    assert not outcomes.troubles


@pytest.mark.timeout(TIMEOUT_S)
def test_connections_that_end_at_any_moment_leave_one_register_a_key(
    database: SharedDatabase, tmp_path: Path
) -> None:
    nemesis = EndedConnections(database, SEED)
    with running_instances(tmp_path, database=database) as instances:
        run(instances, tmp_path, nemesis)

    assert nemesis.deeds["ended"]


@pytest.mark.timeout(TIMEOUT_S)
def test_connections_that_end_at_their_commit_leave_one_register_a_key(
    database: SharedDatabase, tmp_path: Path
) -> None:
    nemesis = EndedCommits(database, SEED)
    with running_instances(tmp_path, database=database) as instances:
        run(instances, tmp_path, nemesis)

    assert nemesis.deeds["ended at commit"]


@pytest.mark.timeout(TIMEOUT_S)
def test_a_database_that_crashes_under_load_loses_nothing_acknowledged_while_reads_go_on(
    database: SharedDatabase, tmp_path: Path
) -> None:
    nemesis = Crashes(database, SEED)
    with running_instances(tmp_path, database=database, settings=_BUSY_WORKERS) as instances:
        outcomes = run(instances, tmp_path, nemesis)
        led = database.rows("SELECT DISTINCT worker FROM worker_runs WHERE finished_at_us IS NOT NULL")
        doubled = database.rows(DOUBLED_LEASES)

    report = instances[0].fsck()
    assert report["is_clean"], report["findings"]
    assert len(led) >= _BUSY_WORKERS.count("interval")
    assert doubled == []
    assert nemesis.deeds["crashed"]
    assert any(each.is_degraded for each in outcomes.operations)
    assert 0 < outcomes.refusals_s[-1] < REFUSAL_S_MAX


@pytest.mark.timeout(TIMEOUT_S)
def test_processes_that_are_killed_under_load_leave_one_register_a_key(
    database: SharedDatabase, tmp_path: Path
) -> None:
    with running_instances(tmp_path, database=database) as instances:
        nemesis = KilledProcesses(instances, SEED)
        run(instances, tmp_path, nemesis)

    report = instances[0].fsck()
    assert report["is_clean"], report["findings"]
    assert nemesis.deeds["killed"]


@pytest.mark.timeout(TIMEOUT_S)
def test_processes_that_sleep_and_wake_leave_one_register_a_key(
    database: SharedDatabase, tmp_path: Path
) -> None:
    with running_instances(tmp_path, database=database) as instances:
        nemesis = SleepingProcesses(instances, SEED, sleep_s_max=SLEEP_S_MAX)
        run(instances, tmp_path, nemesis)

    assert nemesis.deeds["slept"]
