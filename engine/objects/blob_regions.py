"""Regions of one blob: plain ones verified block by block, sealed ones opened frame by frame."""

from typing import Protocol

from engine.errors import BackendError, SealBroken
from engine.integrity.blocks import block_crc_matches
from engine.objects.blob_pieces import BlobPieces
from engine.objects.buffers import BlockPool
from engine.records import Blob
from engine.sealing.envelope import Envelope, open_blob
from engine.sealing.frames import SEALED_FRAME_BYTES, FrameOpener, frames_touched, stored_span
from engine.sealing.keyring import KeyRing
from engine.streams import FileRegion, Region, WouldBlock
from engine.units import BLOCK_BYTES, FRAME_BYTES, KIB

COPIED_BYTES_MAX = 64 * KIB
"""Verified bytes up to this size are handed out as memory, so that a small answer leaves in one send."""

_FRAMES_AT_ONCE = BLOCK_BYTES // FRAME_BYTES


class BlobRegions(Protocol):
    """What serves the bytes of one blob."""

    def region(self, offset: int, limit: int, /, *, nowait: bool) -> Region:
        """Plaintext from `offset` on, at least one byte and at most `limit`; valid until the next call."""

    def close(self) -> None: ...


class PlainBlob:
    """A blob that is stored as it is: a whole block is read and verified, and the part asked for goes out.

    One that was imported has nothing to verify against: its blocks go out as they come, and are counted.
    """

    def __init__(
        self, blob: Blob, pieces: BlobPieces, pool: BlockPool, *, copied_bytes_max: int = COPIED_BYTES_MAX
    ) -> None:
        """Regions above `copied_bytes_max` are named in their file, where there is one."""
        self._blob = blob
        self._pieces = pieces
        self._pool = pool
        self._copied_bytes_max = copied_bytes_max
        # Held while its memory is out; a region of a file leaves it free for the next reader.
        self._lent: bytearray | None = None

    def region(self, offset: int, limit: int, /, *, nowait: bool) -> FileRegion | memoryview:
        index = offset // BLOCK_BYTES
        start = index * BLOCK_BYTES
        size_bytes = min(BLOCK_BYTES, self._blob.stored_bytes - start)
        buffer = self._take(size_bytes)
        block = memoryview(buffer)
        if len(buffer) != size_bytes:
            block = block[:size_bytes]
        first = offset - start
        length = min(size_bytes - first, limit)
        try:
            self._read_verified(index, start, block, nowait=nowait)
            region = None
            if length > self._copied_bytes_max:
                region = self._pieces.current().region(offset, length)
        except BaseException:
            self._give_back(buffer)
            raise
        if region is not None:
            self._give_back(buffer)
            return region
        self._lent = buffer
        return block if length == size_bytes else block[first : first + length]

    def close(self) -> None:
        self._pieces.close()
        if self._lent is not None:
            self._give_back(self._lent)
            self._lent = None

    def _read_verified(self, index: int, start: int, block: memoryview, *, nowait: bool) -> None:
        while True:
            if nowait and self._pieces.may_wait:
                raise WouldBlock
            piece = self._pieces.current()
            try:
                piece.read_into(start, block, nowait=nowait)
            except BackendError as error:
                self._pieces.failed(error)
                continue
            if not self._blob.has_checksums:
                # Its bytes are those of the ETag that it was imported with, as far as its store says so.
                self._pieces.unverified()
                return
            if block_crc_matches(self._blob.block_crcs, index, block):
                self._pieces.verified(start, block)
                return
            self._pieces.found_corrupt(f"block {index} does not verify")

    def _take(self, size_bytes: int) -> bytearray:
        if self._lent is not None:
            buffer, self._lent = self._lent, None
            if len(buffer) >= size_bytes:
                return buffer
        return bytearray(size_bytes) if size_bytes <= COPIED_BYTES_MAX else self._pool.take()

    def _give_back(self, buffer: bytearray) -> None:
        if len(buffer) == BLOCK_BYTES:
            self._pool.give_back(buffer)


class SealedBlob:
    """A blob in frames: those touched are read and opened, which authenticates them, up to four at once."""

    def __init__(self, blob: Blob, pieces: BlobPieces, ring: KeyRing) -> None:
        self._blob = blob
        self._pieces = pieces
        self._opener = _opener(blob, ring)
        self._sealed = bytearray()
        self._plain = bytearray()

    def region(self, offset: int, limit: int, /, *, nowait: bool) -> FileRegion | memoryview:
        touched = frames_touched(offset, offset + limit)[:_FRAMES_AT_ONCE]
        first = touched.start
        if nowait and (len(touched) > 1 or self._pieces.may_wait):
            # One frame opens in the time of a system call or two; more would stall the loop that asks.
            raise WouldBlock
        start, stop = stored_span(touched, self._blob.size_bytes)
        self._make_room(stop - start)
        sealed = memoryview(self._sealed)[: stop - start]
        plain = memoryview(self._plain)
        self._read_opened(first, start, sealed, plain, nowait=nowait)
        skip = offset - first * FRAME_BYTES
        size_bytes = min(touched.stop * FRAME_BYTES, self._blob.size_bytes) - offset
        return plain[skip : skip + min(size_bytes, limit)]

    def close(self) -> None:
        self._pieces.close()

    def _read_opened(
        self, first: int, start: int, sealed: memoryview, plain: memoryview, *, nowait: bool
    ) -> None:
        while True:
            if nowait and self._pieces.may_wait:
                raise WouldBlock
            piece = self._pieces.current()
            try:
                piece.read_into(start, sealed, nowait=nowait)
                self._open_frames(first, sealed, plain)
            except BackendError as error:
                self._pieces.failed(error)
            except SealBroken as error:
                self._pieces.found_corrupt(str(error))
            else:
                self._pieces.verified(start, sealed)
                return

    def _open_frames(self, first: int, sealed: memoryview, plain: memoryview) -> None:
        opened = 0
        for index, position in enumerate(range(0, len(sealed), SEALED_FRAME_BYTES), start=first):
            frame = sealed[position : position + SEALED_FRAME_BYTES]
            opened += self._opener.open_into(index, frame, plain[opened:])

    def _make_room(self, sealed_bytes: int) -> None:
        if len(self._sealed) < sealed_bytes:
            self._sealed = bytearray(sealed_bytes)
            self._plain = bytearray(sealed_bytes)


def _opener(blob: Blob, ring: KeyRing) -> FrameOpener:
    """Raises KeyUnavailable, SealBroken."""
    assert blob.key_id is not None
    assert blob.wrapped_dek is not None
    assert blob.frame_bytes is not None
    envelope = Envelope(key_id=blob.key_id, wrapped_dek=blob.wrapped_dek, frame_bytes=blob.frame_bytes)
    return open_blob(ring, envelope, blob.blob_id, blob.size_bytes)
