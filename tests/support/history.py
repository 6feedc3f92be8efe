"""What clients asked of single keys, when, and what they were told: the evidence that a checker of order judges."""

import enum
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

Value = str | None
"""The state of a key: what names its object, different for every write; null: there is none."""


class Kind(enum.Enum):
    """What was asked."""

    GET = "get"
    PUT = "put"
    COMPLETE = "complete"
    DELETE = "delete"
    PUT_IF_ABSENT = "put-if-absent"
    PUT_IF_MATCH = "put-if-match"


class Outcome(enum.Enum):
    """What the client knows afterwards."""

    DONE = "done"
    """It took effect; a GET saw `value`, which may be that there is no object."""
    REFUSED = "refused"
    """The condition did not hold: there was an object (if absent), or another one (if match)."""
    MISSING = "missing"
    """An if-match found no object."""
    NOTHING = "nothing"
    """It had no effect, and its refusal says nothing about the key."""
    UNKNOWN = "unknown"
    """It may take effect at any time after it began, also much later, or never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One request about one key, with the span in which it must have taken effect."""

    client: str
    kind: Kind
    value: Value
    """What it writes or, for a GET, saw; null for a DELETE."""
    outcome: Outcome
    began_ns: int
    ended_ns: int
    """When the answer was whole, or the client gave up. All times are of one monotonic clock."""
    expected: Value = None
    """What an if-match names."""
    is_degraded: bool = False
    """A GET answered without the database: it only promises a state that once was."""

    @property
    def is_write(self) -> bool:
        return self.kind is not Kind.GET

    def __str__(self) -> str:
        said = f"{self.kind.value}"
        if self.kind is Kind.PUT_IF_MATCH:
            said += f"[{short(self.expected)}]"
        if self.kind is not Kind.DELETE:
            said += f" {short(self.value)}"
        said += f" {self.outcome.value}" + (" (degraded)" if self.is_degraded else "")
        return f"{self.client}: {said}"


def short(value: Value) -> str:
    """A value for people."""
    return "absent" if value is None else value[:12]


def save(path: Path, histories: dict[str, list[Operation]]) -> None:
    """Keep histories as JSON lines, so that a failure can be judged again."""
    with path.open("w") as lines:
        for key, operations in histories.items():
            for operation in operations:
                facts = asdict(operation) | {
                    "key": key,
                    "kind": operation.kind.value,
                    "outcome": operation.outcome.value,
                }
                lines.write(json.dumps(facts) + "\n")


def load(path: Path) -> dict[str, list[Operation]]:
    """What `save` kept."""
    histories: dict[str, list[Operation]] = {}
    for line in path.read_text().splitlines():
        facts = json.loads(line)
        key = facts.pop("key")
        facts |= {"kind": Kind(facts["kind"]), "outcome": Outcome(facts["outcome"])}
        histories.setdefault(key, []).append(Operation(**facts))
    return histories


def count_outcomes(operations: Iterable[Operation]) -> dict[str, int]:
    """How often each kind of operation ended in each way, for reports."""
    counts: dict[str, int] = {}
    for each in operations:
        name = f"{each.kind.value} {each.outcome.value}" + (" degraded" if each.is_degraded else "")
        counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))
