"""Checksums of a multipart object from those of its parts, without reading a byte.

Full-object CRCs are combined from the parts' CRCs and lengths; composite ones are the checksum of the parts'
digests, with the count of parts behind (S3 user guide, checking object integrity).
"""

import hashlib
from collections.abc import Callable, Sequence

from awscrt.checksums import combine_crc32, combine_crc32c, combine_crc64nvme

from engine.integrity.digests import RunningChecksum
from engine.streams import Checksum, ChecksumAlgorithm, ChecksumType

_COMBINE: dict[ChecksumAlgorithm, tuple[Callable[[int, int, int], int], int]] = {
    ChecksumAlgorithm.CRC32: (combine_crc32, 4),
    ChecksumAlgorithm.CRC32C: (combine_crc32c, 4),
    ChecksumAlgorithm.CRC64NVME: (combine_crc64nvme, 8),
}


def full_object(algorithm: ChecksumAlgorithm, parts: Sequence[tuple[bytes, int]]) -> Checksum:
    """The CRC of the parts' bytes one after the other; `parts` holds digests and sizes in bytes.

    Only CRCs combine: a full-object SHA of a multipart object does not exist, here or in S3 (ValueError).
    """
    if algorithm not in _COMBINE:
        raise ValueError(f"a {algorithm.value} does not combine")
    combine, size_bytes = _COMBINE[algorithm]
    total = 0
    for digest, part_bytes in parts:
        total = combine(total, int.from_bytes(digest, "big"), part_bytes)
    return Checksum(
        algorithm=algorithm, digest=total.to_bytes(size_bytes, "big"), type=ChecksumType.FULL_OBJECT
    )


def composite(algorithm: ChecksumAlgorithm, digests: Sequence[bytes]) -> Checksum:
    """The checksum of the parts' digests, `-N` in its text."""
    running = RunningChecksum(algorithm)
    for digest in digests:
        running.update(digest)
    return Checksum(
        algorithm=algorithm, digest=running.digest, type=ChecksumType.COMPOSITE, part_count=len(digests)
    )


def multipart_etag(md5_digests: Sequence[bytes]) -> str:
    """`md5(concatenated md5s)-N` in hex, without quotes."""
    return f"{hashlib.md5(b''.join(md5_digests), usedforsecurity=False).hexdigest()}-{len(md5_digests)}"
