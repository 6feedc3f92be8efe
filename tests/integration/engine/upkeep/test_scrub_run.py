"""A scrub that was asked for looks at what it was asked for, once, however small its steps are."""

from collections import Counter

import pytest

from engine.metadata.store import Store
from engine.records import Copies, Versioning
from engine.units import KIB, MIB
from engine.upkeep import scrub_run
from engine.upkeep.long_work import Unpaced
from engine.upkeep.piece_check import Depth
from engine.upkeep.scrub_run import BackendWalk, BucketWalk, PieceWalk, ScrubRun
from tests.integration.engine.upkeep.conftest import MakeRig
from tests.integration.engine.upkeep.test_reconciling import work_through
from tests.support.deployments import no_fence
from tests.support.metadata import set_versioning
from tests.support.objects import BUCKET, ObjectRig
from tests.support.pieces import payload_of

TWO = Copies(count=2)


def bucket_walk(rig: ObjectRig, prefix: bytes = b"") -> BucketWalk:
    return BucketWalk(rig.store, rig.objects.buckets.get(BUCKET).bucket_id, prefix)


def backend_walk(rig: ObjectRig) -> BackendWalk:
    return BackendWalk(rig.store, [each.backend_id for each in rig.backends])


def keys_of(walk: PieceWalk) -> "Counter[str]":
    """Storage keys of a whole walk, and how often it came by each."""
    seen: Counter[str] = Counter()
    after = ""
    for _ in range(1000):
        page = walk.page(after)
        seen.update(each.location.storage_key for each in page.pieces)
        if page.next_after is None:
            return seen
        after = page.next_after
    raise AssertionError("it never ends")


def located(store: Store, rig: ObjectRig, *keys: str) -> set[str]:
    return {each.storage_key for key in keys for part in rig.find(key).slices for each in part.locations}


@pytest.mark.parametrize("step", [1, 2, 100])
def test_a_walk_comes_by_every_piece_once_whatever_its_steps(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(scrub_run, "STEP_COUNT_MAX", step)
    rig = make_rig(volume_count=3, scheme=TWO, chunk_bytes=256 * KIB)
    rig.put("large", payload_of(MIB))
    rig.put("empty", b"")
    for number in range(5):
        rig.put(f"small/{number}", payload_of(1000 + number, seed=number))
    small = located(rig.store, rig, *(f"small/{n}" for n in range(5)))
    everything = small | located(rig.store, rig, "large")
    assert len(everything) == 2 * (4 + 5)

    assert keys_of(backend_walk(rig)) == dict.fromkeys(everything, 1)
    assert keys_of(bucket_walk(rig)) == dict.fromkeys(everything, 1)
    assert keys_of(bucket_walk(rig, b"small/")) == dict.fromkeys(small, 1)
    assert keys_of(bucket_walk(rig, b"none")) == {}


@pytest.mark.parametrize("step", [1, 3])
def test_all_versions_of_a_key_are_walked(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(scrub_run, "STEP_COUNT_MAX", step)
    rig = make_rig(volume_count=1)
    set_versioning(rig.store, rig.objects.buckets.get(BUCKET), Versioning.ENABLED)
    for number in range(4):
        rig.put("key", payload_of(1000 + number, seed=number))
    rig.delete("key")
    rig.put("later", payload_of(10))

    assert keys_of(bucket_walk(rig)) == keys_of(backend_walk(rig))
    assert len(keys_of(bucket_walk(rig))) == 5


def test_what_is_bad_is_healed_and_counted(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrub_run, "STEP_COUNT_MAX", 3)
    rig = make_rig(volume_count=3, scheme=TWO)
    for number in range(5):
        rig.put(f"key-{number}", payload_of(9000, seed=number))
    rig.damage(rig.find("key-2").slices[0].locations[1].storage_key, 100)
    inspector = rig.integrity().inspector(no_fence, Unpaced())

    steps = work_through(ScrubRun(bucket_walk(rig), inspector, ids=lambda: b"run------------1"))

    assert steps[-1].result == {
        "checked_count": 10,
        "verified_bytes": 10 * 9000,
        "bad_count": 1,
        "healed_count": 1,
        "unreached_count": 0,
    }
    assert ["made anew from a good copy" in warning for each in steps for warning in each.warnings] == [True]
    assert rig.settle().is_clean


def test_a_sample_takes_its_share_and_a_size_scrub_reads_no_payload(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    for number in range(60):
        rig.put(f"key-{number}", payload_of(100, seed=number))
    inspector = rig.integrity().inspector(no_fence, Unpaced())

    def result(sample: float, depth: Depth) -> dict[str, object]:
        work = ScrubRun(
            backend_walk(rig), inspector, ids=lambda: b"run------------1", depth=depth, sample=sample
        )
        return dict(work_through(work)[-1].result or {})

    half, all_of_it = result(0.5, Depth.FULL), result(1.0, Depth.SIZE)

    assert 10 < int(str(half["checked_count"])) < 50
    assert (all_of_it["checked_count"], all_of_it["verified_bytes"]) == (60, 0)


def test_a_backend_that_is_away_is_told_piece_by_piece_and_the_rest_is_looked_at(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2, scheme=TWO)
    for number in range(3):
        rig.put(f"key-{number}", payload_of(1000, seed=number))
    for volume in rig.volumes:
        volume.close_volumes()
    rig.volumes[0].path.rename(rig.folder / "unmounted")
    rig.volumes[0].path.mkdir()
    inspector = rig.integrity().inspector(no_fence, Unpaced())

    last = work_through(ScrubRun(bucket_walk(rig), inspector, ids=lambda: b"run------------1"))[-1]

    assert last.result is not None
    assert (last.result["checked_count"], last.result["unreached_count"]) == (3, 3)
    assert last.result["bad_count"] == 0
