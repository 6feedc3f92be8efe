"""Which rule lets a request from another origin in, and the headers that tell its browser (Fetch, section 3.3)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dataplane.wire.refusals import BadRequest
from engine.cors import METHODS, CorsRule

ORIGIN_FIELD = "origin"
VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
HEADER_COUNT_MAX = 100

# An origin goes back out as it came: nothing that could be two, or break a header.
_ORIGIN = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,2048}")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What a browser asks before it sends a request from another origin. Header names are in lower case."""

    origin: str
    method: str
    headers: tuple[str, ...]


def read_preflight(fields: Mapping[str, str]) -> Preflight:
    """Raises BadRequest for what is no preflight."""
    origin = fields.get(ORIGIN_FIELD, "")
    if _ORIGIN.fullmatch(origin) is None:
        raise BadRequest("Insufficient information. Origin request header needed.")
    method = fields.get("access-control-request-method", "")
    if method not in METHODS:
        raise BadRequest(f"Invalid Access-Control-Request-Method: {method[:32] or 'null'}")
    listed = fields.get("access-control-request-headers", "")
    headers = tuple(each.strip().lower() for each in listed.split(",") if each.strip())
    if len(headers) > HEADER_COUNT_MAX or not all(map(_TOKEN.fullmatch, headers)):
        raise BadRequest("Invalid Access-Control-Request-Headers.")
    return Preflight(origin=origin, method=method, headers=headers)


def preflight_headers(rules: Sequence[CorsRule], asked: Preflight) -> list[tuple[str, str]] | None:
    """What the first rule that lets all of it in says; None when there is none."""
    for rule in rules:
        pattern = _matching(rule, asked.origin, asked.method)
        if pattern is not None and all(_allows(rule, name) for name in asked.headers):
            told = _told(rule, pattern, asked.origin)
            if asked.headers:
                told.append(("Access-Control-Allow-Headers", ", ".join(asked.headers)))
            return told
    return None


def actual_headers(rules: Sequence[CorsRule], origin: str, method: str) -> list[tuple[str, str]]:
    """What goes out with the answer to a request from another origin: that it depends on it, and the rule that fits."""
    if _ORIGIN.fullmatch(origin) is not None:
        for rule in rules:
            pattern = _matching(rule, origin, method)
            if pattern is not None:
                return _told(rule, pattern, origin)
    return [("Vary", VARY)]


def _matching(rule: CorsRule, origin: str, method: str) -> str | None:
    if method not in rule.methods:
        return None
    return next((pattern for pattern in rule.origins if _fits(pattern, origin)), None)


def _allows(rule: CorsRule, name: str) -> bool:
    return any(_fits(pattern.lower(), name) for pattern in rule.headers)


def _fits(pattern: str, text: str) -> bool:
    before, wildcard, after = pattern.partition("*")
    if not wildcard:
        return pattern == text
    return len(text) >= len(before) + len(after) and text.startswith(before) and text.endswith(after)


def _told(rule: CorsRule, pattern: str, origin: str) -> list[tuple[str, str]]:
    """A rule for everybody names nobody, and lets no credentials of the browser's along."""
    told = [("Access-Control-Allow-Origin", "*" if pattern == "*" else origin)]
    if pattern != "*":
        told.append(("Access-Control-Allow-Credentials", "true"))
    told.append(("Access-Control-Allow-Methods", ", ".join(rule.methods)))
    if rule.exposed:
        told.append(("Access-Control-Expose-Headers", ", ".join(rule.exposed)))
    if rule.max_age_s is not None:
        told.append(("Access-Control-Max-Age", str(rule.max_age_s)))
    told.append(("Vary", VARY))
    return told
