"""`adminctl deadletter`: storage keys whose deletion was given up."""

from __future__ import annotations

import click
from penstock.admin.v1 import cleanup_service_pb2 as pb
from penstock.admin.v1 import cleanup_service_pb2_grpc as pb_grpc

from adminctl.client import Connection, resource_name
from adminctl.confirm import confirm, yes_option
from adminctl.listing import Columns, show_list
from adminctl.output import size, when
from adminctl.quantities import SPAN, span_of

COLUMNS: Columns = {
    "NAME": lambda each: each.name,
    "BACKEND": lambda each: each.backend,
    "SIZE": lambda each: size(each.size_bytes),
    "REASON": lambda each: each.reason,
    "GIVEN UP": lambda each: when(each.give_up_time),
    "LAST ERROR": lambda each: each.last_error or "-",
}
WIDE: Columns = {
    "STORAGE KEY": lambda each: each.storage_key,
    "TRIES": lambda each: str(each.attempt_count),
}

_BACKEND = click.option("--backend", help="Only of this backend.")
_REASON = click.option("--reason", default="", help="Only those queued for this reason, such as reaped.")
_OLDER = click.option("--older-than", type=SPAN, help="Only those given up longer ago, such as 7d.")
_ALL = click.option("--all", "all_of_them", is_flag=True, help="All of them.")


@click.group("deadletter")
def command() -> None:
    """Storage keys whose deletion was given up after ten tries. Their bytes still count as orphans."""


@command.command("list")
@_BACKEND
@_REASON
@_OLDER
@click.pass_obj
def list_dead_letters(
    connection: Connection, backend: str | None, reason: str, older_than: float | None
) -> None:
    """List dead letters."""
    request = pb.ListDeadLettersRequest(filter=_filter(backend, reason, older_than))
    with connection.channel() as channel:
        stub = pb_grpc.CleanupServiceStub(channel)
        show_list(connection, stub.ListDeadLetters, request, COLUMNS, wide=WIDE)


@command.command("retry")
@click.argument("names", nargs=-1)
@_BACKEND
@_REASON
@_OLDER
@_ALL
@click.pass_obj
def retry_dead_letters(
    connection: Connection,
    names: tuple[str, ...],
    backend: str | None,
    reason: str,
    older_than: float | None,
    all_of_them: bool,
) -> None:
    """Give dead letters all their tries again: those that are named, those of a kind, or all."""
    _require_choice(names, backend, reason, older_than, all_of_them)
    request = pb.RetryDeadLettersRequest(names=[resource_name("deadLetters", each) for each in names])
    if not names:
        request.filter.CopyFrom(_filter(backend, reason, older_than))
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.CleanupServiceStub(channel).RetryDeadLetters, request)
    if not connection.wrote(answer):
        click.echo(f"{answer.retried_count} are tried again, {answer.left_count} are left")


@command.command("discard")
@click.argument("names", nargs=-1)
@_BACKEND
@_REASON
@_OLDER
@_ALL
@click.option("--count", type=int, help="How many they are; asked for when not given.")
@click.option("--dry-run", is_flag=True, help="Check everything, and let nothing go.")
@yes_option
@click.pass_obj
def discard_dead_letters(
    connection: Connection,
    names: tuple[str, ...],
    backend: str | None,
    reason: str,
    older_than: float | None,
    all_of_them: bool,
    count: int | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Let dead letters go: those that are named, those of a kind, or all. Their bytes count as orphans no more.

    On a volume compaction gives the space back; elsewhere the bytes may lie for good.
    """
    _require_choice(names, backend, reason, older_than, all_of_them)
    request = pb.DiscardDeadLettersRequest(
        names=[resource_name("deadLetters", each) for each in names], validate_only=dry_run
    )
    if not names:
        request.filter.CopyFrom(_filter(backend, reason, older_than))
    with connection.channel() as channel:
        stub = pb_grpc.CleanupServiceStub(channel)
        request.confirm_count = count if count is not None else _count(connection, stub, request)
        if not dry_run:
            confirm(
                str(request.confirm_count),
                [f"Lets {request.confirm_count} dead letters go; their bytes may lie for good."],
                yes=yes,
            )
        answer = connection.call(stub.DiscardDeadLetters, request)
    if not connection.wrote(answer):
        said = "could go" if dry_run else "are gone"
        click.echo(f"{answer.discarded_count} dead letters {said}, {size(answer.discarded_bytes)}")


def _count(
    connection: Connection, stub: pb_grpc.CleanupServiceStub, request: pb.DiscardDeadLettersRequest
) -> int:
    """How many there are of the kind now."""
    if request.names:
        return len(set(request.names))
    asked = pb.ListDeadLettersRequest(filter=request.filter, page_size=1000)
    count = 0
    while True:
        page = connection.call(stub.ListDeadLetters, asked)
        count += len(page.dead_letters)
        asked.page_token = page.next_page_token
        if not asked.page_token:
            return count


def _require_choice(
    names: tuple[str, ...], backend: str | None, reason: str, older_than: float | None, all_of_them: bool
) -> None:
    is_kind = backend is not None or bool(reason) or older_than is not None
    if [bool(names), is_kind, all_of_them].count(True) != 1:
        raise click.UsageError("give names, or a kind such as --backend NAME, or --all")


def _filter(backend: str | None, reason: str, older_than: float | None) -> pb.DeadLetterFilter:
    return pb.DeadLetterFilter(
        backend=resource_name("backends", backend) if backend else "",
        reason=reason,
        older_than=None if older_than is None else span_of(older_than),
    )
