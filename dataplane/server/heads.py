"""Request heads, strictly: what RFC 9112 calls invalid is refused, and nothing is guessed."""

import re
from dataclasses import dataclass

from dataplane.server.errors import Refused

HEAD_BYTES_MAX = 64 * 1024
LINE_BYTES_MAX = 16 * 1024
HEADER_COUNT_MAX = 100
LENGTH_DIGITS_MAX = 19
HOST_BYTES_MAX = 300
NAME_CACHE_COUNT_MAX = 512
NAME_CACHE_BYTES_MAX = 64

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(rb"/[\x21-\x7e]*")
_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
_METHOD = re.compile(rb"[A-Z]{1,20}")
_LEGAL = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
_BREAKS = b"\r\n" * (HEADER_COUNT_MAX + 1)
_FRAMING = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"content-type")
)
_DROPPED = b""

# Clients send the same few names again and again; a name found here needs neither check nor lowering.
_names: dict[bytes, bytes] = {}


@dataclass(slots=True)
class RequestHead:
    """A request line and headers that passed every check. `content_length` is None without the header."""

    method: str
    target: bytes
    is_http_10: bool
    headers: list[tuple[bytes, bytes]]
    content_length: int | None = None
    is_chunked: bool = False
    expects_continue: bool = False
    keeps_alive: bool = True
    host: str = ""
    content_type: str | None = None

    @property
    def has_body(self) -> bool:
        return self.is_chunked or bool(self.content_length)


def parse_head(raw: bytes) -> RequestHead:
    """Parse a head without its final empty line; raises Refused."""
    lines = raw.split(b"\r\n")
    header_count = len(lines) - 1
    if len(lines[0]) > LINE_BYTES_MAX:
        raise Refused(414, "URITooLong", "the request line is too long")
    head = _request_line(lines[0])
    if header_count > HEADER_COUNT_MAX:
        raise Refused(
            431, "RequestHeaderSectionTooLarge", f"a request has at most {HEADER_COUNT_MAX} headers"
        )
    # What is left without the legal bytes are the line breaks: a bare LF or CR, NUL and other controls would show.
    if raw.translate(None, _LEGAL) != _BREAKS[: 2 * header_count]:
        raise Refused(400, "BadRequest", "a header holds a control character")
    if len(raw) > LINE_BYTES_MAX and max(map(len, lines)) > LINE_BYTES_MAX:
        raise Refused(431, "RequestHeaderSectionTooLarge", "a header line is too long")
    headers = head.headers
    del lines[0]
    has_host = False
    connection = b""
    for line in lines:
        name, colon, value = line.partition(b":")
        lowered = _names.get(name)
        if lowered is None:
            lowered = _checked_name(name)
        if not colon:
            raise Refused(400, "BadRequest", "a header line is malformed")
        if lowered == _DROPPED:
            continue
        value = value.strip(b" \t")
        headers.append((lowered, value))
        if lowered not in _FRAMING:
            continue
        if lowered == b"host":
            if has_host:
                raise Refused(400, "BadRequest", "a request has exactly one Host header")
            has_host = True
            head.host = _host(value)
        elif lowered == b"content-length":
            if head.content_length is not None:
                raise Refused(400, "BadRequest", "Content-Length is repeated")
            head.content_length = _content_length(value)
        elif lowered == b"transfer-encoding":
            if head.is_chunked:
                raise Refused(400, "BadRequest", "Transfer-Encoding is repeated")
            if value.lower() != b"chunked":
                raise Refused(501, "NotImplemented", "no Transfer-Encoding but chunked is implemented")
            head.is_chunked = True
        elif lowered == b"connection":
            connection += b"," + value.lower()
        elif lowered == b"expect":
            if value.lower() != b"100-continue":
                raise Refused(417, "ExpectationFailed", "no expectation but 100-continue is known")
            head.expects_continue = not head.is_http_10
        else:
            head.content_type = value.decode("latin-1")
    if not has_host and not head.is_http_10:
        raise Refused(400, "BadRequest", "a request has exactly one Host header")
    if head.is_chunked and (head.content_length is not None or head.is_http_10):
        raise Refused(400, "BadRequest", "Transfer-Encoding excludes Content-Length and HTTP/1.0")
    if connection or head.is_http_10:
        options = {each.strip(b" \t") for each in connection.split(b",")}
        head.keeps_alive = b"close" not in options and (not head.is_http_10 or b"keep-alive" in options)
    return head


def check_beginning(raw: bytes | bytearray) -> None:
    """Refuse a head that is still arriving for what can be seen already; raises Refused.

    `raw` begins at the request line and may end anywhere.
    """
    if not 0x41 <= raw[0] <= 0x5A:
        raise Refused(400, "BadRequest", "the request line is malformed")
    end = raw.find(b"\r\n")
    if end >= 0:
        _request_line(bytes(raw[:end]))
    elif len(raw) > LINE_BYTES_MAX:
        raise Refused(414, "URITooLong", "the request line is too long")


def _request_line(line: bytes) -> RequestHead:
    parts = line.split(b" ")
    if len(parts) != 3:
        raise Refused(400, "BadRequest", "the request line is malformed")
    method, target, version = parts
    if version != b"HTTP/1.1" and version != b"HTTP/1.0":
        raise Refused(400, "BadRequest", "only HTTP/1.1 and HTTP/1.0 are served")
    if _METHOD.fullmatch(method) is None:
        raise Refused(400, "BadRequest", "the method is malformed")
    if _TARGET.fullmatch(target) is None:
        raise Refused(400, "BadRequest", "the request target is not in origin form")
    return RequestHead(method.decode("ascii"), target, version == b"HTTP/1.0", [])


def _checked_name(name: bytes) -> bytes:
    """The name in lower case, or empty when it is to be dropped."""
    # A name with a space in it, a folded line and an empty name all fail here.
    if _TOKEN.fullmatch(name) is None:
        raise Refused(400, "BadRequest", "a header name is malformed")
    # Proxies turn dashes into underscores and back; such a name never stands for the dashed one.
    lowered = _DROPPED if b"_" in name else name.lower()
    if len(name) <= NAME_CACHE_BYTES_MAX and len(_names) < NAME_CACHE_COUNT_MAX:
        _names[name] = lowered
    return lowered


def _host(value: bytes) -> str:
    match = _HOST.fullmatch(value)
    if match is None or len(value) > HOST_BYTES_MAX or (match[1] is not None and int(match[1]) > 65535):
        raise Refused(400, "BadRequest", "the Host header is malformed")
    return value.decode("ascii")


def _content_length(value: bytes) -> int:
    if not value.isdigit():
        raise Refused(400, "BadRequest", "Content-Length is not a number")
    if len(value) > LENGTH_DIGITS_MAX:
        raise Refused(400, "EntityTooLarge", "Content-Length is too large")
    return int(value)
