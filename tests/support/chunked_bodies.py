"""Bodies framed by aws-chunked, as clients write them and as none should: signatures and sizes can be made wrong."""

import hashlib
import hmac
from collections.abc import Sequence

from tests.support.sigv4_signer import EMPTY_SHA256, Pairs, Signer

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


class ChunkSigner:
    """Writes chunks one after the other, each signed over the one before; `seed` is the request's signature."""

    def __init__(self, signer: Signer, seed: str) -> None:
        self._signer = signer
        self._previous = seed

    def chunk(self, data: bytes, *, size_text: str | None = None) -> bytes:
        """One chunk with its line break, the last and empty one without: trailers or the end follow it."""
        signature = self._sign("AWS4-HMAC-SHA256-PAYLOAD", EMPTY_SHA256, hashlib.sha256(data).hexdigest())
        head = f"{len(data):x}" if size_text is None else size_text
        return f"{head};chunk-signature={signature}\r\n".encode() + (data + b"\r\n" if data else b"")

    def trailer(self, pairs: Pairs) -> bytes:
        """Trailing headers with their signature and the line that ends them."""
        lines = "".join(f"{name}:{value}\n" for name, value in pairs)
        signature = self._sign("AWS4-HMAC-SHA256-TRAILER", hashlib.sha256(lines.encode()).hexdigest())
        shown = "".join(f"{name}:{value}\r\n" for name, value in pairs)
        return f"{shown}x-amz-trailer-signature:{signature}\r\n\r\n".encode()

    def _sign(self, kind: str, *digests: str) -> str:
        text = "\n".join([kind, self._signer.amz_date, self._signer.scope, self._previous, *digests])
        self._previous = hmac.new(self._signer.key, text.encode(), hashlib.sha256).hexdigest()
        return self._previous


def signed_body(signer: Signer, seed: str, chunks: Sequence[bytes], trailers: Pairs | None = None) -> bytes:
    """A whole body of signed chunks; `trailers` None for the payload that has none."""
    writer = ChunkSigner(signer, seed)
    raw = b"".join(writer.chunk(each) for each in (*chunks, b""))
    return raw + (b"\r\n" if trailers is None else writer.trailer(trailers))


def unsigned_body(chunks: Sequence[bytes], trailers: Pairs = (), *, ends: bool = True) -> bytes:
    """A whole body of plain chunks; without its last chunk when it does not end."""
    raw = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks)
    if not ends:
        return raw
    return raw + b"0\r\n" + b"".join(f"{n}:{v}\r\n".encode() for n, v in trailers) + b"\r\n"


def signature_of(headers: Pairs) -> str:
    """The signature that an Authorization header carries: the seed of the chunks'."""
    return next(value for name, value in headers if name == "authorization").rpartition("Signature=")[2]
