"""How fast the metadata store commits and reads: one-row units, publishing units, reads beside them. Asserts nothing."""

import argparse
import multiprocessing
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.synchronize import Barrier as ProcessBarrier
from pathlib import Path
from typing import Any

from engine.clock import uuid7
from engine.metadata import journal, publish, versions
from engine.metadata.sqlite.store import SqliteStore
from engine.metadata.store import Barrier, Tx
from engine.names import bucket_name, object_key
from engine.records import Blob, Copies, Location, NewBlob, NewVersion, ObjectHeaders, Segment
from engine.units import KIB
from tests.support.metadata import make_backend, make_bucket, open_sqlite

BUCKET = bucket_name("photos")
READ_COUNT = 20_000


class Appends:
    """A file that grows by 4 KiB a unit and is synced before the commit, as a volume is; one sync serves a group."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._payload = os.urandom(4 * KIB)

    def append(self) -> None:
        os.write(self._fd, self._payload)

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def close(self) -> None:
        os.close(self._fd)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--directory", type=Path, default=None, help="where to write (default: a temporary one)"
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each run")
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(dir=arguments.directory, prefix="metadata-bench-"))
    try:
        for processes, threads in ((1, 1), (1, 16), (2, 16)):
            for kind in ("row", "append", "publish"):
                _writes(
                    directory / f"{kind}-{processes}-{threads}", kind, processes, threads, arguments.seconds
                )
        _reads(directory / "reads")
    finally:
        shutil.rmtree(directory)


def _writes(folder: Path, kind: str, process_count: int, thread_count: int, seconds: float) -> None:
    folder.mkdir()
    store = open_sqlite(folder)
    bucket = make_bucket(store)
    backend_id = make_backend(store, kind="memory")
    store.close()
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(process_count)
    results: Any = spawn.Queue()
    arguments = (folder, kind, thread_count, seconds, (bucket.account_id, backend_id), start, results)
    running = [spawn.Process(target=_process, args=arguments) for _ in range(process_count)]
    for each in running:
        each.start()
    measured = [results.get() for _ in running]
    for each in running:
        each.join()
    waits = sorted(wait for waits, _ in measured for wait in waits)
    groups = statistics.mean(size for _, sizes in measured for size in sizes)
    print(
        f"{kind:8} {process_count} x {thread_count:2}: {len(waits) / seconds:8.0f}/s"
        f"  p50 {waits[len(waits) // 2] * 1e3:6.2f} ms  p99 {waits[len(waits) * 99 // 100] * 1e3:6.2f} ms"
        f"  {groups:5.1f} units a commit"
    )


def _process(
    folder: Path,
    kind: str,
    thread_count: int,
    seconds: float,
    owner: tuple[int, int],
    start: ProcessBarrier,
    results: Any,
) -> None:
    store = open_sqlite(folder)
    appends = Appends(folder / f"appended-{os.getpid()}")
    waits: list[list[float]] = [[] for _ in range(thread_count)]
    start.wait()
    stop_s = time.perf_counter() + seconds

    def call(number: int) -> None:
        count = 0
        while (begun_s := time.perf_counter()) < stop_s:
            unit, barriers = _unit(kind, owner, appends, f"{os.getpid()}-{number}-{count}")
            store.write(unit, after=barriers)
            waits[number].append(time.perf_counter() - begun_s)
            count += 1

    threads = [threading.Thread(target=call, args=(number,)) for number in range(thread_count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    results.put(([wait for each in waits for wait in each], list(store.committer.group_sizes)))
    store.close()
    appends.close()


def _unit(
    kind: str, owner: tuple[int, int], appends: Appends, name: str
) -> tuple[Callable[[Tx], object], Sequence[Barrier]]:
    if kind == "row":
        return partial(journal.append, kind="bench", image={"name": name}), ()
    appends.append()
    if kind == "append":
        return partial(journal.append, kind="bench", image={"name": name}), (appends,)
    return partial(publish.publish, new=_version(*owner, name)), (appends,)


def _version(account_id: int, backend_id: int, name: str) -> NewVersion:
    blob_id = uuid7()
    blob = Blob(
        blob_id=blob_id,
        size_bytes=4 * KIB,
        stored_bytes=4 * KIB,
        content_hash=None,
        dedup_domain=None,
        scheme=Copies(count=1),
        key_id=None,
        wrapped_dek=None,
        frame_bytes=None,
        block_crcs=b"\0" * 4,
    )
    location = Location(
        blob_id=blob_id,
        piece_index=0,
        backend_id=backend_id,
        storage_key=blob_id.hex(),
        stored_bytes=5 * KIB,
        card_key_id=None,
    )
    return NewVersion(
        bucket=BUCKET,
        key=object_key(name.encode()),
        account_id=account_id,
        size_bytes=4 * KIB,
        etag="0" * 32,
        headers=ObjectHeaders(),
        checksums=(),
        segments=(Segment(ordinal=0, start_offset=0, blob_id=blob_id, blob_offset=0, length=4 * KIB),),
        blobs=(NewBlob(blob=blob, locations=(location,)),),
    )


def _reads(folder: Path) -> None:
    folder.mkdir()
    store = open_sqlite(folder)
    bucket = make_bucket(store)
    backend_id = make_backend(store, kind="memory")
    store.write(partial(publish.publish, new=_version(bucket.account_id, backend_id, "one")))
    for name, unit in (
        ("read of nothing", _nothing),
        ("read of a bucket's row", _one_statement),
        ("find_current", partial(versions.find_current, bucket=BUCKET, key=b"one")),
    ):
        print(f"{name}: {_each_us(store, unit):.1f} us")
    store.close()


def _nothing(tx: Tx) -> None:
    """The store's own part of a read."""


def _one_statement(tx: Tx) -> object:
    return tx.row("find_bucket", {"name": BUCKET})


def _each_us(store: SqliteStore, unit: Callable[[Tx], object]) -> float:
    begun_s = time.perf_counter()
    for _ in range(READ_COUNT):
        store.read(unit)
    return (time.perf_counter() - begun_s) / READ_COUNT * 1e6


if __name__ == "__main__":
    main()
