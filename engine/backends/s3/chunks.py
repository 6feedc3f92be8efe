"""A body in chunks with a checksum behind it (S3 API, `STREAMING-UNSIGNED-PAYLOAD-TRAILER`); pure, bytes in and out."""

from collections.abc import Sequence

from engine.backends.s3.connection import Buffer
from engine.units import KIB

CHUNK_BYTES = 64 * KIB
"""All chunks but the last have this size, as the SDKs' do: some stores bound what they take."""

_CRLF = b"\r\n"


class ChunkFraming:
    """Frames exactly `content_bytes`, handed over in parts of any size. For one thread."""

    def __init__(self, content_bytes: int, trailer_name: str, trailer_value_bytes: int) -> None:
        self._content_bytes = content_bytes
        self._done_bytes = 0
        self._trailer_name = trailer_name
        self._trailer_value_bytes = trailer_value_bytes

    @property
    def framed_bytes(self) -> int:
        """What the framed body will occupy, trailer included."""
        whole_count, rest_bytes = divmod(self._content_bytes, CHUNK_BYTES)
        size_bytes = whole_count * (len(_size_line(CHUNK_BYTES)) + CHUNK_BYTES + len(_CRLF))
        if rest_bytes:
            size_bytes += len(_size_line(rest_bytes)) + rest_bytes + len(_CRLF)
        return size_bytes + len(b"".join(self._end("x" * self._trailer_value_bytes)))

    def framed(self, data: Buffer) -> Sequence[Buffer]:
        """The next bytes with what stands before, between and behind them."""
        parts: list[Buffer] = []
        view = memoryview(data)
        while view:
            within = self._done_bytes % CHUNK_BYTES
            chunk_bytes = min(CHUNK_BYTES, self._content_bytes - self._done_bytes + within)
            if within == 0:
                parts.append(_size_line(chunk_bytes))
            part = view[: chunk_bytes - within]
            parts.append(part)
            self._done_bytes += len(part)
            if within + len(part) == chunk_bytes:
                parts.append(_CRLF)
            view = view[len(part) :]
        return parts

    def end(self, trailer_value: str) -> Sequence[Buffer]:
        """What follows the content."""
        assert self._done_bytes == self._content_bytes
        assert len(trailer_value) == self._trailer_value_bytes
        return self._end(trailer_value)

    def _end(self, trailer_value: str) -> Sequence[bytes]:
        return [b"0\r\n", f"{self._trailer_name}:{trailer_value}\r\n".encode(), _CRLF]


def _size_line(size_bytes: int) -> bytes:
    return f"{size_bytes:x}\r\n".encode()
