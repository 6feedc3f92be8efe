"""Fsck of one volume backend: its files against its rows, its records against the locations that name them."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial

from engine.backends.volume.format import (
    FIRST_RECORD_OFFSET,
    NotARecord,
    read_storage_key,
    write_storage_key,
)
from engine.backends.volume.records import StoredRecord
from engine.backends.volume.scan import FoundGap, FoundRecord, FoundState, FoundTorn, end_of
from engine.errors import BackendUnavailable, PieceCorrupt
from engine.metadata import facts
from engine.metadata.store import Store
from engine.metadata.versions import find_blob, read_locations
from engine.metadata.volumes import list_volumes, live_locations
from engine.records import Location, LocationState, VolumeRow, VolumeState
from engine.upkeep.compaction import CompactableBackend
from engine.upkeep.fsck_place import Part, Place
from engine.upkeep.fsck_report import FsckTally, Problem
from engine.upkeep.piece_check import BeforeBytes

PAGE_COUNT_MAX = 500

CheckCard = Callable[[bytes, Location, FsckTally], None]


class VolumeCheck:
    """One pass over one backend. Holds the locations of one file at a time in memory, some 250,000 at most."""

    def __init__(
        self,
        store: Store,
        backend: CompactableBackend,
        tally: FsckTally,
        *,
        check_card: CheckCard,
        verify_payloads: bool,
        before_bytes: BeforeBytes,
    ) -> None:
        self._store = store
        self._backend = backend
        self._tally = tally
        self._check_card = check_card
        self._verify_payloads = verify_payloads
        self._before_bytes = before_bytes

    def walk(self, place: Place) -> Iterator[tuple[Place, str]]:
        """From `place` on, a bounded piece at a time; after each one how far it is, and what is being looked at.

        Raises BackendUnavailable.
        """
        rows = self._rows()
        files = [file.volume_id for file in self._backend.shelf.files()]
        if place.part is Part.FILES:
            yield from self._check_files(rows, files, place)
            for volume_id in sorted(rows.keys() - set(files)):
                named = self._locations(volume_id, FIRST_RECORD_OFFSET)
                if rows[volume_id].state is not VolumeState.GONE or named:
                    self._tally.find(
                        Problem.ROW_WITHOUT_FILE, f"volume {volume_id.hex()}", self._backend.name
                    )
                self._miss(named.values())
            place = Place(part=Part.PIECES, backend_id=self._backend.backend_id)
        yield from self._check_strays(set(files) | rows.keys(), place)

    def _rows(self) -> dict[bytes, VolumeRow]:
        rows = self._store.read(partial(list_volumes, backend_id=self._backend.backend_id))
        return {row.volume_id: row for row in rows}

    def _check_files(
        self, rows: Collection[bytes], files: Sequence[bytes], place: Place
    ) -> Iterator[tuple[Place, str]]:
        for volume_id in files:
            offset = FIRST_RECORD_OFFSET
            if volume_id.hex() == place.after and place.offset:
                offset = place.offset
            elif volume_id.hex() <= place.after:
                continue
            else:
                self._tally.volume_count += 1
                if volume_id not in rows and volume_id not in self._rows():
                    self._tally.find(
                        Problem.FILE_WITHOUT_ROW, f"volume {volume_id.hex()}", self._backend.name
                    )
            for end in self._check_file(volume_id, offset):
                yield (
                    Place(
                        part=Part.FILES,
                        backend_id=self._backend.backend_id,
                        after=volume_id.hex(),
                        offset=end,
                    ),
                    f"volume {volume_id.hex()}",
                )

    def _check_file(self, volume_id: bytes, offset: int) -> Iterator[int]:
        """A file from `offset` on; after each piece where it ended."""
        named = self._locations(volume_id, offset)
        queued = self._queued(volume_id, offset)
        seen: set[int] = set()
        awaited = deque(named)
        end = offset
        try:
            for found in self._backend.shelf.scan(volume_id, start=offset):
                if end > offset:
                    self._miss_before(end, awaited, named, seen)
                    yield end
                if isinstance(found, FoundGap):
                    if found.is_zero:
                        self._tally.zero_bytes += found.length
                    else:
                        self._tally.unknown_bytes += found.length
                elif isinstance(found, FoundTorn):
                    self._see_torn(found, named, seen)
                else:
                    self._see_record(volume_id, found, named, queued)
                    seen.add(found.record.offset)
                end = end_of(found)
        except (PieceCorrupt, BackendUnavailable) as error:
            self._tally.find(Problem.VOLUME_UNREADABLE, f"volume {volume_id.hex()}", str(error))
            return
        self._miss(named[offset] for offset in awaited if offset not in seen)

    def _miss_before(
        self, end: int, awaited: deque[int], named: Mapping[int, Location], seen: set[int]
    ) -> None:
        """What was named before `end` and not seen there is missing: whoever goes on behind it looks no more."""
        while awaited and awaited[0] < end:
            offset = awaited.popleft()
            if offset not in seen:
                self._miss([named[offset]])

    def _see_torn(self, torn: FoundTorn, named: dict[int, Location], seen: set[int]) -> None:
        self._tally.torn_count += 1
        self._tally.torn_bytes += torn.length
        location = named.get(torn.offset)
        if location is not None:
            seen.add(torn.offset)
            self._tally.location_count += 1
            self._find(Problem.RECORD_DAMAGED, location, "no trailer verifies")

    def _see_record(
        self, volume_id: bytes, found: FoundRecord, named: dict[int, Location], queued: set[int]
    ) -> None:
        record = found.record
        location = named.get(record.offset)
        if location is None:
            # A location made since the file's were read is taken for dead space, which is only counted.
            is_queued = record.offset in queued
            self._tally.queued_record_count += is_queued
            self._tally.queued_bytes += record.extent_bytes if is_queued else 0
            self._tally.dead_record_count += not is_queued
            self._tally.dead_bytes += 0 if is_queued else record.extent_bytes
            return
        self._tally.location_count += 1
        self._tally.suspect_count += location.state is not LocationState.LIVE
        self._tally.live_record_count += 1
        self._tally.live_bytes += record.extent_bytes
        if found.state is FoundState.HEADER_DAMAGED:
            self._find(Problem.RECORD_DAMAGED, location, "no header verifies")
        blob = self._store.read(partial(find_blob, blob_id=location.blob_id))
        if blob is None:
            return
        stored = (record.payload_bytes, record.extent_bytes, record.block_crcs)
        if stored != (blob.stored_bytes, location.stored_bytes, blob.block_crcs):
            self._find(Problem.RECORD_DIFFERS, location, f"of volume {volume_id.hex()}")
        self._check_card(record.card, location, self._tally)
        if self._verify_payloads:
            self._before_bytes(record.payload_bytes)
            self._check_payload(volume_id, record, location)

    def _check_payload(self, volume_id: bytes, record: StoredRecord, location: Location) -> None:
        try:
            for block in self._backend.shelf.blocks(volume_id, record):
                self._tally.verified_bytes += len(block)
        except PieceCorrupt as error:
            self._find(Problem.BLOCK_DAMAGED, location, str(error))

    def _check_strays(self, known: set[bytes], place: Place) -> Iterator[tuple[Place, str]]:
        """Locations in volumes that have neither file nor row, or under keys that are none of a volume."""
        lost: set[bytes] = set()
        after = place.after
        while True:
            page = self._store.read(
                partial(
                    facts.list_locations,
                    backend_id=self._backend.backend_id,
                    after=after,
                    count_max=PAGE_COUNT_MAX,
                )
            )
            if not page:
                return
            after = page[-1].storage_key
            for location in page:
                volume_id = _volume_id(location.storage_key)
                if volume_id is not None and volume_id not in known | lost:
                    # A volume made since the files were listed: its pieces are for the next look.
                    made = self._rows().keys() & {file.volume_id for file in self._backend.shelf.files()}
                    known = known | made
                    lost |= {volume_id} - made
                if volume_id is None or volume_id not in known:
                    self._miss([location])
                    continue
                # Everything in a known volume was looked at with its file: go on behind it.
                after = max(after, f"{volume_id.hex()};")
            here = Place(part=Part.PIECES, backend_id=self._backend.backend_id, after=after)
            yield here, f"backend {self._backend.name}"

    def _locations(self, volume_id: bytes, offset: int) -> dict[int, Location]:
        """Those from `offset` on, in their order."""
        named: dict[int, Location] = {}
        after: str | None = None
        if offset > FIRST_RECORD_OFFSET:
            after = write_storage_key(volume_id, offset - 1)
        while True:
            page = self._store.read(
                partial(
                    live_locations,
                    backend_id=self._backend.backend_id,
                    volume_id=volume_id,
                    after=after,
                    count_max=PAGE_COUNT_MAX,
                )
            )
            if not page:
                return named
            for location in page:
                try:
                    named[read_storage_key(location.storage_key)[1]] = location
                except NotARecord:
                    self._miss([location])
            after = page[-1].storage_key

    def _queued(self, volume_id: bytes, offset: int) -> set[int]:
        queued: set[int] = set()
        after = f"{volume_id.hex()}:"
        if offset > FIRST_RECORD_OFFSET:
            after = write_storage_key(volume_id, offset - 1)
        while True:
            page = self._store.read(
                partial(
                    facts.list_cleanup_keys,
                    backend_id=self._backend.backend_id,
                    after=after,
                    count_max=PAGE_COUNT_MAX,
                )
            )
            ours = [key for key in page if _volume_id(key) == volume_id]
            queued.update(read_storage_key(key)[1] for key in ours)
            if not page or len(ours) < len(page):
                return queued
            after = page[-1]

    def _miss(self, locations: Iterable[Location]) -> None:
        for location in locations:
            self._tally.location_count += 1
            self._find(Problem.RECORD_MISSING, location, self._backend.name)

    def _find(self, problem: Problem, location: Location, detail: str) -> None:
        # What moved or was freed since its row was read is nobody's loss.
        if self._still_stands(location):
            self._tally.find(problem, location.storage_key, detail)

    def _still_stands(self, location: Location) -> bool:
        now = self._store.read(partial(read_locations, blob_id=location.blob_id))
        return any(
            (each.backend_id, each.storage_key) == (location.backend_id, location.storage_key) for each in now
        )


def _volume_id(storage_key: str) -> bytes | None:
    try:
        return read_storage_key(storage_key)[0]
    except NotARecord:
        return None
