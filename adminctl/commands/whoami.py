"""`adminctl whoami`: who the server takes the caller for."""

from __future__ import annotations

import click
from penstock.admin.v1 import identity_service_pb2 as pb
from penstock.admin.v1 import identity_service_pb2_grpc as pb_grpc
from penstock.admin.v1 import roles_pb2

from adminctl.client import Connection
from adminctl.output import print_fields, word


@click.command("whoami")
@click.pass_obj
def command(connection: Connection) -> None:
    """Show who the server takes the caller for, and what that one may do."""
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.IdentityServiceStub(channel).GetCaller, pb.GetCallerRequest())
    if connection.wrote(answer):
        return
    print_fields(
        [
            ("caller", answer.caller),
            ("role", word(roles_pb2.Role.Name(answer.role), "ROLE_")),
            ("scopes", ", ".join(answer.scopes) or "all"),
        ]
    )
