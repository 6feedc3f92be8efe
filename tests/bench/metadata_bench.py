"""How fast the metadata store commits and reads, and what a unit costs when many rows stand. Asserts nothing.

`python -m tests.bench.metadata_bench --help` tells the options.
"""

import argparse
import multiprocessing
import os
import random
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

from engine.clock import SystemClock, uuid7
from engine.metadata import buckets, journal, listing, publish, reaper, remove, versions
from engine.metadata.sqlite.store import SqliteStore
from engine.metadata.store import Barrier, Store, Tx
from engine.names import bucket_name, object_key
from engine.parking import nobody
from engine.records import Blob, Bucket, Copies, Location, NewBlob, NewVersion, ObjectHeaders, Origin, Segment
from engine.units import KIB
from tests.support.engines import ENGINES, metadata_on, open_metadata
from tests.support.metadata import make_backend, make_bucket, open_sqlite, run_sql
from tests.support.postgres import PostgresServer, open_postgres, running_server

BUCKET = bucket_name("photos")
READ_COUNT = 20_000
UNIT_COUNT = 5000
UNITS_PER_COMMIT = 500
COMMIT_THREAD_COUNT = 7


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
    parser.add_argument(
        "--rows",
        type=int,
        nargs="*",
        default=[10_000, 1_000_000],
        help="versions that stand in the bucket when the cost of units is measured (default: 10000 1000000)",
    )
    parser.add_argument("--only-rows", action="store_true", help="measure only the cost of units over --rows")
    parser.add_argument(
        "--database",
        choices=ENGINES,
        nargs="*",
        default=list(ENGINES),
        help="engines the units are measured on",
    )
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(dir=arguments.directory, prefix="metadata-bench-"))
    try:
        if not arguments.only_rows:
            for processes, threads in ((1, 1), (1, 16), (2, 16)):
                for kind in ("row", "append", "publish"):
                    folder = directory / f"{kind}-{processes}-{threads}"
                    _writes(folder, kind, processes, threads, arguments.seconds)
            _reads(directory / "reads")
        for engine in arguments.database:
            for row_count in arguments.rows:
                with metadata_on(engine):
                    _units_over_rows(directory / f"rows-{engine}-{row_count}", row_count)
        if "postgres" in arguments.database:
            _commits(arguments.seconds)
    finally:
        shutil.rmtree(directory)


def _commits(seconds: float) -> None:
    with running_server() as server:
        for thread_count in (1, COMMIT_THREAD_COUNT):
            begun_cpu_s = time.process_time()
            per_s = commits_per_s(server, seconds=seconds, thread_count=thread_count)
            cpu_us = (time.process_time() - begun_cpu_s) / (per_s * seconds) * 1e6
            print(
                f"publish on PostgreSQL, {thread_count} threads: {per_s:.0f}/s, "
                f"{cpu_us:.0f} us of the client's processor"
            )


def commits_per_s(
    server: PostgresServer, *, seconds: float, thread_count: int = COMMIT_THREAD_COUNT
) -> float:
    """Transactions of a PUT alone, each of one publish: the limit that PUTs over PostgreSQL are held against."""
    store = open_postgres(server, server.create_database(), park=nobody)
    bucket = make_bucket(store)
    backend_id = make_backend(store, kind="memory")
    until_s = time.perf_counter() + seconds
    counts = [0] * thread_count

    def call(number: int) -> None:
        while time.perf_counter() < until_s:
            version = _version(bucket.account_id, backend_id, f"t{number}-{counts[number]}")
            store.write(partial(publish.publish, new=version))
            counts[number] += 1

    threads = [threading.Thread(target=call, args=(number,)) for number in range(thread_count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    store.close()
    return sum(counts) / seconds


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


def _units_over_rows(folder: Path, row_count: int) -> None:
    """What the units of a PUT, an overwrite, a delete, a listing and DeleteBucket cost with many versions beside them.

    Units run many to a transaction, so that what is measured is the unit and not the sync of its commit.
    """
    folder.mkdir()
    store = open_metadata(folder, SystemClock())
    bucket = make_bucket(store)
    backend_id = make_backend(store, kind="memory")
    _fill(store, bucket, backend_id, row_count)
    names = [f"object-{random.randrange(row_count):09}" for _ in range(UNIT_COUNT)]
    owner = (bucket.account_id, backend_id)

    def put(tx: Tx, number: int) -> None:
        publish.publish(tx, _version(*owner, f"new-{number:09}"))

    def overwrite(tx: Tx, number: int) -> None:
        publish.publish(tx, _version(*owner, names[number]))

    def delete(tx: Tx, number: int) -> None:
        remove.remove(tx, BUCKET, object_key(f"new-{number:09}".encode()))

    def reap(tx: Tx, number: int) -> None:
        reaper.reap_step(tx, grace_us=0)

    def read(tx: Tx, number: int) -> None:
        versions.find_current(tx, BUCKET, names[number].encode())

    def list_page(tx: Tx, number: int) -> None:
        after = names[number].encode()
        listing.list_versions(tx, bucket=BUCKET, prefix=b"", delimiter=b"", after=after, count_max=1000)

    def make_and_delete_bucket(tx: Tx, number: int) -> None:
        name = bucket_name(f"bucket-{number}")
        buckets.create_bucket(tx, name=name, account_id=bucket.account_id, origin=Origin.API)
        buckets.delete_bucket(tx, name)

    for unit, count in (
        (put, UNIT_COUNT),
        (overwrite, UNIT_COUNT),
        (delete, UNIT_COUNT),
        (reap, UNIT_COUNT),
        (read, UNIT_COUNT),
        (list_page, UNIT_COUNT // 10),
        (make_and_delete_bucket, UNIT_COUNT // 10),
    ):
        wall_us, cpu_us = _each_of_many_us(store, unit, count)
        print(
            f"{type(store).__name__}, {row_count:9} rows: {unit.__name__:24} {wall_us:9.1f} us, "
            f"of the processor {cpu_us:9.1f} us"
        )
    store.close()


def _each_of_many_us(store: Store, unit: Callable[[Tx, int], None], count: int) -> tuple[float, float]:
    """Time that passed a unit, and time that the process used of it: on a busy machine only that compares."""
    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    for start in range(0, count, UNITS_PER_COMMIT):
        store.write(partial(_many, unit=unit, numbers=range(start, min(start + UNITS_PER_COMMIT, count))))
    wall_s, cpu_s = time.perf_counter() - begun_s, time.process_time() - begun_cpu_s
    return wall_s / count * 1e6, cpu_s / count * 1e6


def _many(tx: Tx, unit: Callable[[Tx, int], None], numbers: range) -> None:
    for number in numbers:
        unit(tx, number)


def _fill(store: Store, bucket: Bucket, backend_id: int, row_count: int) -> None:
    """Versions as PUTs leave them, by a few statements: publishing a million would take minutes."""
    made = {
        "count": row_count,
        "bucket": bucket.bucket_id,
        "account": bucket.account_id,
        "backend": backend_id,
    }
    for text in _FILL if isinstance(store, SqliteStore) else _FILL_POSTGRES:
        run_sql(store, text, {name: value for name, value in made.items() if f":{name}" in text})


_NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count)"
_BLOB_ID = "CAST(printf('%016d', i) AS BLOB)"
_FILL = (
    f"""{_NUMBERS} INSERT INTO blobs (blob_id, size_bytes, stored_bytes, scheme, block_crcs, created_at_us)
        SELECT {_BLOB_ID}, 4096, 4096, 'copies(1)', x'00000000', 1 FROM n""",
    f"""{_NUMBERS} INSERT INTO object_locations
        (blob_id, piece_index, backend_id, storage_key, stored_bytes, state, verified_at_us)
        SELECT {_BLOB_ID}, 0, :backend, printf('%032d', i), 5120, 'live', 1 FROM n""",
    f"""{_NUMBERS} INSERT INTO object_versions
        (bucket_id, object_key, version_id, is_current, size_bytes, etag, account_id, created_at_us, blob_id)
        SELECT :bucket, CAST(printf('object-%09d', i) AS BLOB), 'null', 1, 4096,
            '00000000000000000000000000000000', :account, 1, {_BLOB_ID} FROM n""",
    """UPDATE backend_quotas SET used_bytes = used_bytes + 4096 * :count, object_count = object_count + :count
        WHERE subject = 'bucket:' || :bucket""",
    """UPDATE backend_quotas SET used_bytes = used_bytes + 5120 * :count, object_count = object_count + :count
        WHERE subject = 'backend:' || :backend""",
)


_FILL_POSTGRES = (
    """INSERT INTO blobs (blob_id, size_bytes, stored_bytes, scheme, block_crcs, created_at_us)
        SELECT decode(lpad(to_hex(i), 32, '0'), 'hex'), 4096, 4096, 'copies(1)', decode('00000000', 'hex'), 1
        FROM generate_series(0, :count - 1) AS i""",
    """INSERT INTO object_locations
        (blob_id, piece_index, backend_id, storage_key, stored_bytes, state, verified_at_us)
        SELECT decode(lpad(to_hex(i), 32, '0'), 'hex'), 0, :backend, lpad(i::text, 32, '0'), 5120, 'live', 1
        FROM generate_series(0, :count - 1) AS i""",
    """INSERT INTO object_versions
        (bucket_id, object_key, version_id, is_current, size_bytes, etag, account_id, created_at_us, blob_id)
        SELECT :bucket, convert_to('object-' || lpad(i::text, 9, '0'), 'UTF8'), 'null', TRUE, 4096,
            '00000000000000000000000000000000', :account, 1, decode(lpad(to_hex(i), 32, '0'), 'hex')
        FROM generate_series(0, :count - 1) AS i""",
    """UPDATE backend_quotas SET used_bytes = used_bytes + 4096::bigint * :count, object_count = object_count + :count
        WHERE subject = 'bucket:' || :bucket::text AND stripe = 0""",
    """UPDATE backend_quotas SET used_bytes = used_bytes + 5120::bigint * :count, object_count = object_count + :count
        WHERE subject = 'backend:' || :backend::text AND stripe = 0""",
    "ANALYZE",
)


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
