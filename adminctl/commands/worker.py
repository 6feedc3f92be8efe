"""`adminctl worker`: background jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from penstock.admin.v1 import operation_service_pb2 as operation_pb
from penstock.admin.v1 import operation_service_pb2_grpc as operation_pb_grpc
from penstock.admin.v1 import worker_pb2
from penstock.admin.v1 import worker_service_pb2 as pb
from penstock.admin.v1 import worker_service_pb2_grpc as pb_grpc

from adminctl import following
from adminctl.client import Connection, resource_name
from adminctl.listing import Columns, show_list
from adminctl.output import Table, how_long, print_fields, size, when, word, yes_no
from adminctl.quantities import MOMENT, SIZE, SPAN

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

COLUMNS: Columns = {
    "NAME": lambda each: each.name,
    "ENABLED": lambda each: "paused" if each.HasField("pause") else yes_no(each.enabled),
    "INTERVAL": lambda each: how_long(each.interval),
    "LAST SUCCESS": lambda each: when(each.last_success_time) or "never",
    "BACKLOG": lambda each: str(each.backlog_count) if each.HasField("backlog_count") else "-",
    "LAST ERROR": lambda each: each.last_error or "-",
}
WIDE: Columns = {
    "LEADER": lambda each: each.leader or "-",
    "LAST FAILURE": lambda each: when(each.last_failure_time) or "-",
    "DOES": lambda each: each.description,
}


def _run_state(run: worker_pb2.WorkerRun) -> str:
    return word(worker_pb2.WorkerRunState.Name(run.state), "WORKER_RUN_STATE_")


def _took(run: worker_pb2.WorkerRun) -> str:
    if not run.HasField("end_time"):
        return "-"
    return f"{(run.end_time.ToNanoseconds() - run.start_time.ToNanoseconds()) / 1e9:.1f} s"


RUN_COLUMNS: Columns = {
    "NAME": lambda run: run.name,
    "STATE": _run_state,
    "BEGAN": lambda run: when(run.start_time),
    "TOOK": _took,
    "DONE": lambda run: str(run.done_count),
    "PUT OFF": lambda run: str(run.deferred_count),
    "ERROR": lambda run: run.error_message or "-",
}
RUN_WIDE: Columns = {"PROCESS": lambda run: run.process}


@click.group("worker")
def command() -> None:
    """Background jobs."""


@command.command("list")
@click.pass_obj
def list_workers(connection: Connection) -> None:
    """List workers by name."""
    with connection.channel() as channel:
        method = pb_grpc.WorkerServiceStub(channel).ListWorkers
        show_list(connection, method, pb.ListWorkersRequest(), COLUMNS, wide=WIDE)


@command.command("get")
@click.argument("name")
@click.pass_obj
def get_worker(connection: Connection, name: str) -> None:
    """Show one worker."""
    with connection.channel() as channel:
        request = pb.GetWorkerRequest(name=resource_name("workers", name))
        answer = connection.call(pb_grpc.WorkerServiceStub(channel).GetWorker, request)
    _show(connection, answer)


@command.command("trigger")
@click.argument("name")
@click.option("--wait", is_flag=True, help="Return only once the run has ended.")
@click.pass_obj
def trigger_worker(connection: Connection, name: str, wait: bool) -> None:
    """Run a worker now, whatever its interval.

    Exit status 10 when the run was waited for and failed, 7 when it outlasts --timeout (it goes on).
    """
    with connection.channel() as channel:
        request = pb.TriggerWorkerRequest(name=resource_name("workers", name))
        answer = connection.call(pb_grpc.WorkerServiceStub(channel).TriggerWorker, request)
        if wait:
            waited = operation_pb.WaitOperationRequest(name=answer.operation.name)
            stub = operation_pb_grpc.OperationServiceStub(channel)
            answer.operation.CopyFrom(following.wait(connection, stub.WaitOperation, waited).operation)
    operation = answer.operation
    if not connection.wrote(answer):
        progress = operation.progress
        click.echo(
            f"{operation.name}: {progress.done_count} done, {progress.deferred_count} put off"
            if operation.done
            else f"{operation.name}: asked for; see `adminctl operation get {operation.name}`"
        )
    following.end_with(operation)


@command.command("pause")
@click.argument("name")
@click.option("--reason", default="", help="Why, for whoever wonders.")
@click.option(
    "--until", type=MOMENT, help="When it runs again by itself, or after how long: 30m, 2027-01-31."
)
@click.pass_obj
def pause_worker(connection: Connection, name: str, reason: str, until: Timestamp | None) -> None:
    """Let a worker rest on every instance; a run ends after the unit at hand."""
    with connection.channel() as channel:
        request = pb.PauseWorkerRequest(name=resource_name("workers", name), reason=reason, expire_time=until)
        _show(connection, connection.call(pb_grpc.WorkerServiceStub(channel).PauseWorker, request))


@command.command("resume")
@click.argument("name")
@click.pass_obj
def resume_worker(connection: Connection, name: str) -> None:
    """End a worker's rest."""
    with connection.channel() as channel:
        request = pb.ResumeWorkerRequest(name=resource_name("workers", name))
        _show(connection, connection.call(pb_grpc.WorkerServiceStub(channel).ResumeWorker, request))


@command.command("update")
@click.argument("name")
@click.option("--enable/--disable", "enabled", default=None, help="Whether it runs.")
@click.option("--interval", "interval_s", type=SPAN, help="Pause between two runs, such as 10m.")
@click.option(
    "--rate", "rate_bytes", type=SIZE, help="Most bytes it may move a second, such as 20MiB; 0: no limit."
)
@click.option("--reset", is_flag=True, help="Take what is not given back to what the configuration says.")
@click.pass_obj
def update_worker(
    connection: Connection,
    name: str,
    enabled: bool | None,
    interval_s: float | None,
    rate_bytes: int | None,
    reset: bool,
) -> None:
    """Set how a worker runs, on every instance; reloads of the configuration do not undo it."""
    given = {"enabled": enabled, "interval": interval_s, "rate_limit_bytes": rate_bytes}
    paths = [f"overrides.{field}" for field, value in given.items() if reset or value is not None]
    if not paths:
        raise click.UsageError("say what to set: --enable, --disable, --interval, --rate or --reset")
    overrides = worker_pb2.WorkerOverrides(enabled=enabled, rate_limit_bytes=rate_bytes)
    if interval_s is not None:
        overrides.interval.FromNanoseconds(int(interval_s * 1e9))
    request = pb.UpdateWorkerRequest(
        worker=worker_pb2.Worker(name=resource_name("workers", name), overrides=overrides)
    )
    request.update_mask.paths.extend(paths)
    with connection.channel() as channel:
        _show(connection, connection.call(pb_grpc.WorkerServiceStub(channel).UpdateWorker, request))


@command.command("runs")
@click.argument("name", default="-")
@click.pass_obj
def list_runs(connection: Connection, name: str) -> None:
    """List the last runs of a worker, or of all, the newest first."""
    with connection.channel() as channel:
        request = pb.ListWorkerRunsRequest(parent=resource_name("workers", name))
        method = pb_grpc.WorkerServiceStub(channel).ListWorkerRuns
        show_list(connection, method, request, RUN_COLUMNS, wide=RUN_WIDE)


@command.command("run")
@click.argument("name")
@click.pass_obj
def get_run(connection: Connection, name: str) -> None:
    """Show one run by its name, such as workers/cleanup/runs/7."""
    with connection.channel() as channel:
        answer = connection.call(
            pb_grpc.WorkerServiceStub(channel).GetWorkerRun, pb.GetWorkerRunRequest(name=name)
        )
    if connection.wrote(answer):
        return
    columns = {**RUN_COLUMNS, **RUN_WIDE}
    print_fields([(heading.lower(), text(answer.run)) for heading, text in columns.items()])


@command.command("watch-runs")
@click.argument("name", default="-")
@click.pass_obj
def watch_runs(connection: Connection, name: str) -> None:
    """Show the last runs of a worker, or of all, and then every one that begins or ends."""
    table = Table(list(RUN_COLUMNS), has_headings=connection.flags.has_headings)
    with connection.channel() as channel:
        request = pb.WatchWorkerRunsRequest(parent=resource_name("workers", name))
        method: Any = pb_grpc.WorkerServiceStub(channel).WatchWorkerRuns
        answer: pb.WatchWorkerRunsResponse
        for answer in connection.stream(method, request):
            if not connection.wrote(answer):
                table.add([[text(run) for text in RUN_COLUMNS.values()] for run in answer.runs])


def _show(connection: Connection, answer: Any) -> None:
    """An answer with a worker in it."""
    if connection.wrote(answer):
        return
    worker: worker_pb2.Worker = answer.worker
    pause, overrides = worker.pause, worker.overrides
    is_paused = worker.HasField("pause")
    print_fields(
        [
            ("name", worker.name),
            ("does", worker.description),
            ("enabled", yes_no(worker.enabled)),
            ("paused by", f"{pause.creator}, {when(pause.create_time)}" if is_paused else ""),
            ("because", pause.reason),
            ("until", (when(pause.expire_time) or "it is resumed") if is_paused else ""),
            ("interval", how_long(worker.interval)),
            ("rate limit", _rate(worker) if worker.moves_bytes else ""),
            ("set here", _set(overrides)),
            ("set by", f"{overrides.creator}, {when(overrides.update_time)}" if _set(overrides) else ""),
            ("leader", worker.leader),
            ("lease until", when(worker.lease_expire_time)),
            ("last success", when(worker.last_success_time) or "never"),
            ("last failure", when(worker.last_failure_time)),
            ("last error", worker.last_error),
            ("next run", when(worker.next_run_time)),
            ("backlog", str(worker.backlog_count) if worker.HasField("backlog_count") else ""),
            ("triggered", yes_no(worker.triggered)),
        ]
    )


def _rate(worker: worker_pb2.Worker) -> str:
    return f"{size(worker.rate_limit_bytes)}/s" if worker.HasField("rate_limit_bytes") else "none"


def _set(overrides: worker_pb2.WorkerOverrides) -> str:
    """What does not come from the configuration."""
    is_set = {
        "enabled": overrides.HasField("enabled"),
        "interval": overrides.HasField("interval"),
        "rate limit": overrides.HasField("rate_limit_bytes"),
    }
    return ", ".join(name for name, holds in is_set.items() if holds)
