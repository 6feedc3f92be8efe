"""What a benchmark of a real Penstock shares: the table it prints, and signed loads."""

from collections.abc import Callable

from tests.bench.load import Figure, Request, wrk
from tests.bench.signing import UNSIGNED, signed_headers
from tests.support.served import Served


class Report:
    """Rows of a Markdown table, printed as they come."""

    def __init__(self) -> None:
        self.lines = ["| work | figure | limit in the same run | ratio |", "|---|---|---|---|"]
        print("\n".join(self.lines), flush=True)

    def row(self, work: str, figure: str, limit: str, ratio: str) -> None:
        self.lines.append(f"| {work} | {figure} | {limit} | {ratio} |")
        print(self.lines[-1], flush=True)


def load(
    served: Served,
    requests: list[Request],
    *,
    connections: int,
    seconds: int,
    send: Callable[..., Figure] = wrk,
) -> Figure:
    figure = send(
        served.credentials.endpoint,
        requests,
        lambda: [pid for pid, command in served.processes().items() if "dataplane" in command],
        connections=connections,
        duration_s=seconds,
    )
    if figure.errors:
        print(f"  ({figure.errors} errors)", flush=True)
    return figure


def signed(
    served: Served, method: str, path: str, body_bytes: int = 0, *, payload: str = UNSIGNED
) -> Request:
    headers = {"Content-Length": str(body_bytes)} if body_bytes else {}
    signed = signed_headers(served.credentials, method, path, {}, payload=payload)
    return Request(method=method, path=path, headers={**signed, **headers}, body_bytes=body_bytes)
