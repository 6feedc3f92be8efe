"""`adminctl config`: the configuration that runs, checks of a new one, and how one takes the place of another."""

from __future__ import annotations

import json
from typing import Any, BinaryIO

import click
from penstock.admin.v1 import config_pb2
from penstock.admin.v1 import config_service_pb2 as pb
from penstock.admin.v1 import config_service_pb2_grpc as pb_grpc

from adminctl.client import Connection
from adminctl.configurations import (
    all_have_applied,
    change_lines,
    print_changes,
    print_processes,
    print_sources,
    say,
    with_whole_numbers,
)
from adminctl.confirm import confirm, yes_option
from adminctl.exit_status import ExitStatus
from adminctl.listing import Columns, show_list
from adminctl.output import printable, when, yes_no

WAIT_TIMEOUT_S = 30.0
"""A process that was killed counts as alive for some seconds more, and is waited for."""

VIEWS = ("effective", "file", "runtime")
COLUMNS: Columns = {
    "GENERATION": lambda each: str(each.generation),
    "MADE": lambda each: when(each.create_time),
    "BY": lambda each: each.author,
    "FROM FILE": lambda each: yes_no(each.from_file),
    "CHANGES": lambda each: _summary(each),
    "COMMENT": lambda each: each.comment or "-",
}

wait_option = click.option(
    "--wait/--no-wait",
    default=True,
    show_default=True,
    help="Wait until every process has taken it or said why it cannot.",
)
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Check and tell the difference; change nothing."
)


@click.group("config")
def command() -> None:
    """The configuration that runs, and another in its place."""


@command.command("get")
@click.option(
    "--view",
    type=click.Choice(VIEWS),
    default="effective",
    show_default=True,
    help="The newest generation with all defaults, what stands in the node's file, or what its process runs.",
)
@click.option("--sources", is_flag=True, help="A line for each value, with where it comes from.")
@click.pass_obj
def get_config(connection: Connection, view: str, sources: bool) -> None:
    """Show the configuration, secrets redacted."""
    if sources and view == "file":
        raise click.UsageError("--sources is for what runs: in the file's view the file says everything")
    with connection.channel() as channel:
        request = pb.GetConfigRequest(view=config_pb2.ConfigView.Value(f"CONFIG_VIEW_{view.upper()}"))
        answer = connection.call(pb_grpc.ConfigServiceStub(channel).GetConfig, request)
    if connection.wrote(answer):
        return
    if answer.generation:
        say(f"generation {answer.generation} by {answer.author} at {when(answer.create_time)}")
    say(f"the file is what the generation was made from: {yes_no(answer.file_matches)}")
    if sources:
        print_sources(answer.config, answer.sources)
    else:
        _print_document(answer.config)


@command.command("validate")
@click.argument("file", type=click.File("rb"))
@click.pass_obj
def validate_config(connection: Connection, file: BinaryIO) -> None:
    """Check a configuration file on the server without applying it; `-` reads standard input.

    Exit status 2 when it has problems.
    """
    raw = _text_of(file)
    with connection.channel() as channel:
        stub = pb_grpc.ConfigServiceStub(channel)
        answer = connection.call(stub.ValidateConfig, pb.ValidateConfigRequest(raw=raw))
    if not connection.wrote(answer):
        for problem in answer.problems:
            where = f"{file.name}:{problem.line}" if problem.line else file.name
            click.echo(printable(f"{where}: {problem.path}: {problem.message}"))
        if not answer.problems:
            click.echo("ok", err=True)
    if answer.problems:
        raise click.exceptions.Exit(ExitStatus.USAGE)


@command.command("diff")
@click.option("--from", "old", type=click.IntRange(1), help="Generation to start from (default: the newest).")
@click.option("--to", "new", type=click.IntRange(1), help="Generation to compare (default: the node's file).")
@click.argument("file", type=click.File("rb"), required=False, metavar="[FILE]")
@click.pass_obj
def diff_config(connection: Connection, old: int | None, new: int | None, file: BinaryIO | None) -> None:
    """Show what the node's file, a FILE here or a generation says otherwise than another generation.

    `-` reads standard input; a FILE asks for an admin.
    """
    if file is not None and new is not None:
        raise click.UsageError("FILE and --to exclude each other")
    with connection.channel() as channel:
        raw = "" if file is None else _text_of(file)
        request = pb.DiffConfigRequest(from_generation=old or 0, to_generation=new or 0, raw=raw)
        answer = connection.call(pb_grpc.ConfigServiceStub(channel).DiffConfig, request)
    if connection.wrote(answer):
        return
    print_changes(answer.changes)
    if not answer.changes:
        say("no difference")


@command.command("reload")
@dry_run_option
@wait_option
@click.pass_obj
def reload_config(connection: Connection, dry_run: bool, wait: bool) -> None:
    """Make the node's configuration file the next generation, live.

    A file with problems is refused with their lines (exit status 2), and nothing changes. Exit status 3 when a process
    could not take the generation or has not said so yet.
    """
    with connection.channel() as channel:
        request = pb.ReloadConfigRequest(validate_only=dry_run, wait=wait)
        stub = pb_grpc.ConfigServiceStub(channel)
        answer = connection.call(stub.ReloadConfig, request, timeout_s=_wait_s(connection))
    _tell(connection, answer, dry_run=dry_run, wait=wait)


@command.command("apply")
@click.argument("file", type=click.File("rb"))
@click.option("--base", type=click.IntRange(1), help="Refuse if another generation than this is in force.")
@click.option("--comment", default="", help="Why, for the history: one line.")
@dry_run_option
@wait_option
@click.pass_obj
def apply_config(
    connection: Connection, file: BinaryIO, base: int | None, comment: str, dry_run: bool, wait: bool
) -> None:
    """Make a configuration FILE of this machine the next generation, live; `-` reads standard input.

    A whole file, or one without the settings of a node; what it leaves out has its default. The nodes' own files stay
    as they are. One with problems is refused with their lines (exit status 2), and nothing changes. Exit status 3 when
    a process could not take the generation or has not said so yet.
    """
    request = pb.ApplyConfigRequest(
        raw=_text_of(file),
        base_generation=base or 0,
        comment=comment,
        validate_only=dry_run,
        wait=wait,
    )
    with connection.channel() as channel:
        stub = pb_grpc.ConfigServiceStub(channel)
        answer = connection.call(stub.ApplyConfig, request, timeout_s=_wait_s(connection))
    _tell(connection, answer, dry_run=dry_run, wait=wait)


@command.command("rollback")
@click.argument("generation", type=click.IntRange(1))
@dry_run_option
@wait_option
@yes_option
@click.pass_obj
def roll_back_config(connection: Connection, generation: int, dry_run: bool, wait: bool, yes: bool) -> None:
    """Make what an earlier GENERATION said the next generation, live. The file stays as it is.

    Exit status 3 when a process could not take it or has not said so yet.
    """
    with connection.channel() as channel:
        method = pb_grpc.ConfigServiceStub(channel).RollbackConfig
        looked = connection.call(method, pb.RollbackConfigRequest(generation=generation, validate_only=True))
        if dry_run:
            _tell(connection, looked, dry_run=True, wait=False)
            return
        if looked.changes:
            confirm(str(generation), change_lines(looked.changes), yes=yes)
        request = pb.RollbackConfigRequest(generation=generation, wait=wait)
        answer = connection.call(method, request, timeout_s=_wait_s(connection))
    _tell(connection, answer, dry_run=False, wait=wait)


@command.command("history")
@click.pass_obj
def list_generations(connection: Connection) -> None:
    """List generations, the newest first, with who made them and what they changed."""
    with connection.channel() as channel:
        method = pb_grpc.ConfigServiceStub(channel).ListConfigGenerations
        show_list(connection, method, pb.ListConfigGenerationsRequest(), COLUMNS)


@command.command("show")
@click.argument("generation", type=click.IntRange(1))
@click.option("--document", is_flag=True, help="Show all that it says, secrets redacted.")
@click.pass_obj
def show_generation(connection: Connection, generation: int, document: bool) -> None:
    """Show what one GENERATION changed."""
    with connection.channel() as channel:
        request = pb.GetConfigGenerationRequest(name=f"configGenerations/{generation}")
        answer = connection.call(pb_grpc.ConfigServiceStub(channel).GetConfigGeneration, request)
    if connection.wrote(answer):
        return
    told = answer.generation
    said = f": {printable(told.comment)}" if told.comment else ""
    say(f"generation {told.generation} by {told.author} at {when(told.create_time)}{said}")
    if document:
        _print_document(answer.config)
    else:
        print_changes(answer.changes)


@command.command("watch")
@click.pass_obj
def watch_config(connection: Connection) -> None:
    """Tell which process runs which generation, now and whenever that changes."""
    from adminctl.messages import write_line

    with connection.channel() as channel:
        method: Any = pb_grpc.ConfigServiceStub(channel).WatchConfig
        for answer in connection.stream(method, pb.WatchConfigRequest()):
            if connection.format.is_for_people:
                say(f"generation {answer.generation}")
                print_processes(answer.processes)
            else:
                write_line(answer)


def _tell(connection: Connection, answer: Any, *, dry_run: bool, wait: bool) -> None:
    """What became of a reload, an application or a roll-back, and the exit status that says so."""
    if not connection.wrote(answer):
        print_changes(answer.changes)
        for warning in answer.warnings:
            say(f"warning: {warning}")
        if dry_run:
            say("nothing was changed" if answer.changes else "there is nothing to change")
        else:
            say(
                f"generation {answer.generation} is in force"
                if answer.committed
                else f"nothing to change: generation {answer.generation} says so already"
            )
            if answer.committed or not all_have_applied(answer.processes):
                print_processes(answer.processes)
    if wait and not dry_run and not all_have_applied(answer.processes):
        say("error: not every process runs it")
        raise click.exceptions.Exit(ExitStatus.PARTIAL)


def _text_of(file: BinaryIO) -> str:
    try:
        return file.read().decode()
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{file.name} is not valid UTF-8 at byte {error.start}") from error


def _wait_s(connection: Connection) -> float:
    return max(WAIT_TIMEOUT_S, connection.timeout_s)


def _summary(generation: config_pb2.ConfigGeneration) -> str:
    more = generation.change_count - len(generation.changed_paths)
    return ", ".join(generation.changed_paths) + (f" and {more} more" if more > 0 else "")


def _print_document(document: Any) -> None:
    from google.protobuf.json_format import MessageToDict

    shown = with_whole_numbers(MessageToDict(document))
    click.echo(json.dumps(shown, indent=2, ensure_ascii=False, sort_keys=True))
