"""`adminctl heal`: what waits to be healed, what cannot be, and healing whatever lies behind a prefix."""

from __future__ import annotations

import click
from penstock.admin.v1 import heal_service_pb2 as pb
from penstock.admin.v1 import heal_service_pb2_grpc as pb_grpc

from adminctl.client import Connection
from adminctl.exit_status import ExitStatus
from adminctl.following import follow
from adminctl.listing import Columns, show_list
from adminctl.output import print_fields, printable, when, yes_no
from adminctl.quantities import SIZE

FAILURES: Columns = {
    "BUCKET": lambda each: each.bucket,
    "KEY": lambda each: each.key,
    "VERSION": lambda each: each.version_id,
    "GOOD": lambda each: str(each.good_copy_count),
    "WANTED": lambda each: str(each.wanted_copy_count),
    "WHY": lambda each: printable(each.error_message),
}
FAILURES_WIDE: Columns = {
    "CURRENT": lambda each: yes_no(each.current),
    "NOTICED": lambda each: when(each.detect_time),
    "BLOB": lambda each: each.blob_id,
}


@click.group("heal")
def command() -> None:
    """Bytes made good again behind a prefix, and what cannot be. One object: `adminctl object heal`."""


@command.command("status")
@click.pass_obj
def show_status(connection: Connection) -> None:
    """Show what waits to be healed, and pieces that could not be made anew.

    Exit status 3 when healing is stopped, or something could not be healed.
    """
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.HealServiceStub(channel).GetHealStatus, pb.GetHealStatusRequest())
    bad_count = answer.suspect_piece_count + answer.lost_piece_count
    if not connection.wrote(answer):
        print_fields(
            [
                ("blobs that lack copies", str(answer.waiting.waiting_count)),
                ("failing", str(answer.waiting.failing_count)),
                ("since", when(answer.waiting.oldest_time)),
                ("bad pieces", str(answer.suspect_piece_count)),
                ("lost pieces", str(answer.lost_piece_count)),
                ("stopped", yes_no(answer.stopped)),
            ]
        )
    if answer.stopped or answer.waiting.failing_count or bad_count:
        raise click.exceptions.Exit(ExitStatus.PARTIAL)


@command.command("failures")
@click.pass_obj
def list_failures(connection: Connection) -> None:
    """List objects that lack copies which could not be made so far, and why."""
    with connection.channel() as channel:
        method = pb_grpc.HealServiceStub(channel).ListHealFailures
        show_list(connection, method, pb.ListHealFailuresRequest(), FAILURES, wide=FAILURES_WIDE)


@command.command("prefix")
@click.argument("bucket")
@click.argument("prefix", default="")
@click.option(
    "--rate", type=SIZE, help="Most bytes a second to read and write, such as 50MiB. Default: no bound."
)
@click.option("--dry-run", is_flag=True, help="Show what the metadata says is to be done, and do nothing.")
@click.option("--detach", is_flag=True, help="Print the operation's name and return at once.")
@click.pass_obj
def heal_prefix(
    connection: Connection, bucket: str, prefix: str, rate: int | None, dry_run: bool, detach: bool
) -> None:
    """Read every copy of all objects of BUCKET whose keys begin with PREFIX, all of them without one, and heal them.

    Bad copies are made anew where a good one is left, missing ones added, those beyond the scheme removed. What was
    imported in place becomes pieces of ours, and is then removed from where it lay. Ctrl-C leaves it alone.
    """
    request = pb.HealPrefixRequest(
        bucket=bucket, prefix=prefix, dry_run=dry_run, max_bytes_per_second=rate or 0
    )
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.HealServiceStub(channel).HealPrefix, request)
    if not dry_run:
        follow(connection, answer, detach=detach)
    elif not connection.wrote(answer):
        _show(answer.plan)


def _show(plan: pb.HealPlan) -> None:
    if plan.partial:
        click.echo("there is more than was looked at", err=True)
    print_fields(
        [
            ("looked at", str(plan.slice_count)),
            ("lack copies", str(plan.lacking_count)),
            ("have bad pieces", str(plan.bad_count)),
            ("have copies too many", str(plan.excess_count)),
        ]
    )
