"""Notification rules of buckets: which events of which keys go to which target, and the form rules are kept in."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from functools import lru_cache

RULE_COUNT_MAX = 100
RULE_ID_LENGTH_MAX = 255
FILTER_LENGTH_MAX = 1024
ARN_PREFIX = "arn:penstock:notify:::"
"""What stands before a target's name where S3's documents name destinations."""

TARGET_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class EventType(Enum):
    """What happens to objects and is told. A test sees each of them sent."""

    PUT = "s3:ObjectCreated:Put"
    POST = "s3:ObjectCreated:Post"
    COPY = "s3:ObjectCreated:Copy"
    COMPLETE = "s3:ObjectCreated:CompleteMultipartUpload"
    DELETE = "s3:ObjectRemoved:Delete"
    MARKER = "s3:ObjectRemoved:DeleteMarkerCreated"
    TAGS_PUT = "s3:ObjectTagging:Put"
    TAGS_DELETED = "s3:ObjectTagging:Delete"


class Destination(Enum):
    """The element a rule stood in. Here all of them mean a target; the document that is read back is the one put."""

    TOPIC = "topic"
    QUEUE = "queue"
    FUNCTION = "function"


TEST_EVENT = "s3:TestEvent"
"""Sent to every target of a document that is set, so that its owner sees whether it arrives."""

_SELECTORS = frozenset(
    {each.value for each in EventType} | {each.value.rpartition(":")[0] + ":*" for each in EventType}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationRule:
    """Events it tells of, as S3 names them, with `*` for all of a kind. Null prefix or suffix: no filter."""

    rule_id: str
    destination: Destination
    target: str
    events: tuple[str, ...]
    prefix: str | None = None
    suffix: str | None = None

    def matches(self, event: EventType, key: bytes) -> bool:
        """Whether the rule tells of this event of that key."""
        if not any(_selects(each, event) for each in self.events):
            return False
        return key.startswith((self.prefix or "").encode()) and key.endswith((self.suffix or "").encode())


def is_selector(text: str) -> bool:
    """Whether a rule may name this: an event that is sent, or all of a kind of them."""
    return text in _SELECTORS


def write_rules(rules: Sequence[NotificationRule]) -> str:
    """The canonical form: JSON records in the rules' order."""
    told = [{**asdict(rule), "destination": rule.destination.value} for rule in rules]
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)


@lru_cache(maxsize=256)
def parse_rules(document: str) -> tuple[NotificationRule, ...]:
    """Out of the canonical form; remembered, for it is asked with every write to a bucket that has rules."""
    return tuple(
        NotificationRule(
            rule_id=told["rule_id"],
            destination=Destination(told["destination"]),
            target=told["target"],
            events=tuple(told["events"]),
            prefix=told["prefix"],
            suffix=told["suffix"],
        )
        for told in json.loads(document)
    )


def matching(rules: Sequence[NotificationRule], event: EventType, key: bytes) -> Iterator[NotificationRule]:
    """The rules that tell of an event, in their order."""
    return (rule for rule in rules if rule.matches(event, key))


def _selects(selector: str, event: EventType) -> bool:
    if selector.endswith("*"):
        return event.value.startswith(selector[:-1])
    return selector == event.value
