"""Before something is destroyed: what would happen is shown, and whoever wants it types its name."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from adminctl.exit_status import ExitStatus
from adminctl.output import printable

Command = TypeVar("Command", bound=Callable[..., Any])


def yes_option(command: Command) -> Command:
    """`--yes`, as the parameter `yes`."""
    return click.option("--yes", is_flag=True, help="Do it without asking.")(command)


def confirm(name: str, plan: Sequence[str], *, yes: bool) -> None:
    """Show the lines of the plan on stderr, and return once `name` was typed, or at once with `yes`.

    Another answer ends the command with CANCELLED; without a terminal to ask on, and without `yes`, it ends with USAGE.
    """
    for line in plan:
        click.echo(printable(line), err=True)
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        click.echo("error: nobody can be asked here: give --yes to do it", err=True)
        raise click.exceptions.Exit(ExitStatus.USAGE)
    click.echo(f"Type {printable(name)} to do it: ", nl=False, err=True)
    if sys.stdin.readline().strip() != name:
        click.echo("error: not confirmed; nothing was done", err=True)
        raise click.exceptions.Exit(ExitStatus.CANCELLED)
