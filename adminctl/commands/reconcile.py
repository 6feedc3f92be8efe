"""`adminctl reconcile`: rows and bytes, compared both ways."""

from __future__ import annotations

from collections.abc import Sequence

import click
from penstock.admin.v1 import discrepancy_pb2, operation_pb2
from penstock.admin.v1 import reconcile_service_pb2 as pb
from penstock.admin.v1 import reconcile_service_pb2_grpc as pb_grpc

from adminctl.client import Connection, resource_name
from adminctl.confirm import confirm, yes_option
from adminctl.following import follow
from adminctl.listing import Columns, show_list
from adminctl.output import Table, print_fields, size, when, word, yes_no
from adminctl.quantities import SIZE
from adminctl.results import show_counts

DIRECTIONS = ("both", "rows", "bytes")
DEPTHS = ("size", "full")
REPAIRS = ("metadata", "storage", "both")
KINDS = ("missing", "orphan", "size", "checksum", "foreign", "state")
NONE = "none"


def _kind(kind: discrepancy_pb2.DiscrepancyKind.ValueType) -> str:
    return word(discrepancy_pb2.DiscrepancyKind.Name(kind), "DISCREPANCY_KIND_")


def _wanted_kind(kind: str | None) -> discrepancy_pb2.DiscrepancyKind.ValueType:
    name = "UNSPECIFIED" if kind is None else kind.upper()
    return discrepancy_pb2.DiscrepancyKind.Value(f"DISCREPANCY_KIND_{name}")


def _repair(repair: str) -> discrepancy_pb2.Repair.ValueType:
    return discrepancy_pb2.Repair.Value(
        "REPAIR_UNSPECIFIED" if repair == NONE else f"REPAIR_{repair.upper()}"
    )


def _direction(direction: str) -> discrepancy_pb2.ReconcileDirection.ValueType:
    name = "UNSPECIFIED" if direction == "both" else direction.upper()
    return discrepancy_pb2.ReconcileDirection.Value(f"RECONCILE_DIRECTION_{name}")


COLUMNS: Columns = {
    "KIND": lambda each: _kind(each.kind),
    "BACKEND": lambda each: each.backend,
    "SUBJECT": lambda each: each.subject,
    "SIZE": lambda each: size(each.size_bytes),
    "DETAIL": lambda each: each.detail,
    "DONE": lambda each: each.resolution or "-",
}
WIDE: Columns = {
    "NAME": lambda each: each.name,
    "BLOB": lambda each: each.blob_id or "-",
    "FOUND": lambda each: when(each.found_time),
}


@click.group("reconcile")
def command() -> None:
    """Rows and bytes, compared both ways."""


@command.command("start")
@click.argument("backends", nargs=-1)
@click.option(
    "--direction",
    type=click.Choice(DIRECTIONS),
    default="both",
    show_default=True,
    help="Whether what rows name stands, whether rows name what stands, or both.",
)
@click.option(
    "--verify",
    type=click.Choice(DEPTHS),
    default="full",
    show_default=True,
    help="Whether every byte is read, or headers, trailers and cards alone.",
)
@click.option(
    "--repair",
    type=click.Choice((NONE, *REPAIRS)),
    default=NONE,
    show_default=True,
    help="What may be changed to settle findings on the way.",
)
@click.option("--dry-run", is_flag=True, help="Only list what is found, whatever --repair says.")
@click.option("--rate", type=SIZE, default=0, help="Most bytes to read a second, such as 50MiB.")
@click.option("--detach", is_flag=True, help="Print the operation's name, and wait for nothing.")
@yes_option
@click.pass_obj
def start_reconcile(
    connection: Connection,
    backends: Sequence[str],
    direction: str,
    verify: str,
    repair: str,
    dry_run: bool,
    rate: int,
    detach: bool,
    yes: bool,
) -> None:
    """Compare rows and bytes of BACKENDS, or of all."""
    if repair != NONE and not dry_run:
        confirm("reconcile", _plan(repair, "what is found on the way"), yes=yes)
    request = pb.StartReconcileRequest(
        backends=[resource_name("backends", each) for each in backends],
        direction=_direction(direction),
        verify=discrepancy_pb2.VerifyDepth.Value(f"VERIFY_DEPTH_{verify.upper()}"),
        repair=_repair(repair),
        dry_run=dry_run,
        max_bytes_per_second=rate,
    )
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.ReconcileServiceStub(channel).StartReconcile, request)
    follow(connection, answer, detach=detach)
    show_counts(connection, answer.operation)


@command.command("status")
@click.pass_obj
def status(connection: Connection) -> None:
    """Show the last comparison, and how many findings stand."""
    with connection.channel() as channel:
        stub = pb_grpc.ReconcileServiceStub(channel)
        answer = connection.call(stub.GetReconcileStatus, pb.GetReconcileStatusRequest())
    if connection.wrote(answer):
        return
    operation = answer.last_operation
    print_fields(
        [
            ("last comparison", operation.name or "none"),
            (
                "state",
                word(operation_pb2.OperationState.Name(operation.state), "OPERATION_STATE_")
                if operation.name
                else "",
            ),
            ("began", when(operation.create_time)),
            ("ended", when(operation.end_time)),
        ]
    )
    if answer.counts:
        click.echo()
        table = Table(("BACKEND", "KIND", "SETTLED", "COUNT", "SIZE"))
        table.add(
            [
                (each.backend, _kind(each.kind), yes_no(each.settled), str(each.count), size(each.size_bytes))
                for each in answer.counts
            ]
        )


@command.command("list")
@click.option("--backend", help="Only of this backend.")
@click.option("--kind", type=click.Choice(KINDS), help="Only of this kind.")
@click.option("--all", "all_", is_flag=True, help="Also what is settled.")
@click.pass_obj
def list_discrepancies(connection: Connection, backend: str | None, kind: str | None, all_: bool) -> None:
    """List what rows and bytes do not agree about."""
    request = pb.ListDiscrepanciesRequest(
        backend=resource_name("backends", backend) if backend else "",
        kind=_wanted_kind(kind),
        include_settled=all_,
    )
    with connection.channel() as channel:
        stub = pb_grpc.ReconcileServiceStub(channel)
        show_list(connection, stub.ListDiscrepancies, request, COLUMNS, wide=WIDE)


@command.command("resolve")
@click.option("--backend", help="Only of this backend.")
@click.option("--kind", type=click.Choice(KINDS), help="Only of this kind.")
@click.option(
    "--repair",
    type=click.Choice(REPAIRS),
    required=True,
    help="What may be changed.",
)
@click.option("--dry-run", is_flag=True, help="Only count what there is to settle.")
@click.option("--rate", type=SIZE, default=0, help="Most bytes to read a second, such as 50MiB.")
@click.option("--detach", is_flag=True, help="Print the operation's name, and wait for nothing.")
@yes_option
@click.pass_obj
def resolve(
    connection: Connection,
    backend: str | None,
    kind: str | None,
    repair: str,
    dry_run: bool,
    rate: int,
    detach: bool,
    yes: bool,
) -> None:
    """Settle the findings that stand; what is foreign is never touched."""
    if not dry_run:
        confirm("reconcile", _plan(repair, "the findings that stand"), yes=yes)
    request = pb.ResolveDiscrepanciesRequest(
        backend=resource_name("backends", backend) if backend else "",
        kind=_wanted_kind(kind),
        repair=_repair(repair),
        dry_run=dry_run,
        max_bytes_per_second=rate,
    )
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.ReconcileServiceStub(channel).ResolveDiscrepancies, request)
    follow(connection, answer, detach=detach)
    show_counts(connection, answer.operation)


def _plan(repair: str, of: str) -> list[str]:
    """What a repair may do, line by line."""
    plan = [f"Settles {of}, each looked at once more first."]
    if repair in ("storage", "both"):
        plan.append("Pieces are made anew from good copies; the bad ones are deleted after the read grace.")
        plan.append(
            "Pieces on S3 stores that no row names are deleted an hour later, or after a longer read grace."
        )
        plan.append(
            "Not after the database was put back from a backup: what was written since looks like such pieces."
        )
    if repair in ("metadata", "both"):
        plan.append("Rows are set to what stands; pieces without a good copy are marked suspect or lost.")
    return plan
