"""Conditional requests (RFC 9110, section 13) with the nuances of S3."""

from collections.abc import Mapping
from dataclasses import dataclass

from dataplane.wire.refusals import NotImplementedYet
from dataplane.wire.times import parse_http_date
from engine.errors import PreconditionFailed

COPY_PREFIX = "x-amz-copy-source-"
"""Conditions on the source of a copy carry this before their names."""

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
        start = prefix + "if-"
        if not any(name.startswith(start) for name in headers):
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
    """What a writer asks of the version it would replace; checked in the publishing transaction."""

    if_none_match: bool = False
    if_match_etag: str | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "WriteConditions":
        """Read If-None-Match and If-Match; only `*` and one ETag mean something on a write, the rest is refused."""
        none_match, match = headers.get("if-none-match"), _etags(headers.get("if-match"))
        if none_match is not None and none_match != "*":
            raise NotImplementedYet("If-None-Match with an ETag on a write")
        if match is not None and (len(match) != 1 or match[0] in {"*", ""}):
            raise NotImplementedYet("If-Match with other than one ETag on a write")
        return cls(if_none_match=none_match is not None, if_match_etag=match[0] if match else None)


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
