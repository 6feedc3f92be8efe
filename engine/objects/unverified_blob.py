"""Regions of a plain blob with pieces on backends whose blocks leave unchecked (`verify_reads: false`)."""

from engine.backends.base import PieceReader
from engine.errors import BackendError
from engine.objects.blob_pieces import BlobPieces
from engine.objects.blob_regions import COPIED_BYTES_MAX, PlainBlob
from engine.objects.buffers import BlockPool
from engine.pipes import Pipe, PipePool
from engine.streams import Region, WouldBlock
from engine.units import BLOCK_BYTES


class UnverifiedBlob:
    """While such a piece serves, just the bytes asked for go out as they come; another piece is verified as ever.

    Its pieces are those of `verified`, which closes them.
    """

    def __init__(
        self, pieces: BlobPieces, verified: PlainBlob, pool: BlockPool, pipes: PipePool | None
    ) -> None:
        """Without `pipes` all bytes pass through memory, but those in local files."""
        self._pieces = pieces
        self._verified = verified
        self._pool = pool
        self._pipes = pipes
        self._pipe: Pipe | None = None
        self._buffer = bytearray()

    def region(self, offset: int, limit: int, /, *, nowait: bool) -> Region:
        pieces = self._pieces
        while True:
            if nowait and pieces.may_wait:
                raise WouldBlock
            piece = pieces.current()
            if pieces.is_verified:
                self._give_back()
                return self._verified.region(offset, limit, nowait=nowait)
            try:
                region = self._take(piece, offset, limit, nowait=nowait)
            except BackendError as error:
                pieces.failed(error)
                continue
            if region is not None:
                pieces.unverified()
                return region

    def close(self) -> None:
        self._give_back()
        self._verified.close()

    def _take(self, piece: PieceReader, offset: int, limit: int, *, nowait: bool) -> Region | None:
        """Null when another piece, which is verified, has taken its place meanwhile: it answered first."""
        region = piece.take(offset, limit, pipe=self._open_pipe(), nowait=nowait)
        if region is not None or self._pieces.is_verified:
            return region
        block = self._room_for(min(limit, BLOCK_BYTES))
        piece.read_into(offset, block, nowait=nowait)
        return block

    def _open_pipe(self) -> Pipe | None:
        if self._pipe is None and self._pipes is not None and self._pieces.is_far:
            self._pipe = self._pipes.take()
        return self._pipe

    def _room_for(self, size_bytes: int) -> memoryview:
        if len(self._buffer) < size_bytes:
            self._give_buffer_back()
            self._buffer = bytearray(size_bytes) if size_bytes <= COPIED_BYTES_MAX else self._pool.take()
        return memoryview(self._buffer)[:size_bytes]

    def _give_back(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None and self._pipes is not None:
            self._pipes.give_back(pipe)
        self._give_buffer_back()

    def _give_buffer_back(self) -> None:
        buffer, self._buffer = self._buffer, bytearray()
        if len(buffer) == BLOCK_BYTES:
            self._pool.give_back(buffer)
