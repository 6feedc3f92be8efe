"""`adminctl system`: figures and events of the whole deployment, and the switch that lets clients write no more."""

from __future__ import annotations

import click
from penstock.admin.v1 import event_pb2, system_pb2
from penstock.admin.v1 import system_service_pb2 as pb
from penstock.admin.v1 import system_service_pb2_grpc as pb_grpc

from adminctl.client import Connection, resource_name
from adminctl.output import Table, how_long, print_fields, print_table, printable, size, when, word, yes_no

TOPICS = ("backend", "worker", "operation", "config", "instance", "stats", "read-only")


@click.group("system")
def command() -> None:
    """Figures, events, and the read-only switch."""


@command.command("get-stats")
@click.argument("instances", nargs=-1)
@click.option(
    "--operations", "by_operation", is_flag=True, help="One row an operation of S3, with latencies."
)
@click.pass_obj
def get_stats(connection: Connection, instances: tuple[str, ...], by_operation: bool) -> None:
    """Show what instances serve: requests, bytes and errors a second, as of the last seconds."""
    request = pb.GetStatsRequest(instances=[resource_name("instances", each) for each in instances])
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.SystemServiceStub(channel).GetStats, request)
    if connection.wrote(answer):
        return
    if not by_operation:
        headings = ("NODE", "REQUESTS/S", "ERRORS/S", "IN/S", "OUT/S", "IN FLIGHT", "CONNECTIONS", "REQUESTS")
        print_table(
            headings,
            [
                (
                    each.node,
                    f"{each.requests_per_second:.1f}",
                    f"{each.errors_per_second:.1f}",
                    size(int(each.received_bytes_per_second)),
                    size(int(each.sent_bytes_per_second)),
                    str(each.in_flight_count),
                    str(each.connection_count),
                    str(each.request_count),
                )
                for each in answer.instances
            ],
        )
        return
    print_table(
        ("NODE", "OPERATION", "REQUESTS/S", "P50", "P99", "REQUESTS"),
        [
            (
                each.node,
                operation.operation,
                f"{operation.requests_per_second:.1f}",
                how_long(operation.latency_p50) or "-",
                how_long(operation.latency_p99) or "-",
                str(operation.request_count),
            )
            for each in answer.instances
            for operation in each.operations
        ],
    )


@command.command("watch-stats")
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(1, 3600),
    default=2.0,
    show_default=True,
    help="Seconds between two lines.",
)
@click.pass_obj
def watch_stats(connection: Connection, every_s: float) -> None:
    """Show what instances serve, a line each time, until interrupted."""
    request = pb.WatchStatsRequest()
    request.interval.FromNanoseconds(int(every_s * 1e9))
    table = Table(("TIME", "NODE", "REQUESTS/S", "ERRORS/S", "IN/S", "OUT/S", "IN FLIGHT"))
    with connection.channel() as channel:
        for answer in connection.stream(pb_grpc.SystemServiceStub(channel).WatchStats, request):
            if connection.wrote_line(answer):
                continue
            table.add(
                [
                    (
                        when(each.sample_time),
                        each.node,
                        f"{each.requests_per_second:10.1f}",
                        f"{each.errors_per_second:8.1f}",
                        size(int(each.received_bytes_per_second)).rjust(10),
                        size(int(each.sent_bytes_per_second)).rjust(10),
                        str(each.in_flight_count).rjust(9),
                    )
                    for each in answer.instances
                ]
            )


@command.command("watch-events")
@click.option(
    "--topic", "topics", type=click.Choice(TOPICS), multiple=True, help="Only of these; may be repeated."
)
@click.option("--resume", "resume_token", default="", help="Go on behind the event that had this token.")
@click.pass_obj
def watch_events(connection: Connection, topics: tuple[str, ...], resume_token: str) -> None:
    """Show how everything is and then what happens, until interrupted."""
    request = pb.WatchEventsRequest(
        topics=[
            event_pb2.EventTopic.Value(f"EVENT_TOPIC_{each.upper().replace('-', '_')}") for each in topics
        ],
        resume_token=resume_token,
    )
    with connection.channel() as channel:
        for answer in connection.stream(pb_grpc.SystemServiceStub(channel).WatchEvents, request):
            if not connection.wrote_line(answer):
                _tell_event(answer.event)


def _tell_event(event: event_pb2.Event) -> None:
    if event.kind == event_pb2.EVENT_KIND_BOOKMARK:
        return
    kind = word(event_pb2.EventKind.Name(event.kind), "EVENT_KIND_")
    click.echo(printable(f"{when(event.time)}  {kind:8}  {event.name}  {_in_short(event)}".rstrip()))


def _in_short(event: event_pb2.Event) -> str:
    """What there is to know of a subject in a line."""
    match event.WhichOneof("subject"):
        case "backend":
            told = f"{size(event.backend.capacity.used_bytes)} used {event.backend.problem}"
        case "worker":
            told = f"last success {when(event.worker.last_success_time) or 'never'} {event.worker.last_error}"
        case "operation":
            progress = event.operation.progress
            told = f"{event.operation.target} {progress.done_count} done {event.operation.error_message}"
        case "generation":
            told = f"generation {event.generation}"
        case "instance":
            told = f"on {event.instance.node}, {'alive' if event.instance.alive else 'gone'}"
        case "stats":
            told = f"{event.stats.requests_per_second:.1f} requests/s"
        case "read_only":
            told = (
                f"{'read-only' if event.read_only.enabled else 'clients may write'} {event.read_only.reason}"
            )
        case _:
            told = ""
    return told.rstrip()


@command.group("read-only")
def read_only() -> None:
    """Whether clients may write."""


@read_only.command("get")
@click.pass_obj
def get_read_only(connection: Connection) -> None:
    """Show whether clients may write, and who decided so."""
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.SystemServiceStub(channel).GetReadOnly, pb.GetReadOnlyRequest())
    if not connection.wrote(answer):
        _tell_mode(answer.read_only)


@read_only.command("on")
@click.option("--reason", default="", help="Why, for people; shown wherever the switch is.")
@click.pass_obj
def turn_on(connection: Connection, reason: str) -> None:
    """Let clients write no more: they get 503 within a second. Workers and operators go on."""
    _turn(connection, pb.SetReadOnlyRequest(enabled=True, reason=reason))


@read_only.command("off")
@click.pass_obj
def turn_off(connection: Connection) -> None:
    """Let clients write again."""
    _turn(connection, pb.SetReadOnlyRequest(enabled=False))


def _turn(connection: Connection, request: pb.SetReadOnlyRequest) -> None:
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.SystemServiceStub(channel).SetReadOnly, request)
    if not connection.wrote(answer):
        _tell_mode(answer.read_only)


def _tell_mode(mode: system_pb2.ReadOnlyMode) -> None:
    print_fields(
        [
            ("read-only", yes_no(mode.enabled)),
            ("reason", mode.reason),
            ("by", mode.changed_by),
            ("since", when(mode.change_time)),
        ]
    )
