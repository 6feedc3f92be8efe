"""`adminctl status`: how the deployment is, at a glance; exit status 3 when something is not well."""

from __future__ import annotations

import click
from penstock.admin.v1 import system_pb2
from penstock.admin.v1 import system_service_pb2 as pb
from penstock.admin.v1 import system_service_pb2_grpc as pb_grpc

from adminctl.client import Connection
from adminctl.exit_status import ExitStatus
from adminctl.output import how_long, print_table, word


@click.command("status")
@click.pass_obj
def command(connection: Connection) -> None:
    """Look at the database, every backend, the workers, the instances and the node that answers.

    Exit status 3 when a check is not ok; `adminctl doctor` says what to do then.
    """
    with connection.channel() as channel:
        health = connection.call(pb_grpc.SystemServiceStub(channel).GetHealth, pb.GetHealthRequest())
    if not connection.wrote(health):
        click.echo(f"status: {_word(health.status)}")
        rows = [
            (check.name, _word(check.status), how_long(check.latency), check.message)
            for check in health.checks
        ]
        print_table(("CHECK", "STATUS", "TOOK", "MESSAGE"), rows)
    if health.status != system_pb2.HEALTH_STATUS_OK:
        raise click.exceptions.Exit(ExitStatus.PARTIAL)


def _word(status: system_pb2.HealthStatus.ValueType) -> str:
    return word(system_pb2.HealthStatus.Name(status), "HEALTH_STATUS_")
