"""What was put is what is got: whole and in ranges, plain and sealed, held and streamed, one copy and two."""

import hashlib

import pytest
from awscrt.checksums import crc64nvme

from engine.errors import (
    BodySizeMismatch,
    DigestMismatch,
    NoSuchBucket,
    NoSuchKey,
    ObjectTooLarge,
    PreconditionFailed,
)
from engine.names import bucket_name
from engine.objects.read import Span
from engine.records import Copies, Sealing
from engine.streams import Checksum, ChecksumAlgorithm, ExpectedDigests
from engine.units import KIB, MIB, PUT_SIZE_MAX_BYTES
from tests.integration.engine.objects.conftest import MakeRig
from tests.support.bodies import BytesBody, regions_of
from tests.support.objects import BUCKET, ObjectRig
from tests.support.pieces import payload_of

SIZES = [0, 1, 4 * KIB, 64 * KIB, 64 * KIB + 1, 256 * KIB, 256 * KIB + 1, MIB, 2 * MIB + 12345]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seal", [Sealing.NONE, Sealing.ALL])
@pytest.mark.parametrize("copies", [1, 2])
def test_an_object_comes_back_byte_for_byte(make_rig: MakeRig, size: int, seal: Sealing, copies: int) -> None:
    rig = make_rig(seal=seal, scheme=Copies(count=copies))
    data = payload_of(size)

    written = rig.put("a/b", data)

    stored = rig.find("a/b")
    assert rig.read(stored) == data
    assert stored.version.etag == written.etag == hashlib.md5(data).hexdigest()
    assert stored.version.size_bytes == written.size_bytes == size
    assert {len(each.locations) for each in stored.slices} <= {copies}
    assert all(each.blob.is_sealed == (seal is Sealing.ALL) for each in stored.slices)
    assert rig.fsck().is_clean


@pytest.mark.parametrize("seal", [Sealing.NONE, Sealing.ALL])
def test_ranges_across_blocks_frames_and_blobs(make_rig: MakeRig, seal: Sealing) -> None:
    rig = make_rig(seal=seal)
    data = payload_of(3 * MIB + 77)
    rig.put("k", data)
    edges = [
        0,
        1,
        64 * KIB - 1,
        64 * KIB,
        256 * KIB,
        MIB - 1,
        MIB,
        MIB + 1,
        2 * MIB,
        len(data) - 1,
        len(data),
    ]

    for start in edges:
        for stop in edges:
            if start <= stop:
                assert rig.get("k", start, stop) == data[start:stop], (start, stop)


def test_sealed_bytes_are_nowhere_in_the_clear(make_rig: MakeRig) -> None:
    rig = make_rig(seal=Sealing.ALL)
    marker = b"a very recognisable secret" * 10
    rig.put("diary-of-somebody", marker)
    rig.put("large", marker * 1000)

    stored_bytes = b"".join(
        path.read_bytes() for volume in rig.volumes for path in volume.path.rglob("*") if path.is_file()
    )

    assert marker not in stored_bytes
    assert b"diary-of-somebody" not in stored_bytes


def test_an_overwrite_shows_the_new_object_and_a_delete_none(rig: ObjectRig) -> None:
    rig.put("k", b"one")
    rig.put("k", b"two")
    assert rig.get("k") == b"two"

    rig.delete("k")
    rig.delete("k")

    with pytest.raises(NoSuchKey):
        rig.find("k")
    assert rig.keys() == []


def test_a_version_found_before_an_overwrite_is_read_to_its_end(rig: ObjectRig) -> None:
    data = payload_of(2 * MIB)
    rig.put("k", data)
    regions = regions_of(rig.objects.reader.open(rig.find("k"), Span(start=0, stop=len(data))))
    first = next(regions)

    rig.put("k", b"new")
    rig.reap()

    assert first + b"".join(regions) == data


def test_checksums_are_computed_stored_and_compared(rig: ObjectRig) -> None:
    data = payload_of(300 * KIB)
    crc = Checksum(algorithm=ChecksumAlgorithm.CRC64NVME, digest=int(crc64nvme(data)).to_bytes(8, "big"))

    written = rig.put(
        "k",
        BytesBody(data, checksums=[ChecksumAlgorithm.CRC64NVME], expected=ExpectedDigests(checksum=crc)),
    )

    assert list(written.checksums) == [crc]
    assert list(rig.find("k").version.checksums) == [crc]


@pytest.mark.parametrize("size", [100, 3 * MIB])
@pytest.mark.parametrize(
    "expected",
    [
        ExpectedDigests(md5=bytes(16)),
        ExpectedDigests(sha256=bytes(32)),
        ExpectedDigests(checksum=Checksum(algorithm=ChecksumAlgorithm.CRC32, digest=bytes(4))),
    ],
)
def test_a_wrong_digest_leaves_the_old_object(rig: ObjectRig, size: int, expected: ExpectedDigests) -> None:
    rig.put("k", b"old")
    body = BytesBody(payload_of(size), sha256=True, checksums=[ChecksumAlgorithm.CRC32], expected=expected)

    with pytest.raises(DigestMismatch):
        rig.put("k", body)

    assert rig.get("k") == b"old"
    assert rig.fsck().is_clean


@pytest.mark.parametrize("size", [100, 3 * MIB])
def test_a_body_that_ends_early_leaves_nothing(rig: ObjectRig, size: int) -> None:
    with pytest.raises(BodySizeMismatch) as refused:
        rig.put("k", BytesBody(payload_of(size), announced_bytes=size + 1))

    assert (refused.value.expected_bytes, refused.value.received_bytes) == (size + 1, size)
    assert rig.keys() == []
    assert rig.fsck().is_clean


def test_a_client_that_goes_away_leaves_nothing(rig: ObjectRig) -> None:
    class ClientGone(Exception):
        """What the wire raises."""

    body = BytesBody(payload_of(3 * MIB), fail_after=2 * MIB, error=ClientGone())

    with pytest.raises(ClientGone):
        rig.put("k", body)

    assert rig.keys() == []
    assert rig.fsck().is_clean


def test_conditions_are_asked_before_the_body_is_read(rig: ObjectRig) -> None:
    etag = rig.put("k", b"old").etag
    bodies = [BytesBody(b"new"), BytesBody(b"new"), BytesBody(b"new")]

    with pytest.raises(PreconditionFailed):
        rig.put("k", bodies[0], if_none_match=True)
    with pytest.raises(PreconditionFailed):
        rig.put("k", bodies[1], if_match_etag="0" * 32)
    with pytest.raises(NoSuchKey):
        rig.put("other", bodies[2], if_match_etag=etag)
    rig.put("k", b"newer", if_match_etag=etag)
    rig.put("fresh", b"first", if_none_match=True)

    assert [body.read_count for body in bodies] == [0, 0, 0]
    assert (rig.get("k"), rig.get("fresh")) == (b"newer", b"first")


def test_what_is_not_there_and_what_is_too_large_is_refused_before_the_body(rig: ObjectRig) -> None:
    body = BytesBody(b"", announced_bytes=PUT_SIZE_MAX_BYTES + 1)

    with pytest.raises(NoSuchBucket):
        rig.put("k", b"data", bucket=bucket_name("nowhere"))
    with pytest.raises(NoSuchBucket):
        rig.find("k", bucket=bucket_name("nowhere"))
    with pytest.raises(ObjectTooLarge):
        rig.put("k", body)
    with pytest.raises(NoSuchKey):
        rig.find("k")
    assert body.read_count == 0


def test_everything_is_there_after_a_restart_and_after_a_crash(make_rig: MakeRig) -> None:
    rig = make_rig(seal=Sealing.ALL, scheme=Copies(count=2))
    contents = {f"k{size}": payload_of(size) for size in SIZES}
    for key, data in contents.items():
        rig.put(key, data)

    rig.restart()
    assert {key: rig.get(key) for key in contents} == contents
    rig.crash()
    assert {key: rig.get(key) for key in contents} == contents
    assert rig.keys() == sorted(contents)
    assert BUCKET in [each.name for each in rig.objects.buckets.list(rig.account_id)]
    assert rig.fsck().is_clean
