"""The parts that an object was uploaded in, and where each of them lies in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from engine.errors import NoSuchPart
from engine.metadata.store import Store, Tx
from engine.objects.read import Span
from engine.records import StoredVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectPart:
    """A part of an object that is whole."""

    part_number: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectPartsPage:
    """Parts in order; `next_after` is the number the next page starts after, null at the end."""

    parts: Sequence[ObjectPart]
    next_after: int | None


class Parts:
    """Finds parts of versions. Safe for many threads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def span(self, stored: StoredVersion, part_number: int) -> Span:
        """The bytes of a part; an object of one PUT is its own first part.

        Raises NoSuchPart, and DatabaseUnavailable for one of a long object while the database is away.
        """
        version = stored.version
        whole = Span(start=0, stop=version.size_bytes)
        if version.part_count is None:
            if part_number == 1:
                return whole
            raise NoSuchPart(part_number=part_number, part_count=1)
        found = self._find(stored, part_number)
        if found is not None:
            return found
        if part_number == version.part_count:
            # Only the last part may be empty, and then it has no segment.
            return Span(start=version.size_bytes, stop=version.size_bytes)
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
            ObjectPart(part_number=cast(int, number), size_bytes=cast(int, size_bytes))
            for number, size_bytes in rows[:count_max]
        ]
        if len(rows) <= count_max:
            return ObjectPartsPage(parts=parts, next_after=None)
        return ObjectPartsPage(parts=parts, next_after=parts[-1].part_number if parts else after)

    def _find(self, stored: StoredVersion, part_number: int) -> Span | None:
        if stored.has_more_slices:
            return self._store.read(lambda tx: _find_span(tx, stored.version.version_seq, part_number))
        segments = [each.segment for each in stored.slices if each.segment.part_number == part_number]
        if not segments:
            return None
        return Span(start=segments[0].start_offset, stop=segments[-1].start_offset + segments[-1].length)


def _find_span(tx: Tx, version_seq: int, part_number: int) -> Span | None:
    start, size_bytes = tx.row("find_part_span", {"version_seq": version_seq, "part_number": part_number})
    if start is None:
        return None
    return Span(start=cast(int, start), stop=cast(int, start) + cast(int, size_bytes))
