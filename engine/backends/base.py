"""The contract of every backend: pieces are written once under fresh keys, read by offset, deleted by key."""

from dataclasses import dataclass
from typing import Protocol

from engine.names import BackendName
from engine.pipes import Pipe
from engine.streams import FileRegion, Region


class Barrier(Protocol):
    """What must be synced before a commit may name the piece."""

    def sync(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPiece:
    """A piece that stands: `stored_bytes` is what it occupies; `barrier` is null when it is durable already."""

    storage_key: str
    stored_bytes: int
    barrier: Barrier | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceTail:
    """What follows the payload: packed CRC32C a block, and the card."""

    block_crcs: bytes
    card: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedObject:
    """An object as its store lists it. `key` is below the backend's prefix, `changed_at_us` by the store's clock.

    `changed_at_us` is null where the store does not say.
    """

    key: str
    size_bytes: int
    changed_at_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPage:
    """Some objects of a store. `next_token` asks for those that follow; null: there are none.

    `document_bytes` is what the store sent to say so.
    """

    objects: tuple[ListedObject, ...]
    next_token: str | None
    document_bytes: int


class PieceWriter(Protocol):
    """One attempt to write one piece. `finish` or `abort` ends it; `abort` may follow a failed `finish`."""

    def write(self, payload: memoryview, /) -> None:
        """Append payload; raises BackendError. The buffer may be reused at return."""

    def finish(self, tail: PieceTail, /) -> StoredPiece:
        """Write the tail and make the piece durable. BackendTimeout: the outcome is unknown."""

    def abort(self) -> None:
        """Give the attempt up; what was written is dead space or goes to cleanup. Never raises."""


class PieceReader(Protocol):
    """An open piece. Offsets count payload bytes from 0."""

    def read_into(self, offset: int, buffer: memoryview, /, *, nowait: bool = False) -> None:
        """Fill the whole buffer; raises PieceMissing, PieceCorrupt (short), BackendUnavailable, WouldBlock.

        What was asked with patience goes on with it: BackendLate when the bytes stop coming for that long.
        """

    def is_under_way(self, offset: int, size_bytes: int, /) -> bool:
        """Whether those bytes can be read without a new question to a network; always true where there is none."""

    def ask(self, offset: int, size_bytes: int, /, *, patience_s: float, is_all: bool = False) -> None:
        """Ask for bytes that are read next; done when the answer begins. `is_all`: nothing behind them will be read.

        Raises BackendLate when it does not within the patience, and what `read_into` raises.
        """

    def take(
        self, offset: int, length: int, /, *, pipe: Pipe | None = None, nowait: bool = False
    ) -> Region | None:
        """Payload bytes as the store has them, nobody having looked at them: at least one of those asked for.

        Null: they have to be read. All of `length` is asked for, and nothing behind it; a network may put what comes
        into `pipe`, which is empty. Valid until the next call. Raises what `read_into` raises.
        """

    def region(self, offset: int, length: int, /) -> FileRegion | None:
        """Bytes that were read just now as a region of their file; null where they are in no local file."""

    def close(self) -> None: ...


class Backend(Protocol):
    """A store of pieces, safe for use by many threads.

    `needs_intents` says that a piece must be announced by an intent whose storage key is handed to `open_writer`
    and `store`; where it is false the backend chooses the key itself and `storage_key` must be None.
    """

    @property
    def backend_id(self) -> int: ...

    @property
    def name(self) -> BackendName: ...

    @property
    def needs_intents(self) -> bool: ...

    def occupied_bytes(self, payload_bytes: int, card_bytes: int, /) -> int:
        """What a piece of that payload and card will occupy: the `stored_bytes` to reserve."""

    def store(
        self,
        payload: memoryview,
        tail: PieceTail,
        /,
        *,
        storage_key: str | None = None,
        patience_s: float | None = None,
    ) -> StoredPiece:
        """Write a small piece held in memory; its barrier syncs many such pieces at once.

        With `patience_s` a network is not waited for much longer than that at any point: BackendLate. What was sent may
        still land, as after a BackendTimeout.
        """

    def open_writer(
        self,
        payload_bytes: int,
        card_bytes_max: int,
        /,
        *,
        storage_key: str | None = None,
        patience_s: float | None = None,
    ) -> PieceWriter:
        """Begin a streamed piece of exactly `payload_bytes`. Raises BackendFull, BackendUnavailable.

        `patience_s` holds as it does for `store`, for all that is done with the writer.
        """

    def open_reader(
        self, storage_key: str, payload_bytes: int, /, *, is_last_choice: bool = False
    ) -> PieceReader:
        """Open a piece; raises PieceMissing, BackendUnavailable, and Overloaded at a bound on open files.

        Where that would ask a network nothing is asked: a piece that is not there shows at the first read.
        BackendShut: its store is left alone for now. With `is_last_choice` it is asked all the same by a few at a time.
        """

    def read_tail(self, storage_key: str, payload_bytes: int, /) -> PieceTail:
        """What follows a piece's payload; raises PieceMissing, PieceCorrupt, BackendUnavailable."""

    def verify_in_place(self, storage_key: str, payload_bytes: int, block_crcs: bytes, /) -> bool:
        """Whether the store itself has just read the piece and found these bytes; false: it cannot be asked for that.

        Raises PieceMissing, PieceCorrupt, BackendUnavailable.
        """

    def delete(self, storage_key: str, stored_bytes: int, /) -> None:
        """Delete a piece; one that is not there is done already. Raises BackendUnavailable, BackendTimeout.

        PieceCorrupt: what stands under the key cannot be told to be ours, and nothing was touched.
        """

    def check_identity(self) -> None:
        """Compare the identity object; raises ForeignBackend or BackendUnavailable."""

    def remove_identity(self) -> None:
        """Remove the identity object if it is ours: the store is nobody's then. Repeating it is harmless.

        Raises BackendUnavailable, ForeignBackend when it is somebody else's.
        """

    def close(self) -> None: ...


class ListedBackend(Backend, Protocol):
    """A backend whose store says what lies in it."""

    def list_objects(self, token: str | None = None, /, *, after: str = "") -> ListedPage:
        """A page of everything below the prefix: where a token of the page before points to, or behind a key.

        Most stores list in the order of the keys' bytes. Some do not, and then a key as a beginning means nothing.
        Raises BackendUnavailable, ForeignBackend.
        """

    def object_bytes(self, storage_key: str, /) -> int:
        """The size of an object; raises PieceMissing, BackendUnavailable, ForeignBackend."""

    def read_card(self, storage_key: str, object_bytes: int, /) -> bytes:
        """The card of a piece of which nothing is known but its size, authenticated.

        Raises PieceMissing, BackendUnavailable, ForeignBackend, and PieceCorrupt for what cannot be told to be ours.
        """
