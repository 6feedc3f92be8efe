"""Moving pieces: byte for byte, apart from each other, out of whatever copy is good, and nothing is left behind."""

from functools import partial

import pytest

from engine.backends.memory import Call, Fault
from engine.backends.registry import Backends
from engine.errors import LeaseLost
from engine.metadata.locations import mark_location
from engine.metadata.quota import backend_subject, set_limit
from engine.metadata.store import Tx
from engine.records import Copies, LocationState, Sealing
from engine.sealing.cards import read_card
from engine.units import BLOCK_BYTES, KIB, MIB
from engine.upkeep.moved_pieces import Why
from tests.integration.engine.upkeep.conftest import MakeRig
from tests.support.metadata import run_sql
from tests.support.moving import (
    Unpaced,
    backends_of,
    locations_of,
    movables_on,
    move_all,
    mover_of,
    targets_of,
)
from tests.support.objects import ObjectRig
from tests.support.pieces import payload_of

SIZES = {"empty": 0, "small": 700, "blocks": 2 * BLOCK_BYTES + 5, "streamed": 3 * MIB + 17}


def fill(rig: ObjectRig) -> dict[str, bytes]:
    contents = {name: payload_of(size, seed=number) for number, (name, size) in enumerate(SIZES.items())}
    for key, payload in contents.items():
        rig.put(key, payload)
    return contents


def fullest(rig: ObjectRig) -> int:
    """The backend with the most pieces."""
    rows = run_sql(
        rig.store, "SELECT backend_id FROM object_locations GROUP BY backend_id ORDER BY COUNT(*) DESC"
    )
    return int(str(rows[0][0]))


@pytest.mark.parametrize("seal", list(Sealing))
@pytest.mark.parametrize("kind", ["volume", "memory"])
def test_pieces_move_byte_for_byte_and_old_bytes_go_after_their_grace(
    make_rig: MakeRig, seal: Sealing, kind: str
) -> None:
    counts = {"volume_count": 3} if kind == "volume" else {"volume_count": 1, "memory_count": 2}
    rig = make_rig(**counts, seal=seal, chunk_bytes=2 * MIB)
    contents = fill(rig)
    source = fullest(rig)
    count = len(movables_on(rig, source))

    moved = move_all(rig, source)

    assert (moved.moved_count, moved.unmoved) == (count, [])
    assert movables_on(rig, source) == []
    assert {key: rig.get(key) for key in contents} == contents
    assert rig.due_count() == 0
    report = rig.settle()
    assert report.findings == ()
    assert report.counts["queued_record_count"] == 0
    assert rig.unaccounted() == set()
    assert {key: rig.get(key) for key in contents} == contents


@pytest.mark.parametrize("seal", list(Sealing))
def test_a_moved_piece_has_a_card_of_its_own_that_says_what_the_old_one_said(
    make_rig: MakeRig, seal: Sealing
) -> None:
    rig = make_rig(volume_count=3, scheme=Copies(count=2), seal=seal)
    rig.put("a/key", b"x" * 5000)
    source = locations_of(rig, "a/key")[1]

    def card_at(index: int) -> object:
        location = locations_of(rig, "a/key")[index]
        blob = movables_on(rig, location.backend_id)[0].blob
        raw = rig.backends.get(location.backend_id).read_tail(location.storage_key, blob.stored_bytes).card
        return read_card(raw, rig.ring)

    before = card_at(1)
    move_all(rig, source.backend_id)

    assert locations_of(rig, "a/key")[1].backend_id != source.backend_id
    assert card_at(1) == before


def test_pieces_of_open_uploads_move_and_are_completed(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2)
    upload_id = rig.begin_upload("key")
    parts = [rig.put_part(upload_id, "key", number, payload_of(200 * KIB, seed=number)) for number in (1, 2)]

    for backend in rig.backends:
        move_all(rig, backend.backend_id)
    rig.complete(upload_id, "key", parts)

    assert rig.get("key") == payload_of(200 * KIB, seed=1) + payload_of(200 * KIB, seed=2)
    assert rig.settle().findings == ()


def test_copies_stay_in_failure_domains_of_their_own(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, scheme=Copies(count=2))
    contents = {f"key-{number}": payload_of(3000, seed=number) for number in range(20)}
    for key, payload in contents.items():
        rig.put(key, payload)

    moved = move_all(rig, fullest(rig))

    assert moved.unmoved == []
    assert all(len(backends_of(rig, key)) == 2 for key in contents)
    assert rig.settle().findings == ()


def test_without_a_domain_of_its_own_a_piece_stays(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2, scheme=Copies(count=2))
    rig.put("key", b"x" * 100)
    source = locations_of(rig, "key")[0]

    moved = move_all(rig, source.backend_id)

    assert [each.why for each in moved.unmoved] == [Why.NO_DOMAIN]
    assert locations_of(rig, "key")[0] == source


def test_a_damaged_piece_is_made_again_from_another_copy(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, scheme=Copies(count=2))
    payload = payload_of(2 * MIB)
    rig.put("key", payload)
    source, other = locations_of(rig, "key")[:2]
    rig.damage(source.storage_key, 700_000)

    moved = move_all(rig, source.backend_id)

    assert moved.unmoved == []
    assert {each.state for each in locations_of(rig, "key")} == {LocationState.LIVE}
    assert other.backend_id in backends_of(rig, "key")
    assert rig.get("key") == payload
    assert rig.settle().findings == ()


def test_a_piece_that_no_copy_of_can_be_read_stays_and_is_suspect(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2)
    rig.put("bad", b"x" * 5000)
    rig.put("good", b"y" * 5000)
    (bad,) = locations_of(rig, "bad")
    rig.damage(bad.storage_key, 17)

    for backend in rig.backends:
        moved = move_all(rig, backend.backend_id)
        if backend.backend_id == bad.backend_id:
            assert [(each.why, each.movable.location.storage_key) for each in moved.unmoved] == [
                (Why.UNREADABLE, bad.storage_key)
            ]
            break

    (now,) = locations_of(rig, "bad")
    assert (now.storage_key, now.state) == (bad.storage_key, LocationState.SUSPECT)
    assert rig.get("good") == b"y" * 5000


def test_a_suspect_piece_that_verifies_after_all_moves_and_is_trusted(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2)
    rig.put("key", b"x" * 5000)
    (piece,) = locations_of(rig, "key")
    rig.store.write(partial(mark_location, location=piece, state=LocationState.SUSPECT))

    moved = move_all(rig, piece.backend_id)

    assert (moved.moved_count, moved.unmoved) == (1, [])
    assert [each.state for each in locations_of(rig, "key")] == [LocationState.LIVE]


def test_a_backend_out_of_reach_is_emptied_through_other_copies(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2, memory_count=1, scheme=Copies(count=2))
    contents = {f"key-{number}": payload_of(3000, seed=number) for number in range(10)}
    for key, payload in contents.items():
        rig.put(key, payload)
    source = fullest(rig)
    reachable = Backends(each for each in rig.backends if each.backend_id != source)

    moved = move_all(rig, source, backends=reachable)

    assert moved.moved_count > 0
    assert moved.unmoved == []
    assert {key: rig.get(key) for key in contents} == contents


def test_a_piece_whose_only_backend_is_out_of_reach_waits(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2)
    rig.put("key", b"x" * 5000)
    (piece,) = locations_of(rig, "key")
    reachable = Backends(each for each in rig.backends if each.backend_id != piece.backend_id)

    moved = move_all(rig, piece.backend_id, backends=reachable)

    assert [each.why for each in moved.unmoved] == [Why.AWAY]
    assert locations_of(rig, "key") == [piece]


@pytest.mark.parametrize("call", [Call.STORE, Call.OPEN_WRITER, Call.WRITE, Call.FINISH])
@pytest.mark.parametrize("fault", list(Fault))
def test_a_target_that_fails_gives_way_to_another_and_leaves_nothing_behind(
    make_rig: MakeRig, call: Call, fault: Fault
) -> None:
    rig = make_rig(volume_count=2, memory_count=1)
    size = 5000 if call is Call.STORE else 3 * MIB
    for number in range(6):
        rig.put(f"key-{number}", payload_of(size, seed=number))
    (memory,) = rig.memories
    source = next(each for each in rig.volumes if movables_on(rig, each.backend_id))
    memory.faults.add(call, fault)

    moved = move_all(rig, source.backend_id)

    assert moved.unmoved == []
    memory.land_late()
    assert rig.settle().findings == ()
    assert rig.unaccounted() == set()
    for number in range(6):
        assert rig.get(f"key-{number}") == payload_of(size, seed=number)


def test_a_full_account_sends_pieces_elsewhere_and_where_all_are_full_they_stay(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, backend_quota_bytes=250_000)
    count = 0
    for number in range(40):
        rig.put(f"key-{number}", payload_of(10_000, seed=number))
        count += 1
    first, second, _ = [each.backend_id for each in rig.volumes]

    one = move_all(rig, first)
    two = move_all(rig, second)

    assert one.unmoved == []
    assert {each.why for each in two.unmoved} == {Why.NO_ROOM}
    assert rig.settle().findings == ()
    for number in range(count):
        assert rig.get(f"key-{number}") == payload_of(10_000, seed=number)


def test_who_lost_the_lease_moves_nothing(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2)
    rig.put("key", b"x" * 5000)
    (piece,) = locations_of(rig, "key")

    def lost(tx: Tx) -> None:
        raise LeaseLost("somebody else's")

    with pytest.raises(LeaseLost):
        mover_of(rig, fence=lost).move(movables_on(rig, piece.backend_id), targets_of(rig, piece.backend_id))

    assert locations_of(rig, "key") == [piece]


def test_every_byte_that_is_read_is_asked_for(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2)
    rig.put("key", payload_of(3 * MIB))
    pace = Unpaced()

    moved = [move_all(rig, each.backend_id, pace=pace) for each in list(rig.volumes)[:1]]

    assert pace.taken_bytes == sum(each.moved_bytes for each in moved)


def test_an_account_that_has_filled_up_since_it_was_read_sends_pieces_elsewhere(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, backend_quota_bytes=10_000_000)
    for number in range(9):
        rig.put(f"key-{number}", payload_of(10_000, seed=number))
    first, second, third = [each.backend_id for each in rig.volumes]
    targets = targets_of(rig, first)
    rig.store.write(partial(set_limit, subject=backend_subject(second), limit_bytes=1))

    moved = mover_of(rig).move(movables_on(rig, first), targets)

    assert moved.unmoved == []
    assert movables_on(rig, first) == []
    assert rig.settle().findings == ()
    assert len(movables_on(rig, third)) == 6


def test_a_unit_that_is_cancelled_begins_no_further_piece(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2)
    for number in range(6):
        rig.put(f"k{number}", b"x" * 1000)
    source = fullest(rig)
    waiting = movables_on(rig, source)
    assert len(waiting) > 1
    pace = Unpaced()
    pace.is_over = True

    moved = mover_of(rig, pace=pace).move(waiting, targets_of(rig, source))

    # What it holds is not held back any more: all of a unit would go at full speed.
    assert (moved.seen_count, moved.moved_count) == (1, 1)


def test_a_store_that_keeps_nothing_of_what_it_took_is_moved_nothing_to(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, memory_count=2, chunk_bytes=2 * MIB)
    contents = fill(rig)
    source, liar = rig.volumes[0].backend_id, rig.memories[0]
    liar.keep_nothing()

    moved = move_all(rig, source)

    assert moved.unmoved == []
    assert rig.settle().is_clean
    assert {key: rig.get(key) for key in contents} == contents


def test_with_no_other_store_than_one_that_keeps_nothing_pieces_stay(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, memory_count=1)
    liar = rig.memories[0]
    rig.put("k", payload_of(5000))
    source = next(iter(backends_of(rig, "k")))
    if source == liar.backend_id:
        move_all(rig, source)
        source = next(iter(backends_of(rig, "k")))
    liar.keep_nothing()

    moved = move_all(rig, source)

    assert [each.why for each in moved.unmoved] == [Why.AWAY]
    assert backends_of(rig, "k") == {source}
    rig.settle()
    assert rig.get("k") == payload_of(5000)
