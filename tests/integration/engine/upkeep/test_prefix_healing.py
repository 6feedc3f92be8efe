"""Healing behind a prefix: bad copies are made anew, missing ones added, and wherever it is cut off nothing is lost."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest

from engine.errors import DatabaseUnavailable, OutcomeUnknown
from engine.metadata.bucket_settings import OwnBucket
from engine.metadata.buckets import find_bucket
from engine.metadata.pieces import StandingPiece, list_pieces_of
from engine.metadata.store import Store
from engine.records import Copies, LocationState
from engine.units import KIB
from engine.upkeep.away import HealPolicy
from engine.upkeep.long_work import Unpaced
from engine.upkeep.prefix_healing import PrefixHealing, preview_healing
from tests.integration.engine.upkeep.conftest import MakeRig
from tests.integration.engine.upkeep.test_reconciling import work_through
from tests.support.deployments import no_fence
from tests.support.interruptions import InterruptedStore
from tests.support.objects import BUCKET, ObjectRig
from tests.support.pieces import payload_of

KEYS = ("in/a", "in/b", "out/c")
POLICY = HealPolicy(heal_after_s=600.0, default_scheme=Copies(count=2))
WRITE_COUNT_MAX = 60


def bucket_of(rig: ObjectRig) -> OwnBucket:
    found = rig.store.read(partial(find_bucket, name=BUCKET))
    return OwnBucket(name=BUCKET, bucket_id=found.bucket_id)


def healing(rig: ObjectRig, store: Store, prefix: bytes = b"in/") -> PrefixHealing:
    return PrefixHealing(
        replace(rig.integrity(), store=store),
        POLICY,
        bucket=bucket_of(rig),
        prefix=prefix,
        fence=no_fence,
        pace=Unpaced(),
    )


def pieces(rig: ObjectRig, key: str) -> Sequence[StandingPiece]:
    blob_id = rig.find(key).slices[0].blob.blob_id
    return rig.store.read(partial(list_pieces_of, blob_id=blob_id))


def spoil(rig: ObjectRig, key: str, seed: int) -> None:
    """An object of two copies, one of them damaged where nobody has noticed it."""
    rig.put(key, payload_of(20 * KIB, seed=seed))
    for volume in rig.volumes:
        volume.close_volumes()
    rig.damage(pieces(rig, key)[seed % 2].location.storage_key, 5000)


def is_whole(rig: ObjectRig, key: str) -> bool:
    found = pieces(rig, key)
    states = {each.location.state for each in found}
    return len({each.location.backend_id for each in found}) == 2 and states == {LocationState.LIVE}


def test_only_what_lies_behind_the_prefix_is_read(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, scheme=Copies(count=2))
    for number, key in enumerate(KEYS):
        spoil(rig, key, number)

    steps = work_through(healing(rig, rig.store))

    result = dict(steps[-1].result or {})
    assert (result["blob_count"], result["bad_count"], result["removed_copy_count"]) == (2, 2, 0)
    assert sum(each.item_count for each in steps) == 2
    assert all(is_whole(rig, key) for key in ("in/a", "in/b"))
    again = dict(work_through(healing(rig, rig.store, b""))[-1].result or {})
    assert (again["blob_count"], again["bad_count"]) == (3, 1)
    assert rig.settle().is_clean


def test_a_preview_reads_no_bytes_and_stops_at_its_bound(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=3, scheme=Copies(count=2))
    for number in range(40):
        rig.put(f"in/{number:02}", payload_of(KIB, seed=number))
    spoil(rig, "in/x", 0)

    whole = preview_healing(rig.store, POLICY, bucket_of(rig), b"in/")
    part = preview_healing(rig.store, POLICY, bucket_of(rig), b"in/", count_max=10)

    assert (whole.slice_count, whole.bad_count, whole.lacking_count, whole.is_partial) == (41, 0, 0, False)
    assert part.is_partial
    assert 10 <= part.slice_count < 41


@pytest.mark.parametrize("is_committed", [False, True], ids=["before", "behind"])
def test_wherever_it_is_cut_off_the_next_one_ends_it(
    make_rig: MakeRig, engine: str, is_committed: bool
) -> None:
    rig = make_rig(volume_count=3, scheme=Copies(count=2))
    for at in range(1, WRITE_COUNT_MAX, 1 if engine == "sqlite" else 2):
        spoil(rig, "in/a", at)
        store = InterruptedStore(rig.store, at=at, is_committed=is_committed)
        try:
            work_through(healing(rig, store))
        except (DatabaseUnavailable, OutcomeUnknown):
            pass
        is_over = store.write_count < at
        rig.crash()

        assert rig.get("in/a") == payload_of(20 * KIB, seed=at), at
        work_through(healing(rig, rig.store))
        assert is_whole(rig, "in/a"), at
        assert rig.settle().is_clean, at
        if is_over:
            assert at > 1
            return
    raise AssertionError("a healing has fewer writes than this")
