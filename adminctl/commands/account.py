"""`adminctl account`: owners of buckets, for which identities act."""

from __future__ import annotations

import click
from penstock.admin.v1 import identity_pb2, origin_pb2
from penstock.admin.v1 import identity_service_pb2 as pb
from penstock.admin.v1 import identity_service_pb2_grpc as pb_grpc

from adminctl.client import Connection, resource_name
from adminctl.listing import Columns, show_list
from adminctl.output import print_fields, when, word

COLUMNS: Columns = {
    "NAME": lambda each: each.name,
    "ORIGIN": lambda each: _origin(each),
    "CREATED": lambda each: when(each.create_time),
}


@click.group("account")
def command() -> None:
    """Owners of buckets, for which identities act."""


@command.command("list")
@click.pass_obj
def list_accounts(connection: Connection) -> None:
    """List accounts by name."""
    with connection.channel() as channel:
        stub = pb_grpc.IdentityServiceStub(channel)
        show_list(connection, stub.ListAccounts, pb.ListAccountsRequest(), COLUMNS)


@command.command("create")
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Check everything, and make nothing.")
@click.pass_obj
def create_account(connection: Connection, name: str, dry_run: bool) -> None:
    """Make an account."""
    wanted = identity_pb2.Account(name=resource_name("accounts", name))
    with connection.channel() as channel:
        request = pb.CreateAccountRequest(account=wanted, validate_only=dry_run)
        answer = connection.call(pb_grpc.IdentityServiceStub(channel).CreateAccount, request)
    if connection.wrote(answer):
        return
    account = answer.account
    print_fields(
        [("name", account.name), ("origin", _origin(account)), ("created", when(account.create_time))]
    )


def _origin(account: identity_pb2.Account) -> str:
    return word(origin_pb2.Origin.Name(account.origin), "ORIGIN_")
