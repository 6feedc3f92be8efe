"""What `-o` may say: a table for people, or one of the formats for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

PEOPLE = ("table", "wide")
PROGRAMS = ("json", "jsonl", "yaml", "name", "csv")
TEMPLATE = "template="


@dataclass(frozen=True, slots=True)
class Format:
    """One of the names above, or `template` with its text."""

    name: str
    template: str = ""

    @property
    def is_for_people(self) -> bool:
        return self.name in PEOPLE


class FormatType(click.ParamType[Format, str | Format]):
    """`table`, ..., `template=TEXT`."""

    name = "format"

    def convert(
        self, value: str | Format, param: click.Parameter | None, ctx: click.Context | None
    ) -> Format:
        if isinstance(value, Format):
            return value
        if value.startswith(TEMPLATE):
            return Format("template", value.removeprefix(TEMPLATE))
        if value not in PEOPLE and value not in PROGRAMS:
            names = ", ".join((*PEOPLE, *PROGRAMS))
            self.fail(f"{value!r} is none of {names} or {TEMPLATE}TEXT", param, ctx)
        return Format(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        names = (*PEOPLE, *PROGRAMS, TEMPLATE)
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]
