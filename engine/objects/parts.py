"""The parts that an object was uploaded in, and where each of them lies in it."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from engine.errors import NoSuchPart
from engine.metadata.store import SqlValue, Store
from engine.objects.read import Span
from engine.records import StoredVersion, Version
from engine.streams import Checksum, ChecksumType


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectPart:
    """A part of an object that is whole. `checksum` is of the part alone, null where the object has none."""

    part_number: int
    size_bytes: int
    checksum: Checksum | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedPart:
    """Where a part lies in its object; `checksum` as in ObjectPart."""

    span: Span
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectPartsPage:
    """Parts in order; `next_after` is the number the next page starts after, null at the end."""

    parts: Sequence[ObjectPart]
    next_after: int | None


class Parts:
    """Finds parts of versions. Safe for many threads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, stored: StoredVersion, part_number: int) -> PlacedPart:
        """The bytes of a part; an object of one PUT is its own first part.

        Raises NoSuchPart, and DatabaseUnavailable for one of several while the database is away.
        """
        version = stored.version
        size_bytes = version.size_bytes
        if version.part_count is None:
            if part_number == 1:
                return PlacedPart(span=Span(start=0, stop=size_bytes))
            raise NoSuchPart(part_number=part_number, part_count=1)
        params = {"version_seq": version.version_seq, "part_number": part_number}
        ((start, part_bytes, digest),) = self._store.look("find_part_span", params)
        if start is not None:
            span = Span(start=cast(int, start), stop=cast(int, start) + cast(int, part_bytes))
            return PlacedPart(span=span, checksum=_checksum(version, digest))
        if part_number == version.part_count:
            # Only the last part may be empty, and then it has no segment.
            return PlacedPart(span=Span(start=size_bytes, stop=size_bytes))
        raise NoSuchPart(part_number=part_number, part_count=version.part_count)

    def page(self, stored: StoredVersion, *, after: int, count_max: int) -> ObjectPartsPage:
        """At most `count_max` parts that hold bytes, with numbers above `after`; none of an object of one PUT."""
        if stored.version.part_count is None:
            return ObjectPartsPage(parts=(), next_after=None)
        params = {
            "version_seq": stored.version.version_seq,
            "after": after,
            "count_max": count_max + 1,
        }
        rows = self._store.look("list_version_parts", params)
        parts = [
            ObjectPart(
                part_number=cast(int, number),
                size_bytes=cast(int, size_bytes),
                checksum=_checksum(stored.version, digest),
            )
            for number, size_bytes, digest in rows[:count_max]
        ]
        if len(rows) <= count_max:
            return ObjectPartsPage(parts=parts, next_after=None)
        return ObjectPartsPage(parts=parts, next_after=parts[-1].part_number if parts else after)


def _checksum(version: Version, digest: SqlValue) -> Checksum | None:
    if digest is None:
        return None
    return Checksum(
        algorithm=version.checksums[0].algorithm,
        digest=base64.b64decode(cast(str, digest)),
        type=ChecksumType.FULL_OBJECT,
    )
