"""Checksums of multipart objects, put together from those of the parts, are the ones S3 gives."""

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.integrity.combining import composite, full_object, multipart_etag
from engine.integrity.digests import RunningChecksum
from engine.streams import Checksum, ChecksumAlgorithm, ChecksumType
from engine.units import GIB, PART_NUMBER_MAX
from tests.support.crcs import CRC32, CRC32C, CRC64NVME, Crc, crc_combined

SLOW: dict[ChecksumAlgorithm, Crc] = {
    ChecksumAlgorithm.CRC32: CRC32,
    ChecksumAlgorithm.CRC32C: CRC32C,
    ChecksumAlgorithm.CRC64NVME: CRC64NVME,
}
crcs = st.sampled_from(sorted(SLOW, key=lambda each: each.value))


def digest_of(algorithm: ChecksumAlgorithm, data: bytes) -> bytes:
    running = RunningChecksum(algorithm)
    running.update(data)
    return running.digest


@given(crcs, st.lists(st.binary(max_size=300), min_size=1, max_size=6))
def test_a_full_object_crc_is_that_of_all_bytes(algorithm: ChecksumAlgorithm, parts: list[bytes]) -> None:
    combined = full_object(algorithm, [(digest_of(algorithm, part), len(part)) for part in parts])

    assert combined == Checksum(algorithm=algorithm, digest=digest_of(algorithm, b"".join(parts)))


@given(crcs, st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8), st.integers(1, 5 * GIB))
def test_parts_of_any_size_combine(
    algorithm: ChecksumAlgorithm, first: bytes, second: bytes, size: int
) -> None:
    width = SLOW[algorithm].bits // 8
    one, two = first[:width], second[:width]

    combined = full_object(algorithm, [(one, 1), (two, size)])

    slow = crc_combined(
        SLOW[algorithm], int.from_bytes(one, "big"), int.from_bytes(two, "big"), second_bytes=size
    )
    assert int.from_bytes(combined.digest, "big") == slow


def test_as_many_parts_as_there_may_be_combine() -> None:
    draw = random.Random(10_000)
    parts = [draw.randbytes(draw.randrange(40)) for _ in range(PART_NUMBER_MAX)]
    algorithm = ChecksumAlgorithm.CRC64NVME

    combined = full_object(algorithm, [(digest_of(algorithm, part), len(part)) for part in parts])

    assert combined.digest == digest_of(algorithm, b"".join(parts))


@pytest.mark.parametrize("algorithm", [ChecksumAlgorithm.SHA1, ChecksumAlgorithm.SHA256])
def test_hashes_do_not_combine(algorithm: ChecksumAlgorithm) -> None:
    with pytest.raises(ValueError):
        full_object(algorithm, [(digest_of(algorithm, b"a"), 1)])


@given(st.sampled_from(list(ChecksumAlgorithm)), st.lists(st.binary(max_size=40), min_size=1, max_size=5))
def test_a_composite_is_the_checksum_of_the_checksums(
    algorithm: ChecksumAlgorithm, parts: list[bytes]
) -> None:
    digests = [digest_of(algorithm, part) for part in parts]

    made = composite(algorithm, digests)

    assert made.digest == digest_of(algorithm, b"".join(digests))
    assert (made.type, made.part_count) == (ChecksumType.COMPOSITE, len(parts))


def test_the_order_of_parts_counts() -> None:
    one, two = digest_of(ChecksumAlgorithm.CRC32C, b"one"), digest_of(ChecksumAlgorithm.CRC32C, b"two")

    assert composite(ChecksumAlgorithm.CRC32C, [one, two]) != composite(ChecksumAlgorithm.CRC32C, [two, one])
    assert full_object(ChecksumAlgorithm.CRC32C, [(one, 3), (two, 3)]) != full_object(
        ChecksumAlgorithm.CRC32C, [(two, 3), (one, 3)]
    )


def test_the_etag_of_a_multipart_object_counts_its_parts() -> None:
    digests = [hashlib.md5(part, usedforsecurity=False).digest() for part in (b"a", b"b")]

    together = hashlib.md5(b"".join(digests), usedforsecurity=False).hexdigest()
    assert multipart_etag(digests) == f"{together}-2"
