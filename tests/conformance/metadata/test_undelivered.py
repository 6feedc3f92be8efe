"""Events that were given up are listed, tried again, let go, and dropped past their time; targets tell what waits."""

from functools import partial

import pytest

from engine.clock import uuid7
from engine.errors import NoSuchResource
from engine.metadata import outbox, undelivered
from engine.metadata.store import Store, Tx
from engine.metadata.undelivered import KEEP_S, TargetBacklog, UndeliveredEvent, UndeliveredFilter
from engine.notifications.messages import message_of_test
from tests.support.metadata import SetClock, run_sql

ALL = UndeliveredFilter()


def insert(store: Store, target: str, *, attempts: int = 0, error: str | None = None) -> bytes:
    event_id = uuid7()
    run_sql(
        store,
        "INSERT INTO notification_outbox (event_id, type, payload, target, attempts, next_retry_us, last_error)"
        " VALUES (:event_id, 's3:TestEvent', :payload, :target, :attempts, 1, :error)",
        {
            "event_id": event_id,
            "payload": message_of_test("photos", 1),
            "target": target,
            "attempts": attempts,
            "error": error,
        },
    )
    return event_id


def bury(store: Store, *targets: str) -> list[bytes]:
    """One event for each target, failed at its last try; in the order of their ids."""
    event_ids = []
    for target in targets:
        event_ids.append(insert(store, target, attempts=outbox.ATTEMPT_COUNT_MAX - 1))
        (item,) = store.read(partial(outbox.list_due, count_max=10))
        assert store.write(partial(outbox.postpone, item=item, error="nobody is there"))
    return sorted(event_ids)


def listed(store: Store, wanted: UndeliveredFilter = ALL) -> list[UndeliveredEvent]:
    return store.read(partial(undelivered.list_undelivered, wanted=wanted, after=b"", count_max=100))


def ids(store: Store, wanted: UndeliveredFilter = ALL) -> list[bytes]:
    return [each.event_id for each in listed(store, wanted)]


def test_they_are_listed_by_what_is_asked_for(store: Store, clock: SetClock) -> None:
    bury(store, "hook", "hook")
    clock.move(60)
    bury(store, "other")

    early = UndeliveredFilter(died_before_us=clock.now_us())
    hooks = UndeliveredFilter(target="hook")
    events = listed(store)

    assert [each.target for each in listed(store, early)] == ["hook", "hook"]
    assert ids(store, hooks) == ids(store, early)
    assert store.read(partial(undelivered.count_undelivered, wanted=hooks)) == 2
    assert {each.last_error for each in events} == {"nobody is there"}
    assert {each.attempt_count for each in events} == {outbox.ATTEMPT_COUNT_MAX}
    page = store.read(
        partial(undelivered.list_undelivered, wanted=ALL, after=events[0].event_id, count_max=1)
    )
    assert page == [events[1]]


def test_an_event_that_is_tried_again_has_all_its_tries(store: Store, clock: SetClock) -> None:
    first, second = bury(store, "hook", "hook")
    events = listed(store)

    again = store.write(partial(undelivered.retry, events=events[:1]))
    twice = store.write(partial(undelivered.retry, events=events[:1]))

    assert (again, twice) == (1, 0)
    assert ids(store) == [second]
    (item,) = store.read(partial(outbox.list_due, count_max=10))
    assert (item.event_id, item.attempts, item.payload) == (first, 0, events[0].payload)


def test_what_is_let_go_is_gone(store: Store) -> None:
    (event_id,) = bury(store, "hook")
    events = listed(store)

    gone = store.write(partial(undelivered.discard, events=events))

    assert (gone, store.write(partial(undelivered.discard, events=events))) == (1, 0)
    assert store.read(outbox.depth).waiting_count == store.read(outbox.depth).dead_count == 0
    with pytest.raises(NoSuchResource):
        store.read(partial(undelivered.find_undelivered, event_ids=[event_id]))


def test_only_those_past_their_time_are_dropped(store: Store, clock: SetClock) -> None:
    old = bury(store, "hook", "hook", "hook")
    clock.move(KEEP_S - 1)
    (young,) = bury(store, "hook")

    def drop(tx: Tx) -> int:
        return undelivered.drop_old(tx, count_max=2)

    assert store.write(drop) == 0
    clock.move(2)
    assert (store.write(drop), store.write(drop), store.write(drop)) == (2, 1, 0)
    assert ids(store) == [young]
    assert young not in old


def test_targets_tell_what_waits_and_what_was_given_up(store: Store) -> None:
    bury(store, "hook")
    insert(store, "hook", attempts=3, error="the receiver answered 500")
    insert(store, "other")

    assert store.read(undelivered.by_target) == [
        TargetBacklog(
            target="hook",
            waiting_count=1,
            dead_count=1,
            most_attempts=3,
            last_error="the receiver answered 500",
        ),
        TargetBacklog(target="other", waiting_count=1),
    ]
