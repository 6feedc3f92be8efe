"""Rebalancing evens out how full backends are, within failure domains, and loses nothing on the way."""

from engine.placement.policy import Routing
from engine.records import BackendState, Copies
from engine.upkeep.moving import UNIT_COUNT_MAX
from engine.upkeep.rebalancing import (
    Rebalance,
    RebalanceCursor,
    RebalanceOrder,
    imbalance,
    read_fills,
    read_rebalance_cursor,
)
from tests.integration.engine.upkeep.conftest import MakeRig
from tests.support.deployments import no_fence
from tests.support.moving import Unpaced, backends_of, movables_on, parts_of, run_steps, set_state
from tests.support.objects import ObjectRig
from tests.support.pieces import payload_of

QUOTA_BYTES = 4_000_000
WRITER_STEP_COUNT = 15


def rebalance(
    rig: ObjectRig,
    *,
    strategy: Routing = Routing.SPREAD,
    threshold: float = 0.02,
    bytes_max: int | None = None,
) -> Rebalance:
    order = RebalanceOrder(strategy=strategy, threshold=threshold, bytes_max=bytes_max)
    return Rebalance(parts_of(rig), order, fence=no_fence, pace=Unpaced())


def fill_unevenly(rig: ObjectRig, count: int = 60) -> dict[str, bytes]:
    """Everything on the first backends: the last one is kept out while it is written."""
    last_id = rig.volumes[-1].backend_id
    set_state(rig, last_id, BackendState.READ_ONLY)
    contents = {f"key-{number}": payload_of(20_000 + number, seed=number) for number in range(count)}
    for key, payload in contents.items():
        rig.put(key, payload)
    set_state(rig, last_id, BackendState.ACTIVE)
    return contents


def off(rig: ObjectRig) -> float:
    return imbalance(read_fills(rig.store, rig.backends))


def test_backends_are_equally_full_afterwards(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, backend_quota_bytes=QUOTA_BYTES)
    contents = fill_unevenly(rig)
    before = off(rig)
    work = rebalance(rig)

    extent = work.measure()
    steps = run_steps(work)

    assert before > 0.05
    assert off(rig) <= 0.03
    assert extent.size_bytes is not None
    assert abs(extent.size_bytes - sum(each.moved_bytes for each in steps)) < 100_000
    assert {key: rig.get(key) for key in contents} == contents
    assert rig.settle().findings == ()


def test_what_is_even_is_left_alone(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, backend_quota_bytes=QUOTA_BYTES)
    for number in range(30):
        rig.put(f"key-{number}", payload_of(20_000, seed=number))

    steps = run_steps(rebalance(rig, threshold=0.05))

    assert len(steps) == 1
    assert steps[0].result == {"moved_count": 0, "moved_bytes": 0}


def test_it_ends_although_somebody_goes_on_writing(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, backend_quota_bytes=QUOTA_BYTES)
    contents = {f"key-{number}": payload_of(20_000, seed=number) for number in range(20)}
    for key, payload in contents.items():
        rig.put(key, payload)
    work = rebalance(rig, strategy=Routing.PACK, threshold=0.001)

    step = work.step(None)
    for number in range(WRITER_STEP_COUNT):
        if step.is_last:
            break
        # More than a step moves, on every volume.
        for each in range(4 * UNIT_COUNT_MAX):
            rig.put(f"later-{number}-{each}", b"x" * 2000)
        step = work.step(step.cursor)

    assert step.is_last
    assert {key: rig.get(key) for key in contents} == contents
    assert {each for key in contents for each in backends_of(rig, key)} == {rig.volumes[0].backend_id}


def test_copies_stay_apart(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, scheme=Copies(count=2), backend_quota_bytes=QUOTA_BYTES)
    contents = fill_unevenly(rig)

    run_steps(rebalance(rig))

    assert off(rig) <= 0.03
    assert all(len(backends_of(rig, key)) == 2 for key in contents)
    assert rig.settle().findings == ()


def test_packing_empties_the_last_backend(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, backend_quota_bytes=QUOTA_BYTES)
    contents = {f"key-{number}": payload_of(20_000, seed=number) for number in range(60)}
    for key, payload in contents.items():
        rig.put(key, payload)

    run_steps(rebalance(rig, strategy=Routing.PACK, threshold=0.1))

    assert [bool(movables_on(rig, each.backend_id)) for each in rig.volumes] == [True, False, False]
    assert {key: rig.get(key) for key in contents} == contents


def test_no_more_is_moved_than_was_allowed(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, backend_quota_bytes=QUOTA_BYTES)
    fill_unevenly(rig)

    steps = run_steps(rebalance(rig, bytes_max=100_000))

    assert 50_000 < sum(each.moved_bytes for each in steps) <= 100_000


def test_backends_that_are_not_active_neither_give_nor_take(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, backend_quota_bytes=QUOTA_BYTES)
    fill_unevenly(rig)
    first, _, last = [each.backend_id for each in rig.volumes]
    set_state(rig, first, BackendState.READ_ONLY)
    before = len(movables_on(rig, first))

    run_steps(rebalance(rig))

    assert len(movables_on(rig, first)) == before
    assert movables_on(rig, last)


def test_it_goes_on_in_another_process(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, backend_quota_bytes=QUOTA_BYTES)
    contents = fill_unevenly(rig)
    first = rebalance(rig).step(None)

    rig.restart()
    run_steps(rebalance(rig), first.cursor)

    assert off(rig) <= 0.03
    assert {key: rig.get(key) for key in contents} == contents


def test_cursors_are_read_as_they_are_written() -> None:
    cursor = RebalanceCursor(after={"1": "a", "2": "b"}, over=("3",), moved_count=4, moved_bytes=5)

    assert read_rebalance_cursor(cursor.write()) == cursor
    assert read_rebalance_cursor(None) == RebalanceCursor()
