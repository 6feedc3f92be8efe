"""A comparison finds what rows and bytes do not agree about, both ways, settles what it may, tells nothing false."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from engine.backends.volume.format import read_storage_key
from engine.errors import LeaseLost
from engine.metadata import cleanup, discrepancies, volumes
from engine.metadata.discrepancies import Discrepancy, DiscrepancyKind
from engine.metadata.locations import mark_location
from engine.metadata.store import Tx
from engine.records import Copies, Location, LocationState
from engine.units import MIB
from engine.upkeep import volume_census
from engine.upkeep.long_work import LongWork, Step, Unpaced
from engine.upkeep.piece_check import Depth
from engine.upkeep.reconciling import Ways
from engine.upkeep.resolving import Repair, Resolution
from tests.integration.engine.upkeep.conftest import MakeRig
from tests.integration.engine.upkeep.test_fsck import BusyStore
from tests.support.deployments import no_fence
from tests.support.metadata import run_sql
from tests.support.objects import GRACE_US, ObjectRig
from tests.support.pieces import payload_of, tail_of

TWO = Copies(count=2)
K = DiscrepancyKind


def work_through(work: LongWork) -> list[Step]:
    """Every step, each by a work made before it from nothing but the cursor."""
    steps: list[Step] = []
    cursor: str | None = None
    for _ in range(1000):
        steps.append(work.step(cursor))
        cursor = steps[-1].cursor
        if steps[-1].is_last:
            return steps
    raise AssertionError("it never ends")


def compare(rig: ObjectRig, *, repair: Repair = Repair.NONE, ways: Ways = Ways.BOTH) -> dict[str, object]:
    """What a comparison of everything answers in the end."""
    parts = rig.integrity()
    work = parts.reconciliation(list(rig.backends), no_fence, Unpaced(), ways=ways, repair=repair)
    return dict(work_through(work)[-1].result or {})


def resolve(rig: ObjectRig, repair: Repair, *, is_dry_run: bool = False) -> dict[str, object]:
    work = Resolution(
        rig.store, rig.integrity().resolver(no_fence, Unpaced()), repair=repair, is_dry_run=is_dry_run
    )
    return dict(work_through(work)[-1].result or {})


def kept(rig: ObjectRig, *, only_open: bool = True) -> list[Discrepancy]:
    return rig.store.read(
        partial(discrepancies.list_discrepancies, after=0, count_max=100, only_open=only_open)
    )


def told(rig: ObjectRig) -> list[tuple[DiscrepancyKind, str]]:
    return [(each.mismatch.kind, each.mismatch.subject) for each in kept(rig)]


def locations(rig: ObjectRig, key: str) -> tuple[Location, ...]:
    return tuple(rig.find(key).slices[0].locations)


def file_of(rig: ObjectRig, location: Location) -> Path:
    volume_id, _ = read_storage_key(location.storage_key)
    (volume,) = (each for each in rig.volumes if each.backend_id == location.backend_id)
    return volume.path / f"{volume_id.hex()}.volume"


def fill(rig: ObjectRig, count: int = 4) -> None:
    for number in range(count):
        rig.put(f"key-{number}", payload_of(9000 + number, seed=number))


def flip(rig: ObjectRig, location: Location) -> None:
    rig.damage(location.storage_key, 5000)


def delete(rig: ObjectRig, location: Location) -> None:
    """Behind our back."""
    for volume in rig.volumes:
        volume.close_volumes()
    if rig.volumes:
        file_of(rig, location).unlink()
    else:
        rig.memories[location.backend_id - 1].delete(location.storage_key, 0)


def tell_wrong_size(rig: ObjectRig, location: Location) -> None:
    """As a row and an account would if somebody had told both wrong."""
    run_sql(
        rig.store,
        "UPDATE object_locations SET stored_bytes = stored_bytes + 64 WHERE storage_key = :storage_key",
        {"storage_key": location.storage_key},
    )
    run_sql(
        rig.store,
        "UPDATE backend_quotas SET used_bytes = used_bytes + 64 WHERE subject = :subject AND stripe = 0",
        {"subject": f"backend:{location.backend_id}"},
    )


def suspect(rig: ObjectRig, location: Location) -> None:
    rig.store.write(partial(mark_location, location=location, state=LocationState.SUSPECT))


HURT: dict[str, tuple[Callable[[ObjectRig, Location], None], DiscrepancyKind]] = {
    "flipped byte": (flip, K.CHECKSUM),
    "deleted": (delete, K.MISSING),
    "wrong size": (tell_wrong_size, K.SIZE),
    "suspect and good": (suspect, K.STATE),
}


def test_a_sound_deployment_has_nothing_to_tell(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2, memory_count=1, scheme=TWO, volume_size_max_bytes=60_000)
    fill(rig, 12)
    for number in range(6):
        rig.delete(f"key-{number}")
    rig.reap()
    rig.clean_up()
    rig.put("key-7", payload_of(10))
    rig.reap()

    answer = compare(rig)

    assert answer == {}
    assert kept(rig) == []


@pytest.mark.parametrize("memory_count", [0, 3])
@pytest.mark.parametrize("how", HURT)
def test_what_a_row_says_wrong_is_found_and_put_right_when_told(
    make_rig: MakeRig, memory_count: int, how: str
) -> None:
    hurt, kind = HURT[how]
    rig = make_rig(volume_count=3 - memory_count, memory_count=memory_count, scheme=TWO)
    fill(rig)
    bad, good = locations(rig, "key-2")
    hurt(rig, bad)

    answer = compare(rig, ways=Ways.ROWS)

    assert answer[f"{kind.value}_count"] == len(told(rig)) >= 1
    assert (kind, bad.storage_key) in told(rig)
    assert {each.mismatch.kind for each in kept(rig)} == {kind}
    assert locations(rig, "key-2")[0].storage_key == bad.storage_key

    settled = resolve(rig, Repair.BOTH)

    assert settled == {"settled_count": answer[f"{kind.value}_count"]}
    assert kept(rig) == []
    assert all(each.state is LocationState.LIVE for n in range(4) for each in locations(rig, f"key-{n}"))
    assert locations(rig, "key-2")[1] == good
    assert compare(rig) == {} or kind is K.MISSING
    assert kept(rig, only_open=False) == [] or kind is K.MISSING
    assert all(rig.get(f"key-{n}") == payload_of(9000 + n, seed=n) for n in range(4))


def test_repair_on_the_way_settles_what_is_found(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, scheme=TWO)
    fill(rig)
    flip(rig, locations(rig, "key-0")[0])
    tell_wrong_size(rig, locations(rig, "key-1")[0])
    suspect(rig, locations(rig, "key-2")[1])

    answer = compare(rig, repair=Repair.BOTH)

    assert answer == {"checksum_count": 1, "size_count": 1, "state_count": 1, "settled_count": 3}
    assert kept(rig) == []
    assert compare(rig) == {}
    assert rig.settle().is_clean


@pytest.mark.parametrize(
    ("repair", "left"),
    [
        (Repair.NONE, {"flipped byte", "deleted", "wrong size", "suspect and good"}),
        (Repair.STORAGE, {"wrong size", "suspect and good"}),
        (Repair.METADATA, set()),
    ],
)
def test_only_what_may_be_changed_is(make_rig: MakeRig, repair: Repair, left: set[str]) -> None:
    for how, (hurt, _) in HURT.items():
        rig = make_rig(volume_count=3, scheme=TWO)
        rig.put("key", payload_of(9000))
        bad, _ = before = locations(rig, "key")
        hurt(rig, bad)
        compare(rig, ways=Ways.ROWS)

        resolve(rig, repair)

        assert bool(kept(rig)) == (how in left), how
        after = locations(rig, "key")
        if repair is Repair.METADATA:
            assert [each.storage_key for each in after] == [each.storage_key for each in before]
    assert rig.get("key") == payload_of(9000)


@pytest.mark.parametrize(
    ("how", "state"), [("deleted", LocationState.LOST), ("flipped byte", LocationState.SUSPECT)]
)
def test_without_a_good_copy_the_row_says_so_and_no_byte_is_touched(
    make_rig: MakeRig, how: str, state: LocationState
) -> None:
    rig = make_rig(volume_count=1)
    rig.put("key", payload_of(9000))
    (bad,) = locations(rig, "key")
    HURT[how][0](rig, bad)

    answer = compare(rig, repair=Repair.BOTH, ways=Ways.ROWS)

    assert answer == {f"{HURT[how][1].value}_count": 1, "settled_count": 1}
    assert locations(rig, "key") == (replace(bad, state=state),)
    assert rig.store.read(cleanup.depth).queued_count == 0


def leave_orphan(rig: ObjectRig) -> None:
    """A record that was appended and never published."""
    payload = payload_of(20_000)
    piece = rig.volumes[0].store(memoryview(payload), tail_of(payload))
    assert piece.barrier is not None
    piece.barrier.sync()


def test_dead_bytes_that_nobody_counted_are_told_once_no_row_may_come_any_more(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    fill(rig)
    leave_orphan(rig)
    rig.volumes[0].open_writer(500_000, 16).abort()
    assert compare(rig) == {}
    rig.volumes[0].close_volumes()
    rig.clock.ahead_us += 2 * GRACE_US

    answer = compare(rig)

    # The torn write lies in a file of its own.
    assert answer == {"orphan_count": 2}
    orphans = kept(rig)
    assert {each.mismatch.kind for each in orphans} == {K.ORPHAN}
    assert sum(each.mismatch.size_bytes for each in orphans) > 20_000
    assert resolve(rig, Repair.STORAGE) == {"left_count": 2}
    assert resolve(rig, Repair.METADATA) == {"settled_count": 2}
    rows = rig.store.read(partial(volumes.list_volumes, backend_id=rig.volumes[0].backend_id))
    assert sum(row.dead_bytes for row in rows) == sum(each.mismatch.size_bytes for each in orphans)
    assert compare(rig) == {}
    assert all(rig.get(f"key-{n}") == payload_of(9000 + n, seed=n) for n in range(4))


@pytest.mark.parametrize("window", [1, 2, 3])
def test_a_file_is_looked_at_whole_whatever_the_window(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    rig = make_rig(volume_count=1)
    fill(rig)
    leave_orphan(rig)
    fill(rig)
    rig.reap()
    leave_orphan(rig)
    rig.volumes[0].close_volumes()
    rig.clock.ahead_us += 2 * GRACE_US
    compare(rig)
    whole = [each.mismatch for each in kept(rig)]
    monkeypatch.setattr(volume_census, "WINDOW_COUNT_MAX", window)

    compare(rig)

    assert [each.mismatch for each in kept(rig)] == whole
    assert [each.kind for each in whole] == [K.ORPHAN]
    assert 40_000 < whole[0].size_bytes < 41_000


def test_what_is_not_understood_is_told_and_never_touched(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    fill(rig)
    (volume,) = rig.volumes
    volume.close_volumes()
    known = file_of(rig, locations(rig, "key-0")[0])
    (volume.path / "holiday.jpg").write_bytes(b"somebody's")
    (volume.path / "folder").mkdir()
    stranger = volume.path / f"{'ab' * 16}.volume"
    stranger.write_bytes(b"no volume at all" * 1000)
    shutil.copy(known, volume.path / f"{'cd' * 16}.volume")
    with known.open("ab") as file:
        file.write(b"noise" * 1000)
    before = {path: path.read_bytes() for path in volume.path.iterdir() if path.is_file()}
    rig.clock.ahead_us += 2 * GRACE_US

    answer = compare(rig, repair=Repair.BOTH)
    resolved = resolve(rig, Repair.BOTH)

    assert answer == {"foreign_count": 5, "left_count": 5}
    assert resolved == {"left_count": 5}
    subjects = {subject for _, subject in told(rig)}
    assert {"holiday.jpg", "folder", f"volume {'ab' * 16}", f"volume {'cd' * 16}"} < subjects
    assert {path: path.read_bytes() for path in volume.path.iterdir() if path.is_file()} == before


def test_a_volume_row_without_file_and_pieces_is_forgotten_when_told(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    rig.put("key", payload_of(9000))
    (location,) = locations(rig, "key")
    rig.delete("key")
    rig.reap()
    rig.clean_up()
    delete(rig, location)

    assert compare(rig) == {"state_count": 1}
    assert resolve(rig, Repair.BOTH) == {"settled_count": 1}

    assert rig.store.read(partial(volumes.list_volumes, backend_id=location.backend_id)) == []
    assert rig.fsck().is_clean


def test_a_disk_that_is_away_is_told_and_nothing_on_it_is(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2, scheme=TWO)
    fill(rig)
    flip(rig, locations(rig, "key-0")[0])
    assert compare(rig) == {"checksum_count": 1}
    found = kept(rig)
    for volume in rig.volumes:
        volume.close_volumes()
    folder = next(each for each in rig.volumes if each.backend_id == found[0].mismatch.backend_id).path
    folder.rename(rig.folder / "unmounted")
    folder.mkdir()

    answer = compare(rig)

    assert answer == {"unreached_backend_count": 2}
    assert kept(rig) == found


def test_a_dry_run_of_settling_counts_and_changes_nothing(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, scheme=TWO)
    fill(rig)
    flip(rig, locations(rig, "key-0")[0])
    suspect(rig, locations(rig, "key-2")[1])
    compare(rig)
    before = kept(rig)

    assert resolve(rig, Repair.BOTH, is_dry_run=True) == {"checksum_count": 1, "state_count": 1}

    assert kept(rig) == before


def test_a_comparison_that_lost_its_lease_writes_nothing(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, scheme=TWO)
    fill(rig)
    flip(rig, locations(rig, "key-0")[0])

    def lost(tx: Tx) -> None:
        raise LeaseLost("operation")

    work = rig.integrity().reconciliation(list(rig.backends), lost, Unpaced(), repair=Repair.BOTH)
    with pytest.raises(LeaseLost):
        work_through(work)

    assert kept(rig) == []


def grow(rig: ObjectRig) -> None:
    rig.put("fresh", payload_of(4000))


def overwrite(rig: ObjectRig) -> None:
    rig.put("key-0", payload_of(3000))
    rig.reap()


def remove(rig: ObjectRig) -> None:
    rig.delete("key-1")
    rig.reap()
    rig.clean_up()


def give_up(rig: ObjectRig) -> None:
    leave_orphan(rig)


def move(rig: ObjectRig) -> None:
    for number in range(8):
        rig.delete(f"dead-{number}")
    rig.reap()
    rig.clean_up()
    rig.compact()
    rig.clock.ahead_us += 2 * GRACE_US
    rig.sweep()


@pytest.mark.parametrize("change", [grow, overwrite, remove, give_up, move])
def test_what_changes_while_it_is_looked_at_is_not_told(
    make_rig: MakeRig, engine: str, change: Callable[[ObjectRig], None]
) -> None:
    # Behind every third read, or every eleventh where a deployment made anew takes longer.
    stride = 3 if engine == "sqlite" else 11
    # What is given up is never compacted here, so its file is one that never fills up.
    rig = make_rig(volume_count=1, volume_size_max_bytes=100 * MIB if change is give_up else 30_000)
    for after in range(2, 100, stride):
        for number in range(8):
            rig.put(f"dead-{number}", payload_of(5000, seed=number))
            if number < 3:
                rig.put(f"key-{number}", payload_of(500 + number))
        if change is not give_up:
            # What was given up is told once hours have gone by.
            move(rig)
            for number in range(8):
                rig.put(f"dead-{number}", payload_of(5000, seed=number))
        store = BusyStore(rig.store, after, partial(change, rig))
        parts = replace(rig.integrity(), store=store)

        work_through(parts.reconciliation(list(rig.backends), no_fence, Unpaced(), depth=Depth.FULL))

        assert told(rig) == [], f"after read {after}"
        if store.read_count < after:
            assert after > 10
            return
    raise AssertionError("a comparison has fewer reads than this")
