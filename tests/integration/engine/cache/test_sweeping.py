"""A cache that is full makes room beside its readers: what was not used for longest goes, and nobody who adds waits."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.cache.blobs import BlobCache, CacheCounts
from engine.cache.folder import CachedFile, CacheFolder
from engine.clock import uuid7
from engine.units import KIB, MIB

BLOB_BYTES = 4 * KIB
WAIT_S = 20.0


def put(folder: CacheFolder, *, age_s: float = 0.0, size_bytes: int = BLOB_BYTES) -> bytes:
    """A blob that was used so long ago; its id."""
    blob_id = uuid7()
    part = folder.part_of(blob_id, 0)
    part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part.write_bytes(bytes(size_bytes))
    used_at_s = time.time() - age_s
    os.utime(part, (used_at_s, used_at_s))
    assert folder.take(part, folder.path_of(blob_id), size_bytes).is_kept
    return blob_id


def fill(cache: BlobCache, size_bytes: int = BLOB_BYTES) -> bytes:
    """What a reader does who reads a blob for the second time."""
    blob_id = uuid7()
    assert cache.begin(blob_id, size_bytes) is None
    filling = cache.begin(blob_id, size_bytes)
    assert filling is not None
    filling.verified(0, memoryview(bytes(size_bytes)))
    return blob_id


def held_bytes(folder: CacheFolder) -> int:
    return sum(each.size_bytes for each in folder.files())


def names(folder: CacheFolder) -> set[str]:
    return {each.path.name for each in folder.files()}


class SlowFolder(CacheFolder):
    """A folder that takes as long to go through as the test likes; everybody else who does is noticed."""

    def __init__(self, path: Path, *, size_bytes_max: int) -> None:
        super().__init__(path, size_bytes_max=size_bytes_max)
        self.begun = threading.Event()
        self.let_go = threading.Event()
        self.looked_by: set[str] = set()

    def files(self, *, pause_s: float = 0.0) -> Iterator[CachedFile]:
        self.looked_by.add(threading.current_thread().name)
        self.begun.set()
        assert self.let_go.wait(WAIT_S)
        return super().files()


def cache_over(folder: CacheFolder) -> BlobCache:
    return BlobCache(folder, blob_bytes_max=MIB, counts=CacheCounts())


def test_readers_go_on_while_the_folder_is_gone_through(tmp_path: Path) -> None:
    folder = SlowFolder(tmp_path, size_bytes_max=100 * BLOB_BYTES)
    cache = cache_over(folder)
    for _ in range(100):
        fill(cache)
    assert folder.begun.wait(WAIT_S)

    # All of these find it full, or nearly so, and none of them waits for the one that sweeps.
    late = [fill(cache) for _ in range(20)]
    folder.let_go.set()

    assert cache.wait_for_room(WAIT_S)
    assert folder.looked_by == {"cache-sweeper"}
    assert cache.counts.filled_count == 100
    assert not {each.hex() for each in late} & names(folder)
    assert held_bytes(folder) <= 90 * BLOB_BYTES
    fill(cache)
    assert cache.counts.filled_count == 101


def test_of_many_small_blobs_the_oldest_go_however_few_are_kept_in_mind(tmp_path: Path) -> None:
    folder = CacheFolder(tmp_path, size_bytes_max=2000 * BLOB_BYTES, oldest_count_max=60)
    blob_ids = [put(folder, age_s=10_000 - number) for number in range(2000)]

    gone_bytes = folder.sweep(BLOB_BYTES)

    assert gone_bytes == 200 * BLOB_BYTES
    assert names(folder) == {each.hex() for each in blob_ids[200:]}
    assert folder.sweep(BLOB_BYTES) == 0


def test_there_is_room_afterwards_for_the_blob_that_found_none(tmp_path: Path) -> None:
    folder = CacheFolder(tmp_path, size_bytes_max=MIB)
    cache = cache_over(folder)
    for _ in range(2):
        fill(cache, 450 * KIB)
    assert cache.wait_for_room(WAIT_S)
    assert cache.counts.filled_count == 2

    fill(cache, 500 * KIB)
    assert cache.wait_for_room(WAIT_S)

    fill(cache, 500 * KIB)
    assert cache.wait_for_room(WAIT_S)
    assert held_bytes(folder) <= MIB
    assert cache.counts.evicted_bytes > 0


def test_a_blob_larger_than_the_cache_makes_nobody_go(tmp_path: Path) -> None:
    folder = CacheFolder(tmp_path, size_bytes_max=MIB)
    cache = BlobCache(folder, blob_bytes_max=4 * MIB, counts=CacheCounts())
    kept = fill(cache)

    for _ in range(3):
        assert cache.begin(uuid7(), 2 * MIB) is None

    assert names(folder) == {kept.hex()}


def test_processes_do_not_sweep_the_same_folder_at_once(tmp_path: Path) -> None:
    slow = SlowFolder(tmp_path, size_bytes_max=10 * BLOB_BYTES)
    for number in range(10):
        put(slow, age_s=100 - number)
    sweeping = threading.Thread(target=slow.sweep, args=(BLOB_BYTES,), name="elsewhere")
    sweeping.start()
    assert slow.begun.wait(WAIT_S)

    assert CacheFolder(tmp_path, size_bytes_max=10 * BLOB_BYTES).sweep(BLOB_BYTES) == 0

    slow.let_go.set()
    sweeping.join(WAIT_S)
    assert held_bytes(slow) == 9 * BLOB_BYTES


def forgotten(folder: CacheFolder) -> None:
    (folder.path / "total").write_text("17\n")


def far_too_much(folder: CacheFolder) -> None:
    (folder.path / "total").write_text(f"{10**12}\n")


def nonsense(folder: CacheFolder) -> None:
    (folder.path / "total").write_text("x")


@pytest.mark.parametrize("spoil", [forgotten, far_too_much, nonsense])
def test_an_account_that_is_wrong_is_put_right_by_a_sweep(
    tmp_path: Path, spoil: Callable[[CacheFolder], None]
) -> None:
    folder = CacheFolder(tmp_path, size_bytes_max=100 * BLOB_BYTES)
    for _ in range(50):
        put(folder)
    spoil(folder)
    cache = cache_over(folder)

    for _ in range(100):
        fill(cache)
        assert cache.wait_for_room(WAIT_S)

    assert 50 * BLOB_BYTES < held_bytes(folder) <= 150 * BLOB_BYTES
    assert int((tmp_path / "total").read_text()) == held_bytes(folder)


def test_what_was_begun_long_ago_and_never_finished_goes_and_what_is_being_written_stays(
    tmp_path: Path,
) -> None:
    folder = CacheFolder(tmp_path, size_bytes_max=10 * BLOB_BYTES)
    for number in range(10):
        put(folder, age_s=100 - number)
    dead, fresh = folder.part_of(uuid7(), 1), folder.part_of(uuid7(), 2)
    for part in (dead, fresh):
        part.parent.mkdir(exist_ok=True)
        part.write_bytes(bytes(100))
    os.utime(dead, (1, 1))

    folder.sweep(BLOB_BYTES)

    assert (dead.exists(), fresh.exists()) == (False, True)


def test_a_folder_that_cannot_be_gone_through_fails_nobody(tmp_path: Path) -> None:
    folder = CacheFolder(tmp_path / "cache", size_bytes_max=10 * BLOB_BYTES)
    cache = cache_over(folder)
    for _ in range(9):
        fill(cache)
    assert cache.wait_for_room(WAIT_S)
    (tmp_path / "cache" / "sweeping").unlink(missing_ok=True)
    (tmp_path / "cache" / "sweeping").mkdir()

    for _ in range(5):
        fill(cache)
        assert cache.wait_for_room(WAIT_S)

    assert cache.counts.failure_count > 0
    assert held_bytes(folder) <= 10 * BLOB_BYTES
