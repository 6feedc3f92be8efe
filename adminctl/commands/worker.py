"""`adminctl worker`: background jobs."""

import click
from penstock.admin.v1 import operation_pb2
from penstock.admin.v1 import worker_service_pb2 as pb
from penstock.admin.v1 import worker_service_pb2_grpc as pb_grpc

from adminctl.client import Connection, resource_name
from adminctl.exit_status import ExitStatus
from adminctl.output import how_long, print_fields, print_json, print_table, when, yes_no


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

    Exit status 10 when the run was waited for and failed.
    """
    with connection.channel() as channel:
        request = pb.TriggerWorkerRequest(name=resource_name("workers", name), wait=wait)
        answer = connection.call(pb_grpc.WorkerServiceStub(channel).TriggerWorker, request)
    operation = answer.operation
    if connection.output == "json":
        print_json(answer)
    elif operation.done:
        progress = operation.progress
        click.echo(f"{operation.name}: {progress.done_count} done, {progress.deferred_count} put off")
    else:
        click.echo(f"{operation.name}: asked for; see `adminctl operation get {operation.name}`")
    if operation.state == operation_pb2.OPERATION_STATE_FAILED:
        click.echo(f"error: {operation.error_message}", err=True)
        raise click.exceptions.Exit(ExitStatus.OPERATION_FAILED)
