"""The key ring: the deployment's ring keys, opened at start by the provider's key or not at all."""

import hmac
import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from engine.errors import KeyUnavailable, StartRefused, WrongKey
from engine.sealing.box import KEY_BYTES, RandomBytes
from engine.sealing.providers import KeyProvider
from engine.sealing.ring_key import DEK_BYTES, WRAPPED_DEK_BYTES, RingKey

__all__ = [
    "DEK_BYTES",
    "WRAPPED_DEK_BYTES",
    "KeyRing",
    "KeyState",
    "RingKey",
    "RingKeyRecord",
    "new_ring_key",
]


class KeyState(Enum):
    """What a ring key is there for: to wrap and open, to open, to open cards that still name it, for nothing."""

    PRIMARY = "primary"
    ACTIVE = "active"
    RETIRED = "retired"
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RingKeyRecord:
    """A ring key at rest. `provider` is the name of the one that wrapped it."""

    key_id: bytes
    key_name: str
    provider: str
    wrapped_material: bytes
    state: KeyState
    check_value: bytes


class KeyRing:
    """The deployment's ring keys, open. Immutable: another ring is another object. Safe for many threads."""

    def __init__(
        self, records: Iterable[RingKeyRecord], provider: KeyProvider, random: RandomBytes = os.urandom
    ) -> None:
        """Open every key that is not destroyed, and compare each with its fingerprint and check value.

        Raises WrongKey when the provider's key is another one or a record was altered, StartRefused when not exactly
        one key is primary. A ring is never made here, whatever is missing.
        """
        self._keys: dict[bytes, RingKey] = {}
        primaries: list[RingKey] = []
        for record in records:
            if record.state is KeyState.DESTROYED:
                continue
            key = _opened(record, provider, random)
            if record.key_id in self._keys:
                raise StartRefused(f"the key ring holds the key {record.key_id.hex()} twice")
            self._keys[record.key_id] = key
            if record.state is KeyState.PRIMARY:
                primaries.append(key)
        if len(primaries) != 1:
            raise StartRefused(f"the key ring has {len(primaries)} primary keys, one is needed")
        self.primary = primaries[0]

    def key(self, key_id: bytes) -> RingKey:
        """Raises KeyUnavailable for a key that is not on the ring, or destroyed."""
        found = self._keys.get(key_id)
        if found is None:
            raise KeyUnavailable(key_id=key_id.hex())
        return found


def new_ring_key(
    provider: KeyProvider, *, key_name: str = "default", random: RandomBytes = os.urandom
) -> RingKeyRecord:
    """A fresh primary key, wrapped by the provider. For a new deployment or a rotation, never to replace a lost one."""
    material = random(KEY_BYTES)
    key = RingKey(material)
    return RingKeyRecord(
        key_id=key.key_id,
        key_name=key_name,
        provider=provider.name,
        wrapped_material=provider.wrap(material),
        state=KeyState.PRIMARY,
        check_value=key.check_value,
    )


def _opened(record: RingKeyRecord, provider: KeyProvider, random: RandomBytes) -> RingKey:
    material = provider.unwrap(record.wrapped_material)
    if len(material) != KEY_BYTES:
        raise WrongKey(f"ring key {record.key_id.hex()} has {len(material)} bytes")
    key = RingKey(material, random)
    same_id = hmac.compare_digest(key.key_id, record.key_id)
    if not same_id or not hmac.compare_digest(key.check_value, record.check_value):
        raise WrongKey(f"ring key {record.key_id.hex()} is not what its fingerprint and check value say")
    return key
