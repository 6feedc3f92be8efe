"""kill -9 inside a commit, again and again: the database opens, acknowledged units are there, and none by half."""

import os
import random
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.integration.engine.metadata.sqlite.processes import drain, start
from tests.integration.engine.metadata.sqlite.writer import HALVES, die_at, write_until_killed
from tests.support.metadata import journal_of, open_sqlite

KILL_COUNT = int(os.environ.get("PENSTOCK_METADATA_KILLS", "24"))
STATEMENT_COUNT = 6
"""BEGIN, SAVEPOINT, two inserts, RELEASE, COMMIT."""

SEED = 7


def survivors(folder: Path) -> set[int]:
    """Open after a kill, check, and close cleanly; the numbers of the units that are there."""
    store = open_sqlite(folder)
    try:
        assert store.quick_check() == []
        halves = Counter(int(str(image["number"])) for _, image in journal_of(store))
        assert all(count == len(HALVES) for count in halves.values()), halves
    finally:
        store.close()
    return set(halves)


@pytest.mark.timeout(60 + KILL_COUNT)
def test_acknowledged_units_survive_kills_at_random_moments(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    acknowledged: set[int] = set()
    first = 0
    for _ in range(KILL_COUNT):
        process, receives = start(write_until_killed, tmp_path, first)
        for _ in range(chance.randrange(1, 12)):
            assert receives.poll(20)
            acknowledged.add(receives.recv())
        for _ in range(chance.randrange(20_000)):
            pass
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join(20)
        acknowledged.update(drain(receives))

        there = survivors(tmp_path)

        assert acknowledged <= there
        # At most the one unit under way when the process died is there without having been acknowledged.
        assert there - acknowledged <= {max(acknowledged) + 1}
        acknowledged = there
        first = max(there) + 1


@pytest.mark.parametrize("is_after", [False, True])
def test_a_kill_around_any_statement_of_a_commit_leaves_old_or_new(tmp_path: Path, is_after: bool) -> None:
    first = 0
    for statement in range(STATEMENT_COUNT):
        process, receives = start(die_at, tmp_path, first, statement, is_after)
        process.join(20)
        assert process.exitcode == -signal.SIGKILL
        assert drain(receives) == [first]

        there = survivors(tmp_path)

        is_committed = is_after and statement == STATEMENT_COUNT - 1
        assert (first in there, first + 1 in there) == (True, is_committed)
        first += 2
