"""`adminctl backend`: the stores behind the endpoint."""

import click
from penstock.admin.v1 import backend_pb2
from penstock.admin.v1 import backend_service_pb2 as pb
from penstock.admin.v1 import backend_service_pb2_grpc as pb_grpc

from adminctl.client import Connection, resource_name
from adminctl.output import print_fields, print_json, print_table, size, word, yes_no


@click.group("backend")
def command() -> None:
    """The stores behind the endpoint."""


@command.command("list")
@click.pass_obj
def list_backends(connection: Connection) -> None:
    """List backends by name."""
    answer = pb.ListBackendsResponse()
    with connection.channel() as channel:
        stub = pb_grpc.BackendServiceStub(channel)
        token = None
        while token != "":
            page = connection.call(stub.ListBackends, pb.ListBackendsRequest(page_token=token or ""))
            answer.backends.extend(page.backends)
            token = page.next_page_token
    if connection.output == "json":
        print_json(answer)
        return
    rows = [
        (
            each.name,
            each.kind,
            _state(each),
            size(each.capacity.used_bytes),
            _limit(each),
            each.problem or "-",
        )
        for each in answer.backends
    ]
    print_table(("NAME", "KIND", "STATE", "USED", "LIMIT", "PROBLEM"), rows)


@command.command("get")
@click.argument("name")
@click.pass_obj
def get_backend(connection: Connection, name: str) -> None:
    """Show one backend."""
    with connection.channel() as channel:
        request = pb.GetBackendRequest(name=resource_name("backends", name))
        answer = connection.call(pb_grpc.BackendServiceStub(channel).GetBackend, request)
    if connection.output == "json":
        print_json(answer)
        return
    backend = answer.backend
    print_fields(
        [
            ("name", backend.name),
            ("kind", backend.kind),
            ("node", backend.node),
            ("failure domain", backend.failure_domain),
            ("state", _state(backend)),
            ("identity ok", yes_no(backend.identity_ok)),
            ("limit", _limit(backend)),
            ("used", size(backend.capacity.used_bytes)),
            ("orphan", size(backend.capacity.orphan_bytes)),
            ("reserved", size(backend.capacity.reserved_bytes)),
            ("pieces", str(backend.capacity.piece_count)),
            ("problem", backend.problem),
        ]
    )


def _state(backend: backend_pb2.Backend) -> str:
    return word(backend_pb2.BackendState.Name(backend.state), "BACKEND_STATE_")


def _limit(backend: backend_pb2.Backend) -> str:
    return size(backend.capacity.limit_bytes) if backend.capacity.HasField("limit_bytes") else "none"
