"""A disk that is full or fails at any statement: each unit is old or new, and its caller is told what is known."""

import sys
from pathlib import Path
from subprocess import run

import apsw
import pytest

from engine.errors import DatabaseFull, DatabaseUnavailable, NoSuchBucket, OutcomeUnknown
from engine.metadata.buckets import find_bucket
from engine.metadata.store import Tx
from tests.integration.engine.metadata.sqlite.conftest import OpenRig
from tests.integration.engine.metadata.sqlite.crowd import WAIT_S, Crowd, adds
from tests.integration.engine.metadata.sqlite.faulty import Rig, fails

STATEMENT_COUNT_MAX = 40


def armed(rig: Rig, number: int, error: apsw.Error) -> Crowd:
    """The crowd's holder passes; the n-th statement after it fails."""
    crowd = Crowd(rig.committer)
    # The holder has begun: it is in its unit. What follows are its RELEASE and COMMIT, then the group.
    rig.connection.arm(before={2 + number: rig.connection.ends_transaction(error)})
    return crowd


@pytest.mark.parametrize("error", [apsw.FullError, apsw.IOError, apsw.BusyError, apsw.NoMemError])
def test_whichever_statement_fails_each_unit_is_old_or_new_and_its_caller_knows(
    open_rig: OpenRig, error: type[apsw.Error]
) -> None:
    faulted = 0
    known: list[str] = []
    rig = open_rig()
    for number in range(STATEMENT_COUNT_MAX):
        crowd = armed(rig, number, error("injected"))
        names = [f"{number}-{letter}" for letter in "abc"]
        calls = {name: crowd.call(adds(name)) for name in names}

        crowd.release()
        told = {name: call.exception(WAIT_S) for name, call in calls.items()}
        is_faulted = len(rig.connection.executed) > 2 + number
        rig.connection.arm()

        there = set(rig.names())
        assert set(known) <= there
        for name in names:
            if told[name] is None:
                assert name in there
            elif not isinstance(told[name], OutcomeUnknown):
                assert isinstance(told[name], DatabaseUnavailable)
                assert name not in there
        known += [name for name in names if name in there]
        rig.committer.run(adds(f"after-{number}"), (), WAIT_S)
        known.append(f"after-{number}")
        if not is_faulted:
            break
        faulted += 1
    else:
        pytest.fail("no group got through")
    assert faulted > 12


def test_units_of_a_failed_group_run_again_one_by_one(rig: Rig) -> None:
    crowd = armed(rig, 4, apsw.FullError("injected"))
    calls = [crowd.call(adds(name)) for name in "abc"]

    crowd.release()

    assert [call.exception(WAIT_S) for call in calls] == [None, None, None]
    assert rig.names() == ["a", "b", "c"]
    assert rig.connection.commit_count == 4


def test_the_unit_that_fills_the_disk_fails_alone(rig: Rig) -> None:
    def fills(tx: Tx) -> None:
        adds("big")(tx)
        rig.connection.ends_transaction(apsw.FullError("database or disk is full"))()

    crowd = Crowd(rig.committer)
    calls = [crowd.call(adds("first")), crowd.call(fills), crowd.call(adds("last"))]

    crowd.release()

    errors = [call.exception(WAIT_S) for call in calls]
    assert (errors[0], errors[2]) == (None, None)
    assert isinstance(errors[1], DatabaseFull)
    assert rig.names() == ["first", "last"]


def test_a_database_that_is_really_full_refuses_and_takes_again_what_fits(rig: Rig) -> None:
    def grows(tx: Tx) -> None:
        tx.run("insert_journal", {"kind": "big", "payload": "x" * 500_000, "now_us": 1})

    ((pages,),) = rig.connection.execute("PRAGMA page_count").fetchall()
    rig.connection.execute(f"PRAGMA max_page_count = {pages + 20}").fetchall()

    crowd = Crowd(rig.committer)
    calls = [crowd.call(adds("first")), crowd.call(grows), crowd.call(adds("last"))]
    crowd.release()

    errors = [call.exception(WAIT_S) for call in calls]
    assert [type(each) for each in errors] == [type(None), DatabaseFull, type(None)]
    assert rig.names() == ["first", "last"]
    rig.connection.execute("PRAGMA max_page_count = 100000").fetchall()
    rig.committer.run(grows, (), WAIT_S)


def test_an_io_error_at_the_commit_is_an_unknown_outcome(rig: Rig) -> None:
    rig.committer.run(adds("before"), (), WAIT_S)
    rig.connection.arm()
    rig.committer.run(adds("measured"), (), WAIT_S)
    commit_at = rig.connection.executed.index("COMMIT")

    rig.connection.arm(before={commit_at: rig.connection.ends_transaction(apsw.IOError("injected"))})
    with pytest.raises(OutcomeUnknown):
        rig.committer.run(adds("lost"), (), WAIT_S)
    rig.connection.arm(after={commit_at: fails(apsw.IOError("injected"))})
    with pytest.raises(OutcomeUnknown):
        rig.committer.run(adds("landed"), (), WAIT_S)

    rig.connection.arm()
    rig.committer.run(adds("later"), (), WAIT_S)
    assert rig.names() == ["before", "measured", "landed", "later"]


def test_a_unit_that_was_refused_is_not_unknown_when_the_commit_of_its_group_fails(rig: Rig) -> None:
    crowd = Crowd(rig.committer)
    calls = [crowd.call(adds("a")), crowd.call(lambda tx: find_bucket(tx, "nowhere"))]
    rig.connection.arm()
    fault = rig.connection.ends_transaction(apsw.IOError("injected"))
    rig.connection.before = {
        number: (lambda: fault() if rig.connection.commit_count == 2 else None) for number in range(50)
    }

    crowd.release()

    assert isinstance(calls[0].exception(WAIT_S), OutcomeUnknown)
    assert isinstance(calls[1].exception(WAIT_S), NoSuchBucket)
    rig.connection.arm()


def test_a_transaction_that_cannot_begin_did_nothing(rig: Rig) -> None:
    rig.connection.arm(before={0: fails(apsw.BusyError("injected"))})

    with pytest.raises(DatabaseUnavailable):
        rig.committer.run(adds("lost"), (), WAIT_S)

    rig.connection.arm()
    rig.committer.run(adds("later"), (), WAIT_S)
    assert rig.names() == ["later"]


def test_a_file_that_cannot_grow_at_any_size_leaves_old_or_new(tmp_path: Path) -> None:
    """The kernel refuses writes past a size (RLIMIT_FSIZE), so SQLite meets real failures in its log."""
    program = "tests.integration.engine.metadata.sqlite.limited"

    done = run([sys.executable, "-m", program, str(tmp_path)], capture_output=True, text=True, timeout=50)

    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        "OutcomeUnknown" in done.stdout
        or "DatabaseUnavailable" in done.stdout
        or "DatabaseFull" in done.stdout
    )
