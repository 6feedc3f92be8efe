"""A copy is whole and its own: it shares blobs where both sides wish them stored alike, and streams where not."""

import hashlib

import pytest

from engine.errors import (
    BodySizeMismatch,
    BucketQuotaExceeded,
    CorruptEverywhere,
    NoSuchBucket,
    NoSuchKey,
    PreconditionFailed,
)
from engine.names import bucket_name
from engine.objects.copy import CopyOrder
from engine.records import Copies, ObjectHeaders, Sealing
from engine.streams import ChecksumAlgorithm, ChecksumType
from engine.units import KIB, MIB
from tests.integration.engine.objects.conftest import MakeRig
from tests.support.bodies import BytesBody
from tests.support.objects import BUCKET, ObjectRig, key_of
from tests.support.pieces import payload_of

OTHER = bucket_name("other")
SIZES = [0, 1, 100 * KIB, 2 * MIB + 7]


def blob_ids(rig: ObjectRig, key: str, *, bucket: str = BUCKET) -> list[bytes]:
    return [each.blob.blob_id for each in rig.find(key, bucket=bucket_name(bucket)).slices]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seal", Sealing)
def test_a_copy_that_is_stored_alike_shares_the_blobs(make_rig: MakeRig, size: int, seal: Sealing) -> None:
    rig = make_rig(seal=seal)
    data = payload_of(size)
    written = rig.put("a", data, headers=ObjectHeaders(content_type="text/plain", user={"who": "me"}))
    before = sum(path.stat().st_size for volume in rig.volumes for path in volume.path.iterdir())

    copied = rig.copy("a", "b")

    assert copied.etag == written.etag
    assert blob_ids(rig, "b") == blob_ids(rig, "a")
    assert rig.find("b").version.headers == rig.find("a").version.headers
    assert rig.find("b").version.sse_kind == rig.find("a").version.sse_kind
    assert sum(path.stat().st_size for volume in rig.volumes for path in volume.path.iterdir()) == before
    rig.delete("a")
    assert rig.settle().is_clean
    assert rig.get("b") == data
    rig.delete("b")
    assert rig.settle().is_clean
    assert rig.fsck().counts["blob_count"] == 0


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize(
    "options", [{"seal": Sealing.ALL}, {"scheme": Copies(count=2)}], ids=["sealed", "two-copies"]
)
def test_a_copy_that_is_stored_otherwise_is_streamed(
    make_rig: MakeRig, size: int, options: dict[str, object]
) -> None:
    rig = make_rig()
    rig.make_bucket(OTHER, **options)  # type: ignore[arg-type]
    data = payload_of(size)
    rig.put("a", BytesBody(data, checksums=[ChecksumAlgorithm.SHA256]))

    there = rig.copy("a", "b", bucket=OTHER)
    back = rig.copy("b", "c", source_bucket=OTHER)

    assert set(blob_ids(rig, "b", bucket=OTHER)).isdisjoint(blob_ids(rig, "a"))
    assert rig.get("b", bucket=OTHER) == rig.get("c") == data
    assert there.etag == back.etag == hashlib.md5(data).hexdigest()
    assert list(there.checksums) == list(rig.find("a").version.checksums) == list(back.checksums)
    (first, *_) = rig.find("b", bucket=OTHER).slices
    assert (first.blob.is_sealed, len(first.locations)) == (
        options.get("seal") is Sealing.ALL,
        2 if "scheme" in options else 1,
    )
    assert rig.settle().is_clean


def test_a_copy_onto_itself_takes_new_headers_and_keeps_the_bytes(rig: ObjectRig) -> None:
    data = payload_of(2 * MIB)
    rig.put("k", data, headers=ObjectHeaders(content_type="text/plain"))
    blobs = blob_ids(rig, "k")

    rig.copy("k", "k", headers=ObjectHeaders(content_type="image/png", user={"x": "y"}))

    assert rig.find("k").version.headers == ObjectHeaders(content_type="image/png", user={"x": "y"})
    assert blob_ids(rig, "k") == blobs
    assert rig.settle().is_clean
    assert rig.get("k") == data


def test_a_checksum_the_source_lacks_is_computed_on_the_way(rig: ObjectRig) -> None:
    rig.put("a", payload_of(100 * KIB))

    copied = rig.copy("a", "b", checksum_algorithm=ChecksumAlgorithm.CRC32C)
    again = rig.copy("b", "c", checksum_algorithm=ChecksumAlgorithm.CRC32C)

    assert [each.algorithm for each in copied.checksums] == [ChecksumAlgorithm.CRC32C]
    assert list(copied.checksums) == list(again.checksums)
    assert blob_ids(rig, "b") == blob_ids(rig, "c") != blob_ids(rig, "a")


def test_a_streamed_copy_of_a_multipart_object_has_checksums_of_its_own(rig: ObjectRig) -> None:
    rig.make_bucket(OTHER, seal=Sealing.ALL)
    upload_id = rig.begin_upload(
        "a", checksum_algorithm=ChecksumAlgorithm.SHA256, checksum_type=ChecksumType.COMPOSITE
    )
    data = [payload_of(300 * KIB, seed=1), payload_of(10 * KIB, seed=2)]
    parts = [rig.put_part(upload_id, "a", number, each) for number, each in enumerate(data, start=1)]
    done = rig.complete(upload_id, "a", parts)

    joined, streamed = rig.copy("a", "b"), rig.copy("a", "c", bucket=OTHER)

    assert (joined.etag, list(joined.checksums)) == (done.etag, list(done.checksums))
    assert streamed.etag == hashlib.md5(b"".join(data)).hexdigest()
    assert all(each.type is ChecksumType.FULL_OBJECT for each in streamed.checksums)
    assert rig.get("b") == rig.get("c", bucket=OTHER) == b"".join(data)
    assert rig.find("b").version.part_count == 2
    assert rig.find("c", bucket=OTHER).version.part_count is None


def test_a_multipart_object_of_many_slices_is_copied_whole(make_rig: MakeRig) -> None:
    rig = make_rig(chunk_bytes=4 * KIB, inline_buffer_bytes=4 * KIB)
    data = payload_of(600 * KIB)
    rig.put("a", data)
    assert rig.find("a").has_more_slices

    rig.copy("a", "b")
    rig.delete("a")

    assert rig.settle().is_clean
    assert rig.get("b") == data
    assert rig.get("b", 500 * KIB, 510 * KIB) == data[500 * KIB : 510 * KIB]


def test_a_source_or_a_target_that_is_not_there_is_named(rig: ObjectRig) -> None:
    rig.put("a", b"x")

    with pytest.raises(NoSuchKey):
        rig.copy("nothing", "b")
    with pytest.raises(NoSuchBucket):
        rig.copy("a", "b", bucket=bucket_name("nowhere"))
    assert rig.keys() == ["a"]


def test_conditions_on_the_target_are_asked_in_its_transaction(rig: ObjectRig) -> None:
    rig.put("a", b"new")
    etag = rig.put("b", b"old").etag

    def copy(**conditions: object) -> None:
        rig.objects.copier.copy(
            CopyOrder(
                source=rig.find("a"),
                bucket=BUCKET,
                key=key_of("b"),
                account_id=rig.account_id,
                **conditions,  # type: ignore[arg-type]
            )
        )

    with pytest.raises(PreconditionFailed):
        copy(if_none_match=True)
    with pytest.raises(PreconditionFailed):
        copy(if_match_etag="0" * 32)
    assert rig.get("b") == b"old"
    copy(if_match_etag=etag)
    assert rig.get("b") == b"new"


@pytest.mark.parametrize("seal", Sealing)
def test_a_copy_counts_against_the_quota_of_its_bucket(make_rig: MakeRig, seal: Sealing) -> None:
    rig = make_rig()
    rig.make_bucket(OTHER, seal=seal, quota_bytes=150 * KIB)
    rig.put("a", payload_of(100 * KIB))
    rig.copy("a", "b", bucket=OTHER)

    with pytest.raises(BucketQuotaExceeded):
        rig.copy("a", "c", bucket=OTHER)
    rig.copy("a", "b", bucket=OTHER)

    assert rig.keys(bucket=OTHER) == ["b"]
    assert rig.settle().is_clean


def test_a_source_that_is_corrupt_everywhere_leaves_no_target(rig: ObjectRig) -> None:
    rig.make_bucket(OTHER, seal=Sealing.ALL)
    rig.put("a", payload_of(600 * KIB))
    (one,) = rig.find("a").slices
    rig.damage(one.locations[0].storage_key, 500 * KIB)

    with pytest.raises((CorruptEverywhere, BodySizeMismatch)) as refused:
        rig.copy("a", "b", bucket=OTHER)

    assert isinstance(refused.value, CorruptEverywhere)
    assert rig.keys(bucket=OTHER) == []


def test_storing_and_reading_go_on_when_the_default_changes(make_rig: MakeRig) -> None:
    before = make_rig(folder="one", seal=Sealing.NONE, scheme=Copies(count=1))
    before.put("plain", payload_of(300 * KIB))
    before.restart()

    after = make_rig(folder="one", seal=Sealing.ALL, scheme=Copies(count=2), ring_record=before.ring_record)
    after.put("sealed", payload_of(300 * KIB, seed=1))

    assert after.get("plain") == payload_of(300 * KIB)
    assert after.get("sealed") == payload_of(300 * KIB, seed=1)
    assert before.get("sealed") == payload_of(300 * KIB, seed=1)
    after.copy("plain", "copied")
    assert all(each.blob.is_sealed and len(each.locations) == 2 for each in after.find("copied").slices)
    assert after.find("copied").version.sse_kind == "AES256"
    assert after.fsck().is_clean
