"""aws-chunked: the framing around a body whose signature or checksum comes in pieces, decoded as it arrives.

    size;chunk-signature=<64 hex> CRLF data CRLF … 0;chunk-signature=<64 hex> CRLF trailer:value CRLF CRLF

Everything is checked on the way (S3 API, signature calculations for a body in multiple chunks, and with trailers).
"""

import hashlib
from typing import Protocol

from dataplane.wire.refusals import IncompleteBody, MalformedTrailer, SignatureDoesNotMatch
from engine.units import KIB

LINE_BYTES_MAX = KIB
"""A chunk header or trailer line; a header as SDKs write it has less than a hundred bytes."""
TRAILER_COUNT_MAX = 8
SIZE_DIGITS_MAX = 16
_WINDOW_BYTES = 4 * KIB
_TRAILER_SIGNATURE = b"x-amz-trailer-signature"
_HEX_DIGITS = b"0123456789abcdefABCDEF"


class Source(Protocol):
    """Raw bytes of a request's body: fills at most the buffer, 0 at the end."""

    def readinto(self, buffer: memoryview, /) -> int: ...


class ChunkSignatures(Protocol):
    """Expects each chunk's signature after the one before it; raises SignatureDoesNotMatch."""

    def check_chunk(self, signature: str, data_sha256: str) -> None: ...

    def check_trailer(self, signature: str, trailer_sha256: str) -> None: ...


class AwsChunkedReader:
    """Decodes a body while it is read. For one thread.

    Data inside a chunk is read from the source straight into the caller's buffer; framing passes through a window of
    4 KiB. `signatures` is None where chunks are not signed; `trailers` are the lower-case names that x-amz-trailer
    announced, and `has_trailer` says that the payload kind has trailers at all.
    """

    def __init__(
        self,
        source: Source,
        *,
        decoded_bytes: int,
        signatures: ChunkSignatures | None = None,
        has_trailer: bool = False,
        trailers: tuple[str, ...] = (),
    ) -> None:
        self._source = source
        self._left_bytes = decoded_bytes
        self._signatures = signatures
        self._has_trailer = has_trailer
        self._announced = trailers
        self._window = bytearray(_WINDOW_BYTES)
        self._view = memoryview(self._window)
        self._start = 0
        self._stop = 0
        self._chunk_left_bytes = 0
        self._chunk_signature = ""
        self._hash = hashlib.sha256()
        self._is_over = False
        self.trailers: dict[str, str] = {}

    def readinto(self, buffer: memoryview, /) -> int:
        """Decoded bytes, at most the rest of the chunk at hand; 0 once the end and all that follows it held.

        Raises IncompleteBody for broken framing and for more or fewer bytes than were announced, SignatureDoesNotMatch
        for a chunk, MalformedTrailer for a trailer.
        """
        if self._is_over or not len(buffer):
            return 0
        if self._chunk_left_bytes == 0 and not self._begin_chunk():
            return 0
        wanted = buffer[: self._chunk_left_bytes]
        count = self._take_buffered(wanted) or self._source.readinto(wanted)
        if count == 0:
            raise IncompleteBody
        if self._signatures is not None:
            self._hash.update(wanted[:count])
        self._chunk_left_bytes -= count
        self._left_bytes -= count
        if self._chunk_left_bytes == 0:
            self._end_chunk()
        return count

    def finish(self) -> None:
        """Read what stands behind the announced bytes: the last chunk, the trailers, and nothing more."""
        while not self._is_over:
            if self._chunk_left_bytes or self._begin_chunk():
                raise IncompleteBody

    def _begin_chunk(self) -> bool:
        """Read a chunk's header; False after the last one, whose trailers are read with it."""
        size_text, _, extension = self._line().partition(b";")
        size_bytes = _chunk_size(size_text)
        self._read_signature(extension)
        if size_bytes > self._left_bytes or (size_bytes == 0 and self._left_bytes):
            raise IncompleteBody("The body is not as long as x-amz-decoded-content-length says.")
        self._chunk_left_bytes = size_bytes
        if size_bytes:
            return True
        if self._signatures is not None:
            self._signatures.check_chunk(self._chunk_signature, self._hash.hexdigest())
        if self._has_trailer:
            self._read_trailers()
        elif self._line():
            raise IncompleteBody
        if self._start != self._stop or self._source.readinto(self._view[:1]):
            raise IncompleteBody("Something follows the end of the body.")
        self._is_over = True
        return False

    def _end_chunk(self) -> None:
        if self._line():
            raise IncompleteBody
        if self._signatures is not None:
            self._signatures.check_chunk(self._chunk_signature, self._hash.hexdigest())
            self._hash = hashlib.sha256()

    def _read_signature(self, extension: bytes) -> None:
        if self._signatures is None:
            if extension:
                raise IncompleteBody
            return
        name, _, signature = extension.partition(b"=")
        if name != b"chunk-signature":
            raise SignatureDoesNotMatch
        self._chunk_signature = signature.decode("latin-1")

    def _read_trailers(self) -> None:
        """Only announced trailers, each once and all of them; signed ones are signed together."""
        signed = hashlib.sha256()
        signature: str | None = None
        line_count = 0
        while line := self._line():
            line_count += 1
            if line_count > TRAILER_COUNT_MAX:
                raise MalformedTrailer("The request holds too many trailing headers.")
            if signature is not None:
                raise MalformedTrailer("Something follows the signature of the trailing headers.")
            # Some SDKs end a trailer by a line feed of its own before the line's end.
            raw_name, colon, raw_value = line.removesuffix(b"\n").partition(b":")
            name, value = raw_name.strip(b" \t").lower(), raw_value.strip(b" \t")
            if not colon:
                raise MalformedTrailer("The request contained trailing data that was not well-formed.")
            if name == _TRAILER_SIGNATURE and self._signatures is not None:
                signature = value.decode("latin-1")
                continue
            self._keep_trailer(name.decode("latin-1"), value.decode("latin-1"))
            signed.update(name + b":" + value + b"\n")
        if set(self.trailers) != set(self._announced):
            raise MalformedTrailer("A trailing header that x-amz-trailer announced did not come.")
        if self._signatures is not None:
            if signature is None:
                raise SignatureDoesNotMatch
            self._signatures.check_trailer(signature, signed.hexdigest())

    def _keep_trailer(self, name: str, value: str) -> None:
        if name not in self._announced or name in self.trailers:
            raise MalformedTrailer("A trailing header was not announced in x-amz-trailer, or came twice.")
        self.trailers[name] = value

    def _take_buffered(self, buffer: memoryview) -> int:
        count = min(len(buffer), self._stop - self._start)
        if count:
            buffer[:count] = self._view[self._start : self._start + count]
            self._start += count
        return count

    def _line(self) -> bytes:
        """A line without its CRLF, from the window; raises IncompleteBody when none ends within the bound."""
        searched = self._start
        while (end := self._window.find(b"\r\n", searched, self._stop)) < 0:
            if self._stop - self._start > LINE_BYTES_MAX:
                raise IncompleteBody
            searched = self._fill()
        line = bytes(self._view[self._start : end])
        if len(line) > LINE_BYTES_MAX:
            raise IncompleteBody
        self._start = end + 2
        return line

    def _fill(self) -> int:
        """Read more into the window; returns where the search for the line's end goes on."""
        waiting = self._stop - self._start
        if self._start and (waiting == 0 or self._stop == _WINDOW_BYTES):
            self._view[:waiting] = bytes(self._view[self._start : self._stop])
            self._start, self._stop = 0, waiting
        count = self._source.readinto(self._view[self._stop :])
        if count == 0:
            raise IncompleteBody
        # The carriage return may be the last byte that was here before.
        searched = max(self._start, self._stop - 1)
        self._stop += count
        return searched


def _chunk_size(text: bytes) -> int:
    """Hexadecimal digits alone: `int` would also take signs, blanks, underscores and `0x`."""
    if not 1 <= len(text) <= SIZE_DIGITS_MAX or text.strip(_HEX_DIGITS):
        raise IncompleteBody
    return int(text, 16)
