"""`--watch`: a command that only looks is done again and again, and what has changed is shown."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import click

from adminctl.client import Connection
from adminctl.exit_status import ExitStatus

LOOK_EVERY_S = 1.0
WATCHED = "is_watched"
"""The parameter of the option."""

LOOKING_VERBS = ("list", "get", "status")
"""Verbs, or first words of verbs, of commands that change nothing."""

WHOLE_FORMATS = ("json", "yaml")
"""Formats of which every look is a document of its own; of the others a line says all of a thing."""

_PASSING = (ExitStatus.PARTIAL, ExitStatus.UNAVAILABLE, ExitStatus.DEADLINE)
"""Ends of one look after which the next one may be better."""

_CLEAR = "\x1b[H\x1b[2J"


def may_watch(command: click.Command) -> bool:
    """Whether a command only looks, by its verb."""
    return (command.name or "").split("-")[0] in LOOKING_VERBS


def make_watchable(command: click.Command) -> None:
    """Give a command `-w`, unless it has one of its own."""
    if any({"-w", "--watch"} & {*each.opts} for each in command.params) or command.callback is None:
        return
    command.params.append(
        click.Option(["-w", "--watch", WATCHED], is_flag=True, help="Go on looking, and show what changes.")
    )
    command.callback = _watched(command.callback)


def _watched(look: Callable[..., Any]) -> Callable[..., Any]:
    def callback(*arguments: Any, **options: Any) -> Any:
        if not options.pop(WATCHED):
            return look(*arguments, **options)
        screen = _Screen()
        while True:
            with redirect_stdout(_Page(sys.stdout.isatty())) as page:
                _pass(look, *arguments, **options)
            screen.show(page.getvalue())
            time.sleep(LOOK_EVERY_S)

    return callback


def _pass(look: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    try:
        look(*arguments, **options)
    except click.exceptions.Exit as end:
        if end.exit_code not in _PASSING:
            raise


class _Page(StringIO):
    """Output kept back, laid out as if it went where the page is going to be shown."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


class _Screen:
    """A terminal shows the newest look alone; elsewhere what is new in it is appended."""

    def __init__(self) -> None:
        connection = click.get_current_context().find_object(Connection)
        self._is_whole = connection is not None and connection.format.name in WHOLE_FORMATS
        self._last: str | None = None

    def show(self, text: str) -> None:
        if text == self._last:
            return
        if sys.stdout.isatty():
            sys.stdout.write(f"{_CLEAR}{text}")
        elif self._is_whole:
            is_next_document = self._last is not None and not text.startswith("{")
            sys.stdout.write(f"---\n{text}" if is_next_document else text)
        else:
            known = set((self._last or "").splitlines())
            sys.stdout.writelines(f"{line}\n" for line in text.splitlines() if line not in known)
        self._last = text
        sys.stdout.flush()
