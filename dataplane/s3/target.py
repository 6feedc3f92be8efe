"""Request targets: the raw bytes of the request line, decoded once, into bucket, key and query."""

from dataclasses import dataclass, field

from dataplane.s3.faults import InvalidUri
from engine.names import BucketName, ObjectKey, bucket_name, object_key

_HEX = {digit: value for value, digit in enumerate(b"0123456789abcdef")} | {
    digit: value for value, digit in enumerate(b"0123456789ABCDEF")
}
_PERCENT = 0x25


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a request is about. `query` holds decoded names and values in their order; raw forms are what was sent."""

    raw_path: bytes
    raw_query: bytes
    bucket: BucketName | None
    key: ObjectKey | None
    query: tuple[tuple[str, str], ...] = ()
    _first: dict[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str | None:
        """Value of a query parameter, empty for a bare name, null when it is not there."""
        return self._first.get(name)

    def __contains__(self, name: str) -> bool:
        return name in self._first


def parse_target(raw: bytes) -> Target:
    """Parse an origin-form target in path style: `/bucket/key?query`.

    Keys are opaque: `//`, `.` and `..` stand as they are. Raises InvalidURI, InvalidBucketName, KeyTooLong, InvalidKey.
    """
    raw_path, _, raw_query = raw.partition(b"?")
    if not raw_path.startswith(b"/"):
        raise InvalidUri("the request target does not begin with a slash")
    raw_bucket, _, raw_key = raw_path[1:].partition(b"/")
    if not raw_bucket and raw_key:
        raise InvalidUri("the request target names no bucket")
    bucket = bucket_name(_text(percent_decoded(raw_bucket))) if raw_bucket else None
    key = object_key(percent_decoded(raw_key)) if raw_key else None
    if not raw_query:
        return Target(raw_path=raw_path, raw_query=b"", bucket=bucket, key=key)
    query = tuple(parse_query(raw_query))
    first: dict[str, str] = {}
    for name, value in query:
        first.setdefault(name, value)
    return Target(raw_path=raw_path, raw_query=raw_query, bucket=bucket, key=key, query=query, _first=first)


def parse_query(raw: bytes) -> list[tuple[str, str]]:
    """Names and values in order; a bare name has an empty value; `+` is a space. Raises InvalidURI."""
    pairs = []
    for each in raw.split(b"&"):
        if each:
            name, _, value = each.partition(b"=")
            pairs.append((_query_text(name), _query_text(value)))
    return pairs


def percent_decoded(raw: bytes) -> bytes:
    """Decode once; a percent sign without two hex digits is InvalidURI."""
    if _PERCENT not in raw:
        return raw
    head, *escaped = raw.split(b"%")
    parts = [head]
    for each in escaped:
        if len(each) < 2 or each[0] not in _HEX or each[1] not in _HEX:
            raise InvalidUri("a percent sign is not followed by two hex digits")
        parts.append(bytes((_HEX[each[0]] << 4 | _HEX[each[1]],)))
        parts.append(each[2:])
    return b"".join(parts)


def _query_text(raw: bytes) -> str:
    return _text(percent_decoded(raw.replace(b"+", b" ")))


def _text(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidUri("the request target is not valid UTF-8") from error
    if "\0" in text:
        raise InvalidUri("the request target holds a NUL")
    return text
