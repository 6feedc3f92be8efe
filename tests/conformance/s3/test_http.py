"""HTTP itself: what two readers could read in two ways is refused and the connection closed (rows G)."""

import os
import random

import pytest

from tests.conformance.s3.wire import SENTINEL, SENTINEL_BODY, UNSIGNED, Wire, with_header
from tests.support.chunked_bodies import UNSIGNED_TRAILER, unsigned_body
from tests.support.raw_http import Answer, Connection, NoAnswer, Pairs, request_bytes

MIB = 1024**2
FLIP_COUNT = int(os.environ.get("PENSTOCK_FLIPS", "300"))
SEED = int(os.environ.get("PENSTOCK_FLIP_SEED", "1"))
REQUESTS_BEFORE_FLIP = 2_000
PIPELINE_COUNT = 50


def refused(wire: Wire, raw: bytes, statuses: tuple[int, ...] = (400,), method: str = "GET") -> Answer:
    """Refused, told so in XML, and the connection closed before whatever follows is looked at."""
    with Connection(wire.address) as connection:
        connection.send(raw + wire.raw("GET", SENTINEL))
        answer = connection.answer(method)
        assert answer.status in statuses, answer
        assert answer.closes
        assert connection.ends()
    if method != "HEAD":
        assert answer.code
        assert answer.header("content-type") == "application/xml"
    return answer


def chunked_put(wire: Wire, path: str, data: bytes, extra: Pairs = ()) -> list[tuple[str, str]]:
    """The head of an upload that comes in chunks of HTTP."""
    return wire.headers(
        "PUT",
        path,
        [("x-amz-decoded-content-length", str(len(data))), ("transfer-encoding", "chunked"), *extra],
        payload=UNSIGNED_TRAILER,
        length=None,
        unsigned=["transfer-encoding"],
    )


def in_chunks(raw: bytes, size_bytes: int) -> bytes:
    pieces = [raw[at : at + size_bytes] for at in range(0, len(raw), size_bytes)]
    return unsigned_body(pieces)


@pytest.mark.parametrize("size_bytes", [3, 1000, 100_000])
def test_chunks_of_http_carry_a_body(wire: Wire, path: str, size_bytes: int) -> None:
    data = os.urandom(200_000 if size_bytes > 3 else 50)

    raw = request_bytes(
        "PUT", path, chunked_put(wire, path, data), in_chunks(unsigned_body([data]), size_bytes)
    )

    assert wire.send(raw, "PUT").status == 200
    assert wire.stored(path) == data


@pytest.mark.parametrize(
    "framing",
    [
        [("content-length", "5"), ("transfer-encoding", "chunked")],
        [("transfer-encoding", "chunked"), ("content-length", "5")],
        [("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
        [("transfer-encoding", "chunked"), ("transfer-encoding", "identity")],
        [("content-length", "5"), ("content-length", "5")],
        [("content-length", "5"), ("content-length", "6")],
        [("content-length", "5, 5")],
    ],
    ids=lambda framing: "+".join(f"{name[:1]}{value[:3]}" for name, value in framing),
)
def test_g01_two_ways_to_tell_a_length(wire: Wire, path: str, framing: Pairs) -> None:
    pairs = wire.headers("PUT", path, body=b"abcde", length=None)

    refused(wire, request_bytes("PUT", path, [*pairs, *framing], b"abcde"), (400, 501), "PUT")

    assert wire.stored(path) is None


@pytest.mark.parametrize(
    "coding",
    [
        "xchunked",
        "gzip, chunked",
        "chunked, identity",
        "chunked, chunked",
        "identity",
        "",
        "\x0bchunked",
        "chunked\x00",
        '"chunked"',
        "chunked;q=1",
    ],
)
def test_g02_other_transfer_codings(wire: Wire, path: str, coding: str) -> None:
    pairs = with_header(chunked_put(wire, path, b"abcde"), "transfer-encoding", coding)

    refused(
        wire, request_bytes("PUT", path, pairs, in_chunks(unsigned_body([b"abcde"]), 5)), (400, 501), "PUT"
    )

    assert wire.stored(path) is None


def test_g02_a_coding_written_otherwise_is_the_same(wire: Wire, path: str) -> None:
    pairs = with_header(chunked_put(wire, path, b"abcde"), "Transfer-Encoding", "Chunked")
    pairs = with_header(pairs, "transfer-encoding", None)

    raw = request_bytes("PUT", path, pairs, in_chunks(unsigned_body([b"abcde"]), 5))

    assert wire.send(raw, "PUT").status == 200


INNER = unsigned_body([b"abcde"])


@pytest.mark.parametrize(
    "body",
    [
        b"%x;a\nb\r\n%b\r\n0\r\n\r\n" % (len(INNER), INNER),
        b"%x;a\rb\r\n%b\r\n0\r\n\r\n" % (len(INNER), INNER),
        b"%x\n%b\r\n0\r\n\r\n" % (len(INNER), INNER),
        b"1_0\r\n%b\r\n0\r\n\r\n" % INNER,
        b"0x%x\r\n%b\r\n0\r\n\r\n" % (len(INNER), INNER),
        b"-%x\r\n%b\r\n0\r\n\r\n" % (len(INNER), INNER),
        b"%x\r\n%bX0\r\n\r\n" % (len(INNER), INNER),
        b"%x\r\n%b\r\n" % (len(INNER) - 1, INNER),
        b"f" * 17 + b"\r\n" + INNER,
        b"%x;%b\r\n" % (len(INNER), b"e" * MIB),
        b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(INNER), INNER),
        b"%x\r\n%b\r\n0\r\nno trailer\r\n\r\n" % (len(INNER), INNER),
        b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(INNER), INNER, b"t: v\r\n" * 1000),
    ],
    ids=[
        "line feed in extension",
        "carriage return in extension",
        "bare line feed",
        "underscore",
        "0x",
        "minus",
        "no line break after data",
        "data longer than its size",
        "17 digits",
        "endless extension",
        "empty size",
        "trailer without colon",
        "endless trailers",
    ],
)
def test_g03_chunks_that_are_none(wire: Wire, path: str, body: bytes) -> None:
    refused(wire, request_bytes("PUT", path, chunked_put(wire, path, b"abcde"), body), (400,), "PUT")

    assert wire.stored(path) is None


def test_g03_chunks_without_their_end(wire: Wire, path: str) -> None:
    raw = request_bytes(
        "PUT", path, chunked_put(wire, path, b"abcde"), b"%x\r\n%b\r\n0\r\n" % (len(INNER), INNER)
    )

    answer = wire.send(raw, "PUT", half_close=True)

    assert answer.said == (400, "IncompleteBody")
    assert answer.closes
    assert wire.stored(path) is None


def test_g03_malformed_chunks_of_a_request_that_reads_none(wire: Wire) -> None:
    """Nobody reads the body of this GET: the connection may not be used again all the same."""
    pairs = [*wire.headers("GET", SENTINEL), ("transfer-encoding", "chunked")]
    with Connection(wire.address) as connection:
        connection.send(request_bytes("GET", SENTINEL, pairs, b"zz\r\n\r\n") + wire.raw("GET", SENTINEL))
        answer = connection.answer()
        assert answer.closes
        assert connection.ends()


@pytest.mark.parametrize(
    "line",
    [
        b"x-folded: a\r\n b",
        b"x-folded: a\r\n\tb",
        b"x-space : a",
        b"x-nul: a\x00b",
        b"x-return: a\rb",
        b"x-feed: a\nb: c",
        b"x\x00y: a",
        b"x y: a",
        b": a",
        b"no colon",
        b"x\xff: a",
        b"x-bell: \x07",
        b"x(y): a",
        b" x-first: a",
    ],
)
def test_g05_header_lines_that_are_none(wire: Wire, line: bytes) -> None:
    whole = wire.raw("GET", SENTINEL)

    refused(wire, whole[:-2] + line + b"\r\n\r\n")


def test_g05_bare_line_feeds(wire: Wire) -> None:
    """Never taken for the end of a head: refused, or waited for more and then closed."""
    with Connection(wire.address) as connection:
        connection.send(wire.raw("GET", SENTINEL).replace(b"\r\n", b"\n"))
        connection.end_sending()
        try:
            answer = connection.answer()
        except NoAnswer:
            assert connection.ends()
        else:
            assert answer.status == 400
            assert answer.closes


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        ["localhost:9000", "localhost:9000"],
        ["localhost:9000", "evil.com"],
        [""],
        ["h" * 1024],
        ["localhost:99999"],
        ["localhost:"],
        ["localhost:9000:9000"],
        ["local host"],
        ["evil.com/path"],
        ["user@evil.com"],
        ["h\xe4"],
    ],
    ids=str,
)
def test_g06_hosts_that_are_none(wire: Wire, hosts: list[str]) -> None:
    pairs = [pair for pair in wire.headers("GET", SENTINEL) if pair[0] != "host"]

    refused(wire, request_bytes("GET", SENTINEL, [*[("host", host) for host in hosts], *pairs]))


def test_g07_http_1_0_is_answered_and_closed(wire: Wire) -> None:
    with Connection(wire.address) as connection:
        connection.send(request_bytes("GET", SENTINEL, wire.headers("GET", SENTINEL), version="HTTP/1.0"))
        answer = connection.answer()

        assert (answer.status, answer.body) == (200, SENTINEL_BODY)
        assert connection.ends()


def test_g07_http_1_0_may_ask_to_stay(wire: Wire) -> None:
    pairs = [*wire.headers("GET", SENTINEL), ("connection", "keep-alive")]

    answer = wire.send(request_bytes("GET", SENTINEL, pairs, version="HTTP/1.0"))

    assert answer.header("connection") == "keep-alive"


@pytest.mark.parametrize(
    "version", ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/11", "http/1.1", "HTTP/1.1 ", "", "SIP/2.0"]
)
def test_g07_other_versions(wire: Wire, version: str) -> None:
    refused(wire, request_bytes("GET", SENTINEL, wire.headers("GET", SENTINEL), version=version))


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"\x00" * 100,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"GET  / HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET /\thttp HTTP/1.1\r\nhost: h\r\n\r\n",
        b" GET / HTTP/1.1\r\nhost: h\r\n\r\n",
    ],
    ids=["0.9", "h2 preface", "TLS", "zeros", "SSH", "two spaces", "tab", "leading space"],
)
def test_g07_what_is_no_http(wire: Wire, raw: bytes) -> None:
    refused(wire, raw)


def test_g07_http_1_0_has_no_chunks(wire: Wire, path: str) -> None:
    pairs = chunked_put(wire, path, b"abcde")

    refused(
        wire, request_bytes("PUT", path, pairs, in_chunks(INNER, 5), version="HTTP/1.0"), (400, 501), "PUT"
    )

    assert wire.stored(path) is None


def test_g08_pipelined_reads_are_answered_in_order(wire: Wire, path: str) -> None:
    bodies = [os.urandom(1 + number * 700) for number in range(20)]
    for number, body in enumerate(bodies):
        wire.put(f"{path}/{number}", body)
    order = [number % 20 for number in range(100)]

    with Connection(wire.address) as connection:
        connection.send(b"".join(wire.raw("GET", f"{path}/{number}") for number in order))
        answers = [connection.answer().body for _ in order]

    assert answers == [bodies[number] for number in order]


@pytest.mark.parametrize("size_bytes", [10, 200_000])
def test_g08_pipelined_writes_and_reads_keep_their_order(wire: Wire, path: str, size_bytes: int) -> None:
    first, second = b"1" * size_bytes, b"2" * size_bytes
    raw = [
        wire.raw("PUT", path, body=first),
        wire.raw("GET", path),
        wire.raw("PUT", path, body=second),
        wire.raw("HEAD", f"{path}/none"),
        wire.raw("GET", path),
        wire.raw("DELETE", path),
        wire.raw("GET", path),
    ]

    with Connection(wire.address) as connection:
        connection.send(b"".join(raw))
        answers = [connection.answer(each[:4].decode().strip()) for each in raw]

    assert [answer.status for answer in answers] == [200, 200, 200, 404, 200, 204, 404]
    assert (answers[1].body, answers[4].body) == (first, second)


@pytest.mark.parametrize("size_bytes", [5, MIB])
@pytest.mark.parametrize("method", ["HEAD", "GET", "DELETE"])
def test_g10_bodies_nobody_asked_for(wire: Wire, path: str, method: str, size_bytes: int) -> None:
    wire.put(path, b"here")

    answer = wire.ask(method, path, body=b"b" * size_bytes)

    assert answer.status in (200, 204)
    assert answer.body == (b"here" if method == "GET" else b"")


def test_g10_an_early_answer_leaves_no_body_for_the_next(wire: Wire, path: str) -> None:
    """The body of a refused upload is a request itself, and stays a body."""
    hidden = wire.raw("DELETE", SENTINEL)
    for size_bytes in (0, 70_000, MIB):
        body = hidden + bytes(size_bytes)
        answer = wire.ask("PUT", path, [("x-amz-storage-class", "FOO")], body=body)
        assert answer.said == (400, "InvalidStorageClass")
    assert wire.stored(SENTINEL) == SENTINEL_BODY


def test_g10_answers_without_bodies(wire: Wire, path: str) -> None:
    etag = wire.put(path, b"here").header("etag") or ""
    requests = [
        ("HEAD", path, []),
        ("GET", path, [("if-none-match", etag)]),
        ("HEAD", f"{path}/none", []),
        ("DELETE", path, []),
    ]

    with Connection(wire.address) as connection:
        for method, target, extra in requests:
            connection.send(wire.raw(method, target, extra))
        answers = [connection.answer(method) for method, _, _ in requests]

    assert [answer.status for answer in answers] == [200, 304, 404, 204]
    assert answers[0].header("content-length") == "4"
    assert all(answer.body == b"" for answer in answers)


def test_g12_one_hundred_continue(wire: Wire, path: str) -> None:
    for expectations in (
        [("expect", "100-continue")],
        [("expect", "100-continue")] * 2,
        [("Expect", "100-Continue")],
    ):
        with Connection(wire.address) as connection:
            pairs = [*wire.headers("PUT", path, body=b"abcde"), *expectations]
            connection.send(request_bytes("PUT", path, pairs))
            assert connection.answer("PUT").status == 100
            assert connection.is_silent(0.1)
            connection.send(b"abcde")
            assert connection.answer("PUT").status == 200
            connection.send(wire.raw("GET", path))
            assert connection.answer().body == b"abcde"


def test_g12_who_does_not_wait_needs_no_invitation(wire: Wire, path: str) -> None:
    pairs = [*wire.headers("PUT", path, body=b"abcde"), ("expect", "100-continue")]

    answer = wire.send(request_bytes("PUT", path, pairs, b"abcde"), "PUT")

    assert answer.status == 200
    assert wire.stored(path) == b"abcde"


def test_g12_a_refused_upload_is_not_invited(wire: Wire, path: str) -> None:
    wire.put(path, b"here")
    for extra in ([("if-none-match", "*")], [("x-amz-storage-class", "FOO")], [("content-md5", "x")]):
        pairs = wire.headers("PUT", path, extra, payload=UNSIGNED, length=10 * MIB)
        answer = wire.send(request_bytes("PUT", path, [*pairs, ("expect", "100-continue")]), "PUT")
        assert answer.status in (400, 412)
    pairs = wire.headers("PUT", "/never-made-here/k", payload=UNSIGNED, length=10 * MIB)
    answer = wire.send(
        request_bytes("PUT", "/never-made-here/k", [*pairs, ("expect", "100-continue")]), "PUT"
    )
    assert answer.said == (404, "NoSuchBucket")


@pytest.mark.parametrize("expectation", ["200-ok", "100-continue, x", "", "x"])
def test_g12_other_expectations(wire: Wire, path: str, expectation: str) -> None:
    pairs = [*wire.headers("PUT", path, body=b"abcde"), ("expect", expectation)]

    refused(wire, request_bytes("PUT", path, pairs, b"abcde"), (417,), "PUT")

    assert wire.stored(path) is None


def test_g12_http_1_0_expects_nothing(wire: Wire, path: str) -> None:
    pairs = [*wire.headers("PUT", path, body=b"abcde"), ("expect", "100-continue")]
    with Connection(wire.address) as connection:
        connection.send(request_bytes("PUT", path, pairs, version="HTTP/1.0"))
        assert connection.is_silent(0.2)
        connection.send(b"abcde")
        assert connection.answer("PUT").status == 200


@pytest.mark.parametrize(
    ("extra", "closes"),
    [
        ([("connection", "close, keep-alive")], True),
        ([("connection", "keep-alive"), ("connection", "close")], True),
        ([("connection", "keep-alive")], False),
        (
            [
                ("connection", "Upgrade, HTTP2-Settings"),
                ("upgrade", "h2c"),
                ("http2-settings", "AAMAAABkAAQAAP__"),
            ],
            False,
        ),
        ([("connection", "upgrade"), ("upgrade", "websocket")], False),
        ([("connection", "authorization, host")], False),
        ([("proxy", "http://evil.com")], False),
        ([("proxy-connection", "close")], False),
        ([("te", "trailers")], False),
        ([("x_amz_meta_a", "1"), ("content_length", "5")], False),
    ],
    ids=str,
)
def test_g15_what_connections_and_proxies_say(wire: Wire, extra: Pairs, closes: bool) -> None:
    answer = wire.send(request_bytes("GET", SENTINEL, [*wire.headers("GET", SENTINEL), *extra]))

    assert (answer.status, answer.body) == (200, SENTINEL_BODY)
    assert answer.closes is closes


def test_g15_an_underscore_never_stands_for_a_dash(wire: Wire, path: str) -> None:
    pairs = wire.headers("PUT", path, body=b"x")

    wire.send(request_bytes("PUT", path, [*pairs, ("x_amz_meta_a", "1"), ("x-amz_meta-b", "2")], b"x"), "PUT")

    assert [name for name, _ in wire.get(path).headers if "meta" in name] == []


FORWARDED = [
    ("x-forwarded-for", "203.0.113.9"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "evil.com"),
    ("forwarded", "for=203.0.113.9;host=evil.com;proto=https"),
    ("x-real-ip", "203.0.113.9"),
    ("x-original-url", "/"),
    ("x-http-method-override", "DELETE"),
]


def test_g16_what_a_stranger_forwards_counts_nowhere(wire: Wire, path: str) -> None:
    wire.put(path, b"here")
    created = wire.send(
        request_bytes(
            "POST", f"{path}/up?uploads", [*wire.headers("POST", f"{path}/up?uploads"), *FORWARDED]
        ),
        "POST",
    )
    upload_id = created.body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
    etag = wire.put(f"{path}/up?partNumber=1&uploadId={upload_id}", b"x").header("etag")
    document = (
        f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    ).encode()
    target = f"{path}/up?uploadId={upload_id}"
    done = wire.send(
        request_bytes("POST", target, [*wire.headers("POST", target, body=document), *FORWARDED], document),
        "POST",
    )

    read = wire.send(request_bytes("GET", path, [*wire.headers("GET", path), *FORWARDED]))

    assert (read.status, read.body) == (200, b"here")
    assert b"evil.com" not in done.body
    assert b"<Location>http://localhost:9000/" in done.body


def flipped(raw: bytes, chance: random.Random) -> bytes:
    altered = bytearray(raw)
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(altered))
        altered[at] ^= 1 << chance.randrange(8)
    return bytes(altered)


def means_the_same(altered: bytes, whole: bytes) -> bool:
    """One bit makes another letter case of a header's name, and the older HTTP."""
    return altered.replace(b"HTTP/1.0", b"HTTP/1.1").lower() == whole.lower()


def test_g18_flipped_bits_do_nothing_but_be_refused(wire: Wire, path: str) -> None:
    """A few bits of a request wrong, a good request behind it: that is answered rightly, or the connection ends."""
    wire.put(path, b"as it was")
    chance = random.Random(SEED)

    for number in range(FLIP_COUNT):
        method = chance.choice(("GET", "PUT", "DELETE"))
        body = b"never to be seen" if method == "PUT" else b""
        whole = wire.raw(method, path, body=body)
        altered = flipped(whole, chance)
        if means_the_same(altered, whole):
            continue
        story = f"seed {SEED}, number {number}: {altered!r}"
        with Connection(wire.address) as connection:
            connection.send(altered + wire.raw("GET", SENTINEL))
            connection.end_sending()
            try:
                first = connection.answer(method)
            except NoAnswer:
                continue
            assert first.status not in (204, 500, 502, 503), story
            try:
                second = connection.answer()
            except NoAnswer:
                assert first.closes, story
            else:
                assert second.body == SENTINEL_BODY or second.status in (400, 403, 405), story
    assert wire.stored(path) == b"as it was"


def test_g18_a_bad_request_after_thousands_of_good_ones(wire: Wire) -> None:
    good = wire.raw("GET", SENTINEL)
    with Connection(wire.address) as connection:
        for _ in range(REQUESTS_BEFORE_FLIP // PIPELINE_COUNT):
            connection.send(good * PIPELINE_COUNT)
            assert all(connection.answer().body == SENTINEL_BODY for _ in range(PIPELINE_COUNT))
        connection.send(good.replace(b"HTTP/1.1", b"HTTP/1.\xb1") + wire.raw("DELETE", SENTINEL))
        answer = connection.answer()
        assert answer.status == 400
        assert connection.ends()
    assert wire.stored(SENTINEL) == SENTINEL_BODY
