"""A plan says where the pieces would go, and refuses what would leave objects with fewer copies than they ask for."""

from functools import partial

import pytest

from engine.backends.registry import Backends
from engine.errors import RedundancyAtRisk
from engine.metadata import backends
from engine.metadata.locations import mark_location
from engine.names import bucket_name
from engine.records import BackendRow, BackendState, Copies, LocationState
from engine.upkeep import drain_plan
from engine.upkeep.drain_plan import DrainPlan, plan_drain
from tests.integration.engine.upkeep.conftest import MakeRig
from tests.support.metadata import run_sql
from tests.support.moving import locations_of, set_state
from tests.support.objects import ObjectRig
from tests.support.pieces import payload_of


def row_of(rig: ObjectRig, number: int) -> BackendRow:
    return rig.store.read(backends.list_backends)[number]


def plan(
    rig: ObjectRig, number: int = 0, *, backends: Backends | None = None, count_max: int = 10**6
) -> DrainPlan:
    return plan_drain(
        rig.store,
        backends or rig.backends,
        row_of(rig, number),
        default_scheme=rig.shape.scheme,
        routing=rig.shape.routing,
        walk_count_max=count_max,
    )


def fill(rig: ObjectRig, count: int = 20) -> None:
    for number in range(count):
        rig.put(f"key-{number}", payload_of(2000, seed=number))


def test_a_plan_tells_how_much_goes_where(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, scheme=Copies(count=2))
    fill(rig)
    ((count, size_bytes),) = run_sql(
        rig.store,
        "SELECT COUNT(*), SUM(stored_bytes) FROM object_locations WHERE backend_id = :backend_id",
        {"backend_id": row_of(rig, 0).backend_id},
    )

    made = plan(rig)

    made.check()
    assert (made.piece_count, made.size_bytes, made.sole_count) == (count, size_bytes, 0)
    assert {each.backend_id for each in made.fit.shares} == {row_of(rig, n).backend_id for n in (1, 2)}
    assert sum(each.size_bytes for each in made.fit.shares) == size_bytes
    assert all(each.free_bytes_after is not None for each in made.fit.shares), "a disk has an end"
    assert not made.is_estimate


def test_the_last_active_backend_is_not_emptied(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2)
    set_state(rig, row_of(rig, 1).backend_id, BackendState.READ_ONLY)

    with pytest.raises(RedundancyAtRisk, match="no other active backend"):
        plan(rig).check()


def test_a_domain_that_new_objects_need_is_not_taken_away(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2, scheme=Copies(count=2))

    made = plan(rig)

    assert made.lacks == ("new objects are stored as copies(2), and 1 failure domain would be left",)


def test_a_buckets_own_scheme_counts(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3)
    rig.make_bucket(bucket_name("thrice"), scheme=Copies(count=3))

    assert plan(rig).lacks == ("new objects are stored as copies(3), and 2 failure domains would be left",)


def test_another_backend_of_the_same_domain_takes_its_place(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, scheme=Copies(count=2))
    run_sql(rig.store, "UPDATE backends SET failure_domain = 'one' WHERE name IN ('disk-0', 'disk-1')")
    fill(rig)

    made = plan(rig)

    made.check()
    assert {each.backend_id for each in made.fit.shares} <= {row_of(rig, 1).backend_id}


def test_pieces_with_no_domain_left_are_counted(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, scheme=Copies(count=2))
    fill(rig)
    set_state(rig, row_of(rig, 2).backend_id, BackendState.READ_ONLY)

    with pytest.raises(RedundancyAtRisk, match="have no active backend to go to") as refused:
        plan(rig).check()

    assert len(refused.value.lacks) == 2


def test_bytes_without_room_are_counted(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2, backend_quota_bytes=60_000)
    fill(rig, 40)

    with pytest.raises(RedundancyAtRisk, match="bytes have no room"):
        plan(rig).check()


def test_a_backend_out_of_reach_goes_only_if_every_piece_has_another_copy(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, scheme=Copies(count=2))
    fill(rig)
    without = Backends(list(rig.backends)[1:])

    plan(rig, backends=without).check()
    for key in ("key-1", "key-2", "key-3"):
        for piece in locations_of(rig, key):
            if piece.backend_id != row_of(rig, 0).backend_id:
                rig.store.write(partial(mark_location, location=piece, state=LocationState.SUSPECT))

    made = plan(rig, backends=without)

    assert made.sole_count > 0
    with pytest.raises(RedundancyAtRisk, match="out of reach"):
        made.check()


def test_of_many_pieces_some_stand_for_all(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain_plan, "PAGE_COUNT", 4)
    rig = make_rig(volume_count=2)
    fill(rig, 40)
    whole = plan(rig)

    example = plan(rig, count_max=8)

    assert (example.is_estimate, whole.is_estimate) == (True, False)
    assert (example.piece_count, example.size_bytes) == (whole.piece_count, whole.size_bytes)
    assert abs(sum(each.size_bytes for each in example.fit.shares) - whole.size_bytes) < 64


def test_a_plan_knows_when_other_backends_have_changed(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3)
    made = plan(rig)

    before = rig.store.read(partial(drain_plan.is_plan_current, plan=made))
    set_state(rig, row_of(rig, 2).backend_id, BackendState.DRAINING)

    assert before
    assert not rig.store.read(partial(drain_plan.is_plan_current, plan=made))
