"""The key ring of a deployment: its provider, its rows, and the two kinds of secrets it seals for the database."""

from collections.abc import Iterable

from engine.errors import SealBroken
from engine.metadata.keys import KeyRow
from engine.sealing.keyring import KeyRing, KeyState, RingKeyRecord
from engine.sealing.providers import KeyProvider, file_provider, inline_provider
from engine.sealing.ring_key import KEY_ID_BYTES
from engine.settings.node import FileKeys, InlineKeys

_GENERATION_LABEL = b"generation"
_ACCESS_KEY_LABEL = b"access key "


def key_provider(keys: FileKeys | InlineKeys) -> KeyProvider:
    """The provider that the node's settings name; raises StartRefused."""
    if isinstance(keys, FileKeys):
        return file_provider(keys.path)
    return inline_provider(keys.material.reveal())


def open_ring(rows: Iterable[KeyRow], provider: KeyProvider) -> KeyRing:
    """Raises WrongKey when the provider's key is another one, StartRefused when the ring is not whole."""
    return KeyRing((_record(row) for row in rows), provider)


class DocumentSeal:
    """Seals and opens the literal secrets of generations' documents: `KEY ID || SEALED SECRET`, label `generation`."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def seal(self, plain: bytes, /) -> bytes:
        return self._ring.primary.key_id + self._ring.primary.seal_secret(plain, _GENERATION_LABEL)

    def open(self, sealed: bytes, /) -> bytes:
        """Raises SealBroken, KeyUnavailable."""
        if len(sealed) < KEY_ID_BYTES:
            raise SealBroken("a secret of a generation is cut short")
        key = self._ring.key(sealed[:KEY_ID_BYTES])
        return key.open_secret(sealed[KEY_ID_BYTES:], _GENERATION_LABEL)


def seal_access_secret(ring: KeyRing, access_key_id: str, secret: str) -> bytes:
    """The secret of an access key under the primary ring key, label `access key ` and the key's id."""
    return ring.primary.seal_secret(secret.encode(), _ACCESS_KEY_LABEL + access_key_id.encode())


def open_access_secret(ring: KeyRing, access_key_id: str, key_id: bytes, sealed: bytes) -> str:
    """Raises SealBroken, KeyUnavailable."""
    return ring.key(key_id).open_secret(sealed, _ACCESS_KEY_LABEL + access_key_id.encode()).decode()


def _record(row: KeyRow) -> RingKeyRecord:
    return RingKeyRecord(
        key_id=row.key_id,
        key_name=row.key_name,
        provider=row.provider,
        wrapped_material=row.wrapped_material,
        state=KeyState(row.state),
        check_value=row.check_value,
    )
