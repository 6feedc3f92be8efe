"""One byte range of an object, as the Range header asks for it (RFC 9110, section 14)."""

import re
from dataclasses import dataclass

from engine.errors import RangeNotSatisfiable

# More digits than any size has, few enough that converting them costs nothing.
_SPEC = re.compile(r"(?i:bytes)=([0-9]{0,32})-([0-9]{0,32})")


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteRange:
    """Bytes `start` up to and without `stop` of an object."""

    start: int
    stop: int

    @property
    def size_bytes(self) -> int:
        return self.stop - self.start


def parse_range(header: str | None, size_bytes: int) -> ByteRange | None:
    """The bytes a Range header means in an object of `size_bytes`, or None for the whole object.

    A header that is no single byte range (other unit, several ranges, reversed, garbage) is ignored, as S3 does.
    Raises RangeNotSatisfiable for a range that is well-formed and holds no byte of the object.
    """
    if header is None or (spec := _SPEC.fullmatch(header)) is None:
        return None
    first, last = spec.groups()
    if not first:
        if not last:
            return None
        suffix_bytes = int(last)
        if suffix_bytes == 0 or size_bytes == 0:
            raise RangeNotSatisfiable(size_bytes=size_bytes)
        return ByteRange(start=max(0, size_bytes - suffix_bytes), stop=size_bytes)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size_bytes:
        raise RangeNotSatisfiable(size_bytes=size_bytes)
    return ByteRange(start=start, stop=min(int(last) + 1, size_bytes) if last else size_bytes)
