"""Uploads by form are stored when their policy was signed and kept to, and otherwise nothing is (rows H)."""

import base64
import hashlib
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest
from botocore.config import Config

from tests.conformance.s3.conftest import READER_KEY_ID, READER_SECRET
from tests.conformance.s3.wire import BUCKET, Wire
from tests.support.post_forms import (
    BOUNDARY,
    FORM_HEADERS,
    agreeing,
    claim_of,
    form,
    part,
    policy_text,
    signed_fields,
)
from tests.support.raw_http import Answer, Connection, Pairs, request_bytes

DENIED = (403, "AccessDenied")
MISMATCH = (403, "SignatureDoesNotMatch")
MALFORMED = (400, "MalformedPOSTRequest")
NO_POLICY = (400, "InvalidPolicyDocument")
BAD_ARGUMENT = (400, "InvalidArgument")
FILE = b"what the browser sends\r\n--not the boundary\r\n"


def post(
    wire: Wire, body: bytes, *, target: str = f"/{BUCKET}", headers: Pairs = FORM_HEADERS, more: Pairs = ()
) -> Answer:
    host = ("host", "localhost:9000")
    return wire.send(
        request_bytes("POST", target, [host, *headers, *more, ("content-length", str(len(body)))], body),
        "POST",
    )


def key_of(path: str) -> str:
    return path.removeprefix(f"/{BUCKET}/")


def test_a_form_is_stored_with_what_its_fields_say(wire: Wire, path: str) -> None:
    fields = [
        ("key", key_of(path)),
        ("Content-Type", "text/x-cat"),
        ("Cache-Control", "no-store"),
        ("acl", "private"),
        ("x-amz-meta-Colour", "grün"),
        ("X-Ignore-Me", "anything"),
    ]
    covered = [each for each in fields if not each[0].startswith("X-Ignore")]

    answer = post(wire, form([*agreeing(wire.signer(), covered, BUCKET), fields[-1]], FILE))

    assert (answer.status, answer.body) == (204, b"")
    assert answer.header("location") == f"http://localhost:9000{path}"
    assert answer.header("etag") == f'"{hashlib.md5(FILE).hexdigest()}"'
    stored = wire.get(path)
    assert stored.body == FILE
    assert stored.header("content-type") == "text/x-cat"
    assert stored.header("cache-control") == "no-store"
    assert (stored.header("x-amz-meta-colour") or "").encode("latin-1").decode() == "grün"


def test_the_name_of_the_file_completes_the_key(wire: Wire, path: str) -> None:
    signer, prefix = wire.signer(), key_of(path)
    conditions = [{"bucket": BUCKET}, ["starts-with", "$key", prefix], *({n: v} for n, v in claim_of(signer))]
    fields = [("key", prefix + "/${filename}"), *signed_fields(signer, policy_text(conditions))]

    answer = post(wire, form(fields, FILE, file_name="C:\\pictures\\a cat.txt"))

    assert answer.status == 204
    assert wire.stored(f"{path}/a%20cat.txt") == FILE


@pytest.mark.parametrize(
    ("asked", "status"), [("200", 200), ("201", 201), ("204", 204), ("500", 204), ("", 204)]
)
def test_the_form_says_how_it_is_answered(wire: Wire, path: str, asked: str, status: int) -> None:
    fields = [("key", key_of(path)), ("success_action_status", asked)]

    answer = post(wire, form(agreeing(wire.signer(), fields, BUCKET), FILE))

    assert answer.status == status
    if status == 201:
        assert b"<PostResponse" in answer.body
        assert f"<Key>{key_of(path)}</Key>".encode() in answer.body
        assert f"<Location>{answer.header('location')}</Location>".encode() in answer.body
    else:
        assert answer.body == b""


def test_a_browser_is_sent_on(wire: Wire, path: str) -> None:
    fields = [("key", key_of(path)), ("success_action_redirect", "https://example.org/done?a=b#c")]

    answer = post(wire, form(agreeing(wire.signer(), fields, BUCKET), FILE))

    assert answer.status == 303
    parts = urlsplit(answer.header("location") or "")
    assert (parts.scheme, parts.netloc, parts.path, parts.fragment) == ("https", "example.org", "/done", "c")
    etag = f'"{hashlib.md5(FILE).hexdigest()}"'
    assert dict(parse_qsl(parts.query)) == {"a": "b", "bucket": BUCKET, "key": key_of(path), "etag": etag}


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "//evil.example", "data:text/html,x", "https:///x"]
)
def test_nobody_is_sent_anywhere_but_the_web(wire: Wire, path: str, address: str) -> None:
    fields = [("key", key_of(path)), ("redirect", address)]

    answer = post(wire, form(agreeing(wire.signer(), fields, BUCKET), FILE))

    assert answer.status == 204
    assert address not in (answer.header("location") or "")


@pytest.mark.parametrize(("version", "mark"), [("s3", "AWSAccessKeyId"), ("s3v4", "x-amz-signature")])
def test_what_boto3_signs_for_forms_is_taken(wire: Wire, path: str, version: str, mark: str) -> None:
    client = boto3.client(
        "s3",
        endpoint_url="http://localhost:9000",
        aws_access_key_id=wire.access_key_id,
        aws_secret_access_key=wire.secret,
        region_name=wire.region,
        config=Config(signature_version=version, s3={"addressing_style": "path"}),
    )
    made = client.generate_presigned_post(
        BUCKET,
        key_of(path) + "/${filename}",
        Fields={"Content-Type": "text/plain"},
        Conditions=[{"Content-Type": "text/plain"}, ["content-length-range", 1, 1000]],
    )
    fields = list(made["fields"].items())
    signature = "signature" if version == "s3" else "x-amz-signature"
    forged = [(name, "0" * 28 if name == signature else value) for name, value in fields]

    assert made["url"] == f"http://localhost:9000/{BUCKET}"
    assert mark in made["fields"]
    assert post(wire, form(forged, b"forged")).said == MISMATCH
    assert post(wire, form(fields, FILE)).status == 204
    assert wire.stored(f"{path}/cat.txt") == FILE
    assert post(wire, form(fields, b"x" * 1001)).said == (400, "EntityTooLarge")
    assert wire.stored(f"{path}/cat.txt") == FILE


def test_a_form_tells_its_length(wire: Wire, path: str) -> None:
    body = form(agreeing(wire.signer(), [("key", key_of(path))], BUCKET), FILE)
    pairs = [("host", "localhost:9000"), *FORM_HEADERS, ("transfer-encoding", "chunked")]
    chunked = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"

    answer = wire.send(request_bytes("POST", f"/{BUCKET}", pairs, chunked), "POST")

    assert answer.said == (411, "MissingContentLength")
    assert wire.stored(path) is None


@pytest.mark.parametrize("size_bytes", [0, 1, 70_000, (1 << 20) - 900, (1 << 20) + 1, 3_000_000])
def test_files_of_any_size_arrive_whole(wire: Wire, path: str, size_bytes: int) -> None:
    file = (b"0123456789abcde\r\n--" * (size_bytes // 19 + 1))[:size_bytes]

    answer = post(wire, form(agreeing(wire.signer(), [("key", key_of(path))], BUCKET), file))

    assert answer.status == 204
    assert wire.stored(path) == file


def test_h01_a_form_has_one_file_and_it_comes_last(wire: Wire, path: str) -> None:
    fields = agreeing(wire.signer(), [("key", key_of(path))], BUCKET)

    assert post(wire, form(fields, None)).said == BAD_ARGUMENT
    assert post(wire, form(fields, FILE, after=part("file", b"another", file_name="b"))).said == BAD_ARGUMENT
    assert wire.stored(path) is None
    after = part("key", b"another key") + part("submit", b"")
    assert post(wire, form(fields, FILE, after=after)).status == 204
    assert wire.stored(path) == FILE


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (policy_text([], expiration="2020-01-01T00:00:00.000Z"), DENIED),
        (policy_text([], expiration="tomorrow"), NO_POLICY),
        ("%%%", NO_POLICY),
        (base64.b64encode(b"not JSON").decode(), NO_POLICY),
        (base64.b64encode(b"[" * 12_000).decode(), NO_POLICY),
        (base64.b64encode(b'{"expiration":"2099-01-01T00:00:00Z"}').decode(), NO_POLICY),
        (base64.b64encode(b'{"expiration":"2099-01-01T00:00:00Z","conditions":[NaN]}').decode(), NO_POLICY),
    ],
)
def test_h02_a_policy_is_alive_and_well_formed(
    wire: Wire, path: str, policy: str, expected: tuple[int, str]
) -> None:
    fields = [("key", key_of(path)), *signed_fields(wire.signer(), policy)]

    assert post(wire, form(fields, FILE)).said == expected
    assert wire.stored(path) is None


@pytest.mark.parametrize(
    ("conditions", "extra"),
    [
        ([{"key": "another"}], []),
        ([["starts-with", "$key", "another"]], []),
        ([["starts-with", "$key", ""], {"bucket": "another-bucket"}], []),
        ([["starts-with", "$key", ""], {"acl": "private"}], []),
        ([["starts-with", "$key", ""]], [("x-amz-meta-extra", "field")]),
        (
            [["starts-with", "$key", ""], ["starts-with", "$Content-Type", "image/"]],
            [("Content-Type", "text/html")],
        ),
        (
            [["starts-with", "$key", ""], ["starts-with", "$Content-Type", "image/"]],
            [("Content-Type", "image/png,text/html")],
        ),
        ([["starts-with", "$key", ""]], [("bucket", "another-bucket")]),
        ([], []),
    ],
)
def test_h03_every_condition_is_kept_and_every_field_covered(
    wire: Wire, path: str, conditions: list[Any], extra: list[tuple[str, str]]
) -> None:
    signer = wire.signer()
    policy = policy_text([*conditions, *({name: value} for name, value in claim_of(signer))])
    fields = [("key", key_of(path)), *extra, *signed_fields(signer, policy)]

    assert post(wire, form(fields, FILE)).said == DENIED
    assert wire.stored(path) is None


def test_h03_a_form_goes_to_the_bucket_of_its_address(wire: Wire, path: str) -> None:
    """Whatever bucket its fields name, and whatever its policy allows elsewhere."""
    elsewhere = f"{BUCKET}-elsewhere"
    assert wire.ask("PUT", f"/{elsewhere}").said in ((200, ""), (409, "BucketAlreadyOwnedByYou"))
    fields = agreeing(wire.signer(), [("key", key_of(path)), ("bucket", BUCKET)], BUCKET)

    assert post(wire, form(fields, FILE), target=f"/{elsewhere}").said == DENIED
    assert wire.stored(path) is None
    assert wire.stored(f"/{elsewhere}/{key_of(path)}") is None
    assert post(wire, form(fields, FILE)).status == 204


def test_tags_of_a_form_are_kept(wire: Wire, path: str) -> None:
    tags = "<Tagging><TagSet><Tag><Key>kind</Key><Value>cat</Value></Tag></TagSet></Tagging>"
    fields = agreeing(wire.signer(), [("key", key_of(path)), ("tagging", tags)], BUCKET)

    assert post(wire, form(fields, FILE)).status == 204
    assert b"<Key>kind</Key><Value>cat</Value>" in wire.get(f"{path}?tagging").body


def test_tags_that_are_none_store_nothing(wire: Wire, path: str) -> None:
    fields = agreeing(wire.signer(), [("key", key_of(path)), ("tagging", "kind=cat")], BUCKET)

    assert post(wire, form(fields, FILE)).said == (400, "MalformedXML")
    assert wire.stored(path) is None


def test_h03_the_fields_of_the_signature_are_covered_as_well(wire: Wire, path: str) -> None:
    policy = policy_text([{"bucket": BUCKET}, {"key": key_of(path)}])

    assert (
        post(wire, form([("key", key_of(path)), *signed_fields(wire.signer(), policy)], FILE)).said == DENIED
    )
    assert wire.stored(path) is None


@pytest.mark.parametrize("file", [FILE, b"x" * 3_000_000])
@pytest.mark.parametrize(
    ("low", "high", "code"),
    [
        (0, -1, "EntityTooLarge"),
        (1, 9_000_000, "EntityTooSmall"),
        (9, 8, "InvalidPolicyDocument"),
        (0, 0, ""),
    ],
)
def test_h04_sizes_are_kept_to_the_byte(
    wire: Wire, path: str, file: bytes, low: int, high: int, code: str
) -> None:
    span = (
        ["content-length-range", 9, 8]
        if low == 9
        else ["content-length-range", len(file) + low, len(file) + high]
    )
    if high == -1:
        span[1] = 0
    fields = agreeing(wire.signer(), [("key", key_of(path))], BUCKET, [span])

    answer = post(wire, form(fields, file))

    assert answer.said == ((400, code) if code else (204, ""))
    assert wire.stored(path) == (None if code else file)


def test_a49_h06_the_signature_is_over_this_policy_by_this_key(wire: Wire, path: str) -> None:
    fields = agreeing(wire.signer(), [("key", key_of(path))], BUCKET)
    wider = policy_text([["starts-with", "$key", ""]])
    swapped = [(name, wider if name == "policy" else value) for name, value in fields]
    by_another = agreeing(wire.signer(secret="not the secret at all"), [("key", key_of(path))], BUCKET)
    unknown = agreeing(wire.signer(access_key_id="NOBODY"), [("key", key_of(path))], BUCKET)

    assert post(wire, form(swapped, FILE)).said == MISMATCH
    assert post(wire, form(by_another, FILE)).said == MISMATCH
    assert post(wire, form(unknown, FILE)).said == (403, "InvalidAccessKeyId")
    assert post(wire, form([("key", key_of(path))], FILE)).said == DENIED
    assert wire.stored(path) is None


@pytest.mark.parametrize("name", ["policy", "key", "Key", "POLICY"])
def test_h06_no_field_comes_twice(wire: Wire, path: str, name: str) -> None:
    fields = agreeing(wire.signer(), [("key", key_of(path))], BUCKET)
    value = dict(fields)[name.lower()]

    assert post(wire, form([*fields, (name, value)], FILE)).said == DENIED
    assert wire.stored(path) is None


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "b" * 71,
        "multipart/form-data; boundary=another",
        'multipart/form-data; boundary="open',
    ],
)
def test_h08_without_its_boundary_a_form_is_none(wire: Wire, path: str, content_type: str) -> None:
    body = form(agreeing(wire.signer(), [("key", key_of(path))], BUCKET), FILE)

    assert post(wire, body, headers=[("content-type", content_type)]).said == MALFORMED
    assert wire.stored(path) is None


@pytest.mark.parametrize(
    "broken",
    [
        lambda body: body.replace(b"Content-Disposition", b"Content Disposition", 1),
        lambda body: body.replace(b"\r\nContent-Disposition", b"\nContent-Disposition", 1),
        lambda body: body.replace(b"form-data; name", b"attachment; name", 1),
        lambda body: body.replace(b'name="key"', b'name="key', 1),
        lambda body: body.replace(b'name="key"', b'name=""', 1),
        lambda body: body.replace(b"--\r\n", b"??\r\n"),
        lambda body: b"a preamble\r\n" + body,
        lambda body: body[: body.rindex(b"\r\n--")],
    ],
)
def test_h08_what_is_no_form_is_refused(wire: Wire, path: str, broken: Any) -> None:
    body = form(agreeing(wire.signer(), [("key", key_of(path))], BUCKET), b"a file")

    assert post(wire, broken(body)).said == MALFORMED
    assert wire.stored(path) is None


def test_h08_a_head_that_never_ends_is_refused_at_twenty_kibibytes(wire: Wire) -> None:
    endless = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="x"\r\n\r\n'.encode() + b"x" * (1 << 16)
    pairs = [("host", "localhost:9000"), *FORM_HEADERS, ("content-length", str(1 << 30))]

    with Connection(wire.address) as connection:
        connection.send(request_bytes("POST", f"/{BUCKET}", pairs, endless))

        assert connection.answer("POST").said == (400, "MaxPostPreDataLengthExceededError")


def test_a_file_is_not_followed_by_another_file_without_end(wire: Wire, path: str) -> None:
    fields = agreeing(wire.signer(), [("key", key_of(path))], BUCKET)
    after = part("more", b"x" * 2_000_000)

    assert post(wire, form(fields, FILE, after=after)).said == MALFORMED
    assert wire.stored(path) is None


def test_headers_that_the_policy_does_not_cover_are_refused(wire: Wire, path: str) -> None:
    body = form(agreeing(wire.signer(), [("key", key_of(path))], BUCKET), FILE)

    for name in ("x-amz-copy-source", "x-amz-meta-a", "x-amz-security-token"):
        assert post(wire, body, more=[(name, f"{BUCKET}/sentinel")]).said == DENIED
    assert wire.stored(path) is None


def test_tokens_are_refused(wire: Wire, path: str) -> None:
    fields = agreeing(wire.signer(), [("key", key_of(path)), ("x-amz-security-token", "t")], BUCKET)

    assert post(wire, form(fields, FILE)).said == (400, "InvalidToken")
    assert wire.stored(path) is None


def test_who_only_reads_signs_no_upload(wire: Wire, path: str) -> None:
    reader = replace(wire, access_key_id=READER_KEY_ID, secret=READER_SECRET)

    assert post(wire, form(agreeing(reader.signer(), [("key", key_of(path))], BUCKET), FILE)).said == DENIED
    assert wire.stored(path) is None


def test_a_form_is_for_buckets_and_for_nothing_else(wire: Wire, path: str) -> None:
    body = form(agreeing(wire.signer(), [("key", key_of(path))], BUCKET), FILE)

    assert post(wire, body, target="/").said == DENIED
    assert post(wire, body, target=path).said == DENIED
    assert post(wire, body, target=f"/{BUCKET}?delete").said == (400, "InvalidRequest")
    assert post(wire, body, target=f"/{BUCKET}?uploads").status in {400, 405, 501}
    assert wire.stored(path) is None


def test_a_wrong_checksum_stores_nothing(wire: Wire, path: str) -> None:
    fields = [("key", key_of(path)), ("x-amz-checksum-crc32", base64.b64encode(bytes(4)).decode())]

    answer = post(wire, form(agreeing(wire.signer(), fields, BUCKET), FILE))

    assert answer.said == (400, "BadDigest")
    assert wire.stored(path) is None
