"""`adminctl backend`: the stores behind the endpoint, emptied and taken out of use."""

from __future__ import annotations

from collections.abc import Iterator

import click
from penstock.admin.v1 import backend_pb2, watch_pb2
from penstock.admin.v1 import backend_service_pb2 as pb
from penstock.admin.v1 import backend_service_pb2_grpc as pb_grpc

from adminctl.client import Connection, resource_name
from adminctl.confirm import confirm, yes_option
from adminctl.exit_status import ExitStatus
from adminctl.following import follow
from adminctl.listing import Columns, show_list
from adminctl.output import how_long, print_fields, print_table, printable, size, when, word, yes_no
from adminctl.quantities import SIZE
from adminctl.results import show_counts

COLUMNS: Columns = {
    "NAME": lambda each: each.name,
    "KIND": lambda each: each.kind,
    "STATE": lambda each: _state(each),
    "USED": lambda each: size(each.capacity.used_bytes),
    "LIMIT": lambda each: _limit(each),
    "PROBLEM": lambda each: each.problem or "-",
}
WIDE: Columns = {
    "NODE": lambda each: each.node or "-",
    "HEALTH": lambda each: _health(each.health) or "-",
    "FAILURE DOMAIN": lambda each: each.failure_domain,
    "ORPHAN": lambda each: size(each.capacity.orphan_bytes),
    "RESERVED": lambda each: size(each.capacity.reserved_bytes),
    "PIECES": lambda each: str(each.capacity.piece_count),
    "READS": lambda each: _reads(each),
}


@click.group("backend")
def command() -> None:
    """The stores behind the endpoint."""


@command.command("list")
@click.option(
    "--state",
    type=click.Choice(["active", "read-only", "draining", "drained", "removed"]),
    help="Only those in this state.",
)
@click.pass_obj
def list_backends(connection: Connection, state: str | None) -> None:
    """List backends by name."""
    request = pb.ListBackendsRequest()
    if state is not None:
        request.filter = f"state={state.upper().replace('-', '_')}"
    with connection.channel() as channel:
        method = pb_grpc.BackendServiceStub(channel).ListBackends
        show_list(connection, method, request, COLUMNS, wide=WIDE)


@command.command("get")
@click.argument("name")
@click.pass_obj
def get_backend(connection: Connection, name: str) -> None:
    """Show one backend."""
    with connection.channel() as channel:
        request = pb.GetBackendRequest(name=resource_name("backends", name))
        answer = connection.call(pb_grpc.BackendServiceStub(channel).GetBackend, request)
    if not connection.wrote(answer):
        _show(answer.backend)


@command.command("watch")
@click.pass_obj
def watch_backends(connection: Connection) -> None:
    """Show all backends whenever something about them changes, until interrupted."""
    with connection.channel() as channel:
        method = pb_grpc.BackendServiceStub(channel).WatchBackends
        for answer in connection.stream(method, pb.WatchBackendsRequest()):
            if connection.wrote(answer):
                continue
            if answer.kind != watch_pb2.WATCH_KIND_HEARTBEAT:
                rows = [[text(each) for text in COLUMNS.values()] for each in answer.backends]
                print_table(list(COLUMNS), rows)
                click.echo()


@command.command("drain")
@click.argument("name")
@click.option("--rate", type=SIZE, help="Most bytes a second to move, such as 50MiB. Default: no bound.")
@click.option("--dry-run", is_flag=True, help="Show what would go where, and move nothing.")
@click.option("--detach", is_flag=True, help="Print the operation's name and return at once.")
@click.pass_obj
def drain_backend(connection: Connection, name: str, rate: int | None, dry_run: bool, detach: bool) -> None:
    """Move everything off a backend, which takes nothing new from now on.

    Ctrl-C leaves the drain alone; `adminctl operation cancel` ends it, and the backend is active again. Exit status 8
    when the other backends cannot hold what lies there at the redundancy that is asked for.
    """
    request = pb.DrainBackendRequest(
        name=resource_name("backends", name), max_bytes_per_second=rate or 0, dry_run=dry_run
    )
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.BackendServiceStub(channel).DrainBackend, request)
    if not dry_run:
        follow(connection, answer, detach=detach)
        return
    if not connection.wrote(answer):
        _show_drain_plan(answer.plan)
    if answer.plan.shortfalls:
        raise click.exceptions.Exit(ExitStatus.PRECONDITION)


@command.command("undrain")
@click.argument("name")
@click.pass_obj
def undrain_backend(connection: Connection, name: str) -> None:
    """Use a backend again that is draining or drained; a drain under way is cancelled."""
    with connection.channel() as channel:
        request = pb.UndrainBackendRequest(name=resource_name("backends", name))
        answer = connection.call(pb_grpc.BackendServiceStub(channel).UndrainBackend, request)
    if not connection.wrote(answer):
        click.echo(f"{answer.backend.name}: {_state(answer.backend)}")


@command.command("update")
@click.argument("name")
@click.option("--read-only/--no-read-only", default=None, help="Whether it is kept from being written to.")
@click.option("--dry-run", is_flag=True, help="Check everything, and change nothing.")
@click.pass_obj
def update_backend(connection: Connection, name: str, read_only: bool | None, dry_run: bool) -> None:
    """Change what does not stand in the configuration."""
    from google.protobuf.field_mask_pb2 import FieldMask

    if read_only is None:
        raise click.UsageError("nothing to change: give --read-only or --no-read-only")
    request = pb.UpdateBackendRequest(
        backend=backend_pb2.Backend(name=resource_name("backends", name), read_only=read_only),
        update_mask=FieldMask(paths=["read_only"]),
        validate_only=dry_run,
    )
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.BackendServiceStub(channel).UpdateBackend, request)
    if not connection.wrote(answer):
        click.echo(f"{answer.backend.name}: {_state(answer.backend)}")


@command.command("remove")
@click.argument("name")
@click.option("--purge", is_flag=True, help="Delete what is ours there, once its readers are gone.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--detach", is_flag=True, help="Print the operation's name and return at once.")
@yes_option
@click.pass_obj
def remove_backend(
    connection: Connection, name: str, purge: bool, dry_run: bool, detach: bool, yes: bool
) -> None:
    """Forget a drained backend. What is not ours in its folder always stays."""
    full_name = resource_name("backends", name)
    short_name = full_name.removeprefix("backends/")
    with connection.channel() as channel:
        stub = pb_grpc.BackendServiceStub(channel)
        planned = connection.call(stub.RemoveBackend, pb.RemoveBackendRequest(name=full_name, dry_run=True))
        if dry_run:
            if not connection.wrote(planned):
                for line in _removal_lines(short_name, planned.plan, purge=purge):
                    click.echo(printable(line))
            if planned.plan.obstacles:
                raise click.exceptions.Exit(ExitStatus.PRECONDITION)
            return
        if not planned.plan.obstacles:
            # Where something stands against it the call itself says so.
            confirm(short_name, list(_removal_lines(short_name, planned.plan, purge=purge)), yes=yes)
        request = pb.RemoveBackendRequest(name=full_name, purge_data=purge, confirm_name=short_name)
        answer = connection.call(stub.RemoveBackend, request)
    follow(connection, answer, detach=detach)


@command.command("sync")
@click.argument("name")
@click.option("--bucket", required=True, help="Bucket to fill.")
@click.option("--prefix", default="", help="Only keys that begin with this. Default: all.")
@click.option("--copy", is_flag=True, help="Copy into objects of our own, and leave those there alone.")
@click.option("--rate", type=SIZE, help="With --copy: most bytes a second, such as 50MiB. Default: no bound.")
@click.option("--dry-run", is_flag=True, help="Count what would be taken over, and take over nothing.")
@click.option("--detach", is_flag=True, help="Print the operation's name and return at once.")
@click.pass_obj
def sync_backend(
    connection: Connection,
    name: str,
    bucket: str,
    prefix: str,
    copy: bool,
    rate: int | None,
    dry_run: bool,
    detach: bool,
) -> None:
    """Serve what lies in an S3 backend's bucket already from where it is; without --copy no byte is moved.

    Keys that the bucket to fill has already are left. Ctrl-C leaves the sync alone.
    """
    request = pb.SyncBackendRequest(
        name=resource_name("backends", name),
        bucket=resource_name("buckets", bucket),
        prefix=prefix,
        copy=copy,
        max_bytes_per_second=rate or 0,
        dry_run=dry_run,
    )
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.BackendServiceStub(channel).SyncBackend, request)
    follow(connection, answer, detach=detach)
    show_counts(connection, answer.operation)


@command.command("reset-breaker")
@click.argument("name")
@click.pass_obj
def reset_breaker(connection: Connection, name: str) -> None:
    """Call a backend again at once: every process forgets what it holds against it, and judges it anew.

    One whose identity is missing or another's stays failed.
    """
    request = pb.ResetBackendBreakerRequest(name=resource_name("backends", name))
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.BackendServiceStub(channel).ResetBackendBreaker, request)
    if not connection.wrote(answer):
        click.echo(
            f"{answer.backend.name}: judged anew within seconds; see `adminctl backend get {answer.backend.name}`"
        )


@command.command("probe")
@click.argument("name")
@click.option("--put", is_flag=True, help="Write, read and delete a scratch piece, too.")
@click.pass_obj
def probe_backend(connection: Connection, name: str, put: bool) -> None:
    """Try a backend step by step, from the control plane that is asked.

    Exit status 3 when a step fails.
    """
    with connection.channel() as channel:
        request = pb.ProbeBackendRequest(name=resource_name("backends", name), put_get_delete=put)
        answer = connection.call(pb_grpc.BackendServiceStub(channel).ProbeBackend, request)
    if not connection.wrote(answer):
        rows = [(each.name, how_long(each.latency), each.error or "ok") for each in answer.steps]
        print_table(("STEP", "TOOK", "RESULT"), rows)
    if any(each.error for each in answer.steps):
        raise click.exceptions.Exit(ExitStatus.PARTIAL)


def _show(backend: backend_pb2.Backend) -> None:
    capacity = backend.capacity
    print_fields(
        [
            ("name", backend.name),
            ("kind", backend.kind),
            ("node", backend.node),
            ("failure domain", backend.failure_domain),
            ("state", _state(backend)),
            ("since", when(backend.state_time)),
            ("reason", backend.state_reason),
            ("operation", backend.operation),
            ("identity ok", yes_no(backend.identity_ok)),
            ("reads", _reads(backend)),
            ("limit", _limit(backend)),
            ("used", size(capacity.used_bytes)),
            ("orphan", size(capacity.orphan_bytes)),
            ("reserved", size(capacity.reserved_bytes)),
            ("pieces", str(capacity.piece_count)),
            ("disk free", size(capacity.disk_free_bytes) if capacity.HasField("disk_free_bytes") else ""),
            ("last probe", when(backend.last_probe_time)),
            ("problem", backend.problem),
            ("health", _health(backend.health)),
            *((f"seen by {each.instance}", _seen(each)) for each in backend.views),
            ("notice", backend.notice),
        ]
    )


def _reads(backend: backend_pb2.Backend) -> str:
    return "unverified" if backend.unverified_reads else "verified"


def _health(health: int) -> str:
    name = backend_pb2.BackendHealth.Name(backend_pb2.BackendHealth.ValueType(health))
    return "" if health == 0 else name.removeprefix("BACKEND_HEALTH_").lower()


def _seen(view: backend_pb2.BackendView) -> str:
    """How an instance sees a backend, in a line."""
    breaker = f"breaker {view.breaker}" if view.breaker else ""
    phi = f"phi {view.phi:.1f}" if view.phi else ""
    return ", ".join(each for each in (_health(view.health), phi, breaker, view.problem) if each)


def _show_drain_plan(plan: pb.DrainPlan) -> None:
    about = "about " if plan.estimated else ""
    click.echo(f"{about}{_pieces(plan.piece_count)}, {size(plan.size_bytes)} to move")
    rows = [
        (
            each.backend,
            str(each.piece_count),
            size(each.size_bytes),
            size(each.free_bytes_after) if each.HasField("free_bytes_after") else "no limit",
        )
        for each in plan.destinations
    ]
    if rows:
        print_table(("DESTINATION", "PIECES", "BYTES", "FREE AFTER"), rows)
    if plan.sole_count:
        click.echo(f"{_pieces(plan.sole_count)} without another copy")
    for shortfall in plan.shortfalls:
        click.echo(f"cannot be done: {printable(shortfall)}")


def _removal_lines(name: str, plan: pb.RemovalPlan, *, purge: bool) -> Iterator[str]:
    files = f"{plan.file_count} {'file' if plan.file_count == 1 else 'files'}, {size(plan.file_bytes)}"
    yield f"backends/{name} is removed: its name is free once the configuration names it no more"
    if plan.problem:
        yield f"what lies there cannot be seen: {plan.problem}"
    elif purge:
        yield f"deleted there: {files}, and its identity"
    else:
        yield f"left there: {files}, and its identity"
    if purge and plan.HasField("due_time"):
        yield f"not before {when(plan.due_time)}, when the last readers are gone"
    if plan.waiting_count or plan.dead_letter_count:
        yield f"forgotten: {plan.waiting_count + plan.dead_letter_count} deletions that wait"
    if plan.foreign_count:
        yield f"not ours, stays: {', '.join(plan.foreign_names)}"
    for obstacle in plan.obstacles:
        yield f"cannot be done: {obstacle}"


def _pieces(count: int) -> str:
    return f"{count} {'piece' if count == 1 else 'pieces'}"


def _state(backend: backend_pb2.Backend) -> str:
    return word(backend_pb2.BackendState.Name(backend.state), "BACKEND_STATE_")


def _limit(backend: backend_pb2.Backend) -> str:
    return size(backend.capacity.limit_bytes) if backend.capacity.HasField("limit_bytes") else "none"
