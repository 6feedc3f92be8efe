"""One piece copied to another backend, block by verified block, before any row names it."""

from engine.backends.base import Backend, PieceTail, PieceWriter, StoredPiece
from engine.errors import BackendError, PieceCorrupt
from engine.integrity.blocks import block_crc_matches
from engine.objects.buffers import BlockPool
from engine.units import BLOCK_BYTES


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
    pool: BlockPool,
) -> StoredPiece:
    """Copy a payload under a tail of its own; nothing that does not verify is written.

    Raises SourceFailed, or what writing to the target raises, which then holds dead space or a stray.
    """
    writer = target.open_writer(payload_bytes, len(tail.card), storage_key=target_key)
    buffer = pool.take()
    try:
        _pour(source, source_key, writer, payload_bytes, tail.block_crcs, buffer)
        return writer.finish(tail)
    except BaseException:
        writer.abort()
        raise
    finally:
        pool.give_back(buffer)


def _pour(
    source: Backend,
    source_key: str,
    writer: PieceWriter,
    payload_bytes: int,
    block_crcs: bytes,
    buffer: bytearray,
) -> None:
    try:
        reader = source.open_reader(source_key, payload_bytes)
    except BackendError as error:
        raise SourceFailed(error) from error
    try:
        for index, start in enumerate(range(0, payload_bytes, BLOCK_BYTES)):
            block = memoryview(buffer)[: min(BLOCK_BYTES, payload_bytes - start)]
            try:
                reader.read_into(start, block)
                if not block_crc_matches(block_crcs, index, block):
                    raise PieceCorrupt("a block does not verify", backend=source.name)
            except BackendError as error:
                raise SourceFailed(error) from error
            writer.write(block)
    finally:
        reader.close()
