"""`adminctl version`: what runs here, and what answers there."""

from __future__ import annotations

from importlib.metadata import version as version_of

import click
from penstock.admin.v1 import system_service_pb2 as pb
from penstock.admin.v1 import system_service_pb2_grpc as pb_grpc

from adminctl.client import API_VERSION, Connection
from adminctl.output import print_fields


@click.command("version")
@click.pass_obj
def command(connection: Connection) -> None:
    """Show the versions of this command and of the server."""
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.SystemServiceStub(channel).GetVersion, pb.GetVersionRequest())
    if API_VERSION not in answer.api_versions:
        click.echo(f"warning: the server does not serve {API_VERSION}, which adminctl speaks", err=True)
    if connection.wrote(answer):
        return
    print_fields(
        [
            ("adminctl", version_of("penstock")),
            ("server", answer.version),
            ("api", ", ".join(answer.api_versions)),
            ("python", answer.python_version),
            ("protobuf", answer.protobuf_version),
            ("database", answer.database_version),
        ]
    )
