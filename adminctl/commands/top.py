"""`adminctl top`: everything at once, live on the terminal."""

from __future__ import annotations

import sys

import click
from penstock.admin.v1 import system_service_pb2 as pb
from penstock.admin.v1 import system_service_pb2_grpc as pb_grpc

from adminctl.client import Connection
from adminctl.refusals import Refused


@click.command("top")
@click.option("--once", is_flag=True, help="One look, and no more.")
@click.pass_obj
def command(connection: Connection, once: bool) -> None:
    """Show health, requests, room, workers and operations, live.

    Keys: q ends it, s sorts operations of S3 by another column, f shows busy ones only or all.
    With --once it is one look; for programs --once -o json, or without --once a line of JSON a change.
    """
    with connection.channel() as channel:
        stub = pb_grpc.SystemServiceStub(channel)
        if once:
            answer = connection.call(stub.GetDashboard, pb.GetDashboardRequest())
            if not connection.wrote(answer):
                from adminctl.dashboard import print_dashboard

                print_dashboard(answer.dashboard)
            return
        if not connection.format.is_for_people:
            for change in connection.stream(stub.WatchDashboard, pb.WatchDashboardRequest()):
                connection.wrote_line(change)
            return
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise Refused("top needs a terminal: use --once, or -o jsonl")
        from adminctl.live import show_live

        show_live(connection, stub)
