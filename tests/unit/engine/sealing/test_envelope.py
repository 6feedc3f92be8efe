"""A blob's envelope: sealed under a key of its own, opened by the ring that wrapped it, for that blob alone."""

from dataclasses import replace

import pytest

from engine.errors import KeyUnavailable, SealBroken
from engine.sealing.envelope import open_blob, seal_blob
from engine.sealing.keyring import KeyRing, KeyState, new_ring_key
from engine.units import FRAME_BYTES
from tests.support.pieces import payload_of
from tests.support.sealed import PROVIDER, make_ring, open_whole, seal_whole

BLOB_ID, OTHER_ID = b"blob-----------1", b"blob-----------2"
SIZE = 2 * FRAME_BYTES + 9
PLAIN = payload_of(SIZE)
RECORD = new_ring_key(PROVIDER)
RING = KeyRing([RECORD], PROVIDER)
ENVELOPE, SEALER = seal_blob(RING, BLOB_ID, SIZE)
SEALED = seal_whole(SEALER, PLAIN)


def test_a_blob_opens_with_what_its_row_keeps() -> None:
    assert open_whole(open_blob(RING, ENVELOPE, BLOB_ID, SIZE), SEALED, SIZE) == PLAIN
    assert (ENVELOPE.key_id, ENVELOPE.frame_bytes) == (RECORD.key_id, FRAME_BYTES)


def test_a_blob_opens_after_its_key_made_room_for_another() -> None:
    rotated = KeyRing([replace(RECORD, state=KeyState.ACTIVE), new_ring_key(PROVIDER)], PROVIDER)

    assert open_whole(open_blob(rotated, ENVELOPE, BLOB_ID, SIZE), SEALED, SIZE) == PLAIN


def test_the_same_plaintext_is_never_sealed_alike() -> None:
    envelope, sealer = seal_blob(RING, BLOB_ID, SIZE)

    assert seal_whole(sealer, PLAIN) != SEALED
    assert envelope.wrapped_dek != ENVELOPE.wrapped_dek


def test_an_envelope_of_another_blob_does_not_open() -> None:
    with pytest.raises(SealBroken):
        open_blob(RING, ENVELOPE, OTHER_ID, SIZE)


def test_bytes_of_another_blob_do_not_open() -> None:
    envelope, _ = seal_blob(RING, OTHER_ID, SIZE)

    with pytest.raises(SealBroken):
        open_whole(open_blob(RING, envelope, OTHER_ID, SIZE), SEALED, SIZE)


@pytest.mark.parametrize("size_bytes", [SIZE - 1, SIZE + 1])
def test_a_row_that_claims_another_size_finds_its_last_frame_closed(size_bytes: int) -> None:
    sealed = (
        SEALED[: 2 * (FRAME_BYTES + 16)]
        + SEALED[2 * (FRAME_BYTES + 16) :].ljust(26, b"\0")[: size_bytes - 2 * FRAME_BYTES + 16]
    )

    with pytest.raises(SealBroken):
        open_whole(open_blob(RING, ENVELOPE, BLOB_ID, size_bytes), sealed, size_bytes)


def test_a_key_that_is_not_on_the_ring_is_named() -> None:
    with pytest.raises(KeyUnavailable) as caught:
        open_blob(make_ring(), ENVELOPE, BLOB_ID, SIZE)

    assert caught.value.key_id == RECORD.key_id.hex()


def test_frames_of_a_size_nobody_wrote_are_refused() -> None:
    with pytest.raises(SealBroken):
        open_blob(RING, replace(ENVELOPE, frame_bytes=4096), BLOB_ID, SIZE)
