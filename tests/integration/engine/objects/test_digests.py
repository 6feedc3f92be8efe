"""What the sender promised of its bytes is held against them before anything is visible; a mismatch leaves nothing."""

import hashlib
import zlib
from collections.abc import Callable

import pytest
from awscrt.checksums import crc32c, crc64nvme

from engine.errors import BodySizeMismatch, DigestMismatch
from engine.records import Copies, Sealing
from engine.streams import Checksum, ChecksumAlgorithm, ExpectedDigests
from engine.units import KIB, MIB
from tests.integration.engine.objects.conftest import MakeRig
from tests.support.bodies import BytesBody
from tests.support.pieces import payload_of

DIGESTS: dict[ChecksumAlgorithm, Callable[[bytes], bytes]] = {
    ChecksumAlgorithm.CRC32: lambda data: zlib.crc32(data).to_bytes(4, "big"),
    ChecksumAlgorithm.CRC32C: lambda data: int(crc32c(data)).to_bytes(4, "big"),
    ChecksumAlgorithm.CRC64NVME: lambda data: int(crc64nvme(data)).to_bytes(8, "big"),
    ChecksumAlgorithm.SHA1: lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    ChecksumAlgorithm.SHA256: lambda data: hashlib.sha256(data).digest(),
}
SIZES = [0, 1, 10 * KIB, MIB + 1]
BACKENDS = [{"volume_count": 2}, {"volume_count": 0, "memory_count": 2}]


def checksum(algorithm: ChecksumAlgorithm, data: bytes) -> Checksum:
    return Checksum(algorithm=algorithm, digest=DIGESTS[algorithm](data))


@pytest.mark.parametrize("size", SIZES)
def test_every_checksum_is_computed_over_the_plaintext_and_kept(make_rig: MakeRig, size: int) -> None:
    rig = make_rig(seal=Sealing.ALL, scheme=Copies(count=2))
    data = payload_of(size)

    for algorithm in ChecksumAlgorithm:
        expected = checksum(algorithm, data)
        body = BytesBody(data, checksums=[algorithm], expected=ExpectedDigests(checksum=expected))

        written = rig.put(algorithm.value, body)

        assert list(written.checksums) == [expected]
        assert list(rig.find(algorithm.value).version.checksums) == [expected]


@pytest.mark.parametrize("backends", BACKENDS, ids=["volumes", "remote"])
@pytest.mark.parametrize("size", SIZES)
def test_no_mismatch_is_visible_or_leaves_a_byte(
    make_rig: MakeRig, size: int, backends: dict[str, int]
) -> None:
    rig = make_rig(scheme=Copies(count=2), **backends)
    rig.put("k", b"old")
    data = payload_of(size)
    wrong = payload_of(33)
    bodies = [
        BytesBody(data, expected=ExpectedDigests(md5=hashlib.md5(wrong).digest())),
        BytesBody(data, sha256=True, expected=ExpectedDigests(sha256=hashlib.sha256(wrong).digest())),
        *(
            BytesBody(data, checksums=[each], expected=ExpectedDigests(checksum=checksum(each, wrong)))
            for each in ChecksumAlgorithm
        ),
    ]

    for body in bodies:
        with pytest.raises(DigestMismatch):
            rig.put("k", body)

    assert rig.get("k") == b"old"
    assert rig.unaccounted() == set()
    assert rig.settle().is_clean
    assert rig.fsck().counts["blob_count"] == 1
    assert [len(memory.storage_keys()) for memory in rig.memories] == [1] * len(rig.memories)


@pytest.mark.parametrize("received", [0, 1, 10 * KIB, 64 * KIB, MIB])
def test_a_body_that_ends_early_leaves_no_byte_on_a_remote_store(make_rig: MakeRig, received: int) -> None:
    rig = make_rig(volume_count=0, memory_count=2, scheme=Copies(count=2))

    with pytest.raises(BodySizeMismatch):
        rig.put("k", BytesBody(payload_of(received), announced_bytes=received + 1))

    assert rig.keys() == []
    assert rig.settle().is_clean
    assert [memory.storage_keys() for memory in rig.memories] == [[], []]


def test_the_etag_is_the_md5_whatever_is_asked_for(make_rig: MakeRig) -> None:
    rig = make_rig()
    data = payload_of(MIB)
    md5 = hashlib.md5(data)

    written = rig.put("k", BytesBody(data, expected=ExpectedDigests(md5=md5.digest()), step_bytes=7777))

    assert written.etag == md5.hexdigest()
    assert list(written.checksums) == []
