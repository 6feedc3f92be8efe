"""The memory backend misbehaves exactly as scripted: as a store over a network does, never in a way of its own."""

import pytest

from engine.backends.memory import Call, Fault, FaultScript, KeyReused, MemoryBackend
from engine.errors import (
    BackendError,
    BackendFull,
    BackendTimeout,
    BackendUnavailable,
    ForeignBackend,
    PieceCorrupt,
    PieceMissing,
)
from engine.names import BackendName
from tests.support.pieces import payload_of, tail_of

PAYLOAD = payload_of(1000)
TAIL = tail_of(PAYLOAD)


def backend(*, capacity_bytes: int | None = None) -> MemoryBackend:
    return MemoryBackend(
        backend_id=3, name=BackendName("far"), capacity_bytes=capacity_bytes, faults=FaultScript()
    )


def store(far: MemoryBackend, key: str = "k1") -> None:
    far.store(memoryview(PAYLOAD), TAIL, storage_key=key)


def stream(far: MemoryBackend) -> None:
    writer = far.open_writer(len(PAYLOAD), len(TAIL.card), storage_key="k1")
    writer.write(memoryview(PAYLOAD))
    writer.finish(TAIL)


def read(far: MemoryBackend, key: str = "k1") -> bytes:
    buffer = bytearray(len(PAYLOAD))
    reader = far.open_reader(key, len(PAYLOAD))
    reader.read_into(0, memoryview(buffer))
    reader.close()
    return bytes(buffer)


def test_a_storage_key_is_written_once_ever() -> None:
    far = backend()
    store(far)
    far.delete("k1", 1)

    with pytest.raises(KeyReused):
        store(far)
    with pytest.raises(KeyReused):
        far.open_writer(10, 10, storage_key="k1")


def test_a_key_is_used_up_by_an_attempt_that_failed() -> None:
    far = backend()
    far.faults.add(Call.STORE, Fault.UNAVAILABLE)
    with pytest.raises(BackendUnavailable):
        store(far)

    with pytest.raises(KeyReused):
        store(far)


@pytest.mark.parametrize("fault", [Fault.TIMEOUT_LOST, Fault.TIMEOUT_DONE, Fault.TIMEOUT_LATE])
@pytest.mark.parametrize("is_stream", [False, True], ids=["store", "stream"])
def test_timeouts_look_the_same_and_end_differently(fault: Fault, is_stream: bool) -> None:
    far = backend()
    far.faults.add(Call.FINISH if is_stream else Call.STORE, fault)

    with pytest.raises(BackendTimeout):
        (stream if is_stream else store)(far)

    stood_at_once = far.storage_keys()
    landed_count = far.land_late()
    stands_in_the_end = far.storage_keys()
    assert (stood_at_once, landed_count, stands_in_the_end) == {
        Fault.TIMEOUT_LOST: ([], 0, []),
        Fault.TIMEOUT_DONE: (["k1"], 0, ["k1"]),
        Fault.TIMEOUT_LATE: ([], 1, ["k1"]),
    }[fault]


def test_a_late_write_lands_even_after_its_key_was_deleted() -> None:
    far = backend()
    far.faults.add(Call.STORE, Fault.TIMEOUT_LATE)
    with pytest.raises(BackendTimeout):
        store(far)
    far.delete("k1", 1)

    far.land_late()

    assert read(far) == PAYLOAD
    far.delete("k1", 1)
    assert far.storage_keys() == []


@pytest.mark.parametrize(
    ("fault", "stands"), [(Fault.TIMEOUT_LOST, True), (Fault.TIMEOUT_DONE, False), (Fault.UNAVAILABLE, True)]
)
def test_a_delete_of_unknown_outcome_happened_or_did_not(fault: Fault, stands: bool) -> None:
    far = backend()
    store(far)
    far.faults.add(Call.DELETE, fault)

    with pytest.raises(BackendError):
        far.delete("k1", 1)

    assert far.storage_keys() == (["k1"] if stands else [])


def test_faults_strike_in_order_and_then_are_spent() -> None:
    far = backend()
    store(far)
    far.faults.add(Call.READ, Fault.UNAVAILABLE, after_count=1, count=2)

    outcomes = []
    for _ in range(4):
        try:
            read(far)
        except BackendUnavailable:
            outcomes.append("down")
        else:
            outcomes.append("up")

    assert outcomes == ["up", "down", "down", "up"]
    assert far.faults.is_spent()


def test_room_ends_and_comes_back_with_deletes() -> None:
    far = backend(capacity_bytes=2500)
    store(far, "k1")
    store(far, "k2")
    with pytest.raises(BackendFull):
        store(far, "k3")

    far.delete("k1", 1)
    store(far, "k4")

    assert far.storage_keys() == ["k2", "k4"]


def test_damage_at_rest_is_handed_out_as_it_is_and_a_short_piece_is_said() -> None:
    far = backend()
    store(far, "k1")
    store(far, "k2")
    far.flip_bit("k1", 10)
    far.truncate("k2", 999)

    assert read(far, "k1") != PAYLOAD
    with pytest.raises(PieceCorrupt):
        read(far, "k2")


def test_a_piece_deleted_under_a_reader_is_missing() -> None:
    far = backend()
    store(far)
    reader = far.open_reader("k1", len(PAYLOAD))
    far.delete("k1", 1)

    with pytest.raises(PieceMissing):
        reader.read_into(0, memoryview(bytearray(10)))


def test_anothers_identity_is_foreign() -> None:
    far = backend()
    far.check_identity()

    far.replace_identity()

    with pytest.raises(ForeignBackend):
        far.check_identity()


def test_the_tail_is_kept() -> None:
    far = backend()
    store(far)

    assert far.read_tail("k1", len(PAYLOAD)) == TAIL
