"""Frames: a blob's plaintext in AEAD units of 64 KiB, so that a range opens only what it touches.

Written down in docs/reference/formats/sealing.md. Frame i of a blob is `CIPHERTEXT || TAG` of AES-256-GCM under the
blob's own data key, nonce i, and associated data that binds format, blob, index, and on the last frame the size.
"""

import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.errors import SealBroken
from engine.sealing.box import NONCE_BYTES, TAG_BYTES
from engine.units import FRAME_BYTES

SEALED_FRAME_BYTES = FRAME_BYTES + TAG_BYTES
_FORMAT = b"PSF1"
_AAD = struct.Struct(">4s16sQ?Q")
_SIZE_OF_OTHERS = 0


def frame_count(size_bytes: int) -> int:
    """Frames of a plaintext; an empty one has one empty frame, so that its emptiness is authenticated too."""
    return max(1, -(-size_bytes // FRAME_BYTES))


def sealed_bytes(size_bytes: int) -> int:
    """Stored size of a plaintext."""
    return size_bytes + frame_count(size_bytes) * TAG_BYTES


def frame_size(index: int, size_bytes: int) -> int:
    """Plaintext bytes of one frame."""
    return min(FRAME_BYTES, size_bytes - index * FRAME_BYTES)


def frames_touched(start: int, stop: int) -> range:
    """Indexes of the frames that plaintext bytes `start` to `stop` lie in; `stop` is behind the last, at least one."""
    return range(start // FRAME_BYTES, (stop - 1) // FRAME_BYTES + 1)


def stored_span(frames: range, size_bytes: int) -> tuple[int, int]:
    """Where consecutive frames of a plaintext of `size_bytes` begin and end among the stored bytes."""
    return frames.start * SEALED_FRAME_BYTES, min(frames.stop * SEALED_FRAME_BYTES, sealed_bytes(size_bytes))


class FrameSealer:
    """Seals one blob's plaintext once, frame by frame, in order. A data key never seals a second run."""

    def __init__(self, dek: bytes, blob_id: bytes, size_bytes: int) -> None:
        self._cipher = AESGCM(dek)
        self._blob_id = blob_id
        self._size_bytes = size_bytes
        self._last_index = frame_count(size_bytes) - 1
        self._index = 0

    def seal_into(self, plaintext: memoryview, out: memoryview) -> int:
        """Seal the next frame into `out`; the bytes written. The plaintext is exactly `frame_size` of that frame."""
        index = self._index
        if index > self._last_index or len(plaintext) != frame_size(index, self._size_bytes):
            raise ValueError("a frame out of order or of the wrong size")
        # Counted before it is used: a call that fails half-way must not leave its nonce to the next one.
        self._index += 1
        aad = _aad(self._blob_id, index, self._last_index, self._size_bytes)
        size_bytes = len(plaintext) + TAG_BYTES
        self._cipher.encrypt_into(_nonce(index), plaintext, aad, out[:size_bytes])
        return size_bytes


class FrameOpener:
    """Opens frames of one blob in any order; safe for many threads."""

    def __init__(self, dek: bytes, blob_id: bytes, size_bytes: int) -> None:
        self._cipher = AESGCM(dek)
        self._blob_id = blob_id
        self._size_bytes = size_bytes
        self._last_index = frame_count(size_bytes) - 1

    def open_into(self, index: int, sealed: memoryview, out: memoryview) -> int:
        """Open frame `index` into `out`; the bytes written. Raises SealBroken for anything but that very frame.

        What stands in `out` after a refusal is not authenticated and must not be looked at.
        """
        size_bytes = len(sealed) - TAG_BYTES
        if not 0 <= index <= self._last_index or size_bytes != frame_size(index, self._size_bytes):
            raise SealBroken(f"blob {self._blob_id.hex()} has no frame {index} of that size")
        aad = _aad(self._blob_id, index, self._last_index, self._size_bytes)
        try:
            self._cipher.decrypt_into(_nonce(index), sealed, aad, out[:size_bytes])
        except InvalidTag as error:
            raise SealBroken(f"frame {index} of blob {self._blob_id.hex()} does not open") from error
        return size_bytes


def _nonce(index: int) -> bytes:
    return index.to_bytes(NONCE_BYTES, "big")


def _aad(blob_id: bytes, index: int, last_index: int, size_bytes: int) -> bytes:
    is_last = index == last_index
    return _AAD.pack(_FORMAT, blob_id, index, is_last, size_bytes if is_last else _SIZE_OF_OTHERS)
