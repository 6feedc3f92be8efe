"""aws-chunked: the framing SDKs put around a body whose checksum or signature comes in pieces.

`size;chunk-signature=…\\r\\n data \\r\\n … 0;chunk-signature=…\\r\\n trailer: value\\r\\n \\r\\n` (S3 API, Signature
calculations: multiple chunks). Everything is checked as it arrives; a body that fails never ends well.
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Protocol

from dataplane.s3.faults import (
    IncompleteBody,
    InvalidRequest,
    MalformedTrailer,
    SignatureDoesNotMatch,
)

HEADER_BYTES_MAX = 512
"""Longest chunk header; `size;chunk-signature=<64 hex>` needs less than a hundred."""

TRAILER_BYTES_MAX = 4096
SIZE_DIGITS_MAX = 16
_READ_BYTES = 1024
_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


class Source(Protocol):
    """Raw bytes of the request's body; 0 at its end."""

    def readinto(self, buffer: memoryview, /) -> int: ...


class ChunkSigner:
    """Expected signatures of one body's chunks, each seeded by the one before."""

    def __init__(self, *, signing_key: bytes, scope: str, date: str, seed: str) -> None:
        self._key = signing_key
        self._prefix = f"\n{date}\n{scope}\n"
        self._previous = seed

    def check_chunk(self, given: str, data_sha256: str) -> None:
        text = f"AWS4-HMAC-SHA256-PAYLOAD{self._prefix}{self._previous}\n{_EMPTY_SHA256}\n{data_sha256}"
        self._check(given, text)

    def check_trailer(self, given: str, trailer_sha256: str) -> None:
        self._check(given, f"AWS4-HMAC-SHA256-TRAILER{self._prefix}{self._previous}\n{trailer_sha256}")

    def _check(self, given: str, text: str) -> None:
        expected = hmac.digest(self._key, text.encode("ascii"), "sha256").hex()
        if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
            raise SignatureDoesNotMatch("the signature of a chunk does not match")
        self._previous = expected


class AwsChunkedReader:
    """Decodes a body as it is read. Data inside a chunk goes straight into the caller's buffer.

    `signer` is null for unsigned chunks; `trailers` names the trailers that must come, in lower case, none where the
    payload kind has no trailer.
    """

    def __init__(
        self,
        source: Source,
        *,
        decoded_bytes: int,
        signer: ChunkSigner | None,
        trailers: Sequence[str],
        has_trailer: bool,
    ) -> None:
        self._source = source
        self._left_bytes = decoded_bytes
        self._signer = signer
        self._expected = tuple(trailers)
        self._has_trailer = has_trailer
        self._pending = bytearray()
        self._scratch = memoryview(bytearray(_READ_BYTES))
        self._chunk_left = 0
        self._chunk_signature = ""
        self._sha256 = hashlib.sha256()
        self._is_over = False
        self.trailers: dict[str, str] = {}

    def readinto(self, buffer: memoryview, /) -> int:
        """Decoded bytes; 0 at the end, once the last chunk and the trailers were checked."""
        if self._is_over or not len(buffer):
            return 0
        if self._chunk_left == 0:
            self._begin_chunk()
            if self._is_over:
                return 0
        count = self._read_data(buffer[: min(len(buffer), self._chunk_left)])
        if self._signer is not None:
            self._sha256.update(buffer[:count])
        self._chunk_left -= count
        self._left_bytes -= count
        if self._chunk_left == 0:
            self._end_chunk()
        if self._left_bytes == 0 and self._chunk_left == 0:
            # All announced bytes are here; what follows must hold before the caller may believe them.
            self._begin_chunk()
            if not self._is_over:
                raise IncompleteBody("the body holds more than x-amz-decoded-content-length says")
        return count

    def finish(self) -> None:
        """Read to the end; for empty bodies, whose end nobody reads otherwise."""
        if not self._is_over:
            self._begin_chunk()
            if not self._is_over:
                raise IncompleteBody("the body holds more than x-amz-decoded-content-length says")

    def _begin_chunk(self) -> None:
        header = self._read_line(HEADER_BYTES_MAX)
        size_text, separator, extension = header.partition(b";")
        size = _read_size(size_text)
        if self._signer is not None:
            name, _, signature = extension.partition(b"=")
            if not separator or name.strip() != b"chunk-signature":
                raise IncompleteBody("a chunk has no signature")
            self._chunk_signature = signature.decode("latin-1")
        if size > self._left_bytes:
            raise IncompleteBody("the body holds more than x-amz-decoded-content-length says")
        if size:
            self._chunk_left = size
            return
        if self._left_bytes:
            raise IncompleteBody("the body ended before x-amz-decoded-content-length bytes")
        if self._signer is not None:
            self._signer.check_chunk(self._chunk_signature, _EMPTY_SHA256)
        self._read_end()
        self._is_over = True

    def _end_chunk(self) -> None:
        if self._take(2) != b"\r\n":
            raise IncompleteBody("a chunk is longer or shorter than its size says")
        if self._signer is not None:
            self._signer.check_chunk(self._chunk_signature, self._sha256.hexdigest())
            self._sha256 = hashlib.sha256()

    def _read_end(self) -> None:
        """Trailers, the empty line, and nothing behind it."""
        if self._has_trailer:
            self._read_trailers()
        else:
            # Some senders leave the last empty line out; nothing depends on it.
            rest = self._take(2, may_end=True)
            if rest not in (b"", b"\r\n"):
                raise IncompleteBody("something follows the last chunk")
        if self._pending or self._source.readinto(self._scratch[:1]):
            raise IncompleteBody("something follows the end of the body")

    def _read_trailers(self) -> None:
        signed = bytearray()
        signature: str | None = None
        size_bytes = 0
        while line := self._read_line(TRAILER_BYTES_MAX, may_end=True):
            size_bytes += len(line)
            if size_bytes > TRAILER_BYTES_MAX:
                raise MalformedTrailer("the trailers are too long")
            raw_name, colon, raw_value = line.partition(b":")
            name = raw_name.decode("latin-1").strip().lower()
            value = raw_value.decode("latin-1").strip()
            if not colon or name in self.trailers:
                raise MalformedTrailer("a trailer is malformed")
            if name == "x-amz-trailer-signature":
                signature = value
                continue
            if name not in self._expected:
                raise MalformedTrailer(f"the trailer {name[:80]!r} was not announced in x-amz-trailer")
            self.trailers[name] = value
            signed += f"{name}:{value}\n".encode("latin-1")
        for name in self._expected:
            if name not in self.trailers:
                raise MalformedTrailer(f"the trailer {name[:80]!r} was announced and did not come")
        if self._signer is not None:
            if signature is None:
                raise SignatureDoesNotMatch("the trailer has no signature")
            self._signer.check_trailer(signature, hashlib.sha256(signed).hexdigest())

    def _read_data(self, buffer: memoryview) -> int:
        if self._pending:
            count = min(len(self._pending), len(buffer))
            buffer[:count] = self._pending[:count]
            del self._pending[:count]
            return count
        count = self._source.readinto(buffer)
        if count == 0:
            raise IncompleteBody("the body ended inside a chunk")
        return count

    def _read_line(self, bytes_max: int, *, may_end: bool = False) -> bytes:
        searched = 0
        while (end := self._pending.find(b"\r\n", max(0, searched - 1))) < 0:
            searched = len(self._pending)
            if searched > bytes_max:
                raise IncompleteBody("a chunk header is too long")
            if not self._fill():
                if may_end and not self._pending:
                    return b""
                raise IncompleteBody("the body ended before its last chunk")
        if end > bytes_max:
            raise IncompleteBody("a chunk header is too long")
        line = bytes(self._pending[:end])
        del self._pending[: end + 2]
        return line

    def _take(self, count: int, *, may_end: bool = False) -> bytes:
        while len(self._pending) < count:
            if not self._fill():
                if may_end:
                    break
                raise IncompleteBody("the body ended inside a chunk")
        taken = bytes(self._pending[:count])
        del self._pending[:count]
        return taken

    def _fill(self) -> bool:
        count = self._source.readinto(self._scratch)
        self._pending += self._scratch[:count]
        return count > 0


def _read_size(text: bytes) -> int:
    if (
        not text
        or len(text) > SIZE_DIGITS_MAX
        or not all(digit in b"0123456789abcdefABCDEF" for digit in text)
    ):
        raise IncompleteBody("a chunk size is not a hexadecimal number")
    return int(text, 16)


def check_announced(trailers: Sequence[str]) -> None:
    """Only checksums come as trailers; anything else is refused before the body is read."""
    for name in trailers:
        if not name.startswith("x-amz-checksum-"):
            raise InvalidRequest(f"the value specified in x-amz-trailer is not supported: {name[:80]}")
    if len(trailers) > 1:
        raise InvalidRequest("expecting a single x-amz-checksum- trailer")
