"""Drains and heals rewrite imported objects as ours; whatever fails, they read as before and end as blobs of ours."""

from pathlib import Path

import pytest

from engine.backends.memory import Call, Fault
from engine.errors import DatabaseUnavailable, DrainIncomplete, OutcomeUnknown
from engine.records import BackendState, Sealing
from tests.support.imported import Far
from tests.support.moving import state_of
from tests.support.nth import numbers

COUNT_MAX = 100


@pytest.mark.parametrize("seal", Sealing)
def test_a_drain_makes_them_blobs_of_ours(tmp_path: Path, engine: str, seal: Sealing) -> None:
    far = Far(tmp_path / "rig", seal=seal)
    far.prepare(1)
    before = {key: far.rig.find(key).version for key in far.contents}

    far.drain()

    far.check("a drain")
    for key, was in before.items():
        now = far.rig.find(key).version
        assert (now.etag, now.created_at_us, now.headers, now.version_seq) == (
            was.etag,
            was.created_at_us,
            was.headers,
            was.version_seq,
        )
        assert now.sse_kind == ("AES256" if seal is Sealing.ALL and now.size_bytes else None)
    far.rig.close()


@pytest.mark.parametrize("seal", Sealing)
def test_a_heal_makes_as_many_copies_as_their_bucket_asks_for(
    tmp_path: Path, engine: str, seal: Sealing
) -> None:
    far = Far(tmp_path / "rig", seal=seal)
    far.prepare(1, drains=False)
    before = {key: far.rig.find(key).version for key in far.contents}

    foreseen = far.foresee()
    assert far.heal() == []

    # The copy shares the blob of what it is one of.
    assert (foreseen.lacking_count, far.foresee().lacking_count) == (len(far.contents) - 1, 0)
    far.check("a heal", was_drained=False)
    for key, was in before.items():
        now = far.rig.find(key).version
        assert (now.etag, now.created_at_us, now.version_seq) == (
            was.etag,
            was.created_at_us,
            was.version_seq,
        )
    # Nothing is left to be done.
    places = {key: far.places(key) for key in far.contents}
    assert far.heal() == []
    assert {key: far.places(key) for key in far.contents} == places
    far.rig.close()


def test_a_heal_leaves_where_it_is_what_has_as_many_copies_as_its_bucket_asks_for(
    tmp_path: Path, engine: str
) -> None:
    far = Far(tmp_path / "rig", copy_count=1)
    far.prepare(1, drains=False)
    before = {key: far.places(key) for key in far.contents}

    assert far.heal() == []

    assert {key: far.places(key) for key in far.contents} == before
    assert far.read() == far.contents
    far.rig.close()


def test_what_was_overwritten_at_its_store_is_not_healed_and_said_to_be_lost(
    tmp_path: Path, engine: str
) -> None:
    far = Far(tmp_path / "rig")
    far.prepare(1, drains=False)
    for storage_key in far.rig.memories[0].storage_keys():
        far.rig.memories[0].delete(storage_key, 0)

    stuck = far.heal()

    assert any("no copy of it can be read whole" in each for each in stuck)
    assert {each.storage_key for key in far.contents for each in far.places(key)} != set()
    far.rig.close()


@pytest.mark.parametrize("is_committed", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("drains", [True, False], ids=["drain", "heal"])
def test_the_process_dies_at_the_nth_commit(
    tmp_path: Path, engine: str, drains: bool, is_committed: bool
) -> None:
    far = Far(tmp_path / "rig")
    work = far.drain if drains else far.heal
    for number in numbers(engine, COUNT_MAX, start=1):
        far.prepare(number, drains=drains)
        far.die_at(number, is_committed=is_committed)
        has_died = False
        try:
            work()
        except (DatabaseUnavailable, OutcomeUnknown):
            has_died = True
            far.live_on()
            assert far.read() == far.contents
            work()
        far.check(f"commit {number}", was_drained=drains)
        if not has_died:
            break
    else:
        raise AssertionError("it never gets through")
    far.live_on()
    far.rig.close()


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize(
    ("store", "call"),
    [(0, Call.READ), (1, Call.STORE), (1, Call.OPEN_WRITER), (1, Call.WRITE), (1, Call.FINISH)],
)
def test_the_nth_call_to_a_store_fails(
    tmp_path: Path, engine: str, store: int, call: Call, fault: Fault
) -> None:
    far = Far(tmp_path / "rig")
    struck_at = far.rig.memories[store]
    for number in numbers(engine, COUNT_MAX):
        far.prepare(number)
        struck_at.faults.add(call, fault, after_count=number)

        try:
            far.drain()
        except DrainIncomplete:
            # What cannot be read stays, and is tried again when the drain is.
            assert (store, call) == (0, Call.READ)

        struck = struck_at.faults.is_spent()
        struck_at.faults.clear()
        struck_at.land_late()
        for memory in far.rig.memories:
            far.rig.health.forgive(memory.backend_id)
        if state_of(far.rig, far.backend_id) is BackendState.DRAINING:
            far.drain()
        far.check(f"{call} {number}")
        if not struck:
            break
    else:
        raise AssertionError("it never gets through")
    far.rig.close()
