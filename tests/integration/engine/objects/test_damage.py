"""No wrong byte ever leaves: a bad, short, missing or silent copy gives way to another at the very byte it failed.

When no good copy is left the body breaks off with a typed error, whatever byte of the stored piece was hit.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.backends.memory import Call, Fault
from engine.backends.volume.format import RECORD_HEADER_BYTES, read_storage_key
from engine.errors import BackendsUnavailable, CorruptEverywhere
from engine.objects.degradations import Degradation
from engine.objects.read import Span
from engine.records import Copies, Location, LocationState, Sealing
from engine.streams import WouldBlock
from engine.units import KIB, MIB
from engine.upkeep.fsck_report import Problem
from tests.integration.engine.objects.conftest import MakeRig
from tests.support.bodies import regions_of
from tests.support.objects import ObjectRig
from tests.support.pieces import payload_of

SIZE = 700 * KIB + 3
DATA = payload_of(SIZE)
TWO = Copies(count=2)


def served_first(rig: ObjectRig, key: str) -> Location:
    """The copy that a read of the key's only blob begins with."""
    (one,) = rig.find(key).slices
    turn = one.blob.blob_id[-1]
    return min(one.locations, key=lambda each: (each.piece_index + turn) % len(one.locations))


def damage_piece(rig: ObjectRig, location: Location, offset: int) -> None:
    rig.damage(location.storage_key, offset)


def lose_piece(rig: ObjectRig, location: Location, offset: int) -> None:
    rig.memories[location.backend_id - 1].delete(location.storage_key, location.stored_bytes)


def shorten_piece(rig: ObjectRig, location: Location, offset: int) -> None:
    rig.memories[location.backend_id - 1].truncate(location.storage_key, offset)


def silence_backend(rig: ObjectRig, location: Location, offset: int) -> None:
    rig.memories[location.backend_id - 1].faults.add(Call.READ, Fault.UNAVAILABLE, count=50)


def delay_backend(rig: ObjectRig, location: Location, offset: int) -> None:
    rig.memories[location.backend_id - 1].faults.add(Call.OPEN_READER, Fault.TIMEOUT_LOST, count=50)


HURT: list[Callable[[ObjectRig, Location, int], None]] = [
    damage_piece,
    lose_piece,
    shorten_piece,
    silence_backend,
    delay_backend,
]


@pytest.mark.parametrize("offset", [0, 64 * KIB, 256 * KIB - 1, 256 * KIB, SIZE - 1])
@pytest.mark.parametrize("hurt", HURT)
@pytest.mark.parametrize("seal", Sealing)
def test_another_copy_serves_at_the_same_byte(
    make_rig: MakeRig, seal: Sealing, hurt: Callable[[ObjectRig, Location, int], None], offset: int
) -> None:
    rig = make_rig(volume_count=0, memory_count=2, scheme=TWO, seal=seal)
    rig.put("k", DATA)
    hurt(rig, served_first(rig, "k"), offset)

    assert rig.get("k") == DATA
    assert rig.get("k", 100, SIZE - 100) == DATA[100 : SIZE - 100]
    assert rig.objects.degradations.counts()[Degradation.READ_FAILED_OVER] >= 1


@pytest.mark.parametrize("hurt", [damage_piece, lose_piece, shorten_piece])
def test_a_copy_found_wanting_is_suspect_and_served_last(
    make_rig: MakeRig, hurt: Callable[[ObjectRig, Location, int], None]
) -> None:
    rig = make_rig(volume_count=0, memory_count=2, scheme=TWO)
    rig.put("k", DATA)
    bad = served_first(rig, "k")
    hurt(rig, bad, 0)
    rig.get("k")

    rig.objects.suspicions.flush()

    states = {each.backend_id: each.state for each in rig.find("k").slices[0].locations}
    assert states.pop(bad.backend_id) is LocationState.SUSPECT
    assert list(states.values()) == [LocationState.LIVE]
    failovers = rig.objects.degradations.counts()[Degradation.READ_FAILED_OVER]
    rig.get("k")
    assert rig.objects.degradations.counts()[Degradation.READ_FAILED_OVER] == failovers


def test_a_backend_that_does_not_answer_makes_no_piece_suspect(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=2, scheme=TWO)
    rig.put("k", DATA)
    silence_backend(rig, served_first(rig, "k"), 0)
    rig.get("k")

    rig.objects.suspicions.flush()

    assert {each.state for each in rig.find("k").slices[0].locations} == {LocationState.LIVE}


@pytest.mark.parametrize("volume_count", [0, 2])
@pytest.mark.parametrize("seal", Sealing)
def test_a_copy_that_goes_bad_under_a_read_gives_way_in_the_middle(
    make_rig: MakeRig, seal: Sealing, volume_count: int
) -> None:
    rig = make_rig(volume_count=volume_count, memory_count=2 - volume_count, scheme=TWO, seal=seal)
    rig.put("k", DATA)
    regions = regions_of(rig.objects.reader.open(rig.find("k"), Span(start=0, stop=SIZE)))
    begun = next(regions)

    damage_piece(rig, served_first(rig, "k"), 600 * KIB)

    assert begun + b"".join(regions) == DATA


@pytest.mark.parametrize("seal", Sealing)
def test_with_every_copy_bad_the_body_breaks_off_before_the_bad_byte(
    make_rig: MakeRig, seal: Sealing
) -> None:
    rig = make_rig(scheme=TWO, seal=seal)
    rig.put("k", DATA)
    for location in rig.find("k").slices[0].locations:
        damage_piece(rig, location, 600 * KIB)
    regions: list[bytes] = []

    with pytest.raises(CorruptEverywhere):
        regions.extend(regions_of(rig.objects.reader.open(rig.find("k"), Span(start=0, stop=SIZE))))

    received = b"".join(regions)
    assert DATA.startswith(received)
    assert 0 < len(received) <= 600 * KIB
    assert rig.get("k", 0, 256 * KIB) == DATA[: 256 * KIB]
    assert rig.objects.degradations.counts()[Degradation.CORRUPT_EVERYWHERE] == 1


def test_a_bad_copy_and_a_silent_one_are_not_called_corrupt_everywhere(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=2, scheme=TWO)
    rig.put("k", DATA)
    first, second = rig.find("k").slices[0].locations
    damage_piece(rig, first, 0)
    silence_backend(rig, second, 0)

    with pytest.raises(BackendsUnavailable):
        rig.get("k")


def test_two_blobs_of_which_each_has_another_good_copy(make_rig: MakeRig) -> None:
    rig = make_rig(scheme=TWO, chunk_bytes=256 * KIB)
    rig.put("k", DATA)
    for number, one in enumerate(rig.find("k").slices):
        damage_piece(rig, one.locations[number % 2], 10)

    assert rig.get("k") == DATA


def test_a_thread_that_must_not_wait_is_told_so_and_gets_the_rest_elsewhere(make_rig: MakeRig) -> None:
    rig = make_rig(scheme=TWO)
    rig.put("k", DATA)
    damage_piece(rig, served_first(rig, "k"), 0)
    source = rig.objects.reader.open(rig.find("k"), Span(start=0, stop=SIZE))

    with pytest.raises(WouldBlock):
        source.next_region(nowait=True)

    assert b"".join(regions_of(source)) == DATA


def test_pieces_that_moved_since_the_version_was_read_are_found_again(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, volume_size_max_bytes=MIB)
    rig.put("k", DATA)
    rig.put("gone", payload_of(2 * MIB))
    rig.delete("gone")
    rig.reap()
    rig.clean_up()
    stored = rig.find("k")

    rig.compact()
    rig.clock.pass_grace()
    rig.sweep()

    assert rig.find("k").slices[0].locations != stored.slices[0].locations
    assert rig.read(stored) == DATA
    assert rig.objects.degradations.counts()[Degradation.LOCATIONS_READ_AGAIN] == 1


# --- every part of a record ---


class Record:
    """Where the parts of a piece lie in its volume file."""

    def __init__(self, rig: ObjectRig, key: str) -> None:
        (one,) = rig.find(key).slices
        (location,) = one.locations
        volume_id, self.start = read_storage_key(location.storage_key)
        (backend,) = rig.volumes
        self.path = backend.path / f"{volume_id.hex()}.volume"
        self.payload = self.start + RECORD_HEADER_BYTES
        self.crcs = self.payload + one.blob.stored_bytes
        record = backend.read_record(location.storage_key)
        self.card = self.path.read_bytes().index(record.card, self.crcs)
        self.card_stop = self.card + len(record.card)
        self.stop = self.start + record.extent_bytes


@contextmanager
def flipped(path: Path, offset: int) -> Iterator[None]:
    def flip() -> None:
        with path.open("r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 0x40]))

    flip()
    try:
        yield
    finally:
        flip()


@pytest.mark.parametrize("size", [300, SIZE])
@pytest.mark.parametrize("seal", Sealing)
def test_no_flipped_byte_of_a_record_ever_shows(make_rig: MakeRig, seal: Sealing, size: int) -> None:
    rig = make_rig(volume_count=1, seal=seal)
    data = payload_of(size)
    rig.put("k", data)
    record = Record(rig, "k")
    payload = [record.payload, (record.payload + record.crcs) // 2, record.crcs - 1]
    beside = [
        record.start,
        record.start + 20,
        record.payload - 1,
        record.crcs,
        record.card - 1,
        record.card,
        record.card_stop - 1,
        record.stop - 64,
        record.stop - 1,
    ]

    for offset in payload:
        with flipped(record.path, offset):
            with pytest.raises(CorruptEverywhere):
                rig.get("k")
            assert {each.problem for each in rig.fsck().findings} == {Problem.BLOCK_DAMAGED}
    for offset in beside:
        with flipped(record.path, offset):
            # What is read is held against the metadata, so the piece still serves; fsck says what is wrong with it.
            assert rig.get("k") == data
            assert not rig.fsck().is_clean, offset - record.start
    assert rig.get("k") == data
    assert rig.fsck().is_clean


def test_a_volume_header_that_is_damaged_stops_appends_to_the_file_and_no_read(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    rig.put("k", DATA)
    record = Record(rig, "k")
    rig.restart()

    with flipped(record.path, 30), flipped(record.path, 4096 + 30):
        assert rig.get("k") == DATA
        rig.put("other", DATA)
        assert Record(rig, "other").path != record.path
        assert {each.problem for each in rig.fsck().findings} == {Problem.VOLUME_UNREADABLE}
    assert rig.fsck().is_clean


def test_the_bytes_of_a_volume_stored_as_an_object_deceive_nobody(make_rig: MakeRig) -> None:
    """Records within records, at their own offsets or shifted by any amount, are a payload and nothing else."""
    rig = make_rig(volume_count=1)
    rig.put("secret", payload_of(5 * KIB))
    rig.put("large", payload_of(100 * KIB))
    (volume,) = rig.volumes
    stolen = b"".join(path.read_bytes() for path in sorted(volume.path.glob("*.volume")))

    for shift in (0, 64, 4096 - 64, 8192, 3):
        rig.put(f"copy-{shift}", bytes(shift) + stolen)
    rig.put("torn", stolen[: len(stolen) // 2])
    report, keys = rig.fsck(), rig.keys()
    counts = report.counts

    assert report.is_clean
    assert counts["live_record_count"] == sum(len(rig.find(key).slices) for key in keys)
    assert (counts["dead_record_count"], counts["torn_count"]) == (0, 0)
    rig.delete("secret")
    rig.delete("large")
    assert rig.settle().is_clean
    rig.compact()
    assert rig.get("copy-0") == stolen
    assert rig.fsck().is_clean


def test_a_deleted_records_place_frees_no_byte_of_another(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    keys = [f"k{number}" for number in range(6)]
    for number, key in enumerate(keys):
        rig.put(key, payload_of(90 * KIB + number, seed=number))

    for number in (1, 3, 5):
        rig.delete(keys[number])
    rig.settle()

    for number in (0, 2, 4):
        assert rig.get(keys[number]) == payload_of(90 * KIB + number, seed=number)
    assert rig.fsck().is_clean


def test_a_process_that_lacks_a_backend_reads_from_the_others(make_rig: MakeRig) -> None:
    rig = make_rig(folder="one", volume_count=2, scheme=TWO)
    rig.put("k", DATA)
    rig.restart()

    fewer = make_rig(folder="one", volume_count=1, scheme=TWO, ring_record=rig.ring_record)

    assert fewer.get("k") == DATA
