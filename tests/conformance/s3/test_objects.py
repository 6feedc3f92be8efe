"""Ranges, conditions, metadata and copies: what S3 answers, and nothing changed where it refuses (rows F)."""

import os
import threading
from urllib.parse import quote

import pytest

from dataplane.wire.times import http_date
from engine.clock import SystemClock
from tests.conformance.s3.wire import BUCKET, SENTINEL, SENTINEL_BODY, Wire, escaped
from tests.support.raw_http import Answer, request_bytes

FIVE = b"01234"
PRECONDITION = (412, "PreconditionFailed")


@pytest.mark.parametrize(
    "text", ["bytes=5-2", "bytes=abc", "items=0-1", "bytes=", "bytes=-", "bytes=0-1,3-4", "0-1"]
)
def test_f01_what_is_no_range_is_ignored(wire: Wire, path: str, text: str) -> None:
    wire.put(path, FIVE)

    answer = wire.get(path, [("range", text)])

    assert (answer.status, answer.body) == (200, FIVE)
    assert answer.header("accept-ranges") == "bytes"


def test_f02_ranges_outside_the_object(wire: Wire, path: str) -> None:
    wire.put(path, FIVE)
    wire.put(f"{path}/empty", b"")

    for target, text, size in [
        (path, "bytes=40-50", 5),
        (path, "bytes=5-", 5),
        (path, "bytes=-0", 5),
        (f"{path}/empty", "bytes=0-", 0),
        (f"{path}/empty", "bytes=-1", 0),
        (f"{path}/empty", "bytes=0-0", 0),
    ]:
        answer = wire.get(target, [("range", text)])
        assert answer.said == (416, "InvalidRange"), text
        assert answer.header("content-range") == f"bytes */{size}"
    assert wire.ask("HEAD", path, [("range", "bytes=40-50")]).status == 416


@pytest.mark.parametrize(
    ("text", "part", "content_range"),
    [
        ("bytes=-100", FIVE, "bytes 0-4/5"),
        ("bytes=0-99999999999999999999", FIVE, "bytes 0-4/5"),
        ("bytes=0-0", b"0", "bytes 0-0/5"),
        ("bytes=4-", b"4", "bytes 4-4/5"),
        ("bytes=-1", b"4", "bytes 4-4/5"),
        ("bytes=1-3", b"123", "bytes 1-3/5"),
    ],
)
def test_f03_ranges_are_slices(wire: Wire, path: str, text: str, part: bytes, content_range: str) -> None:
    wire.put(path, FIVE)

    answer = wire.get(path, [("range", text)])

    assert (answer.status, answer.body, answer.header("content-range")) == (206, part, content_range)


def test_f03_ranges_of_a_large_object(wire: Wire, path: str) -> None:
    data = os.urandom(3 * 1024**2)
    wire.put(path, data)

    for start, stop in [(0, 1), (262_143, 262_145), (1_000_000, 2_500_000), (len(data) - 1, len(data))]:
        assert wire.get(path, [("range", f"bytes={start}-{stop - 1}")]).body == data[start:stop]


def test_f07_conditions_on_reads(wire: Wire, path: str) -> None:
    etag = wire.put(path, FIVE).header("etag")
    assert etag is not None
    now_s = SystemClock().now_us() // 1_000_000
    future, past = http_date(now_s + 3600), http_date(now_s - 3600)

    def said(**conditions: str) -> tuple[int, str, int]:
        pairs = [(name.replace("_", "-"), value) for name, value in conditions.items()]
        got, head = wire.get(path, pairs), wire.ask("HEAD", path, pairs)
        assert got.status == head.status
        if got.status == 304:
            assert got.header("etag") == etag
        return got.status, got.code, len(got.body)

    whole, spared = (200, "", 5), (304, "", 0)
    assert said(if_match='"wrong"')[:2] == PRECONDITION
    assert said(if_match=etag) == said(if_match="*") == said(if_match=f'"x", {etag}') == whole
    assert said(if_none_match=etag) == said(if_none_match="*") == spared
    assert said(if_none_match='"wrong"') == said(if_none_match=f"W/{etag}") == whole
    assert said(if_match=f"W/{etag}")[:2] == PRECONDITION
    assert said(if_modified_since=future) == spared
    assert said(if_unmodified_since=past)[:2] == PRECONDITION
    for garbage in ("garbage", "0", "Fri, 99 Foo 2026 00:00:00 GMT"):
        assert said(if_modified_since=garbage) == said(if_unmodified_since=garbage) == whole


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", (400, "InvalidArgument")),
        ("/", (400, "InvalidArgument")),
        ("%", (400, "InvalidArgument")),
        (BUCKET, (400, "InvalidArgument")),
        (f"/{BUCKET}/", (400, "InvalidArgument")),
        ("never-made-here/key", (404, "NoSuchBucket")),
        (f"{BUCKET}/never-made", (404, "NoSuchKey")),
        (f"{BUCKET}/%zz", (400, "InvalidArgument")),
        (f"{BUCKET}/%ff", (400, "InvalidArgument")),
        (f"{BUCKET}/a%00", (400, "InvalidArgument")),
        (f"{BUCKET}/../secret", (404, "NoSuchKey")),
        (f"../{BUCKET}/sentinel", (400, "InvalidBucketName")),
        (f"{SENTINEL}?versionId=../x", (400, "InvalidArgument")),
        (f"{SENTINEL}?versionId=0190163d8694739a823e1d2b6e1f8f0a", (404, "NoSuchVersion")),
        (f"{SENTINEL}?acl", (400, "InvalidArgument")),
        (f"{BUCKET}/{'k' * 1025}", (400, "KeyTooLongError")),
    ],
)
def test_f08_sources_that_name_nothing(wire: Wire, path: str, source: str, said: tuple[int, str]) -> None:
    assert wire.ask("PUT", path, [("x-amz-copy-source", source)]).said == said
    assert wire.stored(path) is None


def test_f08_a_source_of_another_account(wire: Wire, other: Wire, path: str) -> None:
    bucket = f"theirs-{os.urandom(6).hex()}"
    other.ask("PUT", f"/{bucket}")
    other.put(f"/{bucket}/k", b"theirs")

    for source in (f"/{bucket}/k", f"/{bucket}/none"):
        assert wire.ask("PUT", path, [("x-amz-copy-source", source)]).said == (403, "AccessDenied")
    assert wire.stored(path) is None


def test_f09_a_copy_onto_itself(wire: Wire, path: str) -> None:
    wire.put(path, FIVE, [("x-amz-meta-a", "1")])
    source = ("x-amz-copy-source", path)

    assert wire.ask("PUT", path, [source]).said == (400, "InvalidRequest")
    assert wire.ask("PUT", path, [source, ("x-amz-metadata-directive", "FOO")]).said == (
        400,
        "InvalidArgument",
    )
    assert wire.get(path).header("x-amz-meta-a") == "1"
    replaced = wire.ask("PUT", path, [source, ("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-a", "2")])
    assert replaced.status == 200
    found = wire.get(path)
    assert (found.body, found.header("x-amz-meta-a")) == (FIVE, "2")


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("if-match", '"wrong"'),
        ("if-none-match", "the etag"),
        ("if-modified-since", http_date(4_000_000_000)),
        ("if-unmodified-since", http_date(1_000_000_000)),
    ],
)
def test_f10_conditions_on_the_source(wire: Wire, path: str, condition: str, value: str) -> None:
    etag = wire.put(f"{path}/source", FIVE).header("etag") or ""
    pairs = [
        ("x-amz-copy-source", f"{path}/source"),
        (f"x-amz-copy-source-{condition}", etag if value == "the etag" else value),
    ]

    assert wire.ask("PUT", path, pairs).said == PRECONDITION
    assert wire.stored(path) is None


def test_f13_metadata_has_a_measure(wire: Wire, path: str) -> None:
    fits = [("x-amz-meta-a", "v" * 1023), ("x-amz-meta-b", "v" * 1023)]
    exceeds = [("x-amz-meta-a", "v" * 1023), ("x-amz-meta-b", "v" * 1024)]

    wire.put(path, b"x", fits)
    assert wire.get(path).header("x-amz-meta-b") == "v" * 1023
    assert wire.ask("PUT", path, exceeds, body=b"y").said == (400, "MetadataTooLarge")
    assert wire.ask("POST", f"{path}?uploads", exceeds).said == (400, "MetadataTooLarge")
    assert wire.stored(path) == b"x"


def test_f15_overrides_hold_no_line_break(wire: Wire, path: str) -> None:
    wire.put(path, FIVE)

    for text in ("a\r\nSet-Cookie: b", "a\nb", "a\x00b", "€", "d" * 8192):
        answer = wire.get(f"{path}?response-content-disposition={quote(text)}")
        assert answer.said == (400, "InvalidArgument"), text
        assert answer.header("set-cookie") is None
    fine = wire.get(
        f"{path}?response-content-disposition={quote('attachment; filename=x')}&response-expires=0"
    )
    assert (fine.header("content-disposition"), fine.header("expires")) == ("attachment; filename=x", "0")
    stranger = request_bytes("GET", f"{path}?response-content-type=text/html", [("host", "h")])
    assert wire.send(stranger).said == (403, "AccessDenied")


def test_f16_only_where_nothing_is(wire: Wire, path: str) -> None:
    condition = [("if-none-match", "*")]

    wire.put(path, b"first", condition)

    assert wire.ask("PUT", path, condition, body=b"second").said == PRECONDITION
    assert wire.ask("PUT", path, condition, body=b"s" * 300_000).said == PRECONDITION
    assert wire.stored(path) == b"first"


def test_f16_only_over_what_was_seen(wire: Wire, path: str) -> None:
    assert wire.ask("PUT", path, [("if-match", '"x"')], body=b"x").said == (404, "NoSuchKey")
    etag = wire.put(path, b"first").header("etag") or ""

    assert wire.ask("PUT", path, [("if-match", '"x"')], body=b"x").said == PRECONDITION
    wire.put(path, b"second", [("if-match", etag)])
    assert wire.ask("PUT", path, [("if-match", etag)], body=b"third").said == PRECONDITION
    assert wire.stored(path) == b"second"


@pytest.mark.parametrize("size_bytes", [10, 200_000])
def test_f16_of_two_at_once_one_wins(wire: Wire, path: str, size_bytes: int) -> None:
    answers: list[Answer] = []
    bodies = [bytes([letter]) * size_bytes for letter in b"abcd"]

    def put(body: bytes) -> None:
        answers.append(wire.ask("PUT", path, [("if-none-match", "*")], body=body))

    writers = [threading.Thread(target=put, args=(body,)) for body in bodies]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert sorted(answer.status for answer in answers)[0] == 200
    losers = {answer.said for answer in answers if answer.status != 200}
    assert len([answer for answer in answers if answer.status == 200]) == 1
    assert losers <= {PRECONDITION, (409, "ConditionalRequestConflict")}
    assert wire.stored(path) in bodies


def test_f33_encryption_is_never_only_claimed(wire: Wire, path: str) -> None:
    name = "x-amz-server-side-encryption"

    assert wire.ask("PUT", path, [(name, "FOO")], body=b"x").said == (400, "InvalidEncryptionAlgorithmError")
    for algorithm in ("AES256", "aws:kms"):
        assert wire.ask("PUT", path, [(name, algorithm)], body=b"x").said == (501, "NotImplemented")
    assert wire.stored(path) is None


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("x-amz-storage-class", "FOO", (400, "InvalidStorageClass")),
        ("x-amz-acl", "foo", (400, "InvalidArgument")),
        ("x-amz-acl", "public-read", (400, "AccessControlListNotSupported")),
        (
            "x-amz-grant-read",
            'uri="http://acs.amazonaws.com/groups/global/AllUsers"',
            (400, "AccessControlListNotSupported"),
        ),
        ("x-amz-tagging", "a=b&a=c", (400, "InvalidTag")),
        ("x-amz-website-redirect-location", "/other", (501, "NotImplemented")),
        ("x-amz-expected-bucket-owner", "111122223333", (403, "AccessDenied")),
    ],
)
def test_f34_what_is_asked_for_and_nobody_would_do(
    wire: Wire, path: str, name: str, value: str, said: tuple[int, str]
) -> None:
    assert wire.ask("PUT", path, [(name, value)], body=b"x").said == said
    assert wire.ask("POST", f"{path}?uploads", [(name, value)]).said == said
    if name != "x-amz-tagging":
        assert wire.ask("PUT", path, [(name, value), ("x-amz-copy-source", SENTINEL)]).said == said
    assert wire.stored(path) is None
    assert b"<Upload>" not in wire.get(f"/{BUCKET}?uploads&prefix={path.removeprefix(f'/{BUCKET}/')}").body


def test_f36_a_bucket_that_is_there(wire: Wire, other: Wire) -> None:
    assert wire.ask("PUT", f"/{BUCKET}").said == (409, "BucketAlreadyOwnedByYou")
    assert other.ask("PUT", f"/{BUCKET}").said == (409, "BucketAlreadyExists")
    assert wire.stored(SENTINEL) == SENTINEL_BODY


def test_f36_another_account_reaches_nothing_of_ours(wire: Wire, other: Wire, path: str) -> None:
    wire.put(path, FIVE)

    for method, target in [
        ("GET", path),
        ("GET", f"{path}/none"),
        ("PUT", path),
        ("DELETE", path),
        ("GET", f"/{BUCKET}"),
        ("GET", f"/{BUCKET}?uploads"),
        ("GET", f"/{BUCKET}?location"),
        ("DELETE", f"/{BUCKET}"),
        ("POST", f"{path}?uploads"),
    ]:
        assert other.ask(method, target).said == (403, "AccessDenied"), (method, target)
    assert other.ask("HEAD", f"/{BUCKET}").status == 403
    assert BUCKET.encode() not in other.get("/").body
    assert wire.stored(path) == FIVE


def test_a_reader_changes_nothing(wire: Wire, reader: Wire, path: str) -> None:
    wire.put(path, FIVE)

    assert reader.stored(path) == FIVE
    for method, target in [
        ("PUT", path),
        ("DELETE", path),
        ("POST", f"{path}?uploads"),
        ("PUT", "/new-bucket-here"),
    ]:
        assert reader.ask(method, target).said == (403, "AccessDenied"), (method, target)
    assert reader.ask("PUT", f"{path}/copy", [("x-amz-copy-source", path)]).said == (403, "AccessDenied")
    assert wire.stored(path) == FIVE


def test_the_headers_of_an_object_come_back(wire: Wire, path: str) -> None:
    sent = [
        ("cache-control", "no-cache"),
        ("content-disposition", 'attachment; filename="\xe4"'),
        ("content-encoding", "gzip"),
        ("content-language", "de"),
        ("content-type", "text/x; charset=latin1"),
        ("expires", "Thu, 01 Dec 2033 16:00:00 GMT"),
        ("x-amz-meta-x", "\xc3\xa9t\xc3\xa9"),
    ]
    wire.put(path, FIVE, sent)

    for answer in (wire.get(path), wire.ask("HEAD", path)):
        assert [(name, answer.header(name)) for name, _ in sent] == sent
    wire.put(f"{path}/bare", FIVE)
    assert wire.get(f"{path}/bare").header("content-type") == "binary/octet-stream"


def test_errors_name_their_request(wire: Wire, path: str) -> None:
    answer = wire.get(f"{path}/<&>{escaped('ü')}")

    request_id = answer.header("x-amz-request-id")
    assert answer.said == (404, "NoSuchKey")
    assert answer.header("content-type") == "application/xml"
    assert f"<RequestId>{request_id}</RequestId>".encode() in answer.body
    assert "&lt;&amp;&gt;ü</Key>".encode() in answer.body
