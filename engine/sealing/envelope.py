"""The envelope of a blob: a fresh data key, wrapped by the ring, and the frames it seals.

There is no cache of unwrapped data keys: unwrapping one takes about as long as looking it up under a lock would,
and what is not kept cannot leak.
"""

from dataclasses import dataclass

from engine.errors import SealBroken
from engine.sealing.frames import FrameOpener, FrameSealer
from engine.sealing.keyring import KeyRing
from engine.units import FRAME_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What a blob's row keeps of its sealing."""

    key_id: bytes
    wrapped_dek: bytes
    frame_bytes: int


def seal_blob(ring: KeyRing, blob_id: bytes, size_bytes: int) -> tuple[Envelope, FrameSealer]:
    """A fresh data key under the primary key, for one blob and one run of plaintext of `size_bytes`."""
    dek, wrapped_dek = ring.primary.new_dek(blob_id)
    envelope = Envelope(key_id=ring.primary.key_id, wrapped_dek=wrapped_dek, frame_bytes=FRAME_BYTES)
    return envelope, FrameSealer(dek, blob_id, size_bytes)


def open_blob(ring: KeyRing, envelope: Envelope, blob_id: bytes, size_bytes: int) -> FrameOpener:
    """Raises KeyUnavailable, and SealBroken when the wrapped key is another blob's, or the frame size is unknown."""
    if envelope.frame_bytes != FRAME_BYTES:
        raise SealBroken(f"frames of {envelope.frame_bytes} bytes are of no known format")
    dek = ring.key(envelope.key_id).unwrap_dek(envelope.wrapped_dek, blob_id)
    return FrameOpener(dek, blob_id, size_bytes)
