"""Boxes: short things encrypted and bound to what they belong to, `NONCE || CIPHERTEXT || TAG`."""

from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.errors import SealBroken

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
BOX_BYTES = NONCE_BYTES + TAG_BYTES
"""What a box adds to its contents."""

RandomBytes = Callable[[int], bytes]
"""Makes so many unpredictable bytes: `os.urandom`, and in tests of vectors what they prescribe."""


class Box:
    """Boxes under one key. Safe for many threads; the bound on boxes per key stands in the format's page."""

    def __init__(self, key: bytes, random: RandomBytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key of {len(key)} bytes, {KEY_BYTES} are needed")
        self._cipher = AESGCM(key)
        self._random = random

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        nonce = self._random(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plaintext, aad)

    def open(self, sealed: bytes, aad: bytes) -> bytes:
        """Raises SealBroken unless it was sealed under this key and with this very `aad`."""
        if len(sealed) < BOX_BYTES:
            raise SealBroken("sealed bytes are cut short")
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], aad)
        except InvalidTag as error:
            raise SealBroken("sealed bytes do not open: they were altered or belong elsewhere") from error
