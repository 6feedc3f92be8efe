"""Looking at one piece: whether it stands where its row says, as large as it says, with the bytes it says."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Protocol

from engine.backends.base import Backend, PieceReader
from engine.backends.volume.records import StoredRecord
from engine.errors import (
    BackendError,
    BackendUnavailable,
    EngineError,
    Overloaded,
    PieceCorrupt,
    PieceMissing,
)
from engine.imported import is_imported
from engine.integrity.blocks import block_crc_matches
from engine.metadata.pieces import StandingPiece, find_piece
from engine.metadata.store import Store
from engine.records import Location
from engine.units import BLOCK_BYTES

BeforeBytes = Callable[[int], None]
"""Told how many bytes are about to be read: where a check may be held back."""


class Depth(Enum):
    """How closely a piece is looked at."""

    SIZE = "size"
    """Header, trailer and card where there are such; where there are none, whether it can be opened."""
    FULL = "full"
    """Every byte besides, against its block's checksum."""


class PieceFault(Enum):
    """What can be wrong with a piece; the text is for people."""

    MISSING = "it is not there"
    SIZE = "it has another size than its row says"
    CHECKSUM = "its bytes or its record do not verify"
    CARD = "its card cannot be read, or describes another blob"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of looking at a piece. No fault: it is good, as far as it was looked at.

    `occupied_bytes` is what its record takes, where that verified. `is_readable`: all its bytes were read and are good,
    whatever is wrong beside them.
    """

    fault: PieceFault | None = None
    detail: str = ""
    read_bytes: int = 0
    occupied_bytes: int | None = None
    is_readable: bool = False


class RecordBackend(Backend, Protocol):
    """A backend whose pieces are records that say what they are."""

    def read_record(self, storage_key: str, /) -> StoredRecord:
        """Raises PieceMissing, PieceCorrupt, ForeignBackend, BackendUnavailable."""


class BackendFinder(Protocol):
    """Where backends are found."""

    def get(self, backend_id: int, /) -> Backend:
        """Raises BackendUnavailable for one that this process does not know."""


class CardReader(Protocol):
    """Opens cards, whatever they are sealed or MACed with."""

    def blob_id(self, card: bytes, location: Location, /) -> bytes:
        """The blob a card describes; raises EngineError or ValueError when it cannot be read or was altered."""


class PieceChecker:
    """Checks pieces, one at a time: it has one block of memory. It changes nothing."""

    def __init__(
        self,
        store: Store,
        backends: BackendFinder,
        *,
        volumes: Iterable[RecordBackend],
        cards: CardReader | None = None,
        before_bytes: BeforeBytes = lambda size_bytes: None,
    ) -> None:
        """`volumes` are those backends whose pieces are records; without `cards` cards are not opened."""
        self._store = store
        self._backends = backends
        self._volumes = {backend.backend_id: backend for backend in volumes}
        self._cards = cards
        self._before_bytes = before_bytes
        self._buffer = memoryview(bytearray(BLOCK_BYTES))

    def check(self, piece: StandingPiece, depth: Depth) -> Verdict:
        """Raises BackendUnavailable when its backend cannot be asked, which says nothing of the piece."""
        try:
            return self._check(piece, depth)
        except PieceMissing as error:
            return Verdict(fault=PieceFault.MISSING, detail=str(error))
        except BackendUnavailable:
            raise
        except (BackendError, Overloaded) as error:
            raise BackendUnavailable(str(error), backend=str(piece.location.backend_id)) from error

    def check_standing(self, piece: StandingPiece, depth: Depth) -> Verdict | None:
        """As `check`; null when there is nothing to tell: what was moved or freed meanwhile is nobody's loss.

        Raises BackendUnavailable.
        """
        verdict = self.check(piece, depth)
        if verdict.fault is None:
            return verdict
        return verdict if self.still_stands(piece.location) else None

    def still_stands(self, location: Location) -> bool:
        """Whether the key still is where the piece lies."""
        named = partial(find_piece, backend_id=location.backend_id, storage_key=location.storage_key)
        return self._store.read(named) is not None

    def _check(self, piece: StandingPiece, depth: Depth) -> Verdict:
        location = piece.location
        backend = self._backends.get(location.backend_id)
        volume = self._volumes.get(location.backend_id)
        if not piece.blob.has_checksums or (depth is Depth.SIZE and is_imported(location.storage_key)):
            return self._check_imported(backend, piece)
        if volume is None:
            return self._check_far(backend, piece) if depth is Depth.FULL else _looked_up(backend, piece)
        try:
            record = volume.read_record(location.storage_key)
        except PieceCorrupt as error:
            return self._check_unrecorded(backend, piece, str(error))
        wrong = self._compare(record, piece)
        if wrong is not None and wrong.occupied_bytes is None:
            return wrong
        if wrong is None and depth is Depth.SIZE:
            return Verdict(occupied_bytes=record.extent_bytes)
        read = self._check_bytes(backend, piece)
        if read.fault is not None or wrong is None:
            return read
        return Verdict(
            fault=wrong.fault,
            detail=wrong.detail,
            read_bytes=read.read_bytes,
            occupied_bytes=record.extent_bytes,
            is_readable=True,
        )

    def _check_imported(self, backend: Backend, piece: StandingPiece) -> Verdict:
        """Whether it is the object that was imported, by its last byte: the ETag is all that stands for the others."""
        size_bytes = piece.blob.stored_bytes
        if not size_bytes:
            return Verdict()
        reader = backend.open_reader(piece.location.storage_key, size_bytes)
        try:
            self._before_bytes(1)
            reader.read_into(size_bytes - 1, self._buffer[:1])
        finally:
            reader.close()
        return Verdict(read_bytes=1)

    def _compare(self, record: StoredRecord, piece: StandingPiece) -> Verdict | None:
        """What the record says otherwise than the rows; with `occupied_bytes` where the bytes may be good."""
        blob, location = piece.blob, piece.location
        if record.payload_bytes != blob.stored_bytes:
            return Verdict(
                fault=PieceFault.SIZE,
                detail=f"its record holds {record.payload_bytes} bytes, the blob has {blob.stored_bytes}",
            )
        if record.block_crcs != blob.block_crcs:
            return Verdict(fault=PieceFault.CHECKSUM, detail="its record has other checksums than the blob")
        if record.extent_bytes != location.stored_bytes:
            return Verdict(
                fault=PieceFault.SIZE,
                detail=f"its record occupies {record.extent_bytes} bytes, its row says {location.stored_bytes}",
                occupied_bytes=record.extent_bytes,
            )
        problem = self._card_problem(record.card, location)
        if problem is not None:
            return Verdict(fault=PieceFault.CARD, detail=problem, occupied_bytes=record.extent_bytes)
        return None

    def _card_problem(self, card: bytes, location: Location) -> str | None:
        if self._cards is None:
            return None
        try:
            blob_id = self._cards.blob_id(card, location)
        except (EngineError, ValueError) as error:
            return f"its card: {error}"
        return None if blob_id == location.blob_id else f"its card describes blob {blob_id.hex()}"

    def _check_unrecorded(self, backend: Backend, piece: StandingPiece, problem: str) -> Verdict:
        """No record verifies at its place: its bytes may be good, damaged, or there may be none."""
        read = self._check_bytes(backend, piece)
        if read.fault is PieceFault.MISSING:
            return read
        return Verdict(
            fault=PieceFault.CHECKSUM,
            detail=problem if read.fault is None else f"{problem}; {read.detail}",
            read_bytes=read.read_bytes,
            is_readable=read.fault is None,
        )

    def _check_far(self, backend: Backend, piece: StandingPiece) -> Verdict:
        """A store that can verify the piece itself sends none of its bytes."""
        blob, location = piece.blob, piece.location
        try:
            if backend.verify_in_place(location.storage_key, blob.stored_bytes, blob.block_crcs):
                return Verdict(occupied_bytes=location.stored_bytes, is_readable=True)
        except PieceCorrupt:
            # What is wrong, and where, its bytes will say.
            pass
        return self._check_bytes(backend, piece)

    def _check_bytes(self, backend: Backend, piece: StandingPiece) -> Verdict:
        blob = piece.blob
        reader = backend.open_reader(piece.location.storage_key, blob.stored_bytes)
        try:
            _forget_cached(reader, blob.stored_bytes)
            for number, start in enumerate(range(0, blob.stored_bytes, BLOCK_BYTES)):
                block = self._buffer[: min(BLOCK_BYTES, blob.stored_bytes - start)]
                self._before_bytes(len(block))
                try:
                    reader.read_into(start, block)
                except PieceCorrupt as error:
                    return Verdict(fault=PieceFault.MISSING, detail=str(error), read_bytes=start)
                if not block_crc_matches(blob.block_crcs, number, block):
                    return _bad_block(block, number, start)
        finally:
            # Bytes that nobody asked for had better not push out those that clients ask for.
            _forget_cached(reader, blob.stored_bytes)
            reader.close()
        return Verdict(
            read_bytes=blob.stored_bytes, occupied_bytes=piece.location.stored_bytes, is_readable=True
        )


def _bad_block(block: memoryview, number: int, start: int) -> Verdict:
    if not any(block):
        return Verdict(
            fault=PieceFault.MISSING,
            detail=f"block {number} holds nothing but zeros",
            read_bytes=start + len(block),
        )
    return Verdict(
        fault=PieceFault.CHECKSUM, detail=f"block {number} does not verify", read_bytes=start + len(block)
    )


def _looked_up(backend: Backend, piece: StandingPiece) -> Verdict:
    """By what follows its payload: to open a piece asks nothing of a store across a network."""
    try:
        tail = backend.read_tail(piece.location.storage_key, piece.blob.stored_bytes)
    except PieceCorrupt as error:
        return Verdict(fault=PieceFault.CHECKSUM, detail=str(error))
    if tail.block_crcs != piece.blob.block_crcs:
        return Verdict(fault=PieceFault.CHECKSUM, detail="its block checksums are another blob's")
    return Verdict()


def _forget_cached(reader: PieceReader, size_bytes: int) -> None:
    """Have the disk read, not what memory still holds of it. Pages that were not written back yet stay."""
    region = reader.region(0, size_bytes)
    if region is not None and size_bytes:
        os.posix_fadvise(region.fd, region.offset, size_bytes, os.POSIX_FADV_DONTNEED)
