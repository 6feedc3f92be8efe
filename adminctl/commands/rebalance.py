"""`adminctl rebalance`: how full backends are, and evening it out."""

from __future__ import annotations

import click
from penstock.admin.v1 import rebalance_service_pb2 as pb
from penstock.admin.v1 import rebalance_service_pb2_grpc as pb_grpc

from adminctl.client import Connection
from adminctl.following import follow
from adminctl.output import print_table, size
from adminctl.quantities import SIZE

_STRATEGY = click.Choice(["spread", "pack"])
_THRESHOLD = click.FloatRange(0, 50)


@click.group("rebalance")
def command() -> None:
    """How full backends are, and evening it out."""


@command.command("status")
@click.pass_obj
def show_status(connection: Connection) -> None:
    """Show how full each active backend is."""
    with connection.channel() as channel:
        stub = pb_grpc.RebalanceServiceStub(channel)
        answer = connection.call(stub.GetRebalanceStatus, pb.GetRebalanceStatusRequest())
    if connection.wrote(answer):
        return
    rows = [
        (
            each.backend,
            size(each.used_bytes),
            size(each.capacity_bytes) if each.HasField("capacity_bytes") else "no limit",
            _percent(each.fill),
        )
        for each in answer.fills
    ]
    print_table(("NAME", "USED", "CAPACITY", "FULL"), rows)
    click.echo(f"even would be {_percent(answer.level)}; the furthest is {_percent(answer.imbalance)} off")
    if answer.running:
        click.echo(f"under way: {answer.running}")


@command.command("plan")
@click.option("--strategy", type=_STRATEGY, help="How bytes are to lie. Default: as the routing says.")
@click.option("--threshold", type=_THRESHOLD, default=5.0, show_default=True, help="Percent that may be off.")
@click.pass_obj
def show_plan(connection: Connection, strategy: str | None, threshold: float) -> None:
    """Show what would be moved."""
    request = pb.PlanRebalanceRequest(strategy=_strategy(strategy), threshold=threshold / 100)
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.RebalanceServiceStub(channel).PlanRebalance, request)
    if connection.wrote(answer):
        return
    rows = [(each.source, each.target, size(each.size_bytes)) for each in answer.moves]
    print_table(("FROM", "TO", "BYTES"), rows)


@command.command("run")
@click.option("--strategy", type=_STRATEGY, help="How bytes are to lie. Default: as the routing says.")
@click.option("--threshold", type=_THRESHOLD, default=5.0, show_default=True, help="Percent that may be off.")
@click.option("--max-bytes", type=SIZE, help="Most bytes to move in all, such as 100GiB.")
@click.option("--rate", type=SIZE, help="Most bytes a second to move, such as 50MiB. Default: no bound.")
@click.option("--detach", is_flag=True, help="Print the operation's name and return at once.")
@click.pass_obj
def run_rebalance(
    connection: Connection,
    strategy: str | None,
    threshold: float,
    max_bytes: int | None,
    rate: int | None,
    detach: bool,
) -> None:
    """Move pieces until every backend is within the threshold; Ctrl-C leaves it alone."""
    request = pb.RunRebalanceRequest(
        strategy=_strategy(strategy),
        threshold=threshold / 100,
        max_bytes=max_bytes or 0,
        max_bytes_per_second=rate or 0,
    )
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.RebalanceServiceStub(channel).RunRebalance, request)
    follow(connection, answer, detach=detach)


def _strategy(name: str | None) -> pb.RebalanceStrategy.ValueType:
    return pb.RebalanceStrategy.Value(f"REBALANCE_STRATEGY_{(name or 'unspecified').upper()}")


def _percent(part: float) -> str:
    return f"{part * 100:.1f} %"
