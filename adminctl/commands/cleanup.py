"""`adminctl cleanup`: bytes that wait for deletion, and uploads that nobody finishes."""

from __future__ import annotations

import click
from penstock.admin.v1 import cleanup_service_pb2 as pb
from penstock.admin.v1 import cleanup_service_pb2_grpc as pb_grpc

from adminctl.client import Connection, resource_name
from adminctl.confirm import confirm, yes_option
from adminctl.following import follow
from adminctl.listing import Columns, show_list
from adminctl.output import Table, print_fields, size, when, yes_no
from adminctl.quantities import SPAN, span_of

COLUMNS: Columns = {
    "NAME": lambda each: each.name,
    "BACKEND": lambda each: each.backend,
    "SIZE": lambda each: size(each.size_bytes),
    "REASON": lambda each: each.reason,
    "TRIES": lambda each: str(each.attempt_count),
    "DUE": lambda each: when(each.due_time),
    "LAST ERROR": lambda each: each.last_error or "-",
}
WIDE: Columns = {
    "STORAGE KEY": lambda each: each.storage_key,
    "CLAIMED": lambda each: yes_no(each.claimed),
}


@click.group("cleanup")
def command() -> None:
    """Bytes that wait for deletion, and uploads that nobody finishes."""


@command.command("status")
@click.pass_obj
def status(connection: Connection) -> None:
    """Show how much waits for deletion, and how much was given up."""
    with connection.channel() as channel:
        stub = pb_grpc.CleanupServiceStub(channel)
        answer = connection.call(stub.GetCleanupStatus, pb.GetCleanupStatusRequest())
    if connection.wrote(answer):
        return
    print_fields(
        [
            ("waiting", f"{answer.queued_count}, {size(answer.queued_bytes)}"),
            ("of these due", str(answer.due_count)),
            ("due since", when(answer.oldest_due_time) if answer.due_count else ""),
            ("given up", f"{answer.dead_letter_count}, {size(answer.dead_letter_bytes)}"),
            ("to be taken apart", str(answer.retired_count)),
            ("reaper stopped at", str(answer.stopped_count) if answer.stopped_count else ""),
        ]
    )
    if answer.backends:
        click.echo()
        table = Table(("BACKEND", "WAITING", "SIZE", "GIVEN UP", "SIZE"))
        table.add(
            [
                (
                    each.backend,
                    str(each.queued_count),
                    size(each.queued_bytes),
                    str(each.dead_letter_count),
                    size(each.dead_letter_bytes),
                )
                for each in answer.backends
            ]
        )


@command.command("list")
@click.option("--backend", help="Only of this backend.")
@click.option("--due", is_flag=True, help="Only what may be deleted now.")
@click.pass_obj
def list_items(connection: Connection, backend: str | None, due: bool) -> None:
    """List storage keys that wait for deletion."""
    request = pb.ListCleanupItemsRequest(
        backend=resource_name("backends", backend) if backend else "", due_only=due
    )
    with connection.channel() as channel:
        stub = pb_grpc.CleanupServiceStub(channel)
        show_list(connection, stub.ListCleanupItems, request, COLUMNS, wide=WIDE)


@command.command("run")
@click.option("--now", is_flag=True, help="Delete what is not due as well: the read grace does not count.")
@click.option("--detach", is_flag=True, help="Print the operation's name, and wait for nothing.")
@yes_option
@click.pass_obj
def run_cleanup(connection: Connection, now: bool, detach: bool, yes: bool) -> None:
    """Delete what is due, beside the worker."""
    with connection.channel() as channel:
        stub = pb_grpc.CleanupServiceStub(channel)
        if now:
            waiting = connection.call(stub.GetCleanupStatus, pb.GetCleanupStatusRequest())
            plan = [
                f"Deletes {waiting.queued_count} storage keys, {size(waiting.queued_bytes)}, the "
                f"{waiting.queued_count - waiting.due_count} among them that are kept for those who still read them.",
                "Copies of the database from before lose what they point at.",
            ]
            confirm("cleanup", plan, yes=yes)
        answer = connection.call(stub.RunCleanup, pb.RunCleanupRequest(now=now))
    follow(connection, answer, detach=detach)


@command.command("abort-uploads")
@click.option("--older-than", type=SPAN, required=True, help="How long ago they began at least, such as 7d.")
@click.option("--detach", is_flag=True, help="Print the operation's name, and wait for nothing.")
@yes_option
@click.pass_obj
def abort_uploads(connection: Connection, older_than: float, detach: bool, yes: bool) -> None:
    """Abort multipart uploads that began long ago, with all parts they hold."""
    plan = [f"Aborts every open multipart upload, of all buckets, that began more than {older_than:g} s ago."]
    confirm("uploads", plan, yes=yes)
    with connection.channel() as channel:
        request = pb.AbortStaleUploadsRequest(older_than=span_of(older_than))
        answer = connection.call(pb_grpc.CleanupServiceStub(channel).AbortStaleUploads, request)
    follow(connection, answer, detach=detach)
