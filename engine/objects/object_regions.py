"""The bytes of a span of an object, region after region, from whatever blobs and pieces hold them."""

from collections.abc import Collection

from engine.objects.blob_pieces import BlobPieces
from engine.objects.blob_regions import BlobRegions, PlainBlob, SealedBlob
from engine.objects.buffers import BlockPool
from engine.objects.piece_choice import PieceChoice
from engine.objects.reserving import Part, Reservation, Reserver
from engine.objects.slice_pages import SlicePages
from engine.objects.stored_parts import stored_part
from engine.objects.unverified_blob import UnverifiedBlob
from engine.pipes import PipePool
from engine.records import StoredSlice
from engine.sealing.keyring import KeyRing
from engine.streams import Region, WouldBlock, region_bytes
from engine.units import MIB

AHEAD_BYTES = 4 * MIB
"""When so little of a blob is left, the next one of the read is asked for, where that takes a network."""


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
        reserver: Reserver | None = None,
        unverified: Collection[int] = (),
        pipes: PipePool | None = None,
    ) -> None:
        """With `reserver` what the body takes of limited backends is set aside before its first byte.

        Plain blocks that lie on backends in `unverified` leave unchecked, with `pipes` through these where they can.
        """
        self.remaining_bytes = stop - start
        self._slices = slices
        self._choice = choice
        self._ring = ring
        self._pool = pool
        self._copied_bytes_max = copied_bytes_max
        self._position = start
        self._reserver = reserver
        self._unverified = unverified
        self._pipes = pipes
        self._reservation: Reservation | None = None
        self._slice: StoredSlice | None = None
        self._blob: BlobRegions | None = None
        self._pieces: BlobPieces | None = None
        self._ahead: tuple[StoredSlice, BlobPieces] | None = None

    def next_region(self, *, nowait: bool = False) -> Region | None:
        """The next bytes, mostly a block of them; a failed piece is replaced at the very byte it failed."""
        if self.remaining_bytes == 0:
            self.close()
            return None
        if self._reserver is not None:
            if nowait:
                raise WouldBlock
            self._reserve(self._reserver)
        stored = self._slices.find(self._position)
        if stored is None:
            if nowait:
                raise WouldBlock
            stored = self._slices.at(self._position)
        blob = self._blob
        # The piece before stayed open until now: its region may still have been on its way out.
        if blob is None or stored is not self._slice:
            blob = self._enter(stored)
        within = self._position - stored.segment.start_offset
        left_bytes = stored.segment.length - within
        limit = min(self.remaining_bytes, left_bytes)
        is_near_its_end = left_bytes <= AHEAD_BYTES and self.remaining_bytes > left_bytes
        if is_near_its_end and not nowait and self._reserver is None:
            self._ask_ahead(
                stored.segment.start_offset + stored.segment.length, self.remaining_bytes - left_bytes
            )
        region = blob.region(stored.segment.blob_offset + within, limit, nowait=nowait)
        size_bytes = region_bytes(region)
        self._position += size_bytes
        self.remaining_bytes -= size_bytes
        return region

    def unsent(self, left_bytes: int, error: OSError | None, /) -> None:
        """The piece that should have given them is left for another one, at that byte."""
        assert self._pieces is not None
        self._position -= left_bytes
        self.remaining_bytes += left_bytes
        self._pieces.lost(error)

    def close(self) -> None:
        """Give back descriptors, buffers and what was set aside; a second call does nothing."""
        self._leave()
        if self._reservation is not None:
            self._reservation.close()
        if self._ahead is not None:
            self._ahead[1].close()
            self._ahead = None

    def _leave(self) -> None:
        if self._blob is not None:
            self._blob.close()
            self._blob = None

    def _reserve(self, reserver: Reserver) -> None:
        """Of the slices that are known: those of the first page, 4 GiB of an ordinary object."""
        if self._reservation is None:
            self._reservation = Reservation(reserver, self._choice)
            wanted = self._slices.known_from(self._position, self._position + self.remaining_bytes)
            self._reservation.take([self._reserved_part(each) for each in wanted])

    def _reserved_part(self, stored: StoredSlice) -> Part:
        """With the most that whichever copy serves is asked for."""
        start, stop = stored_part(stored.blob, *self._wanted_part(stored))
        return stored, stop - start

    def _wanted_part(self, stored: StoredSlice) -> tuple[int, int]:
        """Where what is wanted of a slice begins in its blob, and how long it is."""
        segment = stored.segment
        first = max(0, self._position - segment.start_offset)
        last = min(segment.length, self._position + self.remaining_bytes - segment.start_offset)
        return segment.blob_offset + first, last - first

    def _ask_ahead(self, position: int, wanted_bytes: int) -> None:
        if self._ahead is not None:
            return
        stored = self._slices.find(position)
        if stored is None:
            return
        pieces = BlobPieces(self._choice, stored, unverified=self._unverified)
        self._ahead = (stored, pieces)
        pieces.ask_ahead(stored.segment.blob_offset, min(wanted_bytes, stored.segment.length))

    def _enter(self, stored: StoredSlice) -> BlobRegions:
        self._leave()
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] is stored:
            pieces = ahead[1]
        else:
            if ahead is not None:
                ahead[1].close()
            pieces = BlobPieces(self._choice, stored, unverified=self._unverified)
        self._slice, self._pieces = stored, pieces
        if self._reservation is not None and self._reservation.release(stored):
            pieces.ask(*self._wanted_part(stored))
        self._blob = self._regions_of(stored, pieces)
        return self._blob

    def _regions_of(self, stored: StoredSlice, pieces: BlobPieces) -> BlobRegions:
        if stored.blob.is_sealed:
            return SealedBlob(stored.blob, pieces, self._ring)
        plain = PlainBlob(stored.blob, pieces, self._pool, copied_bytes_max=self._copied_bytes_max)
        if self._unverified and any(each.backend_id in self._unverified for each in stored.locations):
            return UnverifiedBlob(pieces, plain, self._pool, self._pipes)
        return plain
