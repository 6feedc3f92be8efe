"""A request as the audit may keep it: what it asked for, without secrets and not at any length."""

import json
from collections.abc import Iterable
from itertools import islice
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

HIDDEN = "***"
TEXT_CHARS_MAX = 256
ITEM_COUNT_MAX = 20
DEPTH_MAX = 8
DETAIL_CHARS_MAX = 8192

_SECRET_WORDS = ("secret", "password", "passphrase", "material", "private", "token", "authorization")
_WHOLE_FILES = frozenset({"raw"})
"""Texts of configurations, which may hold secrets anywhere."""

_PLAIN = frozenset({"page_token", "resume_token", "next_page_token"})
_HARMLESS_TYPES = frozenset({FieldDescriptor.TYPE_BOOL, FieldDescriptor.TYPE_ENUM})


def redacted(request: Message) -> str:
    """The fields that were set, as JSON; secrets are hidden, and what is long is cut."""
    text = json.dumps(_shown(request, 0), ensure_ascii=False, separators=(",", ":"))
    if len(text) <= DETAIL_CHARS_MAX:
        return text
    return json.dumps({"cut": text[:DETAIL_CHARS_MAX]}, ensure_ascii=False, separators=(",", ":"))


def is_secret(field: FieldDescriptor) -> bool:
    """Whether a field says so itself (`debug_redact`), or has a name that says so."""
    if field.GetOptions().debug_redact:
        return True
    if field.name in _PLAIN or field.type in _HARMLESS_TYPES or field.message_type is not None:
        return False
    return field.name in _WHOLE_FILES or any(word in field.name for word in _SECRET_WORDS)


def _shown(message: Message, depth: int) -> dict[str, Any]:
    if depth >= DEPTH_MAX:
        return {"cut": "…"}
    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        if is_secret(field):
            found[field.name] = HIDDEN
        elif field.message_type is not None and field.message_type.GetOptions().map_entry:
            found[field.name] = {
                str(key)[:TEXT_CHARS_MAX]: _one(field.message_type.fields_by_name["value"], each, depth)
                for key, each in islice(value.items(), ITEM_COUNT_MAX)
            }
        elif field.is_repeated:
            found[field.name] = _cut_list(_one(field, each, depth) for each in value)
        else:
            found[field.name] = _one(field, value, depth)
    return found


def _one(field: FieldDescriptor, value: Any, depth: int) -> Any:
    if isinstance(value, Message):
        return _shown(value, depth + 1)
    if field.enum_type is not None:
        named = field.enum_type.values_by_number.get(value)
        return value if named is None else named.name
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, str) and len(value) > TEXT_CHARS_MAX:
        return f"{value[:TEXT_CHARS_MAX]}… ({len(value)} characters)"
    return value


def _cut_list(values: Iterable[Any]) -> list[Any]:
    shown: list[Any] = []
    for value in values:
        if len(shown) == ITEM_COUNT_MAX:
            shown.append("…")
            break
        shown.append(value)
    return shown
