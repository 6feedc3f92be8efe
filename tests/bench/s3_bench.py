"""The S3 path against its limits, all in one run: `make bench`."""

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.bench.load import Request, bodiless, nginx, wrk
from tests.bench.metadata_bench import commits_per_s
from tests.bench.report import Report, load, signed
from tests.bench.tls import over_tls
from tests.support.engines import ENGINES
from tests.support.postgres import PostgresServer, running_server, with_database
from tests.support.served import Served

KIB, MIB = 1024, 1024 * 1024
BUCKET = "bench"


def main() -> None:
    """Measure everything, print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="write the table to this file as well")
    parser.add_argument("--seconds", type=int, default=8, help="length of each load")
    parser.add_argument("--listed", type=int, default=100_000, help="keys to list from")
    parser.add_argument("--database", choices=ENGINES, default="sqlite", help="where metadata is kept")
    options = parser.parse_args()
    report = Report()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        server = None
        if options.database == "postgres":
            server = stack.enter_context(running_server(settings={"shared_buffers": "256MB"}))
        served = stack.enter_context(
            Served(Path(folder), volumes=1, edit_config=partial(_edited, server=server))
        )
        served.client().create_bucket(Bucket=BUCKET)
        _small_reads(report, served, options.seconds)
        if server is None:
            limit_per_s, limit = _sync_pairs_per_s(Path(folder), seconds=3), "one fsync pair a request"
        else:
            limit_per_s, limit = (
                commits_per_s(server, seconds=options.seconds),
                "transactions alone, one a publish",
            )
        _small_writes(report, served, options.seconds, limit, limit_per_s)
        _large(report, served, options.seconds, Path(folder))
        _listing(report, served, options.seconds, options.listed)
    over_tls(report, options.seconds)
    if options.out is not None:
        options.out.write_text("\n".join(report.lines) + "\n")


def _edited(text: str, *, server: PostgresServer | None) -> str:
    """The configuration over a server, where there is one."""
    if server is None:
        return text
    return with_database(text, server, server.create_empty_database(), max_conns=50)


def _small_reads(report: Report, served: Served, seconds: int) -> None:
    s3 = served.client()
    for index in range(64):
        s3.put_object(Bucket=BUCKET, Key=f"small/{index}", Body=os.urandom(KIB))
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        Path(root, "small").write_bytes(os.urandom(KIB))
        with nginx(Path(root)) as (url, pids):
            limit = wrk(
                url,
                [Request(method="GET", path="/small", headers={})],
                pids,
                connections=32,
                duration_s=seconds,
            )
    for connections in (1, 32, 256):
        requests = [signed(served, "GET", f"/{BUCKET}/small/{index}") for index in range(64)]
        figure = load(served, requests, connections=connections, seconds=seconds)
        report.row(
            f"signed GET 1 KiB, {connections} connections",
            f"{figure.cpu_us:.0f} µs CPU, {figure.requests_per_s:.0f}/s, p99 {figure.p99_ms:.1f} ms",
            f"nginx static {limit.cpu_us:.0f} µs",
            f"{figure.cpu_us / limit.cpu_us:.1f} × nginx",
        )
    requests = [signed(served, "HEAD", f"/{BUCKET}/small/{index}") for index in range(64)]
    figure = load(served, requests, connections=32, seconds=seconds, send=bodiless)
    report.row(
        "signed HEAD, 32 connections",
        f"{figure.cpu_us:.0f} µs CPU, {figure.requests_per_s:.0f}/s, p99 {figure.p99_ms:.1f} ms",
        f"nginx static {limit.cpu_us:.0f} µs",
        f"{figure.cpu_us / limit.cpu_us:.1f} × nginx",
    )


def _small_writes(report: Report, served: Served, seconds: int, limit: str, limit_per_s: float) -> None:
    requests = [signed(served, "PUT", f"/{BUCKET}/put/{index}", 4 * KIB) for index in range(512)]
    figure = load(served, requests, connections=32, seconds=seconds)
    report.row(
        "durable PUT 4 KiB, 32 connections",
        f"{figure.cpu_us:.0f} µs CPU, {figure.requests_per_s:.0f}/s, p99 {figure.p99_ms:.1f} ms",
        f"{limit} {limit_per_s:.0f}/s",
        f"{figure.requests_per_s / limit_per_s:.1f} × that",
    )


def _large(report: Report, served: Served, seconds: int, folder: Path) -> None:
    size_bytes = 64 * MIB
    path = f"/{BUCKET}/large"
    served.client().put_object(Bucket=BUCKET, Key="large", Body=os.urandom(size_bytes))
    figure = load(served, [signed(served, "GET", path)], connections=2, seconds=seconds)
    per_core = size_bytes / (figure.cpu_us / 1e6)
    with tempfile.TemporaryDirectory(dir=folder) as root:
        os.chmod(root, 0o755)
        os.chmod(folder, 0o755)
        Path(root, "large").write_bytes(os.urandom(size_bytes))
        with nginx(Path(root)) as (url, pids):
            limit = wrk(
                url,
                [Request(method="GET", path="/large", headers={})],
                pids,
                connections=2,
                duration_s=seconds,
            )
    limit_per_core = size_bytes / (limit.cpu_us / 1e6)
    report.row(
        "GET 64 MiB plain, blocks verified",
        f"{per_core / 1e9:.2f} GB/s a core, {figure.bytes_per_s / 1e9:.2f} GB/s",
        f"nginx sendfile, unverified {limit_per_core / 1e9:.2f} GB/s a core",
        f"{per_core / limit_per_core:.2f} × nginx",
    )
    md5_per_s = _hash_bytes_per_s(hashlib.md5)
    figure = load(served, [signed(served, "PUT", path, size_bytes)], connections=2, seconds=seconds)
    per_core = size_bytes / (figure.cpu_us / 1e6)
    report.row(
        "PUT 64 MiB, unsigned payload",
        f"{per_core / 1e6:.0f} MB/s a core, {figure.requests_per_s * size_bytes / 1e6:.0f} MB/s",
        f"MD5 alone {md5_per_s / 1e6:.0f} MB/s",
        f"{per_core / md5_per_s:.2f} × MD5",
    )
    # Bodies of loads are filled with `x`.
    payload = hashlib.sha256(b"x" * size_bytes).hexdigest()
    figure = load(
        served, [signed(served, "PUT", path, size_bytes, payload=payload)], connections=2, seconds=seconds
    )
    per_core = size_bytes / (figure.cpu_us / 1e6)
    both_per_s = 1 / (1 / md5_per_s + 1 / _hash_bytes_per_s(hashlib.sha256))
    report.row(
        "PUT 64 MiB, signed payload",
        f"{per_core / 1e6:.0f} MB/s a core, {figure.requests_per_s * size_bytes / 1e6:.0f} MB/s",
        f"MD5 and SHA-256 {both_per_s / 1e6:.0f} MB/s",
        f"{per_core / both_per_s:.2f} × both",
    )


def _listing(report: Report, served: Served, seconds: int, key_count: int) -> None:
    _fill(served, key_count)
    requests = [
        signed(
            served,
            "GET",
            f"/{BUCKET}?list-type=2&max-keys=1000&prefix=list%2F&start-after=list%2F{start:08d}",
        )
        for start in range(0, key_count - 1000, max(1, key_count // 50))
    ]
    figure = load(served, requests, connections=1, seconds=seconds)
    empty = load(
        served, [signed(served, "GET", f"/{BUCKET}?list-type=2&prefix=none")], connections=1, seconds=seconds
    )
    report.row(
        f"list 1,000 of {key_count:,} keys",
        f"{figure.cpu_us / 1000:.2f} ms CPU, p99 {figure.p99_ms:.1f} ms",
        f"empty page {empty.cpu_us / 1000:.2f} ms",
        f"{figure.cpu_us / empty.cpu_us:.0f} × an empty page",
    )


def _fill(served: Served, key_count: int) -> None:
    """Keys by the S3 API itself, as a user would make them: many connections, small bodies, in order."""
    print(f"  (filling {key_count} keys)", flush=True)
    start, seconds, in_flight_count = 0, 4, 64
    while start < key_count:
        batch = range(start, min(start + 20_000, key_count))
        requests = [signed(served, "PUT", f"/{BUCKET}/list/{index:08d}", 16) for index in batch]
        figure = load(served, requests, connections=32, seconds=seconds)
        done_count = int(figure.requests_per_s * seconds) - in_flight_count
        if done_count <= 0:
            raise RuntimeError("the keys to list could not be made")
        start += min(done_count, len(batch))


def _sync_pairs_per_s(folder: Path, *, seconds: int) -> float:
    """What one caller gets who appends 4 KiB to two files and syncs both, again and again."""
    payload = os.urandom(4 * KIB)
    with (folder / "a").open("ab", buffering=0) as first, (folder / "b").open("ab", buffering=0) as second:
        count, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            for file in (first, second):
                file.write(payload)
                os.fdatasync(file.fileno())
            count += 1
    return count / seconds


def _hash_bytes_per_s(make: Callable[[], "hashlib._Hash"]) -> float:
    payload = os.urandom(MIB)
    digest, started_s, count = make(), time.process_time(), 256
    for _ in range(count):
        digest.update(payload)
    return count * MIB / (time.process_time() - started_s)


if __name__ == "__main__":
    main()
