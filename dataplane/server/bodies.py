"""A request's body off the wire: straight into the reader's buffer, at a least rate, never longer than announced."""

import select
import time

from dataplane.server.chunked import ChunkedDecoder
from dataplane.server.contract import HandOn, Lane
from dataplane.server.errors import BodyError, BodyTooSlow, IncompleteBody
from dataplane.server.heads import RequestHead
from dataplane.server.settings import ServerSettings
from dataplane.server.tls import AnySocket

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
FRAMING_BYTES = 16 * 1024
"""Received at once where chunk headers are expected."""


class NoBody:
    """`wsgi.input` of a request that announces none."""

    __slots__ = ()
    needs_streaming = False
    size_bytes: int | None = None
    received_bytes = 0

    def readinto(self, buffer: memoryview, /) -> int:
        return 0

    def read(self, size: int = -1) -> bytes:
        return b""

    def discard(self) -> bool:
        return True


class RequestBody:
    """`wsgi.input`: `readinto` for those who stream, `read` for others. For whoever owns the request.

    `buffered` are bytes that the loop received behind the head; what of them is behind the body stays there.
    On the loop (`lane` INLINE) a body that has not come whole is not read: the first try raises HandOn.
    """

    __slots__ = (
        "_buffered",
        "_decoder",
        "_failure",
        "_is_whole",
        "_left",
        "_must_continue",
        "_poll",
        "_settings",
        "_sock",
        "_waited_s",
        "_window_bytes",
        "lane",
        "received_bytes",
        "size_bytes",
    )

    def __init__(
        self,
        sock: AnySocket,
        head: RequestHead,
        buffered: bytearray,
        settings: ServerSettings,
        *,
        is_whole: bool,
    ) -> None:
        self.size_bytes = head.content_length
        self.received_bytes = 0
        self.lane = Lane.INLINE
        self._sock = sock
        self._buffered = buffered
        self._left = head.content_length or 0
        self._is_whole = is_whole
        self._must_continue = head.expects_continue and head.has_body
        self._settings = settings
        self._waited_s = 0.0
        self._window_bytes = 0
        self._poll: select.poll | None = None
        self._failure: BodyError | None = None
        self._decoder = ChunkedDecoder() if head.is_chunked else None

    @property
    def needs_streaming(self) -> bool:
        """Whether reading it waits for the client, or takes long."""
        return not self._is_whole or (self.size_bytes or 0) > self._settings.small_body_bytes

    def readinto(self, buffer: memoryview, /) -> int:
        """Body bytes, at least one until the end, then 0; raises BodyError, the same one again once it failed."""
        if self._failure is not None:
            raise self._failure
        if self.lane is Lane.INLINE and not self._is_whole:
            raise HandOn(Lane.STREAMING)
        try:
            count = self._known(buffer) if self._decoder is None else self._chunked(self._decoder, buffer)
        except BodyError as error:
            self._failure = error
            raise
        self.received_bytes += count
        return count

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, or all there is."""
        if size < 0 and self._decoder is None:
            size = self._left
        read = bytearray()
        block = memoryview(bytearray(min(size, FRAMING_BYTES) if size >= 0 else FRAMING_BYTES))
        while size < 0 or len(read) < size:
            count = self.readinto(block if size < 0 else block[: size - len(read)])
            if count == 0:
                break
            read += block[:count]
        return bytes(read)

    def discard(self) -> bool:
        """Pass over what is left if it is here already; whether the connection now stands at the next request."""
        if self._failure is not None:
            return False
        decoder = self._decoder
        if decoder is None:
            if self._left > len(self._buffered):
                return False
            del self._buffered[: self._left]
            self._left = 0
            return True
        try:
            while not decoder.is_over:
                del self._buffered[: decoder.advance(self._buffered, 0)]
                count = min(decoder.left_bytes, len(self._buffered))
                if count == 0 and not decoder.is_over:
                    return False
                decoder.take(count)
                del self._buffered[:count]
        except BodyError as error:
            self._failure = error
            return False
        return True

    def _known(self, buffer: memoryview) -> int:
        wanted = min(len(buffer), self._left)
        if wanted == 0:
            return 0
        count = self._take_raw(buffer[:wanted])
        if count == 0:
            raise IncompleteBody("the connection ended before Content-Length bytes")
        self._left -= count
        return count

    def _chunked(self, decoder: ChunkedDecoder, buffer: memoryview) -> int:
        if not len(buffer):
            return 0
        while decoder.left_bytes == 0:
            if decoder.is_over:
                return 0
            del self._buffered[: decoder.advance(self._buffered, 0)]
            if decoder.left_bytes == 0 and not decoder.is_over:
                raw = memoryview(bytearray(FRAMING_BYTES))
                count = self._receive(raw)
                if count == 0:
                    raise IncompleteBody("the connection ended inside the framing of chunks")
                self._buffered += raw[:count]
        count = self._take_raw(buffer[: min(len(buffer), decoder.left_bytes)])
        if count == 0:
            raise IncompleteBody("the connection ended inside a chunk")
        decoder.take(count)
        return count

    def _take_raw(self, buffer: memoryview) -> int:
        buffered = self._buffered
        if buffered:
            count = min(len(buffered), len(buffer))
            with memoryview(buffered) as view:
                buffer[:count] = view[:count]
            del buffered[:count]
            return count
        return self._receive(buffer)

    def _receive(self, buffer: memoryview) -> int:
        if self._must_continue:
            self._must_continue = False
            # Whoever did not wait for it has no use for it.
            if not self._buffered:
                self._send_continue()
        while True:
            try:
                count = self._sock.recv_into(buffer)
            except BlockingIOError:
                self._wait(select.POLLIN | select.POLLRDHUP)
            except OSError as error:
                raise IncompleteBody("the connection was reset") from error
            else:
                self._window_bytes += count
                return count

    def _send_continue(self) -> None:
        left = memoryview(CONTINUE)
        while left:
            try:
                left = left[self._sock.send(left) :]
            except BlockingIOError:
                self._wait(select.POLLOUT)
            except OSError as error:
                raise IncompleteBody("the connection was reset") from error

    def _wait(self, event: int) -> None:
        """Wait for the client; only waiting counts against the least rate, not what happens to bytes that came."""
        settings = self._settings
        if self._poll is None:
            self._poll = select.poll()
        self._poll.register(self._sock, event)
        left_s = settings.rate_window_s - self._waited_s
        started_s = time.monotonic()
        is_ready = left_s > 0 and self._poll.poll(left_s * 1000)
        self._waited_s += time.monotonic() - started_s
        if not is_ready or self._waited_s >= settings.rate_window_s:
            if self._window_bytes < settings.rate_window_s * settings.rate_bytes_min:
                raise BodyTooSlow("the body comes slower than the least rate")
            self._waited_s = 0.0
            self._window_bytes = 0


class ChunkedScan:
    """Follows a chunked body while it arrives, to tell whether it has come whole."""

    __slots__ = ("_at", "_decoder")

    def __init__(self) -> None:
        self._decoder = ChunkedDecoder()
        self._at = 0

    def is_whole(self, raw: bytearray) -> bool:
        """Whether the body lies whole at the beginning of `raw`, which only grew since the last call.

        A malformed one does: there is nothing more to wait for, and whoever reads it will find out.
        """
        decoder = self._decoder
        try:
            while not decoder.is_over:
                self._at = decoder.advance(raw, self._at)
                count = min(decoder.left_bytes, len(raw) - self._at)
                if count == 0 and not decoder.is_over:
                    return False
                decoder.take(count)
                self._at += count
        except BodyError:
            pass
        return True
