"""With `verify_reads: false` clients get what lies there, and nobody else does: copies, checks and caches verify."""

import errno
import os
from pathlib import Path

import pytest

from engine.errors import CorruptEverywhere
from engine.objects.degradations import Degradation
from engine.objects.read import Span
from engine.records import Copies, Location, Sealing
from engine.streams import FileRegion
from engine.units import BLOCK_BYTES, KIB, MIB
from tests.integration.engine.objects.conftest import MakeRig
from tests.support.bodies import regions_of
from tests.support.objects import ObjectRig
from tests.support.pieces import payload_of

SIZE = 700 * KIB
DATA = payload_of(SIZE)
STORES = [{"volume_count": 1}, {"volume_count": 0, "memory_count": 1}]


def location_of(rig: ObjectRig, key: str) -> Location:
    """The copy that serves first."""
    (one,) = rig.find(key).slices
    turn = one.blob.blob_id[-1]
    return min(one.locations, key=lambda each: (each.piece_index + turn) % len(one.locations))


def flipped(data: bytes, offset: int) -> bytes:
    return data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :]


def count_of(rig: ObjectRig, kind: Degradation) -> int:
    return rig.objects.degradations.counts()[kind]


@pytest.mark.parametrize("store", STORES, ids=["volume", "memory"])
@pytest.mark.parametrize("size", [1, 5000, 64 * KIB + 1, SIZE])
def test_a_flipped_bit_goes_out_and_the_read_is_counted(
    make_rig: MakeRig, store: dict[str, int], size: int
) -> None:
    rig = make_rig(verify_reads=False, **store)
    data = DATA[:size]
    rig.put("k", data)
    rig.damage(location_of(rig, "k").storage_key, size // 2)

    assert rig.get("k") == flipped(data, size // 2)

    assert count_of(rig, Degradation.VERIFICATION_OFF) == 1
    assert count_of(rig, Degradation.UNVERIFIED) == 0


@pytest.mark.parametrize("store", STORES, ids=["volume", "memory"])
def test_where_reads_are_verified_it_does_not(make_rig: MakeRig, store: dict[str, int]) -> None:
    rig = make_rig(**store)
    rig.put("k", DATA)
    rig.damage(location_of(rig, "k").storage_key, SIZE // 2)

    with pytest.raises(CorruptEverywhere):
        rig.get("k")

    assert count_of(rig, Degradation.VERIFICATION_OFF) == 0


@pytest.mark.parametrize("store", STORES, ids=["volume", "memory"])
@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, 1), (100, 200), (BLOCK_BYTES - 5, BLOCK_BYTES + 5), (100_000, SIZE), (SIZE - 1, SIZE)],
)
def test_ranges_are_those_asked_for(make_rig: MakeRig, store: dict[str, int], start: int, stop: int) -> None:
    rig = make_rig(verify_reads=False, **store)
    rig.put("k", DATA)

    assert rig.get("k", start, stop) == DATA[start:stop]


def test_sealed_blobs_are_opened_as_ever(make_rig: MakeRig) -> None:
    rig = make_rig(verify_reads=False, seal=Sealing.ALL, volume_count=1)
    rig.put("k", DATA)
    assert rig.get("k") == DATA
    rig.damage(location_of(rig, "k").storage_key, 300_000)

    with pytest.raises(CorruptEverywhere):
        rig.get("k")

    assert count_of(rig, Degradation.VERIFICATION_OFF) == 0


def test_what_is_copied_or_asked_to_be_verified_is(make_rig: MakeRig) -> None:
    # Part of the bytes: another blob of the same key's bucket would be shared.
    rig = make_rig(verify_reads=False, volume_count=1)
    rig.put("k", DATA)
    stored = rig.find("k")
    assert rig.objects.reader.verify(stored)
    rig.damage(location_of(rig, "k").storage_key, 300_000)

    assert not rig.objects.reader.verify(stored)
    with pytest.raises(CorruptEverywhere):
        list(regions_of(rig.objects.reader.open_in_memory(stored, Span(start=0, stop=SIZE))))
    assert not rig.fsck().is_clean


def test_unverified_bytes_never_enter_the_cache(make_rig: MakeRig) -> None:
    rig = make_rig(verify_reads=False, volume_count=0, memory_count=1, cache_bytes=16 * MIB)
    rig.put("k", DATA)

    for _ in range(4):
        assert rig.get("k") == DATA

    assert rig.objects.cache_counts.filled_count == 0
    assert not any(each.is_file() and each.stat().st_size for each in (rig.folder / "cache").rglob("*"))


def test_a_file_that_ends_within_the_piece_is_left_for_another_copy(make_rig: MakeRig) -> None:
    rig = make_rig(verify_reads=False, volume_count=2, scheme=Copies(count=2))
    rig.put("k", DATA)
    location = location_of(rig, "k")
    volume_id, _, offset = location.storage_key.partition(":")
    (path,) = Path(rig.folder).rglob(f"{volume_id}*")
    os.truncate(path, int(offset) + SIZE // 2)

    assert rig.get("k") == DATA

    assert count_of(rig, Degradation.READ_FAILED_OVER) == 1


@pytest.mark.parametrize("error", [None, OSError(errno.EIO, "Input/output error")], ids=["end", "EIO"])
@pytest.mark.parametrize("sent_bytes", [0, 100_000])
@pytest.mark.parametrize("verify_reads", [True, False], ids=["verified", "unverified"])
def test_what_a_file_does_not_give_comes_from_another_copy_at_that_byte(
    make_rig: MakeRig, verify_reads: bool, sent_bytes: int, error: OSError | None
) -> None:
    rig = make_rig(verify_reads=verify_reads, volume_count=2, scheme=Copies(count=2))
    rig.put("k", DATA)
    source = rig.objects.reader.open(rig.find("k"), Span(start=0, stop=SIZE))
    region = source.next_region()
    assert isinstance(region, FileRegion)
    assert region.is_read is verify_reads
    sent = os.pread(region.fd, sent_bytes, region.offset)

    source.unsent(region.length - sent_bytes, error)

    assert source.remaining_bytes == SIZE - sent_bytes
    assert sent + b"".join(regions_of(source)) == DATA
    assert count_of(rig, Degradation.READ_FAILED_OVER) == 1


def test_without_another_copy_the_body_ends_there(make_rig: MakeRig) -> None:
    rig = make_rig(verify_reads=False, volume_count=1)
    rig.put("k", DATA)
    source = rig.objects.reader.open(rig.find("k"), Span(start=0, stop=SIZE))
    region = source.next_region()
    assert isinstance(region, FileRegion)
    location = location_of(rig, "k")
    volume_id, _, offset = location.storage_key.partition(":")
    (path,) = Path(rig.folder).rglob(f"{volume_id}*")
    os.truncate(path, int(offset) + 1000)

    source.unsent(region.length, None)

    with pytest.raises(CorruptEverywhere):
        source.next_region()
    source.close()
