"""Old audit events are dropped, what stays is still verified, and nobody can drop them by hand unseen."""

from collections.abc import Callable

import pytest

from engine.errors import DatabaseUnavailable, OutcomeUnknown
from engine.metadata.audit import ALL, list_events
from engine.metadata.audit_chain import ChainProblem
from engine.metadata.store import Store, Tx
from engine.upkeep.audit_expiry import AuditExpiry
from tests.conformance.metadata.test_audit import THERE, found, seal, walk, write, write_some
from tests.support.deployments import no_fence
from tests.support.interruptions import InterruptedStore
from tests.support.metadata import SetClock, run_sql

DAY_S = 86_400.0


def expire(store: Store, *, keep_s: float | None = DAY_S, batch_count_max: int = 500) -> None:
    unit = AuditExpiry(store, fence=no_fence, seal=seal, keep_s=keep_s, batch_count_max=batch_count_max)
    while unit.work().has_more:
        pass


def left(store: Store) -> list[int]:
    rows = store.read(lambda tx: list_events(tx, wanted=ALL, before=2**62, count_max=1000))
    return sorted(row.event_seq for row in rows)


def anchor_count(store: Store) -> int:
    ((count,),) = run_sql(store, "SELECT COUNT(*) FROM audit_anchors")
    assert isinstance(count, int)
    return count


@pytest.mark.parametrize("batch_count_max", [1, 2, 500])
def test_old_events_go_and_the_rest_is_verified(store: Store, clock: SetClock, batch_count_max: int) -> None:
    write_some(store)
    clock.move(2 * DAY_S)
    young = [row.event_seq for row in write_some(store)]

    expire(store, batch_count_max=batch_count_max)

    assert left(store) == young
    assert walk(store).findings == ()
    assert anchor_count(store) == 2


def test_the_last_event_of_a_chain_stays_whatever_its_age(store: Store, clock: SetClock) -> None:
    rows = write_some(store)
    clock.move(500 * DAY_S)

    expire(store)
    expire(store)

    assert left(store) == [rows[4].event_seq, rows[5].event_seq]
    assert walk(store).findings == ()


def test_what_another_chain_begins_at_is_anchored_as_long_as_that_needs_it(
    store: Store, clock: SetClock
) -> None:
    write(store)
    clock.move(2 * DAY_S)
    tied = write(store, instance_id=THERE)
    write(store)

    expire(store)

    assert tied.event_seq == left(store)[0]
    assert walk(store).findings == ()
    write(store, instance_id=THERE)
    write(store)
    clock.move(2 * DAY_S)
    expire(store)
    assert walk(store).findings == ()
    assert anchor_count(store) == 2


def test_nothing_goes_before_its_time_or_without_one(store: Store, clock: SetClock) -> None:
    rows = write_some(store)
    clock.move(DAY_S - 1)
    expire(store)
    clock.move(1000 * DAY_S)
    expire(store, keep_s=None)

    assert left(store) == [row.event_seq for row in rows]
    assert anchor_count(store) == 0


def test_what_follows_an_event_that_came_too_early_by_a_clock_stays(store: Store, clock: SetClock) -> None:
    """A clock that was set back: behind a young event nothing is old."""
    clock.move(3 * DAY_S)
    rows = [write(store)]
    clock.move(-3 * DAY_S)
    rows += [write(store), write(store)]
    clock.move(2 * DAY_S)

    expire(store)

    assert left(store) == [row.event_seq for row in rows]


def _drop_more(store: Store, first: int) -> None:
    run_sql(store, "DELETE FROM audit_events WHERE event_seq = :seq", {"seq": first})


def _drop_anchors(store: Store, first: int) -> None:
    run_sql(store, "DELETE FROM audit_anchors WHERE event_seq > 0")


def _forge_anchor(store: Store, first: int) -> None:
    hash_of = "(SELECT hash FROM audit_events WHERE event_seq = :seq)"
    run_sql(store, f"UPDATE audit_anchors SET hash = {hash_of}", {"seq": first})
    run_sql(store, "DELETE FROM audit_events WHERE event_seq = :seq", {"seq": first})


@pytest.mark.parametrize("tamper", [_drop_more, _drop_anchors, _forge_anchor])
def test_who_writes_to_the_database_alone_drops_nothing_unseen(
    store: Store, clock: SetClock, tamper: Callable[[Store, int], None]
) -> None:
    write(store)
    write(store)
    clock.move(2 * DAY_S)
    for _ in range(3):
        write(store)
    expire(store)
    first = left(store)[0]

    tamper(store, first)

    assert {problem for _, problem in found(store)} == {ChainProblem.DETACHED}


@pytest.mark.parametrize("is_committed", [False, True])
def test_a_crash_at_any_step_leaves_whole_chains(store: Store, clock: SetClock, is_committed: bool) -> None:
    write_some(store)
    clock.move(2 * DAY_S)
    young = [row.event_seq for row in write_some(store)]

    crash_count = 0
    while True:
        interrupted = InterruptedStore(store, at=2 if crash_count % 2 else 1, is_committed=is_committed)
        try:
            expire(interrupted, batch_count_max=1)
            break
        except (DatabaseUnavailable, OutcomeUnknown):
            crash_count += 1
            assert walk(store).findings == ()
            if not is_committed and crash_count > 3:
                expire(store, batch_count_max=1)

    assert crash_count >= 3
    assert left(store) == young
    assert walk(store).findings == ()


def test_a_lost_lease_drops_nothing(store: Store, clock: SetClock) -> None:
    rows = write_some(store)
    clock.move(2 * DAY_S)

    def lost(tx: Tx) -> None:
        raise LookupError("another one leads")

    unit = AuditExpiry(store, fence=lost, seal=seal, keep_s=DAY_S)
    with pytest.raises(LookupError):
        unit.work()

    assert left(store) == [row.event_seq for row in rows]
