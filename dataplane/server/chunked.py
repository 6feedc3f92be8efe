"""Transfer-Encoding: chunked, as pure bookkeeping over bytes that lie in a buffer (RFC 9112, section 7.1)."""

from dataplane.server.errors import MalformedFraming

LINE_BYTES_MAX = 256
TRAILER_LINES_MAX = 16
SIZE_DIGITS_MAX = 16
_HEX = frozenset(b"0123456789abcdefABCDEF")
_LEGAL = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])


class ChunkedDecoder:
    """Says what the next raw bytes are: framing, which `advance` passes over, or data, of which `left_bytes` follow.

    Whoever takes data counts it with `take`. Trailers are checked for their form and dropped.
    """

    __slots__ = ("_is_first", "_trailer_lines_left", "is_over", "left_bytes")

    def __init__(self) -> None:
        self.left_bytes = 0
        self.is_over = False
        self._is_first = True
        self._trailer_lines_left = 0

    def advance(self, raw: bytearray, start: int) -> int:
        """Pass over the framing at `start`, and return where data, the end, or bytes yet to come begin.

        Afterwards `left_bytes` is positive, or `is_over` is true, or more bytes are needed. Raises MalformedFraming.
        """
        while self.left_bytes == 0 and not self.is_over:
            if self._trailer_lines_left == 0 and not self._is_first:
                # The line break that ends the data of the chunk before.
                after = raw[start : start + 2]
                if after != b"\r\n"[: len(after)]:
                    raise MalformedFraming("a chunk is longer than its size says")
                if len(after) < 2:
                    return start
                head = start + 2
            else:
                head = start
            end = raw.find(b"\n", head, head + LINE_BYTES_MAX)
            if end < 0:
                if len(raw) - head >= LINE_BYTES_MAX:
                    raise MalformedFraming("a chunk header is too long")
                return start
            line = bytes(raw[head:end])
            if not line.endswith(b"\r") or line[:-1].translate(None, _LEGAL):
                raise MalformedFraming("a chunk header is malformed")
            if self._trailer_lines_left:
                self._trailer(line[:-1])
            else:
                self._header(line[:-1])
            start = end + 1
        return start

    def take(self, count: int) -> None:
        self.left_bytes -= count

    def _header(self, line: bytes) -> None:
        self._is_first = False
        size_text, _, _ = line.partition(b";")
        if not size_text or len(size_text) > SIZE_DIGITS_MAX or not _HEX.issuperset(size_text):
            raise MalformedFraming("a chunk size is not a hexadecimal number")
        self.left_bytes = int(size_text, 16)
        if self.left_bytes == 0:
            self._trailer_lines_left = TRAILER_LINES_MAX + 1

    def _trailer(self, line: bytes) -> None:
        if not line:
            self.is_over = True
            return
        name, colon, _ = line.partition(b":")
        if not colon or not name or name != name.strip(b" \t"):
            raise MalformedFraming("a trailer is malformed")
        self._trailer_lines_left -= 1
        if self._trailer_lines_left == 0:
            raise MalformedFraming("too many trailers")
