"""The ring opens with the right key or not at all, and what it wraps opens only as what it was."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import KeyUnavailable, SealBroken, StartRefused, WrongKey
from engine.sealing.keyring import (
    WRAPPED_DEK_BYTES,
    KeyRing,
    KeyState,
    RingKey,
    RingKeyRecord,
    new_ring_key,
)
from engine.sealing.providers import LocalProvider
from tests.support.sealed import PROVIDER, make_ring

BLOB_ID = b"blob-----------1"
RECORD = new_ring_key(PROVIDER)
RING = KeyRing([RECORD], PROVIDER)
DEK, WRAPPED = RING.primary.new_dek(BLOB_ID)
SECRET = RING.primary.seal_secret(b"secret", b"access key A")


def test_a_ring_opens_again_from_its_records() -> None:
    again = KeyRing([RECORD], PROVIDER)

    assert again.primary.key_id == RECORD.key_id
    assert again.key(RECORD.key_id).unwrap_dek(WRAPPED, BLOB_ID) == DEK
    assert again.primary.open_secret(SECRET, b"access key A") == b"secret"


def test_a_wrong_master_key_is_refused() -> None:
    with pytest.raises(WrongKey):
        KeyRing([RECORD], LocalProvider("inline", bytes(range(1, 33))))


def test_one_key_wrapped_by_another_master_key_refuses_the_whole_ring() -> None:
    foreign = replace(new_ring_key(LocalProvider("inline", bytes(range(1, 33)))), state=KeyState.ACTIVE)

    with pytest.raises(WrongKey):
        KeyRing([RECORD, foreign], PROVIDER)


@given(data=st.data())
def test_an_altered_record_is_refused(data: st.DataObject) -> None:
    def changed(value: bytes) -> bytes:
        damaged = bytearray(value)
        damaged[data.draw(st.integers(0, len(value) - 1))] ^= data.draw(st.integers(1, 255))
        return bytes(damaged)

    for altered in (
        replace(RECORD, key_id=changed(RECORD.key_id)),
        replace(RECORD, check_value=changed(RECORD.check_value)),
        replace(RECORD, wrapped_material=changed(RECORD.wrapped_material)),
    ):
        with pytest.raises(WrongKey):
            KeyRing([altered], PROVIDER)


@given(st.integers(0, len(RECORD.wrapped_material) - 1))
def test_cut_material_is_refused(size_bytes: int) -> None:
    with pytest.raises(WrongKey):
        KeyRing([replace(RECORD, wrapped_material=RECORD.wrapped_material[:size_bytes])], PROVIDER)


def test_material_of_another_size_is_refused_even_if_the_master_key_wrapped_it() -> None:
    with pytest.raises(WrongKey):
        KeyRing([replace(RECORD, wrapped_material=PROVIDER.wrap(bytes(16)))], PROVIDER)


def test_records_that_change_places_are_refused() -> None:
    other = new_ring_key(PROVIDER)

    with pytest.raises(WrongKey):
        KeyRing([replace(RECORD, wrapped_material=other.wrapped_material)], PROVIDER)


@pytest.mark.parametrize(
    "records",
    [
        [],
        [replace(RECORD, state=KeyState.ACTIVE)],
        [replace(RECORD, state=KeyState.DESTROYED)],
        [RECORD, new_ring_key(PROVIDER)],
        [RECORD, replace(RECORD, state=KeyState.ACTIVE)],
    ],
    ids=["no key", "no primary", "destroyed only", "two primaries", "one key twice"],
)
def test_a_ring_without_exactly_one_primary_refuses_to_start(records: list[RingKeyRecord]) -> None:
    with pytest.raises(StartRefused):
        KeyRing(records, PROVIDER)


@pytest.mark.parametrize("state", [KeyState.ACTIVE, KeyState.RETIRED])
def test_older_keys_open_and_the_primary_wraps(state: KeyState) -> None:
    ring = KeyRing([replace(RECORD, state=state), new_ring_key(PROVIDER)], PROVIDER)

    assert ring.key(RECORD.key_id).unwrap_dek(WRAPPED, BLOB_ID) == DEK
    assert ring.primary.key_id != RECORD.key_id


def test_a_destroyed_key_is_not_even_unwrapped() -> None:
    destroyed = replace(RECORD, state=KeyState.DESTROYED, wrapped_material=b"")
    ring = KeyRing([destroyed, new_ring_key(PROVIDER)], PROVIDER)

    with pytest.raises(KeyUnavailable) as caught:
        ring.key(RECORD.key_id)
    assert caught.value.key_id == RECORD.key_id.hex()


def test_the_fingerprint_is_the_keys_own() -> None:
    material = bytes(range(32))

    assert RingKey(material).key_id == RingKey(material).key_id
    assert RingKey(material).key_id != RingKey(material).check_value
    assert RingKey(bytes(range(1, 33))).key_id != RingKey(material).key_id


def test_every_blob_gets_a_data_key_of_its_own() -> None:
    made = [RING.primary.new_dek(BLOB_ID) for _ in range(100)]

    assert len({dek for dek, _ in made}) == 100
    assert len({wrapped for _, wrapped in made}) == 100
    assert all(len(wrapped) == WRAPPED_DEK_BYTES for _, wrapped in made)


def test_a_wrapped_data_key_opens_for_its_blob_alone() -> None:
    with pytest.raises(SealBroken):
        RING.primary.unwrap_dek(WRAPPED, b"blob-----------2")


def test_a_wrapped_data_key_opens_under_its_ring_key_alone() -> None:
    with pytest.raises(SealBroken):
        make_ring().primary.unwrap_dek(WRAPPED, BLOB_ID)


@given(st.integers(0, len(WRAPPED) - 1), st.integers(1, 255))
def test_a_changed_byte_of_a_wrapped_data_key_closes_it(at: int, change: int) -> None:
    damaged = bytearray(WRAPPED)
    damaged[at] ^= change

    with pytest.raises(SealBroken):
        RING.primary.unwrap_dek(bytes(damaged), BLOB_ID)


@given(st.integers(0, len(WRAPPED) - 1))
def test_a_cut_wrapped_data_key_does_not_open(size_bytes: int) -> None:
    with pytest.raises(SealBroken):
        RING.primary.unwrap_dek(WRAPPED[:size_bytes], BLOB_ID)


def test_a_secret_opens_under_its_label_alone() -> None:
    with pytest.raises(SealBroken):
        RING.primary.open_secret(SECRET, b"access key B")


def test_what_is_sealed_for_one_use_does_not_open_for_another() -> None:
    with pytest.raises(SealBroken):
        RING.primary.open_secret(WRAPPED, BLOB_ID)
    with pytest.raises(SealBroken):
        RING.primary.open_card(WRAPPED, BLOB_ID)


def test_nothing_prints_a_key() -> None:
    shown = repr(RING) + repr(RING.primary) + repr(PROVIDER) + repr(vars(RING.primary))

    assert DEK.hex() not in shown
    assert repr(bytes(range(32))) not in shown
