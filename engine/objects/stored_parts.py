"""Which stored bytes are read for a part of a blob whose bytes are checked: whole frames, whole blocks."""

from engine.records import Blob
from engine.sealing.frames import frames_touched, stored_span
from engine.units import BLOCK_BYTES


def stored_part(blob: Blob, offset: int, length: int) -> tuple[int, int]:
    """Where the stored bytes begin and end that are read for a part of a blob."""
    if blob.is_sealed:
        return stored_span(frames_touched(offset, offset + length), blob.size_bytes)
    start = offset - offset % BLOCK_BYTES
    stop = -(-(offset + length) // BLOCK_BYTES) * BLOCK_BYTES
    return start, min(stop, blob.stored_bytes)
