"""`adminctl accesskey`: what S3 clients sign with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from penstock.admin.v1 import identity_pb2
from penstock.admin.v1 import identity_service_pb2 as pb
from penstock.admin.v1 import identity_service_pb2_grpc as pb_grpc

from adminctl.client import Connection, resource_name
from adminctl.confirm import confirm, yes_option
from adminctl.listing import Columns, show_list
from adminctl.output import print_fields, when, yes_no
from adminctl.quantities import MOMENT

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

COLUMNS: Columns = {
    "ACCESS KEY ID": lambda each: each.access_key_id,
    "IDENTITY": lambda each: each.identity.removeprefix("identities/"),
    "STATE": lambda each: "disabled" if each.disabled else "enabled",
    "EXPIRES": lambda each: when(each.expire_time) or "never",
    "USABLE": lambda each: yes_no(each.usable),
    "LAST USED": lambda each: when(each.last_use_time) or "never",
    "CREATED": lambda each: when(each.create_time),
}


@click.group("accesskey")
def command() -> None:
    """What S3 clients sign with.

    To rotate: create a second key, move the clients over, disable the first one and, once nobody misses it, delete it.
    """


@command.command("list")
@click.option("--identity", help="Only keys of this identity.")
@click.pass_obj
def list_access_keys(connection: Connection, identity: str | None) -> None:
    """List access keys by their ids. Secrets are told only when they are made."""
    request = pb.ListAccessKeysRequest(identity=resource_name("identities", identity) if identity else "")
    with connection.channel() as channel:
        stub = pb_grpc.IdentityServiceStub(channel)
        show_list(connection, stub.ListAccessKeys, request, COLUMNS)


@command.command("create")
@click.argument("identity")
@click.option("--expires", type=MOMENT, help="When it ends: 2027-01-31, or 30d for so long from now.")
@click.option("--request-id", default="", help="A UUID: a repeat with the same one makes no second key.")
@click.pass_obj
def create_access_key(
    connection: Connection, identity: str, expires: Timestamp | None, request_id: str
) -> None:
    """Make an access key of an identity, and show its secret this one time."""
    request = pb.CreateAccessKeyRequest(
        identity=resource_name("identities", identity), expire_time=expires, request_id=request_id
    )
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.IdentityServiceStub(channel).CreateAccessKey, request)
    if connection.wrote(answer):
        return
    print_fields(
        [
            ("access key id", answer.access_key.access_key_id),
            ("secret access key", answer.secret_access_key),
            ("identity", answer.access_key.identity),
            ("expires", when(answer.access_key.expire_time) or "never"),
        ]
    )
    click.echo("Keep the secret now: it is shown this one time.", err=True)


@command.command("enable")
@click.argument("access_key_id")
@click.pass_obj
def enable_access_key(connection: Connection, access_key_id: str) -> None:
    """Switch an access key on again."""
    _update(connection, access_key_id, identity_pb2.AccessKey(disabled=False), "disabled")


@command.command("disable")
@click.argument("access_key_id")
@click.pass_obj
def disable_access_key(connection: Connection, access_key_id: str) -> None:
    """Switch an access key off. Data-plane processes notice within five seconds."""
    _update(connection, access_key_id, identity_pb2.AccessKey(disabled=True), "disabled")


@command.command("expire")
@click.argument("access_key_id")
@click.argument("moment", type=MOMENT, required=False)
@click.option("--never", is_flag=True, help="Let it never end.")
@click.pass_obj
def expire_access_key(
    connection: Connection, access_key_id: str, moment: Timestamp | None, never: bool
) -> None:
    """Set when an access key ends: 2027-01-31, or 30d for so long from now."""
    if (moment is None) != never:
        raise click.UsageError("give a time such as 2027-01-31 or 30d, or --never")
    _update(connection, access_key_id, identity_pb2.AccessKey(expire_time=moment), "expire_time")


@command.command("delete")
@click.argument("access_key_id")
@yes_option
@click.pass_obj
def delete_access_key(connection: Connection, access_key_id: str, yes: bool) -> None:
    """Delete an access key; its secret is gone for good. Data-plane processes notice within five seconds."""
    request = pb.DeleteAccessKeyRequest(name=resource_name("accessKeys", access_key_id))
    plan = f"Deletes {request.name}: whoever signs with it is let in no more. `disable` can be undone."
    confirm(access_key_id, [plan], yes=yes)
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.IdentityServiceStub(channel).DeleteAccessKey, request)
    if not connection.wrote(answer):
        click.echo(f"{request.name}: deleted")


def _update(connection: Connection, access_key_id: str, key: identity_pb2.AccessKey, path: str) -> None:
    key.name = resource_name("accessKeys", access_key_id)
    request = pb.UpdateAccessKeyRequest(access_key=key)
    request.update_mask.paths.append(path)
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.IdentityServiceStub(channel).UpdateAccessKey, request)
    if connection.wrote(answer):
        return
    key = answer.access_key
    print_fields(
        [
            ("access key id", key.access_key_id),
            ("identity", key.identity),
            ("disabled", yes_no(key.disabled)),
            ("expires", when(key.expire_time) or "never"),
            ("usable", yes_no(key.usable)),
            ("created", when(key.create_time)),
            ("last used", when(key.last_use_time) or "never"),
        ]
    )
