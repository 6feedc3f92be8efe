"""A card says what was written on it, to the holder of the ring; whatever was done to it is noticed."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import KeyUnavailable, SealBroken
from engine.sealing.cards import HINT_BYTES_MAX, Card, card_bytes, read_card, write_card
from engine.sealing.frames import sealed_bytes
from engine.sealing.keyring import WRAPPED_DEK_BYTES
from engine.units import FRAME_BYTES
from tests.support.sealed import make_ring

RING = make_ring()
PLAIN = Card(
    blob_id=b"blob-----------1",
    piece_index=1,
    copy_count=2,
    size_bytes=70_000,
    stored_bytes=70_000,
    created_at_us=1_720_000_000_000_000,
    content_hash=bytes(range(32)),
    bucket="photos",
    key="2026/été.jpg".encode(),
    upload_id=b"upload---------1",
)
SEALED = replace(
    PLAIN,
    stored_bytes=sealed_bytes(PLAIN.size_bytes),
    key_id=RING.primary.key_id,
    wrapped_dek=RING.primary.new_dek(PLAIN.blob_id)[1],
    frame_bytes=FRAME_BYTES,
)
WRITTEN = {is_sealed: write_card(SEALED, RING.primary, is_sealed=is_sealed) for is_sealed in (False, True)}

hints = st.fixed_dictionaries(
    {
        "bucket": st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=63),
        "key": st.binary(max_size=HINT_BYTES_MAX),
        "upload_id": st.binary(max_size=255),
        "content_hash": st.none() | st.binary(min_size=32, max_size=32).filter(any),
        "created_at_us": st.integers(0, (1 << 64) - 1),
    }
)


@given(card=st.sampled_from([PLAIN, SEALED]), hint=hints, is_sealed=st.booleans())
def test_a_card_reads_as_it_was_written(card: Card, hint: dict[str, object], is_sealed: bool) -> None:
    card = replace(card, **hint)  # type: ignore[arg-type]

    raw = write_card(card, RING.primary, is_sealed=is_sealed)

    assert read_card(raw, RING) == card
    assert len(raw) == card_bytes(card, is_sealed=is_sealed)


@given(st.booleans(), st.data())
def test_any_changed_byte_is_noticed(is_sealed: bool, data: st.DataObject) -> None:
    damaged = bytearray(WRITTEN[is_sealed])
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))

    # A byte of the key's id makes it a card of a key that is not there.
    with pytest.raises((SealBroken, KeyUnavailable)):
        read_card(bytes(damaged), RING)


@given(st.booleans(), st.data())
def test_a_cut_or_longer_card_is_refused(is_sealed: bool, data: st.DataObject) -> None:
    raw = WRITTEN[is_sealed]
    cut = raw[: data.draw(st.integers(0, len(raw) - 1))]
    longer = raw + data.draw(st.binary(min_size=1, max_size=64))

    for wrong in (cut, longer):
        with pytest.raises(SealBroken):
            read_card(wrong, RING)


@given(st.binary(max_size=300))
def test_what_is_no_card_is_refused(raw: bytes) -> None:
    with pytest.raises(SealBroken):
        read_card(raw, RING)


def test_a_sealed_card_shows_nothing_and_a_plain_one_is_only_signed() -> None:
    plain = write_card(PLAIN, RING.primary, is_sealed=False)
    sealed = write_card(PLAIN, RING.primary, is_sealed=True)

    for told in (PLAIN.bucket.encode(), PLAIN.key, PLAIN.blob_id, PLAIN.content_hash or b""):
        assert told in plain
        assert told not in sealed


def test_a_plain_card_cannot_be_passed_off_as_sealed_nor_the_other_way() -> None:
    for is_sealed, raw in WRITTEN.items():
        turned = bytearray(raw)
        turned[5] = 0 if is_sealed else 1
        with pytest.raises(SealBroken):
            read_card(bytes(turned), RING)


def test_cards_of_older_keys_are_read_and_of_foreign_ones_are_not() -> None:
    raw = WRITTEN[True]

    with pytest.raises(KeyUnavailable):
        read_card(raw, make_ring())
    assert read_card(raw, RING) == SEALED


@pytest.mark.parametrize("version", [0, 2, 255])
def test_a_version_nobody_wrote_yet_is_refused_even_with_a_good_mac(version: int) -> None:
    forged = resigned(lambda raw: raw.__setitem__(4, version))

    with pytest.raises(SealBroken, match="known format"):
        read_card(forged, RING)


WRONG = {
    "a piece beyond all numbers": replace(PLAIN, piece_index=0x10000),
    "no pieces at all": replace(PLAIN, piece_index=0, copy_count=0),
    "more bytes stored than there are": replace(PLAIN, stored_bytes=70_001),
    "sealed bytes of the plain size": replace(SEALED, stored_bytes=70_000),
    "a data key without its ring key": replace(SEALED, key_id=None),
    "a ring key without a data key": replace(SEALED, wrapped_dek=None),
    "no frames": replace(SEALED, frame_bytes=0),
    "frames of another size": replace(SEALED, frame_bytes=4096),
    "a wrapped key of another size": replace(SEALED, wrapped_dek=bytes(WRAPPED_DEK_BYTES - 1)),
    "a bucket's name that is too long": replace(PLAIN, bucket="b" * 64),
    "a bucket's name that is not ASCII": replace(PLAIN, bucket="bücket"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_card_that_cannot_be_true_is_not_written(wrong: Card) -> None:
    with pytest.raises(ValueError):
        write_card(wrong, RING.primary, is_sealed=True)


# Bytes of the body that a signed card may not have, by their place in the whole card.
HEAD_BYTES = 24
MALFORMED: dict[str, Callable[[bytearray], None]] = {
    "another scheme": lambda raw: raw.__setitem__(HEAD_BYTES + 18, 1),
    "no copies": lambda raw: raw.__setitem__(HEAD_BYTES + 19, 0),
    "a stored size that is none": lambda raw: raw.__setitem__(HEAD_BYTES + 35, 1),
    "frames without a key": lambda raw: raw.__setitem__(HEAD_BYTES + 95, 1),
    "a wrapped key as long as the rest": lambda raw: raw.__setitem__(HEAD_BYTES + 96, 255),
    "a bucket beyond the end": lambda raw: raw.__setitem__(HEAD_BYTES + 97, 255),
    "a bucket that is not ASCII": lambda raw: raw.__setitem__(HEAD_BYTES + 98, 0xE9),
    "a key beyond the end": lambda raw: raw.__setitem__(HEAD_BYTES + 104, 0xFF),
    "a key longer than keys are": lambda raw: with_key(raw, b"k" * (HINT_BYTES_MAX + 1)),
    "a shorter upload, bytes left over": lambda raw: raw.__setitem__(HEAD_BYTES + 120, 3),
}


def with_key(raw: bytearray, key: bytes) -> None:
    """Put another key in, whatever its length, and correct the head's."""
    at = HEAD_BYTES + 104
    raw[at : at + 2 + len(PLAIN.key)] = len(key).to_bytes(2, "big") + key
    raw[22:24] = (len(raw) - HEAD_BYTES - 32).to_bytes(2, "big")


def resigned(change: Callable[[bytearray], None]) -> bytes:
    """A plain card that the ring's holder might sign by mistake."""
    raw = bytearray(write_card(PLAIN, RING.primary, is_sealed=False))
    change(raw)
    return bytes(raw[:-32]) + RING.primary.card_mac(bytes(raw[:-32]))


@pytest.mark.parametrize("change", MALFORMED.values(), ids=MALFORMED)
def test_a_signed_card_that_breaks_a_rule_is_refused_all_the_same(
    change: Callable[[bytearray], None],
) -> None:
    with pytest.raises(SealBroken):
        read_card(resigned(change), RING)


def test_resigning_alone_changes_nothing() -> None:
    assert read_card(resigned(lambda raw: None), RING) == PLAIN
    assert read_card(resigned(lambda raw: with_key(raw, b"short")), RING) == replace(PLAIN, key=b"short")
