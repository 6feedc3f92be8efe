"""Rules tell of the events they name, of keys that their filters let pass, and are kept as they mean."""

import pytest

from engine.notifications.rules import (
    Destination,
    EventType,
    NotificationRule,
    is_selector,
    matching,
    parse_rules,
    write_rules,
)


def rule(*events: str, prefix: str | None = None, suffix: str | None = None) -> NotificationRule:
    return NotificationRule(
        rule_id="r", destination=Destination.TOPIC, target="hook", events=events, prefix=prefix, suffix=suffix
    )


def test_a_rule_tells_of_what_it_names() -> None:
    created, deleted = rule("s3:ObjectCreated:*"), rule("s3:ObjectRemoved:Delete")

    assert [each for each in EventType if created.matches(each, b"k")] == [
        EventType.PUT,
        EventType.POST,
        EventType.COPY,
        EventType.COMPLETE,
    ]
    assert list(matching([created, deleted], EventType.DELETE, b"k")) == [deleted]


def test_filters_are_compared_with_the_keys_bytes() -> None:
    filtered = rule("s3:ObjectCreated:*", prefix="fotos/ä", suffix=".jpg")

    assert filtered.matches(EventType.PUT, "fotos/ä1.jpg".encode())
    assert not filtered.matches(EventType.PUT, b"fotos/a1.jpg")
    assert not filtered.matches(EventType.PUT, "fotos/ä1.png".encode())


@pytest.mark.parametrize("text", [*(each.value for each in EventType), "s3:ObjectTagging:*"])
def test_what_is_sent_may_be_named(text: str) -> None:
    assert is_selector(text)


@pytest.mark.parametrize(
    "text", ["", "*", "s3:*", "s3:ObjectRestore:*", "s3:ObjectCreated:", "s3:ObjectAcl:Put", "s3:TestEvent"]
)
def test_what_is_never_sent_may_not(text: str) -> None:
    assert not is_selector(text)


def test_rules_come_back_as_they_were_written() -> None:
    rules = (rule("s3:ObjectCreated:*", prefix='ä"'), rule("s3:ObjectRemoved:Delete", suffix=""))

    assert parse_rules(write_rules(rules)) == rules
