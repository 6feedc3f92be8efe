"""One ring key, open: its fingerprint, and a derived key for every use. Written down in the sealing format's page."""

import os

from blake3 import blake3
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from engine.sealing.box import BOX_BYTES, KEY_BYTES, Box, RandomBytes

KEY_ID_BYTES = 16
CHECK_BYTES = 16
MAC_BYTES = 32
DEK_BYTES = 32
WRAPPED_DEK_BYTES = DEK_BYTES + BOX_BYTES
_INFO = b"penstock v1 "


class RingKey:
    """Wraps data keys, seals small secrets, MACs and seals cards. The material is not kept. Safe for many threads."""

    def __init__(self, material: bytes, random: RandomBytes = os.urandom) -> None:
        if len(material) != KEY_BYTES:
            raise ValueError(f"a ring key of {len(material)} bytes, {KEY_BYTES} are needed")
        self._random = random
        self.key_id = _derived(material, b"key id", KEY_ID_BYTES)
        self.check_value = _derived(material, b"check value", CHECK_BYTES)
        self._deks = Box(_derived(material, b"dek wrap", KEY_BYTES), random)
        self._secrets = Box(_derived(material, b"secrets", KEY_BYTES), random)
        self._cards = Box(_derived(material, b"card seal", KEY_BYTES), random)
        self._card_mac_key = _derived(material, b"card mac", KEY_BYTES)
        self._audit_mac_key = _derived(material, b"audit mac", KEY_BYTES)

    def new_dek(self, blob_id: bytes) -> tuple[bytes, bytes]:
        """A fresh data key for one blob and one run of plaintext, and how it is stored."""
        dek = self._random(DEK_BYTES)
        return dek, self.wrap_dek(dek, blob_id)

    def wrap_dek(self, dek: bytes, blob_id: bytes) -> bytes:
        """The data key of a blob, bound to that blob."""
        return self._deks.seal(dek, blob_id)

    def unwrap_dek(self, wrapped: bytes, blob_id: bytes) -> bytes:
        """Raises SealBroken when it was altered or is another blob's."""
        return self._deks.open(wrapped, blob_id)

    def seal_secret(self, secret: bytes, label: bytes) -> bytes:
        """A small secret for a row, bound to a label that says what it is and whose."""
        return self._secrets.seal(secret, label)

    def open_secret(self, sealed: bytes, label: bytes) -> bytes:
        """Raises SealBroken when it was altered or sealed under another label."""
        return self._secrets.open(sealed, label)

    def card_mac(self, covered: bytes) -> bytes:
        return blake3(covered, key=self._card_mac_key).digest()

    def audit_mac(self, covered: bytes) -> bytes:
        return blake3(covered, key=self._audit_mac_key).digest()

    def seal_card(self, body: bytes, head: bytes) -> bytes:
        return self._cards.seal(body, head)

    def open_card(self, sealed: bytes, head: bytes) -> bytes:
        """Raises SealBroken."""
        return self._cards.open(sealed, head)


def _derived(material: bytes, label: bytes, size_bytes: int) -> bytes:
    """HKDF-SHA256 (RFC 5869) without salt: the material is uniform already, the label sets the uses apart."""
    return HKDF(algorithm=SHA256(), length=size_bytes, salt=None, info=_INFO + label).derive(material)
