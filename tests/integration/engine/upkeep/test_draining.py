"""A drain empties its backend and says so only once nothing is left, whatever happens meanwhile."""

import pytest

from engine.backends.registry import Backends
from engine.errors import BackendInState, BackendsUnavailable, DrainIncomplete, LeaseLost
from engine.metadata.store import Tx
from engine.names import bucket_name
from engine.records import BackendState, Copies, VolumeState
from engine.units import KIB, MIB
from engine.upkeep import draining
from engine.upkeep.draining import DrainCursor
from tests.integration.engine.upkeep.conftest import MakeRig
from tests.support.metadata import run_sql
from tests.support.moving import (
    backends_of,
    drain_of,
    locations_of,
    movables_on,
    run_steps,
    set_state,
    state_of,
)
from tests.support.objects import ObjectRig
from tests.support.pieces import payload_of

Contents = dict[str, bytes]


def fill(rig: ObjectRig, count: int = 30, *, size_bytes: int = 3000) -> Contents:
    contents = {f"key-{number}": payload_of(size_bytes + number, seed=number) for number in range(count)}
    for key, payload in contents.items():
        rig.put(key, payload)
    return contents


def read_all(rig: ObjectRig, contents: Contents) -> Contents:
    return {key: rig.get(key) for key in contents}


def first_of(rig: ObjectRig) -> int:
    return rig.volumes[0].backend_id


def begin(rig: ObjectRig, backend_id: int) -> None:
    set_state(rig, backend_id, BackendState.DRAINING, operation="operations/1")


def test_a_drained_backend_holds_nothing_and_every_object_reads_back(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, scheme=Copies(count=2))
    contents = fill(rig)
    source = first_of(rig)
    count = len(movables_on(rig, source))
    begin(rig, source)
    drain = drain_of(rig, source)

    extent = drain.measure()
    steps = run_steps(drain)

    assert state_of(rig, source) is BackendState.DRAINED
    assert extent.item_count == count == sum(each.item_count for each in steps)
    assert steps[-1].result == {"moved_count": count, "moved_bytes": sum(each.moved_bytes for each in steps)}
    assert read_all(rig, contents) == contents
    assert all(source not in backends_of(rig, key) for key in contents)
    assert rig.settle().findings == ()


def test_an_empty_backend_is_drained_at_once(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2)
    begin(rig, first_of(rig))

    steps = run_steps(drain_of(rig, first_of(rig)))

    assert state_of(rig, first_of(rig)) is BackendState.DRAINED
    assert steps[-1].result == {"moved_count": 0, "moved_bytes": 0}


def test_a_drain_goes_on_from_its_cursor_in_another_process(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3)
    contents = fill(rig, 40, size_bytes=4 * MIB // 2)
    source = first_of(rig)
    begin(rig, source)
    first = drain_of(rig, source).step(None)

    rig.restart()
    rest = run_steps(drain_of(rig, source), first.cursor)

    assert not first.is_last
    assert state_of(rig, source) is BackendState.DRAINED
    assert read_all(rig, contents) == contents
    assert rest[-1].result is not None
    assert rest[-1].result["moved_count"] == first.item_count + sum(each.item_count for each in rest)


def test_a_step_that_was_not_stored_is_harmless(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3)
    contents = fill(rig)
    source = first_of(rig)
    begin(rig, source)
    drain_of(rig, source).step(None)

    run_steps(drain_of(rig, source))

    assert state_of(rig, source) is BackendState.DRAINED
    assert read_all(rig, contents) == contents
    assert rig.settle().findings == ()


def test_what_is_written_while_it_drains_lands_elsewhere(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3)
    contents = fill(rig)
    source = first_of(rig)
    begin(rig, source)
    drain = drain_of(rig, source)
    step = drain.step(None)

    contents |= {f"late-{number}": payload_of(3000, seed=100 + number) for number in range(10)}
    for key in [each for each in contents if each.startswith("late")]:
        rig.put(key, contents[key])
    rig.delete("key-1")
    del contents["key-1"]
    while not step.is_last:
        step = drain.step(step.cursor)

    assert state_of(rig, source) is BackendState.DRAINED
    assert read_all(rig, contents) == contents
    assert rig.settle().findings == ()


def test_a_piece_that_came_behind_the_cursor_is_found_by_the_next_pass(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2)
    contents = fill(rig, 10)
    source = first_of(rig)
    begin(rig, source)
    past_the_end = DrainCursor(after="\U0010fffe").write()

    steps = run_steps(drain_of(rig, source), past_the_end)

    assert "looking again" in [each.stage for each in steps]
    assert state_of(rig, source) is BackendState.DRAINED
    assert read_all(rig, contents) == contents


def test_a_cancelled_drain_leaves_the_backend_active_and_another_one_goes_on(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3)
    contents = fill(rig, 40, size_bytes=2 * MIB)
    source = first_of(rig)
    begin(rig, source)
    drain = drain_of(rig, source)
    drain.step(None)

    drain.cancelled()
    drain.cancelled()

    assert state_of(rig, source) is BackendState.ACTIVE
    rig.put("after", b"x" * 100)
    begin(rig, source)
    run_steps(drain_of(rig, source))
    assert state_of(rig, source) is BackendState.DRAINED
    assert read_all(rig, contents) == contents


def test_cancelling_changes_no_state_that_somebody_else_gave(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2)
    set_state(rig, first_of(rig), BackendState.READ_ONLY)

    drain_of(rig, first_of(rig)).cancelled()

    assert state_of(rig, first_of(rig)) is BackendState.READ_ONLY


def test_a_backend_that_was_activated_meanwhile_is_not_called_drained(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2)
    begin(rig, first_of(rig))
    drain = drain_of(rig, first_of(rig))
    set_state(rig, first_of(rig), BackendState.ACTIVE)

    with pytest.raises(BackendInState):
        run_steps(drain)

    assert state_of(rig, first_of(rig)) is BackendState.ACTIVE


def test_a_piece_that_cannot_be_read_ends_the_drain_as_incomplete(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2)
    contents = fill(rig, 10)
    (bad,) = locations_of(rig, "key-3")
    rig.damage(bad.storage_key, 11)
    begin(rig, bad.backend_id)
    drain = drain_of(rig, bad.backend_id)
    step = drain.step(None)

    with pytest.raises(DrainIncomplete) as incomplete:
        run_steps(drain, step.cursor)

    assert incomplete.value.left_count == 1
    assert (step.failed_count, len(step.warnings)) == (1, 1)
    assert bad.storage_key in step.warnings[0]
    assert state_of(rig, bad.backend_id) is BackendState.DRAINING
    assert [each.storage_key for each in locations_of(rig, "key-3")] == [bad.storage_key]
    del contents["key-3"]
    assert read_all(rig, contents) == contents


def test_a_piece_without_another_domain_ends_the_drain_as_incomplete(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2)
    rig.make_bucket(bucket_name("twice"), scheme=Copies(count=2))
    rig.put("key", b"x" * 100, bucket=bucket_name("twice"))
    begin(rig, first_of(rig))

    with pytest.raises(DrainIncomplete):
        run_steps(drain_of(rig, first_of(rig)))

    assert state_of(rig, first_of(rig)) is BackendState.DRAINING


def test_a_backend_out_of_reach_is_waited_for_and_then_given_up(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "WAIT_COUNT_MAX", 5)
    rig = make_rig(volume_count=2)
    fill(rig, 10)
    source = first_of(rig)
    begin(rig, source)
    without = Backends(each for each in rig.backends if each.backend_id != source)
    waiting = drain_of(rig, source, backends=without)
    step = waiting.step(None)

    assert (step.stage, step.item_count, len(step.warnings)) == ("waiting", 0, 1)
    with pytest.raises(BackendsUnavailable, match="gave up"):
        run_steps(waiting, step.cursor)
    run_steps(drain_of(rig, source), step.cursor)
    assert state_of(rig, source) is BackendState.DRAINED


def test_who_lost_the_lease_calls_nothing_drained_and_activates_nothing(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2)
    begin(rig, first_of(rig))

    def lost(tx: Tx) -> None:
        raise LeaseLost("somebody else's")

    drain = drain_of(rig, first_of(rig), fence=lost)
    with pytest.raises(LeaseLost):
        run_steps(drain)
    with pytest.raises(LeaseLost):
        drain.cancelled()

    assert state_of(rig, first_of(rig)) is BackendState.DRAINING


def test_parts_of_open_uploads_are_drained_too(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2)
    upload_id = rig.begin_upload("key")
    parts = [rig.put_part(upload_id, "key", number, payload_of(200 * KIB, seed=number)) for number in (1, 2)]
    source = first_of(rig)
    begin(rig, source)

    run_steps(drain_of(rig, source))
    rig.complete(upload_id, "key", parts)

    assert state_of(rig, source) is BackendState.DRAINED
    assert rig.get("key") == payload_of(200 * KIB, seed=1) + payload_of(200 * KIB, seed=2)


def test_files_of_a_drained_backend_are_given_up_and_unlinked(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2)
    fill(rig)
    source = rig.volumes[0]
    begin(rig, source.backend_id)
    run_steps(drain_of(rig, source.backend_id))

    rig.settle()
    rig.compact()
    rig.clock.pass_grace()
    rig.sweep()

    assert list(source.path.glob("*.volume")) == []
    assert rig.fsck().findings == ()


def test_compaction_writes_nothing_to_a_backend_that_takes_no_pieces(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, volume_size_max_bytes=100_000)
    contents = fill(rig, 30, size_bytes=10_000)
    for number, key in enumerate(list(contents)):
        if number % 3:
            rig.delete(key)
            del contents[key]
    rig.reap()
    rig.clean_up()
    before = {key: locations_of(rig, key) for key in contents}
    set_state(rig, first_of(rig), BackendState.READ_ONLY)

    rig.compact()

    assert {key: locations_of(rig, key) for key in contents} == before
    states = {state for (state,) in run_sql(rig.store, "SELECT DISTINCT state FROM volumes")}
    assert VolumeState.COMPACTING.value not in states


def test_cursors_are_read_as_they_are_written() -> None:
    cursor = DrainCursor(after="pieces/ab/cd", pass_number=2, failed_count=3, wait_count=4, moved_count=5)

    assert draining.read_drain_cursor(cursor.write()) == cursor
    assert draining.read_drain_cursor(None) == DrainCursor()
