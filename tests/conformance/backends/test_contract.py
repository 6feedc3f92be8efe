"""What every backend promises, whatever it is made of: `engine.backends.base`."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.backends.base import Backend, PieceTail
from engine.errors import BackendUnavailable, PieceCorrupt, PieceMissing
from engine.pipes import Pipe
from engine.streams import WouldBlock
from engine.units import BLOCK_BYTES, KIB
from tests.conformance.backends.conftest import Rig
from tests.support.bodies import bytes_of
from tests.support.pieces import crcs_of, payload_of, read_all, settle, tail_of

SIZES = [0, 1, 63, 64, 4095, 4096, 4097, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 777]


@pytest.mark.parametrize("size_bytes", SIZES)
def test_a_stored_piece_reads_back(rig: Rig, size_bytes: int) -> None:
    payload = payload_of(size_bytes)

    piece = settle(rig.store(payload, tail_of(payload)))

    assert read_all(rig.backend, piece, size_bytes) == payload


@pytest.mark.parametrize("size_bytes", SIZES)
def test_a_streamed_piece_reads_back_and_is_durable_at_once(rig: Rig, size_bytes: int) -> None:
    payload = payload_of(size_bytes)

    piece = rig.stream(payload, tail_of(payload))

    assert piece.barrier is None
    assert read_all(rig.backend, piece, size_bytes) == payload


@pytest.mark.parametrize("size_bytes", SIZES)
def test_a_piece_occupies_what_was_said_beforehand(rig: Rig, size_bytes: int) -> None:
    payload = payload_of(size_bytes)
    tail = tail_of(payload, card=b"c" * 333)

    stored = rig.store(payload, tail)
    streamed = rig.stream(payload, tail)

    expected = rig.backend.occupied_bytes(size_bytes, 333)
    assert stored.stored_bytes == streamed.stored_bytes == expected
    assert expected >= size_bytes + len(tail.block_crcs) + len(tail.card)


@pytest.mark.parametrize("size_bytes", [0, 1, BLOCK_BYTES, 3 * BLOCK_BYTES + 777])
def test_a_good_piece_is_never_found_bad_where_it_lies(rig: Rig, size_bytes: int) -> None:
    payload = payload_of(size_bytes)
    tail = tail_of(payload)
    pieces = [settle(rig.store(payload, tail)), rig.stream(payload, tail)]

    found = {rig.backend.verify_in_place(each.storage_key, size_bytes, tail.block_crcs) for each in pieces}

    assert found == {rig.verifies}


def test_a_store_that_verifies_knows_other_bytes_from_those_that_were_meant(rig: Rig) -> None:
    if not rig.verifies:
        pytest.skip("it cannot be asked")
    payload = payload_of(5000)
    piece = rig.stream(payload, tail_of(payload))

    with pytest.raises(PieceCorrupt, match="other bytes"):
        rig.backend.verify_in_place(piece.storage_key, 5000, tail_of(payload_of(5001)[1:]).block_crcs)
    with pytest.raises(PieceMissing):
        rig.backend.verify_in_place(rig.missing_key(), 5000, tail_of(payload).block_crcs)


def test_bytes_asked_for_ahead_are_read(rig: Rig) -> None:
    payload = payload_of(3 * BLOCK_BYTES + 10)
    piece = rig.stream(payload, tail_of(payload))
    reader = rig.backend.open_reader(piece.storage_key, len(payload))
    block = memoryview(bytearray(BLOCK_BYTES))

    reader.ask(BLOCK_BYTES, 2 * BLOCK_BYTES, patience_s=10.0)

    for index in (1, 2):
        assert reader.is_under_way(index * BLOCK_BYTES, BLOCK_BYTES)
        reader.read_into(index * BLOCK_BYTES, block)
        assert block == payload[index * BLOCK_BYTES : (index + 1) * BLOCK_BYTES]
    reader.read_into(0, block)
    assert block == payload[:BLOCK_BYTES]
    reader.close()


def test_a_card_may_be_shorter_than_announced(rig: Rig) -> None:
    payload = payload_of(1000)
    writer = rig.open_writer(len(payload), 500)
    writer.write(memoryview(payload))

    piece = writer.finish(tail_of(payload, card=b"short"))

    assert piece.stored_bytes <= rig.backend.occupied_bytes(len(payload), 500)
    assert read_all(rig.backend, piece, len(payload)) == payload


def test_every_write_has_a_key_of_its_own(rig: Rig) -> None:
    payload = payload_of(100)

    keys = [rig.store(payload, tail_of(payload)).storage_key for _ in range(5)]
    keys += [rig.stream(payload, tail_of(payload)).storage_key for _ in range(5)]

    assert len(set(keys)) == 10


def test_ranges_read_exactly_at_block_borders(rig: Rig) -> None:
    payload = payload_of(2 * BLOCK_BYTES + 500)
    piece = rig.stream(payload, tail_of(payload))
    reader = rig.backend.open_reader(piece.storage_key, len(payload))
    edges = [
        0,
        1,
        BLOCK_BYTES - 1,
        BLOCK_BYTES,
        BLOCK_BYTES + 1,
        2 * BLOCK_BYTES,
        len(payload) - 1,
        len(payload),
    ]

    for start in edges:
        for stop in edges:
            if start <= stop:
                buffer = bytearray(stop - start)
                reader.read_into(start, memoryview(buffer))
                assert buffer == payload[start:stop]
    reader.close()


@pytest.mark.parametrize(("offset", "length"), [(0, 101), (100, 1), (50, 51), (-1, 1)])
def test_a_read_outside_the_payload_is_refused(rig: Rig, offset: int, length: int) -> None:
    payload = payload_of(100)
    piece = settle(rig.store(payload, tail_of(payload)))
    reader = rig.backend.open_reader(piece.storage_key, 100)

    with pytest.raises(ValueError):
        reader.read_into(offset, memoryview(bytearray(length)))

    reader.close()


def test_reading_without_waiting_answers_or_says_that_it_would_wait(rig: Rig) -> None:
    payload = payload_of(5000)
    piece = settle(rig.store(payload, tail_of(payload)))
    buffer = bytearray(5000)
    reader = rig.backend.open_reader(piece.storage_key, 5000)

    try:
        reader.read_into(0, memoryview(buffer), nowait=True)
    except WouldBlock:
        reader.read_into(0, memoryview(buffer))
    reader.close()

    assert buffer == payload


def test_a_region_names_the_same_bytes(rig: Rig) -> None:
    payload = payload_of(BLOCK_BYTES + 100)
    piece = rig.stream(payload, tail_of(payload))
    reader = rig.backend.open_reader(piece.storage_key, len(payload))

    region = reader.region(BLOCK_BYTES - 10, 50)

    if region is not None:
        assert (
            os.pread(region.fd, region.length, region.offset) == payload[BLOCK_BYTES - 10 : BLOCK_BYTES + 40]
        )
    reader.close()


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (10, 5 * BLOCK_BYTES + 7), (BLOCK_BYTES + 1, 300 * KIB)])
def test_bytes_taken_unseen_are_the_same(rig: Rig, start: int, stop: int) -> None:
    payload = payload_of(5 * BLOCK_BYTES + 7)
    piece = rig.stream(payload, tail_of(payload))
    reader = rig.backend.open_reader(piece.storage_key, len(payload))
    pipe, taken = Pipe(), bytearray()

    while start + len(taken) < stop:
        at = start + len(taken)
        region = reader.take(at, stop - at, pipe=pipe)
        if region is None:
            region = memoryview(bytearray(min(stop - at, BLOCK_BYTES)))
            reader.read_into(at, region)
        taken += bytes_of(region)
        assert pipe.is_empty

    assert taken == payload[start:stop]
    reader.close()
    pipe.close()


def test_a_missing_piece_says_so(rig: Rig) -> None:
    with pytest.raises(PieceMissing):
        rig.backend.open_reader(rig.missing_key(), 10).read_into(0, memoryview(bytearray(10)))


def test_deleting_twice_and_deleting_what_never_was_is_fine(rig: Rig) -> None:
    payload = payload_of(300 * KIB)
    piece = settle(rig.store(payload, tail_of(payload)))

    rig.backend.delete(piece.storage_key, piece.stored_bytes)
    rig.backend.delete(piece.storage_key, piece.stored_bytes)
    rig.backend.delete(rig.missing_key(), 1024)


def test_a_delete_leaves_the_neighbours_alone(rig: Rig) -> None:
    pieces = []
    for number in range(6):
        payload = payload_of(150 * KIB + number, seed=number)
        pieces.append((payload, settle(rig.store(payload, tail_of(payload)))))

    for _, piece in pieces[1::2]:
        rig.backend.delete(piece.storage_key, piece.stored_bytes)

    for payload, piece in pieces[0::2]:
        assert read_all(rig.backend, piece, len(payload)) == payload


def test_an_aborted_write_leaves_others_alone_and_may_be_aborted_again(rig: Rig) -> None:
    payload = payload_of(400 * KIB)
    before = rig.stream(payload, tail_of(payload))
    writer = rig.open_writer(len(payload), 4)
    writer.write(memoryview(payload)[:100_000])

    writer.abort()
    writer.abort()

    after = rig.stream(payload, tail_of(payload))
    assert (
        read_all(rig.backend, before, len(payload)) == read_all(rig.backend, after, len(payload)) == payload
    )
    with pytest.raises(BackendUnavailable):
        writer.write(memoryview(payload)[:1])


def test_abort_may_follow_a_finish_that_failed(rig: Rig) -> None:
    writer = rig.open_writer(100, 4)
    writer.write(memoryview(payload_of(99)))

    with pytest.raises(ValueError):
        writer.finish(tail_of(payload_of(100)))
    writer.abort()


def test_more_payload_than_announced_is_refused(rig: Rig) -> None:
    writer = rig.open_writer(100, 4)

    with pytest.raises(ValueError):
        writer.write(memoryview(payload_of(101)))
    writer.abort()


@pytest.mark.parametrize(
    "tail",
    [PieceTail(block_crcs=b"", card=b"card"), PieceTail(block_crcs=b"12345678", card=b"card")],
    ids=["no checksums", "too many"],
)
def test_checksums_that_are_not_one_a_block_are_refused(rig: Rig, tail: PieceTail) -> None:
    payload = payload_of(100)
    writer = rig.open_writer(len(payload), 4)
    writer.write(memoryview(payload))

    with pytest.raises(ValueError):
        writer.finish(tail)
    writer.abort()
    with pytest.raises(ValueError):
        rig.store(payload, tail)


def test_a_card_longer_than_announced_is_refused(rig: Rig) -> None:
    payload = payload_of(100)
    writer = rig.open_writer(len(payload), 4)
    writer.write(memoryview(payload))

    with pytest.raises(ValueError):
        writer.finish(tail_of(payload, card=b"12345"))
    writer.abort()


def test_the_write_buffer_may_be_reused_at_return(rig: Rig) -> None:
    buffer = bytearray(b"a" * 1000)
    writer = rig.open_writer(2000, 4)

    writer.write(memoryview(buffer))
    buffer[:] = b"b" * 1000
    writer.write(memoryview(buffer))
    buffer[:] = b"c" * 1000

    expected = b"a" * 1000 + b"b" * 1000
    assert read_all(rig.backend, writer.finish(tail_of(expected)), 2000) == expected


def test_many_writers_and_readers_at_once_each_find_their_own(rig: Rig) -> None:
    def work(number: int) -> bool:
        size_bytes = 1 + number * 7919 % (600 * KIB)
        payload = payload_of(size_bytes, seed=number)
        write = rig.stream if number % 3 == 0 else rig.store
        piece = settle(write(payload, tail_of(payload)))
        return read_all(rig.backend, piece, size_bytes) == payload

    with ThreadPoolExecutor(max_workers=8) as pool:
        assert all(pool.map(work, range(64)))


def test_a_backend_that_announces_keys_refuses_a_write_without_and_the_other_with(rig: Rig) -> None:
    wrong = None if rig.backend.needs_intents else "pieces/aa/1"
    payload = payload_of(10)

    with pytest.raises(ValueError):
        rig.backend.store(memoryview(payload), tail_of(payload), storage_key=wrong)
    with pytest.raises(ValueError):
        rig.backend.open_writer(10, 4, storage_key=wrong)


def test_a_closed_backend_refuses_writes(rig: Rig) -> None:
    payload = payload_of(10)
    rig.store(payload, tail_of(payload))

    rig.backend.close()

    with pytest.raises(BackendUnavailable):
        rig.store(payload, tail_of(payload))
    with pytest.raises(BackendUnavailable):
        rig.open_writer(10, 4)


def test_the_identity_is_ours(rig: Rig) -> None:
    rig.backend.check_identity()


def test_both_kinds_are_backends(rig: Rig) -> None:
    backend: Backend = rig.backend

    assert (backend.backend_id, backend.name) == (1, "near")
    assert crcs_of(b"123456789") == bytes.fromhex("e3069283")


@pytest.mark.parametrize("size_bytes", SIZES)
def test_the_tail_of_a_piece_reads_back(rig: Rig, size_bytes: int) -> None:
    payload = payload_of(size_bytes)
    tail = tail_of(payload, card=b"a card of some length")
    piece = settle(rig.store(payload, tail))

    assert rig.backend.read_tail(piece.storage_key, size_bytes) == tail


def test_the_tail_of_what_is_not_there_is_missing(rig: Rig) -> None:
    with pytest.raises(PieceMissing):
        rig.backend.read_tail(rig.missing_key(), 10)


def test_a_piece_of_another_length_has_no_tail_for_us(rig: Rig) -> None:
    payload = payload_of(1000)
    piece = settle(rig.store(payload, tail_of(payload)))

    with pytest.raises(PieceCorrupt):
        rig.backend.read_tail(piece.storage_key, 999)
