"""`adminctl instance`: what runs, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from penstock.admin.v1 import system_pb2
from penstock.admin.v1 import system_service_pb2 as pb
from penstock.admin.v1 import system_service_pb2_grpc as pb_grpc

from adminctl.client import Connection, resource_name
from adminctl.confirm import confirm, yes_option
from adminctl.exit_status import ExitStatus
from adminctl.listing import Columns, show_list
from adminctl.output import print_table, when, word, yes_no
from adminctl.quantities import SPAN

if TYPE_CHECKING:
    from google.protobuf.duration_pb2 import Duration

WAIT_TIMEOUT_S = 60.0
ANSWER_TIME_S = 5.0

COLUMNS: Columns = {
    "NAME": lambda each: each.name,
    "NODE": lambda each: each.node,
    "VERSION": lambda each: each.version,
    "STATE": lambda each: _state(each),
    "STARTED": lambda each: when(each.start_time),
    "LAST SEEN": lambda each: when(each.heartbeat_time),
}
WIDE: Columns = {
    "PROCESSES": lambda each: str(sum(process.alive for process in each.processes)),
    "GENERATIONS": lambda each: _generations(each),
}


@click.group("instance")
def command() -> None:
    """What runs, and where."""


@command.command("list")
@click.pass_obj
def list_instances(connection: Connection) -> None:
    """List instances, the one started last first."""
    with connection.channel() as channel:
        method = pb_grpc.SystemServiceStub(channel).ListInstances
        show_list(connection, method, pb.ListInstancesRequest(), COLUMNS, wide=WIDE)


@command.command("get")
@click.argument("name")
@click.pass_obj
def get_instance(connection: Connection, name: str) -> None:
    """Show the processes of one instance."""
    with connection.channel() as channel:
        request = pb.GetInstanceRequest(name=resource_name("instances", name))
        answer = connection.call(pb_grpc.SystemServiceStub(channel).GetInstance, request)
    if connection.wrote(answer):
        return
    rows = [
        (
            str(each.pid),
            word(system_pb2.Plane.Name(each.plane), "PLANE_"),
            str(each.config_generation),
            yes_no(each.alive),
            when(each.start_time),
            str(each.in_flight_count) if each.HasField("in_flight_count") else "-",
            each.last_error,
        )
        for each in answer.instance.processes
    ]
    print_table(("PID", "PLANE", "GENERATION", "ALIVE", "STARTED", "IN FLIGHT", "LAST ERROR"), rows)


@command.command("reload")
@click.argument("name", required=False, default="")
@click.option(
    "--restart-processes", is_flag=True, help="Start the data plane's processes anew, one after the other."
)
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until all are done.")
@click.pass_obj
def reload_instance(connection: Connection, name: str, restart_processes: bool, wait: bool) -> None:
    """Make the processes of an instance, or of all, look at the configuration again.

    What a process could not take is tried once more, and a volume that had failed and is back serves again. Exit status
    3 when something is in the way or not done yet.
    """
    mode = (
        system_pb2.RELOAD_MODE_RESTART_PROCESSES if restart_processes else system_pb2.RELOAD_MODE_GENERATION
    )
    request = pb.ReloadDataPlaneRequest(
        instance=resource_name("instances", name) if name else "", mode=mode, wait=wait
    )
    with connection.channel() as channel:
        stub = pb_grpc.SystemServiceStub(channel)
        answer = connection.call(
            stub.ReloadDataPlane, request, timeout_s=max(WAIT_TIMEOUT_S, connection.timeout_s)
        )
    if not connection.wrote(answer):
        rows = [
            (each.instance, each.node, str(each.process_count), str(each.pending_count), each.problem)
            for each in answer.results
        ]
        print_table(("INSTANCE", "NODE", "PROCESSES", "NOT DONE", "PROBLEM"), rows)
    if any(each.problem for each in answer.results) or (
        wait and any(each.pending_count for each in answer.results)
    ):
        raise click.exceptions.Exit(ExitStatus.PARTIAL)


@command.command("drain")
@click.argument("name")
@click.option(
    "--deadline", type=SPAN, default=30.0, show_default=True, help="How long to wait for what is in flight."
)
@click.pass_obj
def drain_instance(connection: Connection, name: str, deadline: float) -> None:
    """Make an instance say that it is not ready, and wait until nothing is in flight there.

    It goes on serving whoever comes all the same. Exit status 3 when something is in flight at the end of the wait.
    """
    request = pb.DrainInstanceRequest(name=resource_name("instances", name), deadline=_duration(deadline))
    with connection.channel() as channel:
        stub = pb_grpc.SystemServiceStub(channel)
        answer = connection.call(
            stub.DrainInstance, request, timeout_s=max(deadline + ANSWER_TIME_S, connection.timeout_s)
        )
    if not connection.wrote(answer):
        in_flight = sum(each.in_flight_count for each in answer.instance.processes if each.alive)
        click.echo("drained" if answer.drained else f"draining: {in_flight} requests in flight")
    if not answer.drained:
        raise click.exceptions.Exit(ExitStatus.PARTIAL)


@command.command("undrain")
@click.argument("name")
@click.pass_obj
def undrain_instance(connection: Connection, name: str) -> None:
    """Make an instance say that it is ready again."""
    request = pb.UndrainInstanceRequest(name=resource_name("instances", name))
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.SystemServiceStub(channel).UndrainInstance, request)
    if not connection.wrote(answer):
        click.echo(f"{answer.instance.name} takes clients again")


@command.command("shutdown")
@click.argument("name")
@click.option(
    "--grace", type=SPAN, default=25.0, show_default=True, help="How long what is in flight may take."
)
@yes_option
@click.pass_obj
def shut_instance_down(connection: Connection, name: str, grace: float, yes: bool) -> None:
    """Drain an instance and stop it. Whether it is started again is up to what runs `penstock serve`."""
    full = resource_name("instances", name)
    with connection.channel() as channel:
        stub = pb_grpc.SystemServiceStub(channel)
        found = connection.call(stub.GetInstance, pb.GetInstanceRequest(name=full)).instance
        serving = sum(each.alive for each in found.processes)
        plan = f"{full} on node {found.node} stops with its {serving} processes within {grace:g} s"
        confirm(full.removeprefix("instances/"), [plan], yes=yes)
        answer = connection.call(stub.Shutdown, pb.ShutdownRequest(instance=full, grace=_duration(grace)))
    if not connection.wrote(answer):
        click.echo(f"{full} stops")


def _duration(seconds: float) -> Duration:
    from google.protobuf.duration_pb2 import Duration

    made = Duration()
    made.FromNanoseconds(int(seconds * 1e9))
    return made


def _state(instance: system_pb2.Instance) -> str:
    if not instance.alive:
        return "gone"
    return "stopping" if instance.stopping else "draining" if instance.draining else "alive"


def _generations(instance: system_pb2.Instance) -> str:
    alive = {process.config_generation for process in instance.processes if process.alive}
    return ", ".join(map(str, sorted(alive))) or "-"
