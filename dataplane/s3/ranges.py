"""Byte ranges: the one range S3 serves (RFC 9110, section 14; S3 API GetObject)."""

from dataclasses import dataclass

from engine.errors import RangeNotSatisfiable


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteRange:
    """Bytes from `start` up to, not including, `stop`."""

    start: int
    stop: int


_DIGITS_MAX = 20


def parse_range(header: str | None, size_bytes: int) -> ByteRange | None:
    """The range asked for within an object; null serves it whole, which is what S3 does with a malformed header.

    Raises RangeNotSatisfiable for a well-formed range outside the object.
    """
    if header is None or not header.startswith("bytes="):
        return None
    first, dash, last = header[len("bytes=") :].strip().partition("-")
    if not dash or not _is_number(first) or not _is_number(last) or not (first or last):
        return None
    if not first:
        length = min(int(last), size_bytes)
        if length == 0:
            raise RangeNotSatisfiable(size_bytes=size_bytes)
        return ByteRange(start=size_bytes - length, stop=size_bytes)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size_bytes:
        raise RangeNotSatisfiable(size_bytes=size_bytes)
    return ByteRange(start=start, stop=min(int(last) + 1, size_bytes) if last else size_bytes)


def _is_number(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX)
