"""`adminctl api`: any method of the API by its name, with requests and answers as JSON."""

from __future__ import annotations

import json
import sys

import click

from adminctl.client import Connection
from adminctl.output import print_table, yes_no

REQUEST_BYTES_MAX = 4 * 1024 * 1024


@click.group("api")
def command() -> None:
    """Call any method of the API by its name."""


@command.command("list")
@click.pass_obj
def list_methods(connection: Connection) -> None:
    """List every method this adminctl knows, with the role it needs. Asks no server."""
    from adminctl.methods import all_methods

    methods = list(all_methods())
    if connection.format.is_for_people:
        rows = [(each.name, each.role, yes_no(each.is_stream)) for each in methods]
        print_table(("METHOD", "ROLE", "STREAM"), rows)
        return
    for each in methods:
        if connection.format.name == "name":
            click.echo(each.name)
        else:
            told = {"name": each.name, "role": each.role, "stream": each.is_stream}
            click.echo(json.dumps(told))


@command.command("call")
@click.argument("method")
@click.argument("request_json", metavar="[JSON]", default="{}")
@click.pass_obj
def call(connection: Connection, method: str, request_json: str) -> None:
    """Call METHOD, such as `BackendService/GetBackend`, with a request as JSON; `-` reads it from standard input.

    The answer is JSON, of a stream one line a message, until it ends or is interrupted.
    """
    from adminctl.messages import write_line, write_message
    from adminctl.methods import find_method

    found = find_method(method)
    text = sys.stdin.read(REQUEST_BYTES_MAX) if request_json == "-" else request_json
    request = found.request(text)
    with connection.channel() as channel:
        if found.is_stream:
            for answer in connection.stream(found.on(channel), request):
                write_line(answer)
            return
        answer = connection.call(found.on(channel), request)
    if not connection.wrote(answer):
        from adminctl.formats import Format

        write_message(answer, Format("json"), has_headings=True)
