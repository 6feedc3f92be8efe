"""Reading request fields: a checked value, or a `MalformedField` that names the field."""

import base64
import binascii
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.field_mask_pb2 import FieldMask

from engine.errors import MalformedField

T = TypeVar("T")

PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 1000


def read_name(field: str, name: str, collection: str) -> str:
    """`backends/near` -> `near`."""
    head, _, leaf = name.partition("/")
    if head != collection or not leaf or "/" in leaf or len(leaf) > 255 or not leaf.isprintable():
        raise MalformedField(field, f"expected `{collection}/{{id}}`, got {name[:80]!r}")
    return leaf


def read_id(field: str, name: str, collection: str) -> bytes:
    """`instances/{32 hex digits}` -> 16 bytes."""
    leaf = read_name(field, name, collection)
    try:
        value = bytes.fromhex(leaf)
    except ValueError:
        value = b""
    if len(value) != 16:
        raise MalformedField(field, f"expected `{collection}/` and 32 hex digits, got {name[:80]!r}")
    return value


def read_page_size(page_size: int) -> int:
    if page_size < 0:
        raise MalformedField("page_size", "a page size is not negative")
    return min(page_size or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)


def read_page_token(page_token: str) -> str | None:
    """The keyset position a token stands for; null for the first page."""
    if not page_token:
        return None
    try:
        return base64.b64decode(page_token.encode("ascii"), altchars=b"-_", validate=True).decode("utf-8")
    except (UnicodeError, binascii.Error, ValueError) as error:
        raise MalformedField("page_token", "not a token of this server") from error


def write_page_token(position: str | None) -> str:
    return "" if position is None else base64.urlsafe_b64encode(position.encode("utf-8")).decode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The page asked for of a list that is short enough to be read whole, ordered by name."""

    size: int
    after: str | None

    def of(self, items: Sequence[T], name_of: Callable[[T], str]) -> tuple[Sequence[T], str | None]:
        """The page's items, and the position behind them; null at the end."""
        rest = [item for item in items if self.after is None or name_of(item) > self.after]
        shown = rest[: self.size]
        return shown, name_of(shown[-1]) if len(rest) > len(shown) else None


def read_page(page_size: int, position: str | None) -> Page:
    return Page(size=read_page_size(page_size), after=position)


def read_mask(field: str, mask: FieldMask, allowed: Collection[str]) -> frozenset[str]:
    """The paths of a mask that must name something, and nothing but what may be changed."""
    if not mask.paths:
        raise MalformedField(field, f"name what to change: {', '.join(sorted(allowed))}")
    for path in mask.paths:
        if path not in allowed:
            raise MalformedField(
                field, f"{path[:80]!r} cannot be changed; what can is {', '.join(sorted(allowed))}"
            )
    return frozenset(mask.paths)
