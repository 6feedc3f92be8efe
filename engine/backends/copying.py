"""One piece copied to another backend, block by verified block, before any row names it."""

from collections.abc import Callable, Iterator

from engine.backends.base import Backend, PieceTail, StoredPiece
from engine.errors import BackendError, BackendUnavailable, Overloaded, PieceCorrupt
from engine.integrity.blocks import block_crc_matches
from engine.units import BLOCK_BYTES

BeforeBlock = Callable[[int], None]
"""Told the size of each block before it is read: where a copy may be held back."""


class SourceFailed(Exception):
    """The piece to copy from could not be read; the target is not to blame."""

    def __init__(self, error: BackendError) -> None:
        super().__init__(str(error))
        self.error = error


def copy_piece(
    source: Backend,
    source_key: str,
    target: Backend,
    *,
    target_key: str | None,
    payload_bytes: int,
    tail: PieceTail,
    buffer: bytearray,
    before_block: BeforeBlock = lambda size_bytes: None,
) -> StoredPiece:
    """Copy a payload under a tail of its own; nothing that does not verify is written. `buffer` is one block.

    Raises SourceFailed, or what writing to the target raises, which then holds dead space or a stray.
    """
    writer = target.open_writer(payload_bytes, len(tail.card), storage_key=target_key)
    try:
        for block in verified_blocks(
            source, source_key, payload_bytes, tail.block_crcs, buffer=buffer, before_block=before_block
        ):
            writer.write(block)
        return writer.finish(tail)
    except BaseException:
        writer.abort()
        raise


def copy_held_piece(
    source: Backend,
    source_key: str,
    target: Backend,
    *,
    target_key: str | None,
    payload_bytes: int,
    tail: PieceTail,
    buffer: bytearray,
    before_block: BeforeBlock = lambda size_bytes: None,
) -> StoredPiece:
    """As `copy_piece`, through memory: many small pieces share the sync of their barrier, as small PUTs do."""
    payload = bytearray()
    for block in verified_blocks(
        source, source_key, payload_bytes, tail.block_crcs, buffer=buffer, before_block=before_block
    ):
        payload += block
    return target.store(memoryview(payload), tail, storage_key=target_key)


def verified_blocks(
    source: Backend,
    source_key: str,
    payload_bytes: int,
    block_crcs: bytes,
    *,
    buffer: bytearray,
    before_block: BeforeBlock = lambda size_bytes: None,
) -> Iterator[memoryview]:
    """The payload block by block through one buffer, each verified; raises SourceFailed at the first that is not."""
    try:
        reader = source.open_reader(source_key, payload_bytes)
    except BackendError as error:
        raise SourceFailed(error) from error
    except Overloaded as error:
        raise SourceFailed(BackendUnavailable(str(error), backend=source.name)) from error
    try:
        for index, start in enumerate(range(0, payload_bytes, BLOCK_BYTES)):
            block = memoryview(buffer)[: min(BLOCK_BYTES, payload_bytes - start)]
            before_block(len(block))
            try:
                reader.read_into(start, block)
                if not block_crc_matches(block_crcs, index, block):
                    raise PieceCorrupt("a block does not verify", backend=source.name)
            except BackendError as error:
                raise SourceFailed(error) from error
            yield block
    finally:
        reader.close()
