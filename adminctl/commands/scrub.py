"""`adminctl scrub`: stored bytes, verified and made good."""

from __future__ import annotations

import click
from penstock.admin.v1 import discrepancy_pb2
from penstock.admin.v1 import scrub_service_pb2 as pb
from penstock.admin.v1 import scrub_service_pb2_grpc as pb_grpc

from adminctl.client import Connection, resource_name
from adminctl.exit_status import ExitStatus
from adminctl.following import follow
from adminctl.listing import Columns, show_list
from adminctl.output import Table, print_fields, printable, size, when, yes_no
from adminctl.quantities import SIZE
from adminctl.results import show_counts

DEPTHS = ("size", "full")
DAY_S = 86400

COLUMNS: Columns = {
    "BACKEND": lambda copy: copy.backend,
    "STORAGE KEY": lambda copy: copy.storage_key,
    "SIZE": lambda copy: size(copy.stored_bytes),
    "STATE": lambda copy: "lost" if copy.lost else "suspect",
    "GOOD COPIES": lambda copy: str(copy.good_copy_count),
    "LAST GOOD": lambda copy: when(copy.verified_time),
}
WIDE: Columns = {
    "BLOB": lambda copy: copy.blob_id,
    "PIECE": lambda copy: str(copy.piece_index),
}


@click.group("scrub")
def command() -> None:
    """Stored bytes, verified and made good."""


@command.command("status")
@click.pass_obj
def status(connection: Connection) -> None:
    """Show how much was verified, and how many pieces are bad."""
    with connection.channel() as channel:
        stub = pb_grpc.ScrubServiceStub(channel)
        answer = connection.call(stub.GetIntegrityStatus, pb.GetIntegrityStatusRequest())
    if connection.wrote(answer):
        return
    print_fields([("verified once in", f"{answer.scrub_period.seconds / DAY_S:.3g} days")])
    click.echo()
    table = Table(("BACKEND", "PIECES", "SIZE", "PASS BEGAN", "PASSED", "VERIFIED SINCE", "SUSPECT", "LOST"))
    table.add(
        [
            (
                each.backend,
                str(each.piece_count),
                size(each.stored_bytes),
                when(each.pass_begin_time) or "-",
                _passed(each),
                when(each.verified_since_time) or "-",
                str(each.suspect_count),
                str(each.lost_count),
            )
            for each in answer.backends
        ]
    )


def _passed(each: pb.BackendIntegrity) -> str:
    if not each.HasField("pass_begin_time"):
        return "-"
    if each.HasField("pass_end_time"):
        return "all"
    return f"{min(100, 100 * each.passed_bytes // max(1, each.stored_bytes))} %"


@command.command("run")
@click.option("--backend", help="Only pieces of this backend.")
@click.option("--bucket", help="Only objects of this bucket, all their versions.")
@click.option("--prefix", help="Only keys of the bucket that begin so.")
@click.option(
    "--verify",
    type=click.Choice(DEPTHS),
    default="full",
    show_default=True,
    help="Whether every byte is read, or headers, trailers and cards alone.",
)
@click.option("--sample", type=click.FloatRange(0, 1, min_open=True), help="Share of the pieces, at random.")
@click.option("--rate", type=SIZE, default=0, help="Most bytes to read a second, such as 50MiB.")
@click.option("--detach", is_flag=True, help="Print the operation's name, and wait for nothing.")
@click.pass_obj
def run_scrub(
    connection: Connection,
    backend: str | None,
    bucket: str | None,
    prefix: str | None,
    verify: str,
    sample: float | None,
    rate: int,
    detach: bool,
) -> None:
    """Verify now; bad pieces are made anew where a good copy is left."""
    request = pb.RunScrubRequest(
        backend=resource_name("backends", backend) if backend else "",
        bucket=bucket or "",
        prefix=prefix or "",
        verify=discrepancy_pb2.VerifyDepth.Value(f"VERIFY_DEPTH_{verify.upper()}"),
        sample=sample or 0.0,
        max_bytes_per_second=rate,
    )
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.ScrubServiceStub(channel).RunScrub, request)
    follow(connection, answer, detach=detach)
    show_counts(connection, answer.operation)


@command.command("backfill")
@click.argument("backend")
@click.option("--rate", type=SIZE, default=0, help="Most bytes to read a second, such as 50MiB.")
@click.option("--detach", is_flag=True, help="Print the operation's name, and wait for nothing.")
@click.pass_obj
def backfill_checksums(connection: Connection, backend: str, rate: int, detach: bool) -> None:
    """Read once what was taken over from a backend's bucket, so that reads of it are verified."""
    request = pb.BackfillChecksumsRequest(
        backend=resource_name("backends", backend), max_bytes_per_second=rate
    )
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.ScrubServiceStub(channel).BackfillChecksums, request)
    follow(connection, answer, detach=detach)
    show_counts(connection, answer.operation)


@command.command("corrupt")
@click.option("--backend", help="Only of this backend.")
@click.pass_obj
def list_corrupt(connection: Connection, backend: str | None) -> None:
    """List pieces that reads do not trust."""
    request = pb.ListCorruptCopiesRequest(backend=resource_name("backends", backend) if backend else "")
    with connection.channel() as channel:
        stub = pb_grpc.ScrubServiceStub(channel)
        show_list(connection, stub.ListCorruptCopies, request, COLUMNS, wide=WIDE)


@command.command("verify")
@click.argument("bucket")
@click.argument("key")
@click.option("--version-id", help="A version of the object; else the current one.")
@click.pass_obj
def verify_object(connection: Connection, bucket: str, key: str, version_id: str | None) -> None:
    """Read every byte of every copy of an object, and change nothing.

    Exit status 3 when a copy is bad.
    """
    request = pb.VerifyObjectRequest(bucket=bucket, key=key, version_id=version_id or "")
    whole = pb.VerifyObjectResponse()
    with connection.channel() as channel:
        stub = pb_grpc.ScrubServiceStub(channel)
        while True:
            answer = connection.call(stub.VerifyObject, request)
            whole.version_id = answer.version_id
            whole.copies.extend(answer.copies)
            whole.verified_bytes += answer.verified_bytes
            request.page_token = answer.next_page_token
            request.version_id = answer.version_id
            if not answer.next_page_token:
                break
    bad = [each for each in whole.copies if not each.good]
    if not connection.wrote(whole):
        table = Table(("BACKEND", "STORAGE KEY", "GOOD", "PROBLEM"))
        table.add(
            [
                (each.backend, each.storage_key, yes_no(each.good), printable(each.problem) or "-")
                for each in whole.copies
            ]
        )
        click.echo(f"{size(whole.verified_bytes)} read, {len(bad)} of {len(whole.copies)} copies are bad")
    if bad:
        raise click.exceptions.Exit(ExitStatus.PARTIAL)
