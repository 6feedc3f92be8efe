"""The file of contexts: deployments by name, each with where it answers and where its token is to be had.

It is a person's own: it may name a command that prints a token, so a file that others may write or read is refused.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adminctl.refusals import Refused

if TYPE_CHECKING:
    from ruamel.yaml import YAML

FILE_BYTES_MAX = 1024 * 1024
OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One deployment; `endpoint` as `--address` takes it. At most one of the tokens' sources is set."""

    endpoint: str
    ca: str = ""
    cert: str = ""
    key: str = ""
    token_file: str = ""
    token_command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contexts:
    """The file as it was read; `current` is the one that is used when nothing else is said, empty when none is."""

    path: Path
    current: str = ""
    by_name: Mapping[str, Context] = field(default_factory=dict)

    def get(self, name: str) -> Context:
        """Raises Refused for one that is not there."""
        if name not in self.by_name:
            known = ", ".join(sorted(self.by_name)) or "none"
            raise Refused(f"there is no context {name!r} in {self.path}; it has {known}")
        return self.by_name[name]

    def with_context(self, name: str, context: Context) -> Contexts:
        return replace(self, by_name={**self.by_name, name: context})

    def without_context(self, name: str) -> Contexts:
        self.get(name)
        rest = {each: context for each, context in self.by_name.items() if each != name}
        return replace(self, by_name=rest, current="" if self.current == name else self.current)

    def using(self, name: str) -> Contexts:
        self.get(name)
        return replace(self, current=name)


def contexts_path(environ: Mapping[str, str]) -> Path:
    """`penstock/config.yaml` in the person's folder of configurations."""
    home = Path(environ.get("HOME") or "~").expanduser()
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "penstock" / "config.yaml"


def read_contexts(path: Path) -> Contexts:
    """None at all where there is no file. Raises Refused for a file that others may read, or that says anything odd."""
    try:
        with path.open("rb") as file:
            refuse_open_to_others(path, file.fileno())
            data = file.read(FILE_BYTES_MAX + 1)
    except (FileNotFoundError, NotADirectoryError):
        return Contexts(path=path)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error
    if len(data) > FILE_BYTES_MAX:
        raise Refused(f"{path} is larger than {FILE_BYTES_MAX} bytes")
    return _read_document(path, _load(path, data))


def write_contexts(contexts: Contexts) -> None:
    """Replace the file, readable by its owner alone. Raises Refused."""
    path = contexts.path
    document = {
        "current-context": contexts.current,
        "contexts": {
            name: {each.name: value for each in fields(Context) if (value := getattr(context, each.name))}
            for name, context in sorted(contexts.by_name.items())
        },
    }
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            _yaml().dump(document, file)
            file.flush()
            os.fsync(fd)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise Refused(f"{path}: {error.strerror}") from error


def refuse_open_to_others(path: Path, fd: int) -> None:
    """Raises Refused unless the file is this person's (or root's) and nobody else may do anything with it."""
    facts = os.fstat(fd)
    if facts.st_uid not in (os.geteuid(), 0):
        raise Refused(f"{path} belongs to another user")
    if facts.st_mode & OTHERS:
        raise Refused(f"{path} may be used by others: chmod 600 {path}")


def _yaml() -> YAML:
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    return yaml


def _load(path: Path, data: bytes) -> Any:
    from ruamel.yaml.error import YAMLError

    try:
        return _yaml().load(data.decode("utf-8"))
    except (YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(f"{path} is not readable as YAML: {error}") from error


def _read_document(path: Path, document: Any) -> Contexts:
    if document is None:
        return Contexts(path=path)
    if not isinstance(document, dict) or not document.keys() <= {"current-context", "contexts"}:
        raise Refused(f"{path} says more than `current-context` and `contexts`")
    entries = document.get("contexts") or {}
    if not isinstance(entries, dict):
        raise Refused(f"{path}: `contexts` is no mapping")
    by_name = {str(name): _read_context(f"{path}: context {name}", each) for name, each in entries.items()}
    contexts = Contexts(path=path, by_name=by_name)
    current = document.get("current-context") or ""
    return contexts.using(str(current)) if current else contexts


def _read_context(where: str, entry: Any) -> Context:
    known = [each.name for each in fields(Context)]
    if not isinstance(entry, dict):
        raise Refused(f"{where} is no mapping")
    for key, value in entry.items():
        if key not in known:
            raise Refused(f"{where}: {key!r} is none of {', '.join(known)}")
        if not isinstance(value, str):
            raise Refused(f"{where}: {key} is no text")
    return checked(where, Context(**{"endpoint": "", **entry}))


def checked(where: str, context: Context) -> Context:
    """The same; raises Refused when what it says cannot go together."""
    if not context.endpoint:
        raise Refused(f"{where} has no endpoint")
    if context.token_file and context.token_command:
        raise Refused(f"{where} has both token_file and token_command")
    if bool(context.cert) != bool(context.key):
        raise Refused(f"{where}: cert and key go together")
    return context
