"""Blobs behind a network are kept near once they were read twice; what is kept is verified, bounded, never missed."""

from pathlib import Path

import pytest

from engine.backends.memory import Call, Fault
from engine.cache.folder import CacheFolder
from engine.objects.degradations import Degradation
from engine.objects.read import Span
from engine.records import Copies, Sealing
from engine.streams import FileRegion
from engine.units import KIB, MIB
from tests.integration.engine.objects.conftest import MakeRig
from tests.support.bodies import regions_of
from tests.support.objects import ObjectRig
from tests.support.pieces import payload_of

WAIT_S = 20.0
SIZE = 700 * KIB + 3
DATA = payload_of(SIZE)


def kept(rig: ObjectRig) -> list[Path]:
    folder = CacheFolder(rig.folder / "cache", size_bytes_max=1)
    return sorted(each.path for each in folder.files() if not each.is_part)


def unfinished(rig: ObjectRig) -> list[Path]:
    return list((rig.folder / "cache").rglob("*.part"))


def go_away(rig: ObjectRig) -> None:
    for memory in rig.memories:
        memory.faults.add(Call.OPEN_READER, Fault.UNAVAILABLE, count=1000)
        memory.faults.add(Call.READ, Fault.UNAVAILABLE, count=1000)


@pytest.fixture(params=Sealing)
def remote(request: pytest.FixtureRequest, make_rig: MakeRig) -> ObjectRig:
    rig = make_rig(volume_count=0, memory_count=2, cache_bytes=16 * MIB, seal=request.param)
    rig.put("k", DATA)
    return rig


def test_the_third_reading_asks_no_backend(remote: ObjectRig) -> None:
    assert remote.get("k") == DATA
    assert kept(remote) == []
    assert remote.get("k") == DATA
    assert len(kept(remote)) == 1

    go_away(remote)

    assert remote.get("k") == DATA
    counts = remote.objects.cache_counts
    assert (counts.hit_count, counts.miss_count, counts.filled_count) == (1, 2, 1)
    assert counts.filled_bytes == counts.hit_bytes == kept(remote)[0].stat().st_size
    assert unfinished(remote) == []


def test_ranges_are_served_of_what_is_kept(remote: ObjectRig) -> None:
    for _ in range(2):
        remote.get("k")
    go_away(remote)

    for start, stop in ((0, 1), (SIZE - 1, SIZE), (100_000, 600_000), (262_143, 262_145)):
        assert remote.get("k", start, stop) == DATA[start:stop]


def test_what_is_kept_is_what_lies_on_the_backend(remote: ObjectRig) -> None:
    for _ in range(2):
        remote.get("k")

    text = kept(remote)[0].read_bytes()
    assert (DATA[:1000] in text) == (remote.shape.seal is Sealing.NONE)
    assert kept(remote)[0].stat().st_mode & 0o077 == 0


def test_parts_of_a_blob_and_readings_broken_off_keep_nothing(remote: ObjectRig) -> None:
    remote.get("k")
    for _ in range(3):
        remote.get("k", 300_000, SIZE)
        source = remote.objects.reader.open(remote.find("k"), Span(start=0, stop=SIZE))
        source.next_region()
        source.close()

    assert kept(remote) == []
    assert unfinished(remote) == []
    assert remote.get("k") == DATA
    assert len(kept(remote)) == 1


@pytest.mark.parametrize("at", [0, 300_000, -1])
def test_a_damaged_file_costs_a_reading_of_the_backend_and_is_gone(remote: ObjectRig, at: int) -> None:
    for _ in range(2):
        remote.get("k")
    (file,) = kept(remote)
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)

    assert remote.get("k") == DATA
    assert remote.objects.cache_counts.failure_count == 1
    assert not any(remote.objects.degradations.counts().values())
    remote.get("k")
    assert remote.get("k") == DATA


@pytest.mark.parametrize("size_bytes", [0, 1000])
def test_a_cut_file_is_no_blob(remote: ObjectRig, size_bytes: int) -> None:
    for _ in range(2):
        remote.get("k")
    with kept(remote)[0].open("r+b") as file:
        file.truncate(size_bytes)

    assert remote.get("k") == DATA
    assert remote.objects.cache_counts.failure_count == 1


def test_a_file_removed_while_it_is_sent_is_sent_to_its_end(remote: ObjectRig) -> None:
    for _ in range(2):
        remote.get("k")
    go_away(remote)
    source = remote.objects.reader.open_in_memory(remote.find("k"), Span(start=0, stop=SIZE))
    first = source.next_region()
    assert isinstance(first, memoryview)
    got = bytes(first)

    CacheFolder(remote.folder / "cache", size_bytes_max=1).flush()

    while (region := source.next_region()) is not None:
        assert isinstance(region, memoryview)
        got += region
    source.close()
    assert got == DATA


def test_plain_blocks_go_out_of_the_file(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=1, cache_bytes=16 * MIB)
    rig.put("k", DATA)
    for _ in range(2):
        rig.get("k")

    source = rig.objects.reader.open(rig.find("k"), Span(start=0, stop=SIZE))

    assert isinstance(source.next_region(), FileRegion)
    source.close()


def bytes_of(path: Path) -> int:
    """None of one that is evicted meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def test_the_oldest_go_when_it_is_full(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=1, cache_bytes=2 * MIB)
    for number in range(8):
        rig.put(f"k{number}", payload_of(400 * KIB, seed=number))
        for _ in range(2):
            rig.get(f"k{number}")
        assert sum(map(bytes_of, kept(rig))) <= 2 * MIB
        assert rig.cache is not None
        assert rig.cache.wait_for_room(WAIT_S)

    assert rig.objects.cache_counts.evicted_bytes > 0
    (last,) = (each.blob.blob_id.hex() for each in rig.find("k7").slices)
    assert last in [each.name for each in kept(rig)]


def test_a_disk_without_room_fails_no_reading(remote: ObjectRig) -> None:
    (remote.folder / "cache").write_bytes(b"not a folder")

    for _ in range(3):
        assert remote.get("k") == DATA

    assert remote.objects.cache_counts.failure_count > 0


def test_pieces_on_a_disk_of_this_machine_are_not_kept(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1, memory_count=1, scheme=Copies(count=2), cache_bytes=16 * MIB)
    rig.put("k", DATA)
    for _ in range(3):
        assert rig.get("k") == DATA

    assert kept(rig) == []
    assert rig.objects.cache_counts.miss_count == 0


def test_a_bad_backend_is_noticed_while_the_blob_is_taken_in(remote: ObjectRig) -> None:
    remote.get("k")
    (stored,) = remote.find("k").slices
    memory = next(each for each in remote.memories if each.backend_id == stored.locations[0].backend_id)
    memory.faults.add(Call.READ, Fault.UNAVAILABLE, after_count=1)
    with pytest.raises(Exception, match="blob"):
        remote.get("k")

    assert kept(remote) == []
    assert unfinished(remote) == []
    assert remote.objects.degradations.counts()[Degradation.READ_FAILED_OVER] == 1


def test_foreign_files_are_left_alone(remote: ObjectRig) -> None:
    folder = remote.folder / "cache"
    (folder / "ab").mkdir(parents=True)
    for name in ("ab/notes.txt", "ab/0123", "readme"):
        (folder / name).write_text("mine")
    for _ in range(2):
        remote.get("k")

    CacheFolder(folder, size_bytes_max=1).flush()

    assert {each.read_text() for each in (folder / "ab").iterdir()} == {"mine"}
    assert (folder / "readme").read_text() == "mine"
    assert kept(remote) == []
    assert regions_of(remote.objects.reader.open(remote.find("k"), Span(start=0, stop=SIZE)))
