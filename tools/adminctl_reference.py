"""Writes docs/reference/adminctl.md from the commands themselves: nouns, verbs, options and exit statuses."""

import inspect
import sys
from collections.abc import Iterator, Mapping

import click
import grpc

from adminctl.exit_status import BY_CODE, ExitStatus
from adminctl.main import cli
from adminctl.place import DEFAULT_ADDRESS
from adminctl.watching import WATCHED
from tools.reference_page import REFERENCE, cell, run

PAGE = REFERENCE / "adminctl.md"

INTRODUCTION = f"""\
# `adminctl`

The operator's command line. It speaks [the control API](control-api.md) and nothing else, and never reads the server's
configuration. This page is written from the commands by `tools/adminctl_reference.py`.

`adminctl [OPTIONS] NOUN [VERB] [NAME]`; the global options may also stand behind the verb. Names are short (`v1`) or
full (`backends/v1`).

- **Where**: `--address` or `--context`, else the environment, else the current context, else `{DEFAULT_ADDRESS}`. The
  sockets of a node stand in its `node.state_dir`: `adminctl --address unix:DIR/state/admin.sock status` needs no token.
- **Who**: `PENSTOCK_TOKEN`, or the context's `token_file` or `token_command`, or `--token`, which others on the machine
  may see in the list of processes. A context's token goes to its own endpoint only.
- **Contexts** are remembered in `~/.config/penstock/config.yaml` (`XDG_CONFIG_HOME` is heeded), which must be of mode
  0600.
- **Results** go to standard output, all talk to standard error. Tables are for people and may change: in a pipe every
  row is a line, a terminal too narrow for a table gets one field a line, `wide` has more columns. For programs:
  `json` is exactly the message's JSON, with the field names of the protos; `yaml` the same as YAML; `jsonl` one line an
  item of a list; `name` their names; `csv` a column a field; `template='{{name}}: {{capacity.used_bytes}}'` fills
  in fields by their paths. Streams are JSON lines. What a spreadsheet would take for a formula gets an apostrophe.
- **`--watch`** (`-w`) is taken by everything that only looks (`list`, `get`, `status`): it looks every second and shows
  what has changed.
- **Errors** are one line, `error: CODE: text (REASON)`, and what to do about it; with `--output json` or `jsonl` they
  are `google.rpc.Status` as JSON. All reasons are [listed](error-reasons.md).
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
    has_options = bool(_options(command))
    words = [line, *(["[OPTIONS]"] if has_options else []), *(each.human_readable_name for each in arguments)]
    yield f"`{' '.join(words)}`\n"
    yield f"{_help(command)}\n"
    yield from _parameters(command)


def _parameters(command: click.Command) -> Iterator[str]:
    options = _options(command)
    if not options:
        return
    yield "| option | environment | default | meaning |\n|---|---|---|---|"
    for each in options:
        names = ", ".join(f"`{name}`" for name in each.opts)
        default = f"`{each.default}`" if each.show_default else "–"
        environ = f"`{each.envvar}`" if each.envvar else "–"
        yield f"| {names}{_choices(each)} | {environ} | {default} | {cell(each.help) or '–'} |"
    yield ""


def _options(command: click.Command) -> list[click.Option]:
    """Its own: those of every command, and of all that only look, stand in the introduction."""
    own = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    return [each for each in own if each.name != WATCHED]


def _choices(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return f" {cell(' | '.join(option.type.choices))}"
    return f" {option.metavar}" if option.metavar else ""


def _help(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "")


def _exit_statuses() -> Iterator[str]:
    yield "| status | meaning | gRPC codes |\n|---|---|---|"
    for status in ExitStatus:
        codes = ", ".join(f"`{code.name}`" for code in grpc.StatusCode if BY_CODE.get(code.name) is status)
        yield f"| {status.value} | {MEANINGS[status]} | {codes or '–'} |"


if __name__ == "__main__":
    sys.exit(run(PAGE, page, description=__doc__))
