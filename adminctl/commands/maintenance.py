"""`adminctl maintenance`: everything checked, what is dead given back, accounts counted anew, the cache."""

from __future__ import annotations

import click
from penstock.admin.v1 import maintenance_service_pb2 as pb
from penstock.admin.v1 import maintenance_service_pb2_grpc as pb_grpc

from adminctl.client import Connection, resource_name
from adminctl.exit_status import ExitStatus
from adminctl.following import follow
from adminctl.output import size
from adminctl.quantities import SIZE
from adminctl.results import show_counts


@click.group("maintenance")
def command() -> None:
    """Everything checked, what is dead given back, accounts counted anew, the cache."""


@command.command("fsck")
@click.option("--skip-payloads", is_flag=True, help="Look at records alone, and leave their bytes unread.")
@click.option("--rate", type=SIZE, default=0, help="Most bytes to read a second, such as 50MiB.")
@click.option("--detach", is_flag=True, help="Print the operation's name, and wait for nothing.")
@click.pass_obj
def fsck(connection: Connection, skip_payloads: bool, rate: int, detach: bool) -> None:
    """Compare rows, bytes, references and accounts, and change nothing.

    With the control plane down, `penstock fsck` does the same. Exit status 3 when something is wrong.
    """
    request = pb.FsckRequest(skip_payloads=skip_payloads, max_bytes_per_second=rate)
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.MaintenanceServiceStub(channel).Fsck, request)
    follow(connection, answer, detach=detach)
    if not answer.operation.done:
        return
    result = answer.operation.result
    is_clean = result["is_clean"]
    if connection.format.is_for_people:
        click.echo("clean" if is_clean else f"{result['finding_count']:g} findings")
    if not is_clean:
        raise click.exceptions.Exit(ExitStatus.PARTIAL)


@command.command("compact")
@click.argument("backend", required=False)
@click.option("--all", "all_", is_flag=True, help="All backends.")
@click.option("--dry-run", is_flag=True, help="Only count what would be given back.")
@click.option("--rate", type=SIZE, default=0, help="Most bytes to copy a second, such as 50MiB.")
@click.option("--detach", is_flag=True, help="Print the operation's name, and wait for nothing.")
@click.pass_obj
def compact(
    connection: Connection, backend: str | None, all_: bool, dry_run: bool, rate: int, detach: bool
) -> None:
    """Copy live pieces out of volume files with dead bytes, so that the files go.

    Files that are written to are skipped. The space is back once the read grace is over.
    """
    if (backend is None) != all_:
        raise click.UsageError("name a backend, or say --all")
    request = pb.CompactRequest(
        backend=resource_name("backends", backend) if backend else "",
        all=all_,
        dry_run=dry_run,
        max_bytes_per_second=rate,
    )
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.MaintenanceServiceStub(channel).Compact, request)
    follow(connection, answer, detach=detach)
    show_counts(connection, answer.operation)


@command.command("recount")
@click.option("--detach", is_flag=True, help="Print the operation's name, and wait for nothing.")
@click.pass_obj
def recount(connection: Connection, detach: bool) -> None:
    """Add up what backends and buckets hold, and put accounts right that say something else."""
    with connection.channel() as channel:
        stub = pb_grpc.MaintenanceServiceStub(channel)
        answer = connection.call(stub.RecountQuotas, pb.RecountQuotasRequest())
    follow(connection, answer, detach=detach)
    show_counts(connection, answer.operation)


@command.group("cache")
def cache() -> None:
    """The blobs that a node keeps near because their backends cost time or money."""


@cache.command("status")
@click.pass_obj
def cache_status(connection: Connection) -> None:
    """Show what the cache of the instance's node holds."""
    with connection.channel() as channel:
        stub = pb_grpc.MaintenanceServiceStub(channel)
        answer = connection.call(stub.GetCacheStats, pb.GetCacheStatsRequest())
    if not connection.wrote(answer):
        of = f"{size(answer.size_bytes)} of {size(answer.size_bytes_max)}"
        click.echo(f"{answer.blob_count} blobs, {of}")


@cache.command("flush")
@click.pass_obj
def cache_flush(connection: Connection) -> None:
    """Remove every blob from the cache of the instance's node; they are read from their backends again."""
    with connection.channel() as channel:
        stub = pb_grpc.MaintenanceServiceStub(channel)
        answer = connection.call(stub.FlushCache, pb.FlushCacheRequest())
    if not connection.wrote(answer):
        click.echo(f"{size(answer.removed_bytes)} removed")
