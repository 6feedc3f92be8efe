"""A request is served when its signature proves it, and otherwise refused by name with nothing done (rows A)."""

import hashlib
import itertools
import re
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from dataplane.wire.times import http_date
from tests.conformance.s3.wire import BUCKET, SENTINEL, SENTINEL_BODY, UNSIGNED, Wire, with_header
from tests.support.chunked_bodies import (
    SIGNED,
    SIGNED_TRAILER,
    UNSIGNED_TRAILER,
    signature_of,
    signed_body,
    unsigned_body,
)
from tests.support.raw_http import Answer, Connection, Pairs, request_bytes
from tests.support.sigv4_signer import Signer

HOST = ("host", "localhost:9000")
MALFORMED = (400, "AuthorizationHeaderMalformed")
MISMATCH = (403, "SignatureDoesNotMatch")
DENIED = (403, "AccessDenied")
QUERY_ERROR = (400, "AuthorizationQueryParametersError")

Change = Callable[[str], str]


def changed(wire: Wire, change: Change, method: str = "GET", target: str = SENTINEL) -> Answer:
    """A good request whose Authorization was altered."""
    pairs = wire.headers(method, target, body=b"forged" if method == "PUT" else b"")
    authorization = next(value for name, value in pairs if name == "authorization")
    pairs = with_header(pairs, "authorization", change(authorization))
    return wire.send(request_bytes(method, target, pairs, b"forged" if method == "PUT" else b""), method)


def sub(pattern: str, replacement: str) -> Change:
    def change(text: str) -> str:
        altered, count = re.subn(pattern, replacement, text)
        assert count == 1
        return altered

    return change


def test_a01_a_stranger_is_denied(wire: Wire, path: str) -> None:
    assert wire.send(request_bytes("GET", SENTINEL, [HOST])).said == DENIED
    assert wire.send(request_bytes("GET", "/", [HOST])).said == DENIED
    assert wire.send(request_bytes("HEAD", SENTINEL, [HOST]), "HEAD").status == 403
    put = request_bytes("PUT", path, [HOST, ("content-length", "5")], b"alien")
    assert wire.send(put, "PUT").said == DENIED
    assert wire.stored(path) is None


def test_a01_a_stranger_learns_nothing_about_what_exists(wire: Wire) -> None:
    conditions: list[Pairs] = [
        [("if-modified-since", "Fri, 01 Jan 2027 00:00:00 GMT")],
        [("if-none-match", "*")],
        [],
    ]
    answers = [
        wire.send(request_bytes("GET", target, [HOST, *extra]))
        for target in (SENTINEL, f"/{BUCKET}/nothing", "/never-made/nothing")
        for extra in conditions
    ]

    assert {answer.said for answer in answers} == {DENIED}
    assert len({tuple(name for name, _ in answer.headers) for answer in answers}) == 1


@pytest.mark.parametrize("text", ["", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256 ,,,"])
def test_a02_an_authorization_that_says_nothing(wire: Wire, text: str) -> None:
    assert changed(wire, lambda _: text).said == MALFORMED


@pytest.mark.parametrize("change", [sub(r"Credential=[^,]+, ", ""), sub(r"Credential=[^,]+", "Credential=")])
def test_a03_no_credential(wire: Wire, change: Change) -> None:
    assert changed(wire, change).said == MALFORMED


@pytest.mark.parametrize(
    "change",
    [
        sub("/aws4_request", ""),
        sub("/aws4_request", "/aws4_request/more"),
        sub(r"Credential=[^/]+", "Credential="),
    ],
    ids=["four parts", "six parts", "no key"],
)
def test_a04_a_credential_of_other_parts(wire: Wire, change: Change) -> None:
    assert changed(wire, change).said == MALFORMED


@pytest.mark.parametrize(
    "change", [sub(r"SignedHeaders=[^,]+, ", ""), sub(r"SignedHeaders=[^,]+", "SignedHeaders=")]
)
def test_a05_no_signed_headers(wire: Wire, change: Change) -> None:
    assert changed(wire, change).said == MALFORMED


@pytest.mark.parametrize("change", [sub(r", Signature=.*", ""), sub(r"Signature=.*", "Signature=")])
def test_a06_no_signature(wire: Wire, change: Change) -> None:
    assert changed(wire, change).said == MALFORMED


@pytest.mark.parametrize(
    "change",
    [
        sub(r"(Signature=.*).$", r"\1"),
        sub(r"(Signature=.*)$", r"\g<1>0"),
        lambda text: text[:-64] + text[-64:].upper(),
        lambda text: text[:-64] + "z" * 64,
        lambda text: text[:-64] + "0" * 64,
        lambda text: text[:-1] + "\xe4",
    ],
    ids=["63 digits", "65 digits", "upper case", "no hex", "zeros", "octet"],
)
def test_a07_a_signature_of_another_form(wire: Wire, change: Change) -> None:
    assert changed(wire, change).said == MISMATCH


@pytest.mark.parametrize("scheme", ["AWS4-HMAC-SHA1", "Bearer", "Basic"])
def test_a09_another_scheme(wire: Wire, scheme: str) -> None:
    assert changed(wire, sub("AWS4-HMAC-SHA256", scheme)).said == (400, "InvalidArgument")


def test_a10_the_older_version_in_a_header(wire: Wire) -> None:
    assert changed(wire, lambda _: f"AWS {wire.access_key_id}:c2lnbmF0dXJl").said == (400, "InvalidRequest")


def test_a11_an_unknown_key(wire: Wire) -> None:
    answer = replace(wire, access_key_id="NOBODYSKEY").ask("GET", SENTINEL)

    assert answer.said == (403, "InvalidAccessKeyId")


def test_a13_a_wrong_secret(wire: Wire, path: str) -> None:
    wrong = replace(wire, secret=wire.secret[::-1])

    assert wrong.ask("GET", SENTINEL).said == MISMATCH
    assert wrong.ask("PUT", path, body=b"forged").said == MISMATCH
    assert wrong.ask("DELETE", SENTINEL).said == MISMATCH
    assert wire.stored(path) is None


@pytest.mark.parametrize("region", ["eu-west-1", "US-EAST-1", "x"])
def test_a14_another_region_is_told_ours(wire: Wire, region: str) -> None:
    answer = wire.ask("GET", SENTINEL, signer=wire.signer(region=region))

    assert answer.said == MALFORMED
    assert f"<Region>{wire.region}</Region>".encode() in answer.body


@pytest.mark.parametrize("service", ["ec2", "sts", "S3"])
def test_a15_another_service(wire: Wire, service: str) -> None:
    assert wire.ask("GET", SENTINEL, signer=wire.signer(service=service)).said == MALFORMED


def test_a16_another_terminator(wire: Wire) -> None:
    assert wire.ask("GET", SENTINEL, signer=wire.signer(terminator="aws5_request")).said == MALFORMED


def test_a18_the_date_header_stands_in(wire: Wire) -> None:
    date = http_date(int(time.time()))

    answer = wire.ask("GET", SENTINEL, [("date", date)], dated=False)

    assert (answer.status, answer.body) == (200, SENTINEL_BODY)


def test_a19_no_date_at_all(wire: Wire) -> None:
    assert wire.ask("GET", SENTINEL, dated=False).said == DENIED


@pytest.mark.parametrize(
    "date", ["2026-11-20T00:00:00Z", "garbage", "", "00000000T000000Z", "20261332T250000Z", "9" * 9_999]
)
def test_a20_a_date_that_is_none(wire: Wire, date: str) -> None:
    answer = wire.send(
        request_bytes("GET", SENTINEL, with_header(wire.headers("GET", SENTINEL), "x-amz-date", date))
    )

    assert answer.said in (DENIED, MALFORMED)


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a21_a_clock_sixteen_minutes_off(wire: Wire, minutes: int) -> None:
    answer = wire.ask("GET", SENTINEL, signer=wire.signer(off_s=minutes * 60))

    # Around midnight the day of the scope is another one too; that is the request's own day all the same.
    assert answer.said == (403, "RequestTimeTooSkewed")
    assert b"<ServerTime>20" in answer.body


@pytest.mark.parametrize("minutes", [-14, 14])
def test_a22_a_clock_fourteen_minutes_off(wire: Wire, minutes: int) -> None:
    assert wire.ask("GET", SENTINEL, signer=wire.signer(off_s=minutes * 60)).status == 200


def test_a24_the_same_put_again_stores_the_same_again(wire: Wire, path: str) -> None:
    raw = wire.raw("PUT", path, body=b"once")

    first, second = wire.send(raw, "PUT"), wire.send(raw, "PUT")

    assert (first.status, second.status) == (200, 200)
    assert first.header("etag") == second.header("etag")
    assert wire.stored(path) == b"once"


def test_a26_the_host_must_be_signed(wire: Wire) -> None:
    assert wire.ask("GET", SENTINEL, unsigned=["host"]).said == DENIED


def test_a26_every_amz_header_must_be_signed(wire: Wire, path: str) -> None:
    source = [("x-amz-copy-source", SENTINEL)]

    assert wire.ask("PUT", path, source, unsigned=["x-amz-copy-source"]).said == DENIED
    assert wire.ask("PUT", path, [("x-amz-meta-a", "1")], unsigned=["x-amz-meta-a"]).said == DENIED
    assert wire.stored(path) is None


def test_a28_a_signed_header_that_is_not_there(wire: Wire) -> None:
    pairs = wire.headers("GET", SENTINEL, [("x-absent", "")])

    answer = wire.send(request_bytes("GET", SENTINEL, with_header(pairs, "x-absent", None)))

    assert answer.said == MISMATCH


def test_a30_blanks_in_a_value_are_signed_as_sdks_do(wire: Wire, path: str) -> None:
    extra = [("x-amz-meta-a", "one  two   three"), ("x-amz-meta-b", "\tleading"), ("x-amz-meta-c", "\xfcml")]

    wire.put(path, b"x", extra)

    answer = wire.get(path)
    assert answer.header("x-amz-meta-a") == "one  two   three"
    assert answer.header("x-amz-meta-b") == "leading"
    assert answer.header("x-amz-meta-c") == "\xfcml"


def test_a31_a_repeated_header_is_one_value(wire: Wire, path: str) -> None:
    wire.put(path, b"x", [("x-amz-meta-a", "1"), ("x-amz-meta-a", "2")])

    assert wire.get(path).header("x-amz-meta-a") == "1,2"


@pytest.mark.parametrize("name", ["x-amz-date", "authorization", "content-type", "x-amz-content-sha256"])
def test_a31_a_header_that_can_only_come_once(wire: Wire, path: str, name: str) -> None:
    pairs = wire.headers("PUT", path, [("content-type", "text/plain")], body=b"x")
    again = next(pair for pair in pairs if pair[0] == name)

    answer = wire.send(request_bytes("PUT", path, [*pairs, again], b"x"), "PUT")

    assert answer.status == 400
    assert wire.stored(path) is None


def test_a32_the_payload_must_be_spoken_of(wire: Wire) -> None:
    assert wire.ask("GET", SENTINEL, payload=None).said == (400, "InvalidRequest")


@pytest.mark.parametrize("text", ["abc", "A" * 64, "STREAMING-SOMETHING-ELSE", "unsigned-payload"])
def test_a33_a_payload_of_no_kind(wire: Wire, path: str, text: str) -> None:
    assert wire.ask("PUT", path, body=b"x", payload=text).said == (400, "InvalidArgument")
    assert wire.stored(path) is None


@pytest.mark.parametrize("size_bytes", [5, 300_000])
def test_a34_the_digest_of_another_body(wire: Wire, path: str, size_bytes: int) -> None:
    other = hashlib.sha256(b"another").hexdigest()

    answer = wire.ask("PUT", path, body=b"x" * size_bytes, payload=other)

    assert answer.said == (400, "XAmzContentSHA256Mismatch")
    assert wire.stored(path) is None


@pytest.mark.parametrize(
    "query", ["a=1&a=2", "a", "a=", "&&", "a=b%20c", "a=b+c", "z=1&a=%C3%A4&%24=~", "a=%2f", "x-id=GetObject"]
)
def test_a36_queries_are_canonical_as_sdks_make_them(wire: Wire, query: str) -> None:
    answer = wire.get(f"{SENTINEL}?{query}")

    assert (answer.status, answer.body) == (200, SENTINEL_BODY)


def test_a36_a_plus_in_a_path_is_a_plus(wire: Wire, path: str) -> None:
    wire.put(f"{path}/a+b", b"plus")
    wire.put(f"{path}/a%20b", b"space")

    assert wire.stored(f"{path}/a%2Bb") == b"plus"
    assert wire.stored(f"{path}/a%20b") == b"space"


def test_a36_a_plus_in_a_query_is_a_space(wire: Wire, path: str) -> None:
    bucket = path.split("/")[1]
    wire.put(f"{path}/a%20b", b"space")
    prefix = path.removeprefix(f"/{bucket}/")

    found = wire.get(f"/{bucket}?list-type=2&prefix={prefix}/a+b")
    others = wire.get(f"/{bucket}?list-type=2&prefix={prefix}/a%2Bb")

    assert b"<KeyCount>1</KeyCount>" in found.body
    assert b"<KeyCount>0</KeyCount>" in others.body


def test_a38_paths_are_verified_as_they_were_sent(wire: Wire, path: str) -> None:
    wire.put(f"{path}/a/b", b"x")

    assert wire.stored(f"{path}/a/b") == wire.stored(f"{path}/a%2Fb") == wire.stored(f"{path}/a%2fb") == b"x"
    signed_for_another = wire.headers("GET", f"{path}/a%2Fb")
    assert wire.send(request_bytes("GET", f"{path}/a/b", signed_for_another)).said == MISMATCH


@pytest.mark.parametrize("expires", ["0", "-1", "604801", "1e30", "abc", "", "9" * 4000])
def test_a39_a_life_that_is_none(wire: Wire, expires: str) -> None:
    target = wire.signer().presigned("GET", SENTINEL, expires=expires)

    assert wire.send(request_bytes("GET", target, [HOST])).said == QUERY_ERROR


def test_a39_no_life_at_all(wire: Wire) -> None:
    target = wire.signer().presigned("GET", SENTINEL).replace("&X-Amz-Expires=3600", "")

    assert wire.send(request_bytes("GET", target, [HOST])).said == QUERY_ERROR


def test_a40_an_expired_url(wire: Wire) -> None:
    target = wire.signer(off_s=-100).presigned("GET", SENTINEL, expires="60")

    answer = wire.send(request_bytes("GET", target, [HOST]))

    assert answer.said == DENIED
    assert b"Request has expired" in answer.body


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("X-Amz-Algorithm=AWS4-HMAC-SHA256&", ""),
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
        ("AWS4-HMAC-SHA256", ""),
    ],
)
def test_a42_another_algorithm(wire: Wire, old: str, new: str) -> None:
    target = wire.signer().presigned("GET", SENTINEL).replace(old, new, 1)

    assert wire.send(request_bytes("GET", target, [HOST])).said == QUERY_ERROR


def test_a42_half_a_signature_is_never_taken_for_none(wire: Wire, path: str) -> None:
    whole = wire.signer().presigned("PUT", path)
    no_signature = whole.partition("&X-Amz-Signature")[0]
    only_a_name = f"{path}?X-Amz-Credential={wire.access_key_id}/20261125/{wire.region}/s3/aws4_request"
    framed = [HOST, ("x-amz-content-sha256", UNSIGNED_TRAILER), ("x-amz-decoded-content-length", "1")]
    body = unsigned_body([b"x"])

    for target in (no_signature, only_a_name):
        raw = request_bytes("PUT", target, [*framed, ("content-length", str(len(body)))], body)
        assert wire.send(raw, "PUT").said == QUERY_ERROR
    assert wire.stored(path) is None


def test_a45_a_presigned_get_is_good_for_that_get_only(wire: Wire, path: str) -> None:
    wire.put(path, b"mine")
    target = wire.signer().presigned("GET", path)

    def ask(method: str, target: str) -> Answer:
        length = [("content-length", "0")] if method in ("PUT", "POST") else []
        return wire.send(request_bytes(method, target, [HOST, *length]), method)

    assert ask("GET", target).body == b"mine"
    assert ask("HEAD", target).status == 403
    assert ask("PUT", target).said == MISMATCH
    assert ask("DELETE", target).said == MISMATCH
    assert ask("GET", target.replace(path, SENTINEL)).said == MISMATCH
    assert ask("GET", target.replace("?", "?acl&", 1)).said == MISMATCH
    assert ask("GET", target + "&response-content-type=text/html").said == MISMATCH
    assert wire.stored(path) == b"mine"


def test_a45_a_presigned_put_copies_nothing(wire: Wire, path: str) -> None:
    target = wire.signer().presigned("PUT", path)
    source = [HOST, ("x-amz-copy-source", SENTINEL), ("content-length", "0")]

    assert wire.send(request_bytes("PUT", target, source), "PUT").said == DENIED
    assert wire.stored(path) is None


def test_a47_a_session_token_nobody_issued(wire: Wire) -> None:
    token = ("x-amz-security-token", "FwoGZXIvYXdzEBYa")
    presigned = wire.signer().presigned("GET", f"{SENTINEL}?X-Amz-Security-Token=FwoGZXIvYXdzEBYa")

    assert wire.ask("GET", SENTINEL, [token]).said == (400, "InvalidToken")
    assert wire.send(request_bytes("GET", presigned, [HOST])).said == (400, "InvalidToken")


def test_a48_a_bad_seed_is_refused_before_the_body_is_asked_for(wire: Wire, path: str) -> None:
    pairs = wire.headers(
        "PUT",
        path,
        [("x-amz-decoded-content-length", "66000")],
        payload=SIGNED,
        length=66_500,
        signer=wire.signer(secret=wire.secret[::-1]),
    )
    with Connection(wire.address) as connection:
        connection.send(request_bytes("PUT", path, [*pairs, ("expect", "100-continue")]))
        answer = connection.answer("PUT")
        wire.look_after(connection, answer)

    assert answer.said == MISMATCH
    assert wire.stored(path) is None


FORMS = ["header", "presigned", "anonymous", "form"]
PAYLOADS = ["signed", UNSIGNED, SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER]
OPERATIONS = ["PUT", "UploadPart", "CopyObject", "POST"]


@pytest.mark.parametrize(("form", "payload"), list(itertools.product(FORMS, PAYLOADS)))
def test_a49_no_form_of_a_request_spares_the_signature(
    wire: Wire, path: str, form: str, payload: str
) -> None:
    """Every operation that writes; what is no form of an operation may also be refused as that."""
    upload_id = (
        wire.ask("POST", f"{path}?uploads").body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
    )
    forger = wire.signer(secret=wire.secret[::-1])

    for operation in OPERATIONS:
        method = "POST" if operation == "POST" else "PUT"
        target = f"{path}?partNumber=1&uploadId={upload_id}" if operation == "UploadPart" else path
        raw = forged(forger, method, target, form, payload, is_copy=operation == "CopyObject")
        answer = wire.send(raw, method)

        # A presigned URL has no seed for signed chunks: that is refused as a form before anything is verified.
        is_no_form = form == "presigned" and payload in (SIGNED, SIGNED_TRAILER)
        if is_no_form:
            assert answer.status in (400, 403), (operation, answer)
        else:
            assert answer.status == 403, (operation, answer)

    assert wire.stored(path) is None
    assert b"<Part>" not in wire.get(f"{path}?uploadId={upload_id}").body


def forged(signer: Signer, method: str, target: str, form: str, payload: str, *, is_copy: bool) -> bytes:
    data = b"" if is_copy else b"forged"
    extra: list[tuple[str, str]] = [("x-amz-copy-source", SENTINEL)] if is_copy else []
    if payload.startswith("STREAMING"):
        extra.append(("x-amz-decoded-content-length", str(len(data))))
    text = hashlib.sha256(data).hexdigest() if payload == "signed" else payload
    pairs: Pairs
    if form == "header":
        pairs = signer.headers(method, target, extra, payload=text)
    else:
        pairs = [HOST, ("x-amz-content-sha256", text), *extra]
    seed = signature_of(pairs) if form == "header" else "0" * 64
    body = data
    if payload == UNSIGNED_TRAILER:
        body = unsigned_body([data] if data else [])
    elif payload in (SIGNED, SIGNED_TRAILER):
        body = signed_body(signer, seed, [data] if data else [], () if payload == SIGNED_TRAILER else None)
    if form == "presigned":
        target = signer.presigned(method, target, pairs, payload=text)
    if form == "form":
        pairs = [*pairs, ("content-type", "multipart/form-data; boundary=b")]
    return request_bytes(method, target, [*pairs, ("content-length", str(len(body)))], body)
