"""Small appends share syncs, never rewrite a block with acknowledged bytes, and fail for good when a sync fails."""

import errno
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.backends.base import StoredPiece
from engine.backends.volume import appending
from engine.backends.volume.appending import AppendVolume
from engine.backends.volume.backend import VolumeBackend
from engine.backends.volume.disk import Buffer, LinuxDisk
from engine.backends.volume.files import create_volume
from engine.backends.volume.format import FILE_BLOCK_BYTES, FIRST_RECORD_OFFSET, read_storage_key
from engine.errors import BackendFull, BackendTimeout, BackendUnavailable, DatabaseUnavailable
from tests.support.pieces import payload_of, read_all, settle, tail_of
from tests.support.volumes import IDENTITY_ID, NAME, MemoryLedger, make_volume_backend


class Syncs(LinuxDisk):
    """A disk that counts its syncs, and fails them when told to; real otherwise."""

    def __init__(self, before_sync: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.count = 0
        self.failing_with: int | None = None
        self._before_sync = before_sync

    def sync(self, fd: int, /) -> None:
        # The header of a new file has a sync of its own.
        if os.fstat(fd).st_size > FIRST_RECORD_OFFSET:
            self.count += 1
            self._before_sync()
            if self.failing_with is not None:
                raise OSError(self.failing_with, os.strerror(self.failing_with))
        super().sync(fd)


def store(backend: VolumeBackend, size_bytes: int = 1000, *, seed: int = 0) -> StoredPiece:
    payload = payload_of(size_bytes, seed=seed)
    return backend.store(memoryview(payload), tail_of(payload))


def place(piece: StoredPiece) -> tuple[bytes, int]:
    return read_storage_key(piece.storage_key)


def sync(piece: StoredPiece) -> None:
    assert piece.barrier is not None
    piece.barrier.sync()


def test_one_sync_settles_all_appends_before_it(tmp_path: Path) -> None:
    syncs = Syncs()
    backend = make_volume_backend(tmp_path, disk=syncs)
    pieces = [store(backend, seed=number) for number in range(20)]

    for piece in pieces:
        sync(piece)

    assert syncs.count == 1
    backend.close()


def test_barriers_that_meet_share_a_sync(tmp_path: Path) -> None:
    inside, release = threading.Event(), threading.Event()

    def wait_inside() -> None:
        inside.set()
        assert release.wait(20)

    syncs = Syncs(wait_inside)
    backend = make_volume_backend(tmp_path, disk=syncs)
    first = store(backend)
    with ThreadPoolExecutor(max_workers=9) as pool:
        leader = pool.submit(sync, first)
        assert inside.wait(20)
        late = [store(backend, seed=number) for number in range(8)]
        followers = [pool.submit(sync, piece) for piece in late]
        release.set()
        for future in (leader, *followers):
            future.result()

    assert syncs.count == 2
    backend.close()


def test_the_first_append_after_a_sync_starts_in_a_fresh_file_block(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    together = [store(backend), store(backend)]
    settle(together[0])

    after = store(backend)

    assert place(together[1])[1] % FILE_BLOCK_BYTES != 0
    assert place(after)[1] % FILE_BLOCK_BYTES == 0
    assert place(after)[1] > place(together[1])[1]
    backend.close()


def test_no_file_block_is_shared_by_appends_that_different_syncs_settle(tmp_path: Path) -> None:
    # What is written while a sync runs must not touch a block that the sync makes acknowledged.
    backend = make_volume_backend(tmp_path)

    def work(number: int) -> StoredPiece:
        return settle(store(backend, 100 + number * 37 % 5000, seed=number))

    with ThreadPoolExecutor(max_workers=8) as pool:
        pieces = list(pool.map(work, range(300)))

    epochs_by_block: dict[int, set[int]] = defaultdict(set)
    for piece in pieces:
        offset = place(piece)[1]
        epoch = piece.barrier.epoch  # type: ignore[union-attr]
        for block in range(offset // FILE_BLOCK_BYTES, -(-(offset + piece.stored_bytes) // FILE_BLOCK_BYTES)):
            epochs_by_block[block].add(epoch)
    assert {len(epochs) for epochs in epochs_by_block.values()} == {1}
    backend.close()


class SlowWrite(Syncs):
    """A disk whose write of one record stops half way until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.go_on = threading.Event(), threading.Event()
        self.slow_payload_bytes = 0
        self.synced_too_early: list[bool] = []

    def write(self, fd: int, parts: Sequence[Buffer], offset: int, /) -> int:
        if len(parts) == 3 and len(parts[1]) == self.slow_payload_bytes:
            self.began.set()
            assert self.go_on.wait(20)
        return super().write(fd, parts, offset)

    def sync(self, fd: int, /) -> None:
        self.synced_too_early.append(self.began.is_set() and not self.go_on.is_set())
        super().sync(fd)


def test_a_sync_waits_for_the_writes_of_its_epoch_that_are_under_way(tmp_path: Path) -> None:
    # Otherwise such a write would go into a file block that the sync has just made acknowledged.
    disk = SlowWrite()
    backend = make_volume_backend(tmp_path, disk=disk)
    quick = store(backend, 500)
    disk.slow_payload_bytes = 777
    with ThreadPoolExecutor(max_workers=2) as pool:
        slow = pool.submit(store, backend, 777)
        assert disk.began.wait(20)
        synced = pool.submit(sync, quick)
        # A write of the next epoch is not held up by the sync that waits: wait until it lands in a fresh block.
        while place(store(backend, 10))[1] % FILE_BLOCK_BYTES != 0:
            pass
        disk.go_on.set()
        synced.result()
        slow.result()

    assert True not in disk.synced_too_early
    backend.close()


def test_a_write_that_outlasts_the_wait_of_its_sync_is_settled_by_none_that_began_before_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowWrite()
    backend = make_volume_backend(tmp_path, disk=disk)
    quick = store(backend, 500)
    disk.slow_payload_bytes = 777
    monkeypatch.setattr(appending, "SYNC_WAIT_S", 0.01)
    with ThreadPoolExecutor(max_workers=1) as pool:
        written = pool.submit(store, backend, 777)
        assert disk.began.wait(20)
        with pytest.raises(BackendTimeout):
            sync(quick)
        with pytest.raises(BackendTimeout):
            sync(store(backend, 10))
        disk.go_on.set()
        slow = written.result()
    assert True not in disk.synced_too_early
    count = disk.count

    sync(slow)

    assert disk.count == count + 1
    backend.close()


def test_a_volume_that_several_writers_retire_gives_its_descriptor_up_once(tmp_path: Path) -> None:
    # By then another file may have its number.
    disk = LinuxDisk()
    locked = create_volume(disk, tmp_path, volume_id=bytes(16), identity_id=IDENTITY_ID, created_at_us=0)
    volume = AppendVolume(locked, backend=NAME, size_max_bytes=1 << 20, disk=disk)
    payload = payload_of(1000)
    tail = tail_of(payload)
    assert volume.append(memoryview(payload), block_crcs=tail.block_crcs, card=tail.card) is not None
    size_bytes = volume.retire()
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    if other != locked.fd:
        os.dup2(other, locked.fd)
        os.close(other)

    assert volume.retire() == size_bytes

    os.write(locked.fd, b"still open")
    os.close(locked.fd)
    assert not volume.is_poisoned


def test_writers_that_find_no_other_file_leave_what_others_have_open_alone(tmp_path: Path) -> None:
    class Hesitant(MemoryLedger):
        """Refuses to answer every other time."""

        def __init__(self) -> None:
            super().__init__()
            self.asked_count = 0

        def opened(self, volume_id: bytes, /) -> bool:
            self.asked_count += 1
            if self.asked_count % 2:
                raise DatabaseUnavailable("not now")
            return super().opened(volume_id)

    backend = make_volume_backend(tmp_path, Hesitant(), size_max_bytes=20_000, fill_bytes=0)

    def work(number: int) -> None:
        try:
            settle(store(backend, 5000, seed=number))
        except BackendUnavailable:
            pass

    with ThreadPoolExecutor(max_workers=16) as pool:
        for _ in pool.map(work, range(500)):
            pass
    backend.close()


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.EIO, BackendUnavailable), (errno.ENOSPC, BackendFull)],
    ids=["EIO", "ENOSPC"],
)
def test_a_failed_sync_fails_what_it_covered_and_is_never_tried_again(
    tmp_path: Path, number: int, expected: type[Exception]
) -> None:
    syncs, ledger = Syncs(), MemoryLedger()
    backend = make_volume_backend(tmp_path, ledger, disk=syncs)
    acknowledged = settle(store(backend, seed=1))
    doomed = [store(backend, seed=2), store(backend, seed=3)]
    syncs.failing_with = number

    for piece in doomed:
        with pytest.raises(expected):
            sync(piece)
    assert syncs.count == 2

    # The kernel would answer with success now; nobody may ask it.
    syncs.failing_with = None
    for piece in doomed:
        with pytest.raises(expected):
            sync(piece)
    assert syncs.count == 2
    sync(acknowledged)
    assert read_all(backend, acknowledged, 1000) == payload_of(1000, seed=1)
    backend.close()


def test_after_a_failed_sync_writes_go_to_another_file_and_the_ledger_knows(tmp_path: Path) -> None:
    syncs, ledger = Syncs(), MemoryLedger()
    backend = make_volume_backend(tmp_path, ledger, disk=syncs)
    doomed = store(backend)
    syncs.failing_with = errno.EIO
    with pytest.raises(BackendUnavailable):
        sync(doomed)
    syncs.failing_with = None

    after = settle(store(backend, seed=5))

    assert place(after)[0] != place(doomed)[0]
    assert list(ledger.closed_sizes) == [place(doomed)[0]]
    assert read_all(backend, after, 1000) == payload_of(1000, seed=5)
    backend.close()


def test_a_sync_that_fails_while_others_wait_fails_them_too(tmp_path: Path) -> None:
    inside, release = threading.Event(), threading.Event()

    def fail_inside() -> None:
        inside.set()
        assert release.wait(20)
        raise OSError(errno.EIO, "bad disk")

    backend = make_volume_backend(tmp_path, disk=Syncs(fail_inside))
    pieces = [store(backend, seed=number) for number in range(4)]
    with ThreadPoolExecutor(max_workers=4) as pool:
        futures = [pool.submit(sync, piece) for piece in pieces]
        assert inside.wait(20)
        release.set()
        failures = [future.exception() for future in futures]

    assert [type(failure) for failure in failures] == [BackendUnavailable] * 4
    backend.close()


def test_the_ledger_is_never_called_from_a_barrier(tmp_path: Path) -> None:
    # A barrier runs inside the ledger's own commit: a call from there would wait for itself.
    syncs, ledger = Syncs(), MemoryLedger()
    backend = make_volume_backend(tmp_path, ledger, disk=syncs)
    piece = store(backend)
    ledger.failing_with = AssertionError("called from a barrier")
    syncs.failing_with = errno.EIO

    with pytest.raises(BackendUnavailable):
        sync(piece)

    ledger.failing_with = None
    syncs.failing_with = None
    backend.close()


@pytest.mark.parametrize("fill_bytes", [0, 4096, 1 << 20])
def test_records_stand_whole_whatever_is_filled_ahead(tmp_path: Path, fill_bytes: int) -> None:
    backend = make_volume_backend(tmp_path, fill_bytes=fill_bytes)
    sizes = [1, 100, 5000, 70_000, 1_500_000, 4096, 3]

    pieces = [(size, settle(store(backend, size, seed=size))) for size in sizes for _ in range(3)]

    for size, piece in pieces:
        assert read_all(backend, piece, size) == payload_of(size, seed=size)
    backend.close()


def test_a_full_volume_is_closed_and_another_one_opened(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    backend = make_volume_backend(tmp_path, ledger, size_max_bytes=50_000, fill_bytes=0)

    pieces = [settle(store(backend, 10_000, seed=number)) for number in range(20)]

    volumes = list(dict.fromkeys(place(piece)[0] for piece in pieces))
    assert len(volumes) == 5
    assert list(ledger.closed_sizes) == volumes[:-1]
    for volume_id, size_bytes in ledger.closed_sizes.items():
        assert (tmp_path / f"{volume_id.hex()}.volume").stat().st_size == size_bytes
    for number, piece in enumerate(pieces):
        assert read_all(backend, piece, 10_000) == payload_of(10_000, seed=number)
    backend.close()


def test_appends_not_yet_synced_are_settled_when_their_volume_is_closed(tmp_path: Path) -> None:
    syncs = Syncs()
    backend = make_volume_backend(tmp_path, size_max_bytes=30_000, fill_bytes=0, disk=syncs)
    early = store(backend, 15_000)
    store(backend, 15_000)
    store(backend, 15_000)
    count = syncs.count

    sync(early)

    assert syncs.count == count == 1
    backend.close()


def full_disk_write(action: Callable[[], StoredPiece]) -> int:
    """Write until the disk is full; the count of pieces that were taken."""
    for taken in range(10_000):
        try:
            settle(action())
        except BackendFull:
            return taken
    raise AssertionError("the disk never filled up")


def test_a_full_disk_is_said_and_leaves_what_stands_readable(small_disk: Path) -> None:
    backend = make_volume_backend(small_disk / "near")
    pieces: list[StoredPiece] = []

    def write() -> StoredPiece:
        pieces.append(store(backend, 100_000, seed=len(pieces)))
        return pieces[-1]

    taken = full_disk_write(write)

    assert taken > 10
    for number, piece in enumerate(pieces[:taken]):
        assert read_all(backend, piece, 100_000) == payload_of(100_000, seed=number)
    with pytest.raises(BackendFull):
        store(backend)
    assert len(list((small_disk / "near").glob("*.volume"))) == 1
    backend.close()


def test_the_reserve_is_kept_free(small_disk: Path) -> None:
    backend = make_volume_backend(small_disk / "near", free_min_bytes=1 << 40)

    with pytest.raises(BackendFull):
        store(backend)
    with pytest.raises(BackendFull):
        backend.open_writer(10, 4)

    assert list((small_disk / "near").glob("*.volume")) == []
    backend.close()


def test_many_threads_keep_finding_a_file_while_files_fill_up_under_them(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    backend = make_volume_backend(tmp_path, ledger, size_max_bytes=40_000, fill_bytes=0)

    def work(number: int) -> bool:
        size_bytes = 5000 + number
        piece = settle(store(backend, size_bytes, seed=number))
        return read_all(backend, piece, size_bytes) == payload_of(size_bytes, seed=number)

    with ThreadPoolExecutor(max_workers=12) as pool:
        assert all(pool.map(work, range(300)))
    backend.close()

    assert len(ledger.closed_sizes) == len(list(tmp_path.glob("*.volume"))) - 1
