"""`adminctl operation`: long-running actions."""

from __future__ import annotations

import json
from typing import Any

import click
from penstock.admin.v1 import (
    operation_pb2,
)
from penstock.admin.v1 import (
    operation_service_pb2 as pb,
)
from penstock.admin.v1 import (
    operation_service_pb2_grpc as pb_grpc,
)

from adminctl import following
from adminctl.client import Connection, resource_name
from adminctl.listing import Columns, show_list
from adminctl.output import print_fields, size, when

STATES = ("pending", "running", "succeeded", "failed", "cancelled")
COLUMNS: Columns = {
    "NAME": lambda each: each.name,
    "ACTION": lambda each: each.method.rpartition("/")[2],
    "TARGET": lambda each: each.target,
    "STATE": following.state_of,
    "DONE": lambda each: following.how_far(each) or "-",
    "CREATED": lambda each: when(each.create_time),
}
WIDE: Columns = {
    "BY": lambda each: each.creator or "-",
    "ENDED": lambda each: when(each.end_time) or "-",
    "ERROR": lambda each: each.error_message or "-",
}


@click.group("operation")
def command() -> None:
    """Long-running actions."""


@command.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@click.option("--method", default="", help="Only those started by this rpc, package.Service/Method.")
@click.option("--target", default="", help="Only those that work on this resource, such as backends/near.")
@click.pass_obj
def list_operations(connection: Connection, state: str | None, method: str, target: str) -> None:
    """List operations, the newest first."""
    request = pb.ListOperationsRequest(
        state=operation_pb2.OperationState.Value(f"OPERATION_STATE_{(state or 'unspecified').upper()}"),
        method=method,
        target=target,
    )
    with connection.channel() as channel:
        stub = pb_grpc.OperationServiceStub(channel)
        show_list(connection, stub.ListOperations, request, COLUMNS, wide=WIDE)


@command.command("get")
@click.argument("name")
@click.pass_obj
def get_operation(connection: Connection, name: str) -> None:
    """Show how one operation gets on."""
    with connection.channel() as channel:
        request = pb.GetOperationRequest(name=resource_name("operations", name))
        answer = connection.call(pb_grpc.OperationServiceStub(channel).GetOperation, request)
    if not connection.wrote(answer):
        _show(answer.operation)


@command.command("wait")
@click.argument("name")
@click.pass_obj
def wait_for_operation(connection: Connection, name: str) -> None:
    """Wait for an operation's end, without a word; at most for --timeout.

    Exit status 10 when it failed, 11 when it was cancelled, 7 when it goes on.
    """
    with connection.channel() as channel:
        request = pb.WaitOperationRequest(name=resource_name("operations", name))
        answer = following.wait(connection, pb_grpc.OperationServiceStub(channel).WaitOperation, request)
    connection.wrote(answer)
    following.end_with(answer.operation)


@command.command("watch")
@click.argument("name")
@click.pass_obj
def watch_operation(connection: Connection, name: str) -> None:
    """Follow an operation to its end; Ctrl-C leaves it alone, and once more offers to cancel it.

    Exit status 10 when it failed, 11 when it was cancelled.
    """
    with connection.channel() as channel:
        request = pb.GetOperationRequest(name=resource_name("operations", name))
        answer = connection.call(pb_grpc.OperationServiceStub(channel).GetOperation, request)
    following.follow(connection, answer, detach=False)


@command.command("cancel")
@click.argument("name")
@click.option("--detach", is_flag=True, help="Do not wait for its last step.")
@click.pass_obj
def cancel_operation(connection: Connection, name: str, detach: bool) -> None:
    """Stop an operation after the step at hand; what it did so far stays."""
    with connection.channel() as channel:
        stub = pb_grpc.OperationServiceStub(channel)
        request = pb.CancelOperationRequest(name=resource_name("operations", name))
        answer = connection.call(stub.CancelOperation, request)
        if not detach and not answer.operation.done:
            waited = pb.WaitOperationRequest(name=answer.operation.name)
            answer.operation.CopyFrom(following.wait(connection, stub.WaitOperation, waited).operation)
    if not connection.wrote(answer):
        click.echo(f"{answer.operation.name}: {following.state_of(answer.operation)}")


@command.command("delete")
@click.argument("name")
@click.pass_obj
def delete_operation(connection: Connection, name: str) -> None:
    """Forget an operation that has ended."""
    with connection.channel() as channel:
        request = pb.DeleteOperationRequest(name=resource_name("operations", name))
        answer = connection.call(pb_grpc.OperationServiceStub(channel).DeleteOperation, request)
    if not connection.wrote(answer):
        click.echo(f"{request.name}: forgotten")


def _show(operation: operation_pb2.Operation) -> None:
    progress = operation.progress
    rate = f"{size(progress.bytes_per_second)}/s" if progress.bytes_per_second and not operation.done else ""
    print_fields(
        [
            ("name", operation.name),
            ("method", operation.method),
            ("target", operation.target),
            ("state", following.state_of(operation)),
            ("done", following.how_far(operation)),
            ("put off", str(progress.deferred_count or "")),
            ("failed", str(progress.failed_count or "")),
            ("rate", rate),
            (
                "left",
                following.rough_span(progress.eta.ToNanoseconds() / 1e9) if progress.HasField("eta") else "",
            ),
            ("stage", progress.stage),
            ("at", "" if operation.done else progress.current_item),
            ("creator", operation.creator),
            ("created", when(operation.create_time)),
            ("started", when(operation.start_time)),
            ("ended", when(operation.end_time)),
            ("process", operation.process),
            ("cancelled by", operation.canceller),
            ("error", operation.error_message),
            ("reason", operation.error_reason),
            ("warnings", str(progress.warning_count or "")),
            *(("", warning) for warning in operation.warnings),
            *_result(operation),
        ]
    )


def _result(operation: operation_pb2.Operation) -> list[tuple[str, str]]:
    """A field a line; what has parts of its own in JSON."""
    from google.protobuf.json_format import MessageToDict

    found = MessageToDict(operation.result)
    return [(name.replace("_", " "), _told(value)) for name, value in sorted(found.items())]


def _told(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
