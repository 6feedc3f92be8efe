"""What an instance is asked for stands in its row until it is done, and one process carries a stop out."""

from functools import partial

import pytest

from engine.metadata import processes, wishes
from engine.metadata.processes import DEAD_AFTER_S, InstanceRow
from engine.metadata.store import Store
from engine.metadata.wishes import Wishes, wishes_of
from tests.support.metadata import SetClock

INSTANCE, FIRST, SECOND = b"instance-------1", b"process--------1", b"process--------2"


@pytest.fixture(autouse=True)
def _registered(store: Store) -> None:
    for process_id in (FIRST, SECOND):
        store.write(
            partial(
                processes.register,
                instance_id=INSTANCE,
                process_id=process_id,
                node="node-1",
                version="1.0",
                plane="dataplane",
                pid=42,
                generation=1,
            )
        )


def asked(store: Store) -> Wishes:
    return wishes_of(store.look("find_instance_wishes", {"instance_id": INSTANCE}))


def row(store: Store) -> InstanceRow:
    found = store.read(partial(processes.find_instance, instance_id=INSTANCE))
    assert found is not None
    return found


def take(store: Store, process_id: bytes) -> bool:
    return store.write(partial(wishes.take_stop, instance_id=INSTANCE, process_id=process_id))


def test_nobody_asks_for_anything_at_first(store: Store) -> None:
    assert asked(store) == Wishes()
    assert (row(store).is_draining, row(store).is_stopping) == (False, False)
    assert not take(store, FIRST)


def test_a_drain_lasts_from_its_first_wish_to_its_end(store: Store, clock: SetClock) -> None:
    drain = partial(wishes.ask_to_drain, instance_id=INSTANCE)
    assert store.write(partial(drain, is_wanted=True))
    since_us = asked(store).draining_since_us
    clock.move(5)
    store.write(partial(drain, is_wanted=True))

    assert asked(store).draining_since_us == since_us
    assert row(store).is_draining
    store.write(partial(drain, is_wanted=False))
    assert asked(store).draining_since_us is None
    assert not row(store).is_draining


def test_an_instance_that_is_not_there_is_asked_for_nothing(store: Store) -> None:
    for ask in (
        partial(wishes.ask_to_drain, is_wanted=True),
        wishes.ask_to_look,
        partial(wishes.ask_to_stop, grace_s=1.0),
    ):
        assert not store.write(partial(ask, instance_id=b"another--------1"))
    assert store.write(partial(wishes.ask_to_restart, instance_id=b"another--------1")) is None


def test_looks_and_restarts_are_told_by_their_time(store: Store, clock: SetClock) -> None:
    store.write(partial(wishes.ask_to_look, instance_id=INSTANCE))
    first_us = asked(store).look_asked_at_us
    clock.move(1)
    store.write(partial(wishes.ask_to_look, instance_id=INSTANCE))
    restart_us = store.write(partial(wishes.ask_to_restart, instance_id=INSTANCE))

    assert first_us is not None
    assert (asked(store).look_asked_at_us or 0) > first_us
    assert asked(store).restart_asked_at_us == restart_us


def test_a_later_wish_brings_a_stop_nearer_and_never_moves_it_away(store: Store, clock: SetClock) -> None:
    stop = partial(wishes.ask_to_stop, instance_id=INSTANCE)
    store.write(partial(stop, grace_s=20.0))
    by_us = asked(store).stop_by_us
    assert by_us is not None
    store.write(partial(stop, grace_s=600.0))
    assert asked(store).stop_by_us == by_us
    store.write(partial(stop, grace_s=1.0))

    assert (asked(store).stop_by_us or 0) < by_us
    assert (row(store).is_draining, row(store).is_stopping) == (True, True)


def test_one_process_carries_a_stop_out_and_another_if_that_one_died_before(
    store: Store, clock: SetClock
) -> None:
    store.write(partial(wishes.ask_to_stop, instance_id=INSTANCE, grace_s=1.0))

    assert (take(store, FIRST), take(store, SECOND), take(store, FIRST)) == (True, False, False)
    clock.move(DEAD_AFTER_S + 1)
    assert take(store, SECOND)


def test_a_process_that_ended_in_order_has_carried_the_stop_out(store: Store, clock: SetClock) -> None:
    store.write(partial(wishes.ask_to_stop, instance_id=INSTANCE, grace_s=1.0))
    assert take(store, FIRST)
    store.write(partial(processes.stop, process_id=FIRST))
    clock.move(DEAD_AFTER_S + 1)

    assert not take(store, SECOND)


def test_a_process_is_drained_from_when_it_first_said_so(store: Store, clock: SetClock) -> None:
    beat = partial(processes.beat, process_id=FIRST, generation=1)

    def facts() -> tuple[int | None, bool]:
        (process,) = [each for each in row(store).processes if each.process_id == FIRST]
        return process.in_flight_count, process.is_drained

    assert facts() == (None, False)
    store.write(partial(beat, in_flight_count=3))
    assert facts() == (3, False)
    store.write(partial(beat, in_flight_count=0, is_drained=True))
    assert facts() == (0, True)
    store.write(partial(beat, in_flight_count=1))
    assert facts() == (1, False)


def test_the_oldest_generation_is_that_of_live_data_planes(store: Store, clock: SetClock) -> None:
    oldest = processes.oldest_generation
    assert store.read(oldest) == 1
    store.write(partial(processes.beat, process_id=FIRST, generation=3))
    assert store.read(oldest) == 1
    store.write(partial(processes.beat, process_id=SECOND, generation=2, refused_generation=3, refusal="no"))
    assert store.read(oldest) == 2
    assert {each.refusal for each in row(store).processes} == {None, "no"}

    clock.move(DEAD_AFTER_S - 1)
    store.write(partial(processes.beat, process_id=FIRST, generation=3))
    clock.move(2)

    assert store.read(oldest) == 3
    store.write(partial(processes.stop, process_id=FIRST))
    assert store.read(oldest) is None
