"""An open piece in a store: reads that follow each other go on with one answer, others ask for a range of their own."""

from collections.abc import Callable
from functools import partial

from engine.backends.s3.client import Answer, S3Client
from engine.backends.s3.objects import etag_of
from engine.backends.s3.pool import ConnectionPool
from engine.backends.s3.trouble import NoAnswer, NotSent, Refused, told_as_backend_errors
from engine.errors import BackendLate, BackendUnavailable, PieceCorrupt, PieceMissing
from engine.names import BackendName
from engine.pipes import Pipe
from engine.streams import FileRegion, Region, WouldBlock, region_bytes
from engine.units import BLOCK_BYTES, MIB

WHOLE_BYTES_MAX = MIB
"""A piece up to this size is asked for up to its end at once; of a longer one that much, until more is read."""

_DOING = "reading a piece"


class S3PieceReader:
    """Implements `engine.backends.base.PieceReader`. For one thread at a time; it asks at the first read."""

    def __init__(
        self,
        client: S3Client,
        path: str,
        *,
        backend: BackendName,
        storage_key: str,
        payload_bytes: int,
        check_store: Callable[[], None],
        etag: str | None = None,
    ) -> None:
        """`check_store` raises ForeignBackend for a store that is not ours: what it lacks is not lost then.

        With `etag` an object that has another one is missing: its bytes are not those that were asked for.
        """
        self._client = client
        self._path = path
        self._backend = backend
        self._storage_key = storage_key
        self._payload_bytes = payload_bytes
        self._check_store = check_store
        self._etag = etag
        self._stream: _Stream | None = None
        # Where the last read ended; a read that begins there goes on with it.
        self._position = -1
        # Where an answer broke off, and its rest was asked for again.
        self._broken_at = -BLOCK_BYTES

    def read_into(self, offset: int, buffer: memoryview, /, *, nowait: bool = False) -> None:
        self._check_span(offset, len(buffer))
        if not buffer:
            return
        if nowait:
            raise WouldBlock
        self._move(offset, len(buffer), partial(_fill, buffer=buffer))

    def take(
        self, offset: int, length: int, /, *, pipe: Pipe | None = None, nowait: bool = False
    ) -> Region | None:
        """What comes next; null without a pipe, over TLS, and where the store does not say how long its answer is."""
        self._check_span(offset, length)
        if nowait:
            raise WouldBlock
        return self._move(offset, length, partial(_taken, length=length, pipe=pipe), is_all=True)

    def is_under_way(self, offset: int, size_bytes: int, /) -> bool:
        """While it is, the connection is given up to nobody."""
        stream = self._stream
        if stream is None or not stream.holds(offset, size_bytes):
            return False
        if not stream.resume():
            self._stream = None
        return self._stream is not None

    def ask(self, offset: int, size_bytes: int, /, *, patience_s: float, is_all: bool = False) -> None:
        self._check_span(offset, size_bytes)
        if self.is_under_way(offset, size_bytes):
            return
        self.close()
        try:
            with told_as_backend_errors(self._backend, _DOING):
                stream = self._ask(offset, size_bytes, patience_s, is_all=is_all)
        except PieceMissing:
            self._check_store()
            raise
        # It may be read a while later: until then its connection is there for those who have none.
        stream.pause()
        self._stream = stream

    def region(self, offset: int, length: int, /) -> FileRegion | None:
        return None

    def close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None and stream.resume():
            stream.answer.close()

    def _move(self, offset: int, length: int, move: "Move", *, is_all: bool = False) -> Region | None:
        """What `move` makes of the answer that holds those bytes."""
        try:
            with told_as_backend_errors(self._backend, _DOING):
                region = self._moved(offset, length, move, is_all=is_all)
        except PieceMissing:
            self._check_store()
            raise
        if region is not None:
            self._position = offset + region_bytes(region)
        return region

    def _moved(self, offset: int, length: int, move: "Move", *, is_all: bool) -> Region | None:
        stream, self._stream = self._stream, None
        patience_s = None
        if stream is not None and stream.resume():
            if stream.holds(offset, length):
                try:
                    return self._moved_from(stream, move)
                except NoAnswer as error:
                    patience_s = stream.patience_s
                    if error.is_late and patience_s is not None:
                        raise self._late(patience_s) from error
                    if 0 <= offset - self._broken_at < BLOCK_BYTES:
                        raise
                    # What was cut short is asked for again from the same byte, once within a block.
                    self._broken_at = offset
            else:
                stream.answer.close()
        return self._moved_from(self._ask(offset, length, patience_s, is_all=is_all), move)

    def _moved_from(self, stream: "_Stream", move: "Move") -> Region | None:
        try:
            region = move(stream.answer)
        except BaseException:
            stream.answer.give_up()
            raise
        stream.position += 0 if region is None else region_bytes(region)
        if stream.position == stream.stop:
            stream.answer.close()
        else:
            stream.pause()
            self._stream = stream
        return region

    def _ask(self, offset: int, length: int, patience_s: float | None, *, is_all: bool) -> "_Stream":
        stop = offset + (length if is_all else self._window(offset, length))
        headers = [("range", f"bytes={offset}-{stop - 1}")]
        if self._etag is not None:
            headers.append(("if-match", f'"{self._etag}"'))
        try:
            answer = self._client.exchange("GET", self._path, headers=headers, patience_s=patience_s)
        except (NotSent, NoAnswer) as error:
            if error.is_late and patience_s is not None:
                raise self._late(patience_s) from error
            raise
        except Refused as error:
            if self._etag is not None and error.status in (412, 416):
                raise self._changed() from error
            if error.status == 416:
                raise self._too_short() from error
            raise
        # There are stores that answer conditions as if none had been asked.
        if self._etag is not None and etag_of(answer.headers) != self._etag:
            answer.give_up()
            raise self._changed()
        # Of the header, not the status: rclone's server sends ranges as 200.
        span = answer.headers.get("content-range", "").partition("/")[0]
        if span != f"bytes {offset}-{stop - 1}":
            answer.give_up()
            if span.startswith(f"bytes {offset}-"):
                raise self._too_short()
            raise NotSent("it does not answer with the range that it was asked for")
        return _Stream(answer, self._client.pool, offset, stop, patience_s)

    def _window(self, offset: int, length: int) -> int:
        """How many bytes to ask for: all that is left once reads follow each other, little where one may stay alone."""
        left_bytes = self._payload_bytes - offset
        if self._payload_bytes <= WHOLE_BYTES_MAX or offset == self._position:
            return left_bytes
        return min(left_bytes, max(length, WHOLE_BYTES_MAX if offset == 0 else 0))

    def _changed(self) -> PieceMissing:
        return PieceMissing(f"{self._storage_key} is another object by now", backend=self._backend)

    def _check_span(self, offset: int, size_bytes: int) -> None:
        if offset < 0 or offset + size_bytes > self._payload_bytes:
            raise ValueError(f"bytes {offset} to {offset + size_bytes} of a payload of {self._payload_bytes}")

    def _late(self, patience_s: float) -> BackendLate:
        return BackendLate(f"{_DOING}: nothing came for {patience_s} s", backend=self._backend)

    def _too_short(self) -> PieceCorrupt:
        return PieceCorrupt(f"{self._storage_key} is shorter than its payload", backend=self._backend)


Move = Callable[[Answer], Region | None]
"""Takes bytes out of an answer: the region that they make, null where none was taken."""


def _fill(answer: Answer, *, buffer: memoryview) -> memoryview:
    if answer.read_into(buffer) != len(buffer):
        raise NoAnswer("the answer is shorter than it said")
    return buffer


def _taken(answer: Answer, *, length: int, pipe: Pipe | None) -> Region | None:
    return None if pipe is None else answer.take(length, pipe)


class _Stream:
    """An answer being read, from `position` up to `stop`; while it pauses the pool may take its connection away."""

    def __init__(
        self, answer: Answer, pool: ConnectionPool, position: int, stop: int, patience_s: float | None
    ) -> None:
        self.answer = answer
        self.position = position
        self.stop = stop
        self.patience_s = patience_s
        self._pool = pool
        self._is_pausing = False

    def holds(self, offset: int, size_bytes: int) -> bool:
        """Whether those bytes come next."""
        return self.position == offset and self.stop >= offset + size_bytes

    def pause(self) -> None:
        self._is_pausing = True
        self._pool.pause(self)

    def resume(self) -> bool:
        """Whether the answer can still be read; it is not paused then."""
        if self._is_pausing and not self._pool.go_on(self):
            return False
        self._is_pausing = False
        return True

    def give_up(self) -> None:
        self.answer.give_up()


def read_span(client: S3Client, path: str, *, start: int, bytes_max: int, backend: BackendName) -> bytes:
    """What an object holds from `start` on, at most that much; raises BackendError, PieceCorrupt for a shorter one."""
    with told_as_backend_errors(backend, _DOING):
        headers = [("range", f"bytes={start}-{start + bytes_max - 1}")]
        try:
            answer = client.exchange("GET", path, headers=headers)
        except Refused as error:
            if error.status == 416:
                raise PieceCorrupt("the piece is shorter than its payload", backend=backend) from error
            raise
        try:
            if not answer.headers.get("content-range", "").startswith(f"bytes {start}-"):
                raise BackendUnavailable("it does not answer with the range asked for", backend=backend)
            return answer.read_all(bytes_max)
        finally:
            answer.close()
