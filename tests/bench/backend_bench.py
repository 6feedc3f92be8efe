"""An S3 backend through Penstock, against the same backend asked directly and through nginx: part of `make bench`."""

import argparse
import os
import re
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.load import Figure, Request, nginx, wrk
from tests.bench.report import Report, load, signed
from tests.support.served import Served

KIB, MIB = 1024, 1024 * 1024
STORE, BUCKET = "store", "bench"
SIZES = (("4 KiB", 4 * KIB, 32), ("1 MiB", MIB, 8), ("16 MiB", 16 * MIB, 2))
KEY_COUNT = 16


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
        server = stack.enter_context(nginx(folder, proxied=store.credentials.endpoint))
        for name, size_bytes, connections in SIZES:
            _compare(report, store, served, server, name, size_bytes, connections, options.seconds)


def over(store: Served) -> Callable[[str], str]:
    """Puts a bucket of another server in the place of a deployment's only volume."""
    known = store.credentials
    backend = (
        f"  - name: far\n    kind: s3\n    preset: penstock\n    endpoint: {known.endpoint}\n"
        f"    bucket: {STORE}\n    region: {known.region}\n"
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
