"""Stores that lie, in every way of the operations' list (a to p), as faults of the way to an honest one."""

import gzip
import hashlib
import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.support.faults import (
    Altered,
    BitFlip,
    Fault,
    Instead,
    LateLanding,
    LyingEtag,
    Refusal,
    ReplyLost,
    Request,
    Said,
    Truncate,
    Twice,
)

_RANGE = re.compile(r"bytes=([0-9]+)-([0-9]+)")
_LONG_AGO = "Thu, 01 Jan 1970 00:00:00 GMT"
_ENDLESS_BYTES_MAX = 1024**3
_PORTION = bytes(64 * 1024)
_DIFFERENT = random.Random(7).randbytes(64 * 1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lie:
    """`letters` are those of the list; `which` are the requests that are answered so."""

    letters: str
    make: Callable[[], Fault]
    which: Callable[[Request], bool]

    @property
    def fault(self) -> Fault:
        return self.make()


def is_piece(request: Request) -> bool:
    return "/pieces/" in request.target


def is_piece_read(request: Request) -> bool:
    return request.method == "GET" and is_piece(request)


def is_piece_written(request: Request) -> bool:
    return request.method == "PUT" and is_piece(request)


def is_listing(request: Request) -> bool:
    return request.method == "GET" and "list-type=" in request.target


def _kept_nothing(request: Request, body: bytes) -> Said:
    return Said(headers=(("ETag", f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'),))


def _error(status: int, code: str) -> Callable[[Request, bytes], Said]:
    document = f"<Error><Code>{code}</Code><Message>said the store</Message></Error>".encode()
    return lambda request, body: Said(
        status=status, headers=(("Content-Type", "application/xml"),), body=document
    )


def _other_bytes(request: Request, said: Said) -> Said:
    """As many as were asked for."""
    assert isinstance(said.body, bytes)
    times = -(-len(said.body) // len(_DIFFERENT))
    return Said(status=said.status, headers=said.headers, body=(_DIFFERENT * times)[: len(said.body)])


def _ends_early(request: Request, said: Said) -> Said:
    """The object is there and lost its end, and the store says so as if it had never had one."""
    assert isinstance(said.body, bytes)
    start, _ = _span(request)
    body = said.body[: max(1, len(said.body) // 2)]
    stop = start + len(body)
    return Said(
        status=said.status,
        headers=(
            *_without(said.headers, "content-range"),
            ("Content-Range", f"bytes {start}-{stop - 1}/{stop}"),
        ),
        body=body,
    )


def _old_clock(request: Request, said: Said) -> Said:
    headers = _without(said.headers, "date", "last-modified")
    return Said(
        status=said.status,
        headers=(*headers, ("Date", _LONG_AGO), ("Last-Modified", _LONG_AGO)),
        body=said.body,
    )


def _bomb(request: Request, said: Said) -> Said:
    """A little that would be a gibibyte for whoever inflates it."""
    packed = gzip.compress(bytes(16 * 1024 * 1024))
    return Said(status=said.status, headers=(*said.headers, ("Content-Encoding", "gzip")), body=packed)


def _endless(status: int) -> Callable[[Request, bytes], Said]:
    def say(request: Request, body: bytes) -> Said:
        headers: tuple[tuple[str, str], ...] = ()
        if request.header("range"):
            start, stop = _span(request)
            headers = (("Content-Range", f"bytes {start}-{stop - 1}/*"),)
        return Said(status=status, headers=headers, body=_zeros())

    return say


def _empty_listing(request: Request, body: bytes) -> Said:
    return Said(
        headers=(("Content-Type", "application/xml"),),
        body=b'<?xml version="1.0"?><ListBucketResult><KeyCount>0</KeyCount>'
        b"<IsTruncated>false</IsTruncated></ListBucketResult>",
    )


def older_object(body: bytes) -> Instead:
    """Whatever is asked for, it serves that object, in ranges as asked."""

    def say(request: Request, _: bytes) -> Said:
        start, stop = _span(request)
        part = body[start:stop]
        if not part:
            return _error(416, "InvalidRange")(request, b"")
        span = f"bytes {start}-{start + len(part) - 1}/{len(body)}"
        return Said(status=206, headers=(("Content-Range", span),), body=part)

    return Instead(say)


LIES = {
    "keeps-nothing": Lie(letters="a", make=lambda: Instead(_kept_nothing), which=is_piece_written),
    "reply-lost": Lie(letters="b", make=ReplyLost, which=is_piece_written),
    "lands-late": Lie(letters="c", make=LateLanding, which=is_piece_written),
    "cut": Lie(letters="d", make=lambda: Truncate(1000), which=is_piece_read),
    "cut-cleanly": Lie(letters="d", make=lambda: Truncate(1000, is_clean=True), which=is_piece_read),
    "lost-its-end": Lie(letters="d", make=lambda: Altered(_ends_early), which=is_piece_read),
    "bit-flipped": Lie(letters="e", make=lambda: BitFlip(0), which=is_piece_read),
    "bit-flipped-in-storing": Lie(
        letters="e", make=lambda: BitFlip(500, in_request=True), which=is_piece_written
    ),
    "other-bytes": Lie(letters="e", make=lambda: Altered(_other_bytes), which=is_piece_read),
    "older-object": Lie(letters="f", make=lambda: older_object(_DIFFERENT * 64), which=is_piece_read),
    "lists-nothing": Lie(letters="f", make=lambda: Instead(_empty_listing), which=is_listing),
    "not-there-yet": Lie(letters="g", make=lambda: Instead(_error(404, "NoSuchKey")), which=is_piece_read),
    "lying-etag": Lie(letters="h", make=LyingEtag, which=is_piece_written),
    "twice": Lie(letters="i", make=Twice, which=is_piece),
    "clock-of-1970": Lie(letters="j", make=lambda: Altered(_old_clock), which=is_piece),
    "html-503": Lie(
        letters="k",
        make=lambda: Instead(
            lambda request, body: Said(
                status=503, headers=(("Content-Type", "text/html"),), body=b"<html>Oops<"
            )
        ),
        which=is_piece,
    ),
    "redirects": Lie(
        letters="l",
        make=lambda: Instead(
            lambda request, body: Said(status=307, headers=(("Location", "http://127.0.0.1:9/elsewhere"),))
        ),
        which=is_piece,
    ),
    "gzip-bomb": Lie(letters="m", make=lambda: Altered(_bomb), which=is_piece_read),
    "never-ends": Lie(letters="n", make=lambda: Instead(_endless(200)), which=is_piece_read),
    "error-never-ends": Lie(letters="n", make=lambda: Instead(_endless(500)), which=is_piece),
    "quota-exceeded": Lie(
        letters="o", make=lambda: Instead(_error(403, "QuotaExceeded")), which=is_piece_written
    ),
    "keys-revoked": Lie(
        letters="p", make=lambda: Instead(_error(403, "InvalidAccessKeyId")), which=lambda request: True
    ),
    "refuses": Lie(letters="", make=lambda: Refusal(500), which=is_piece),
}
"""By name. What has no letter is not of the list."""


def _span(request: Request) -> tuple[int, int]:
    """Where the range that was asked for starts and stops."""
    found = _RANGE.fullmatch(request.header("range"))
    return (int(found[1]), int(found[2]) + 1) if found else (0, 1)


def _without(headers: Iterable[tuple[str, str]], *names: str) -> tuple[tuple[str, str], ...]:
    return tuple(each for each in headers if each[0].lower() not in names)


def _zeros() -> Iterator[bytes]:
    """Not quite for ever: somebody who reads on should fail, and no disk fill up."""
    for _ in range(_ENDLESS_BYTES_MAX // len(_PORTION)):
        yield _PORTION
