"""The volume format is the one its page describes: vectors made from the page, and bytes that must be refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.backends.volume.format import (
    CARD_BYTES_MAX,
    FIRST_RECORD_OFFSET,
    TRAILER_BYTES,
    VOLUME_HEADER_BYTES,
    NotARecord,
    RecordHeader,
    VolumeHeader,
    extent_of,
    read_record_header,
    read_storage_key,
    read_tail,
    read_volume_header,
    write_record_header,
    write_storage_key,
    write_tail,
    write_volume_header,
)

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[4] / "vectors" / "volume.json").read_text(encoding="utf-8")
)

HEADER = VolumeHeader(
    volume_id=bytes.fromhex(VECTORS["volume_id"]),
    seed=bytes.fromhex(VECTORS["seed"]),
    identity_id=bytes.fromhex(VECTORS["backend_id"]),
    created_at_us=VECTORS["created_at_us"],
)


def payload_of(vector: dict[str, Any]) -> bytes:
    if vector["payload_hex"] is not None:
        return bytes.fromhex(vector["payload_hex"])
    return bytes(range(256)) * int(vector["payload_repeat"])


def test_the_volume_header_is_the_vectors() -> None:
    written = write_volume_header(HEADER)

    assert len(written) == FIRST_RECORD_OFFSET
    assert written[:128].hex() == VECTORS["header_first_128"]
    assert written[VOLUME_HEADER_BYTES : VOLUME_HEADER_BYTES + 128].hex() == VECTORS["header_again_first_128"]
    assert HEADER.key.mac_key.hex() == VECTORS["key"]
    assert read_volume_header(written) == HEADER


@pytest.mark.parametrize("vector", VECTORS["records"], ids=lambda vector: vector["storage_key"][-10:])
def test_headers_tails_and_keys_are_the_vectors(vector: dict[str, Any]) -> None:
    payload = payload_of(vector)
    offset = vector["offset"]
    header = RecordHeader(
        payload_bytes=len(payload), extent_bytes=extent_of(len(payload), vector["card_bytes_max"])
    )
    crcs, card = bytes.fromhex(vector["block_crcs"]), vector["card"].encode()

    head = write_record_header(HEADER.key, offset, header)
    tail = write_tail(HEADER.key, offset, header, block_crcs=crcs, card=card)

    assert header.extent_bytes == vector["extent_bytes"] == len(head) + len(payload) + len(tail)
    assert head.hex() == vector["header"]
    assert tail.hex() == vector["tail"]
    assert read_record_header(HEADER.key, offset, head) == header
    assert read_tail(HEADER.key, offset, tail)[1:] == (crcs, card)
    assert write_storage_key(HEADER.volume_id, offset) == vector["storage_key"]
    assert read_storage_key(vector["storage_key"]) == (HEADER.volume_id, offset)


@pytest.mark.parametrize("at", [*range(0, 128, 7), 127])
def test_one_damaged_copy_of_the_volume_header_is_survived(at: int) -> None:
    for copy in (0, VOLUME_HEADER_BYTES):
        damaged = bytearray(write_volume_header(HEADER))
        damaged[copy + at] ^= 0x40

        assert read_volume_header(bytes(damaged)) == HEADER


def test_two_damaged_copies_are_refused() -> None:
    damaged = bytearray(write_volume_header(HEADER))
    damaged[40] ^= 1
    damaged[VOLUME_HEADER_BYTES + 100] ^= 1

    with pytest.raises(NotARecord):
        read_volume_header(bytes(damaged))


def test_the_second_header_moved_to_the_front_is_none() -> None:
    copy = write_volume_header(HEADER)[VOLUME_HEADER_BYTES:]

    with pytest.raises(NotARecord):
        read_volume_header(copy)


def test_every_flipped_bit_of_a_record_header_is_noticed() -> None:
    header = RecordHeader(payload_bytes=1000, extent_bytes=extent_of(1000, 10))
    written = write_record_header(HEADER.key, 8192, header)

    for bit in range(len(written) * 8):
        damaged = bytearray(written)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NotARecord):
            read_record_header(HEADER.key, 8192, bytes(damaged))


def test_every_flipped_byte_of_checksums_card_and_trailer_is_noticed() -> None:
    header = RecordHeader(payload_bytes=1000, extent_bytes=extent_of(1000, 10))
    written = write_tail(HEADER.key, 8192, header, block_crcs=b"abcd", card=b"0123456789")
    covered = [*range(14), *range(len(written) - TRAILER_BYTES, len(written))]

    for at in covered:
        damaged = bytearray(written)
        damaged[at] ^= 0x10
        with pytest.raises(NotARecord):
            read_tail(HEADER.key, 8192, bytes(damaged))


def test_a_record_at_another_offset_or_in_another_volume_is_none() -> None:
    header = RecordHeader(payload_bytes=5, extent_bytes=extent_of(5, 0))
    head = write_record_header(HEADER.key, 8192, header)
    tail = write_tail(HEADER.key, 8192, header, block_crcs=b"abcd", card=b"")
    other = VolumeHeader(
        volume_id=bytes(16), seed=HEADER.seed, identity_id=HEADER.identity_id, created_at_us=0
    )

    for key, offset in ((HEADER.key, 12288), (other.key, 8192)):
        with pytest.raises(NotARecord):
            read_record_header(key, offset, head)
        with pytest.raises(NotARecord):
            read_tail(key, offset, tail)


def test_an_extent_longer_than_any_card_asks_for_is_refused() -> None:
    header = RecordHeader(payload_bytes=5, extent_bytes=extent_of(5, CARD_BYTES_MAX) + 64)
    tail = write_tail(HEADER.key, 8192, header, block_crcs=b"abcd", card=b"")

    with pytest.raises(NotARecord):
        read_tail(HEADER.key, 8192, tail)


@pytest.mark.parametrize(
    "text",
    ["", "a" * 32, "a" * 32 + ":1", "A" * 32 + ":0000002000", "a" * 32 + ":0000002000\n", "../x:0000002000"],
)
def test_other_text_is_no_storage_key(text: str) -> None:
    with pytest.raises(NotARecord):
        read_storage_key(text)
