"""CORS configurations: the documents that clients put and get."""

from collections.abc import Callable, Sequence

from dataplane.wire.refusals import InvalidRequest, MalformedXml
from dataplane.wire.xml_in import NAMESPACE, Element, parse_document
from dataplane.wire.xml_text import escape
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
)
from engine.units import KIB

CORS_BYTES_MAX = 64 * KIB


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


def _checked(check: Callable[[str], None]) -> Callable[[str], str]:
    """A reader of what a check lets pass."""

    def read(text: str) -> str:
        try:
            check(text)
        except RefusedRule as error:
            raise MalformedXml if error.is_malformed else InvalidRequest(str(error)) from error
        return text

    return read


def _read_age(text: str) -> str:
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > MAX_AGE_S_MAX:
        raise MalformedXml
    return text


_READERS: dict[str, Callable[[str], str]] = {
    "ID": _checked(check_id),
    "AllowedOrigin": _checked(check_origin),
    "AllowedMethod": _checked(check_method),
    "AllowedHeader": _checked(check_header),
    "ExposeHeader": _checked(check_exposed),
    "MaxAgeSeconds": _read_age,
}
