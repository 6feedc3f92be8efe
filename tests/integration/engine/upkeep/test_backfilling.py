"""Imported blobs are read once and verified ever after; an interruption leaves each known whole, or not at all."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from engine.backends.memory import Call, Fault
from engine.errors import CorruptEverywhere, DatabaseUnavailable, OutcomeUnknown
from engine.metadata.store import Store
from engine.metadata.versions import read_locations
from engine.objects.degradations import Degradation
from engine.records import LocationState, StoredSlice
from engine.units import MIB
from engine.upkeep.backfilling import ChecksumBackfill
from engine.upkeep.long_work import Step
from tests.support.deployments import no_fence
from tests.support.imported import SIZES, Far
from tests.support.interruptions import InterruptedStore
from tests.support.moving import Unpaced, run_steps

KNOWN_COUNT = sum(0 < size <= MIB for size in SIZES)


@pytest.fixture
def far(tmp_path: Path) -> Far:
    return Far(tmp_path / "rig")


def backfill(far: Far, store: Store | None = None) -> Sequence[Step]:
    work = ChecksumBackfill(
        store or far.rig.store,
        far.rig.backends,
        backend_id=far.backend_id,
        blob_bytes_max=MIB,
        fence=no_fence,
        pace=Unpaced(),
    )
    return run_steps(work)


def slices(far: Far) -> list[StoredSlice]:
    """Of what was taken over and lies there still."""
    return [each for key in far.contents if "copy" not in key for each in far.rig.find(key).slices]


def known_count(far: Far) -> int:
    return sum(each.blob.has_checksums for each in slices(far))


def test_what_was_read_is_verified_and_large_ones_have_a_digest(far: Far) -> None:
    far.prepare(1)

    result = backfill(far)[-1].result

    assert result is not None
    assert (result["filled_count"], result["large_count"], result["bad_count"]) == (KNOWN_COUNT + 1, 1, 0)
    before = far.rig.objects.degradations.counts()[Degradation.UNVERIFIED]
    assert far.read() == far.contents
    assert far.rig.objects.degradations.counts()[Degradation.UNVERIFIED] == before + 1
    assert known_count(far) == KNOWN_COUNT
    assert all(each.blob.content_hash for each in slices(far) if each.blob.size_bytes)
    again = backfill(far)[-1].result
    assert again is not None
    assert again["filled_count"] == 0
    far.drain()
    far.check("backfilled")
    far.rig.close()


def test_bytes_that_change_behind_an_etag_are_not_served(far: Far) -> None:
    far.prepare(1)
    backfill(far)
    (key,) = [key for key, payload in far.contents.items() if len(payload) == SIZES[1]]
    (location,) = far.rig.find(key).slices[0].locations

    far.rig.memories[0].flip_bit(location.storage_key, 10)

    with pytest.raises(CorruptEverywhere):
        far.rig.get(key)
    far.rig.close()


@pytest.mark.parametrize("is_committed", [False, True], ids=["before", "behind"])
def test_the_process_dies_at_the_nth_commit(far: Far, is_committed: bool) -> None:
    for number in range(1, 10):
        far.prepare(number)
        has_died = False
        try:
            backfill(far, InterruptedStore(far.rig.store, at=number, is_committed=is_committed))
        except (DatabaseUnavailable, OutcomeUnknown):
            has_died = True
            far.live_on()
            assert far.read() == far.contents

        backfill(far)

        assert far.read() == far.contents
        assert known_count(far) == KNOWN_COUNT
        if not has_died:
            break
    else:
        raise AssertionError("it never gets through")
    far.rig.close()


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.TIMEOUT_LOST])
def test_the_nth_read_fails(far: Far, fault: Fault) -> None:
    memory = far.rig.memories[0]
    for number in range(0, 30, 3):
        far.prepare(number + 1)
        memory.faults.add(Call.READ, fault, after_count=number)

        result = backfill(far)[-1].result

        struck = memory.faults.is_spent()
        memory.faults.clear()
        assert result is not None
        assert (result["unreached_count"], result["bad_count"]) == (int(struck), 0)
        backfill(far)
        assert far.read() == far.contents
        assert known_count(far) == KNOWN_COUNT
        if not struck:
            break
    else:
        raise AssertionError("it never gets through")
    far.rig.close()


def test_what_is_gone_is_told_to_be(far: Far) -> None:
    far.prepare(1)
    (stored,) = [each for each in slices(far) if each.blob.size_bytes == SIZES[1]]
    (location,) = stored.locations
    far.rig.memories[0].delete(location.storage_key, 0)

    steps = backfill(far)

    assert steps[-1].result is not None
    assert steps[-1].result["bad_count"] == 1
    assert sum(len(each.warnings) for each in steps) == 1
    (now,) = far.rig.store.read(partial(read_locations, blob_id=location.blob_id))
    assert now.state is LocationState.LOST
    far.rig.close()
