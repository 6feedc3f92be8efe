"""Lists of resources: fetched page by page, shown as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from adminctl.output import Table

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from adminctl.client import Connection

PAGE_SIZE = 200
"""Items of a page: few enough that a page of large ones fits into a message."""

Answer = TypeVar("Answer", bound="Message")
Columns = Mapping[str, Callable[[Any], str]]
"""Headings, each with what it shows of an item."""


def show_list(
    connection: Connection,
    method: Callable[..., Answer],
    request: Message,
    columns: Columns,
    *,
    wide: Columns | None = None,
) -> None:
    """All items of a List method; `wide` are the columns that `-o wide` adds."""
    from adminctl.messages import items_of, write_pages

    pages = all_pages(connection, method, request)
    if not connection.format.is_for_people:
        write_pages(pages, connection.format, has_headings=connection.flags.has_headings)
        return
    shown = {**columns, **(wide or {})} if connection.format.name == "wide" else columns
    table = Table(list(shown), has_headings=connection.flags.has_headings)
    is_empty = True
    for page in pages:
        kind = items_of(page)
        assert kind is not None, "a list has items"
        rows = [[text(item) for text in shown.values()] for item in getattr(page, kind.name)]
        if rows or is_empty:
            table.add(rows)
        is_empty = is_empty and not rows
    if is_empty:
        click.echo("(none)", err=True)


def all_pages(connection: Connection, method: Callable[..., Answer], request: Message) -> Iterator[Answer]:
    """Every page of a List method, one after the other; `request` is used for all of them."""
    asked: Any = request
    asked.page_size = asked.page_size or PAGE_SIZE
    while True:
        page: Any = connection.call(method, request)
        yield page
        asked.page_token = page.next_page_token
        if not asked.page_token:
            return
