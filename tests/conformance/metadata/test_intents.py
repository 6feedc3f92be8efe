"""Intents: named before a byte leaves, renewed while held, claimed by recovery only when their holder is gone."""

from functools import partial

import pytest

from engine.clock import uuid7
from engine.metadata import intents, leases, processes
from engine.metadata.intents import INTENT_TTL_S, Intent
from engine.metadata.store import Store
from engine.records import Lease
from engine.units import MINUTE_S
from tests.conformance.metadata.conftest import OpenStore
from tests.support.metadata import SetClock, make_backend

DEAD_AFTER_S = 15.0
INSTANCE, PROCESS, RECOVERER = b"instance-1------", b"process-1-------", b"process-2-------"


@pytest.fixture
def backend(store: Store) -> int:
    return make_backend(store, kind="s3")


def register(store: Store, instance_id: bytes = INSTANCE, process_id: bytes = PROCESS) -> None:
    store.write(
        partial(
            processes.register,
            instance_id=instance_id,
            process_id=process_id,
            node="node-1",
            version="0",
            plane="dataplane",
            pid=1,
            generation=None,
        )
    )


def beat(store: Store) -> None:
    store.write(partial(processes.beat, process_id=PROCESS, generation=None))


def announce(
    store: Store, backend_id: int, *storage_keys: str, instance_id: bytes = INSTANCE
) -> list[Intent]:
    made = [Intent(intent_id=uuid7(), backend_id=backend_id, storage_key=key) for key in storage_keys]
    store.write(partial(intents.announce, instance_id=instance_id, intents=made))
    return made


def claim(
    store: Store, process_id: bytes = RECOVERER, *, count_max: int = 100, lease: Lease | None = None
) -> list[Intent]:
    return store.write(
        partial(
            intents.claim_dead,
            process_id=process_id,
            dead_after_s=DEAD_AFTER_S,
            count_max=count_max,
            lease=lease,
        )
    )


def test_intents_of_a_living_instance_are_left_alone(store: Store, backend: int, clock: SetClock) -> None:
    register(store)
    announce(store, backend, "a")
    clock.move(DEAD_AFTER_S - 1)

    assert claim(store) == []


def test_intents_of_an_instance_without_signs_of_life_are_claimed(
    store: Store, backend: int, clock: SetClock
) -> None:
    register(store)
    made = announce(store, backend, "a", "b")
    clock.move(DEAD_AFTER_S + 1)

    assert sorted(claim(store), key=lambda each: each.storage_key) == made


def test_intents_of_an_instance_that_stopped_cleanly_are_claimed_at_once(store: Store, backend: int) -> None:
    register(store)
    made = announce(store, backend, "a")
    store.write(partial(processes.stop, process_id=PROCESS))

    assert claim(store) == made


def test_intents_of_an_instance_nobody_knows_are_claimed(store: Store, backend: int) -> None:
    made = announce(store, backend, "a", instance_id=b"unknown---------")

    assert claim(store) == made


def test_an_intent_that_is_not_renewed_is_claimed_though_its_instance_lives(
    store: Store, backend: int, clock: SetClock
) -> None:
    register(store)
    kept, lost = announce(store, backend, "kept", "lost")
    for _ in range(INTENT_TTL_S // MINUTE_S):
        clock.move(MINUTE_S)
        beat(store)
        assert store.write(partial(intents.renew_each, intent_ids=[kept.intent_id])) == 1
    clock.move(1)
    beat(store)

    assert claim(store) == [lost]


def test_an_instance_renews_all_it_holds(store: Store, backend: int, clock: SetClock) -> None:
    register(store)
    register(store, b"instance-2------", b"process-3-------")
    announce(store, backend, "a", "b")
    foreign = announce(store, backend, "c", instance_id=b"instance-2------")
    clock.move(INTENT_TTL_S)

    assert store.write(partial(intents.renew, instance_id=INSTANCE)) == 2
    clock.move(1)
    beat(store)

    assert claim(store) == foreign


def test_two_recoverers_never_claim_the_same(open_store: OpenStore) -> None:
    near, far = open_store(), open_store()
    announce(near, make_backend(near, kind="s3"), *(f"key-{number}" for number in range(5)))

    got = [claim(near, count_max=3), claim(far, PROCESS, count_max=3), claim(near)]

    assert [len(each) for each in got] == [3, 2, 0]


def test_a_claim_of_a_recoverer_that_died_is_open_again(store: Store, backend: int, clock: SetClock) -> None:
    made = announce(store, backend, "a")
    assert claim(store) == made
    clock.move(INTENT_TTL_S)
    assert claim(store, PROCESS) == []
    clock.move(1)

    assert claim(store, PROCESS) == made


def test_a_claim_is_open_again_when_its_lease_has_ended_and_not_before(
    store: Store, backend: int, clock: SetClock
) -> None:
    made = announce(store, backend, "a")
    lease = store.write(partial(leases.acquire, worker="intents", holder=RECOVERER, ttl_s=30.0))
    assert lease is not None

    assert claim(store, lease=lease) == made
    clock.move(29)
    assert claim(store, PROCESS) == []
    clock.move(1)
    assert claim(store, PROCESS) == made
    assert claim(store, PROCESS) == []


def test_a_claimed_intent_is_neither_renewed_nor_settled(store: Store, backend: int) -> None:
    (made,) = announce(store, backend, "a")
    claim(store)

    assert store.write(partial(intents.renew, instance_id=INSTANCE)) == 0
    assert store.write(partial(intents.renew_each, intent_ids=[made.intent_id])) == 0
    assert not store.write(partial(intents.settle, intent_id=made.intent_id))
    assert store.read(intents.count) == 1


def test_settling_happens_once(store: Store, backend: int) -> None:
    (made,) = announce(store, backend, "a")

    assert store.write(partial(intents.settle, intent_id=made.intent_id))
    assert not store.write(partial(intents.settle, intent_id=made.intent_id))
    assert store.read(intents.count) == 0


def test_forgetting_again_is_harmless(store: Store, backend: int) -> None:
    (made,) = announce(store, backend, "a")
    claim(store)

    for _ in range(2):
        store.write(partial(intents.forget, intent_id=made.intent_id))

    assert store.read(intents.count) == 0


def test_a_storage_key_is_announced_once(store: Store, backend: int) -> None:
    announce(store, backend, "a")

    with pytest.raises(Exception, match=r"(?i)unique"):
        announce(store, backend, "a")

    assert store.read(intents.count) == 1
