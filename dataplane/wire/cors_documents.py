"""CORS configurations: the document clients put and get, and the canonical form it is kept in."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache

from dataplane.wire.refusals import InvalidRequest, MalformedXml
from dataplane.wire.xml_in import NAMESPACE, Element, parse_document
from dataplane.wire.xml_text import escape
from engine.units import KIB

CORS_BYTES_MAX = 64 * KIB
RULE_COUNT_MAX = 100
RULE_ID_LENGTH_MAX = 255
MAX_AGE_S_MAX = 2**31 - 1
METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "HEAD"})

# What goes out in a header as it stands: a name of a field (RFC 9110, section 5.6.2).
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Visible ASCII without the comma, which would make two origins of one.
_ORIGIN = re.compile(r"[\x21-\x2b\x2d-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class CorsRule:
    """Whom it lets in, for what. Origins and headers hold at most one `*` each, which stands for any octets."""

    rule_id: str | None
    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    exposed: tuple[str, ...]
    max_age_s: int | None


def read_cors(raw: bytes) -> tuple[CorsRule, ...]:
    """A CORSConfiguration of 1 to 100 rules, in their order: the first that matches decides.

    Raises MaxMessageLengthExceeded above 64 KiB, MalformedXml for what is no such document, InvalidRequest for a
    method, a wildcard or a header that no rule can have.
    """
    root = parse_document(raw, "CORSConfiguration", max_bytes=CORS_BYTES_MAX)
    if not 1 <= len(root.children) <= RULE_COUNT_MAX:
        raise MalformedXml
    return tuple(map(_rule, root.children))


def cors_configuration(rules: Sequence[CorsRule]) -> bytes:
    """The document that answers with rules."""
    rows = "".join(f"<CORSRule>{_rule_elements(rule)}</CORSRule>" for rule in rules)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<CORSConfiguration xmlns="{NAMESPACE}">{rows}</CORSConfiguration>'
    ).encode()


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


def _rule(element: Element) -> CorsRule:
    if element.name != "CORSRule":
        raise MalformedXml
    texts: dict[str, list[str]] = {name: [] for name in _READERS}
    for child in element.children:
        if child.name not in texts or child.children:
            raise MalformedXml
        texts[child.name].append(_READERS[child.name](child.text))
    if len(texts["ID"]) > 1 or len(texts["MaxAgeSeconds"]) > 1:
        raise MalformedXml
    if not texts["AllowedOrigin"] or not texts["AllowedMethod"]:
        raise MalformedXml
    ages = texts["MaxAgeSeconds"]
    return CorsRule(
        rule_id=texts["ID"][0] if texts["ID"] else None,
        origins=tuple(texts["AllowedOrigin"]),
        methods=tuple(texts["AllowedMethod"]),
        headers=tuple(texts["AllowedHeader"]),
        exposed=tuple(texts["ExposeHeader"]),
        max_age_s=int(ages[0]) if ages else None,
    )


def _rule_elements(rule: CorsRule) -> str:
    pairs = [("ID", rule.rule_id)] if rule.rule_id is not None else []
    pairs += [("AllowedMethod", each) for each in rule.methods]
    pairs += [("AllowedOrigin", each) for each in rule.origins]
    pairs += [("AllowedHeader", each) for each in rule.headers]
    if rule.max_age_s is not None:
        pairs.append(("MaxAgeSeconds", str(rule.max_age_s)))
    pairs += [("ExposeHeader", each) for each in rule.exposed]
    return "".join(f"<{name}>{escape(text or '')}</{name}>" for name, text in pairs)


def _read_id(text: str) -> str:
    if len(text) > RULE_ID_LENGTH_MAX:
        raise InvalidRequest(f"The ID of a rule cannot be longer than {RULE_ID_LENGTH_MAX} characters.")
    return text


def _read_origin(text: str) -> str:
    if _ORIGIN.fullmatch(text) is None:
        raise MalformedXml
    if text.count("*") > 1:
        raise InvalidRequest(f'AllowedOrigin "{text[:256]}" can not have more than one wildcard.')
    return text


def _read_method(text: str) -> str:
    if text not in METHODS:
        raise InvalidRequest(
            f"Found unsupported HTTP method in CORS config. Unsupported method is {text[:32]}"
        )
    return text


def _read_header(text: str) -> str:
    if _TOKEN.fullmatch(text) is None:
        raise MalformedXml
    if text.count("*") > 1:
        raise InvalidRequest(f'AllowedHeader "{text[:256]}" can not have more than one wildcard.')
    return text


def _read_exposed(text: str) -> str:
    if _TOKEN.fullmatch(text) is None:
        raise MalformedXml
    if "*" in text:
        raise InvalidRequest(
            f'ExposeHeader "{text[:256]}" contains wildcard. We currently do not support wildcard in ExposeHeader.'
        )
    return text


def _read_age(text: str) -> str:
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > MAX_AGE_S_MAX:
        raise MalformedXml
    return text


_READERS: dict[str, Callable[[str], str]] = {
    "ID": _read_id,
    "AllowedOrigin": _read_origin,
    "AllowedMethod": _read_method,
    "AllowedHeader": _read_header,
    "ExposeHeader": _read_exposed,
    "MaxAgeSeconds": _read_age,
}
