"""`adminctl identity`: S3 clients, what they may do, and in which buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from penstock.admin.v1 import identity_pb2, origin_pb2
from penstock.admin.v1 import identity_service_pb2 as pb
from penstock.admin.v1 import identity_service_pb2_grpc as pb_grpc

from adminctl.client import Connection, resource_name
from adminctl.confirm import confirm, yes_option
from adminctl.listing import Columns, show_list
from adminctl.output import print_fields, when, word, yes_no
from adminctl.quantities import MOMENT

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

_ROLE = click.Choice(["reader", "writer", "superuser"])

COLUMNS: Columns = {
    "NAME": lambda each: each.name,
    "ACCOUNT": lambda each: each.account.removeprefix("accounts/"),
    "ROLE": lambda each: _role(each),
    "BUCKETS": lambda each: _buckets(each),
    "STATE": lambda each: "disabled" if each.disabled else "enabled",
    "EXPIRES": lambda each: when(each.expire_time) or "never",
    "ORIGIN": lambda each: _origin(each),
}


@click.group("identity")
def command() -> None:
    """S3 clients, what they may do, and in which buckets."""


@command.command("list")
@click.pass_obj
def list_identities(connection: Connection) -> None:
    """List identities by name."""
    with connection.channel() as channel:
        stub = pb_grpc.IdentityServiceStub(channel)
        show_list(connection, stub.ListIdentities, pb.ListIdentitiesRequest(), COLUMNS)


@command.command("get")
@click.argument("name")
@click.pass_obj
def get_identity(connection: Connection, name: str) -> None:
    """Show one identity."""
    with connection.channel() as channel:
        request = pb.GetIdentityRequest(name=resource_name("identities", name))
        answer = connection.call(pb_grpc.IdentityServiceStub(channel).GetIdentity, request)
    _tell(connection, answer)


@command.command("create")
@click.argument("name")
@click.option("--account", required=True, help="Account it acts for; it has to be there.")
@click.option("--role", type=_ROLE, required=True, help="What it may do.")
@click.option("--bucket", "buckets", multiple=True, help="Hold it to this bucket; may be given again.")
@click.option("--expires", type=MOMENT, help="When it ends: 2027-01-31, or 30d for so long from now.")
@click.option("--dry-run", is_flag=True, help="Check everything, and make nothing.")
@click.pass_obj
def create_identity(
    connection: Connection,
    name: str,
    account: str,
    role: str,
    buckets: tuple[str, ...],
    expires: Timestamp | None,
    dry_run: bool,
) -> None:
    """Make an identity. It can do nothing before `accesskey create` gives it a key."""
    wanted = identity_pb2.Identity(
        name=resource_name("identities", name),
        account=resource_name("accounts", account),
        role=_role_of(role),
        buckets=[resource_name("buckets", each) for each in buckets],
        expire_time=expires,
    )
    with connection.channel() as channel:
        request = pb.CreateIdentityRequest(identity=wanted, validate_only=dry_run)
        answer = connection.call(pb_grpc.IdentityServiceStub(channel).CreateIdentity, request)
    _tell(connection, answer)


@command.command("update")
@click.argument("name")
@click.option("--role", type=_ROLE, help="What it may do.")
@click.option(
    "--bucket", "buckets", multiple=True, help="Hold it to this bucket and no other; may be given again."
)
@click.option("--all-buckets", is_flag=True, help="Hold it to no bucket of its account.")
@click.option("--expires", type=MOMENT, help="When it ends: 2027-01-31, or 30d for so long from now.")
@click.option("--no-expiry", is_flag=True, help="Let it never end.")
@click.option(
    "--disable/--enable", "disabled", default=None, help="Switch it off, with all of its keys, or on."
)
@click.option("--etag", default="", help="Refuse if the identity has another etag by now.")
@click.option("--dry-run", is_flag=True, help="Check everything, and change nothing.")
@click.pass_obj
def update_identity(
    connection: Connection,
    name: str,
    role: str | None,
    buckets: tuple[str, ...],
    all_buckets: bool,
    expires: Timestamp | None,
    no_expiry: bool,
    disabled: bool | None,
    etag: str,
    dry_run: bool,
) -> None:
    """Change an identity. Data-plane processes notice within five seconds."""
    if (buckets and all_buckets) or (expires is not None and no_expiry):
        raise click.UsageError("a setting and its opposite exclude each other")
    identity = identity_pb2.Identity(name=resource_name("identities", name), etag=etag, expire_time=expires)
    identity.buckets.extend(resource_name("buckets", each) for each in buckets)
    paths = []
    if role is not None:
        identity.role = _role_of(role)
        paths.append("role")
    if buckets or all_buckets:
        paths.append("buckets")
    if expires is not None or no_expiry:
        paths.append("expire_time")
    if disabled is not None:
        identity.disabled = disabled
        paths.append("disabled")
    if not paths:
        raise click.UsageError("nothing to change: name a setting")
    request = pb.UpdateIdentityRequest(identity=identity, validate_only=dry_run)
    request.update_mask.paths.extend(paths)
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.IdentityServiceStub(channel).UpdateIdentity, request)
    _tell(connection, answer)


@command.command("delete")
@click.argument("name")
@click.option("--etag", default="", help="Refuse if the identity has another etag by now.")
@click.option("--dry-run", is_flag=True, help="Check everything, and delete nothing.")
@yes_option
@click.pass_obj
def delete_identity(connection: Connection, name: str, etag: str, dry_run: bool, yes: bool) -> None:
    """Delete an identity with its access keys. What it stored stays its account's."""
    full_name = resource_name("identities", name)
    request = pb.DeleteIdentityRequest(name=full_name, etag=etag, validate_only=True)
    with connection.channel() as channel:
        stub = pb_grpc.IdentityServiceStub(channel)
        answer = connection.call(stub.DeleteIdentity, request)
        if not dry_run:
            plan = f"Deletes {full_name}, with {answer.access_key_count} access keys; what it stored stays."
            confirm(full_name.removeprefix("identities/"), [plan], yes=yes)
            request.validate_only = False
            answer = connection.call(stub.DeleteIdentity, request)
    if connection.wrote(answer):
        return
    said = "could be deleted" if dry_run else "deleted"
    click.echo(f"{full_name}: {said}, with {answer.access_key_count} access keys")


def _tell(
    connection: Connection,
    answer: pb.GetIdentityResponse | pb.CreateIdentityResponse | pb.UpdateIdentityResponse,
) -> None:
    if connection.wrote(answer):
        return
    identity = answer.identity
    print_fields(
        [
            ("name", identity.name),
            ("account", identity.account),
            ("role", _role(identity)),
            ("buckets", _buckets(identity)),
            ("disabled", yes_no(identity.disabled)),
            ("expires", when(identity.expire_time) or "never"),
            ("origin", _origin(identity)),
            ("in the configuration", yes_no(identity.configured)),
            ("created", when(identity.create_time)),
            ("etag", identity.etag),
        ]
    )


def _role(identity: identity_pb2.Identity) -> str:
    return word(identity_pb2.IdentityRole.Name(identity.role), "IDENTITY_ROLE_")


def _origin(identity: identity_pb2.Identity) -> str:
    return word(origin_pb2.Origin.Name(identity.origin), "ORIGIN_")


def _buckets(identity: identity_pb2.Identity) -> str:
    return ", ".join(each.removeprefix("buckets/") for each in identity.buckets) or "all"


def _role_of(text: str) -> identity_pb2.IdentityRole.ValueType:
    return identity_pb2.IdentityRole.Value(f"IDENTITY_ROLE_{text.upper()}")
