"""x-amz-content-sha256: how a signature covers the body."""

from dataclasses import dataclass

from dataplane.wire.operations import PayloadKind
from dataplane.wire.refusals import InvalidArgument

SHA256_FIELD = "x-amz-content-sha256"
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

_HEX_DIGITS = "0123456789abcdef"
_SHA256_CHARS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """`text` is what the canonical request holds; `sha256` the body's digest where the signature covers it whole."""

    kind: PayloadKind
    text: str
    sha256: bytes | None = None

    @property
    def is_chunked(self) -> bool:
        return self.kind in _CHUNKED

    @property
    def has_signed_chunks(self) -> bool:
        return self.kind in _SIGNED_CHUNKS

    @property
    def has_trailer(self) -> bool:
        return self.kind in _TRAILER


_SIGNED_CHUNKS = frozenset({PayloadKind.STREAMING_SIGNED, PayloadKind.STREAMING_SIGNED_TRAILER})
_TRAILER = frozenset({PayloadKind.STREAMING_UNSIGNED_TRAILER, PayloadKind.STREAMING_SIGNED_TRAILER})
_CHUNKED = _SIGNED_CHUNKS | _TRAILER
_KINDS = {
    kind.value: Payload(kind=kind, text=kind.value) for kind in PayloadKind if kind is not PayloadKind.SIGNED
}


def read_payload(text: str) -> Payload:
    """Parse the value; raises InvalidArgument for anything that S3 does not know."""
    known = _KINDS.get(text)
    if known is not None:
        return known
    if len(text) != _SHA256_CHARS or text.strip(_HEX_DIGITS):
        raise InvalidArgument(
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
            name=SHA256_FIELD,
            value=text,
        )
    return Payload(kind=PayloadKind.SIGNED, text=text, sha256=bytes.fromhex(text))
