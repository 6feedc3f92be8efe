"""`adminctl token`: tokens for the control API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from penstock.admin.v1 import identity_pb2, origin_pb2, roles_pb2
from penstock.admin.v1 import identity_service_pb2 as pb
from penstock.admin.v1 import identity_service_pb2_grpc as pb_grpc

from adminctl.client import Connection, resource_name
from adminctl.confirm import confirm, yes_option
from adminctl.listing import Columns, show_list
from adminctl.output import print_fields, when, word, yes_no
from adminctl.quantities import MOMENT

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

_ROLE = click.Choice(["viewer", "operator", "admin"])

COLUMNS: Columns = {
    "NAME": lambda each: each.name,
    "ROLE": lambda each: word(roles_pb2.Role.Name(each.role), "ROLE_"),
    "SCOPES": lambda each: ", ".join(each.scopes) or "all",
    "STATE": lambda each: "disabled" if each.disabled else "enabled",
    "EXPIRES": lambda each: when(each.expire_time) or "never",
    "LAST USED": lambda each: when(each.last_use_time) or "never",
    "ORIGIN": lambda each: word(origin_pb2.Origin.Name(each.origin), "ORIGIN_"),
}


@click.group("token")
def command() -> None:
    """Tokens for the control API."""


@command.command("list")
@click.pass_obj
def list_tokens(connection: Connection) -> None:
    """List tokens by name. What they are is shown only when they are made."""
    with connection.channel() as channel:
        stub = pb_grpc.IdentityServiceStub(channel)
        show_list(connection, stub.ListAdminTokens, pb.ListAdminTokensRequest(), COLUMNS)


@command.command("create")
@click.argument("name")
@click.option("--role", type=_ROLE, required=True, help="What its bearer may do.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    help="Hold it to methods, such as BucketService/*; may be given again.",
)
@click.option("--expires", type=MOMENT, help="When it ends: 2027-01-31, or 30d for so long from now.")
@click.pass_obj
def create_token(
    connection: Connection, name: str, role: str, scopes: tuple[str, ...], expires: Timestamp | None
) -> None:
    """Make a token, and show it this one time."""
    wanted = identity_pb2.AdminToken(
        name=resource_name("adminTokens", name), role=_role_of(role), scopes=scopes, expire_time=expires
    )
    with connection.channel() as channel:
        request = pb.CreateAdminTokenRequest(admin_token=wanted)
        answer = connection.call(pb_grpc.IdentityServiceStub(channel).CreateAdminToken, request)
    if connection.wrote(answer):
        return
    print_fields([*_fields(answer.admin_token), ("token", answer.token)])
    click.echo("Keep the token now: it is shown this one time.", err=True)


@command.command("update")
@click.argument("name")
@click.option("--role", type=_ROLE, help="What its bearer may do.")
@click.option(
    "--scope", "scopes", multiple=True, help="Hold it to these methods and no others; may be given again."
)
@click.option("--all-scopes", is_flag=True, help="Let it call all that its role may.")
@click.option("--expires", type=MOMENT, help="When it ends: 2027-01-31, or 30d for so long from now.")
@click.option("--no-expiry", is_flag=True, help="Let it never end.")
@click.option("--disable/--enable", "disabled", default=None, help="Switch it off, or on.")
@click.pass_obj
def update_token(
    connection: Connection,
    name: str,
    role: str | None,
    scopes: tuple[str, ...],
    all_scopes: bool,
    expires: Timestamp | None,
    no_expiry: bool,
    disabled: bool | None,
) -> None:
    """Change a token. The next call with it notices."""
    if (scopes and all_scopes) or (expires is not None and no_expiry):
        raise click.UsageError("a setting and its opposite exclude each other")
    token = identity_pb2.AdminToken(
        name=resource_name("adminTokens", name), scopes=scopes, expire_time=expires
    )
    paths = []
    if role is not None:
        token.role = _role_of(role)
        paths.append("role")
    if scopes or all_scopes:
        paths.append("scopes")
    if expires is not None or no_expiry:
        paths.append("expire_time")
    if disabled is not None:
        token.disabled = disabled
        paths.append("disabled")
    if not paths:
        raise click.UsageError("nothing to change: name a setting")
    request = pb.UpdateAdminTokenRequest(admin_token=token)
    request.update_mask.paths.extend(paths)
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.IdentityServiceStub(channel).UpdateAdminToken, request)
    if not connection.wrote(answer):
        print_fields(_fields(answer.admin_token))


@command.command("delete")
@click.argument("name")
@yes_option
@click.pass_obj
def delete_token(connection: Connection, name: str, yes: bool) -> None:
    """Delete a token. The next call with it notices."""
    request = pb.DeleteAdminTokenRequest(name=resource_name("adminTokens", name))
    plan = f"Deletes {request.name}: its bearer is let in no more. `update --disable` can be undone."
    confirm(name, [plan], yes=yes)
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.IdentityServiceStub(channel).DeleteAdminToken, request)
    if not connection.wrote(answer):
        click.echo(f"{request.name}: deleted")


def _fields(token: identity_pb2.AdminToken) -> list[tuple[str, str]]:
    return [
        ("name", token.name),
        ("role", word(roles_pb2.Role.Name(token.role), "ROLE_")),
        ("scopes", ", ".join(token.scopes) or "all"),
        ("disabled", yes_no(token.disabled)),
        ("expires", when(token.expire_time) or "never"),
        ("in the configuration", yes_no(token.configured)),
        ("created", when(token.create_time)),
        ("last used", when(token.last_use_time) or "never"),
    ]


def _role_of(text: str) -> roles_pb2.Role.ValueType:
    return roles_pb2.Role.Value(f"ROLE_{text.upper()}")
