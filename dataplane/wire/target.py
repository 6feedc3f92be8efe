"""The raw request target taken apart once: bucket, key and query, in path style or under a bucket's own host."""

from dataclasses import dataclass
from functools import lru_cache

from dataplane.wire.refusals import InvalidUri, NotImplementedYet
from engine.errors import InvalidKey
from engine.names import BucketName, ObjectKey, bucket_name, object_key

_HEX_DIGITS = "0123456789abcdefABCDEF"
_OCTETS = {
    f"{high}{low}".encode(): bytes([int(high + low, 16)]) for high in _HEX_DIGITS for low in _HEX_DIGITS
}
_ORIGIN_FORM = bytes(range(0x21, 0x7F)).replace(b"#", b"")

REMEMBERED_BYTES_MAX = 256
REMEMBERED_COUNT = 4096

OBJECT_LAMBDA_PATH = b"/WriteGetObjectResponse"
"""The one operation of S3 whose path is no bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a request is about. `raw_path` and `raw_query` are the bytes as sent: signatures are over them.

    `query` keeps order and repetition; names and values are decoded once, as forms encode them.
    `is_hosted`: the bucket stood in the host, and the path holds the key alone.
    """

    bucket: BucketName | None
    key: ObjectKey | None
    query: tuple[tuple[str, str], ...]
    raw_path: bytes
    raw_query: bytes
    is_hosted: bool = False

    def get(self, name: str) -> str | None:
        """The first value of a query parameter, empty for a bare name."""
        for each, value in self.query:
            if each == name:
                return value
        return None

    def __contains__(self, name: str) -> bool:
        return any(each == name for each, _ in self.query)


def parse_target(raw: bytes, hosted: BucketName | None = None) -> Target:
    """`read_target`, remembered for short targets: hot objects are asked for again and again."""
    return _remembered_target(raw, hosted) if len(raw) <= REMEMBERED_BYTES_MAX else read_target(raw, hosted)


def read_target(raw: bytes, hosted: BucketName | None = None) -> Target:
    """Parse an origin-form target (RFC 9112, section 3.2.1), in path style without a bucket `hosted` by the host.

    The path is split at the first `/` after the bucket as sent, then decoded, so that an escaped slash never moves
    the border; keys are opaque and never normalised: `a//b`, `..` and a trailing slash stay what they are. Raises
    WireError InvalidURI for bad escapes, raw octets that no URI holds, keys that are no UTF-8 and an empty bucket;
    InvalidBucketName and KeyTooLong come from the names themselves.
    """
    if not raw.startswith(b"/") or raw.translate(None, _ORIGIN_FORM):
        raise InvalidUri
    raw_path, _, raw_query = raw.partition(b"?")
    query = parse_query(raw_query) if raw_query else ()
    if hosted is not None:
        return Target(
            bucket=hosted,
            key=_key(raw_path[1:]) if raw_path != b"/" else None,
            query=query,
            raw_path=raw_path,
            raw_query=raw_query,
            is_hosted=True,
        )
    if raw_path == b"/":
        return Target(bucket=None, key=None, query=query, raw_path=raw_path, raw_query=raw_query)
    if raw_path == OBJECT_LAMBDA_PATH:
        raise NotImplementedYet("WriteGetObjectResponse")
    raw_bucket, _, raw_key = raw_path[1:].partition(b"/")
    return Target(
        bucket=_bucket(raw_bucket),
        key=_key(raw_key) if raw_key else None,
        query=query,
        raw_path=raw_path,
        raw_query=raw_query,
    )


_remembered_target = lru_cache(maxsize=REMEMBERED_COUNT)(read_target)


def parse_query(raw: bytes) -> tuple[tuple[str, str], ...]:
    """Names and values in order; a name without `=` has the empty value, empty pieces are skipped."""
    pairs = []
    for piece in raw.split(b"&"):
        if piece:
            name, _, value = piece.partition(b"=")
            pairs.append((_query_text(name), _query_text(value)))
    return tuple(pairs)


def percent_decoded(raw: bytes) -> bytes:
    """Decode `%XX` once, strictly; raises WireError InvalidURI at any escape that is none."""
    if b"%" not in raw:
        return raw
    first, *rest = raw.split(b"%")
    decoded = [first]
    for piece in rest:
        octet = _OCTETS.get(piece[:2])
        if octet is None:
            raise InvalidUri
        decoded.append(octet)
        decoded.append(piece[2:])
    return b"".join(decoded)


def form_decoded(raw: bytes) -> bytes:
    """Decode a name or value of a query: as `percent_decoded`, and `+` is a space.

    S3 reads queries as forms write them, and so the libraries that write spaces that way sign `%20` for each. In paths
    `+` is a plus.
    """
    return percent_decoded(raw.replace(b"+", b" "))


def _bucket(raw: bytes) -> BucketName:
    if not raw:
        raise InvalidUri
    return bucket_name(percent_decoded(raw).decode("utf-8", "replace"))


def _key(raw: bytes) -> ObjectKey:
    try:
        return object_key(percent_decoded(raw))
    except InvalidKey as error:
        raise InvalidUri from error


def _query_text(raw: bytes) -> str:
    try:
        return form_decoded(raw).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidUri from error
