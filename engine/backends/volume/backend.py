"""The volume backend: a local directory of append-only files behind the backend contract."""

import logging
import threading
import time
from collections import deque
from pathlib import Path

from engine.backends.base import PieceReader, PieceTail, PieceWriter, StoredPiece
from engine.backends.volume.appending import FILL_BYTES, AppendVolume
from engine.backends.volume.descriptors import DescriptorCache
from engine.backends.volume.disk import Disk, LinuxDisk
from engine.backends.volume.faults import backend_fault
from engine.backends.volume.files import VOLUME_SUFFIX
from engine.backends.volume.format import (
    CARD_BYTES_MAX,
    RECORD_HEADER_BYTES,
    NotARecord,
    crc_bytes,
    extent_of,
    read_storage_key,
)
from engine.backends.volume.identity import Identity, check_identity, remove_identity
from engine.backends.volume.ledger import VolumeLedger
from engine.backends.volume.reading import VolumePieceReader
from engine.backends.volume.records import StoredRecord, free_payload, read_record
from engine.backends.volume.room import DiskRoom, read_disk_room
from engine.backends.volume.shelf import VolumeShelf
from engine.backends.volume.streaming import StreamVolume, StreamWriter
from engine.backends.volume.taking import VolumeTaker
from engine.clock import Clock, Ids, SystemClock, uuid7
from engine.errors import BackendFull, BackendUnavailable, EngineError, PieceCorrupt, PieceMissing
from engine.names import BackendName
from engine.units import GIB, MIB

VOLUME_SIZE_MAX_BYTES = GIB
"""A file takes no new record once it is this long; its last record may reach beyond."""

FREE_MIN_BYTES = 64 * MIB
"""Room left on the file system, so that a full disk is noticed before a write fails half way."""

TAKE_WAIT_S = 15.0
"""How long a write waits for the next file to be opened, or looks for one that has not filled up meanwhile."""

FULL_HOLDOFF_S = 1.0
"""After the disk refused bytes nothing is tried for this long, so that a full disk is not littered with new files."""

_UNREPORTED_COUNT_MAX = 64

_log = logging.getLogger(__name__)


class VolumeBackend:
    """Pieces as records of volume files (`engine.backends.base.Backend`). Made after the fork, safe for many threads.

    One file takes small appends and another one streams, both opened at the first write that needs them.
    """

    def __init__(
        self,
        *,
        backend_id: int,
        name: BackendName,
        path: Path,
        ledger: VolumeLedger,
        deployment_id: bytes,
        identity_id: bytes,
        node: str | None,
        size_max_bytes: int = VOLUME_SIZE_MAX_BYTES,
        free_min_bytes: int = FREE_MIN_BYTES,
        fill_bytes: int = FILL_BYTES,
        full_holdoff_s: float = FULL_HOLDOFF_S,
        descriptors: DescriptorCache | None = None,
        clock: Clock | None = None,
        ids: Ids = uuid7,
        disk: Disk | None = None,
    ) -> None:
        """`descriptors` is shared by all volume backends of a process. Nothing is opened yet."""
        self._backend_id = backend_id
        self._name = name
        self._path = path
        # Making a Path takes a third of what opening a piece takes.
        self._path_text = str(path)
        self._ledger = ledger
        self._identity = Identity(
            backend=name, deployment_id=deployment_id, identity_id=identity_id, node=node
        )
        self._size_max_bytes = size_max_bytes
        self._free_min_bytes = free_min_bytes
        self._fill_bytes = fill_bytes
        self._disk = disk or LinuxDisk()
        self._owns_descriptors = descriptors is None
        self._descriptors = descriptors or DescriptorCache()
        self._taker = VolumeTaker(
            disk=self._disk,
            directory=path,
            identity=self._identity,
            ledger=ledger,
            clock=clock or SystemClock(),
            ids=ids,
            size_max_bytes=size_max_bytes,
            free_min_bytes=free_min_bytes,
        )
        # Held while the next file is opened, its row written and the one before settled; never while a client is read.
        self._take_lock = threading.Lock()
        self._appending: AppendVolume | None = None
        self._streaming: StreamVolume | None = None
        self._is_closed = False
        self._full_holdoff_s = full_holdoff_s
        self._full_until_s = 0.0
        # Closings the ledger has not taken yet. A sync runs below the ledger's own commit and must not call it.
        self._unreported: deque[tuple[bytes, int]] = deque(maxlen=_UNREPORTED_COUNT_MAX)

    @property
    def backend_id(self) -> int:
        return self._backend_id

    @property
    def name(self) -> BackendName:
        return self._name

    @property
    def needs_intents(self) -> bool:
        return False

    @property
    def path(self) -> Path:
        return self._path

    def occupied_bytes(self, payload_bytes: int, card_bytes: int, /) -> int:
        """The extent of such a record."""
        return extent_of(payload_bytes, card_bytes)

    def store(
        self,
        payload: memoryview,
        tail: PieceTail,
        /,
        *,
        storage_key: str | None = None,
        patience_s: float | None = None,
    ) -> StoredPiece:
        """Append a small piece; it is durable after its barrier's sync, which all appends before it share.

        Raises BackendFull, BackendUnavailable, ForeignBackend.
        """
        self._refuse_key(storage_key)
        if len(tail.block_crcs) != crc_bytes(len(payload)):
            raise ValueError("the block checksums are not those of the payload")
        self._check_card(len(tail.card))
        self._check_holdoff()
        deadline_s = time.monotonic() + TAKE_WAIT_S
        while time.monotonic() < deadline_s:
            volume = self._appending or self._next_append_volume(None)
            try:
                appended = volume.append(payload, block_crcs=tail.block_crcs, card=tail.card)
            except BackendFull:
                self._full_until_s = time.monotonic() + self._full_holdoff_s
                raise
            if appended is not None:
                return StoredPiece(
                    storage_key=appended.storage_key,
                    stored_bytes=appended.stored_bytes,
                    barrier=appended.barrier,
                )
            self._next_append_volume(volume)
        raise BackendUnavailable("no volume stays open", backend=self._name)

    def open_writer(
        self,
        payload_bytes: int,
        card_bytes_max: int,
        /,
        *,
        storage_key: str | None = None,
        patience_s: float | None = None,
    ) -> PieceWriter:
        """Reserve an extent for a stream. Raises BackendFull, BackendUnavailable, ForeignBackend."""
        self._refuse_key(storage_key)
        self._check_card(card_bytes_max)
        self._check_holdoff()
        self._taker.check_room(extent_of(payload_bytes, card_bytes_max))
        deadline_s = time.monotonic() + TAKE_WAIT_S
        while time.monotonic() < deadline_s:
            volume = self._streaming or self._next_stream_volume(None)
            writer: StreamWriter | None = volume.begin(payload_bytes, card_bytes_max)
            if writer is not None:
                return writer
            self._next_stream_volume(volume)
        raise BackendUnavailable("no volume stays open", backend=self._name)

    def open_reader(
        self, storage_key: str, payload_bytes: int, /, *, is_last_choice: bool = False
    ) -> PieceReader:
        """Open a piece.

        Raises PieceMissing when its file is not there, ForeignBackend when nothing of ours is: the disk is away.
        BackendUnavailable, Overloaded.
        """
        volume_id, offset = self._place(storage_key)
        try:
            descriptor = self._descriptors.pin(f"{self._path_text}/{volume_id.hex()}{VOLUME_SUFFIX}")
        except FileNotFoundError:
            self.check_identity()
            raise PieceMissing(f"the volume of {storage_key} is not there", backend=self._name) from None
        except OSError as error:
            raise backend_fault(error, backend=self._name, doing="opening a volume failed") from error
        return VolumePieceReader(
            backend=self._name,
            descriptors=self._descriptors,
            descriptor=descriptor,
            payload_start=offset + RECORD_HEADER_BYTES,
            payload_bytes=payload_bytes,
        )

    def read_tail(self, storage_key: str, payload_bytes: int, /) -> PieceTail:
        """Of the record; raises as `read_record` does, and PieceCorrupt for a record of another length."""
        record = self.read_record(storage_key)
        if record.payload_bytes != payload_bytes:
            raise PieceCorrupt(f"the record at {storage_key} is another one", backend=self._name)
        return PieceTail(block_crcs=record.block_crcs, card=record.card)

    def verify_in_place(self, storage_key: str, payload_bytes: int, block_crcs: bytes, /) -> bool:
        return False

    def delete(self, storage_key: str, stored_bytes: int, /) -> None:
        """Give the record's blocks back; what is not there is done already. Repeating it is safe.

        A record that does not verify at that place is left alone: PieceCorrupt. Raises BackendUnavailable, and
        ForeignBackend when nothing of ours is there: bytes on a disk that is away are not deleted.
        """
        volume_id, offset = self._place(storage_key)
        try:
            free_payload(self._disk, self._path, volume_id, offset, stored_bytes)
        except FileNotFoundError:
            self.check_identity()
        except NotARecord:
            _log.error("volume.delete_refused", extra={"backend": self._name, "storage_key": storage_key})
            raise PieceCorrupt(f"no record of ours stands at {storage_key}", backend=self._name) from None
        except OSError as error:
            raise backend_fault(error, backend=self._name, doing="deleting failed") from error

    def read_record(self, storage_key: str, /) -> StoredRecord:
        """Lengths, block checksums and card of a record, authenticated by its trailer; the payload is not looked at.

        Raises PieceMissing, PieceCorrupt, ForeignBackend, BackendUnavailable.
        """
        volume_id, offset = self._place(storage_key)
        try:
            return read_record(self._path, volume_id, offset)
        except FileNotFoundError:
            self.check_identity()
            raise PieceMissing(f"the volume of {storage_key} is not there", backend=self._name) from None
        except NotARecord:
            raise PieceCorrupt(
                f"header or trailer of {storage_key} does not verify", backend=self._name
            ) from None
        except OSError as error:
            raise backend_fault(error, backend=self._name, doing="reading failed") from error

    @property
    def shelf(self) -> VolumeShelf:
        """The files themselves, for compaction, the sweep and fsck."""
        return VolumeShelf(backend=self._name, directory=self._path, disk=self._disk)

    def disk_room(self) -> DiskRoom:
        """What the disk still takes. Raises BackendUnavailable."""
        return read_disk_room(self._path, backend=self._name, reserve_bytes=self._free_min_bytes)

    def check_identity(self) -> None:
        """Raises ForeignBackend, BackendUnavailable."""
        check_identity(self._path, self._identity)

    def remove_identity(self) -> None:
        """Raises ForeignBackend, BackendUnavailable."""
        remove_identity(self._disk, self._path, self._identity)

    def drop_gone_descriptors(self) -> int:
        """Close descriptors of unlinked files, whose blocks they keep allocated; the count of them."""
        return self._descriptors.drop_gone()

    @property
    def has_open_volumes(self) -> bool:
        """Whether this process appends to a file there."""
        return self._appending is not None or self._streaming is not None

    def close_volumes(self) -> None:
        """Close the files being appended to, so that compaction may take them; the next write opens others."""
        with self._take_lock:
            self._settle(keep_open=False)

    def close(self) -> None:
        """Settle appends and give up the files, which stay open in the ledger for whoever takes them next."""
        with self._take_lock:
            self._is_closed = True
            self._settle(keep_open=True)
        if self._owns_descriptors:
            self._descriptors.close()

    def _next_append_volume(self, exhausted: AppendVolume | None) -> AppendVolume:
        self._enter_take()
        try:
            if self._appending is not None and self._appending is not exhausted:
                return self._appending
            if exhausted is not None:
                self._appending = None
                self._report(exhausted.volume_id, exhausted.retire(), is_poisoned=exhausted.is_poisoned)
            self._appending = AppendVolume(
                self._taker.take(),
                backend=self._name,
                size_max_bytes=self._size_max_bytes,
                disk=self._disk,
                fill_bytes=self._fill_bytes,
            )
            return self._appending
        finally:
            self._take_lock.release()

    def _next_stream_volume(self, exhausted: StreamVolume | None) -> StreamVolume:
        self._enter_take()
        try:
            if self._streaming is not None and self._streaming is not exhausted:
                return self._streaming
            if exhausted is not None:
                self._streaming = None
                exhausted.retire()
            self._streaming = StreamVolume(
                self._taker.take(),
                backend=self._name,
                size_max_bytes=self._size_max_bytes,
                on_drained=self._stream_volume_drained,
                disk=self._disk,
            )
            return self._streaming
        finally:
            self._take_lock.release()

    def _enter_take(self) -> None:
        if not self._take_lock.acquire(timeout=TAKE_WAIT_S):
            raise BackendUnavailable("the next volume is not open in time", backend=self._name)
        if self._is_closed:
            self._take_lock.release()
            raise BackendUnavailable("the backend is closed", backend=self._name)

    def _settle(self, *, keep_open: bool) -> None:
        appending, self._appending = self._appending, None
        streaming, self._streaming = self._streaming, None
        if appending is not None:
            size_bytes = appending.retire()
            if not keep_open or appending.is_poisoned:
                self._report(appending.volume_id, size_bytes, is_poisoned=appending.is_poisoned)
        if streaming is not None:
            streaming.retire()

    def _stream_volume_drained(self, volume: StreamVolume, size_bytes: int) -> None:
        # After a clean close the row stays open: the file has room and the next process takes it.
        if not self._is_closed or volume.is_poisoned:
            self._report(volume.volume_id, size_bytes, is_poisoned=volume.is_poisoned)

    def _report(self, volume_id: bytes, size_bytes: int, *, is_poisoned: bool) -> None:
        if is_poisoned:
            _log.critical("volume.poisoned", extra={"backend": self._name, "volume_id": volume_id.hex()})
        self._unreported.append((volume_id, size_bytes))
        while self._unreported:
            # Taken out first: a stream that ends reports as well, under no lock of ours.
            try:
                closing = self._unreported.popleft()
            except IndexError:
                return
            try:
                self._ledger.closed(*closing)
            except EngineError:
                # Told again with the next file. A row that says open too long only delays compaction.
                self._unreported.appendleft(closing)
                _log.warning(
                    "volume.closing_unreported",
                    extra={"backend": self._name, "volume_id": closing[0].hex()},
                )
                return

    def _check_holdoff(self) -> None:
        if time.monotonic() < self._full_until_s:
            raise BackendFull("the disk was full a moment ago", backend=self._name)

    def _check_card(self, card_bytes: int) -> None:
        if card_bytes > CARD_BYTES_MAX:
            raise ValueError(f"a card of {card_bytes} bytes, at most {CARD_BYTES_MAX} are allowed")

    def _refuse_key(self, storage_key: str | None) -> None:
        if storage_key is not None:
            raise ValueError("a volume chooses its storage keys itself")

    def _place(self, storage_key: str) -> tuple[bytes, int]:
        try:
            return read_storage_key(storage_key)
        except NotARecord:
            raise PieceMissing(f"{storage_key[:80]!r} is no key of a volume", backend=self._name) from None
