"""Heads of requests: what RFC 9112 calls invalid is refused with the status it deserves, the rest is read exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.server.errors import Refused
from dataplane.server.heads import check_beginning, parse_head

GET = b"GET /b/k HTTP/1.1\r\nHost: s3.test:9000"


def test_a_head_is_read_with_names_in_lower_case_and_values_as_sent() -> None:
    head = parse_head(
        b"PUT /b/k%20?partNumber=1 HTTP/1.1\r\nHost: s3.test\r\nX-Amz-Meta-A:\t two  words \t\r\n"
        b"Content-Length: 12\r\nExpect: 100-Continue\r\nContent-Type: text/plain\r\nx-amz-meta-b: \xff"
    )

    assert (head.method, head.target, head.host) == ("PUT", b"/b/k%20?partNumber=1", "s3.test")
    assert head.headers == [
        (b"host", b"s3.test"),
        (b"x-amz-meta-a", b"two  words"),
        (b"content-length", b"12"),
        (b"expect", b"100-Continue"),
        (b"content-type", b"text/plain"),
        (b"x-amz-meta-b", b"\xff"),
    ]
    assert (head.content_length, head.content_type) == (12, "text/plain")
    assert head.expects_continue
    assert head.keeps_alive
    assert head.has_body


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /b/k HTTP/1.1", 400),
        (GET + b"\r\nhost: other", 400),
        (b"GET / HTTP/1.1\r\nHost: ", 400),
        (b"GET / HTTP/1.1\r\nHost: a b", 400),
        (b"GET / HTTP/1.1\r\nHost: a:99999", 400),
        (b"GET / HTTP/1.1\r\nHost: " + b"h" * 1024, 400),
        (GET + b"\r\nContent-Length: 5\r\nTransfer-Encoding: chunked", 400),
        (GET + b"\r\nTransfer-Encoding: chunked\r\nContent-Length: 5", 400),
        (GET + b"\r\nContent-Length: 5\r\nContent-Length: 5", 400),
        (GET + b"\r\nContent-Length: 5\r\nContent-Length: 6", 400),
        (GET + b"\r\nContent-Length: +5", 400),
        (GET + b"\r\nContent-Length: -5", 400),
        (GET + b"\r\nContent-Length: 5,5", 400),
        (GET + b"\r\nContent-Length: 5, 5", 400),
        (GET + b"\r\nContent-Length: 5 5", 400),
        (GET + b"\r\nContent-Length: 0x5", 400),
        (GET + b"\r\nContent-Length: 1_0", 400),
        (GET + b"\r\nContent-Length: \xb2", 400),
        (GET + b"\r\nContent-Length:", 400),
        (GET + b"\r\nContent-Length: 100000000000000000000", 400),
        (GET + b"\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
        (GET + b"\r\nTransfer-Encoding: gzip, chunked", 501),
        (GET + b"\r\nTransfer-Encoding: chunked, identity", 501),
        (GET + b"\r\nTransfer-Encoding: xchunked", 501),
        (GET + b"\r\nTransfer-Encoding: \x0bchunked", 400),
        (b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked", 400),
        (GET + b"\r\n folded: yes", 400),
        (GET + b"\r\nA: b\r\n\tfolded", 400),
        (GET + b"\r\nName : value", 400),
        (GET + b"\r\nNa me: value", 400),
        (GET + b"\r\n: value", 400),
        (GET + b"\r\nno colon", 400),
        (GET + b"\r\nHost", 400),
        (GET + b"\r\nN\x00: v", 400),
        (GET + b"\r\nN: a\x00b", 400),
        (GET + b"\r\nN: a\rb", 400),
        (GET + b"\r\nN: a\nContent-Length: 5", 400),
        (GET + b"\r\nN: a\x7fb", 400),
        (GET + b"\nN: a", 400),
        (GET + b"\r\nExpect: a-miracle", 417),
        (GET + b"\r\nExpect: 100-continue\r\nExpect: a-miracle", 417),
        (GET + b"\r\nContent-Type: a/b\r\ncontent-type: c/d", 400),
        (GET + b"\r\nN: " + b"v" * (16 * 1024), 431),
        (GET + b"\r\nN: v" * 100, 431),
        (b"GET /" + b"k" * (16 * 1024) + b" HTTP/1.1\r\nHost: a", 414),
        (b"GET http://evil/b/k HTTP/1.1\r\nHost: evil", 400),
        (b"CONNECT evil:443 HTTP/1.1\r\nHost: evil", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: a", 400),
        (b"GET  / HTTP/1.1\r\nHost: a", 400),
        (b"GET / x HTTP/1.1\r\nHost: a", 400),
        (b"GET /\t HTTP/1.1\r\nHost: a", 400),
        (b"GET /\x00 HTTP/1.1\r\nHost: a", 400),
        (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a", 400),
        (b" GET / HTTP/1.1\r\nHost: a", 400),
        (b"\r\nGET / HTTP/1.1\r\nHost: a", 400),
        (b"get / HTTP/1.1\r\nHost: a", 400),
        (b"G\xcbT / HTTP/1.1\r\nHost: a", 400),
        (b"GET /", 400),
        (b"GET / HTTP/2.0\r\nHost: a", 400),
        (b"GET / HTTP/1.2\r\nHost: a", 400),
        (b"GET / http/1.1\r\nHost: a", 400),
        (b"PRI * HTTP/2.0", 400),
        (b"", 400),
    ],
)
def test_what_is_not_strictly_http_is_refused(raw: bytes, status: int) -> None:
    with pytest.raises(Refused) as refused:
        parse_head(raw)

    assert refused.value.status == status


def test_names_with_underscores_never_stand_for_dashed_ones() -> None:
    head = parse_head(GET + b"\r\nContent_Length: 5\r\ntransfer_encoding: chunked\r\nx_amz_date: now")

    assert head.headers == [(b"host", b"s3.test:9000")]
    assert not head.has_body


def test_a_url_of_a_key_escaped_throughout_with_a_session_token_is_legal() -> None:
    target = b"/b/" + b"%E2%82%AC" * 341 + b"?X-Amz-Security-Token=" + b"t" * 2000

    assert parse_head(b"GET " + target + b" HTTP/1.1\r\nHost: a").target == target


@pytest.mark.parametrize(
    ("version", "connection", "keeps_alive"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"\r\nConnection: Close", False),
        (b"1.1", b"\r\nConnection: close, keep-alive", False),
        (b"1.1", b"\r\nConnection: keep-alive\r\nConnection: close", False),
        (b"1.1", b"\r\nConnection: upgrade\r\nUpgrade: h2c", True),
        (b"1.0", b"", False),
        (b"1.0", b"\r\nConnection: Keep-Alive", True),
        (b"1.0", b"\r\nConnection: keep-alive, close", False),
    ],
)
def test_connections_are_kept_as_the_client_asks(
    version: bytes, connection: bytes, keeps_alive: bool
) -> None:
    head = parse_head(b"GET / HTTP/" + version + b"\r\nHost: a" + connection)

    assert head.keeps_alive is keeps_alive


def test_an_expectation_said_twice_is_one() -> None:
    assert parse_head(GET + b"\r\nExpect: 100-continue\r\nexpect: 100-Continue").expects_continue


def test_http_10_needs_no_host_and_expects_nothing() -> None:
    head = parse_head(b"PUT / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue")

    assert not head.expects_continue
    assert head.host == ""


@pytest.mark.parametrize("raw", [b"\x16\x03\x01", b"get", b"GET /\r\n", b"GET / HTTP/2.0\r\n", b"G" * 20_000])
def test_what_can_never_become_a_head_is_refused_while_it_arrives(raw: bytes) -> None:
    with pytest.raises(Refused):
        check_beginning(raw)


@pytest.mark.parametrize("length", range(1, len(GET)))
def test_a_head_that_is_still_arriving_is_not_refused(length: int) -> None:
    check_beginning(GET[:length])


@given(st.binary(max_size=200), st.integers(0, len(GET)))
def test_whatever_comes_is_read_or_refused(noise: bytes, at: int) -> None:
    raw = GET[:at] + noise + GET[at:]
    try:
        head = parse_head(raw)
    except Refused:
        return
    assert raw.startswith(head.method.encode() + b" " + head.target + b" HTTP/1.")
    for name, value in head.headers:
        assert name == name.lower()
        assert not {*b"\r\n\0"} & {*name, *value}
