"""Request heads, strictly: what RFC 9112 calls invalid is refused, and nothing is guessed."""

import re
from dataclasses import dataclass

from dataplane.server.errors import Refused

HEAD_BYTES_MAX = 64 * 1024
LINE_BYTES_MAX = 16 * 1024
HEADER_COUNT_MAX = 100
LENGTH_DIGITS_MAX = 19

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(rb"[\x21-\x7e]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
_METHOD = re.compile(rb"[A-Z]{1,20}")


@dataclass(slots=True)
class RequestHead:
    """A request line and headers that passed every check. `content_length` is null without the header."""

    method: str
    target: bytes
    is_http_10: bool
    headers: list[tuple[bytes, bytes]]
    content_length: int | None = None
    is_chunked: bool = False
    expects_continue: bool = False
    keeps_alive: bool = True
    host: str = ""
    content_type: str = ""

    @property
    def has_body(self) -> bool:
        return self.is_chunked or bool(self.content_length)


def parse_head(raw: bytes) -> RequestHead:
    """Parse a head without its final empty line; raises Refused."""
    lines = raw.split(b"\r\n")
    head = _request_line(lines[0])
    if len(lines) - 1 > HEADER_COUNT_MAX:
        raise Refused(
            431, "RequestHeaderSectionTooLarge", f"a request has at most {HEADER_COUNT_MAX} headers"
        )
    headers = head.headers
    host_count = 0
    connection = b""
    for line in lines[1:]:
        if len(line) > LINE_BYTES_MAX:
            raise Refused(431, "RequestHeaderSectionTooLarge", "a header line is too long")
        name, colon, value = line.partition(b":")
        # A name with a space in it, a folded line and a line without a colon all fail here.
        if not colon or _TOKEN.fullmatch(name) is None:
            raise Refused(400, "BadRequest", "a header line is malformed")
        value = value.strip(b" \t")
        if _VALUE.fullmatch(value) is None:
            raise Refused(400, "BadRequest", "a header value holds a control character")
        name = name.lower()
        if b"_" in name:
            # Proxies turn dashes into underscores and back; such a name never stands for the dashed one.
            continue
        headers.append((name, value))
        if name == b"host":
            host_count += 1
            head.host = _host(value)
        elif name == b"content-length":
            if head.content_length is not None:
                raise Refused(400, "BadRequest", "Content-Length is repeated")
            head.content_length = _content_length(value)
        elif name == b"transfer-encoding":
            if head.is_chunked:
                raise Refused(400, "BadRequest", "Transfer-Encoding is repeated")
            if value.lower() != b"chunked":
                raise Refused(501, "NotImplemented", "no Transfer-Encoding but chunked is implemented")
            head.is_chunked = True
        elif name == b"connection":
            connection += b"," + value.lower()
        elif name == b"expect":
            if value.lower() != b"100-continue":
                raise Refused(417, "ExpectationFailed", "no expectation but 100-continue is known")
            head.expects_continue = not head.is_http_10
        elif name == b"content-type":
            head.content_type = value.decode("latin-1")
    if host_count > 1 or (host_count == 0 and not head.is_http_10):
        raise Refused(400, "BadRequest", "a request has exactly one Host header")
    if head.is_chunked and (head.content_length is not None or head.is_http_10):
        raise Refused(400, "BadRequest", "Transfer-Encoding excludes Content-Length and HTTP/1.0")
    options = {each.strip() for each in connection.split(b",")}
    head.keeps_alive = b"close" not in options and (not head.is_http_10 or b"keep-alive" in options)
    return head


def _request_line(line: bytes) -> RequestHead:
    parts = line.split(b" ")
    if len(parts) != 3:
        raise Refused(400, "BadRequest", "the request line is malformed")
    method, target, version = parts
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise Refused(400, "BadRequest", "only HTTP/1.1 and HTTP/1.0 are served")
    if len(target) > LINE_BYTES_MAX:
        raise Refused(414, "URITooLong", "the request target is too long")
    if _METHOD.fullmatch(method) is None:
        raise Refused(400, "BadRequest", "the method is malformed")
    if not target.startswith(b"/") or _TARGET.fullmatch(target) is None:
        raise Refused(400, "BadRequest", "the request target is not in origin form")
    return RequestHead(method.decode("ascii"), target, version == b"HTTP/1.0", [])


def _host(value: bytes) -> str:
    match = _HOST.fullmatch(value)
    if match is None or len(value) > 300 or (match[1] is not None and int(match[1]) > 65535):
        raise Refused(400, "BadRequest", "the Host header is malformed")
    return value.decode("ascii")


def _content_length(value: bytes) -> int:
    if not value.isdigit():
        raise Refused(400, "BadRequest", "Content-Length is not a number")
    if len(value) > LENGTH_DIGITS_MAX:
        raise Refused(400, "EntityTooLarge", "Content-Length is too large")
    return int(value)
