"""Notification configurations: the documents that clients put and get.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html
"""

import uuid
from collections.abc import Collection, Sequence

from dataplane.wire.refusals import InvalidArgument, MalformedXml, NotImplementedYet
from dataplane.wire.xml_in import NAMESPACE, Element, parse_document
from dataplane.wire.xml_text import escape
from engine.notifications.rules import (
    ARN_PREFIX,
    FILTER_LENGTH_MAX,
    RULE_COUNT_MAX,
    RULE_ID_LENGTH_MAX,
    Destination,
    NotificationRule,
    is_selector,
)

# The element of a rule by where it sends, and within it the element that names the destination.
_ELEMENTS = {
    Destination.TOPIC: ("TopicConfiguration", "Topic"),
    Destination.QUEUE: ("QueueConfiguration", "Queue"),
    Destination.FUNCTION: ("CloudFunctionConfiguration", "CloudFunction"),
}
_DESTINATIONS = {element: (destination, arn) for destination, (element, arn) in _ELEMENTS.items()}


def read_notifications(raw: bytes, targets: Collection[str]) -> tuple[NotificationRule, ...]:
    """A NotificationConfiguration in the order of its rules; none where it is empty, which switches them off.

    Raises MalformedXml for what is no such document, InvalidArgument for a destination that is not of `targets`, an
    event that is never sent, or a filter that nothing can have, NotImplementedYet for EventBridge.
    """
    root = parse_document(raw, "NotificationConfiguration")
    if root.text.strip():
        raise MalformedXml
    if len(root.children) > RULE_COUNT_MAX:
        raise InvalidArgument(
            f"A bucket has at most {RULE_COUNT_MAX} notification configurations.",
            name="NotificationConfiguration",
            value=str(len(root.children)),
        )
    rules = tuple(_rule(each, targets) for each in root.children)
    ids = [rule.rule_id for rule in rules]
    if len(set(ids)) < len(ids):
        twice = next(each for each in ids if ids.count(each) > 1)
        raise InvalidArgument(
            "Same ID used for multiple configurations. IDs must be unique", name="Id", value=twice
        )
    return rules


def notification_configuration(rules: Sequence[NotificationRule]) -> bytes:
    """The document that answers with rules."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<NotificationConfiguration xmlns="{NAMESPACE}">{"".join(map(_element, rules))}</NotificationConfiguration>'
    ).encode()


def _rule(element: Element, targets: Collection[str]) -> NotificationRule:
    if element.name == "EventBridgeConfiguration":
        raise NotImplementedYet("NotificationConfiguration with EventBridgeConfiguration")
    if element.name not in _DESTINATIONS:
        raise MalformedXml
    destination, arn_element = _DESTINATIONS[element.name]
    rule_id: str | None = None
    arn: str | None = None
    events: list[str] = []
    filters: dict[str, str] | None = None
    for child in element.children:
        if child.name == "Filter" and filters is None:
            filters = _filters(child)
        elif child.children:
            raise MalformedXml
        elif child.name == "Event":
            events.append(_event(child.text))
        elif child.name == "Id" and rule_id is None:
            rule_id = _id(child.text)
        elif child.name == arn_element and arn is None:
            arn = child.text
        else:
            raise MalformedXml
    if arn is None or not events:
        raise MalformedXml
    filters = filters or {}
    return NotificationRule(
        rule_id=rule_id or str(uuid.uuid4()),
        destination=destination,
        target=_target(arn, targets),
        events=tuple(dict.fromkeys(events)),
        prefix=filters.get("prefix"),
        suffix=filters.get("suffix"),
    )


def _target(arn: str, targets: Collection[str]) -> str:
    if not arn.startswith("arn:"):
        raise InvalidArgument("The ARN could not be parsed", name="Arn", value=arn)
    name = arn.removeprefix(ARN_PREFIX)
    if not arn.startswith(ARN_PREFIX) or name not in targets:
        raise InvalidArgument(
            "Unable to validate the following destination configurations",
            name=arn,
            value="Not a configured target",
        )
    return name


def _event(text: str) -> str:
    if not is_selector(text):
        raise InvalidArgument("The event is not supported for notifications", name="Event", value=text)
    return text


def _id(text: str) -> str:
    if len(text) > RULE_ID_LENGTH_MAX:
        raise InvalidArgument(f"An ID has at most {RULE_ID_LENGTH_MAX} characters", name="Id", value=text)
    return text


def _filters(element: Element) -> dict[str, str]:
    if [child.name for child in element.children] != ["S3Key"]:
        raise MalformedXml
    found: dict[str, str] = {}
    for rule in element.children[0].children:
        if rule.name != "FilterRule":
            raise MalformedXml
        leaves = rule.leaves("Name", "Value")
        if "Name" not in leaves:
            raise MalformedXml
        name, value = leaves["Name"].lower(), leaves.get("Value", "")
        if name not in {"prefix", "suffix"}:
            raise InvalidArgument(
                "filter rule name must be either prefix or suffix",
                name="FilterRule.Name",
                value=leaves["Name"],
            )
        if name in found:
            raise InvalidArgument(
                "Cannot specify more than one prefix or suffix rule in a filter.",
                name="FilterRule.Name",
                value=name,
            )
        if len(value) > FILTER_LENGTH_MAX:
            raise InvalidArgument(
                "Size of filter rule value cannot exceed 1024", name="FilterRule.Value", value=value
            )
        found[name] = value
    return found


def _element(rule: NotificationRule) -> str:
    element, arn_element = _ELEMENTS[rule.destination]
    parts = [
        f"<Id>{escape(rule.rule_id)}</Id><{arn_element}>{escape(ARN_PREFIX + rule.target)}</{arn_element}>"
    ]
    parts += [f"<Event>{escape(each)}</Event>" for each in rule.events]
    filters = [
        (name, value)
        for name, value in (("prefix", rule.prefix), ("suffix", rule.suffix))
        if value is not None
    ]
    if filters:
        rows = "".join(
            f"<FilterRule><Name>{name}</Name><Value>{escape(value)}</Value></FilterRule>"
            for name, value in filters
        )
        parts.append(f"<Filter><S3Key>{rows}</S3Key></Filter>")
    return f"<{element}>{''.join(parts)}</{element}>"
