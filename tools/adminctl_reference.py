"""Writes docs/reference/adminctl.md from the commands themselves: nouns, verbs, options and exit statuses."""

import inspect
import sys
from collections.abc import Iterator, Mapping

import click
import grpc

from adminctl.client import BY_CODE, DEFAULT_ADDRESS
from adminctl.exit_status import ExitStatus
from adminctl.main import cli
from tools.reference_page import REFERENCE, cell, run

PAGE = REFERENCE / "adminctl.md"

INTRODUCTION = f"""\
# `adminctl`

The operator's command line. It speaks [the control API](control-api.md) and nothing else, and never reads the server's
configuration. This page is written from the commands by `tools/adminctl_reference.py`.

`adminctl [OPTIONS] NOUN [VERB] [NAME]`, global options first. Names are short (`v1`) or full (`backends/v1`).

- **Where**: `--address`, else `PENSTOCK_ENDPOINT`, else `{DEFAULT_ADDRESS}`. The sockets of a node stand in its
  `node.state_dir`: `adminctl --address unix:DIR/state/admin.sock status` needs no token.
- **Who**: `PENSTOCK_TOKEN`, or `--token`, which others on the machine may see in the list of processes.
- **Results** go to standard output, all talk to standard error. `--output json` is exactly the message's JSON, with the
  field names of the protos; tables are for people and may change. In a pipe every row is a line; a terminal too narrow
  for a table gets one field a line.
- **Errors** are one line, `error: CODE: text (REASON)`, and what to do about it; with `--output json` they are
  `google.rpc.Status` as JSON. All reasons are [listed](error-reasons.md).
"""

MEANINGS: Mapping[ExitStatus, str] = {
    ExitStatus.OK: "done",
    ExitStatus.INTERNAL: "internal error, or one without a status of its own",
    ExitStatus.USAGE: "wrong arguments; `config validate`: the configuration has problems",
    ExitStatus.PARTIAL: "done in part; `status`: something is not well",
    ExitStatus.NOT_FOUND: "not there",
    ExitStatus.DENIED: "no valid token, or its role does not suffice",
    ExitStatus.UNAVAILABLE: "nobody answers, or not now",
    ExitStatus.DEADLINE: "took longer than `--timeout`",
    ExitStatus.PRECONDITION: "the state of things forbids it",
    ExitStatus.EXISTS: "there already",
    ExitStatus.OPERATION_FAILED: "the operation waited for has failed",
    ExitStatus.CANCELLED: "cancelled",
    ExitStatus.INTERRUPTED: "interrupted at the terminal",
}


def page() -> str:
    """The whole page as Markdown."""
    parts = [INTRODUCTION, "## Global options\n", *_parameters(cli)]
    context = click.Context(cli)
    for noun in cli.list_commands(context):
        command = cli.get_command(context, noun)
        assert command is not None
        parts += [f"## {noun}\n", *_command(command, f"adminctl {noun}")]
    parts += ["## Exit statuses\n", *_exit_statuses()]
    return "\n".join(parts).rstrip("\n") + "\n"


def _command(command: click.Command, line: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        yield f"{_help(command)}\n"
        for name, verb in command.commands.items():
            yield f"### {line.removeprefix('adminctl ')} {name}\n"
            yield from _command(verb, f"{line} {name}")
        return
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    has_options = any(isinstance(each, click.Option) for each in command.params)
    words = [line, *(["[OPTIONS]"] if has_options else []), *(each.human_readable_name for each in arguments)]
    yield f"`{' '.join(words)}`\n"
    yield f"{_help(command)}\n"
    yield from _parameters(command)


def _parameters(command: click.Command) -> Iterator[str]:
    options = [each for each in command.params if isinstance(each, click.Option)]
    if not options:
        return
    yield "| option | environment | default | meaning |\n|---|---|---|---|"
    for each in options:
        names = ", ".join(f"`{name}`" for name in each.opts)
        default = f"`{each.default}`" if each.show_default else "–"
        environ = f"`{each.envvar}`" if each.envvar else "–"
        yield f"| {names}{_choices(each)} | {environ} | {default} | {cell(each.help) or '–'} |"
    yield ""


def _choices(option: click.Option) -> str:
    return f" {cell(' | '.join(option.type.choices))}" if isinstance(option.type, click.Choice) else ""


def _help(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "")


def _exit_statuses() -> Iterator[str]:
    yield "| status | meaning | gRPC codes |\n|---|---|---|"
    for status in ExitStatus:
        codes = ", ".join(f"`{code.name}`" for code in grpc.StatusCode if BY_CODE.get(code) is status)
        yield f"| {status.value} | {MEANINGS[status]} | {codes or '–'} |"


if __name__ == "__main__":
    sys.exit(run(PAGE, page, description=__doc__))
