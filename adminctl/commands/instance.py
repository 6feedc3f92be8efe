"""`adminctl instance`: what runs, and where."""

import click
from penstock.admin.v1 import system_pb2
from penstock.admin.v1 import system_service_pb2 as pb
from penstock.admin.v1 import system_service_pb2_grpc as pb_grpc

from adminctl.client import Connection, resource_name
from adminctl.output import print_json, print_table, when, word, yes_no


@click.group("instance")
def command() -> None:
    """What runs, and where."""


@command.command("list")
@click.pass_obj
def list_instances(connection: Connection) -> None:
    """List instances, the one started last first."""
    answer = pb.ListInstancesResponse()
    with connection.channel() as channel:
        stub = pb_grpc.SystemServiceStub(channel)
        token = None
        while token != "":
            page = connection.call(stub.ListInstances, pb.ListInstancesRequest(page_token=token or ""))
            answer.instances.extend(page.instances)
            token = page.next_page_token
    if connection.output == "json":
        print_json(answer)
        return
    rows = [
        (
            each.name,
            each.node,
            each.version,
            yes_no(each.alive),
            when(each.start_time),
            when(each.heartbeat_time),
        )
        for each in answer.instances
    ]
    print_table(("NAME", "NODE", "VERSION", "ALIVE", "STARTED", "LAST SEEN"), rows)


@command.command("get")
@click.argument("name")
@click.pass_obj
def get_instance(connection: Connection, name: str) -> None:
    """Show the processes of one instance."""
    with connection.channel() as channel:
        request = pb.GetInstanceRequest(name=resource_name("instances", name))
        answer = connection.call(pb_grpc.SystemServiceStub(channel).GetInstance, request)
    if connection.output == "json":
        print_json(answer)
        return
    rows = [
        (
            str(each.pid),
            word(system_pb2.Plane.Name(each.plane), "PLANE_"),
            str(each.config_generation),
            yes_no(each.alive),
            when(each.start_time),
            each.last_error,
        )
        for each in answer.instance.processes
    ]
    print_table(("PID", "PLANE", "GENERATION", "ALIVE", "STARTED", "LAST ERROR"), rows)
