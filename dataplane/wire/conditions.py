"""Conditional requests (RFC 9110, section 13) with the nuances of S3."""

from collections.abc import Mapping
from dataclasses import dataclass

from dataplane.wire.refusals import InvalidArgument, NotImplementedYet
from dataplane.wire.times import parse_http_date, parse_time_ms
from engine.errors import PreconditionFailed
from engine.records import RemoveConditions

COPY_PREFIX = "x-amz-copy-source-"
"""Conditions on the source of a copy carry this before their names."""

_READ = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since")
_NAMES = {prefix: frozenset(prefix + name for name in _READ) for prefix in ("", COPY_PREFIX)}

Etags = tuple[str, ...]
"""ETags without quotes; `*` stands for any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadConditions:
    """What a reader asks of the version it would get. Times are whole seconds since the epoch."""

    if_match: Etags | None = None
    if_none_match: Etags | None = None
    if_modified_since_s: int | None = None
    if_unmodified_since_s: int | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str], *, prefix: str = "") -> "ReadConditions":
        """Read the four headers, with `prefix` before their names; dates that are none are ignored."""
        if headers.keys().isdisjoint(_NAMES[prefix]):
            return UNCONDITIONAL
        return cls(
            if_match=_etags(headers.get(prefix + "if-match")),
            if_none_match=_etags(headers.get(prefix + "if-none-match")),
            if_modified_since_s=_time(headers.get(prefix + "if-modified-since")),
            if_unmodified_since_s=_time(headers.get(prefix + "if-unmodified-since")),
        )

    def hold(self, etag: str, modified_at_us: int) -> bool:
        """Whether to send the version: False means 304 Not Modified.

        The order is that of RFC 9110, section 13.2.2: an ETag condition hides the date condition beside it. ETags are
        compared strongly, so a weak one matches nothing. Raises PreconditionFailed for 412.
        """
        modified_s = modified_at_us // 1_000_000
        if self.if_match is not None:
            if not _matches(self.if_match, etag):
                raise PreconditionFailed(condition="If-Match")
        elif self.if_unmodified_since_s is not None and modified_s > self.if_unmodified_since_s:
            raise PreconditionFailed(condition="If-Unmodified-Since")
        if self.if_none_match is not None:
            return not _matches(self.if_none_match, etag)
        return self.if_modified_since_s is None or modified_s > self.if_modified_since_s

    def require(self, etag: str, modified_at_us: int) -> None:
        """The same for the source of a copy, where unmodified is a failed condition too; raises PreconditionFailed."""
        if not self.hold(etag, modified_at_us):
            by_etag = self.if_none_match is not None
            raise PreconditionFailed(condition="If-None-Match" if by_etag else "If-Modified-Since")


UNCONDITIONAL = ReadConditions()


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteConditions:
    """What a writer asks of the version it would replace; checked in the publishing transaction.

    An `if_match_etag` of `*` stands for any version.
    """

    if_none_match: bool = False
    if_match_etag: str | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "WriteConditions":
        """Read If-None-Match (`*`) or If-Match (one ETag, or `*`); what S3 does not take either is refused by name."""
        none_match, match = headers.get("if-none-match"), _etags(headers.get("if-match"))
        if none_match is not None and none_match != "*":
            raise NotImplementedYet("If-None-Match with an ETag on a write")
        if match is not None and (len(match) != 1 or not match[0]):
            raise NotImplementedYet("If-Match with other than one ETag on a write")
        if none_match is not None and match is not None:
            raise NotImplementedYet("If-Match beside If-None-Match on a write")
        return cls(if_none_match=none_match is not None, if_match_etag=match[0] if match else None)


MODIFIED_FIELD = "x-amz-if-match-last-modified-time"
SIZE_FIELD = "x-amz-if-match-size"
_SIZE_DIGITS_MAX = 19


def read_remove_conditions(headers: Mapping[str, str]) -> RemoveConditions | None:
    """If-Match (one ETag, or `*`) and S3's conditions on time and size of a DeleteObject; null where none is given.

    Raises WireError: a condition that cannot be read is never taken for one that holds.
    """
    match = _etags(headers.get("if-match"))
    if match is not None and (len(match) != 1 or not match[0]):
        raise NotImplementedYet("If-Match with other than one ETag on DeleteObject")
    for name in ("if-none-match", "if-modified-since", "if-unmodified-since"):
        if name in headers:
            raise NotImplementedYet(f"{name} on DeleteObject")
    modified, size = headers.get(MODIFIED_FIELD), headers.get(SIZE_FIELD)
    if match is None and modified is None and size is None:
        return None
    return RemoveConditions(
        etag=match[0] if match else None,
        modified_at_ms=None if modified is None else read_condition_time(modified, name=MODIFIED_FIELD),
        size_bytes=None if size is None else read_condition_size(size, name=SIZE_FIELD),
    )


def read_condition_time(text: str, *, name: str) -> int:
    """Milliseconds since the epoch of an HTTP date or an ISO 8601 time; raises WireError InvalidArgument."""
    time_ms = parse_time_ms(text)
    if time_ms is None:
        raise InvalidArgument("The time is not in a form that is understood.", name=name, value=text)
    return time_ms


def read_condition_size(text: str, *, name: str) -> int:
    """Bytes; raises WireError InvalidArgument."""
    if not text.isascii() or not text.isdigit() or len(text) > _SIZE_DIGITS_MAX:
        raise InvalidArgument("The size is no number.", name=name, value=text)
    return int(text)


def range_applies(headers: Mapping[str, str], *, etag: str, modified_at_us: int) -> bool:
    """Whether the Range header counts: without If-Range always, else only for the very version it names.

    A client that resumes would otherwise glue two versions together (RFC 9110, section 13.1.5).
    """
    wanted = headers.get("if-range")
    if wanted is None:
        return True
    since_s = parse_http_date(wanted)
    if since_s is not None:
        return modified_at_us // 1_000_000 == since_s
    return wanted == f'"{etag}"'


def _etags(header: str | None) -> Etags | None:
    if header is None:
        return None
    return tuple(each.strip(" \t").removeprefix('"').removesuffix('"') for each in header.split(","))


def _matches(wanted: Etags, etag: str) -> bool:
    return etag in wanted or "*" in wanted


def _time(header: str | None) -> int | None:
    return None if header is None else parse_http_date(header)
