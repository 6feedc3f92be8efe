"""Parts become one object exactly as the client lists them, once; whatever is wrong with a list changes nothing."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import (
    BodySizeMismatch,
    BucketQuotaExceeded,
    DigestMismatch,
    EngineError,
    InvalidPart,
    MalformedField,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    PartOrder,
    PartTooSmall,
    PreconditionFailed,
)
from engine.names import bucket_name
from engine.objects.complete import CompleteRequest
from engine.objects.multipart import WrittenPart
from engine.records import Copies, ListedPart, ObjectHeaders, Sealing
from engine.streams import Checksum, ChecksumAlgorithm, ChecksumType, ExpectedDigests
from engine.units import KIB, MIB, PART_NUMBER_MAX
from tests.integration.engine.objects.conftest import MakeRig
from tests.support.bodies import BytesBody
from tests.support.objects import BUCKET, ObjectRig, key_of
from tests.support.pieces import payload_of

DATA = [payload_of(size, seed=size) for size in (300 * KIB, 2 * MIB + 1, 70)]
WHOLE = b"".join(DATA)


def upload(rig: ObjectRig, key: str = "k", **options: object) -> tuple[bytes, list[WrittenPart]]:
    upload_id = rig.begin_upload(key, **options)  # type: ignore[arg-type]
    return upload_id, [rig.put_part(upload_id, key, n, each) for n, each in enumerate(DATA, start=1)]


def request(upload_id: bytes, parts: list[WrittenPart], key: str = "k") -> CompleteRequest:
    return CompleteRequest(
        upload_id=upload_id,
        bucket=BUCKET,
        key=key_of(key),
        parts=[ListedPart(part_number=each.part_number, etag=each.etag) for each in parts],
    )


@pytest.mark.parametrize("seal", Sealing)
@pytest.mark.parametrize("copies", [1, 2])
def test_parts_become_one_object(make_rig: MakeRig, seal: Sealing, copies: int) -> None:
    rig = make_rig(seal=seal, scheme=Copies(count=copies))
    headers = ObjectHeaders(content_type="text/plain", user={"a": "b"})
    upload_id, parts = upload(rig, headers=headers)
    assert rig.keys() == []

    done = rig.complete(upload_id, "k", parts)

    version = rig.find("k").version
    md5s = b"".join(hashlib.md5(each).digest() for each in DATA)
    assert done.etag == version.etag == f"{hashlib.md5(md5s).hexdigest()}-3"
    assert (version.size_bytes, version.part_count, version.headers) == (len(WHOLE), 3, headers)
    assert version.sse_kind == ("AES256" if seal is Sealing.ALL else None)
    assert rig.get("k") == WHOLE
    edge = len(DATA[0])
    assert rig.get("k", edge - 10, edge + 10) == WHOLE[edge - 10 : edge + 10]
    assert rig.settle().is_clean
    assert rig.get("k") == WHOLE


def test_only_listed_parts_are_taken_in_the_order_of_their_numbers(rig: ObjectRig) -> None:
    upload_id = rig.begin_upload("k")
    last = rig.put_part(upload_id, "k", PART_NUMBER_MAX, b"last")
    rig.put_part(upload_id, "k", 5, b"left out")
    first = rig.put_part(upload_id, "k", 3, b"first ")

    rig.complete(upload_id, "k", [first, last])

    assert rig.get("k") == b"first last"
    assert rig.settle().is_clean
    assert rig.fsck().counts["blob_count"] == 2


def test_a_part_sent_again_takes_the_place_of_the_one_before(rig: ObjectRig) -> None:
    upload_id = rig.begin_upload("k")
    stale = rig.put_part(upload_id, "k", 1, payload_of(MIB, seed=1))
    fresh = rig.put_part(upload_id, "k", 1, payload_of(100 * KIB, seed=2))

    with pytest.raises(InvalidPart):
        rig.complete(upload_id, "k", [stale])
    page = rig.objects.multipart.list_parts(upload_id, BUCKET, key_of("k"), after=0, count_max=10)
    assert [(each.part_number, each.etag) for each in page.parts] == [(1, fresh.etag)]
    rig.complete(upload_id, "k", [fresh])

    assert rig.get("k") == payload_of(100 * KIB, seed=2)
    assert rig.settle().is_clean


def test_a_list_that_is_wrong_in_any_way_changes_nothing(make_rig: MakeRig) -> None:
    rig = make_rig(part_size_min_bytes=KIB)
    rig.put("k", b"old")
    upload_id, parts = upload(rig)
    small = rig.put_part(upload_id, "k", 4, b"too small")
    fifth = rig.put_part(upload_id, "k", 5, payload_of(2 * KIB))
    good = request(upload_id, parts)
    checksum = Checksum(algorithm=ChecksumAlgorithm.CRC32, digest=bytes(4))
    listed = good.parts[0]
    wrong: list[tuple[type[EngineError], CompleteRequest]] = [
        (PartOrder, replace(good, parts=[])),
        (PartOrder, replace(good, parts=list(reversed(good.parts)))),
        (PartOrder, replace(good, parts=[listed, listed])),
        (InvalidPart, replace(good, parts=[replace(listed, etag="0" * 32)])),
        (InvalidPart, replace(good, parts=[replace(listed, etag=parts[1].etag)])),
        (InvalidPart, replace(good, parts=[replace(listed, part_number=9)])),
        (InvalidPart, replace(good, parts=[replace(listed, checksum=checksum)])),
        (PartTooSmall, request(upload_id, [parts[0], small, fifth])),
        (DigestMismatch, replace(good, size_bytes=len(WHOLE) + 1)),
        (DigestMismatch, replace(good, checksum=checksum)),
        (PreconditionFailed, replace(good, if_none_match=True)),
        (PreconditionFailed, replace(good, if_match_etag="0" * 32)),
        (NoSuchUpload, replace(good, upload_id=bytes(16))),
        (NoSuchUpload, replace(good, key=key_of("another"))),
        (NoSuchBucket, replace(good, bucket=bucket_name("nowhere"))),
    ]

    for expected, each in wrong:
        with pytest.raises(expected):
            rig.objects.multipart.complete(each)
        assert rig.get("k") == b"old"

    rig.objects.multipart.complete(replace(good, size_bytes=len(WHOLE)))
    assert rig.get("k") == WHOLE
    assert rig.settle().is_clean


def test_the_same_list_again_gets_the_same_answer_also_after_an_overwrite(rig: ObjectRig) -> None:
    upload_id, parts = upload(rig)
    done = rig.complete(upload_id, "k", parts)
    rig.put("k", b"newer")
    rig.settle()

    again = rig.complete(upload_id, "k", parts)

    assert again == replace(done, is_repeated=True)
    with pytest.raises(NoSuchUpload):
        rig.complete(upload_id, "k", parts[:2])
    assert rig.get("k") == b"newer"


def test_after_the_end_an_upload_takes_no_part(rig: ObjectRig) -> None:
    done, parts = upload(rig)
    rig.complete(done, "k", parts)
    aborted, _ = upload(rig)
    rig.abort_upload(aborted, "k")

    for upload_id in (done, aborted, bytes(16)):
        with pytest.raises(NoSuchUpload):
            rig.put_part(upload_id, "k", 1, b"late")
        with pytest.raises(NoSuchUpload):
            rig.abort_upload(upload_id, "k")
    assert rig.get("k") == WHOLE
    assert rig.settle().is_clean


def test_an_abort_leaves_no_byte(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=2, scheme=Copies(count=2))
    upload_id, _ = upload(rig)

    rig.abort_upload(upload_id, "k")

    with pytest.raises(NoSuchKey):
        rig.find("k")
    assert rig.settle().is_clean
    assert [memory.storage_keys() for memory in rig.memories] == [[], []]


@pytest.mark.parametrize("algorithm", ChecksumAlgorithm)
def test_a_composite_checksum_is_that_of_the_parts_digests(
    rig: ObjectRig, algorithm: ChecksumAlgorithm
) -> None:
    upload_id, parts = upload(rig, checksum_algorithm=algorithm, checksum_type=ChecksumType.COMPOSITE)

    done = rig.complete(upload_id, "k", parts)

    (checksum,) = done.checksums
    assert (checksum.algorithm, checksum.type, checksum.part_count) == (
        algorithm,
        ChecksumType.COMPOSITE,
        3,
    )
    digests = b"".join(each.digest for part in parts for each in part.checksums)
    rig.put("digests", BytesBody(digests, checksums=[algorithm]))
    assert checksum.digest == rig.find("digests").version.checksums[0].digest
    assert list(rig.find("k").version.checksums) == [checksum]


@pytest.mark.parametrize(
    "algorithm", [ChecksumAlgorithm.CRC32, ChecksumAlgorithm.CRC32C, ChecksumAlgorithm.CRC64NVME]
)
def test_a_full_object_checksum_is_that_of_the_whole(rig: ObjectRig, algorithm: ChecksumAlgorithm) -> None:
    rig.put("whole", BytesBody(WHOLE, checksums=[algorithm]))
    (expected,) = rig.find("whole").version.checksums
    upload_id, parts = upload(rig, checksum_algorithm=algorithm, checksum_type=ChecksumType.FULL_OBJECT)
    wrong = replace(expected, digest=bytes(len(expected.digest)))

    with pytest.raises(DigestMismatch):
        rig.objects.multipart.complete(replace(request(upload_id, parts), checksum=wrong))
    done = rig.objects.multipart.complete(replace(request(upload_id, parts), checksum=expected))

    assert list(done.checksums) == [expected]


def test_a_part_that_is_refused_leaves_the_one_before(rig: ObjectRig) -> None:
    upload_id = rig.begin_upload("k")
    part = rig.put_part(upload_id, "k", 1, b"good")

    with pytest.raises(DigestMismatch):
        rig.put_part(upload_id, "k", 1, BytesBody(payload_of(MIB), expected=ExpectedDigests(md5=bytes(16))))
    with pytest.raises(BodySizeMismatch):
        rig.put_part(upload_id, "k", 1, BytesBody(b"short", announced_bytes=6))
    for number in (0, -1, PART_NUMBER_MAX + 1):
        with pytest.raises(MalformedField):
            rig.put_part(upload_id, "k", number, b"x")

    rig.complete(upload_id, "k", [part])
    assert rig.get("k") == b"good"
    assert rig.settle().is_clean


def test_how_parts_are_stored_is_decided_when_the_upload_begins(make_rig: MakeRig) -> None:
    before = make_rig(folder="one", seal=Sealing.ALL, scheme=Copies(count=2))
    upload_id = before.begin_upload("k")
    first = before.put_part(upload_id, "k", 1, DATA[0])
    before.restart()
    after = make_rig(folder="one", ring_record=before.ring_record)

    second = after.put_part(upload_id, "k", 2, DATA[1])
    after.complete(upload_id, "k", [first, second])

    assert all(each.blob.is_sealed and len(each.locations) == 2 for each in after.find("k").slices)
    assert after.get("k") == DATA[0] + DATA[1]


def test_parts_count_against_the_buckets_quota_until_they_are_left_out(make_rig: MakeRig) -> None:
    rig = make_rig(bucket_quota_bytes=250 * KIB)
    upload_id = rig.begin_upload("k")
    first = rig.put_part(upload_id, "k", 1, payload_of(100 * KIB))
    rig.put_part(upload_id, "k", 2, payload_of(100 * KIB))

    with pytest.raises(BucketQuotaExceeded):
        rig.put_part(upload_id, "k", 3, payload_of(100 * KIB))
    with pytest.raises(BucketQuotaExceeded):
        rig.put("other", payload_of(100 * KIB))
    rig.complete(upload_id, "k", [first])

    rig.put("other", payload_of(100 * KIB))
    assert rig.settle().is_clean


def test_uploads_and_parts_are_listed_in_pages(rig: ObjectRig) -> None:
    ids = {key: [rig.begin_upload(key) for _ in range(2)] for key in ("a/1", "a/2", "b")}
    upload_id = ids["b"][0]
    for number in (4, 2, 9):
        rig.put_part(upload_id, "b", number, b"x" * number)
    multipart = rig.objects.multipart

    first = multipart.list_parts(upload_id, BUCKET, key_of("b"), after=0, count_max=2)
    rest = multipart.list_parts(upload_id, BUCKET, key_of("b"), after=first.next_after or 0, count_max=2)
    assert [each.part_number for each in first.parts] == [2, 4]
    assert ([each.part_number for each in rest.parts], rest.next_after) == ([9], None)

    found: list[tuple[bytes, bytes]] = []
    after_key, after_id = b"", b""
    while True:
        page = multipart.list_uploads(
            BUCKET, prefix=b"", delimiter=b"", after_key=after_key, after_upload_id=after_id, count_max=4
        )
        found += [(each.key, each.upload_id) for each in page.uploads]
        if page.next_key is None or page.next_upload_id is None:
            break
        after_key, after_id = page.next_key, page.next_upload_id
    assert found == sorted((key.encode(), each) for key, each_of in ids.items() for each in each_of)
    folded = multipart.list_uploads(
        BUCKET, prefix=b"", delimiter=b"/", after_key=b"", after_upload_id=b"", count_max=10
    )
    assert (folded.common_prefixes, len(folded.uploads)) == ([b"a/"], 2)


@pytest.mark.timeout(180)
def test_ten_thousand_parts_become_one_object_in_little_memory(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, memory_count=0)
    upload_id = rig.begin_upload("k")
    with ThreadPoolExecutor(32) as senders:
        numbers = range(1, PART_NUMBER_MAX + 1)
        parts = list(senders.map(lambda n: rig.put_part(upload_id, "k", n, f"{n:05}".encode()), numbers))
    before_bytes = resident_bytes()

    rig.complete(upload_id, "k", parts)

    assert resident_bytes() - before_bytes < 64 * MIB
    size_bytes = 5 * PART_NUMBER_MAX
    assert rig.find("k").version.size_bytes == size_bytes
    assert rig.get("k", size_bytes - 7, size_bytes - 1) == b"991000"
    assert rig.get("k") == "".join(f"{number:05}" for number in numbers).encode()


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
