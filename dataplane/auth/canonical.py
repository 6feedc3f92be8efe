"""Canonical requests: the text that Signature Version 4 is computed over, from the bytes as they came."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote_from_bytes

from dataplane.wire.refusals import SignatureDoesNotMatch
from dataplane.wire.target import form_decoded

_SIGNATURE_PARAMETER = b"X-Amz-Signature"
_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"


def canonical_request(
    *,
    method: str,
    raw_path: bytes,
    canonical_query: str,
    headers: Mapping[str, str],
    signed_headers: Sequence[str],
    payload_text: str,
) -> bytes:
    """The canonical request (S3 API, authenticating requests: canonical request).

    The path is taken as sent: S3 normalises nothing and clients sign the path they send. Header values are octets in
    ISO 8859-1; blanks at their ends are gone already, runs of them inside become one. Raises SignatureDoesNotMatch
    for a signed header that is not there.
    """
    try:
        lines = "".join([f"{name}:{headers[name]}\n" for name in signed_headers])
        if "  " in lines or "\t" in lines:
            lines = "".join([f"{name}:{_squeezed(headers[name])}\n" for name in signed_headers])
    except KeyError:
        raise SignatureDoesNotMatch from None
    return (
        f"{method}\n{raw_path.decode('latin-1')}\n{canonical_query}\n{lines}\n"
        f"{';'.join(signed_headers)}\n{payload_text}"
    ).encode("latin-1")


def canonical_query(raw: bytes, *, without_signature: bool = False) -> str:
    """Parameters sorted by their encoded names and values; a space is `%20`, whether it came as that or as `+`."""
    if not raw:
        return ""
    pairs = []
    for piece in raw.split(b"&"):
        if piece:
            name, _, value = piece.partition(b"=")
            if not (without_signature and name == _SIGNATURE_PARAMETER):
                pairs.append((_canonical(name), _canonical(value)))
    pairs.sort()
    return "&".join([f"{name}={value}" for name, value in pairs])


def _canonical(raw: bytes) -> str:
    # Stripping leaves nothing exactly when every octet is unreserved.
    if not raw.strip(_UNRESERVED):
        return raw.decode("ascii")
    return quote_from_bytes(form_decoded(raw), safe="~")


def _squeezed(value: str) -> str:
    # Blanks of ASCII alone: `str.split` would also take octets of UTF-8 that look like other kinds of space.
    return " ".join(piece for piece in value.replace("\t", " ").split(" ") if piece)
