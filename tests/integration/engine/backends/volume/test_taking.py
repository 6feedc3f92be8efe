"""Files change hands safely: one writer each, appends behind the end of file, only what is ours taken."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.backends.volume.backend import VolumeBackend
from engine.backends.volume.disk import LinuxDisk
from engine.backends.volume.files import create_volume, list_leftovers, list_volume_files
from engine.backends.volume.format import FILE_BLOCK_BYTES, FIRST_RECORD_OFFSET, read_storage_key
from engine.backends.volume.identity import IDENTITY_NAME
from engine.clock import uuid7
from engine.errors import BackendUnavailable, DatabaseUnavailable, ForeignBackend
from engine.names import BackendName
from tests.support.pieces import payload_of, settle, tail_of
from tests.support.volumes import DEPLOYMENT_ID, IDENTITY_ID, MemoryLedger, make_volume_backend


def append(backend: VolumeBackend, size_bytes: int = 1000) -> tuple[bytes, int]:
    payload = payload_of(size_bytes)
    return read_storage_key(settle(backend.store(memoryview(payload), tail_of(payload))).storage_key)


def volume_file(directory: Path, volume_id: bytes) -> Path:
    return directory / f"{volume_id.hex()}.volume"


def test_a_restart_appends_to_the_same_file_at_the_next_block_after_its_end(tmp_path: Path) -> None:
    first = make_volume_backend(tmp_path, fill_bytes=0)
    volume_id, _ = append(first)
    first.close()
    size_bytes = volume_file(tmp_path, volume_id).stat().st_size

    second = make_volume_backend(tmp_path, fill_bytes=0)
    again_id, offset = append(second)
    second.close()

    assert again_id == volume_id
    assert offset == -(-size_bytes // FILE_BLOCK_BYTES) * FILE_BLOCK_BYTES


def test_a_restart_never_writes_before_the_end_it_found_whatever_stands_there(tmp_path: Path) -> None:
    first = make_volume_backend(tmp_path, fill_bytes=0)
    volume_id, _ = append(first)
    first.close()
    path = volume_file(tmp_path, volume_id)
    with path.open("ab") as file:
        file.write(b"torn" * 1111)
    before = path.read_bytes()

    second = make_volume_backend(tmp_path)
    append(second)
    second.close()

    assert path.read_bytes()[: len(before)] == before


def test_two_backends_on_one_directory_take_different_files(tmp_path: Path) -> None:
    one, other = make_volume_backend(tmp_path), make_volume_backend(tmp_path)

    assert append(one)[0] != append(other)[0]

    one.close()
    other.close()


def test_a_closed_backend_leaves_its_row_open_for_the_next(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    backend = make_volume_backend(tmp_path, ledger)
    volume_id, _ = append(backend)

    backend.close()

    assert ledger.open == [volume_id]
    assert ledger.closed_sizes == {}


def test_a_file_that_the_ledger_refuses_is_left_alone_and_asked_about_once(tmp_path: Path) -> None:
    first = make_volume_backend(tmp_path)
    volume_id, _ = append(first)
    first.close()
    before = volume_file(tmp_path, volume_id).read_bytes()
    ledger = MemoryLedger()
    ledger.refused.add(volume_id)

    second = make_volume_backend(tmp_path, ledger)
    taken_id, _ = append(second)
    second.close()

    assert taken_id != volume_id
    assert volume_file(tmp_path, volume_id).read_bytes() == before


def test_a_silent_ledger_fails_the_write_and_gives_the_lock_up(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    ledger.failing_with = DatabaseUnavailable("down")
    backend = make_volume_backend(tmp_path, ledger)

    with pytest.raises(BackendUnavailable):
        append(backend)
    ledger.failing_with = None
    append(backend)

    # The file made in vain was found again: no row, no lock, room left.
    assert len(list_volume_files(tmp_path)) == 1
    backend.close()


def test_a_closing_the_ledger_did_not_take_is_told_again_with_the_next(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    backend = make_volume_backend(tmp_path, ledger)
    first_id, _ = append(backend)
    ledger.failing_with = DatabaseUnavailable("down")
    backend.close_volumes()
    ledger.failing_with = None
    second_id, _ = append(backend)

    backend.close_volumes()

    assert {first_id, second_id} == set(ledger.closed_sizes)
    backend.close()


def test_a_file_held_by_somebody_else_is_not_taken(tmp_path: Path) -> None:
    first = make_volume_backend(tmp_path)
    volume_id, _ = append(first)
    first.close()
    fd = os.open(volume_file(tmp_path, volume_id), os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)

    second = make_volume_backend(tmp_path)
    taken_id, _ = append(second)
    second.close()
    os.close(fd)

    assert taken_id != volume_id


def test_a_file_at_its_limit_is_not_taken(tmp_path: Path) -> None:
    first = make_volume_backend(tmp_path)
    volume_id, _ = append(first)
    first.close()

    second = make_volume_backend(tmp_path, size_max_bytes=FIRST_RECORD_OFFSET + 1000)
    taken_id, _ = append(second)
    second.close()

    assert taken_id != volume_id


def test_a_file_with_a_damaged_header_is_kept_and_not_taken(tmp_path: Path) -> None:
    first = make_volume_backend(tmp_path)
    volume_id, _ = append(first)
    first.close()
    path = volume_file(tmp_path, volume_id)
    with path.open("r+b") as file:
        file.write(b"\0" * FIRST_RECORD_OFFSET)
    before = path.read_bytes()

    second = make_volume_backend(tmp_path)
    taken_id, _ = append(second)
    second.close()

    assert taken_id != volume_id
    assert path.read_bytes() == before


def test_a_file_under_another_files_name_is_not_taken(tmp_path: Path) -> None:
    first = make_volume_backend(tmp_path)
    volume_id, _ = append(first)
    first.close()
    renamed_id = uuid7()
    volume_file(tmp_path, volume_id).rename(volume_file(tmp_path, renamed_id))

    second = make_volume_backend(tmp_path)
    taken_id, _ = append(second)
    second.close()

    assert taken_id not in (volume_id, renamed_id)


def test_a_file_of_another_backend_is_not_taken(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    stranger = create_volume(
        LinuxDisk(), tmp_path, volume_id=uuid7(), identity_id=b"another backend!", created_at_us=1
    )
    stranger.close()

    taken_id, _ = append(backend)

    assert taken_id != stranger.volume_id
    backend.close()


def test_a_disk_that_went_away_gets_no_new_file(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    (tmp_path / IDENTITY_NAME).unlink()

    with pytest.raises(ForeignBackend):
        append(backend)

    assert list_volume_files(tmp_path) == []
    backend.close()


def test_a_directory_that_was_never_registered_is_refused_and_stays_empty(tmp_path: Path) -> None:
    backend = VolumeBackend(
        backend_id=1,
        name=BackendName("near"),
        path=tmp_path,
        ledger=MemoryLedger(),
        deployment_id=DEPLOYMENT_ID,
        identity_id=IDENTITY_ID,
        node="node-1",
    )

    with pytest.raises(ForeignBackend):
        append(backend)

    assert list(tmp_path.iterdir()) == []


def test_a_volume_id_is_never_made_twice(tmp_path: Path) -> None:
    volume_id = uuid7()
    create_volume(
        LinuxDisk(), tmp_path, volume_id=volume_id, identity_id=IDENTITY_ID, created_at_us=1
    ).close()

    with pytest.raises(FileExistsError):
        create_volume(LinuxDisk(), tmp_path, volume_id=volume_id, identity_id=IDENTITY_ID, created_at_us=2)

    assert list_leftovers(tmp_path, older_than_s=float("inf")) == []


def test_only_files_under_construction_and_long_untouched_count_as_left_over(tmp_path: Path) -> None:
    backend = make_volume_backend(tmp_path)
    append(backend)
    leftover = tmp_path / f".{uuid7().hex()}.tmp"
    leftover.write_bytes(b"half a header")
    os.utime(leftover, (1000, 1000))
    (tmp_path / f".{uuid7().hex()}.tmp").write_bytes(b"being made right now")

    assert list_leftovers(tmp_path, older_than_s=2000) == [leftover]
    backend.close()


def test_after_kill_9_every_acknowledged_piece_reads_back_and_the_file_goes_on(tmp_path: Path) -> None:
    acknowledged: list[tuple[str, int, int]] = []
    for generation in range(3):
        command = [sys.executable, "-m", f"{__package__}.appender", str(tmp_path), str(generation * 1000)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _, line in zip(range(25), process.stdout, strict=False):
                words = line.split()
                acknowledged.append((words[0], int(words[1]), int(words[2])))
            os.kill(process.pid, signal.SIGKILL)

    backend = make_volume_backend(tmp_path)
    for key, size_bytes, seed in acknowledged:
        reader = backend.open_reader(key, size_bytes)
        buffer = bytearray(size_bytes)
        reader.read_into(0, memoryview(buffer))
        reader.close()
        assert buffer == payload_of(size_bytes, seed=seed)
    backend.close()
    assert len(acknowledged) == 75
    assert len({read_storage_key(key) for key, _, _ in acknowledged}) == 75
    assert len(list_volume_files(tmp_path)) == 2


def test_processes_at_once_on_one_directory_never_write_into_the_same_file(tmp_path: Path) -> None:
    make_volume_backend(tmp_path).close()
    commands = [
        [sys.executable, "-m", f"{__package__}.appender", str(tmp_path), str(n * 1000)] for n in range(2)
    ]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    keys: list[set[bytes]] = []
    for process in processes:
        assert process.stdout is not None
        lines = [line for _, line in zip(range(10), process.stdout, strict=False)]
        keys.append({read_storage_key(line.split()[0])[0] for line in lines})
    for process in processes:
        process.kill()
        process.communicate()

    assert keys[0].isdisjoint(keys[1])


def test_files_that_are_given_up_at_the_same_time_are_each_reported(tmp_path: Path) -> None:
    class Meeting(MemoryLedger):
        """Takes two closings only together."""

        def __init__(self) -> None:
            super().__init__()
            self.met = threading.Barrier(2, timeout=10)
            self.inside = threading.Event()

        def closed(self, volume_id: bytes, size_bytes: int, /) -> None:
            self.inside.set()
            self.met.wait()
            super().closed(volume_id, size_bytes)

    ledger = Meeting()
    backend = make_volume_backend(tmp_path, ledger, size_max_bytes=20_000, fill_bytes=0)
    payload = payload_of(30_000)
    full, _ = append(backend, 30_000)
    stream = backend.open_writer(len(payload), 100)
    stream.write(memoryview(payload))
    # Its file has no room for another, and is given up once the first stream has ended.
    backend.open_writer(10, 100).abort()

    with ThreadPoolExecutor(max_workers=1) as pool:
        appended = pool.submit(append, backend)
        assert ledger.inside.wait(20)
        streamed = read_storage_key(stream.finish(tail_of(payload)).storage_key)
        appended.result()

    assert set(ledger.closed_sizes) == {full, streamed[0]}
    backend.close()
