"""Pieces in memory, behaving as an S3 backend does on a bad day: for tests, and for trying Penstock without a disk."""

import threading
from collections import deque
from dataclasses import dataclass
from enum import Enum

from engine.backends.base import ListedObject, ListedPage, PieceReader, PieceTail, PieceWriter, StoredPiece
from engine.errors import (
    BackendFull,
    BackendTimeout,
    BackendUnavailable,
    ForeignBackend,
    PieceCorrupt,
    PieceMissing,
)
from engine.names import BackendName
from engine.streams import FileRegion, WouldBlock
from engine.units import BLOCK_BYTES

TRAILER_BYTES = 64
LISTED_COUNT_MAX = 50
"""Objects on a page of a listing."""
_CRC_BYTES = 4


class Call(Enum):
    """What of a backend is called; a stream's write begins at OPEN_WRITER and lands at FINISH."""

    STORE = "store"
    OPEN_WRITER = "open_writer"
    WRITE = "write"
    FINISH = "finish"
    OPEN_READER = "open_reader"
    READ = "read"
    DELETE = "delete"
    CHECK_IDENTITY = "check_identity"
    LIST = "list"


class Fault(Enum):
    """What goes wrong with a call. The three timeouts look the same to the caller, as they do with a real store."""

    UNAVAILABLE = "it did nothing and says so"
    FULL = "it has no room"
    TIMEOUT_LOST = "it timed out and never happens"
    TIMEOUT_DONE = "it timed out and happened"
    TIMEOUT_LATE = "it timed out and happens later, when `land_late` is called"


_TIMEOUTS = frozenset({Fault.TIMEOUT_LOST, Fault.TIMEOUT_DONE, Fault.TIMEOUT_LATE})


class KeyReused(AssertionError):
    """A storage key was written a second time, which no code of ours may ever do."""


class FaultScript:
    """Faults to come, in order for each kind of call. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._coming: dict[Call, deque[Fault | None]] = {call: deque() for call in Call}

    def add(self, call: Call, fault: Fault, *, count: int = 1, after_count: int = 0) -> None:
        """Behind what is scripted already: `after_count` such calls go well, then `count` do not."""
        with self._lock:
            self._coming[call].extend([None] * after_count + [fault] * count)

    def take(self, call: Call) -> Fault | None:
        """What goes wrong with the call that is being made now."""
        with self._lock:
            coming = self._coming[call]
            return coming.popleft() if coming else None

    def clear(self) -> None:
        """Forget what was to come."""
        with self._lock:
            for coming in self._coming.values():
                coming.clear()

    def is_spent(self) -> bool:
        """Whether every scripted fault has struck."""
        with self._lock:
            return not any(self._coming.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    payload: bytes
    tail: PieceTail

    @property
    def stored_bytes(self) -> int:
        return len(self.payload) + len(self.tail.block_crcs) + len(self.tail.card) + TRAILER_BYTES


class MemoryBackend:
    """Pieces in a dictionary (`engine.backends.base.Backend`). Safe for many threads; forgets everything at close."""

    def __init__(
        self,
        *,
        backend_id: int,
        name: BackendName,
        capacity_bytes: int | None = None,
        faults: FaultScript | None = None,
    ) -> None:
        self._backend_id = backend_id
        self._name = name
        self._capacity_bytes = capacity_bytes
        self._faults = faults or FaultScript()
        self._lock = threading.Lock()
        self._pieces: dict[str, _Piece] = {}
        self._keys_seen: set[str] = set()
        self._late: list[tuple[str, _Piece]] = []
        self._used_bytes = 0
        self._is_foreign = False
        self._is_nobodys = False
        self._keeps_nothing = False
        self._is_closed = False

    @property
    def backend_id(self) -> int:
        return self._backend_id

    @property
    def name(self) -> BackendName:
        return self._name

    @property
    def needs_intents(self) -> bool:
        return True

    def occupied_bytes(self, payload_bytes: int, card_bytes: int, /) -> int:
        """Payload, block checksums, card and trailer."""
        return payload_bytes + _crc_bytes(payload_bytes) + card_bytes + TRAILER_BYTES

    def store(
        self,
        payload: memoryview,
        tail: PieceTail,
        /,
        *,
        storage_key: str | None = None,
        patience_s: float | None = None,
    ) -> StoredPiece:
        """Write a piece under its announced key. Raises BackendFull, BackendUnavailable, BackendTimeout, KeyReused."""
        if len(tail.block_crcs) != _crc_bytes(len(payload)):
            raise ValueError("the block checksums are not those of the payload")
        key = self._announce(storage_key)
        return self._land(Call.STORE, key, _Piece(payload=bytes(payload), tail=tail))

    def open_writer(
        self,
        payload_bytes: int,
        card_bytes_max: int,
        /,
        *,
        storage_key: str | None = None,
        patience_s: float | None = None,
    ) -> PieceWriter:
        """Begin a stream under its announced key. Raises BackendFull, BackendUnavailable, BackendTimeout, KeyReused."""
        key = self._announce(storage_key)
        self._strike(Call.OPEN_WRITER)
        return _MemoryWriter(self, key, payload_bytes, card_bytes_max)

    def open_reader(
        self, storage_key: str, payload_bytes: int, /, *, is_last_choice: bool = False
    ) -> PieceReader:
        """Open a piece; raises PieceMissing, BackendUnavailable, BackendTimeout."""
        self._strike(Call.OPEN_READER)
        return _MemoryReader(self, storage_key, payload_bytes)

    def read_tail(self, storage_key: str, payload_bytes: int, /) -> PieceTail:
        """Block checksums and card; raises PieceMissing, PieceCorrupt, BackendUnavailable, BackendTimeout."""
        self._strike(Call.READ)
        piece = self._piece(storage_key)
        if len(piece.payload) != payload_bytes:
            raise PieceCorrupt("the piece is shorter than its payload", backend=self._name)
        return piece.tail

    def verify_in_place(self, storage_key: str, payload_bytes: int, block_crcs: bytes, /) -> bool:
        return False

    def delete(self, storage_key: str, stored_bytes: int, /) -> None:
        """Delete a piece; one that is not there is done already. Raises BackendUnavailable, BackendTimeout."""
        fault = self._faults.take(Call.DELETE)
        if fault in (None, Fault.TIMEOUT_DONE):
            with self._lock:
                piece = self._pieces.pop(storage_key, None)
                self._used_bytes -= piece.stored_bytes if piece else 0
        self._raise(fault)

    def check_identity(self) -> None:
        """Raises ForeignBackend after `replace_identity`, BackendUnavailable."""
        self._strike(Call.CHECK_IDENTITY)
        if self._is_nobodys:
            raise ForeignBackend("the identity object is missing", backend=self._name)
        if self._is_foreign:
            raise ForeignBackend("the identity object is another deployment's", backend=self._name)

    def remove_identity(self) -> None:
        """Raises ForeignBackend, BackendUnavailable."""
        if not self._is_nobodys:
            self.check_identity()
            self._is_nobodys = True

    def list_objects(self, token: str | None = None, /, *, after: str = "") -> ListedPage:
        """In the order of keys; a token is the last key before. Raises BackendUnavailable, BackendTimeout."""
        self._strike(Call.LIST)
        begin = after if token is None else token
        with self._lock:
            behind = sorted(key for key in self._pieces if key > begin)
            objects = [
                ListedObject(key=key, size_bytes=self._pieces[key].stored_bytes, changed_at_us=0)
                for key in behind[:LISTED_COUNT_MAX]
            ]
        is_last = len(behind) <= LISTED_COUNT_MAX
        return ListedPage(
            objects=tuple(objects),
            next_token=None if is_last else objects[-1].key,
            document_bytes=sum(len(each.key) for each in objects),
        )

    def object_bytes(self, storage_key: str, /) -> int:
        """Raises PieceMissing, BackendUnavailable, BackendTimeout."""
        self._strike(Call.READ)
        return self._piece(storage_key).stored_bytes

    def read_card(self, storage_key: str, object_bytes: int, /) -> bytes:
        """Raises PieceMissing, BackendUnavailable, BackendTimeout; PieceCorrupt for what `put_stranger` put there."""
        self._strike(Call.READ)
        piece = self._piece(storage_key)
        if not piece.tail.card:
            raise PieceCorrupt("it has no card", backend=self._name)
        return piece.tail.card

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._is_closed = True
            self._pieces.clear()

    # --- what a test does to a store behind its user's back ---

    @property
    def faults(self) -> FaultScript:
        return self._faults

    def land_late(self) -> int:
        """Let the writes land that timed out as TIMEOUT_LATE, deleted keys included; the count of them."""
        with self._lock:
            late, self._late = self._late, []
            for key, piece in late:
                self._put(key, piece)
            return len(late)

    def storage_keys(self) -> list[str]:
        """Keys that hold a piece now, sorted."""
        with self._lock:
            return sorted(self._pieces)

    def flip_bit(self, storage_key: str, offset: int) -> None:
        """Damage one payload byte at rest."""
        with self._lock:
            piece = self._pieces[storage_key]
            payload = bytearray(piece.payload)
            payload[offset] ^= 1
            self._pieces[storage_key] = _Piece(payload=bytes(payload), tail=piece.tail)

    def truncate(self, storage_key: str, payload_bytes: int) -> None:
        """Lose the end of a payload at rest."""
        with self._lock:
            piece = self._pieces[storage_key]
            self._pieces[storage_key] = _Piece(payload=piece.payload[:payload_bytes], tail=piece.tail)

    def keep_nothing(self, *, lies: bool = True) -> None:
        """From now on, say that writes went well and forget them; or do so no more."""
        self._keeps_nothing = lies

    def put_stranger(self, key: str, payload: bytes) -> None:
        """An object of somebody else."""
        with self._lock:
            self._put(key, _Piece(payload=payload, tail=PieceTail(block_crcs=b"", card=b"")))

    def replace_identity(self) -> None:
        """Put another deployment's identity object in place."""
        self._is_foreign = True

    # --- for writers and readers ---

    def _announce(self, storage_key: str | None) -> str:
        if storage_key is None:
            raise ValueError("a piece on this backend is announced by an intent that names its storage key")
        with self._lock:
            if storage_key in self._keys_seen:
                raise KeyReused(storage_key)
            self._keys_seen.add(storage_key)
        return storage_key

    def _land(self, call: Call, key: str, piece: _Piece) -> StoredPiece:
        fault = self._faults.take(call)
        with self._lock:
            if self._is_closed:
                raise BackendUnavailable("closed", backend=self._name)
            room_bytes = self._capacity_bytes
            if room_bytes is not None and self._used_bytes + piece.stored_bytes > room_bytes:
                raise BackendFull("no room", backend=self._name)
            if fault in (None, Fault.TIMEOUT_DONE):
                if not self._keeps_nothing:
                    self._put(key, piece)
            elif fault is Fault.TIMEOUT_LATE:
                self._late.append((key, piece))
        self._raise(fault)
        return StoredPiece(storage_key=key, stored_bytes=piece.stored_bytes, barrier=None)

    def _put(self, key: str, piece: _Piece) -> None:
        self._pieces[key] = piece
        self._used_bytes += piece.stored_bytes

    def _piece(self, storage_key: str) -> _Piece:
        with self._lock:
            piece = self._pieces.get(storage_key)
        if piece is None:
            raise PieceMissing(f"no piece {storage_key!r}", backend=self._name)
        return piece

    def _strike(self, call: Call) -> None:
        if self._is_closed:
            raise BackendUnavailable("closed", backend=self._name)
        self._raise(self._faults.take(call))

    def _raise(self, fault: Fault | None) -> None:
        if fault is Fault.UNAVAILABLE:
            raise BackendUnavailable("unreachable", backend=self._name)
        if fault is Fault.FULL:
            raise BackendFull("no room", backend=self._name)
        if fault in _TIMEOUTS:
            raise BackendTimeout("no answer in time", backend=self._name)


class _MemoryWriter:
    """A streamed piece: it appears whole at `finish`, as a PUT's body does."""

    def __init__(self, backend: MemoryBackend, key: str, payload_bytes: int, card_bytes_max: int) -> None:
        self._backend = backend
        self._key = key
        self._payload_bytes = payload_bytes
        self._card_bytes_max = card_bytes_max
        self._payload: bytearray | None = bytearray()

    def write(self, payload: memoryview, /) -> None:
        self._backend._strike(Call.WRITE)
        if self._payload is None:
            raise BackendUnavailable("the stream has ended", backend=self._backend.name)
        if len(self._payload) + len(payload) > self._payload_bytes:
            raise ValueError(f"more than the {self._payload_bytes} payload bytes announced")
        self._payload += payload

    def finish(self, tail: PieceTail, /) -> StoredPiece:
        if self._payload is None:
            raise BackendUnavailable("the stream has ended", backend=self._backend.name)
        if len(self._payload) != self._payload_bytes:
            raise ValueError(f"{self._payload_bytes - len(self._payload)} payload bytes are missing")
        if len(tail.block_crcs) != _crc_bytes(self._payload_bytes) or len(tail.card) > self._card_bytes_max:
            raise ValueError("the tail is not the one that was announced")
        payload, self._payload = bytes(self._payload), None
        return self._backend._land(Call.FINISH, self._key, _Piece(payload=payload, tail=tail))

    def abort(self) -> None:
        self._payload = None


class _MemoryReader:
    """A reader that asks the store at every read, as ranged GETs do: a deleted piece is missing at once."""

    def __init__(self, backend: MemoryBackend, storage_key: str, payload_bytes: int) -> None:
        self._backend = backend
        self._storage_key = storage_key
        self._payload_bytes = payload_bytes
        backend._piece(storage_key)

    def read_into(self, offset: int, buffer: memoryview, /, *, nowait: bool = False) -> None:
        if offset < 0 or offset + len(buffer) > self._payload_bytes:
            raise ValueError(
                f"bytes {offset} to {offset + len(buffer)} of a payload of {self._payload_bytes}"
            )
        if nowait:
            # A network is always waited for.
            raise WouldBlock
        self._backend._strike(Call.READ)
        found = self._backend._piece(self._storage_key).payload[offset : offset + len(buffer)]
        if len(found) != len(buffer):
            raise PieceCorrupt("the piece is shorter than its payload", backend=self._backend.name)
        buffer[:] = found

    def is_under_way(self, offset: int, size_bytes: int, /) -> bool:
        return True

    def ask(self, offset: int, size_bytes: int, /, *, patience_s: float, is_all: bool = False) -> None:
        """Nothing to ask: the bytes are here."""

    def take(self, offset: int, length: int, /, *, pipe: object = None, nowait: bool = False) -> None:
        """Its bytes are read."""

    def region(self, offset: int, length: int, /) -> FileRegion | None:
        return None

    def close(self) -> None:
        pass


def _crc_bytes(payload_bytes: int) -> int:
    return -(-payload_bytes // BLOCK_BYTES) * _CRC_BYTES
