"""A bad piece is made anew from a good copy under a fresh key; without one all bytes are kept and it is told."""

from collections.abc import Callable
from functools import partial

import pytest

from engine.backends.volume.format import read_storage_key
from engine.errors import LeaseLost
from engine.metadata.pieces import StandingPiece, find_piece
from engine.metadata.store import Tx
from engine.records import Copies, Location, LocationState, Sealing
from engine.units import KIB
from engine.upkeep.long_work import Unpaced
from engine.upkeep.piece_check import Depth
from engine.upkeep.piece_inspection import Inspected
from tests.integration.engine.upkeep.conftest import MakeRig
from tests.support.deployments import no_fence
from tests.support.objects import ObjectRig
from tests.support.pieces import payload_of

DATA = payload_of(700 * KIB)
TWO = Copies(count=2)


def locations(rig: ObjectRig, key: str = "key") -> tuple[Location, ...]:
    return tuple(rig.find(key).slices[0].locations)


def piece_of(rig: ObjectRig, location: Location) -> StandingPiece:
    named = partial(find_piece, backend_id=location.backend_id, storage_key=location.storage_key)
    found = rig.store.read(named)
    assert found is not None
    return found


def inspect(rig: ObjectRig, *found: Location) -> Inspected:
    pieces = [piece_of(rig, each) for each in found]
    return rig.integrity().inspector(no_fence, Unpaced()).inspect(pieces, Depth.FULL)


def flip_payload(rig: ObjectRig, location: Location) -> None:
    rig.damage(location.storage_key, 600 * KIB)


def lose(rig: ObjectRig, location: Location) -> None:
    for volume in rig.volumes:
        if volume.backend_id == location.backend_id:
            volume_id, _ = read_storage_key(location.storage_key)
            volume.close_volumes()
            (volume.path / f"{volume_id.hex()}.volume").unlink()
            return
    rig.memories[location.backend_id - 1].delete(location.storage_key, 0)


@pytest.mark.parametrize("memory_count", [0, 3])
@pytest.mark.parametrize("seal", Sealing)
@pytest.mark.parametrize("hurt", [flip_payload, lose])
def test_a_bad_piece_is_made_anew_from_the_good_one(
    make_rig: MakeRig, memory_count: int, seal: Sealing, hurt: Callable[[ObjectRig, Location], None]
) -> None:
    rig = make_rig(volume_count=3 - memory_count, memory_count=memory_count, scheme=TWO, seal=seal)
    rig.put("key", DATA)
    bad, good = locations(rig)
    hurt(rig, bad)

    inspected = inspect(rig, bad)

    assert [each.cure is not None and each.cure.is_cured for each in inspected.bad] == [True]
    fresh, kept = locations(rig)
    assert (kept, fresh.state) == (good, LocationState.LIVE)
    assert fresh.storage_key != bad.storage_key
    assert fresh.backend_id != good.backend_id
    assert inspect(rig, fresh, kept).bad == []
    rig.damage(good.storage_key, 0)
    assert rig.get("key") == DATA


@pytest.mark.parametrize("hurt", [flip_payload, lose])
def test_with_two_domains_it_is_made_anew_where_it_was(
    make_rig: MakeRig, hurt: Callable[[ObjectRig, Location], None]
) -> None:
    rig = make_rig(volume_count=2, scheme=TWO)
    rig.put("key", DATA)
    bad, _ = locations(rig)
    hurt(rig, bad)

    inspect(rig, bad)

    fresh, _ = locations(rig)
    assert fresh.backend_id == bad.backend_id
    rig.settle()
    report = rig.fsck()
    assert [each.problem.name for each in report.findings if each.problem.name != "ROW_WITHOUT_FILE"] == []


def test_a_damaged_record_around_good_bytes_is_written_anew_from_itself(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    rig.put("key", DATA)
    (bad,) = locations(rig)
    rig.damage(bad.storage_key, len(DATA) + 8)

    inspected = inspect(rig, bad)

    assert inspected.cured_count == 1
    (fresh,) = locations(rig)
    assert (fresh.state, fresh.storage_key != bad.storage_key) == (LocationState.LIVE, True)
    assert rig.get("key") == DATA


@pytest.mark.parametrize(
    ("hurt", "state"), [(flip_payload, LocationState.SUSPECT), (lose, LocationState.LOST)]
)
def test_without_a_good_copy_nothing_is_touched_and_it_is_told(
    make_rig: MakeRig, hurt: Callable[[ObjectRig, Location], None], state: LocationState
) -> None:
    rig = make_rig(volume_count=2)
    rig.put("key", DATA)
    (bad,) = locations(rig)
    hurt(rig, bad)

    inspected = inspect(rig, bad)

    (told,) = inspected.bad
    assert told.cure is not None
    assert not told.cure.is_cured
    assert told.cure.what.startswith("not healed, no copy of it can be read whole")
    (kept,) = locations(rig)
    assert (kept.storage_key, kept.state) == (bad.storage_key, state)


def test_when_all_copies_differ_all_are_kept(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, scheme=TWO)
    rig.put("key", DATA)
    both = locations(rig)
    for each in both:
        rig.damage(each.storage_key, 10)

    inspected = inspect(rig, *both)

    assert (len(inspected.bad), inspected.cured_count) == (2, 0)
    assert [each.storage_key for each in locations(rig)] == [each.storage_key for each in both]
    assert {each.state for each in locations(rig)} == {LocationState.SUSPECT}
    assert rig.due_count() == 0


def test_a_healer_that_lost_its_lease_switches_nothing(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, scheme=TWO)
    rig.put("key", DATA)
    bad, _ = before = locations(rig)
    rig.damage(bad.storage_key, 10)

    def lost(tx: Tx) -> None:
        raise LeaseLost("scrubber")

    with pytest.raises(LeaseLost):
        rig.integrity().healer(lost, Unpaced()).heal(piece_of(rig, bad), is_readable=False)

    assert locations(rig) == before


def test_a_store_that_keeps_nothing_is_healed_elsewhere(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=3, scheme=TWO)
    rig.put("key", DATA)
    bad, good = locations(rig)
    liar = rig.memories[bad.backend_id - 1]
    lose(rig, bad)
    liar.keep_nothing()

    inspected = inspect(rig, bad)

    assert inspected.cured_count == 1
    assert liar.backend_id not in {each.backend_id for each in locations(rig)}
    assert good in locations(rig)
    assert rig.settle().is_clean
