"""`adminctl usage`: how much is stored, and how much may be."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import click
from penstock.admin.v1 import usage_service_pb2 as pb
from penstock.admin.v1 import usage_service_pb2_grpc as pb_grpc
from penstock.admin.v1 import watch_pb2

from adminctl.client import Connection, resource_name
from adminctl.listing import Columns, show_list
from adminctl.output import print_table, size, when, word, yes_no
from adminctl.quantities import SIZE, SPAN, span_of


def _of_usage(text: Callable[[pb.Usage], str], quota: pb.Quota) -> str:
    return text(quota.usage)


FIGURES: Columns = {
    "USED": lambda usage: size(usage.used_bytes),
    "ORPHAN": lambda usage: size(usage.orphan_bytes),
    "RESERVED": lambda usage: size(usage.reserved_bytes),
    "LIMIT": lambda usage: size(usage.limit_bytes) if usage.HasField("limit_bytes") else "none",
    "ITEMS": lambda usage: str(usage.item_count),
}
COLUMNS: Columns = {
    "NAME": lambda quota: quota.name,
    **{heading: partial(_of_usage, text) for heading, text in FIGURES.items()},
    "CONFIGURED": lambda quota: yes_no(quota.configured),
}


WIDE: Columns = {
    "FULL": lambda quota: when(quota.full_time) if quota.HasField("full_time") else "-",
}
MONTH: Columns = {
    "BACKEND": lambda usage: usage.backend,
    "KIND": lambda usage: word(pb.UsageKind.Name(usage.kind), "USAGE_KIND_"),
    "USED": lambda usage: _amount(usage.kind, usage.used_amount),
    "LEASED": lambda usage: _amount(usage.kind, usage.leased_amount),
    "LIMIT": lambda usage: (
        _amount(usage.kind, usage.limit_amount) if usage.HasField("limit_amount") else "none"
    ),
    "REACHED": lambda usage: when(usage.reached_time) if usage.HasField("reached_time") else "-",
}


HISTORY: Columns = {
    "SINCE": lambda past: when(past.start_time),
    "NAME": lambda past: past.name,
    "STORED": lambda past: size(past.stored_bytes),
    "WRITES": lambda past: str(past.write_request_count),
    "READS": lambda past: str(past.read_request_count),
    "IN": lambda past: size(past.ingress_bytes),
    "OUT": lambda past: size(past.egress_bytes),
}
BUCKETS: Columns = {
    "BUCKET": lambda usage: f"{usage.bucket} (deleted)" if usage.deleted else usage.bucket,
    "WRITES": lambda usage: str(usage.write_request_count),
    "READS": lambda usage: str(usage.read_request_count),
    "DELETES": lambda usage: str(usage.delete_request_count),
    "IN": lambda usage: size(usage.ingress_bytes),
    "OUT": lambda usage: size(usage.egress_bytes),
    "STORED": lambda usage: size(usage.stored_bytes),
}
WIDE_HISTORY: Columns = {
    "DELETES": lambda past: str(past.delete_request_count),
}


COSTS: Columns = {
    "NAME": lambda cost: cost.name,
    "STORED": lambda cost: size(cost.stored_bytes),
    "STORING": lambda cost: f"{cost.storage_cost:.4g}",
    "WRITES": lambda cost: str(cost.write_request_count),
    "WRITING": lambda cost: f"{cost.request_cost:.4g}",
}


@click.group("usage")
def command() -> None:
    """How much is stored, and how much may be."""


@command.command("get")
@click.pass_obj
def get_usage(connection: Connection) -> None:
    """Sum up the deployment: pieces on its backends, versions in its buckets."""
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.UsageServiceStub(channel).GetUsage, pb.GetUsageRequest())
    if connection.wrote(answer):
        return
    rows = [
        (f"{answer.backend_count} backends", *_cells(answer.backends)),
        (f"{answer.bucket_count} buckets", *_cells(answer.buckets)),
    ]
    print_table(("OF", *FIGURES), rows)


@command.command("list")
@click.pass_obj
def list_quotas(connection: Connection) -> None:
    """List what backends and buckets hold, and their limits; `-o wide` foretells when they are full."""
    with connection.channel() as channel:
        stub = pb_grpc.UsageServiceStub(channel)
        show_list(connection, stub.ListQuotas, pb.ListQuotasRequest(), COLUMNS, wide=WIDE)


@command.command("watch")
@click.pass_obj
def watch_usage(connection: Connection) -> None:
    """Show what is stored, and what was used of backends this month, whenever something changes, until interrupted."""
    with connection.channel() as channel:
        method = pb_grpc.UsageServiceStub(channel).WatchUsage
        for answer in connection.stream(method, pb.WatchUsageRequest()):
            if connection.wrote(answer) or answer.kind == watch_pb2.WATCH_KIND_HEARTBEAT:
                continue
            print_table(
                ("OF", *FIGURES),
                [("backends", *_cells(answer.backends)), ("buckets", *_cells(answer.buckets))],
            )
            if answer.usages:
                columns = [heading for heading in MONTH if heading != "REACHED"]
                rows = [[MONTH[heading](each) for heading in columns] for each in answer.usages]
                print_table(columns, rows)
            click.echo()


@command.command("month")
@click.pass_obj
def list_month(connection: Connection) -> None:
    """List what was used of backends this month by UTC, against their limits.

    REACHED foretells when a limit is reached if it goes on as in the last days, where that is within the month. LEASED
    is held by processes for what is to come, and comes back when they do not use it.
    """
    with connection.channel() as channel:
        stub = pb_grpc.UsageServiceStub(channel)
        show_list(connection, stub.ListBackendUsage, pb.ListBackendUsageRequest(), MONTH)


@command.command("buckets")
@click.option("--window", type=SPAN, help="How far back, such as 7d. Default: since the month began, by UTC.")
@click.pass_obj
def list_buckets(connection: Connection, window: float | None) -> None:
    """List what clients asked of buckets over S3: requests by kind, bytes of bodies, and what lies there now.

    WRITES are PUT, POST and listings, READS are GET and HEAD. Each process tells of them once a minute. A bucket that
    was deleted stays in the list.
    """
    request = pb.ListBucketUsageRequest(window=span_of(window) if window is not None else None)
    with connection.channel() as channel:
        show_list(connection, pb_grpc.UsageServiceStub(channel).ListBucketUsage, request, BUCKETS)


@command.command("history")
@click.argument("name", required=False)
@click.option("--by", type=click.Choice(["hour", "day"]), default="day", show_default=True, help="Step.")
@click.option("--window", type=SPAN, help="How far back, such as 7d. Default: 30 days, or 2 by the hour.")
@click.pass_obj
def query_history(connection: Connection, name: str | None, by: str, window: float | None) -> None:
    """Show how much was used and stored, of all backends, of one, or of a bucket as `buckets/NAME`.

    Hours and days are those of UTC. Requests and bytes are counted of S3 backends, and of others that have limits. Of
    a bucket they are those of its clients, and hours without a request are left out.
    """
    full_name = name or ""
    request = pb.QueryUsageHistoryRequest(
        name=resource_name("backends", full_name) if full_name and "/" not in full_name else full_name,
        step=pb.USAGE_STEP_HOUR if by == "hour" else pb.USAGE_STEP_DAY,
        window=span_of(window) if window is not None else None,
    )
    with connection.channel() as channel:
        stub = pb_grpc.UsageServiceStub(channel)
        show_list(connection, stub.QueryUsageHistory, request, HISTORY, wide=WIDE_HISTORY)


@command.command("cost")
@click.pass_obj
def list_costs(connection: Connection) -> None:
    """Show what backends cost by the prices of the configuration, and what part of it falls to each bucket.

    STORING is what lies there now, for the time that `cost.per_gib` is of; WRITING is this month's writing requests. A
    bucket's part of the one goes by its bytes, of the other by what its clients stored this month (WRITES), both times
    the copies that its scheme asks for.
    """
    with connection.channel() as channel:
        stub = pb_grpc.UsageServiceStub(channel)
        show_list(connection, stub.ListCosts, pb.ListCostsRequest(), COSTS)


@command.command("set-quota")
@click.argument("bucket")
@click.argument("limit", type=SIZE, required=False)
@click.option("--no-limit", is_flag=True, help="Take the limit away.")
@click.option("--dry-run", is_flag=True, help="Check everything, and change nothing.")
@click.pass_obj
def set_quota(connection: Connection, bucket: str, limit: int | None, no_limit: bool, dry_run: bool) -> None:
    """Set the limit of a bucket, such as 10GiB. One below what is in it takes nothing new, and removes nothing."""
    if (limit is None) != no_limit:
        raise click.UsageError("give a limit such as 10GiB, or --no-limit")
    name = bucket if "/" in bucket else resource_name("buckets", bucket)
    request = pb.UpdateQuotaRequest(name=name, limit_bytes=limit, validate_only=dry_run)
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.UsageServiceStub(channel).UpdateQuota, request)
    if connection.wrote(answer):
        return
    quota = answer.quota
    print_table(("NAME", *FIGURES), [(quota.name, *_cells(quota.usage))])


def _amount(kind: int, amount: int) -> str:
    return size(amount) if kind in (pb.USAGE_KIND_EGRESS_BYTES, pb.USAGE_KIND_INGRESS_BYTES) else str(amount)


def _cells(usage: pb.Usage) -> list[str]:
    return [text(usage) for text in FIGURES.values()]
