"""Chunks with a trailer are what the data plane of this very project takes apart, whatever the parts they came in."""

import pytest

from engine.backends.s3.chunks import CHUNK_BYTES, ChunkFraming

SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7]


@pytest.mark.parametrize("part_bytes", [1000, CHUNK_BYTES, 100_003])
@pytest.mark.parametrize("size_bytes", SIZES)
def test_the_framed_body_is_as_long_as_was_declared(size_bytes: int, part_bytes: int) -> None:
    content = bytes(index % 251 for index in range(size_bytes))
    framing = ChunkFraming(size_bytes, "x-amz-checksum-crc32c", 8)

    framed = b""
    for start in range(0, size_bytes, part_bytes):
        framed += b"".join(framing.framed(content[start : start + part_bytes]))
    framed += b"".join(framing.end("AAAAAA=="))

    assert len(framed) == framing.framed_bytes
    assert unframed(framed) == (content, b"x-amz-checksum-crc32c:AAAAAA==\r\n\r\n")


def unframed(framed: bytes) -> tuple[bytes, bytes]:
    """Content and what follows the last chunk, by the book."""
    content = b""
    while True:
        line, _, framed = framed.partition(b"\r\n")
        size_bytes = int(line, 16)
        if size_bytes == 0:
            return content, framed
        content += framed[:size_bytes]
        assert framed[size_bytes : size_bytes + 2] == b"\r\n"
        framed = framed[size_bytes + 2 :]
