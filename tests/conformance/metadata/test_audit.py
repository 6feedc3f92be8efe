"""The audit trail's chains: what is written is found, and what was tampered with shows."""

from dataclasses import replace
from functools import partial

import pytest

from engine.errors import KeyUnavailable
from engine.metadata.audit import (
    ALL,
    KEY_ID_BYTES,
    AuditEvent,
    AuditFilter,
    AuditRow,
    append,
    list_after,
    list_events,
    newest_seq,
)
from engine.metadata.audit_chain import ChainProblem, ChainReport, walk_chains
from engine.metadata.store import Store
from engine.sealing.ring_key import RingKey
from tests.support.metadata import START_US, SetClock, run_sql

KEY = RingKey(b"k" * 32)
HERE, THERE = b"h" * 16, b"t" * 16
EVENT = AuditEvent(
    actor="ops",
    action="/penstock.admin.v1.WorkerService/TriggerWorker",
    resource="workers/cleanup",
    outcome="OK",
    request_id="r1",
    peer="unix:",
    detail='{"name":"workers/cleanup"}',
)


def seal(covered: bytes) -> bytes:
    return KEY.key_id + KEY.audit_mac(covered)


def mac_under(key_id: bytes, covered: bytes) -> bytes:
    if key_id != KEY.key_id:
        raise KeyUnavailable(key_id=key_id.hex())
    return KEY.audit_mac(covered)


def write(store: Store, event: AuditEvent = EVENT, *, instance_id: bytes = HERE) -> AuditRow:
    return store.write(partial(append, event=event, instance_id=instance_id, seal=seal))


def write_some(store: Store) -> list[AuditRow]:
    """Two chains, the second one tied to the first, written in turns."""
    order = (HERE, HERE, THERE, HERE, THERE, HERE)
    return [
        write(store, replace(EVENT, request_id=f"r{n}"), instance_id=each) for n, each in enumerate(order)
    ]


def walk(store: Store) -> ChainReport:
    return walk_chains(store, mac_under)


def found(store: Store) -> set[tuple[int, ChainProblem]]:
    return {(each.event_seq, each.problem) for each in walk(store).findings}


def test_events_come_back_as_they_were_written_the_newest_first(store: Store, clock: SetClock) -> None:
    first = write(store)
    clock.move(1)
    second = write(
        store,
        replace(
            EVENT,
            actor="é\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
            resource=None,
            detail=None,
        ),
    )

    listed = store.read(lambda tx: list_events(tx, wanted=ALL, before=2**62, count_max=10))

    assert listed == [second, first]
    assert (first.created_at_us, second.created_at_us) == (START_US, START_US + 1_000_000)
    assert store.read(newest_seq) == second.event_seq
    assert store.read(lambda tx: list_after(tx, after=first.event_seq, count_max=10)) == [second]


def test_pages_of_events_join(store: Store) -> None:
    rows = write_some(store)

    def page(before: int) -> list[AuditRow]:
        return store.read(lambda tx: list_events(tx, wanted=ALL, before=before, count_max=4))

    newer = page(2**62)

    assert newer + page(newer[-1].event_seq) == rows[::-1]


@pytest.mark.parametrize(
    "wanted",
    [
        AuditFilter(actor="eve"),
        AuditFilter(action="/x.Y/Z"),
        AuditFilter(resource="workers/reaper"),
        AuditFilter(outcome="PERMISSION_DENIED"),
        AuditFilter(request_id="r9"),
        AuditFilter(since_us=START_US + 1),
    ],
    ids=lambda wanted: str(wanted)[12:40],
)
def test_a_filter_takes_what_it_names_alone(store: Store, clock: SetClock, wanted: AuditFilter) -> None:
    write(store)
    clock.move(1)
    other = write(
        store,
        AuditEvent(
            actor="eve",
            action="/x.Y/Z",
            resource="workers/reaper",
            outcome="PERMISSION_DENIED",
            request_id="r9",
            peer="",
            detail=None,
        ),
    )

    assert store.read(lambda tx: list_events(tx, wanted=wanted, before=2**62, count_max=10)) == [other]


def test_a_whole_trail_has_nothing_to_tell(store: Store) -> None:
    assert walk(store) == ChainReport(event_count=0, chain_count=0, findings=())
    rows = write_some(store)

    assert walk(store) == ChainReport(event_count=len(rows), chain_count=2, findings=())


def test_a_chain_of_many_pages_is_walked_whole(store: Store) -> None:
    def unit(tx):  # type: ignore[no-untyped-def]
        for _ in range(2100):
            append(tx, EVENT, instance_id=HERE, seal=seal)

    store.write(unit)

    assert walk(store) == ChainReport(event_count=2100, chain_count=1, findings=())


@pytest.mark.parametrize(
    "change",
    [
        "actor = 'mallory'",
        "action = 'x'",
        "resource = NULL",
        "outcome = 'BEGUN'",
        "request_id = 'r'",
        "peer = 'ipv4:1.2.3.4'",
        "detail = '{}'",
        "created_at_us = created_at_us + 1",
    ],
)
def test_a_changed_event_shows(store: Store, change: str) -> None:
    rows = write_some(store)
    run_sql(store, f"UPDATE audit_events SET {change} WHERE event_seq = :seq", {"seq": rows[1].event_seq})

    assert found(store) == {(rows[1].event_seq, ChainProblem.ALTERED)}


def test_an_event_that_is_gone_shows_at_the_one_behind_it(store: Store) -> None:
    rows = write_some(store)
    run_sql(store, "DELETE FROM audit_events WHERE event_seq = :seq", {"seq": rows[3].event_seq})

    assert found(store) == {(rows[5].event_seq, ChainProblem.DETACHED)}


def test_a_chain_that_is_gone_shows_at_the_one_tied_to_it(store: Store) -> None:
    rows = write_some(store)
    run_sql(store, "DELETE FROM audit_events WHERE instance_id = :gone", {"gone": HERE})

    assert found(store) == {(rows[2].event_seq, ChainProblem.DETACHED)}


def test_events_in_another_order_show(store: Store) -> None:
    rows = write_some(store)
    one, other = rows[1].event_seq, rows[3].event_seq
    for before, after in ((one, 999), (other, one), (999, other)):
        run_sql(
            store,
            "UPDATE audit_events SET event_seq = :after WHERE event_seq = :before",
            {"before": before, "after": after},
        )

    assert {problem for _, problem in found(store)} == {ChainProblem.DETACHED}


def test_an_event_that_was_made_up_shows(store: Store) -> None:
    rows = write_some(store)
    forged = RingKey(b"another key of 32 bytes for this".ljust(32)[:32])

    def seal_falsely(covered: bytes) -> bytes:
        return KEY.key_id + forged.audit_mac(covered)

    made_up = store.write(partial(append, event=EVENT, instance_id=HERE, seal=seal_falsely))

    assert found(store) == {(made_up.event_seq, ChainProblem.ALTERED)}
    assert made_up.previous_hash == rows[5].hash


def test_an_event_under_a_key_that_is_gone_is_no_proof(store: Store) -> None:
    store.write(
        partial(append, event=EVENT, instance_id=HERE, seal=lambda covered: b"x" * KEY_ID_BYTES + b"y" * 32)
    )

    assert {problem for _, problem in found(store)} == {ChainProblem.KEY_UNAVAILABLE}


def test_a_chain_cannot_fork(store: Store) -> None:
    """Whatever the writers of an instance do, no two events follow the same one."""
    first = write(store)
    second = write(store)

    with pytest.raises(Exception):  # noqa: B017 - each engine has an error of its own for it
        run_sql(
            store,
            "UPDATE audit_events SET previous_hash = :first WHERE event_seq = :seq",
            {"first": first.previous_hash, "seq": second.event_seq},
        )

    assert found(store) == set()
