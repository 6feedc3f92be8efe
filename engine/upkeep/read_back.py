"""Looking at a copy that no row names yet: that a store said it took something is not yet that it has it."""

from engine.backends.copying import SourceFailed, verified_blocks
from engine.errors import BackendError, PieceCorrupt
from engine.upkeep.long_work import Pace
from engine.upkeep.moved_pieces import PieceCopy


def payload_problem(copy: PieceCopy, *, buffer: bytearray, pace: Pace) -> BackendError | None:
    """What is wrong with its bytes, every one of which is read; null when nothing is. `buffer` is one block."""
    blob = copy.movable.blob
    try:
        for _ in verified_blocks(
            copy.backend,
            copy.copied.new.storage_key,
            blob.stored_bytes,
            blob.block_crcs,
            buffer=buffer,
            before_block=pace.take,
        ):
            pass
    except SourceFailed as failure:
        return failure.error
    return None


def tail_problem(copy: PieceCopy) -> BackendError | None:
    """What is wrong with what stands behind its payload: it is there whole if that verifies. Costs one short read."""
    blob = copy.movable.blob
    try:
        tail = copy.backend.read_tail(copy.copied.new.storage_key, blob.stored_bytes)
    except BackendError as error:
        return error
    if tail.block_crcs != blob.block_crcs:
        return PieceCorrupt("its block checksums are another blob's", backend=copy.backend.name)
    return None
