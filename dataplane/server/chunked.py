"""Transfer-Encoding: chunked, decoded as it is read (RFC 9112, section 7.1)."""

from collections.abc import Callable

from dataplane.server.errors import IncompleteBody, MalformedFraming

LINE_BYTES_MAX = 256
TRAILER_LINES_MAX = 16
SIZE_DIGITS_MAX = 16
_HEX = frozenset(b"0123456789abcdefABCDEF")

ReadInto = Callable[[memoryview], int]


class ChunkedDecoder:
    """Pulls raw bytes through `read` and hands data out; trailers are read and dropped."""

    def __init__(self, read: ReadInto) -> None:
        self._read = read
        self._left = 0
        self._is_first = True
        self.is_over = False
        self._one = memoryview(bytearray(1))

    def readinto(self, buffer: memoryview) -> int:
        """Data bytes; 0 at the end of the last chunk and its trailers."""
        if self.is_over:
            return 0
        if self._left == 0:
            self._begin()
            if self.is_over:
                return 0
        count = self._read(buffer[: min(len(buffer), self._left)])
        if count == 0:
            raise IncompleteBody("the connection ended inside a chunk")
        self._left -= count
        return count

    def _begin(self) -> None:
        if not self._is_first and self._line() != b"":
            raise MalformedFraming("a chunk is longer than its size says")
        self._is_first = False
        line = self._line()
        size_text, _, extension = line.partition(b";")
        if not size_text or len(size_text) > SIZE_DIGITS_MAX or not _HEX.issuperset(size_text):
            raise MalformedFraming("a chunk size is not a hexadecimal number")
        if b"\n" in extension or b"\r" in extension:
            raise MalformedFraming("a chunk extension holds a line break")
        self._left = int(size_text, 16)
        if self._left == 0:
            for _ in range(TRAILER_LINES_MAX):
                if self._line() == b"":
                    self.is_over = True
                    return
            raise MalformedFraming("too many trailers")

    def _line(self) -> bytes:
        line = bytearray()
        while not line.endswith(b"\r\n"):
            if self._read(self._one) == 0:
                raise IncompleteBody("the connection ended inside a chunk header")
            line += self._one
            if len(line) > LINE_BYTES_MAX or (line.endswith(b"\n") and not line.endswith(b"\r\n")):
                raise MalformedFraming("a chunk header is malformed")
        return bytes(line[:-2])
