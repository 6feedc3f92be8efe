"""`adminctl context`: deployments by name, so that no command needs an address and a token."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace

import click

from adminctl.client import Connection
from adminctl.contexts import Context, Contexts, checked, contexts_path, read_contexts, write_contexts
from adminctl.output import print_fields, print_table, yes_no
from adminctl.refusals import Refused


@click.group("context")
def command() -> None:
    """Deployments by name, remembered in a file of your own."""


def _read() -> Contexts:
    return read_contexts(contexts_path(os.environ))


@command.command("list")
@click.pass_obj
def list_contexts(connection: Connection) -> None:
    """List the deployments in the file, with a mark at the one in use."""
    contexts = _read()
    names = sorted(contexts.by_name)
    if connection.format.name == "name":
        for name in names:
            click.echo(name)
        return
    if not connection.format.is_for_people:
        told = [
            {"name": name, "current": name == contexts.current, **asdict(contexts.get(name))}
            for name in names
        ]
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    rows = [
        (
            "*" if name == contexts.current else "",
            name,
            contexts.get(name).endpoint,
            _token(contexts.get(name)),
        )
        for name in names
    ]
    print_table(("CURRENT", "NAME", "ENDPOINT", "TOKEN"), rows)


def _token(context: Context) -> str:
    if context.token_file:
        return f"file {context.token_file}"
    return f"command {context.token_command}" if context.token_command else "none"


@command.command("set")
@click.argument("name")
@click.option("--endpoint", help="host:port, https://host:port or unix:PATH.")
@click.option("--ca", metavar="FILE", help="Authorities to trust, as PEM.")
@click.option("--cert", metavar="FILE", help="Certificate to show, as PEM.")
@click.option("--key", metavar="FILE", help="Private key of --cert.")
@click.option("--token-file", metavar="FILE", help="File with the token, of mode 0600.")
@click.option("--token-command", metavar="COMMAND", help="Command that prints the token; no shell runs it.")
@click.option("--use", is_flag=True, help="Use it from now on, as is done with the first one.")
def set_context(name: str, use: bool, **given: str | None) -> None:
    """Make a context, or change what is given of one; an empty text takes a thing away."""
    contexts = _read()
    changes = {field: _kept(field, said) for field, said in given.items() if said is not None}
    if changes.keys() & {"token_file", "token_command"}:
        changes = {"token_file": "", "token_command": "", **changes}
    known = contexts.by_name.get(name, Context(endpoint=""))
    context = checked(f"context {name}", replace(known, **changes))
    contexts = contexts.with_context(_checked_name(name), context)
    is_only = len(contexts.by_name) == 1
    write_contexts(contexts.using(name) if use or is_only else contexts)


def _kept(field: str, said: str) -> str:
    """A file's path so that it means the same wherever the command runs next."""
    is_path = field in ("ca", "cert", "key", "token_file") and said
    return os.path.abspath(os.path.expanduser(said)) if is_path else said


def _checked_name(name: str) -> str:
    if not name or not name.isprintable() or len(name) > 100:
        raise Refused("a name has 1 to 100 printable characters")
    return name


@command.command("use")
@click.argument("name")
def use_context(name: str) -> None:
    """Use a context from now on, where neither option nor environment says otherwise."""
    write_contexts(_read().using(name))


@command.command("delete")
@click.argument("name")
def delete_context(name: str) -> None:
    """Forget a context; its files stay."""
    write_contexts(_read().without_context(name))


@command.command("test")
@click.argument("name", required=False)
@click.pass_obj
def test_context(connection: Connection, name: str | None) -> None:
    """Reach a deployment, and show what answers, and what may be done there."""
    from penstock.admin.v1 import system_service_pb2 as pb
    from penstock.admin.v1 import system_service_pb2_grpc as pb_grpc

    if name is not None:
        connection = connection.with_flags(wanted=replace(connection.flags.wanted, context=name))
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.SystemServiceStub(channel).GetVersion, pb.GetVersionRequest())
    if connection.wrote(answer):
        return
    place = connection.place
    print_fields(
        [
            ("address", place.address),
            ("from", place.origin),
            ("tls", yes_no(place.tls is not None)),
            ("token", yes_no(bool(place.token))),
            ("server", answer.version),
        ]
    )
