"""Comparing with repairs, scrubbing and full compaction, cut off at each write: nothing is lost or counted wrong."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from engine.errors import DatabaseUnavailable, OutcomeUnknown
from engine.metadata.store import Store
from engine.records import Copies
from engine.units import KIB
from engine.upkeep.full_compaction import FullCompaction
from engine.upkeep.long_work import LongWork, Unpaced
from engine.upkeep.resolving import Repair
from engine.upkeep.scrub_run import BackendWalk, ScrubRun
from tests.integration.engine.upkeep.conftest import MakeRig
from tests.integration.engine.upkeep.test_reconciling import work_through
from tests.support.deployments import no_fence
from tests.support.interruptions import InterruptedStore
from tests.support.objects import GRACE_US, ObjectRig
from tests.support.pieces import payload_of

WRITE_COUNT_MAX = 200


def make_reconciliation(rig: ObjectRig, store: Store) -> LongWork:
    parts = replace(rig.integrity(), store=store)
    return parts.reconciliation(list(rig.backends), no_fence, Unpaced(), repair=Repair.BOTH)


def make_scrub(rig: ObjectRig, store: Store) -> LongWork:
    parts = replace(rig.integrity(), store=store)
    walk = BackendWalk(store, [each.backend_id for each in rig.backends])
    return ScrubRun(walk, parts.inspector(no_fence, Unpaced()), ids=lambda: b"run------------1")


def make_compaction(rig: ObjectRig, store: Store) -> LongWork:
    return FullCompaction(
        store, rig.volumes, fence=no_fence, pace=Unpaced(), clock=rig.clock, grace_us=GRACE_US
    )


def prepare(rig: ObjectRig) -> None:
    """Something for each of them: bad copies of two blobs, and files with dead bytes."""
    for number in range(8):
        rig.put(f"key-{number}", payload_of(20 * KIB, seed=number))
    for volume in rig.volumes:
        volume.close_volumes()
    rig.delete("key-7")
    rig.reap()
    rig.clean_up()
    rig.clock.ahead_us += 2 * GRACE_US
    for number in (1, 4):
        rig.damage(rig.find(f"key-{number}").slices[0].locations[number % 2].storage_key, 5000)


@pytest.mark.parametrize("is_committed", [False, True])
@pytest.mark.parametrize("make", [make_reconciliation, make_scrub, make_compaction])
def test_whatever_write_fails_the_next_one_to_go_on_finds_all_well(
    make_rig: MakeRig, engine: str, make: Callable[[ObjectRig, Store], LongWork], is_committed: bool
) -> None:
    # Databases of PostgreSQL take longer to make, so every third write has to do there.
    stride = 1 if engine == "sqlite" else 3
    for at in range(1, WRITE_COUNT_MAX, stride):
        rig = make_rig(volume_count=3, scheme=Copies(count=2), volume_size_max_bytes=70 * KIB)
        prepare(rig)
        store = InterruptedStore(rig.store, at=at, is_committed=is_committed)
        try:
            work_through(make(rig, store))
        except (DatabaseUnavailable, OutcomeUnknown):
            pass
        is_over = store.write_count < at
        rig.crash()

        assert all(rig.get(f"key-{n}") == payload_of(20 * KIB, seed=n) for n in range(7)), at
        work_through(make_reconciliation(rig, rig.store))
        report = rig.settle()
        assert report.findings == (), at
        if is_over:
            assert at > 1
            return
    raise AssertionError("a work has fewer writes than this")
