"""The nouns of `adminctl`, imported only when they are used, each with the options that every command line may have."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from adminctl.completing import complete_names
from adminctl.global_options import add_global_options
from adminctl.watching import make_watchable, may_watch

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Nouns(click.Group):
    """`nouns` says in which module each one's `command` is, and what it is about: help imports none of them.

    `aliases` are shorter words for some, which help does not show.
    """

    def __init__(
        self,
        *,
        nouns: Mapping[str, tuple[str, str]],
        aliases: Mapping[str, str] = MappingProxyType({}),
        **attributes: Any,
    ) -> None:
        super().__init__(**attributes)
        self._nouns = nouns
        self._aliases = aliases

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._nouns)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        cmd_name = self._aliases.get(cmd_name, cmd_name)
        if cmd_name not in self._nouns:
            return None
        command = importlib.import_module(self._nouns[cmd_name][0]).command
        assert isinstance(command, click.Command)
        _dress(command, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, told) for name, (_, told) in self._nouns.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        nouns = [
            CompletionItem(name, help=told)
            for name, (_, told) in self._nouns.items()
            if name.startswith(incomplete)
        ]
        return [*nouns, *click.Command.shell_complete(self, ctx, incomplete)]


_DRESSED = "adminctl_is_dressed"


def _dress(command: click.Command, noun: str) -> None:
    """Give a noun and its verbs the options of every command line, once."""
    if getattr(command, _DRESSED, False):
        return
    setattr(command, _DRESSED, True)
    if isinstance(command, click.Group):
        for verb in command.commands.values():
            _dress(verb, noun)
    elif may_watch(command):
        make_watchable(command)
    complete_names(command, noun)
    add_global_options(command)
