"""Block checksums: one for every 256 KiB however the payload came, and no block passes that is not the one meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.integrity.blocks import CRC_BYTES, BlockChecksums, block_crc_matches, block_crcs
from engine.units import BLOCK_BYTES
from tests.support.crcs import CRC32C, crc_bitwise
from tests.support.pieces import crcs_of, payload_of

SIZES = [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES, 3 * BLOCK_BYTES + 5]
SIZE = 2 * BLOCK_BYTES + 1000
PAYLOAD = payload_of(SIZE)
CRCS = block_crcs(PAYLOAD)


def block(index: int) -> bytes:
    return PAYLOAD[index * BLOCK_BYTES : (index + 1) * BLOCK_BYTES]


@pytest.mark.parametrize("size_bytes", SIZES)
def test_a_payload_has_a_checksum_for_every_block(size_bytes: int) -> None:
    payload = payload_of(size_bytes)

    assert block_crcs(payload) == crcs_of(payload)
    assert len(block_crcs(payload)) == CRC_BYTES * -(-size_bytes // BLOCK_BYTES)


def test_a_checksum_is_crc32c_and_packed_big_endian() -> None:
    assert block_crcs(b"123456789") == bytes.fromhex("e3069283")
    assert block_crcs(PAYLOAD[:5000]) == crc_bitwise(CRC32C, PAYLOAD[:5000]).to_bytes(4, "big")


@given(st.lists(st.integers(1, SIZE), max_size=8))
def test_a_stream_gives_the_same_checksums_however_it_is_cut(cuts: list[int]) -> None:
    checksums = BlockChecksums()
    ends = sorted({*cuts, SIZE})
    for start, end in zip([0, *ends], ends, strict=False):
        checksums.update(memoryview(PAYLOAD)[start:end])

    assert checksums.finish() == CRCS


def test_a_stream_that_ends_with_a_block_has_no_checksum_more() -> None:
    checksums = BlockChecksums()
    checksums.update(block(0))

    assert checksums.finish() == CRCS[:CRC_BYTES]
    assert BlockChecksums().finish() == b""


@pytest.mark.parametrize("index", [0, 1, 2])
def test_every_block_passes_in_its_own_place_alone(index: int) -> None:
    assert [block_crc_matches(CRCS, place, block(index)) for place in range(3)] == [
        place == index for place in range(3)
    ]


@given(st.integers(0, 2), st.integers(0, 999), st.integers(0, 7))
def test_one_turned_bit_is_noticed(index: int, at: int, bit: int) -> None:
    damaged = bytearray(block(index))
    damaged[at] ^= 1 << bit

    assert not block_crc_matches(CRCS, index, damaged)


@given(st.integers(0, 999))
def test_a_short_block_is_noticed(size_bytes: int) -> None:
    assert not block_crc_matches(CRCS, 2, block(2)[:size_bytes])


@pytest.mark.parametrize("crcs", [CRCS, CRCS[:-1], b""])
def test_a_block_without_a_checksum_never_passes(crcs: bytes) -> None:
    # An empty block's CRC is zero, which is what absent bytes would read as.
    assert not block_crc_matches(crcs, len(crcs) // CRC_BYTES, b"")
