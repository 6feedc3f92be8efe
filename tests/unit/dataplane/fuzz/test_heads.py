"""Heads and chunked framing that are odd in any way; a head that another parser takes too is read alike."""

import httptools
from hypothesis import example, given
from hypothesis import strategies as st

from dataplane.server.chunked import ChunkedDecoder
from dataplane.server.errors import MalformedFraming, Refused
from dataplane.server.heads import RequestHead, check_beginning, parse_head
from tests.unit.dataplane.fuzz.fuzzing import fuzzed, mutated

HEADS = (
    b"GET /bucket/key%20a?list-type=2 HTTP/1.1\r\nHost: localhost:9000\r\nx-amz-date: 20261124T120000Z\r\nAccept: */*",
    b"PUT /bucket/key HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close, x",
    b"POST /b?delete HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nx-amz-meta-a: \xc3\xa4 b",
    b"HEAD / HTTP/1.0\r\nConnection: keep-alive",
)


class OtherParser:
    """llhttp's view of a head."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete = False

    def on_url(self, piece: bytes) -> None:
        self.url += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.is_complete = True


def taken(raw: bytes) -> RequestHead | None:
    try:
        if raw:
            check_beginning(raw)
        return parse_head(raw)
    except Refused as refused:
        assert 400 <= refused.status < 500 or refused.status in {501, 505}
        return None


@fuzzed
@given(raw=st.one_of(st.binary(max_size=300), mutated(*HEADS)))
@example(raw=HEADS[0])
@example(raw=HEADS[1])
@example(raw=HEADS[2])
@example(raw=HEADS[3])
@example(raw=b"GET / HTTP/1.0\r\na_b:c")
def test_a_head_that_two_parsers_take_is_read_alike(raw: bytes) -> None:
    head = taken(raw)
    if head is None:
        return
    other = OtherParser()
    parser = httptools.HttpRequestParser(other)
    try:
        parser.feed_data(raw + b"\r\n\r\n")
    except httptools.HttpParserError:
        # It knows a list of methods, and no tab behind a Transfer-Encoding; it must still take what is plainly right.
        assert raw not in HEADS
        return

    assert other.is_complete
    assert (parser.get_method().decode(), other.url) == (head.method, head.target)
    # Names with underscores are dropped: behind some servers they would be other headers.
    kept = [(name, value) for name, value in other.headers if b"_" not in name]
    assert kept == [(name.lower(), value.strip(b" \t")) for name, value in head.headers]
    assert parser.get_http_version() == ("1.0" if head.is_http_10 else "1.1")
    assert head.content_length is None or not head.is_chunked


CHUNKED = (
    b"5\r\nhello\r\n5;ext=1\r\nworld\r\n0\r\nx-trailer: a\r\n\r\n",
    b"A\r\nhelloworld\r\n0\r\n\r\nGET / HTTP/1.1\r\n",
)


@fuzzed
@given(raw=st.one_of(st.binary(max_size=200), mutated(*CHUNKED)), size=st.integers(1, 30))
def test_chunked_framing_is_taken_or_refused_however_it_arrives(raw: bytes, size: int) -> None:
    whole = decoded(raw, piece_bytes=len(raw) or 1)

    assert decoded(raw, piece_bytes=size) == whole


def decoded(raw: bytes, *, piece_bytes: int) -> tuple[bytes, bool] | None:
    """Data and whether the body is over; None for what is refused."""
    decoder, buffer, data = ChunkedDecoder(), bytearray(), bytearray()
    try:
        for start in range(0, len(raw), piece_bytes):
            buffer += raw[start : start + piece_bytes]
            while True:
                del buffer[: decoder.advance(buffer, 0)]
                count = min(decoder.left_bytes, len(buffer))
                if count == 0:
                    break
                data += buffer[:count]
                decoder.take(count)
                del buffer[:count]
    except MalformedFraming:
        return None
    return bytes(data), decoder.is_over
