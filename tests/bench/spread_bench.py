"""Small durable writes spread over three volumes: what accounts of bytes and limits of the month take from them."""

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.bench.report import Report, load, signed
from tests.support.engines import ENGINES
from tests.support.postgres import running_server, with_database
from tests.support.served import Served

KIB = 1024
BUCKET = "bench"
VOLUMES = ("v1", "v2", "v3")
_BACKEND = "    quota_bytes: 1TiB\n"
_REQUESTS = "{write: 1000000000, read: 1000000000}"
_LIMITED = f"{_BACKEND}    limits: {{api_requests: {_REQUESTS}, ingress_bytes: 1TiB, egress_bytes: 1TiB}}\n"


def main() -> None:
    """Measure both, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=8, help="length of each load")
    parser.add_argument("--database", choices=ENGINES, default="sqlite", help="where metadata is kept")
    parser.add_argument("--connections", type=int, default=64, help="clients at once")
    options = parser.parse_args()
    report = Report()
    goal = 1000 if options.database == "postgres" else 3000
    for name, more in (("with quotas", _BACKEND), ("with quotas and limits of the month", _LIMITED)):
        per_s, text = _measured(options, more)
        report.row(
            f"durable PUT 4 KiB, {options.connections} connections, three volumes, {name}, {options.database}",
            text,
            f"{goal}/s asked for",
            f"{per_s / goal:.1f} × that",
        )


def _measured(options: argparse.Namespace, more: str) -> tuple[float, str]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        name = ""
        if options.database == "postgres":
            server = stack.enter_context(running_server(settings={"shared_buffers": "256MB"}))
            name = server.create_empty_database()

        def edited(text: str) -> str:
            for volume in VOLUMES:
                text = text.replace(f"  - name: {volume}\n", f"  - name: {volume}\n{more}")
            return with_database(text, server, name, max_conns=50) if name else text

        served = stack.enter_context(Served(folder, volumes=len(VOLUMES), edit_config=edited))
        served.client().create_bucket(Bucket=BUCKET)
        requests = [signed(served, "PUT", f"/{BUCKET}/put/{index}", 4 * KIB) for index in range(512)]
        figure = load(served, requests, connections=options.connections, seconds=options.seconds)
        text = f"{figure.cpu_us:.0f} µs CPU, {figure.requests_per_s:.0f}/s, p99 {figure.p99_ms:.1f} ms"
        return figure.requests_per_s, text


if __name__ == "__main__":
    main()
