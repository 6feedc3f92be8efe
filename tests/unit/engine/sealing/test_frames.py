"""Frames: any range opens to the bytes that were sealed, and nothing but what was sealed opens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import SealBroken
from engine.sealing.frames import (
    SEALED_FRAME_BYTES,
    FrameOpener,
    FrameSealer,
    frame_count,
    frame_size,
    frames_touched,
    sealed_bytes,
    stored_span,
)
from engine.units import FRAME_BYTES
from tests.support.pieces import payload_of
from tests.support.sealed import open_frames, open_whole, seal_whole

DEK = bytes(range(32))
BLOB_ID = b"blob-----------1"
SIZES = [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 3 * FRAME_BYTES, 3 * FRAME_BYTES + 77]
SIZE = 3 * FRAME_BYTES + 77
PLAIN = payload_of(SIZE)
SEALED = seal_whole(FrameSealer(DEK, BLOB_ID, SIZE), PLAIN)


def opener(size_bytes: int = SIZE, *, dek: bytes = DEK, blob_id: bytes = BLOB_ID) -> FrameOpener:
    return FrameOpener(dek, blob_id, size_bytes)


@pytest.mark.parametrize("size_bytes", SIZES)
def test_what_was_sealed_opens(size_bytes: int) -> None:
    plain = payload_of(size_bytes)

    sealed = seal_whole(FrameSealer(DEK, BLOB_ID, size_bytes), plain)

    assert len(sealed) == sealed_bytes(size_bytes)
    assert open_whole(opener(size_bytes), sealed, size_bytes) == plain


@pytest.mark.parametrize("size_bytes", SIZES)
def test_the_frames_of_a_size_add_up(size_bytes: int) -> None:
    sizes = [frame_size(index, size_bytes) for index in range(frame_count(size_bytes))]

    assert sum(sizes) == size_bytes
    assert all(size == FRAME_BYTES for size in sizes[:-1])
    assert stored_span(range(frame_count(size_bytes)), size_bytes) == (0, sealed_bytes(size_bytes))


@given(st.integers(0, SIZE - 1), st.integers(1, SIZE))
def test_a_range_is_that_slice_and_touches_no_other_frame(start: int, length: int) -> None:
    stop = min(start + length, SIZE)

    touched = frames_touched(start, stop)
    first, end = stored_span(touched, SIZE)
    # Everything else is zeroed: it must not be needed.
    only_those = bytes(first) + SEALED[first:end] + bytes(len(SEALED) - end)
    plain = b"".join(open_frames(opener(), only_those, touched))

    skip = start - touched.start * FRAME_BYTES
    assert plain[skip : skip + stop - start] == PLAIN[start:stop]
    assert touched.start * FRAME_BYTES <= start < (touched.start + 1) * FRAME_BYTES
    assert (touched.stop - 1) * FRAME_BYTES < stop <= touched.stop * FRAME_BYTES


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_any_changed_byte_closes_its_frame_and_no_other(at: int, change: int) -> None:
    damaged = bytearray(SEALED)
    damaged[at] ^= change
    hit = at // SEALED_FRAME_BYTES

    for index in range(frame_count(SIZE)):
        if index == hit:
            with pytest.raises(SealBroken):
                open_frames(opener(), bytes(damaged), range(index, index + 1))
        else:
            assert open_frames(opener(), bytes(damaged), range(index, index + 1))


@given(st.integers(0, SIZE - 1))
def test_a_blob_that_was_cut_does_not_open_whatever_size_is_claimed(size_bytes: int) -> None:
    cut = SEALED[: sealed_bytes(size_bytes)]

    with pytest.raises(SealBroken):
        open_whole(opener(size_bytes), cut, size_bytes)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_blob_cut_at_a_frame_does_not_pass_for_a_shorter_one(count: int) -> None:
    cut = SEALED[: count * SEALED_FRAME_BYTES]

    with pytest.raises(SealBroken):
        open_whole(opener(count * FRAME_BYTES), cut, count * FRAME_BYTES)


def test_a_blob_with_frames_of_another_run_behind_does_not_open() -> None:
    whole = seal_whole(FrameSealer(DEK, BLOB_ID, 2 * FRAME_BYTES), PLAIN[: 2 * FRAME_BYTES])
    longer = whole + seal_whole(FrameSealer(DEK, BLOB_ID, FRAME_BYTES), PLAIN[:FRAME_BYTES])

    with pytest.raises(SealBroken):
        open_whole(opener(3 * FRAME_BYTES), longer, 3 * FRAME_BYTES)


def test_frames_do_not_change_places() -> None:
    first, second = SEALED[:SEALED_FRAME_BYTES], SEALED[SEALED_FRAME_BYTES : 2 * SEALED_FRAME_BYTES]
    swapped = second + first + SEALED[2 * SEALED_FRAME_BYTES :]

    for index in (0, 1):
        with pytest.raises(SealBroken):
            open_frames(opener(), swapped, range(index, index + 1))


@pytest.mark.parametrize(
    "other",
    [opener(dek=bytes(32)), opener(blob_id=b"blob-----------2")],
    ids=["another key", "another blob"],
)
def test_frames_open_as_what_they_are_alone(other: FrameOpener) -> None:
    for index in range(frame_count(SIZE)):
        with pytest.raises(SealBroken):
            open_frames(other, SEALED, range(index, index + 1))


def test_an_empty_blob_is_authenticated_too() -> None:
    sealed = seal_whole(FrameSealer(DEK, BLOB_ID, 0), b"")

    assert open_whole(opener(0), sealed, 0) == b""
    for forged in (b"", bytes(len(sealed))):
        with pytest.raises(SealBroken):
            opener(0).open_into(0, memoryview(forged), memoryview(bytearray(FRAME_BYTES)))


@pytest.mark.parametrize("index", [-1, 4, 5, 1 << 70])
@pytest.mark.parametrize("size_bytes", [0, 15, 16, SEALED_FRAME_BYTES])
def test_there_is_no_frame_outside_the_blob(index: int, size_bytes: int) -> None:
    with pytest.raises(SealBroken):
        opener().open_into(index, memoryview(bytes(size_bytes)), memoryview(bytearray(FRAME_BYTES)))


def test_a_sealer_takes_each_frame_once_in_order_and_no_more() -> None:
    sealer = FrameSealer(DEK, BLOB_ID, FRAME_BYTES + 5)
    out = memoryview(bytearray(SEALED_FRAME_BYTES))

    with pytest.raises(ValueError):
        sealer.seal_into(memoryview(PLAIN)[:5], out)
    sealer.seal_into(memoryview(PLAIN)[:FRAME_BYTES], out)
    with pytest.raises(ValueError):
        sealer.seal_into(memoryview(PLAIN)[:FRAME_BYTES], out)
    sealer.seal_into(memoryview(PLAIN)[:5], out)
    with pytest.raises(ValueError):
        sealer.seal_into(memoryview(PLAIN)[:0], out)


def test_a_nonce_is_not_used_again_after_a_call_that_failed() -> None:
    sealer = FrameSealer(DEK, BLOB_ID, 2 * FRAME_BYTES)
    out = memoryview(bytearray(SEALED_FRAME_BYTES))

    with pytest.raises(ValueError):
        sealer.seal_into(memoryview(PLAIN)[:FRAME_BYTES], out[:-1])
    written = sealer.seal_into(memoryview(PLAIN)[:FRAME_BYTES], out)

    # What was sealed now is frame 1; frame 0 of this run does not exist.
    opened = memoryview(bytearray(FRAME_BYTES))
    assert opener(2 * FRAME_BYTES).open_into(1, out[:written], opened) == FRAME_BYTES
