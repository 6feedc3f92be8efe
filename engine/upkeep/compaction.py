"""Emptying volume files: what lives in one is copied elsewhere, then the file is given up for unlinking.

The states are the fences: `publish` names no volume that is compacting, and nobody appends to a file whose lock is held
or whose row is not open. So once a volume is compacting its locations only grow fewer.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from engine.backends.base import Backend, Barrier, PieceTail, StoredPiece
from engine.backends.volume.format import NotARecord, read_storage_key
from engine.backends.volume.records import StoredRecord
from engine.backends.volume.shelf import HeldVolume, VolumeShelf
from engine.clock import Clock, SystemClock
from engine.errors import BackendFull, BackendUnavailable, PieceCorrupt
from engine.metadata import cleanup, quota
from engine.metadata.backends import takes_placements
from engine.metadata.locations import mark_location, switch_location
from engine.metadata.store import Store, Tx
from engine.metadata.versions import find_blob
from engine.metadata.volumes import (
    has_locations,
    list_volumes,
    live_locations,
    mark_gone_if_empty,
    set_volume_state,
    takes_pieces,
    volume_of,
)
from engine.records import Blob, Location, LocationState, Progress, VolumeRow, VolumeState
from engine.units import MIB
from engine.upkeep.long_work import Pace, Unpaced

DEAD_FRACTION_MIN = 0.5
"""A volume is worth copying once this part of its file is dead. One without live pieces is always given up."""

DEAD_HINT_MIN = 0.2
"""Below this part of counted dead bytes nobody looks closer."""

WEIGHED_COUNT_MAX = 8
"""Volumes whose live bytes are added up in one unit, those with the most counted dead bytes first."""

UNIT_COUNT_MAX = 25
"""Records moved in one unit. On SQLite who writes waits until all are switched."""

UNIT_BYTES_MAX = 8 * MIB
"""Payload moved in one unit, the record that reaches it the last. It is synced whole, and writers wait."""

STORE_BYTES_MAX = MIB
"""Pieces up to this size are copied in memory and share a sync, as small PUTs do."""

_log = logging.getLogger(__name__)

Fence = Callable[[Tx], None]


class CompactableBackend(Backend, Protocol):
    """A backend whose pieces lie in volume files."""

    @property
    def shelf(self) -> VolumeShelf: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A live piece and its fresh, verified copy."""

    old: Location
    new: Location
    barrier: Barrier | None


class VolumeCompactor:
    """A worker unit (`work`): empties one volume of one backend a step at a time.

    A step may be interrupted anywhere and repeated: copies that no location was switched to are dead space, a switch is
    compare-and-set, and a volume found compacting is gone on with.
    """

    name = "volume-compactor"

    def __init__(
        self,
        store: Store,
        backends: Sequence[CompactableBackend],
        *,
        fence: Fence,
        grace_us: int,
        clock: Clock | None = None,
        rest_us: int = 0,
        pace: Pace | None = None,
        dead_fraction_min: float = DEAD_FRACTION_MIN,
        unit_count_max: int = UNIT_COUNT_MAX,
        only: bytes | None = None,
    ) -> None:
        """`fence` raises LeaseLost in the transaction of every write; `grace_us` is how long readers may still come.

        A file is left alone until nobody has written to it for `rest_us`: what no row names in it may be the beginning
        of a large body that is still on its way. `pace` is asked before each record is copied. `only`: this one volume
        is emptied, whatever part of it is dead.
        """
        self._store = store
        self._backends = backends
        self._fence = fence
        self._grace_us = grace_us
        self._clock = clock or SystemClock()
        self._rest_us = rest_us
        self._pace = pace or Unpaced()
        self._dead_fraction_min = dead_fraction_min
        self._unit_count_max = unit_count_max
        self._only = only
        # Volumes that this run does no more about: mostly alive, damaged, or with no room for the copies.
        self._put_off: set[bytes] = set()
        self.damaged_count = 0

    def work(self) -> Progress:
        """Move the next records of a volume, or give an empty one up. Deferred: volumes that had to be left."""
        for backend in self._backends:
            for row in self._candidates(backend):
                try:
                    held = backend.shelf.hold(row.volume_id)
                except PieceCorrupt:
                    # Reads need no header, so its pieces live on; but nothing in it can be told from noise.
                    self._alarm(backend, row.volume_id, "volume header")
                    self._put_off.add(row.volume_id)
                    return Progress(deferred_count=1, has_more=True)
                if held is None:
                    continue
                try:
                    return self._work_on(backend, row, held)
                finally:
                    held.close()
        return Progress()

    def _candidates(self, backend: CompactableBackend) -> Iterator[VolumeRow]:
        """What was begun first, then what holds nothing, then what is mostly dead."""
        files = {file.volume_id: file for file in backend.shelf.files()}
        sizes = {volume_id: file.size_bytes for volume_id, file in files.items()}
        rested_us = self._clock.now_us() - self._rest_us
        rows = [
            row
            for row in self._store.read(partial(list_volumes, backend_id=backend.backend_id))
            if row.volume_id not in self._put_off
            and row.volume_id in sizes
            and self._only in (None, row.volume_id)
        ]
        if not self._store.read(partial(takes_placements, backend_id=backend.backend_id)):
            # Nothing is written to it, so only what is empty can be given up.
            yield from self._empty(backend, rows)
            return
        yield from (row for row in rows if row.state is VolumeState.COMPACTING)
        idle = [
            row
            for row in rows
            if row.state in (VolumeState.CLOSED, VolumeState.OPEN)
            and files[row.volume_id].changed_at_us <= rested_us
        ]
        if self._only is not None:
            yield from idle
            return
        holding: list[VolumeRow] = []
        for row in idle:
            if self._store.read(
                partial(has_locations, backend_id=backend.backend_id, volume_id=row.volume_id)
            ):
                holding.append(row)
            else:
                yield row
        # What cleanup counted leaves out padding and streams given up: it says where to look, the live bytes decide.
        holding.sort(key=lambda row: row.dead_bytes / sizes[row.volume_id], reverse=True)
        for row in holding[:WEIGHED_COUNT_MAX]:
            if row.dead_bytes < DEAD_HINT_MIN * sizes[row.volume_id]:
                return
            live_bytes = self._live_bytes(backend, row.volume_id)
            if live_bytes <= (1 - self._dead_fraction_min) * sizes[row.volume_id]:
                yield row
            else:
                self._put_off.add(row.volume_id)

    def _empty(self, backend: CompactableBackend, rows: Sequence[VolumeRow]) -> Iterator[VolumeRow]:
        for row in rows:
            held = partial(has_locations, backend_id=backend.backend_id, volume_id=row.volume_id)
            if row.state is not VolumeState.GONE and not self._store.read(held):
                yield row

    def _live_bytes(self, backend: CompactableBackend, volume_id: bytes) -> int:
        live_bytes = 0
        after: str | None = None
        while True:
            page = self._store.read(
                partial(live_locations, backend_id=backend.backend_id, volume_id=volume_id, after=after)
            )
            if not page:
                return live_bytes
            live_bytes += sum(location.stored_bytes for location in page)
            after = page[-1].storage_key

    def _work_on(self, backend: CompactableBackend, row: VolumeRow, held: HeldVolume) -> Progress:
        if row.state is not VolumeState.COMPACTING and not self._begin(row, held):
            # Somebody else took the step first; the next unit sees what became of it.
            return Progress(has_more=True)
        page = self._store.read(
            partial(self._live_page, backend_id=backend.backend_id, volume_id=row.volume_id)
        )
        if not page:
            return self._give_up(backend, row)
        try:
            moved, damaged = self._copy(backend, held, page)
        except (BackendFull, BackendUnavailable) as error:
            _log.warning("volume.compaction_deferred", extra={"backend": backend.name, "error": str(error)})
            self._put_off.add(row.volume_id)
            return Progress(deferred_count=1, has_more=True)
        self._switch(moved, damaged)
        self.damaged_count += len(damaged)
        return Progress(done_count=len(moved), deferred_count=len(damaged), has_more=True)

    def _live_page(self, tx: Tx, *, backend_id: int, volume_id: bytes) -> list[tuple[Location, Blob]]:
        """The next live pieces in the volume, suspect ones passed over: they wait for repair."""
        after: str | None = None
        while True:
            locations = live_locations(
                tx, backend_id=backend_id, volume_id=volume_id, after=after, count_max=self._unit_count_max
            )
            if not locations:
                return []
            after = locations[-1].storage_key
            page = [
                (each, find_blob(tx, each.blob_id)) for each in locations if each.state is LocationState.LIVE
            ]
            live = [(location, blob) for location, blob in page if blob is not None]
            if live:
                return live

    def _begin(self, row: VolumeRow, held: HeldVolume) -> bool:
        size_bytes = held.use().size_bytes

        def unit(tx: Tx) -> bool:
            self._fence(tx)
            return set_volume_state(
                tx,
                row.volume_id,
                from_state=row.state,
                to_state=VolumeState.COMPACTING,
                size_bytes=size_bytes,
            )

        return self._store.write(unit)

    def _copy(
        self, backend: CompactableBackend, held: HeldVolume, page: Sequence[tuple[Location, Blob]]
    ) -> tuple[list[Moved], list[Location]]:
        """Copies that verified block by block on the way, and the locations whose records did not."""
        moved: list[Moved] = []
        damaged: list[Location] = []
        moved_bytes = 0
        for location, blob in page:
            self._pace.take(blob.stored_bytes)
            try:
                piece = self._copy_one(backend, held, location, blob)
            except PieceCorrupt as error:
                self._alarm(backend, held.volume_id, f"{location.storage_key}: {error}")
                damaged.append(location)
                continue
            new = replace(location, storage_key=piece.storage_key, stored_bytes=piece.stored_bytes)
            moved.append(Moved(old=location, new=new, barrier=piece.barrier))
            moved_bytes += blob.stored_bytes
            if moved_bytes >= UNIT_BYTES_MAX:
                break
        return moved, damaged

    def _copy_one(
        self, backend: CompactableBackend, held: HeldVolume, location: Location, blob: Blob
    ) -> StoredPiece:
        record = held.record(_offset_of(backend, location))
        if (record.payload_bytes, record.block_crcs) != (blob.stored_bytes, blob.block_crcs):
            raise PieceCorrupt("the record is another one than the metadata names", backend=backend.name)
        tail = PieceTail(block_crcs=record.block_crcs, card=record.card)
        if record.payload_bytes <= STORE_BYTES_MAX:
            # One by one: all blocks pass through the same memory, and `join` would gather them before it copies.
            payload = bytearray()
            for block in held.blocks(record):
                payload += block
            return backend.store(memoryview(payload), tail)
        return _stream(backend, held, record, tail)

    def _switch(self, moved: Sequence[Moved], damaged: Sequence[Location]) -> None:
        def unit(tx: Tx) -> None:
            self._fence(tx)
            not_before_us = tx.now_us() + self._grace_us
            changes = quota.Changes()
            for each in moved:
                # Whoever took the lead meanwhile may be emptying the very file the copy went to.
                volume_id = volume_of(each.new.storage_key)
                may_move = volume_id is not None and takes_pieces(tx, volume_id)
                if not may_move or not switch_location(
                    tx, each.old, each.new, changes, reason="compacted", not_before_us=not_before_us
                ):
                    _discard(tx, each.new, changes)
            for location in damaged:
                mark_location(tx, location, LocationState.SUSPECT)
            changes.apply(tx)

        self._store.write(unit, after=[each.barrier for each in moved if each.barrier is not None])

    def _give_up(self, backend: CompactableBackend, row: VolumeRow) -> Progress:
        """Nothing live is left to move: `gone`, unless a location still names a record that could not be read."""

        def unit(tx: Tx) -> bool:
            self._fence(tx)
            return mark_gone_if_empty(
                tx,
                backend_id=backend.backend_id,
                volume_id=row.volume_id,
                from_state=VolumeState.COMPACTING,
                unlink_after_us=tx.now_us() + self._grace_us,
            )

        if self._store.write(unit):
            return Progress(done_count=1, has_more=True)
        self._alarm(backend, row.volume_id, "records that do not verify keep the file")
        self._put_off.add(row.volume_id)
        return Progress(deferred_count=1, has_more=True)

    def _alarm(self, backend: CompactableBackend, volume_id: bytes, what: str) -> None:
        _log.critical(
            "volume.compaction_stopped",
            extra={"backend": backend.name, "volume_id": volume_id.hex(), "what": what},
        )


def _stream(
    backend: CompactableBackend, held: HeldVolume, record: StoredRecord, tail: PieceTail
) -> StoredPiece:
    writer = backend.open_writer(record.payload_bytes, len(record.card))
    try:
        for block in held.blocks(record):
            writer.write(block)
        return writer.finish(tail)
    except BaseException:
        writer.abort()
        raise


def _offset_of(backend: CompactableBackend, location: Location) -> int:
    try:
        return read_storage_key(location.storage_key)[1]
    except NotARecord:
        raise PieceCorrupt(f"{location.storage_key!r} is no key of a volume", backend=backend.name) from None


def _discard(tx: Tx, copy: Location, changes: quota.Changes) -> None:
    """A copy that lost: its piece moved or was freed meanwhile."""
    changes.find(quota.backend_subject(copy.backend_id), orphan_bytes=copy.stored_bytes)
    cleanup.enqueue(
        tx,
        backend_id=copy.backend_id,
        storage_key=copy.storage_key,
        size_bytes=copy.stored_bytes,
        reason="compaction lost",
        not_before_us=tx.now_us(),
    )
