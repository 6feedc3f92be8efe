"""From bytes to rows on one volume backend: what stands in its files and is named by no row, a window at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Protocol

from engine.backends.volume.format import FIRST_RECORD_OFFSET, NotARecord, read_storage_key
from engine.backends.volume.scan import Found, FoundGap, FoundRecord, FoundTorn, end_of
from engine.clock import Clock
from engine.errors import BackendUnavailable, EngineError, PieceCorrupt
from engine.metadata import facts
from engine.metadata.discrepancies import Direction, DiscrepancyKind, Mismatch
from engine.metadata.store import Store
from engine.metadata.volumes import has_locations, list_volumes, live_locations
from engine.records import VolumeRow, VolumeState
from engine.upkeep.compaction import CompactableBackend

WINDOW_COUNT_MAX = 500
"""Things found in a file that are held against the rows at once."""

_MILLISECONDS_BYTES = 6


class BlobCards(Protocol):
    """Opens cards."""

    def any_blob_id(self, card: bytes, /) -> bytes:
        """The blob that a card describes a piece of; raises EngineError or ValueError when it cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a census has come to: behind all files up to `volume_id`, or in the middle of that one.

    `dead_bytes` and `dead_count` are what was seen to be dead in the file so far.
    """

    volume_id: bytes = b""
    offset: int = 0
    dead_bytes: int = 0
    dead_count: int = 0

    @property
    def is_within(self) -> bool:
        return self.offset > 0


@dataclass(slots=True, kw_only=True)
class Looked:
    """What one step saw; no position: it was the last."""

    position: Position | None
    seen_count: int = 0
    seen_bytes: int = 0
    mismatches: list[Mismatch] = field(default_factory=list)


class VolumeCensus:
    """Looks at the files of one backend and changes nothing. Repeating a step is harmless."""

    def __init__(
        self,
        store: Store,
        backend: CompactableBackend,
        *,
        cards: BlobCards,
        clock: Clock,
        grace_us: int,
    ) -> None:
        """What no row names is taken for dead once it is older than `grace_us`: before, a row may yet come."""
        self._store = store
        self._backend = backend
        self._cards = cards
        self._clock = clock
        self._grace_us = grace_us

    def step(self, position: Position) -> Looked:
        """The next window, or what lies beside the files at the end. Raises BackendUnavailable, ForeignBackend."""
        self._backend.check_identity()
        if position.is_within:
            return self._look_into(position)
        for file in self._backend.shelf.files():
            if file.volume_id > position.volume_id:
                return self._look_into(Position(volume_id=file.volume_id, offset=FIRST_RECORD_OFFSET))
        return self._look_beside()

    def _look_into(self, position: Position) -> Looked:
        volume_id = position.volume_id
        shelf = self._backend.shelf
        behind = Position(volume_id=volume_id)
        if not shelf.exists(volume_id):
            return Looked(position=behind)
        row = self._row(volume_id)
        if row is None and position.offset == FIRST_RECORD_OFFSET and self._is_idle(volume_id):
            row = self._row(volume_id)
            if row is None:
                return Looked(position=behind, mismatches=[self._unknown_file(volume_id)])
        try:
            window = list(islice(shelf.scan(volume_id, start=position.offset), WINDOW_COUNT_MAX))
        except PieceCorrupt as error:
            return Looked(position=behind, mismatches=[self._foreign(_subject(volume_id), 0, str(error))])
        looked = self._compare(position, window)
        if len(window) == WINDOW_COUNT_MAX:
            return looked
        looked.mismatches += self._uncounted(looked.position or position)
        looked.position = behind
        return looked

    def _compare(self, position: Position, window: list[Found]) -> Looked:
        """Hold a window against the rows, which are read behind it: what was named meanwhile is named."""
        volume_id = position.volume_id
        looked = Looked(position=position)
        if not window:
            return looked
        end = end_of(window[-1])
        named, queued = (
            self._named(volume_id, position.offset, end),
            self._queued(volume_id, position.offset, end),
        )
        dead_bytes, dead_count = position.dead_bytes, position.dead_count
        for found in window:
            looked.seen_count += not isinstance(found, FoundGap)
            looked.seen_bytes += end_of(found) - _start_of(found)
            offset = _start_of(found)
            if isinstance(found, FoundGap):
                if not found.is_zero and self._stays(volume_id, found):
                    told = f"{found.length} bytes that are no record"
                    subject = f"{volume_id.hex()}:{offset:010x}"
                    looked.mismatches.append(self._foreign(subject, found.length, told))
            elif offset in named or offset in queued:
                continue
            elif isinstance(found, FoundTorn):
                if self._stays(volume_id, found):
                    dead_bytes, dead_count = dead_bytes + found.length, dead_count + 1
            elif self._is_old(volume_id, found):
                dead_bytes, dead_count = dead_bytes + found.record.extent_bytes, dead_count + 1
        looked.position = Position(
            volume_id=volume_id, offset=end, dead_bytes=dead_bytes, dead_count=dead_count
        )
        return looked

    def _uncounted(self, position: Position) -> Iterator[Mismatch]:
        """Dead bytes of a whole file that its row does not know of, so that compaction does not look there."""
        row = self._row(position.volume_id)
        if row is None or row.state not in (VolumeState.OPEN, VolumeState.CLOSED):
            return
        uncounted_bytes = position.dead_bytes - row.dead_bytes
        if uncounted_bytes > 0:
            yield self._mismatch(
                DiscrepancyKind.ORPHAN,
                _subject(position.volume_id),
                uncounted_bytes,
                f"{position.dead_count} records and torn writes of {position.dead_bytes} bytes are named by no row, "
                f"{row.dead_bytes} bytes are counted as dead",
            )

    def _look_beside(self) -> Looked:
        looked = Looked(position=None)
        for name in self._backend.shelf.strangers():
            looked.mismatches.append(
                self._foreign(name, 0, "a file of somebody else in the backend's folder")
            )
        for row in self._rows():
            if row.state is VolumeState.GONE or self._backend.shelf.exists(row.volume_id):
                continue
            named = partial(has_locations, backend_id=self._backend.backend_id, volume_id=row.volume_id)
            if not self._store.read(named) and self._row(row.volume_id) is not None:
                detail = "its file is not there, and no piece lies in it"
                looked.mismatches.append(
                    self._mismatch(DiscrepancyKind.STATE, _subject(row.volume_id), 0, detail)
                )
        return looked

    def _unknown_file(self, volume_id: bytes) -> Mismatch:
        return self._foreign(_subject(volume_id), 0, "a volume file that no row names")

    def _foreign(self, subject: str, size_bytes: int, detail: str) -> Mismatch:
        return self._mismatch(DiscrepancyKind.FOREIGN, subject, size_bytes, detail)

    def _mismatch(self, kind: DiscrepancyKind, subject: str, size_bytes: int, detail: str) -> Mismatch:
        return Mismatch(
            backend_id=self._backend.backend_id,
            direction=Direction.BYTES,
            kind=kind,
            subject=subject,
            size_bytes=size_bytes,
            detail=detail,
        )

    def _rows(self) -> list[VolumeRow]:
        return self._store.read(partial(list_volumes, backend_id=self._backend.backend_id))

    def _row(self, volume_id: bytes) -> VolumeRow | None:
        return next((row for row in self._rows() if row.volume_id == volume_id), None)

    def _named(self, volume_id: bytes, start: int, end: int) -> set[int]:
        """Offsets from `start` to before `end` at which pieces lie."""
        offsets: set[int] = set()
        after = _key(volume_id, start - 1)
        while True:
            page = self._store.read(
                partial(live_locations, backend_id=self._backend.backend_id, volume_id=volume_id, after=after)
            )
            offsets |= {offset for each in page if (offset := _offset(each.storage_key)) is not None}
            if not page or page[-1].storage_key >= _key(volume_id, end):
                return offsets
            after = page[-1].storage_key

    def _queued(self, volume_id: bytes, start: int, end: int) -> set[int]:
        """Offsets from `start` to before `end` whose records wait for deletion."""
        offsets: set[int] = set()
        after = _key(volume_id, start - 1)
        while True:
            page = self._store.read(
                partial(
                    facts.list_cleanup_keys,
                    backend_id=self._backend.backend_id,
                    after=after,
                    count_max=WINDOW_COUNT_MAX,
                )
            )
            ours = [key for key in page if key < _key(volume_id, end)]
            offsets |= {offset for key in ours if (offset := _offset(key)) is not None}
            if not page or len(ours) < len(page):
                return offsets
            after = page[-1]

    def _is_idle(self, volume_id: bytes) -> bool:
        """Whether nobody appends to the file: whoever makes or takes one holds its lock."""
        try:
            held = self._backend.shelf.hold(volume_id)
        except PieceCorrupt:
            return True
        if held is None:
            return False
        held.close()
        return True

    def _stays(self, volume_id: bytes, found: FoundTorn | FoundGap) -> bool:
        """Whether it is still so while nobody may append: a write that is under way looks like a torn one."""
        try:
            held = self._backend.shelf.hold(volume_id)
        except PieceCorrupt:
            return False
        if held is None:
            return False
        try:
            again = next(self._backend.shelf.scan(volume_id, start=found.offset), None)
        finally:
            held.close()
        return type(again) is type(found)

    def _is_old(self, volume_id: bytes, found: FoundRecord) -> bool:
        """Whether no row will come any more: its blob was begun before the grace, by the time in its id."""
        oldest_us = self._clock.now_us() - self._grace_us
        try:
            blob_id = self._cards.any_blob_id(found.record.card)
        except (EngineError, ValueError):
            return self._changed_us(volume_id) <= oldest_us
        return int.from_bytes(blob_id[:_MILLISECONDS_BYTES], "big") * 1000 <= oldest_us

    def _changed_us(self, volume_id: bytes) -> int:
        for file in self._backend.shelf.files():
            if file.volume_id == volume_id:
                return file.changed_at_us
        raise BackendUnavailable("the file went while it was looked at", backend=self._backend.name)


def _subject(volume_id: bytes) -> str:
    return f"volume {volume_id.hex()}"


def _key(volume_id: bytes, offset: int) -> str:
    return f"{volume_id.hex()}:{offset:010x}"


def _offset(storage_key: str) -> int | None:
    try:
        return read_storage_key(storage_key)[1]
    except NotARecord:
        return None


def _start_of(found: Found) -> int:
    return found.record.offset if isinstance(found, FoundRecord) else found.offset
