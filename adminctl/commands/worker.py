"""`adminctl worker`: background jobs."""

import time

import click
import grpc
from penstock.admin.v1 import operation_pb2
from penstock.admin.v1 import operation_service_pb2 as operation_pb
from penstock.admin.v1 import operation_service_pb2_grpc as operation_pb_grpc
from penstock.admin.v1 import worker_service_pb2 as pb
from penstock.admin.v1 import worker_service_pb2_grpc as pb_grpc

from adminctl.client import Connection, resource_name
from adminctl.exit_status import ExitStatus
from adminctl.output import how_long, print_fields, print_json, print_table, printable, when, yes_no

LOOK_EVERY_S = 0.2
"""Pause between two looks at a run that is waited for."""


@click.group("worker")
def command() -> None:
    """Background jobs."""


@command.command("list")
@click.pass_obj
def list_workers(connection: Connection) -> None:
    """List workers by name."""
    answer = pb.ListWorkersResponse()
    with connection.channel() as channel:
        stub = pb_grpc.WorkerServiceStub(channel)
        token = None
        while token != "":
            page = connection.call(stub.ListWorkers, pb.ListWorkersRequest(page_token=token or ""))
            answer.workers.extend(page.workers)
            token = page.next_page_token
    if connection.output == "json":
        print_json(answer)
        return
    rows = [
        (
            each.name,
            yes_no(each.enabled),
            how_long(each.interval),
            when(each.last_success_time) or "never",
            str(each.backlog_count) if each.HasField("backlog_count") else "-",
            each.last_error or "-",
        )
        for each in answer.workers
    ]
    print_table(("NAME", "ENABLED", "INTERVAL", "LAST SUCCESS", "BACKLOG", "LAST ERROR"), rows)


@command.command("get")
@click.argument("name")
@click.pass_obj
def get_worker(connection: Connection, name: str) -> None:
    """Show one worker."""
    with connection.channel() as channel:
        request = pb.GetWorkerRequest(name=resource_name("workers", name))
        answer = connection.call(pb_grpc.WorkerServiceStub(channel).GetWorker, request)
    if connection.output == "json":
        print_json(answer)
        return
    worker = answer.worker
    print_fields(
        [
            ("name", worker.name),
            ("does", worker.description),
            ("enabled", yes_no(worker.enabled)),
            ("interval", how_long(worker.interval)),
            ("leader", worker.leader),
            ("lease until", when(worker.lease_expire_time)),
            ("last success", when(worker.last_success_time) or "never"),
            ("last failure", when(worker.last_failure_time)),
            ("last error", worker.last_error),
            ("backlog", str(worker.backlog_count) if worker.HasField("backlog_count") else ""),
            ("triggered", yes_no(worker.triggered)),
        ]
    )


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
            answer.operation.CopyFrom(_ended(connection, channel, answer.operation))
    operation = answer.operation
    if connection.output == "json":
        print_json(answer)
    elif operation.done:
        progress = operation.progress
        click.echo(f"{operation.name}: {progress.done_count} done, {progress.deferred_count} put off")
    else:
        click.echo(f"{operation.name}: asked for; see `adminctl operation get {operation.name}`")
    if operation.state == operation_pb2.OPERATION_STATE_FAILED:
        click.echo(f"error: {printable(operation.error_message)}", err=True)
        raise click.exceptions.Exit(ExitStatus.OPERATION_FAILED)


def _ended(
    connection: Connection, channel: grpc.Channel, operation: operation_pb2.Operation
) -> operation_pb2.Operation:
    """Look at an operation until it has ended: it may take longer than any one call may."""
    stub = operation_pb_grpc.OperationServiceStub(channel)
    deadline_s = time.monotonic() + connection.timeout_s
    while not operation.done:
        if time.monotonic() >= deadline_s:
            click.echo(f"error: DEADLINE_EXCEEDED: {operation.name} goes on", err=True)
            click.echo(
                f"  see `adminctl operation get {operation.name}`, or wait longer with --timeout", err=True
            )
            raise click.exceptions.Exit(ExitStatus.DEADLINE)
        time.sleep(LOOK_EVERY_S)
        request = operation_pb.GetOperationRequest(name=operation.name)
        operation = connection.call(stub.GetOperation, request).operation
    return operation
