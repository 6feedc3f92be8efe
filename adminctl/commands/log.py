"""`adminctl log`: what the processes of a node log, and what S3 clients ask of it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click
from penstock.admin.v1 import log_pb2
from penstock.admin.v1 import log_service_pb2 as pb
from penstock.admin.v1 import log_service_pb2_grpc as pb_grpc

from adminctl.client import Connection, resource_name
from adminctl.output import how_long, print_table, printable, size, when, word
from adminctl.quantities import MOMENT, SPAN

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

SEVERITIES = ("debug", "info", "warning", "error")
_SEVERITY = click.Choice(SEVERITIES)


@click.group("log")
def command() -> None:
    """Logs and requests of a node."""


@command.command("tail")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until interrupted.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0),
    help="At most so many of the lines that are kept. Default: all, or 10 with -f.",
)
@click.option("--since", type=MOMENT, help="Lines from then on, such as 2027-01-31T12:00:00Z.")
@click.option("--severity", type=_SEVERITY, help="Least severity.")
@click.option("--logger", default="", help="Logger and those below it, such as penstock.server.")
@click.option("--grep", default="", help="Text that the event or a field (name=value) holds.")
@click.option(
    "--process", type=click.Choice(("dataplane", "controlplane")), default=None, help="Of these processes."
)
@click.option("--instance", help="Instance; it is the answering one that must be asked.")
@click.pass_obj
def tail(
    connection: Connection,
    follow: bool,
    lines: int | None,
    since: Timestamp | None,
    severity: str | None,
    logger: str,
    grep: str,
    process: str | None,
    instance: str | None,
) -> None:
    """Show log lines of all processes of the node that answers, the newest few thousand at most."""
    request = pb.TailLogsRequest(
        min_severity=_severity(severity),
        logger=logger,
        instance=resource_name("instances", instance) if instance else "",
        since=since,
        grep=grep,
        follow=follow,
        tail_count=lines if lines is not None else 10 if follow and since is None else 0,
        process=process or "",
    )
    if lines == 0 and not follow:
        return
    with connection.channel() as channel:
        for answer in connection.stream(pb_grpc.LogServiceStub(channel).TailLogs, request):
            if not connection.format.is_for_people:
                _write_line(answer)
                continue
            if answer.dropped_count:
                click.echo(f"({answer.dropped_count} lines were missed)", err=True)
            _show(answer.entry)


@command.command("trace")
@click.option("--operation", default="", help="Operation, such as GetObject.")
@click.option("--bucket", default="", help="Bucket.")
@click.option("--prefix", "key_prefix", default="", help="Beginning of the object key.")
@click.option("--access-key", "access_key_id", default="", help="Access key that signed.")
@click.option("--peer", default="", help="Address of the client.")
@click.option("--errors", "errors_only", is_flag=True, help="Only requests that failed or were cut.")
@click.option(
    "--sample",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Share of requests.",
)
@click.option(
    "--slower-than", "slower_than_s", type=SPAN, default=0.0, help="Only requests that took so long."
)
@click.pass_obj
def trace(
    connection: Connection,
    operation: str,
    bucket: str,
    key_prefix: str,
    access_key_id: str,
    peer: str,
    errors_only: bool,
    sample: float,
    slower_than_s: float,
) -> None:
    """Show requests of S3 clients as they end, on the node that answers, until interrupted."""
    request = pb.TraceRequestsRequest(
        operation=operation,
        bucket=bucket,
        key_prefix=key_prefix,
        access_key_id=access_key_id,
        peer=peer,
        errors_only=errors_only,
        sample=sample,
    )
    if slower_than_s:
        request.min_duration.FromMicroseconds(int(slower_than_s * 1_000_000))
    with connection.channel() as channel:
        for answer in connection.stream(pb_grpc.LogServiceStub(channel).TraceRequests, request):
            if not connection.format.is_for_people:
                _write_line(answer)
                continue
            if answer.dropped_count:
                click.echo(f"({answer.dropped_count} requests were left out)", err=True)
            _show_request(answer.request)


@command.command("levels")
@click.pass_obj
def levels(connection: Connection) -> None:
    """Show what the loggers of the answering node log, and until when."""
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.LogServiceStub(channel).ListLogLevels, pb.ListLogLevelsRequest())
    if connection.wrote(answer):
        return
    rows = [(each.logger, _told(each.severity), when(each.expire_time) or "-") for each in answer.levels]
    print_table(("LOGGER", "SEVERITY", "UNTIL"), rows)


@command.command("set-level")
@click.argument("logger")
@click.argument("severity", type=click.Choice((*SEVERITIES, "default")))
@click.option(
    "--for", "ttl_s", type=SPAN, default=600.0, show_default="10m", help="For how long, at most a day."
)
@click.pass_obj
def set_level(connection: Connection, logger: str, severity: str, ttl_s: float) -> None:
    """Log more or less of LOGGER for a while, in all processes of the answering node.

    `default` goes back to the configuration at once.
    """
    request = pb.SetLogLevelRequest(logger=logger)
    if severity != "default":
        request.severity = _severity(severity)
        request.ttl.FromMicroseconds(int(ttl_s * 1_000_000))
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.LogServiceStub(channel).SetLogLevel, request)
    if connection.wrote(answer):
        return
    level = answer.level
    until = f" until {when(level.expire_time)}" if when(level.expire_time) else ""
    click.echo(f"{level.logger}: {_told(level.severity)}{until}")


def _show(entry: log_pb2.LogEntry) -> None:
    parts = [when(entry.time), f"{entry.process}[{entry.pid}]", _told(entry.severity), printable(entry.event)]
    parts += [f"{name}={shlex.quote(printable(value))}" for name, value in entry.fields.items()]
    click.echo(" ".join(parts))
    for line in entry.traceback.splitlines():
        click.echo(f"  {printable(line)}")


def _show_request(told: log_pb2.RequestTrace) -> None:
    what = f"{told.bucket}/{told.key}" if told.key else told.bucket
    parts = [
        when(told.time),
        told.peer,
        told.access_key_id or "anonymous",
        told.operation,
        what or "-",
        f"{told.status} {told.code}".strip(),
        how_long(told.duration) or "0 s",
        f"in {size(told.received_bytes)}",
        f"out {size(told.sent_bytes)}",
    ]
    click.echo("  ".join(printable(part) for part in parts))


def _write_line(answer: pb.TailLogsResponse | pb.TraceRequestsResponse) -> None:
    from adminctl.messages import write_line

    write_line(answer)


def _severity(name: str | None) -> log_pb2.LogSeverity.ValueType:
    if name is None:
        return log_pb2.LOG_SEVERITY_UNSPECIFIED
    return log_pb2.LogSeverity.Value(f"LOG_SEVERITY_{name.upper()}")


def _told(severity: log_pb2.LogSeverity.ValueType) -> str:
    return word(log_pb2.LogSeverity.Name(severity), "LOG_SEVERITY_")
