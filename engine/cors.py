"""CORS rules of buckets: what a rule may say, and the canonical form in which rules are kept."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache

RULE_COUNT_MAX = 100
RULE_ID_LENGTH_MAX = 255
MAX_AGE_S_MAX = 2**31 - 1
METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "HEAD"})

# What goes out in a header as it stands: a name of a field (RFC 9110, section 5.6.2).
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Visible ASCII without the comma, which would make two origins of one.
_ORIGIN = re.compile(r"[\x21-\x2b\x2d-\x7e]+")


class RefusedRule(ValueError):
    """What no rule may say; `is_malformed`: it is not even of the form that it is about."""

    def __init__(self, message: str, *, is_malformed: bool = False) -> None:
        super().__init__(message)
        self.is_malformed = is_malformed


@dataclass(frozen=True, slots=True, kw_only=True)
class CorsRule:
    """Whom it lets in, for what. Origins and headers hold at most one `*` each, which stands for any octets."""

    rule_id: str | None
    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    exposed: tuple[str, ...]
    max_age_s: int | None


def write_rules(rules: Sequence[CorsRule]) -> str:
    """The canonical form: JSON records in the rules' order."""
    return json.dumps([asdict(rule) for rule in rules], separators=(",", ":"), ensure_ascii=False)


@lru_cache(maxsize=256)
def parse_rules(document: str) -> tuple[CorsRule, ...]:
    """Out of the canonical form; remembered, for it is asked with every request from another origin."""
    return tuple(
        CorsRule(
            rule_id=told["rule_id"],
            origins=tuple(told["origins"]),
            methods=tuple(told["methods"]),
            headers=tuple(told["headers"]),
            exposed=tuple(told["exposed"]),
            max_age_s=told["max_age_s"],
        )
        for told in json.loads(document)
    )


def check_id(text: str) -> None:
    """As all of these, raises RefusedRule."""
    if len(text) > RULE_ID_LENGTH_MAX:
        raise RefusedRule(f"The ID of a rule cannot be longer than {RULE_ID_LENGTH_MAX} characters.")


def check_origin(text: str) -> None:
    if _ORIGIN.fullmatch(text) is None:
        raise RefusedRule("An origin is visible ASCII without commas.", is_malformed=True)
    if text.count("*") > 1:
        raise RefusedRule(f'AllowedOrigin "{text[:256]}" can not have more than one wildcard.')


def check_method(text: str) -> None:
    if text not in METHODS:
        raise RefusedRule(f"Found unsupported HTTP method in CORS config. Unsupported method is {text[:32]}")


def check_header(text: str) -> None:
    _check_token(text)
    if text.count("*") > 1:
        raise RefusedRule(f'AllowedHeader "{text[:256]}" can not have more than one wildcard.')


def check_exposed(text: str) -> None:
    _check_token(text)
    if "*" in text:
        raise RefusedRule(
            f'ExposeHeader "{text[:256]}" contains wildcard. We currently do not support wildcard in ExposeHeader.'
        )


def _check_token(text: str) -> None:
    if _TOKEN.fullmatch(text) is None:
        raise RefusedRule(f"{text[:256]!r} is no name of a header.", is_malformed=True)
