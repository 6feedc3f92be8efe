"""The dashboard on a terminal: laid out by rich, readable without colours."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from adminctl.output import how_long, printable, size, when, word

if TYPE_CHECKING:
    from penstock.admin.v1 import dashboard_pb2, stats_pb2

BAR_WIDTH = 20
OPERATION_COUNT_MAX = 10

_STYLES = {"ok": "green", "degraded": "yellow", "failed": "bold red"}


@dataclass(frozen=True, slots=True)
class S3Row:
    """One operation of S3 on one node."""

    operation: str
    node: str
    requests_per_second: float
    p50_s: float
    p99_s: float
    p50: str
    p99: str


SORTS: Mapping[str, Callable[[S3Row], float | str]] = {
    "requests/s": lambda row: -row.requests_per_second,
    "p99": lambda row: -row.p99_s,
    "name": lambda row: row.operation,
}
"""Orders of the operations of S3, in the order in which the key `s` goes through them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How the dashboard is looked at."""

    sort: str = "requests/s"
    is_busy_only: bool = False
    hint: str = ""


def print_dashboard(dashboard: dashboard_pb2.Dashboard) -> None:
    """Once, on standard output: plain where that is no terminal, or where colours are not wanted."""
    console().print(layout(dashboard, View()))


def console() -> Console:
    """Standard output; without any attributes of text where NO_COLOR says so."""
    return Console(highlight=False, color_system=None if os.environ.get("NO_COLOR") else "auto")


def layout(dashboard: dashboard_pb2.Dashboard, view: View) -> Group:
    """All of it, from what matters most downwards."""
    parts: list[RenderableType] = [_head(dashboard, view)]
    parts += [
        Text(printable(f"  {problem.name}: {problem.message}"), style="yellow")
        for problem in dashboard.problems
    ]
    parts += [Text(), _traffic(dashboard)]
    rows = s3_rows(dashboard, view)
    if rows:
        parts += [Text(), _operations_of_s3(rows)]
    parts += [Text(), _backends(dashboard)]
    if dashboard.active_operations:
        parts += [Text(), _operations(dashboard)]
    parts += [Text(), *_footer(dashboard)]
    return Group(*parts)


def s3_rows(dashboard: dashboard_pb2.Dashboard, view: View) -> list[S3Row]:
    """The operations of S3 to be shown."""
    rows = [_s3_row(stats, each) for stats in dashboard.stats for each in stats.operations]
    if view.is_busy_only:
        rows = [row for row in rows if row.requests_per_second]
    return sorted(rows, key=lambda row: (SORTS[view.sort](row), row.operation))[:OPERATION_COUNT_MAX]


def _s3_row(stats: stats_pb2.InstanceStats, each: stats_pb2.OperationStats) -> S3Row:
    return S3Row(
        each.operation,
        stats.node,
        each.requests_per_second,
        each.latency_p50.ToNanoseconds() / 1e9,
        each.latency_p99.ToNanoseconds() / 1e9,
        how_long(each.latency_p50) or "-",
        how_long(each.latency_p99) or "-",
    )


def _head(dashboard: dashboard_pb2.Dashboard, view: View) -> Text:
    from penstock.admin.v1 import system_pb2

    status = word(system_pb2.HealthStatus.Name(dashboard.status), "HEALTH_STATUS_")
    head = Text.assemble(
        "status ", (status, _STYLES.get(status, "")), f"   {when(dashboard.look_time)}", f"   {view.hint}"
    )
    if dashboard.read_only.enabled:
        reason = f": {dashboard.read_only.reason}" if dashboard.read_only.reason else ""
        head.append(
            printable(f"\nread-only, by {dashboard.read_only.changed_by}{reason}"), style="bold yellow"
        )
    return head


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for heading in headings:
        is_figure = heading.endswith(("/S", "P50", "P99", "USED", "FREE", "FLIGHT", "DONE"))
        table.add_column(heading, justify="right" if is_figure else "left", overflow="fold")
    return table


def _traffic(dashboard: dashboard_pb2.Dashboard) -> RenderableType:
    if not dashboard.stats:
        return Text("no data plane has told what it serves yet")
    table = _table("NODE", "REQUESTS/S", "ERRORS/S", "IN/S", "OUT/S", "IN FLIGHT")
    for each in dashboard.stats:
        table.add_row(
            printable(each.node),
            f"{each.requests_per_second:.1f}",
            f"{each.errors_per_second:.1f}",
            size(int(each.received_bytes_per_second)),
            size(int(each.sent_bytes_per_second)),
            str(each.in_flight_count),
        )
    return table


def _operations_of_s3(rows: list[S3Row]) -> Table:
    table = _table("OPERATION", "NODE", "REQUESTS/S", "P50", "P99")
    for row in rows:
        table.add_row(
            printable(row.operation), printable(row.node), f"{row.requests_per_second:.1f}", row.p50, row.p99
        )
    return table


def _backends(dashboard: dashboard_pb2.Dashboard) -> Table:
    from penstock.admin.v1 import backend_pb2, dashboard_pb2

    table = _table("BACKEND", "STATE", "FULL", "USED", "FREE", "BOUND BY")
    for room in dashboard.backends:
        state = word(backend_pb2.BackendState.Name(room.state), "BACKEND_STATE_")
        bound = word(dashboard_pb2.BindingLimit.Name(room.binding_limit), "BINDING_LIMIT_")
        table.add_row(
            printable(room.backend.removeprefix("backends/")),
            Text(f"{state} !" if room.problem else state, style="red" if room.problem else ""),
            _bar(room),
            size(room.used_bytes),
            size(room.free_bytes) if room.HasField("free_bytes") else "-",
            bound,
        )
    return table


def _bar(room: dashboard_pb2.BackendRoom) -> str:
    """How full it is of what it can take, so far as that is known."""
    if not room.HasField("free_bytes"):
        return ""
    whole = room.used_bytes + room.free_bytes
    share = room.used_bytes / whole if whole else 1.0
    return f"{'#' * round(share * BAR_WIDTH):.<{BAR_WIDTH}} {share:4.0%}"


def _operations(dashboard: dashboard_pb2.Dashboard) -> Table:
    table = _table("OPERATION", "TARGET", "STAGE", "DONE", "LEFT")
    for each in dashboard.active_operations:
        progress = each.progress
        total = f" of {progress.total_count}" if progress.HasField("total_count") else ""
        table.add_row(
            printable(each.method.rpartition("/")[2]),
            printable(each.target),
            printable(progress.stage),
            f"{progress.done_count}{total}",
            how_long(progress.eta) or "-",
        )
    return table


def _footer(dashboard: dashboard_pb2.Dashboard) -> Iterator[Text]:
    failing = [each.name.removeprefix("workers/") for each in dashboard.failing_workers]
    behind = [each for each in dashboard.processes if each.config_generation != dashboard.newest_generation]
    yield Text(
        printable(
            f"workers {dashboard.worker_count}, failing {', '.join(failing) or 'none'}"
            f" | waiting for deletion {dashboard.cleanup.waiting_count}"
            f" ({size(dashboard.cleanup.waiting_bytes)}), given up {dashboard.cleanup.dead_letter_count}"
        )
    )
    yield Text(
        f"generation {dashboard.newest_generation}, {len(dashboard.processes)} processes, {len(behind)} behind"
    )
    for error in dashboard.recent_errors[:3]:
        yield Text(printable(f"{when(error.time)} {error.subject}: {error.message}"), style="red")
