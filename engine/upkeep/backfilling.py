"""Imported blobs read once where they lie, so that reads of them are verified from then on."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

from blake3 import blake3

from engine.errors import BackendError, Overloaded, PieceCorrupt, PieceMissing
from engine.imported import is_imported, storage_keys_of
from engine.integrity.blocks import BlockChecksums
from engine.metadata import quota
from engine.metadata.locations import mark_location
from engine.metadata.pieces import StandingPiece, list_pieces, mark_verified
from engine.metadata.store import Store, Tx
from engine.records import LocationState
from engine.units import BLOCK_BYTES, MIB
from engine.upkeep.long_work import Extent, Fence, Json, Pace, Step
from engine.upkeep.moved_pieces import BackendRegistry

PAGE_COUNT_MAX = 100
STEP_BYTES_MAX = 64 * MIB
"""Bytes read in one step; the blob that reaches it is the last."""

_BEFORE_ALL = storage_keys_of("")[:-1]
"""No storage key of an imported object comes before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillCursor:
    """Where a backfill stands: the last storage key seen to, and what came of all before."""

    after: str = _BEFORE_ALL
    filled_count: int = 0
    filled_bytes: int = 0
    large_count: int = 0
    bad_count: int = 0
    unreached_count: int = 0

    def write(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    def result(self) -> dict[str, Json]:
        """What the operation answers in the end."""
        return {
            "filled_count": self.filled_count,
            "size_bytes": self.filled_bytes,
            "large_count": self.large_count,
            "bad_count": self.bad_count,
            "unreached_count": self.unreached_count,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What reading a piece gave."""

    piece: StandingPiece
    content_hash: bytes
    block_crcs: bytes


class ChecksumBackfill:
    """Implements `engine.upkeep.long_work.LongWork` for one backend. Repeating a step reads the same blobs again."""

    def __init__(
        self,
        store: Store,
        backends: BackendRegistry,
        *,
        backend_id: int,
        blob_bytes_max: int,
        fence: Fence,
        pace: Pace,
    ) -> None:
        """A blob of more than `blob_bytes_max` gets its digest alone: its blocks' checksums would be a large row."""
        self._store = store
        self._backends = backends
        self._backend_id = backend_id
        self._blob_bytes_max = blob_bytes_max
        self._fence = fence
        self._pace = pace
        self._buffer = memoryview(bytearray(BLOCK_BYTES))

    def measure(self) -> Extent:
        totals = self._store.read(partial(quota.read_quota, subject=quota.backend_subject(self._backend_id)))
        return Extent() if totals is None else Extent(item_count=totals.object_count)

    def step(self, cursor: str | None, /) -> Step:
        position = BackfillCursor() if cursor is None else BackfillCursor(**json.loads(cursor))
        page = self._store.read(
            partial(list_pieces, backend_id=self._backend_id, after=position.after, count_max=PAGE_COUNT_MAX)
        )
        page = [each for each in page if is_imported(each.location.storage_key)]
        if not page:
            return Step(cursor=position.write(), is_last=True, stage="reading", result=position.result())
        read: list[_Read] = []
        bad: list[StandingPiece] = []
        warnings: list[str] = []
        read_bytes = seen_count = 0
        for piece in page:
            if read_bytes >= STEP_BYTES_MAX or (seen_count and self._pace.is_over):
                break
            seen_count += 1
            position = replace(position, after=piece.location.storage_key)
            if piece.blob.content_hash is not None or not piece.blob.stored_bytes:
                continue
            read_bytes += piece.blob.stored_bytes
            try:
                read.append(self._read(piece))
            except (PieceMissing, PieceCorrupt) as error:
                bad.append(piece)
                warnings.append(f"piece {piece.location.storage_key}: {error}")
            except (BackendError, Overloaded) as error:
                position = replace(position, unreached_count=position.unreached_count + 1)
                warnings.append(f"piece {piece.location.storage_key} could not be reached: {error}")
        self._store.write(lambda tx: self._tell(tx, read, bad))
        now = replace(
            position,
            filled_count=position.filled_count + len(read),
            filled_bytes=position.filled_bytes + sum(each.piece.blob.stored_bytes for each in read),
            large_count=position.large_count + sum(not each.block_crcs for each in read),
            bad_count=position.bad_count + len(bad),
        )
        return Step(
            cursor=now.write(),
            is_last=False,
            item_count=seen_count,
            failed_count=len(warnings),
            moved_bytes=read_bytes,
            stage="reading",
            warnings=tuple(warnings),
        )

    def cancelled(self) -> None:
        """What was read is known; the rest is not."""

    def _read(self, piece: StandingPiece) -> _Read:
        size_bytes = piece.blob.stored_bytes
        content, crcs = blake3(), BlockChecksums()
        reader = self._backends.get(self._backend_id).open_reader(piece.location.storage_key, size_bytes)
        try:
            for start in range(0, size_bytes, BLOCK_BYTES):
                block = self._buffer[: min(BLOCK_BYTES, size_bytes - start)]
                self._pace.take(len(block))
                reader.read_into(start, block)
                content.update(block)
                crcs.update(block)
        finally:
            reader.close()
        is_large = size_bytes > self._blob_bytes_max
        return _Read(
            piece=piece, content_hash=content.digest(), block_crcs=b"" if is_large else crcs.finish()
        )

    def _tell(self, tx: Tx, read: Sequence[_Read], bad: Sequence[StandingPiece]) -> None:
        self._fence(tx)
        for each in read:
            tx.run(
                "set_blob_checksums",
                {
                    "blob_id": each.piece.location.blob_id,
                    "content_hash": each.content_hash,
                    "block_crcs": each.block_crcs,
                },
            )
        mark_verified(tx, [each.piece.location for each in read])
        for piece in bad:
            mark_location(tx, piece.location, LocationState.LOST)
