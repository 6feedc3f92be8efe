"""Copies that are missing are made and those beyond the scheme go, unasked, and never a good one beside a bad one."""

from functools import partial

import pytest

from engine.backends.memory import Call, Fault
from engine.errors import LeaseLost
from engine.metadata import repairs
from engine.metadata.locations import mark_location
from engine.metadata.redundancy_passes import Phase
from engine.metadata.repairs import RepairKind, RepairState
from engine.metadata.store import Tx
from engine.records import Copies, LocationState, Sealing
from engine.units import KIB, MIB
from engine.upkeep.away import read_presence
from tests.integration.engine.upkeep.conftest import MakeRig
from tests.support.objects import ObjectRig
from tests.support.pieces import payload_of
from tests.support.replication import (
    HEAL_AFTER_S,
    come_back,
    go_away,
    pass_time,
    pieces_of,
    places_of,
    policy_of,
    replicate,
    replicator_of,
    trimmer_of,
    waiting,
)

DATA = payload_of(300 * KIB)
TWO = Copies(count=2)
SIZES = {"small": 700, "block": 256 * KIB, "large": MIB - 3, "several": 2 * MIB + 100 * KIB}


def two_of_three(make_rig: MakeRig, **shape: object) -> ObjectRig:
    rig = make_rig(volume_count=0, memory_count=3, scheme=TWO, **shape)
    pass_time(rig, 0.0)
    return rig


def put_on(rig: ObjectRig, key: str, *, without: int, data: bytes = DATA) -> None:
    """An object with no piece on a backend."""
    absent = next(each for each in rig.memories if each.backend_id == without)
    for call in (Call.STORE, Call.OPEN_WRITER):
        absent.faults.add(call, Fault.FULL, count=100)
    rig.put(key, data)
    absent.faults.clear()


def settle(rig: ObjectRig) -> None:
    """Upkeep finds nothing wrong, and nothing is left over."""
    report = rig.settle()
    assert report.is_clean, report.findings
    rig.clean_up()
    assert rig.unaccounted() == set()
    assert rig.intent_count() == 0 or rig.memories


@pytest.mark.parametrize("seal", Sealing)
@pytest.mark.parametrize("volume_count", [0, 1])
def test_what_was_written_with_one_copy_has_two_once_the_other_backend_is_back(
    make_rig: MakeRig, volume_count: int, seal: Sealing
) -> None:
    rig = make_rig(
        volume_count=volume_count,
        memory_count=2 - volume_count,
        scheme=TWO,
        write_quorum=1,
        seal=seal,
    )
    gone = rig.memories[-1]
    go_away(rig, gone)
    contents = {key: payload_of(size) for key, size in SIZES.items()}
    for key, data in contents.items():
        rig.put(key, data)
        assert gone.backend_id not in places_of(rig, key)
    replicate(rig)
    assert {each.reason for each in waiting(rig)} == {"written with fewer copies than its scheme asks for"}

    come_back(rig, gone)
    replicate(rig)

    assert waiting(rig) == []
    for key, data in contents.items():
        by_blob: dict[bytes, set[int]] = {}
        for piece in pieces_of(rig, key):
            by_blob.setdefault(piece.location.blob_id, set()).add(piece.location.backend_id)
        assert all(len(found) == 2 for found in by_blob.values())
        assert rig.get(key) == data
    ended = rig.store.read(repairs.count_repairs)[RepairKind.HEAL]
    assert ended.ended_count == len(SIZES) + 2
    settle(rig)


def test_a_backend_that_is_away_too_long_has_its_pieces_made_anew_elsewhere(make_rig: MakeRig) -> None:
    rig = two_of_three(make_rig)
    rig.put("key", DATA)
    lost = rig.memories[places_of(rig, "key")[0] - 1]
    go_away(rig, lost)

    replicate(rig)
    pass_time(rig, HEAL_AFTER_S - 1, lost.backend_id)
    replicate(rig)
    assert len(pieces_of(rig, "key")) == 2

    pass_time(rig, 2, lost.backend_id)
    replicate(rig)

    assert places_of(rig, "key") == [1, 2, 3]
    assert waiting(rig) == waiting(rig, RepairKind.TRIM) == []
    assert rig.get("key") == DATA


def test_when_it_comes_back_exactly_two_verified_copies_are_left(make_rig: MakeRig) -> None:
    rig = two_of_three(make_rig)
    for number in range(5):
        rig.put(f"key-{number}", payload_of(20 * KIB, seed=number))
    lost = rig.memories[0]
    go_away(rig, lost)
    replicate(rig)
    pass_time(rig, HEAL_AFTER_S, lost.backend_id)
    replicate(rig)
    away_since_us = rig.store.read(lambda tx: tx.now_us())

    come_back(rig, lost)
    replicate(rig)
    replicate(rig)

    for number in range(5):
        found = pieces_of(rig, f"key-{number}")
        assert len({each.location.backend_id for each in found}) == len(found) == 2
        if any(each.verified_at_us > away_since_us for each in found):
            assert all(each.verified_at_us > away_since_us for each in found)
        assert rig.get(f"key-{number}") == payload_of(20 * KIB, seed=number)
    assert rig.store.read(partial(read_presence, policy=policy_of(rig))).away == set()
    settle(rig)


def test_a_short_absence_moves_nothing(make_rig: MakeRig) -> None:
    rig = two_of_three(make_rig)
    rig.put("key", DATA)
    before = pieces_of(rig, "key")
    lost = rig.memories[before[0].location.backend_id - 1]
    go_away(rig, lost)
    replicate(rig)

    come_back(rig, lost)
    replicate(rig)

    assert [each.location for each in pieces_of(rig, "key")] == [each.location for each in before]
    phases = {each.phase for each in rig.store.read(partial(read_presence, policy=policy_of(rig))).passes}
    assert phases == {Phase.ALL}


def test_with_more_domains_away_than_a_scheme_survives_nothing_is_made_anew(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=4, scheme=TWO)
    for number in range(6):
        rig.put(f"key-{number}", DATA)
    before = {f"key-{number}": places_of(rig, f"key-{number}") for number in range(6)}
    for lost in rig.memories[:2]:
        go_away(rig, lost)
    pass_time(rig, 0, 1, 2)
    replicate(rig)

    pass_time(rig, HEAL_AFTER_S, 1, 2)
    replicate(rig)

    presence = rig.store.read(partial(read_presence, policy=policy_of(rig)))
    assert presence.is_stopped
    assert {key: places_of(rig, key) for key in before} == before
    # One of them is back: what lies on the other is healed.
    rig.memories[0].faults.clear()
    rig.health.forgive(1)
    pass_time(rig, 60, 2)
    replicate(rig)
    for key in before:
        assert len(set(places_of(rig, key)) - {2}) >= 2


def test_a_copy_that_a_read_finds_bad_is_made_anew(make_rig: MakeRig) -> None:
    rig = two_of_three(make_rig)
    rig.put("key", DATA)
    bad, good = pieces_of(rig, "key")
    rig.damage(bad.location.storage_key, 10)
    rig.store.write(partial(mark_location, location=bad.location, state=LocationState.SUSPECT))

    replicate(rig)

    found = pieces_of(rig, "key")
    assert len(found) == 2
    assert bad.location.storage_key not in {each.location.storage_key for each in found}
    assert {each.location.state for each in found} == {LocationState.LIVE}
    rig.damage(good.location.storage_key, 10)
    assert rig.get("key") == DATA


def test_a_corrupt_source_is_never_copied_from(make_rig: MakeRig) -> None:
    rig = two_of_three(make_rig)
    rig.put("key", DATA)
    kept, lost = (each.location for each in pieces_of(rig, "key"))
    rig.damage(kept.storage_key, 200 * KIB)
    memory = rig.memories[lost.backend_id - 1]
    go_away(rig, memory)
    replicate(rig)
    pass_time(rig, HEAL_AFTER_S, memory.backend_id)

    replicate(rig)

    assert sorted(each.location.storage_key for each in pieces_of(rig, "key")) == sorted(
        [kept.storage_key, lost.storage_key]
    )
    (stuck,) = waiting(rig)
    assert stuck.error is not None
    come_back(rig, memory)
    replicate(rig)
    replicate(rig)
    found = pieces_of(rig, "key")
    assert kept.storage_key not in {each.location.storage_key for each in found}
    assert {each.location.state for each in found} == {LocationState.LIVE}
    assert rig.get("key") == DATA
    settle(rig)


@pytest.mark.parametrize("number", range(3))
def test_a_corrupt_copy_is_what_goes_when_there_are_too_many(make_rig: MakeRig, number: int) -> None:
    rig = two_of_three(make_rig)
    rig.put("key", DATA)
    lost = rig.memories[places_of(rig, "key")[0] - 1]
    go_away(rig, lost)
    replicate(rig)
    pass_time(rig, HEAL_AFTER_S, lost.backend_id)
    replicate(rig)
    bad = pieces_of(rig, "key")[number].location
    rig.damage(bad.storage_key, 100)

    come_back(rig, lost)
    replicate(rig)

    assert bad.storage_key not in {each.location.storage_key for each in pieces_of(rig, "key")}
    assert len(pieces_of(rig, "key")) == 2
    assert rig.get("key") == DATA
    settle(rig)


def test_with_all_but_one_corrupt_no_copy_goes(make_rig: MakeRig) -> None:
    rig = two_of_three(make_rig)
    rig.put("key", DATA)
    lost = rig.memories[places_of(rig, "key")[0] - 1]
    go_away(rig, lost)
    replicate(rig)
    pass_time(rig, HEAL_AFTER_S, lost.backend_id)
    replicate(rig)
    three = [each.location for each in pieces_of(rig, "key")]
    for each in three[:2]:
        rig.damage(each.storage_key, 100)

    come_back(rig, lost)
    trimmer = trimmer_of(rig)
    replicator = replicator_of(rig)
    while replicator.work().has_more:
        pass
    while trimmer.work().has_more:
        pass

    assert {each.storage_key for each in three} == {
        each.location.storage_key for each in pieces_of(rig, "key")
    }
    replicate(rig)
    assert rig.get("key") == DATA
    pass_time(rig, 60)
    replicate(rig)
    assert len(pieces_of(rig, "key")) == 2
    assert {each.location.state for each in pieces_of(rig, "key")} == {LocationState.LIVE}


def test_an_object_that_is_deleted_while_it_is_copied_stays_deleted(make_rig: MakeRig) -> None:
    rig = two_of_three(make_rig, write_quorum=1)
    put_on(rig, "key", without=3)
    before = {each.location.storage_key for each in pieces_of(rig, "key")}
    lost = rig.memories[places_of(rig, "key")[0] - 1]
    go_away(rig, lost)
    replicate(rig)
    pass_time(rig, HEAL_AFTER_S, lost.backend_id)

    class DeletingPace:
        """The object goes when the first block is about to be read."""

        is_over = False

        def take(self, size_bytes: int, /) -> None:
            if rig.keys():
                rig.delete("key")
                rig.reap()

    replicator = replicator_of(rig, pace=DeletingPace())
    while replicator.work().has_more:
        pass

    assert rig.keys() == []
    assert waiting(rig) == []
    come_back(rig, lost)
    rig.clock.pass_grace()
    rig.clean_up()
    assert rig.unaccounted() == set()
    assert all(not before & set(memory.storage_keys()) for memory in rig.memories)


def test_a_replicator_that_lost_its_lease_names_nothing(make_rig: MakeRig) -> None:
    rig = two_of_three(make_rig, write_quorum=1)
    for memory in rig.memories[1:]:
        go_away(rig, memory)
    rig.put("key", DATA)
    for memory in rig.memories[1:]:
        come_back(rig, memory)

    def lost(tx: Tx) -> None:
        raise LeaseLost("replicator")

    with pytest.raises(LeaseLost):
        replicator_of(rig, fence=lost).work()

    assert len(pieces_of(rig, "key")) == 1


def test_with_no_backend_left_repairs_wait_and_say_why(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=2, scheme=TWO, write_quorum=1)
    go_away(rig, rig.memories[1])
    rig.put("key", DATA)

    replicate(rig)

    (stuck,) = waiting(rig)
    assert (stuck.state, stuck.attempt_count) == (RepairState.DETECTED, 1)
    assert stuck.error is not None


def test_a_pass_over_all_blobs_finds_what_nobody_noticed(make_rig: MakeRig) -> None:
    rig = two_of_three(make_rig, write_quorum=1)
    for memory in rig.memories[1:]:
        go_away(rig, memory)
    rig.put("key", DATA)
    for memory in rig.memories[1:]:
        come_back(rig, memory)
    for each in waiting(rig):
        rig.store.write(partial(repairs.drop, kind=RepairKind.HEAL, blob_id=each.blob_id))

    replicate(rig)

    assert len(pieces_of(rig, "key")) == 2
