"""Tags and CORS rules of buckets as messages."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from google.protobuf.duration_pb2 import Duration
from penstock.admin.v1 import bucket_pb2

from engine.cors import (
    MAX_AGE_S_MAX,
    RULE_COUNT_MAX,
    CorsRule,
    RefusedRule,
    check_exposed,
    check_header,
    check_id,
    check_method,
    check_origin,
    write_rules,
)
from engine.errors import MalformedField
from engine.tags import BUCKET_TAG_COUNT_MAX, RefusedTag, Tag, Tags, TooManyTags, checked_tags
from engine.units import KIB

RULES_BYTES_MAX = 64 * KIB
"""All rules of a bucket together, as with the document that clients send."""


def read_tags(field: str, tags: Mapping[str, str]) -> Tags:
    """In the order of their keys: a map has none."""
    try:
        return checked_tags(
            [Tag(key=key, value=value) for key, value in sorted(tags.items())], BUCKET_TAG_COUNT_MAX
        )
    except TooManyTags as error:
        raise MalformedField(field, f"a bucket has at most {BUCKET_TAG_COUNT_MAX} tags") from error
    except RefusedTag as error:
        raise MalformedField(field, f"{error}: {error.key!r}") from error


def read_cors_rules(field: str, rules: Sequence[bucket_pb2.CorsRule]) -> tuple[CorsRule, ...]:
    if len(rules) > RULE_COUNT_MAX:
        raise MalformedField(field, f"a bucket has at most {RULE_COUNT_MAX} rules")
    read = tuple(_rule(f"{field}[{index}]", rule) for index, rule in enumerate(rules))
    if len(write_rules(read).encode()) > RULES_BYTES_MAX:
        raise MalformedField(field, f"the rules of a bucket have at most {RULES_BYTES_MAX} bytes together")
    return read


def write_cors_rule(rule: CorsRule) -> bucket_pb2.CorsRule:
    return bucket_pb2.CorsRule(
        id=rule.rule_id or "",
        allowed_origins=rule.origins,
        allowed_methods=rule.methods,
        allowed_headers=rule.headers,
        expose_headers=rule.exposed,
        max_age=None if rule.max_age_s is None else Duration(seconds=rule.max_age_s),
    )


def _rule(field: str, rule: bucket_pb2.CorsRule) -> CorsRule:
    for name in ("allowed_origins", "allowed_methods"):
        if not getattr(rule, name):
            raise MalformedField(f"{field}.{name}", "at least one is needed")
    return CorsRule(
        rule_id=_checked(f"{field}.id", [rule.id], check_id)[0] or None,
        origins=_checked(f"{field}.allowed_origins", rule.allowed_origins, check_origin),
        methods=_checked(f"{field}.allowed_methods", rule.allowed_methods, check_method),
        headers=_checked(f"{field}.allowed_headers", rule.allowed_headers, check_header),
        exposed=_checked(f"{field}.expose_headers", rule.expose_headers, check_exposed),
        max_age_s=_max_age_s(f"{field}.max_age", rule.max_age) if rule.HasField("max_age") else None,
    )


def _checked(field: str, texts: Iterable[str], check: Callable[[str], None]) -> tuple[str, ...]:
    found = tuple(texts)
    for text in found:
        try:
            check(text)
        except RefusedRule as error:
            raise MalformedField(field, str(error)) from error
    return found


def _max_age_s(field: str, age: Duration) -> int:
    if age.nanos or not 0 <= age.seconds <= MAX_AGE_S_MAX:
        raise MalformedField(field, f"expected whole seconds, 0 to {MAX_AGE_S_MAX}")
    return age.seconds
