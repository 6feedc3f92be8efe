"""Reads YAML text as plain values, each with the line it stands on; what a configuration has no use for is refused."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from engine.errors import ConfigProblem, InvalidConfig

SOURCE_BYTES_MAX = 256 * 1024
"""Parsing this much takes about a second, and anybody who may validate a configuration may send it."""

DEPTH_MAX = 16

Path = tuple[str | int, ...]
"""Where a value stands: keys and list indexes from the top."""

_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = frozenset({f"{_TAG}str", f"{_TAG}timestamp"})
_PLAIN_TAGS = frozenset({f"{_TAG}{name}" for name in ("str", "timestamp", "int", "float", "bool", "null")})


def path_text(path: Path) -> str:
    """`backends[0].path` for ("backends", 0, "path"); `file` for the whole."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A document as plain values (mappings, tuples, scalars) and the lines they stand on, counted from 1."""

    value: Mapping[str, Any]
    lines: Mapping[Path, int]

    def problem(self, path: Path, message: str) -> ConfigProblem:
        """A problem of the value at `path`, or of the nearest one around it that the document has."""
        at = path
        while at not in self.lines and at:
            at = at[:-1]
        return ConfigProblem(path=path_text(path), line=self.lines.get(at), message=message)


def with_lines(problems: Iterable[ConfigProblem], raw: bytes) -> tuple[ConfigProblem, ...]:
    """Problems found later in what a text says, with the lines of the text they are about."""
    try:
        source = read_source(raw)
    except InvalidConfig:
        return tuple(problems)
    places = {path_text(path): path for path in source.lines}
    found = []
    for problem in problems:
        text = problem.path
        while text and text not in places:
            text = text[: max(text.rfind("."), text.rfind("["), 0)]
        found.append(
            ConfigProblem(
                path=problem.path,
                line=problem.line or source.lines.get(places.get(text, ())),
                message=problem.message,
            )
        )
    return tuple(found)


def read_source(raw: bytes) -> Source:
    """Parse one YAML 1.2 document whose top is a mapping.

    Refused, all with their lines: duplicate keys, tags (`!!python/object` among them), anchors, aliases and merge keys,
    keys that are no text, more than one document, depth above 16, more than 256 KiB. Raises InvalidConfig.
    """
    if len(raw) > SOURCE_BYTES_MAX:
        raise _refused(None, f"the file has {len(raw)} bytes, at most {SOURCE_BYTES_MAX} are read")
    reader = _Reader()
    try:
        text = raw.decode("utf-8")
        _refuse_depth(text)
        node = YAML(typ="rt", pure=True).compose(text)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise _refused(line, "the file is not valid UTF-8") from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _refused(
            None if mark is None else mark.line + 1, f"not YAML: {error.problem or error.context}"
        ) from error
    except YAMLError as error:
        # Some of them have several lines, the first of which says it.
        raise _refused(None, f"not YAML: {str(error).splitlines()[0]}") from error
    value = {} if node is None else reader.read(node, ())
    if not reader.problems and not isinstance(value, dict):
        reader.refuse(node, (), "the file is a mapping of sections such as `backends:`")
    if reader.problems:
        raise InvalidConfig(problems=tuple(reader.problems))
    return Source(value=value, lines=reader.lines)


def _refuse_depth(text: str) -> None:
    """Look at depth before nodes are made: making them recurses."""
    depth = 0
    for event in YAML(typ="rt", pure=True).parse(text):
        if isinstance(event, CollectionStartEvent):
            depth += 1
        elif isinstance(event, CollectionEndEvent):
            depth -= 1
        if depth > DEPTH_MAX:
            raise _refused(event.start_mark.line + 1, f"nested deeper than {DEPTH_MAX} levels")


@dataclass(slots=True)
class _Reader:
    problems: list[ConfigProblem] = field(default_factory=list)
    lines: dict[Path, int] = field(default_factory=dict)

    def refuse(self, node: Node, path: Path, message: str) -> None:
        line = node.start_mark.line + 1
        self.problems.append(ConfigProblem(path=path_text(path), line=line, message=message))

    def read(self, node: Node, path: Path) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if node.anchor is not None:
            # Also what keeps a document from unfolding to far more than its bytes.
            self.refuse(node, path, "anchors and aliases are not accepted")
            return None
        if isinstance(node, MappingNode) and node.tag == f"{_TAG}map":
            return dict(self._entries(node, path))
        if isinstance(node, SequenceNode) and node.tag == f"{_TAG}seq":
            return tuple(self.read(each, (*path, index)) for index, each in enumerate(node.value))
        if isinstance(node, ScalarNode) and node.tag in _PLAIN_TAGS:
            return self._scalar(node, path)
        self.refuse(node, path, f"the tag {str(node.tag).replace(_TAG, '!!')} is not accepted")
        return None

    def _entries(self, node: MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        first_lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode) or key_node.tag not in _TEXT_TAGS:
                self.refuse(key_node, path, "a key is plain text (merge keys are not accepted)")
                continue
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in first_lines:
                self.refuse(key_node, (*path, key), f"the key stands already on line {first_lines[key]}")
                continue
            first_lines[key] = line
            self.lines[(*path, key)] = line
            yield key, self.read(value_node, (*path, key))

    def _scalar(self, node: ScalarNode, path: Path) -> Any:
        text = str(node.value)
        if node.tag in _TEXT_TAGS:
            return text
        if node.tag == f"{_TAG}null":
            return None
        if node.tag == f"{_TAG}bool":
            return text.lower() == "true"
        try:
            return float(text) if node.tag == f"{_TAG}float" else int(text)
        except ValueError:
            self.refuse(node, path, f"{text[:40]!r} is no plain decimal number")
            return None


def _refused(line: int | None, message: str) -> InvalidConfig:
    return InvalidConfig(problems=(ConfigProblem(path=path_text(()), line=line, message=message),))
