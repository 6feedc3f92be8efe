"""`adminctl key`: the key ring, and how much it seals."""

from __future__ import annotations

import click
from penstock.admin.v1 import key_pb2
from penstock.admin.v1 import key_service_pb2 as pb
from penstock.admin.v1 import key_service_pb2_grpc as pb_grpc

from adminctl.client import Connection, resource_name
from adminctl.listing import Columns, show_list
from adminctl.output import print_fields, print_table, size, when, word, yes_no

COLUMNS: Columns = {
    "NAME": lambda key: key.name,
    "KEY NAME": lambda key: key.key_name,
    "STATE": lambda key: _state(key),
    "PROVIDER": lambda key: key.provider,
    "CREATED": lambda key: when(key.create_time),
}


@click.group("key")
def command() -> None:
    """The key ring, and how much it seals."""


@command.command("list")
@click.pass_obj
def list_keys(connection: Connection) -> None:
    """List the keys of the ring, the oldest first."""
    with connection.channel() as channel:
        show_list(connection, pb_grpc.KeyServiceStub(channel).ListKeys, pb.ListKeysRequest(), COLUMNS)


@command.command("get")
@click.argument("name")
@click.pass_obj
def get_key(connection: Connection, name: str) -> None:
    """Show one key, without its material."""
    with connection.channel() as channel:
        request = pb.GetKeyRequest(name=resource_name("keys", name))
        answer = connection.call(pb_grpc.KeyServiceStub(channel).GetKey, request)
    if connection.wrote(answer):
        return
    key = answer.key
    print_fields(
        [
            ("name", key.name),
            ("key name", key.key_name),
            ("state", _state(key)),
            ("provider", key.provider),
            ("created", when(key.create_time)),
            ("loaded", yes_no(key.loaded)),
        ]
    )


@command.command("status")
@click.pass_obj
def status(connection: Connection) -> None:
    """Show how much is sealed, by backend, bucket and key; sums may be some minutes old."""
    with connection.channel() as channel:
        stub = pb_grpc.KeyServiceStub(channel)
        answer = connection.call(stub.GetEncryptionStatus, pb.GetEncryptionStatusRequest())
    if connection.wrote(answer):
        return
    shares = [*answer.backends, *answer.buckets, *answer.keys]
    rows = [(each.name, size(each.sealed_bytes), size(each.plain_bytes)) for each in shares]
    print_table(("OF", "SEALED", "NOT SEALED"), rows)
    click.echo(f"counted {when(answer.measure_time)}", err=True)
    if not answer.complete:
        click.echo("not everything was counted yet: ask again to count on", err=True)


def _state(key: key_pb2.Key) -> str:
    return word(key_pb2.KeyState.Name(key.state), "KEY_STATE_")
