"""An S3 backend through Penstock, against the same backend asked directly and through nginx: part of `make bench`."""

import argparse
import os
import re
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.load import Figure, Request, nginx, wrk
from tests.bench.report import Report, load, signed
from tests.support.served import Served

KIB, MIB = 1024, 1024 * 1024
STORE, BUCKET = "store", "bench"
SIZES = (("4 KiB", 4 * KIB, 32), ("1 MiB", MIB, 8), ("16 MiB", 16 * MIB, 2))
KEY_COUNT = 16
UNVERIFIED = "    verify_reads: false\n"


def main() -> None:
    """Measure everything, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=6, help="length of each load")
    options = parser.parse_args()
    report = Report()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        store = stack.enter_context(Served(folder / "store", volumes=1))
        store.client().create_bucket(Bucket=STORE)
        store.client().create_bucket(Bucket=BUCKET)
        served = stack.enter_context(Served(folder / "front", volumes=1, edit_config=over(store)))
        served.client().create_bucket(Bucket=BUCKET)
        unseen = stack.enter_context(
            Served(folder / "unseen", volumes=1, edit_config=over(store, prefix="unseen", more=UNVERIFIED))
        )
        unseen.client().create_bucket(Bucket=BUCKET)
        server = stack.enter_context(nginx(folder, proxied=store.credentials.endpoint))
        for name, size_bytes, connections in SIZES:
            _compare(report, store, served, server, name, size_bytes, connections, options.seconds)
        _unverified(report, store, unseen, server, options.seconds)
        _unverified_volume(report, folder, options.seconds)


def over(store: Served, *, prefix: str = "main", more: str = "") -> Callable[[str], str]:
    """Puts a bucket of another server in the place of a deployment's only volume; `more` lines say more of it."""
    known = store.credentials
    backend = (
        f"  - name: far\n    kind: s3\n    preset: penstock\n    endpoint: {known.endpoint}\n"
        f"    bucket: {STORE}\n    prefix: {prefix}\n    region: {known.region}\n{more}"
        f"    access_key_id: {known.access_key_id}\n    secret_access_key: {known.secret_access_key}\n"
    )

    def edit(text: str) -> str:
        changed, count = re.subn(r"(?m)^backends:\n(?:[ \t#-].*\n)+", f"backends:\n{backend}", text)
        assert count == 1, text
        return changed

    return edit


Server = tuple[str, Callable[[], list[int]]]


def _compare(
    report: Report,
    store: Served,
    served: Served,
    server: Server,
    name: str,
    size_bytes: int,
    connections: int,
    seconds: int,
) -> None:
    body = os.urandom(size_bytes)
    for each in (store, served):
        for number in range(KEY_COUNT):
            each.client().put_object(Bucket=BUCKET, Key=f"{size_bytes}/{number}", Body=body)
    for method in ("GET", "PUT"):
        sent_bytes = size_bytes if method == "PUT" else 0
        paths = [f"/{BUCKET}/{size_bytes}/{number}" for number in range(KEY_COUNT)]
        through = load(
            served,
            [signed(served, method, path, sent_bytes) for path in paths],
            connections=connections,
            seconds=seconds,
        )
        asked = [signed(store, method, path, sent_bytes) for path in paths]
        direct = load(store, asked, connections=connections, seconds=seconds)
        proxied = _through_nginx(store, server, asked, connections, seconds)
        report.row(
            f"{method} {name} through an S3 backend, {connections} connections",
            f"{through.cpu_us / 1000:.2f} ms CPU, {through.requests_per_s:.0f}/s, p99 {through.p99_ms:.1f} ms",
            f"direct {direct.requests_per_s:.0f}/s, p99 {direct.p99_ms:.1f} ms; "
            f"nginx {proxied.cpu_us / 1000:.2f} ms CPU, {proxied.requests_per_s:.0f}/s",
            f"{through.cpu_us / proxied.cpu_us:.1f} × nginx",
        )


def _unverified(report: Report, store: Served, served: Served, server: Server, seconds: int) -> None:
    name, size_bytes, connections = SIZES[-1]
    body = os.urandom(size_bytes)
    for number in range(KEY_COUNT):
        served.client().put_object(Bucket=BUCKET, Key=f"{size_bytes}/{number}", Body=body)
    paths = [f"/{BUCKET}/{size_bytes}/{number}" for number in range(KEY_COUNT)]
    requests = [signed(served, "GET", path) for path in paths]
    through = load(served, requests, connections=connections, seconds=seconds)
    asked = [signed(store, "GET", path) for path in paths]
    proxied = _through_nginx(store, server, asked, connections, seconds)
    report.row(
        f"GET {name} through an S3 backend, not verified, {connections} connections",
        f"{through.cpu_us / 1000:.2f} ms CPU, {through.requests_per_s:.0f}/s, p99 {through.p99_ms:.1f} ms",
        f"nginx {proxied.cpu_us / 1000:.2f} ms CPU, {proxied.requests_per_s:.0f}/s",
        f"{through.cpu_us / proxied.cpu_us:.2f} × nginx",
    )


def _unverified_volume(report: Report, folder: Path, seconds: int) -> None:
    """One volume, read with and without a look at its bytes."""
    size_bytes = 64 * MIB
    figures = []
    for name, more in (("checked", ""), ("unchecked", UNVERIFIED)):
        edit_config = partial(_with_volume_settings, more=more)
        with Served(folder / name, volumes=1, edit_config=edit_config) as served:
            served.client().create_bucket(Bucket=BUCKET)
            served.client().put_object(Bucket=BUCKET, Key="large", Body=os.urandom(size_bytes))
            figure = load(served, [signed(served, "GET", f"/{BUCKET}/large")], connections=2, seconds=seconds)
        figures.append((size_bytes / (figure.cpu_us / 1e6), figure.bytes_per_s))
    (verified, _), (unverified, rate) = figures
    report.row(
        "GET 64 MiB from a volume, not verified, 2 connections",
        f"{unverified / 1e9:.2f} GB/s a core, {rate / 1e9:.2f} GB/s",
        f"verified {verified / 1e9:.2f} GB/s a core",
        f"{unverified / verified:.2f} × verified",
    )


def _with_volume_settings(text: str, *, more: str) -> str:
    return text.replace("    kind: volume\n", f"    kind: volume\n{more}")


def _through_nginx(
    store: Served, server: Server, requests: list[Request], connections: int, seconds: int
) -> Figure:
    """The same requests: what they are signed for is what nginx sends on."""
    url, pids = server
    host = urlsplit(store.credentials.endpoint).netloc
    named = [
        Request(
            method=each.method,
            path=each.path,
            headers={**each.headers, "Host": host},
            body_bytes=each.body_bytes,
        )
        for each in requests
    ]
    return wrk(url, named, pids, connections=connections, duration_s=seconds)


if __name__ == "__main__":
    main()
