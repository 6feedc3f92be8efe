"""Conditions on reads: If-Match and its like (RFC 9110, section 13; S3 API GetObject)."""

from collections.abc import Mapping

from dataplane.s3.times import read_http_date
from engine.errors import PreconditionFailed


def check_read_conditions(headers: Mapping[str, str], *, etag: str, modified_us: int) -> bool:
    """True to serve, false for 304; raises PreconditionFailed for 412. A malformed date is as good as none.

    If-Match wins over If-Unmodified-Since, If-None-Match over If-Modified-Since.
    """
    modified_s = modified_us // 1_000_000
    if_match = headers.get("if-match")
    if if_match is not None:
        if not _names(if_match, etag, is_weak_allowed=False):
            raise PreconditionFailed(condition="If-Match")
    elif (since := _date(headers, "if-unmodified-since")) is not None and modified_s > since:
        raise PreconditionFailed(condition="If-Unmodified-Since")
    if_none_match = headers.get("if-none-match")
    if if_none_match is not None:
        return not _names(if_none_match, etag, is_weak_allowed=True)
    since = _date(headers, "if-modified-since")
    return since is None or modified_s > since


def has_read_conditions(headers: Mapping[str, str]) -> bool:
    return any(name.startswith("if-") for name in headers)


def names_etag(header: str, etag: str) -> bool:
    """Whether a strong comparison of an If-Match header finds this ETag."""
    return _names(header, etag, is_weak_allowed=False)


def _names(header: str, etag: str, *, is_weak_allowed: bool) -> bool:
    for each in header.split(","):
        tag = each.strip()
        if tag == "*":
            return True
        if tag.startswith("W/"):
            if not is_weak_allowed:
                continue
            tag = tag[2:]
        if tag.strip('"') == etag:
            return True
    return False


def _date(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name)
    return None if text is None else read_http_date(text)
