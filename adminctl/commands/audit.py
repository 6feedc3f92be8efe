"""`adminctl audit`: who changed what, and whether anybody changed what is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from penstock.admin.v1 import audit_pb2
from penstock.admin.v1 import log_service_pb2 as pb
from penstock.admin.v1 import log_service_pb2_grpc as pb_grpc

from adminctl.client import Connection
from adminctl.exit_status import ExitStatus
from adminctl.listing import Columns, show_list
from adminctl.output import print_table, printable, when, word
from adminctl.quantities import MOMENT

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

COLUMNS: Columns = {
    "TIME": lambda each: when(each.create_time),
    "ACTOR": lambda each: each.actor,
    "METHOD": lambda each: _method(each.method),
    "RESOURCE": lambda each: each.resource or "-",
    "OUTCOME": lambda each: each.outcome,
}
WIDE: Columns = {
    "REQUEST": lambda each: each.request_id,
    "PEER": lambda each: each.peer,
    "DETAIL": lambda each: each.detail or "-",
}


@click.group("audit")
def command() -> None:
    """Who changed what."""


@command.command("list")
@click.option("--actor", default="", help="Name of the token, of the certificate, or local.")
@click.option("--method", default="", help="Method, such as WorkerService/TriggerWorker.")
@click.option("--resource", default="", help="Resource, such as workers/cleanup.")
@click.option("--outcome", default="", help="Outcome, such as OK, BEGUN or PERMISSION_DENIED.")
@click.option("--request", "request_id", default="", help="The events of one call, by its x-request-id.")
@click.option("--since", type=MOMENT, help="Events from then on.")
@click.option("--until", type=MOMENT, help="Events before then.")
@click.pass_obj
def list_events(
    connection: Connection,
    actor: str,
    method: str,
    resource: str,
    outcome: str,
    request_id: str,
    since: Timestamp | None,
    until: Timestamp | None,
) -> None:
    """List audit events of all instances, the newest first.

    A call that changes something has two: BEGUN before it did anything, then how it ended.
    """
    request = pb.ListAuditEventsRequest(
        actor=actor,
        method=method,
        resource=resource,
        outcome=outcome,
        request_id=request_id,
        since=since,
        until=until,
    )
    with connection.channel() as channel:
        show_list(connection, pb_grpc.LogServiceStub(channel).ListAuditEvents, request, COLUMNS, wide=WIDE)


@command.command("tail")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, 1000),
    default=10,
    show_default=True,
    help="Begin with so many that are there.",
)
@click.pass_obj
def tail(connection: Connection, lines: int) -> None:
    """Show audit events of all instances as they are written, until interrupted."""
    request = pb.TailAuditEventsRequest(tail_count=lines)
    with connection.channel() as channel:
        for answer in connection.stream(pb_grpc.LogServiceStub(channel).TailAuditEvents, request):
            if connection.format.is_for_people:
                _show(answer.event)
            else:
                from adminctl.messages import write_line

                write_line(answer)


@command.command("verify")
@click.pass_obj
def verify(connection: Connection) -> None:
    """Find audit events that were changed, taken out, put elsewhere or made up.

    Exit status 3 when there are any.
    """
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.LogServiceStub(channel).VerifyAudit, pb.VerifyAuditRequest())
    if not connection.wrote(answer):
        chains = f"{answer.event_count} events in {answer.chain_count} chains"
        if not answer.findings:
            click.echo(f"whole: {chains}")
        else:
            rows = [
                (str(each.sequence) if each.sequence else "end", each.instance, _problem(each))
                for each in answer.findings
            ]
            print_table(("EVENT", "CHAIN", "PROBLEM"), rows)
            click.echo(f"error: the audit trail was tampered with: {chains}", err=True)
    if answer.findings:
        raise click.exceptions.Exit(ExitStatus.PARTIAL)


def _show(event: audit_pb2.AuditEvent) -> None:
    parts = (
        when(event.create_time),
        event.actor,
        _method(event.method),
        event.resource or "-",
        event.outcome,
    )
    click.echo("  ".join(printable(part) for part in parts))


def _method(path: str) -> str:
    """`/package.Service/Method` -> `Service/Method`."""
    service, _, method = path.removeprefix("/").partition("/")
    return f"{service.rpartition('.')[2]}/{method}"


def _problem(finding: audit_pb2.AuditFinding) -> str:
    return word(audit_pb2.AuditProblem.Name(finding.problem), "AUDIT_PROBLEM_")
