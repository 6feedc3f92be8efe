"""Checksums in headers: one, of a known kind, of the right length."""

import base64

import pytest

from dataplane.wire.checksums import (
    checksum_headers,
    checksum_text,
    read_algorithm,
    read_checksum,
    read_checksum_type,
    read_content_md5,
)
from dataplane.wire.refusals import InvalidDigest, InvalidRequest, NotImplementedYet
from engine.streams import Checksum, ChecksumAlgorithm, ChecksumType


def encoded(size_bytes: int) -> str:
    return base64.b64encode(bytes(range(size_bytes))).decode()


def test_c8_content_md5_is_sixteen_bytes() -> None:
    assert read_content_md5({"content-md5": encoded(16)}) == bytes(range(16))
    assert read_content_md5({}) is None


@pytest.mark.parametrize(
    "text",
    ["abc", encoded(15), encoded(17), "00" * 16, "", encoded(16) + "=", "AAAAAAAAAAAAAAAAAAAAA*==", "é" * 24],
)
def test_c8_anything_else_is_an_invalid_digest(text: str) -> None:
    with pytest.raises(InvalidDigest):
        read_content_md5({"content-md5": text})


@pytest.mark.parametrize(
    ("name", "size_bytes", "algorithm"),
    [
        ("crc32", 4, ChecksumAlgorithm.CRC32),
        ("crc32c", 4, ChecksumAlgorithm.CRC32C),
        ("crc64nvme", 8, ChecksumAlgorithm.CRC64NVME),
        ("sha1", 20, ChecksumAlgorithm.SHA1),
        ("sha256", 32, ChecksumAlgorithm.SHA256),
    ],
)
def test_all_five_checksums(name: str, size_bytes: int, algorithm: ChecksumAlgorithm) -> None:
    header = f"x-amz-checksum-{name}"

    checksum = read_checksum({header: encoded(size_bytes)})

    assert checksum == Checksum(algorithm=algorithm, digest=bytes(range(size_bytes)))
    assert checksum_headers([checksum]) == [
        (header, encoded(size_bytes)),
        ("x-amz-checksum-type", "FULL_OBJECT"),
    ]
    for wrong in (encoded(size_bytes - 1), encoded(size_bytes + 1), "!", "", f"{encoded(size_bytes)}-3"):
        with pytest.raises(InvalidRequest):
            read_checksum({header: wrong})


def test_c10_two_algorithms_are_one_too_many() -> None:
    with pytest.raises(InvalidRequest, match="Multiple checksum"):
        read_checksum({"x-amz-checksum-crc32": encoded(4), "x-amz-checksum-sha1": encoded(20)})


@pytest.mark.parametrize("name", ["md5", "sha512", "xxhash3", "xxhash64", "xxhash128"])
def test_checksums_that_are_not_built_are_refused_by_name(name: str) -> None:
    with pytest.raises(NotImplementedYet, match=name):
        read_checksum({f"x-amz-checksum-{name}": "AAAA"})
    with pytest.raises(NotImplementedYet):
        read_algorithm({"x-amz-checksum-algorithm": name.upper()}, "x-amz-checksum-algorithm")


def test_a_checksum_nobody_knows_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        read_checksum({"x-amz-checksum-adler32": "AAAA"})


def test_declarations_are_no_checksums() -> None:
    declared = {
        "x-amz-checksum-mode": "ENABLED",
        "x-amz-checksum-type": "COMPOSITE",
        "x-amz-checksum-algorithm": "SHA1",
    }

    assert read_checksum(declared) is None


def test_a_composite_checksum_counts_its_parts() -> None:
    checksum = read_checksum({"x-amz-checksum-crc32": f"{encoded(4)}-12"}, may_be_composite=True)

    assert checksum is not None
    assert (checksum.type, checksum.part_count) == (ChecksumType.COMPOSITE, 12)
    assert checksum_text(checksum) == f"{encoded(4)}-12"


@pytest.mark.parametrize("count", ["", "x", "-1", "1.5", "9" * 6, "²"])
def test_a_count_that_is_none_is_refused(count: str) -> None:
    with pytest.raises(InvalidRequest):
        read_checksum({"x-amz-checksum-crc32": f"{encoded(4)}-{count}"}, may_be_composite=True)


def test_c12_algorithms_and_types_by_name() -> None:
    name = "x-amz-sdk-checksum-algorithm"

    assert read_algorithm({name: "crc64nvme"}, name) is ChecksumAlgorithm.CRC64NVME
    assert read_algorithm({}, name) is None
    assert read_checksum_type({"x-amz-checksum-type": "FULL_OBJECT"}) is ChecksumType.FULL_OBJECT
    assert read_checksum_type({}) is None
    with pytest.raises(InvalidRequest):
        read_algorithm({name: "FOO"}, name)
    with pytest.raises(InvalidRequest):
        read_checksum_type({"x-amz-checksum-type": "PARTIAL"})
