"""What one state of the configuration says otherwise than another, and when each change counts."""

import base64
import hashlib
import hmac
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from engine.errors import KeyUnavailable, SealBroken
from engine.settings.documents import live_to_document
from engine.settings.live import LiveSettings
from engine.settings.node import NodeSettings
from engine.settings.secret import SEALED

HIDDEN = "***"
SECRET_KEYS = frozenset({"secret_access_key", "password", "sha256", "key", "material", SEALED})
"""Keys whose values are never shown, references to them included."""

NAMED = frozenset({"backends", "identities", "admin_tokens", "buckets"})
"""Sections that are lists of things with names, which stay the same things in another order."""

_ORDERED = "backends"
"""The one of these whose order says something: `routing: pack` fills backends in it."""

_OF_PROCESSES = frozenset({"listen.domains", "processes.threads_short", "processes.threads_streaming"})


class Effect(Enum):
    """When a change counts: at once, when processes are started again, or when `penstock serve` is."""

    LIVE = "live"
    PROCESS_RESTART = "process restart"
    NODE_RESTART = "node restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One value that is another one. `path` names list members by name, as in `backends[near].quota_bytes`.

    `old` and `new` are JSON values, secrets hidden; null where there is none.
    """

    path: str
    old: Any
    new: Any
    effect: Effect


class Marks:
    """Secrets as marks by which they can be compared: equal for equal secrets, and worth nothing to anybody."""

    def __init__(self) -> None:
        self._key = os.urandom(32)

    def mark(self, secret: bytes, /) -> bytes:
        return hmac.digest(self._key, secret, hashlib.sha256)

    def of_live(self, live: LiveSettings) -> dict[str, Any]:
        """Settings as a document with marks."""
        return live_to_document(live, self.mark)

    def of_document(self, document: Any, open_sealed: Callable[[bytes], bytes]) -> Any:
        """A generation's document with marks for what it has sealed; what cannot be opened any more equals nothing."""
        if isinstance(document, Mapping):
            if set(document) == {SEALED}:
                try:
                    opened = open_sealed(base64.b64decode(document[SEALED], validate=True))
                except (SealBroken, KeyUnavailable):
                    return dict(document)
                return {SEALED: base64.b64encode(self.mark(opened)).decode()}
            return {key: self.of_document(value, open_sealed) for key, value in document.items()}
        if isinstance(document, list):
            return [self.of_document(each, open_sealed) for each in document]
        return document

    def of_node(self, node: NodeSettings) -> dict[str, Any]:
        """Settings of a node, likewise."""
        dumped: dict[str, Any] = node.model_dump(
            mode="json", by_alias=True, exclude_none=True, context={"seal": self.mark}
        )
        return dumped


def live_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """What differs between two documents of live settings that one `Marks` has marked."""
    return [_change(path, was, now, Effect.LIVE) for path, was, now in _differing("", old, new)]


def node_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """The same for the settings of a node, none of which counts at once."""
    return [
        _change(path, was, now, Effect.PROCESS_RESTART if path in _OF_PROCESSES else Effect.NODE_RESTART)
        for path, was, now in _differing("", old, new)
    ]


def redacted(value: Any) -> Any:
    """A document, or a part of one, without anything that could be a secret."""
    if isinstance(value, Mapping):
        return {key: HIDDEN if key in SECRET_KEYS else redacted(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(each) for each in value]
    return value


def _change(path: str, old: Any, new: Any, effect: Effect) -> Change:
    is_secret = path.rpartition(".")[2] in SECRET_KEYS
    shown = [None if each is None else HIDDEN if is_secret else redacted(each) for each in (old, new)]
    return Change(path=path, old=shown[0], new=shown[1], effect=effect)


def _differing(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if old == new:
        return
    if path in NAMED and _are_named(old) and _are_named(new):
        yield from _differing_by_name(path, old or (), new or ())
    elif isinstance(old, Mapping) and isinstance(new, Mapping) and set(old) != {SEALED} != set(new):
        for key in sorted({*old, *new}):
            yield from _differing(f"{path}.{key}" if path else key, old.get(key), new.get(key))
    else:
        yield path, old, new


def _are_named(value: Any) -> bool:
    return value is None or all(isinstance(each, Mapping) and "name" in each for each in value)


def _differing_by_name(
    path: str, old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, Any, Any]]:
    were, are = ({str(each["name"]): each for each in side} for side in (old, new))
    for name in sorted({*were, *are}):
        member = f"{path}[{name}]"
        if name in were and name in are:
            yield from _differing(member, were[name], are[name])
        else:
            yield member, were.get(name), are.get(name)
    if path == _ORDERED and [name for name in were if name in are] != [name for name in are if name in were]:
        yield path, list(were), list(are)
