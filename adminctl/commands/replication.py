"""`adminctl replication`: blobs with too few or too many copies, and repairing them."""

from __future__ import annotations

import click
from penstock.admin.v1 import replication_service_pb2 as pb
from penstock.admin.v1 import replication_service_pb2_grpc as pb_grpc

from adminctl.client import Connection
from adminctl.following import follow
from adminctl.listing import Columns, show_list
from adminctl.output import print_table, printable, size, when, yes_no
from adminctl.quantities import SIZE

COLUMNS: Columns = {
    "BLOB": lambda repair: repair.blob_id,
    "NOTICED": lambda repair: when(repair.detect_time),
    "TRIES": lambda repair: str(repair.attempt_count),
    "WHY": lambda repair: printable(repair.error_message or repair.reason),
}

OBJECTS: Columns = {
    "BUCKET": lambda each: each.bucket,
    "KEY": lambda each: each.key,
    "VERSION": lambda each: each.version_id,
    "COPIES": lambda each: f"{each.good_copy_count} good of {each.copy_count}",
    "WANTED": lambda each: str(each.wanted_copy_count),
    "NOTICED": lambda each: when(each.detect_time),
    "WHY": lambda each: printable(each.error_message or each.reason),
}
OBJECTS_WIDE: Columns = {
    "CURRENT": lambda each: yes_no(each.current),
    "SIZE": lambda each: size(each.size_bytes),
    "BLOB": lambda each: each.blob_id,
}


@click.group("replication")
def command() -> None:
    """Blobs with too few or too many copies, and repairing them."""


@command.command("status")
@click.pass_obj
def show_status(connection: Connection) -> None:
    """Show what waits to be repaired, and which backends are away.

    Repairs take seconds from when a blob is found to lack copies; TOOK is of the last hour.
    """
    with connection.channel() as channel:
        stub = pb_grpc.ReplicationServiceStub(channel)
        answer = connection.call(stub.GetReplicationStatus, pb.GetReplicationStatusRequest())
    if connection.wrote(answer):
        return
    counts = (("too few copies", answer.under_replicated), ("too many copies", answer.over_replicated))
    print_table(
        ("BLOBS WITH", "WAIT", "FAILING", "SINCE", "REPAIRED", "TOOK", "SLOWEST"),
        [
            (
                name,
                str(each.waiting_count),
                str(each.failing_count),
                when(each.oldest_time) or "-",
                str(each.ended_count),
                f"{each.average_duration.ToMilliseconds() / 1000:.1f} s" if each.ended_count else "-",
                f"{each.slowest_duration.ToMilliseconds() / 1000:.1f} s" if each.ended_count else "-",
            )
            for name, each in counts
        ],
    )
    if answer.absences:
        print_table(
            ("BACKEND", "IS", "SINCE", "WRITTEN OFF", "PASSED", "REPAIRS"),
            [
                (
                    each.backend,
                    "back" if each.returned else "away",
                    when(each.since_time),
                    yes_no(each.written_off),
                    str(each.passed_count),
                    str(each.repair_count),
                )
                for each in answer.absences
            ],
        )
    if answer.stopped:
        click.echo("stopped: more failure domains are away at once than any scheme survives", err=True)


@command.command("list")
@click.argument("what", type=click.Choice(["too-few", "too-many"]))
@click.pass_obj
def list_repairs(connection: Connection, what: str) -> None:
    """List blobs that have too few or too many copies, and why that is still so."""
    kind = pb.REPAIR_KIND_HEAL if what == "too-few" else pb.REPAIR_KIND_TRIM
    with connection.channel() as channel:
        stub = pb_grpc.ReplicationServiceStub(channel)
        show_list(connection, stub.ListRepairs, pb.ListRepairsRequest(kind=kind), COLUMNS)


@command.command("objects")
@click.argument("what", type=click.Choice(["too-few", "too-many"]))
@click.pass_obj
def list_objects(connection: Connection, what: str) -> None:
    """List objects that have too few or too many copies: `list` by their keys."""
    with connection.channel() as channel:
        stub = pb_grpc.ReplicationServiceStub(channel)
        if what == "too-few":
            few = pb.ListUnderReplicatedObjectsRequest()
            show_list(connection, stub.ListUnderReplicatedObjects, few, OBJECTS, wide=OBJECTS_WIDE)
        else:
            many = pb.ListOverReplicatedObjectsRequest()
            show_list(connection, stub.ListOverReplicatedObjects, many, OBJECTS, wide=OBJECTS_WIDE)


@command.command("clean")
@click.option("--rate", type=SIZE, help="Most bytes a second to read, such as 50MiB. Default: no bound.")
@click.option("--dry-run", is_flag=True, help="Show which copies would go, and remove none.")
@click.option("--detach", is_flag=True, help="Print the operation's name and return at once.")
@click.pass_obj
def clean_excess(connection: Connection, rate: int | None, dry_run: bool, detach: bool) -> None:
    """Remove copies that blobs have beyond their scheme, each only beside enough good ones; all are read first.

    That is done unasked for what was noticed; this looks at all blobs now. Ctrl-C leaves it alone.
    """
    with connection.channel() as channel:
        stub = pb_grpc.ReplicationServiceStub(channel)
        if dry_run:
            plan = connection.call(stub.PreviewExcessCopies, pb.PreviewExcessCopiesRequest())
            if not connection.wrote(plan):
                _show_excess(plan)
            return
        answer = connection.call(
            stub.CleanExcessCopies, pb.CleanExcessCopiesRequest(max_bytes_per_second=rate or 0)
        )
    follow(connection, answer, detach=detach)


@command.command("run")
@click.option("--rate", type=SIZE, help="Most bytes a second to move, such as 50MiB. Default: no bound.")
@click.option("--detach", is_flag=True, help="Print the operation's name and return at once.")
@click.pass_obj
def run_replication(connection: Connection, rate: int | None, detach: bool) -> None:
    """Look at all blobs now, and repair what can be; Ctrl-C leaves it alone."""
    with connection.channel() as channel:
        stub = pb_grpc.ReplicationServiceStub(channel)
        answer = connection.call(
            stub.RunReplication, pb.RunReplicationRequest(max_bytes_per_second=rate or 0)
        )
    follow(connection, answer, detach=detach)


def _show_excess(plan: pb.PreviewExcessCopiesResponse) -> None:
    more = "at least " if plan.partial else ""
    click.echo(f"{more}{plan.copy_count} copies of {plan.blob_count} blobs would go, {size(plan.size_bytes)}")
    if plan.backends:
        print_table(
            ("BACKEND", "COPIES", "BYTES"),
            [(each.backend, str(each.copy_count), size(each.size_bytes)) for each in plan.backends],
        )
