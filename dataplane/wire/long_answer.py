"""An XML answer that begins before its work has ended: blanks keep the connection alive until the document is there.

S3 answers a long CompleteMultipartUpload like that: 200 and the XML declaration, then white space, then the document or
an `<Error>`. The length is announced ahead with room for either, and what is left of it comes as white space behind the
document, so that the connection stays in step without any framing of its own.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Final, Generic, TypeVar

from engine.streams import WouldBlock

T = TypeVar("T")

DECLARATION: Final = b'<?xml version="1.0" encoding="UTF-8"?>\n'
BLANK_INTERVAL_S = 5.0
"""Clients and proxies give up after a minute without a byte, some after less."""
WAIT_MAX_S = 900.0
"""After this the connection is cut, and the client asks again."""

_BLANK: Final = b" "
_PADDING: Final = b"\n"


class AnswerTooLong(Exception):
    """The work took longer than an answer may be held open, or its document has no room in what was announced."""


class LongAnswer(Generic[T]):
    """Implements `engine.streams.RegionSource`: the declaration, blanks, the document, and padding up to its length."""

    def __init__(
        self,
        work: Future[T],
        *,
        document: Callable[[T], bytes],
        failure: Callable[[BaseException], bytes],
        room_bytes: int,
        interval_s: float = BLANK_INTERVAL_S,
        wait_max_s: float = WAIT_MAX_S,
    ) -> None:
        """`document` is made of what `work` gives; `failure` makes the `<Error>` of what it raised instead.

        `room_bytes` is what the longest of them needs.
        """
        blank_count_max = int(wait_max_s / interval_s) + 1
        self.remaining_bytes = len(DECLARATION) + blank_count_max + room_bytes
        self._work = work
        self._document = document
        self._failure = failure
        self._interval_s = interval_s
        self._deadline_s = time.monotonic() + wait_max_s
        self._is_begun = False
        self._is_told = False

    def next_region(self, *, nowait: bool = False) -> memoryview | None:
        """Waits for the work, an interval at most, and then says a blank."""
        if self.remaining_bytes == 0:
            return None
        if not self._is_begun:
            self._is_begun = True
            return self._say(DECLARATION)
        if self._is_told:
            return self._say(_PADDING * self.remaining_bytes)
        if not self._work.done():
            if nowait:
                raise WouldBlock
            wait([self._work], self._interval_s)
        if not self._work.done():
            return self._blank()
        error = self._work.exception()
        told = self._document(self._work.result()) if error is None else self._failure(error)
        self._is_told = True
        return self._say(told.removeprefix(DECLARATION))

    def unsent(self, left_bytes: int, error: OSError | None, /) -> None:
        raise AssertionError("no region of it lies in a file")

    def close(self) -> None:
        """The work goes on to its end: whether it is asked for or not, it may have happened."""

    def _blank(self) -> memoryview:
        if time.monotonic() > self._deadline_s:
            raise AnswerTooLong
        return self._say(_BLANK)

    def _say(self, text: bytes) -> memoryview:
        if len(text) > self.remaining_bytes:
            raise AnswerTooLong
        self.remaining_bytes -= len(text)
        return memoryview(text)
