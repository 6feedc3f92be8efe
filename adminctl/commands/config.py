"""`adminctl config`: the configuration that runs, and checks of a new one."""

import json
from typing import BinaryIO

import click
from google.protobuf.json_format import MessageToDict
from penstock.admin.v1 import config_service_pb2 as pb
from penstock.admin.v1 import config_service_pb2_grpc as pb_grpc

from adminctl.client import Connection
from adminctl.exit_status import ExitStatus
from adminctl.output import print_json, printable, when, yes_no


@click.group("config")
def command() -> None:
    """The configuration that runs, and checks of a new one."""


@command.command("get")
@click.pass_obj
def get_config(connection: Connection) -> None:
    """Show the newest generation, secrets redacted."""
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.ConfigServiceStub(channel).GetConfig, pb.GetConfigRequest())
    if connection.output == "json":
        print_json(answer)
        return
    click.echo(f"generation {answer.generation} by {answer.author} at {when(answer.create_time)}", err=True)
    click.echo(f"the file is what it was made from: {yes_no(answer.file_matches)}", err=True)
    click.echo(json.dumps(MessageToDict(answer.config), indent=2, ensure_ascii=False, sort_keys=True))


@command.command("validate")
@click.argument("file", type=click.File("rb"))
@click.pass_obj
def validate_config(connection: Connection, file: BinaryIO) -> None:
    """Check a configuration file on the server without applying it; `-` reads standard input.

    Exit status 2 when it has problems.
    """
    try:
        raw = file.read().decode()
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{file.name} is not valid UTF-8 at byte {error.start}") from error
    with connection.channel() as channel:
        stub = pb_grpc.ConfigServiceStub(channel)
        answer = connection.call(stub.ValidateConfig, pb.ValidateConfigRequest(raw=raw))
    if connection.output == "json":
        print_json(answer)
    else:
        for problem in answer.problems:
            where = f"{file.name}:{problem.line}" if problem.line else file.name
            click.echo(printable(f"{where}: {problem.path}: {problem.message}"))
        if not answer.problems:
            click.echo("ok", err=True)
    if answer.problems:
        raise click.exceptions.Exit(ExitStatus.USAGE)
