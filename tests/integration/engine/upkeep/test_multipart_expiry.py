"""Uploads that ended are forgotten after a day, open ones only end where an age is set; journal rows last a day."""

from typing import Any

import pytest

from engine.errors import DatabaseUnavailable, LeaseLost, NoSuchUpload, OutcomeUnknown
from engine.metadata import buckets, quota
from engine.objects.complete import CompleteRequest
from engine.objects.multipart import UploadOrder
from engine.records import ListedPart, ObjectHeaders, Progress
from engine.units import DAY_S
from engine.upkeep.journal_expiry import JournalExpiry
from engine.upkeep.multipart_expiry import MultipartExpiry
from tests.integration.engine.upkeep.conftest import MakeRig
from tests.support.bodies import BytesBody
from tests.support.deployments import no_fence
from tests.support.interruptions import InterruptedStore, fence_of, lead, take_over
from tests.support.metadata import run_sql
from tests.support.objects import BUCKET, ObjectRig, key_of
from tests.support.pieces import payload_of

DATA = payload_of(5000)
KEY = key_of("k")


def expiry(rig: ObjectRig, **options: Any) -> MultipartExpiry:
    given = {"store": rig.store, "fence": no_fence, **options}
    return MultipartExpiry(given.pop("store"), **given)


def run(unit: MultipartExpiry | JournalExpiry) -> Progress:
    """One run, as a runner does it."""
    done = 0
    for _ in range(100):
        progress = unit.work()
        done += progress.done_count
        if not progress.has_more:
            return Progress(done_count=done)
    raise AssertionError("expiry never ends")


def begin(rig: ObjectRig) -> tuple[bytes, CompleteRequest]:
    """An upload with one part, and how to complete it."""
    multipart = rig.objects.multipart
    upload_id = multipart.create(
        UploadOrder(bucket=BUCKET, key=KEY, account_id=rig.account_id, headers=ObjectHeaders())
    )
    part = multipart.put_part(upload_id, BUCKET, KEY, 1, BytesBody(DATA))
    listed = [ListedPart(part_number=1, etag=part.etag, checksum=None)]
    return upload_id, CompleteRequest(upload_id=upload_id, bucket=BUCKET, key=KEY, parts=listed)


def pass_days(rig: ObjectRig, days: float) -> None:
    rig.clock.ahead_us += int(days * DAY_S * 1_000_000)


def count(rig: ObjectRig, table: str) -> int:
    ((found,),) = run_sql(rig.store, f"SELECT COUNT(*) FROM {table}")
    assert isinstance(found, int)
    return found


def bucket_bytes(rig: ObjectRig) -> int:
    def unit(tx: Any) -> int:
        subject = quota.bucket_subject(buckets.find_bucket(tx, BUCKET).bucket_id)
        totals = quota.read_quota(tx, subject)
        assert totals is not None
        return totals.used_bytes

    return rig.store.read(unit)


def test_a_completed_upload_answers_for_a_day_and_is_then_forgotten(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    _, request = begin(rig)
    rig.objects.multipart.complete(request)
    rig.reap()

    pass_days(rig, 0.99)
    assert run(expiry(rig)) == Progress()
    assert rig.objects.multipart.complete(request).is_repeated
    pass_days(rig, 0.02)
    assert run(expiry(rig)).done_count == 1

    with pytest.raises(NoSuchUpload):
        rig.objects.multipart.complete(request)
    assert rig.get("k") == DATA
    assert count(rig, "multipart_uploads") == 0
    assert rig.fsck().is_clean


def test_an_upload_whose_parts_the_reaper_has_not_walked_waits_for_it(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    upload_id, _ = begin(rig)
    rig.objects.multipart.abort(upload_id, BUCKET, KEY)
    pass_days(rig, 1.01)

    assert run(expiry(rig)) == Progress()
    rig.reap()
    assert run(expiry(rig)).done_count == 1

    assert count(rig, "multipart_uploads") == 0
    assert rig.fsck().is_clean


def test_many_are_forgotten_a_batch_at_a_time(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    for _ in range(5):
        upload_id, _ = begin(rig)
        rig.objects.multipart.abort(upload_id, BUCKET, KEY)
    rig.reap()
    pass_days(rig, 1.01)
    unit = expiry(rig, batch_count_max=2)

    assert [unit.work().done_count for _ in range(4)] == [2, 2, 1, 0]


def test_open_uploads_are_kept_for_ever_unless_an_age_is_set(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    begin(rig)
    pass_days(rig, 400)

    assert run(expiry(rig)) == Progress()
    assert bucket_bytes(rig) == len(DATA)
    _, young = begin(rig)
    assert run(expiry(rig, open_keep_s=7 * DAY_S)).done_count == 1

    # The old one's parts are given back to the bucket and wait for the reaper; the young one can still be completed.
    assert bucket_bytes(rig) == len(DATA)
    rig.reap()
    rig.clean_up()
    rig.objects.multipart.complete(young)
    assert rig.get("k") == DATA
    assert rig.fsck().is_clean


@pytest.mark.parametrize("is_committed", [False, True])
@pytest.mark.parametrize("at", [1, 2])
def test_an_interruption_at_any_write_is_made_up_for(make_rig: MakeRig, at: int, is_committed: bool) -> None:
    rig = make_rig(volume_count=1)
    upload_id, _ = begin(rig)
    rig.objects.multipart.abort(upload_id, BUCKET, KEY)
    rig.reap()
    begin(rig)
    pass_days(rig, 8)
    store = InterruptedStore(rig.store, at=at, is_committed=is_committed)
    unit = expiry(rig, store=store, open_keep_s=7 * DAY_S, batch_count_max=1)

    with pytest.raises((DatabaseUnavailable, OutcomeUnknown)):
        run(unit)
    assert rig.fsck().is_clean

    run(expiry(rig, open_keep_s=7 * DAY_S))
    rig.reap()
    pass_days(rig, 2)
    run(expiry(rig))
    assert count(rig, "multipart_uploads") == 0
    assert bucket_bytes(rig) == 0
    assert rig.fsck().is_clean


def test_an_expiry_that_lost_its_lease_ends_nothing(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    _, request = begin(rig)
    pass_days(rig, 8)
    first = lead(rig.store, "multipart")
    second = take_over(rig.store, "multipart", rig.clock)

    with pytest.raises(LeaseLost):
        expiry(rig, open_keep_s=7 * DAY_S, fence=fence_of(first)).work()
    rig.objects.multipart.complete(request)
    assert run(expiry(rig, open_keep_s=7 * DAY_S, fence=fence_of(second))) == Progress()

    assert rig.get("k") == DATA
    assert rig.fsck().is_clean


def test_journal_rows_go_after_a_day_a_batch_at_a_time(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    for number in range(5):
        rig.put(f"k{number}", DATA)
    old = count(rig, "journal")
    pass_days(rig, 0.99)
    assert not JournalExpiry(rig.store, fence=no_fence).work().has_more
    assert count(rig, "journal") == old
    rig.put("young", DATA)
    young = count(rig, "journal") - old
    pass_days(rig, 0.02)
    unit = JournalExpiry(rig.store, fence=no_fence, batch_count_max=2)

    assert unit.work().has_more
    assert count(rig, "journal") == old + young - 2
    run(unit)

    assert count(rig, "journal") == young == 1


def test_a_journal_expiry_that_lost_its_lease_drops_nothing(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    rig.put("k", DATA)
    rows = count(rig, "journal")
    pass_days(rig, 2)
    first = lead(rig.store, "reaper")
    take_over(rig.store, "reaper", rig.clock)

    with pytest.raises(LeaseLost):
        JournalExpiry(rig.store, fence=fence_of(first)).work()

    assert count(rig, "journal") == rows
