"""Every command fits a terminal and takes the options of all; together they reach the whole API."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from adminctl.main import cli
from adminctl.methods import all_methods

SOURCES = Path(__file__).parents[3] / "adminctl"
COLUMNS = 80


def commands(group: click.Group, line: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{line} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{line} {name}")


ALL = dict([("adminctl", cli), *commands(cli, "adminctl")])


@pytest.mark.parametrize("line", ALL)
def test_its_help_fits_eighty_columns_and_says_what_it_does(line: str) -> None:
    command = ALL[line]
    context = click.Context(command, info_name=line, terminal_width=COLUMNS)

    shown = command.get_help(context)

    assert max(map(len, shown.splitlines())) <= COLUMNS
    assert command.help
    assert all(each.help for each in command.params if isinstance(each, click.Option))


@pytest.mark.parametrize("line", ALL)
def test_the_options_of_all_may_stand_behind_it(line: str) -> None:
    names = {name for each in ALL[line].params for name in each.opts}

    assert {"-o", "--timeout", "-v"} <= names or line == "adminctl completion"


def test_lists_are_watched() -> None:
    unwatched = [
        line
        for line, command in ALL.items()
        if line.split()[-1] == "list" and not any("--watch" in each.opts for each in command.params)
    ]

    assert unwatched == []


def test_every_method_of_the_api_is_called_by_a_command() -> None:
    text = "\n".join(path.read_text() for path in SOURCES.rglob("*.py"))

    missing = [each.name for each in all_methods() if not re.search(rf"\.{each.descriptor.name}\b", text)]

    assert missing == []
