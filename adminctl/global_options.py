"""Options of every command line: they may stand before the noun, or anywhere after it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import click
from click.core import ParameterSource

from adminctl.client import DEFAULT_TIMEOUT_S, Connection, Flags
from adminctl.formats import PEOPLE, PROGRAMS, TEMPLATE, FormatType
from adminctl.place import ENVIRONMENT
from adminctl.tracing import Trace

TIMEOUT_MAX_S = 3600.0

_PREFIX = "global_"
"""Before the names of the parameters, so that none is taken for one of a command's own."""

_PLACES = {
    "address": ("host:port, https://host:port or unix:PATH of the control plane.", "ADDRESS"),
    "context": ("Deployment, by its name in the file of contexts.", "NAME"),
    "token": ("Admin token; better given by environment or context.", "TOKEN"),
    "ca": ("Authorities to trust, as PEM; speaks TLS.", "FILE"),
    "cert": ("Certificate to show, as PEM; speaks TLS.", "FILE"),
    "key": ("Private key of --cert.", "FILE"),
}


def global_options() -> list[click.Option]:
    """As they stand before the noun."""
    places = [
        click.Option(
            [f"--{field}", f"{_PREFIX}{field}"], metavar=metavar, help=told, envvar=ENVIRONMENT[field]
        )
        for field, (told, metavar) in _PLACES.items()
    ]
    return [
        *places,
        click.Option(
            ["-o", "--output", f"{_PREFIX}output"],
            type=FormatType(),
            default="table",
            show_default=True,
            metavar="FORMAT",
            help=f"{', '.join((*PEOPLE, *PROGRAMS))} or {TEMPLATE}TEXT.",
        ),
        click.Option(
            ["--no-headers", f"{_PREFIX}no_headers"], is_flag=True, help="Tables and CSV without headings."
        ),
        click.Option(
            ["--timeout", f"{_PREFIX}timeout"],
            type=click.FloatRange(0.1, TIMEOUT_MAX_S),
            default=DEFAULT_TIMEOUT_S,
            show_default=True,
            metavar="SECONDS",
            help="Time a call may take.",
        ),
        click.Option(
            ["-v", "--verbose", f"{_PREFIX}verbose"],
            is_flag=True,
            help="Show peer, request id and trailers of a failed call.",
        ),
    ]


def add_global_options(command: click.Command) -> None:
    """Let them stand behind this command too, but for those whose names it has taken for itself."""
    taken = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    for option in global_options():
        option.opts = [name for name in option.opts if name not in taken]
        if not option.opts:
            continue
        option.hidden, option.expose_value, option.envvar = True, False, None
        option.callback = _override
        command.params.append(option)


def connection_of(ctx: click.Context) -> Connection:
    """As the options say that stand before the noun, in the context of the command they belong to."""
    flags = Flags()
    for name, value in ctx.params.items():
        if _is_given(ctx, name):
            flags = replace(flags, **_changes(flags, name, value))
    # A shell that completes a line runs no command.
    trace = Trace({} if ctx.resilient_parsing else os.environ, command=ctx.invoked_subcommand or "")
    ctx.call_on_close(trace.end)
    return Connection(flags, trace=trace)


def _override(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    """What stands behind the noun counts from there on."""
    connection = ctx.find_object(Connection)
    if connection is not None and _is_given(ctx, parameter.name):
        ctx.obj = connection.with_flags(**_changes(connection.flags, parameter.name, value))


def _is_given(ctx: click.Context, name: str | None) -> bool:
    """On the command line: what the environment says of the place is read by whoever looks for it."""
    return name is not None and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _changes(flags: Flags, name: str | None, value: Any) -> dict[str, Any]:
    field = (name or "").removeprefix(_PREFIX)
    if field in _PLACES:
        return {"wanted": replace(flags.wanted, **{field: value})}
    changes = {
        "output": {"output": value},
        "no_headers": {"has_headings": not value},
        "timeout": {"timeout_s": value},
        "verbose": {"is_verbose": value},
    }
    return changes[field]
