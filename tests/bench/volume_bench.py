"""How fast a volume takes and gives bytes: synced 4 KiB appends, streams, verified reads. Measures, asserts nothing."""

import argparse
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from awscrt.checksums import crc32c

from engine.backends.base import PieceTail
from engine.backends.volume.appending import FILL_BYTES
from engine.backends.volume.backend import VolumeBackend
from engine.units import BLOCK_BYTES, GIB, KIB, MIB
from tests.support.pieces import payload_of, tail_of
from tests.support.volumes import make_volume_backend

STREAM_BYTES = 64 * MIB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--directory", type=Path, default=None, help="where to write (default: a temporary one)"
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each append run")
    parser.add_argument("--threads", type=int, default=16, help="threads that append")
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(dir=arguments.directory, prefix="volume-bench-"))
    try:
        for threads in (1, arguments.threads):
            for fill_bytes in (0, FILL_BYTES):
                _appends(directory / f"a-{threads}-{fill_bytes}", threads, fill_bytes, arguments.seconds)
        _streams(directory / "s")
    finally:
        shutil.rmtree(directory)


def _appends(path: Path, thread_count: int, fill_bytes: int, seconds: float) -> None:
    """Threads append and wait; one committer syncs the newest barrier for all, as the metadata store does."""
    backend = make_volume_backend(path, fill_bytes=fill_bytes)
    payload = memoryview(payload_of(4 * KIB))
    tail = tail_of(bytes(payload), card=b"c" * 300)
    stop_s = time.perf_counter() + seconds
    counts = [0] * thread_count
    waiting: list[tuple[Callable[[], None], threading.Event]] = []
    arrived = threading.Condition()

    def append(number: int) -> None:
        while time.perf_counter() < stop_s:
            piece = backend.store(payload, tail)
            assert piece.barrier is not None
            settled = threading.Event()
            with arrived:
                waiting.append((piece.barrier.sync, settled))
                arrived.notify()
            settled.wait()
            counts[number] += 1

    def commit() -> None:
        while time.perf_counter() < stop_s + 0.2:
            with arrived:
                if not waiting:
                    arrived.wait(0.05)
                group, waiting[:] = waiting[:64], waiting[64:]
            for sync, _ in group:
                sync()
            for _, settled in group:
                settled.set()

    began_s = time.perf_counter()
    threads = [threading.Thread(target=append, args=(number,)) for number in range(thread_count)]
    threads.append(threading.Thread(target=commit))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = sum(counts) / (time.perf_counter() - began_s - 0.2)
    backend.close()
    print(
        f"append 4 KiB + shared sync, {thread_count:2d} threads, filled ahead {fill_bytes // KIB:5d} KiB: {rate:8.0f}/s"
    )


def _streams(path: Path) -> None:
    backend = make_volume_backend(path)
    payload = payload_of(STREAM_BYTES)
    tail = tail_of(payload, card=b"c" * 300)
    count = 8
    began_s = time.perf_counter()
    pieces = [_stream(backend, payload, tail) for _ in range(count)]
    elapsed_s = time.perf_counter() - began_s
    print(f"stream 64 MiB, synced at its end: {count * STREAM_BYTES / MIB / elapsed_s:8.0f} MiB/s")

    buffer = memoryview(bytearray(BLOCK_BYTES))
    for _ in range(2):
        began_s, cpu_s = time.perf_counter(), time.process_time()
        for key in pieces:
            _verify(backend, key, tail, buffer)
        elapsed_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
        total = count * STREAM_BYTES / GIB
        print(
            f"read and verify 64 MiB from memory: {total / elapsed_s:8.2f} GiB/s, {total / cpu_s:.2f} per CPU second"
        )
    backend.close()


def _stream(backend: VolumeBackend, payload: bytes, tail: PieceTail) -> str:
    writer = backend.open_writer(len(payload), len(tail.card))
    view = memoryview(payload)
    for start in range(0, len(payload), BLOCK_BYTES):
        writer.write(view[start : start + BLOCK_BYTES])
    return writer.finish(tail).storage_key


def _verify(backend: VolumeBackend, key: str, tail: PieceTail, buffer: memoryview) -> None:
    reader = backend.open_reader(key, STREAM_BYTES)
    for number, start in enumerate(range(0, STREAM_BYTES, BLOCK_BYTES)):
        reader.read_into(start, buffer)
        assert crc32c(buffer).to_bytes(4, "big") == tail.block_crcs[number * 4 : number * 4 + 4]
        reader.region(start, BLOCK_BYTES)
    reader.close()


if __name__ == "__main__":
    main()
