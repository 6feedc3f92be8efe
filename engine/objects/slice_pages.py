"""The slices of a version in order, page after page, whatever their number."""

from collections.abc import Sequence
from itertools import chain

from engine.errors import CorruptEverywhere
from engine.metadata.store import Store, Tx
from engine.metadata.versions import SLICE_COUNT_MAX, find_ordinal_at, read_slices
from engine.records import StoredSlice, StoredVersion


class SlicePages:
    """Finds the slice that holds a byte; holds one page (64 slices, 4 GiB of an ordinary object) at a time."""

    def __init__(self, store: Store, stored: StoredVersion) -> None:
        self._store = store
        self._version_seq = stored.version.version_seq
        self._page: Sequence[StoredSlice] = stored.slices
        self._index = 0

    def at(self, offset: int) -> StoredSlice:
        """The slice that holds a byte of the object; reads the page with it when need be.

        Raises CorruptEverywhere when the version has lost it: it was overwritten long ago and freed while it was read.
        """
        found = self.find(offset)
        if found is None:
            self._page = self._store.read(lambda tx: self._read_page(tx, offset))
            self._index = 0
            found = self.find(offset)
        if found is None:
            raise CorruptEverywhere(f"version {self._version_seq} has no slice at byte {offset} any more")
        return found

    def known_from(self, start: int, stop: int) -> list[StoredSlice]:
        """The slices in memory that hold bytes from `start` on, before `stop`."""
        return [
            each
            for each in self._page
            if each.segment.start_offset < stop and start < each.segment.start_offset + each.segment.length
        ]

    def find(self, offset: int) -> StoredSlice | None:
        """The slice that holds a byte, if it is in memory."""
        page = self._page
        if len(page) == 1:
            segment = page[0].segment
            return page[0] if 0 <= offset - segment.start_offset < segment.length else None
        # Mostly the slice asked for last, or the next one.
        for index in chain(range(self._index, len(page)), range(self._index)):
            found = page[index]
            segment = found.segment
            if segment.start_offset <= offset < segment.start_offset + segment.length:
                self._index = index
                return found
        return None

    def _read_page(self, tx: Tx, offset: int) -> list[StoredSlice]:
        ordinal = find_ordinal_at(tx, self._version_seq, offset)
        if ordinal is None:
            return []
        return read_slices(tx, self._version_seq, after_ordinal=ordinal - 1, count_max=SLICE_COUNT_MAX)
