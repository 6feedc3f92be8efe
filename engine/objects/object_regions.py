"""The bytes of a span of an object, region after verified region, from whatever blobs and pieces hold them."""

from engine.objects.blob_regions import BlobRegions, PlainBlob, SealedBlob
from engine.objects.buffers import BlockPool
from engine.objects.piece_choice import BlobPieces, PieceChoice
from engine.objects.slice_pages import SlicePages
from engine.records import StoredSlice
from engine.sealing.keyring import KeyRing
from engine.streams import FileRegion, WouldBlock


class ObjectRegions:
    """Implements `engine.streams.RegionSource`. For one thread at a time; closed by the server."""

    def __init__(
        self,
        *,
        slices: SlicePages,
        choice: PieceChoice,
        ring: KeyRing,
        pool: BlockPool,
        start: int,
        stop: int,
        copied_bytes_max: int,
    ) -> None:
        self.remaining_bytes = stop - start
        self._slices = slices
        self._choice = choice
        self._ring = ring
        self._pool = pool
        self._copied_bytes_max = copied_bytes_max
        self._position = start
        self._slice: StoredSlice | None = None
        self._blob: BlobRegions | None = None

    def next_region(self, *, nowait: bool = False) -> FileRegion | memoryview | None:
        """The next verified bytes, at most a block of them; a failed piece is replaced at the very byte it failed."""
        if self.remaining_bytes == 0:
            self.close()
            return None
        if nowait and not self._slices.holds(self._position):
            raise WouldBlock
        stored = self._slices.at(self._position)
        blob = self._blob
        # The piece before stayed open until now: its region may still have been on its way out.
        if blob is None or stored is not self._slice:
            blob = self._enter(stored)
        within = self._position - stored.segment.start_offset
        limit = min(self.remaining_bytes, stored.segment.length - within)
        region = blob.region(stored.segment.blob_offset + within, limit, nowait=nowait)
        size_bytes = region.length if isinstance(region, FileRegion) else len(region)
        self._position += size_bytes
        self.remaining_bytes -= size_bytes
        return region

    def close(self) -> None:
        """Give back descriptors and buffers; a second call does nothing."""
        if self._blob is not None:
            self._blob.close()
            self._blob = None

    def _enter(self, stored: StoredSlice) -> BlobRegions:
        self.close()
        pieces = BlobPieces(self._choice, stored)
        self._slice = stored
        if stored.blob.is_sealed:
            self._blob = SealedBlob(stored.blob, pieces, self._ring)
        else:
            self._blob = PlainBlob(stored.blob, pieces, self._pool, copied_bytes_max=self._copied_bytes_max)
        return self._blob
