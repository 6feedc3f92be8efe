"""The key ring: AES-256 keys with a fingerprint and a check value, and everything they wrap or derive."""

import hmac
import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from engine.errors import KeyUnavailable, SealBroken, WrongKey
from engine.sealing.providers import KEY_BYTES, NONCE_BYTES, KeyProvider

KEY_ID_BYTES = 16
CHECK_BYTES = 16
DEK_BYTES = 32
TAG_BYTES = 16
WRAPPED_DEK_BYTES = NONCE_BYTES + DEK_BYTES + TAG_BYTES


class KeyState(Enum):
    """What a ring key may do: wrap and open, open, open cards only, nothing."""

    PRIMARY = "primary"
    ACTIVE = "active"
    RETIRED = "retired"
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RingKeyRecord:
    """A ring key at rest."""

    key_id: bytes
    key_name: str
    provider: str
    wrapped_material: bytes
    state: KeyState
    check_value: bytes


class RingKey:
    """An open ring key. Each use has a key of its own, derived by HKDF-SHA256 (RFC 5869) with a label."""

    def __init__(self, material: bytes) -> None:
        self._material = material
        self.key_id = self._derive(b"key id", KEY_ID_BYTES)
        self.check_value = self._derive(b"check value", CHECK_BYTES)
        self.card_mac_key = self._derive(b"card mac", KEY_BYTES)
        self.card_cipher = AESGCM(self._derive(b"card seal", KEY_BYTES))
        self._dek_cipher = AESGCM(self._derive(b"dek wrap", KEY_BYTES))
        self._secret_cipher = AESGCM(self._derive(b"secrets", KEY_BYTES))

    def wrap_dek(self, dek: bytes, blob_id: bytes) -> bytes:
        """`NONCE || CIPHERTEXT || TAG`, bound to the blob."""
        return _seal(self._dek_cipher, dek, blob_id)

    def unwrap_dek(self, wrapped: bytes, blob_id: bytes) -> bytes:
        """Raises SealBroken when it was altered or is another blob's."""
        return _open(self._dek_cipher, wrapped, blob_id)

    def seal_secret(self, secret: bytes, label: bytes) -> bytes:
        """A small secret for a row, bound to a label that says what it is."""
        return _seal(self._secret_cipher, secret, label)

    def open_secret(self, sealed: bytes, label: bytes) -> bytes:
        return _open(self._secret_cipher, sealed, label)

    def _derive(self, label: bytes, size_bytes: int) -> bytes:
        info = b"penstock v1 " + label
        return HKDF(algorithm=SHA256(), length=size_bytes, salt=None, info=info).derive(self._material)


class KeyRing:
    """The deployment's ring keys, open. Immutable: another ring is another object."""

    def __init__(self, records: Iterable[RingKeyRecord], provider: KeyProvider) -> None:
        """Open every key that is not destroyed; raises WrongKey when the provider's key is another one."""
        self._keys: dict[bytes, RingKey] = {}
        primary: RingKey | None = None
        for record in records:
            if record.state is KeyState.DESTROYED:
                continue
            key = RingKey(provider.unwrap(record.wrapped_material))
            matches = hmac.compare_digest(key.check_value, record.check_value)
            if not matches or key.key_id != record.key_id:
                raise WrongKey(f"ring key {record.key_id.hex()} does not match its check value")
            self._keys[record.key_id] = key
            if record.state is KeyState.PRIMARY:
                primary = key
        if primary is None:
            raise WrongKey("the key ring has no primary key")
        self.primary = primary

    def key(self, key_id: bytes) -> RingKey:
        """Raises KeyUnavailable for a key that is not on the ring, or destroyed."""
        found = self._keys.get(key_id)
        if found is None:
            raise KeyUnavailable(key_id=key_id.hex())
        return found


def new_ring_key(provider: KeyProvider, *, key_name: str = "default") -> RingKeyRecord:
    """A fresh primary key, wrapped by the provider."""
    material = os.urandom(KEY_BYTES)
    key = RingKey(material)
    return RingKeyRecord(
        key_id=key.key_id,
        key_name=key_name,
        provider=provider.name,
        wrapped_material=provider.wrap(material),
        state=KeyState.PRIMARY,
        check_value=key.check_value,
    )


def _seal(cipher: AESGCM, plaintext: bytes, aad: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plaintext, aad)


def _open(cipher: AESGCM, sealed: bytes, aad: bytes) -> bytes:
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], aad)
    except (InvalidTag, ValueError) as error:
        raise SealBroken("sealed bytes do not open: they were altered or belong elsewhere") from error
