"""`adminctl operation`: long-running actions."""

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

from adminctl.client import Connection, resource_name
from adminctl.output import print_fields, print_json, when, word


@click.group("operation")
def command() -> None:
    """Long-running actions."""


@command.command("get")
@click.argument("name")
@click.pass_obj
def get_operation(connection: Connection, name: str) -> None:
    """Show how one operation gets on."""
    with connection.channel() as channel:
        request = pb.GetOperationRequest(name=resource_name("operations", name))
        answer = connection.call(pb_grpc.OperationServiceStub(channel).GetOperation, request)
    if connection.output == "json":
        print_json(answer)
        return
    operation = answer.operation
    print_fields(
        [
            ("name", operation.name),
            ("method", operation.method),
            ("target", operation.target),
            ("state", word(operation_pb2.OperationState.Name(operation.state), "OPERATION_STATE_")),
            ("done", str(operation.progress.done_count)),
            ("put off", str(operation.progress.deferred_count)),
            ("created", when(operation.create_time)),
            ("ended", when(operation.end_time)),
            ("error", operation.error_message),
        ]
    )
