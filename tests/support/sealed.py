"""Key rings of tests, and blobs sealed and opened whole."""

from collections.abc import Sequence
from dataclasses import replace

from engine.errors import SealBroken
from engine.sealing.box import RandomBytes
from engine.sealing.frames import SEALED_FRAME_BYTES, FrameOpener, FrameSealer, frame_count, sealed_bytes
from engine.sealing.keyring import KeyRing, KeyState, RingKeyRecord, new_ring_key
from engine.sealing.providers import LocalProvider
from engine.units import FRAME_BYTES

PROVIDER = LocalProvider("inline", bytes(range(32)))


def make_ring(*older: RingKeyRecord) -> KeyRing:
    """A ring with a fresh primary key; `older` ones still open."""
    active = [replace(each, state=KeyState.ACTIVE) for each in older]
    return KeyRing([*active, new_ring_key(PROVIDER)], PROVIDER)


def prescribed(*values: bytes) -> RandomBytes:
    """Randomness that a vector lays down, each value once and in order."""
    remaining = list(values)

    def give(size_bytes: int, /) -> bytes:
        value = remaining.pop(0)
        assert len(value) == size_bytes
        return value

    return give


def seal_whole(sealer: FrameSealer, plain: bytes) -> bytes:
    """All frames of a plaintext, one after the other."""
    out = memoryview(bytearray(sealed_bytes(len(plain))))
    written = 0
    for index in range(frame_count(len(plain))):
        frame = memoryview(plain)[index * FRAME_BYTES : (index + 1) * FRAME_BYTES]
        written += sealer.seal_into(frame, out[written:])
    assert written == len(out)
    return bytes(out)


def open_whole(opener: FrameOpener, sealed: bytes, size_bytes: int) -> bytes:
    """The plaintext of all frames, read as a row of `size_bytes` says they lie; raises SealBroken."""
    if len(sealed) != sealed_bytes(size_bytes):
        raise SealBroken("the stored size is another one")
    return b"".join(open_frames(opener, sealed, range(frame_count(size_bytes))))


def open_frames(opener: FrameOpener, sealed: bytes, frames: range) -> Sequence[bytes]:
    """Some frames out of all stored bytes."""
    opened = []
    for index in frames:
        frame = memoryview(sealed)[index * SEALED_FRAME_BYTES : (index + 1) * SEALED_FRAME_BYTES]
        out = memoryview(bytearray(FRAME_BYTES))
        opened.append(bytes(out[: opener.open_into(index, frame, out)]))
    return opened
