"""`adminctl notification`: webhooks that are told of events, and events that did not arrive."""

from __future__ import annotations

import click
from penstock.admin.v1 import notification_service_pb2 as pb
from penstock.admin.v1 import notification_service_pb2_grpc as pb_grpc

from adminctl.client import Connection, resource_name
from adminctl.confirm import confirm, yes_option
from adminctl.exit_status import ExitStatus
from adminctl.listing import Columns, show_list
from adminctl.output import how_long, printable, when, word, yes_no
from adminctl.quantities import SPAN, span_of

TARGETS: Columns = {
    "NAME": lambda each: each.name,
    "URL": lambda each: each.url or "-",
    "WAITING": lambda each: str(each.waiting_count),
    "UNDELIVERED": lambda each: str(each.undelivered_count),
    "LAST ERROR": lambda each: each.last_error or "-",
}
TARGETS_WIDE: Columns = {
    "FORMAT": lambda each: word(pb.NotificationFormat.Name(each.format), "NOTIFICATION_FORMAT_"),
    "PRIVATE": lambda each: yes_no(each.allow_private),
    "TIMEOUT": lambda each: how_long(each.timeout) or "-",
    "TRIES": lambda each: str(each.most_attempt_count),
    "CONFIGURED": lambda each: yes_no(each.configured),
}
EVENTS: Columns = {
    "NAME": lambda each: each.name,
    "TARGET": lambda each: each.target.removeprefix("notificationTargets/"),
    "EVENT": lambda each: each.type,
    "BUCKET": lambda each: each.bucket,
    "KEY": lambda each: each.key or "-",
    "HAPPENED": lambda each: when(each.event_time),
    "LAST ERROR": lambda each: each.last_error or "-",
}
EVENTS_WIDE: Columns = {
    "EVENT ID": lambda each: each.event_id,
    "GIVEN UP": lambda each: when(each.give_up_time),
    "TRIES": lambda each: str(each.attempt_count),
}

_TARGET = click.option("--target", help="Only for this target.")
_OLDER = click.option("--older-than", type=SPAN, help="Only those given up longer ago, such as 7d.")
_ALL = click.option("--all", "all_of_them", is_flag=True, help="All of them.")


@click.group("notification")
def command() -> None:
    """Webhooks that are told of events, and events that did not arrive. Targets stand in the configuration."""


@command.command("list")
@click.pass_obj
def list_targets(connection: Connection) -> None:
    """List the targets of events, how much waits for each, and how much was given up."""
    with connection.channel() as channel:
        stub = pb_grpc.NotificationServiceStub(channel)
        request = pb.ListNotificationTargetsRequest()
        show_list(connection, stub.ListNotificationTargets, request, TARGETS, wide=TARGETS_WIDE)


@command.command("test")
@click.argument("target")
@click.pass_obj
def test_target(connection: Connection, target: str) -> None:
    """Send a signed test event to a target, from the control plane that is asked.

    Exit status 3 when it did not arrive.
    """
    request = pb.TestNotificationTargetRequest(name=resource_name("notificationTargets", target))
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.NotificationServiceStub(channel).TestNotificationTarget, request)
    if not connection.wrote(answer):
        ended = f"did not arrive: {answer.error}" if answer.error else "arrived"
        click.echo(printable(f"{request.name}: {ended}, after {how_long(answer.latency)}"))
    if answer.error:
        raise click.exceptions.Exit(ExitStatus.PARTIAL)


@command.command("undelivered")
@_TARGET
@_OLDER
@click.pass_obj
def list_undelivered(connection: Connection, target: str | None, older_than: float | None) -> None:
    """List events that were given up after the last try, the first ones first; they are kept for 30 days."""
    request = pb.ListUndeliveredRequest(filter=_filter(target, older_than))
    with connection.channel() as channel:
        stub = pb_grpc.NotificationServiceStub(channel)
        show_list(connection, stub.ListUndelivered, request, EVENTS, wide=EVENTS_WIDE)


@command.command("retry")
@click.argument("names", nargs=-1)
@_TARGET
@_OLDER
@_ALL
@click.pass_obj
def retry_undelivered(
    connection: Connection,
    names: tuple[str, ...],
    target: str | None,
    older_than: float | None,
    all_of_them: bool,
) -> None:
    """Give undelivered events all their tries again: those that are named, those of a kind, or all."""
    _require_choice(names, target, older_than, all_of_them)
    request = pb.RetryUndeliveredRequest(names=_full_names(names))
    if not names:
        request.filter.CopyFrom(_filter(target, older_than))
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.NotificationServiceStub(channel).RetryUndelivered, request)
    if not connection.wrote(answer):
        click.echo(f"{answer.retried_count} are tried again, {answer.left_count} are left")


@command.command("discard")
@click.argument("names", nargs=-1)
@_TARGET
@_OLDER
@_ALL
@click.option("--count", type=int, help="How many they are; asked for when not given.")
@click.option("--dry-run", is_flag=True, help="Check everything, and let nothing go.")
@yes_option
@click.pass_obj
def discard_undelivered(
    connection: Connection,
    names: tuple[str, ...],
    target: str | None,
    older_than: float | None,
    all_of_them: bool,
    count: int | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Let undelivered events go: those that are named, those of a kind, or all. Their targets are never told."""
    _require_choice(names, target, older_than, all_of_them)
    request = pb.DiscardUndeliveredRequest(names=_full_names(names), validate_only=dry_run)
    if not names:
        request.filter.CopyFrom(_filter(target, older_than))
    with connection.channel() as channel:
        stub = pb_grpc.NotificationServiceStub(channel)
        request.confirm_count = count if count is not None else _count(connection, stub, request)
        if not dry_run:
            plan = f"Lets {request.confirm_count} undelivered events go; their targets are never told."
            confirm(str(request.confirm_count), [plan], yes=yes)
        answer = connection.call(stub.DiscardUndelivered, request)
    if not connection.wrote(answer):
        click.echo(f"{answer.discarded_count} undelivered events {'could go' if dry_run else 'are gone'}")


def _count(
    connection: Connection, stub: pb_grpc.NotificationServiceStub, request: pb.DiscardUndeliveredRequest
) -> int:
    """How many there are of the kind now."""
    if request.names:
        return len(set(request.names))
    asked = pb.ListUndeliveredRequest(filter=request.filter, page_size=1000)
    count = 0
    while True:
        page = connection.call(stub.ListUndelivered, asked)
        count += len(page.events)
        asked.page_token = page.next_page_token
        if not asked.page_token:
            return count


def _full_names(names: tuple[str, ...]) -> list[str]:
    return [resource_name("undeliveredEvents", each) for each in names]


def _require_choice(
    names: tuple[str, ...], target: str | None, older_than: float | None, all_of_them: bool
) -> None:
    is_kind = target is not None or older_than is not None
    if [bool(names), is_kind, all_of_them].count(True) != 1:
        raise click.UsageError("give names, or a kind such as --target NAME, or --all")


def _filter(target: str | None, older_than: float | None) -> pb.UndeliveredFilter:
    return pb.UndeliveredFilter(
        target=resource_name("notificationTargets", target) if target else "",
        older_than=None if older_than is None else span_of(older_than),
    )
