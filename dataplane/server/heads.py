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

_REQUEST_LINE = re.compile(rb"([A-Z]{1,20}) (/[\x21-\x7e]*+) HTTP/1\.([01])(?=\r\n|\Z)")
_HEADER = re.compile(
    rb"\r\n([!#$%&'*+\-.^_`|~0-9A-Za-z]++):[ \t]*+([\t\x20-\x7e\x80-\xff]*+)(?=\r\n|\Z)",
)
_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
_DROPPED = b""


class _Names(dict[bytes, bytes]):
    """Names in lower case, empty for those to drop. Clients send the same few again and again."""

    def __missing__(self, name: bytes) -> bytes:
        # Proxies turn dashes into underscores and back; such a name never stands for the dashed one.
        lowered = _DROPPED if b"_" in name else name.lower()
        if len(name) <= NAME_CACHE_BYTES_MAX and len(self) < NAME_CACHE_COUNT_MAX:
            self[name] = lowered
        return lowered


class _Hosts(dict[bytes, str]):
    """Checked values of Host. Clients of one server send the same few again and again."""

    def __missing__(self, value: bytes) -> str:
        match = _HOST.fullmatch(value)
        if match is None or len(value) > HOST_BYTES_MAX or (match[1] is not None and int(match[1]) > 65535):
            raise Refused(400, "BadRequest", "the Host header is malformed")
        host = value.decode("ascii")
        if len(value) <= NAME_CACHE_BYTES_MAX and len(self) < NAME_CACHE_COUNT_MAX:
            self[value] = host
        return host


_names = _Names()
_hosts = _Hosts()
_methods = {name.encode(): name for name in ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS")}


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
    line_end = raw.find(b"\r\n")
    if line_end < 0:
        line_end = len(raw)
    method, target, is_http_10 = _request_line(raw, line_end)
    found: list[tuple[bytes, bytes]] = _HEADER.findall(raw, line_end)
    line_count = raw.count(b"\r\n")
    if line_count > HEADER_COUNT_MAX:
        raise Refused(
            431, "RequestHeaderSectionTooLarge", f"a request has at most {HEADER_COUNT_MAX} headers"
        )
    # A line that does not match as a whole is missing: without a colon, folded, with a space in or behind its name,
    # or with a control character, which a bare LF or CR is.
    if len(found) != line_count:
        raise Refused(400, "BadRequest", "a header line is malformed")
    if len(raw) > LINE_BYTES_MAX and max(map(len, raw.split(b"\r\n"))) > LINE_BYTES_MAX:
        raise Refused(431, "RequestHeaderSectionTooLarge", "a header line is too long")
    names = _names
    headers = [(names[name], value) for name, value in found]
    if b" \r\n" in raw or b"\t\r\n" in raw or raw.endswith((b" ", b"\t")):
        headers = [(name, value.rstrip(b" \t")) for name, value in headers]
    head = RequestHead(method, target, is_http_10, headers)
    fields = dict(headers)
    if _DROPPED in fields:
        del fields[_DROPPED]
        head.headers = headers = [each for each in headers if each[0] != _DROPPED]
    if len(fields) != len(headers):
        _check_repeated(headers, fields)
    _read_framing(head, fields)
    return head


def _check_repeated(headers: list[tuple[bytes, bytes]], fields: dict[bytes, bytes]) -> None:
    """Refuse framing headers given twice, but join what is a list anyway."""
    names = [name for name, _ in headers]
    for name in (b"host", b"content-length", b"transfer-encoding", b"content-type"):
        if names.count(name) > 1:
            raise Refused(400, "BadRequest", f"{name.decode()} is repeated")
    for name in (b"connection", b"expect"):
        values = [value for each, value in headers if each == name]
        if len(values) > 1:
            # A repeated expectation is one; different ones are none that is known.
            fields[name] = (
                b",".join(values) if name == b"connection" else b" ".join({*map(bytes.lower, values)})
            )


def _read_framing(head: RequestHead, fields: dict[bytes, bytes]) -> None:
    host = fields.get(b"host")
    if host is not None:
        head.host = _hosts[host]
    elif not head.is_http_10:
        raise Refused(400, "BadRequest", "a request has exactly one Host header")
    length = fields.get(b"content-length")
    if length is not None:
        head.content_length = _content_length(length)
    coding = fields.get(b"transfer-encoding")
    if coding is not None:
        if coding.lower() != b"chunked":
            raise Refused(501, "NotImplemented", "no Transfer-Encoding but chunked is implemented")
        if length is not None or head.is_http_10:
            raise Refused(400, "BadRequest", "Transfer-Encoding excludes Content-Length and HTTP/1.0")
        head.is_chunked = True
    expectation = fields.get(b"expect")
    if expectation is not None:
        if expectation.lower() != b"100-continue":
            raise Refused(417, "ExpectationFailed", "no expectation but 100-continue is known")
        head.expects_continue = not head.is_http_10
    content_type = fields.get(b"content-type")
    if content_type is not None:
        head.content_type = content_type.decode("latin-1")
    connection = fields.get(b"connection")
    if connection is None:
        head.keeps_alive = not head.is_http_10
    elif connection != b"keep-alive":
        options = {each.strip(b" \t") for each in connection.lower().split(b",")}
        head.keeps_alive = b"close" not in options and (not head.is_http_10 or b"keep-alive" in options)


def check_beginning(raw: bytes | bytearray) -> None:
    """Refuse a head that is still arriving for what can be seen already; raises Refused.

    `raw` begins at the request line and may end anywhere.
    """
    if not 0x41 <= raw[0] <= 0x5A:
        raise Refused(400, "BadRequest", "the request line is malformed")
    end = raw.find(b"\r\n")
    if end >= 0:
        _request_line(bytes(raw[:end]), end)
    elif len(raw) > LINE_BYTES_MAX:
        raise Refused(414, "URITooLong", "the request line is too long")


def _request_line(raw: bytes, end: int) -> tuple[str, bytes, bool]:
    """Method, target, and whether it is HTTP/1.0."""
    if end > LINE_BYTES_MAX:
        raise Refused(414, "URITooLong", "the request line is too long")
    match = _REQUEST_LINE.match(raw)
    if match is None:
        raise Refused(400, "BadRequest", _line_problem(raw[:end]))
    method, target, minor = match.groups()
    return _methods.get(method) or method.decode("ascii"), target, minor == b"0"


def _line_problem(line: bytes) -> str:
    parts = line.split(b" ")
    if len(parts) != 3:
        return "the request line is malformed"
    if parts[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        return "only HTTP/1.1 and HTTP/1.0 are served"
    return "the method is malformed or the request target is not in origin form"


def _content_length(value: bytes) -> int:
    if not value.isdigit():
        raise Refused(400, "BadRequest", "Content-Length is not a number")
    if len(value) > LENGTH_DIGITS_MAX:
        raise Refused(400, "EntityTooLarge", "Content-Length is too large")
    return int(value)
