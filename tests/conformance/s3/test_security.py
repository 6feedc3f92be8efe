"""Holes that other gateways had, asked for here: each is named after what was published, and none is open."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataplane.wire.operations import Kind
from dataplane.wire.served_operations import SERVED
from tests.conformance.s3.conftest import OTHER_SECRET, READER_SECRET
from tests.conformance.s3.uploads import Upload
from tests.conformance.s3.wire import BUCKET, SENTINEL, SENTINEL_BODY, UNSIGNED, Wire
from tests.support.chunked_bodies import SIGNED, UNSIGNED_TRAILER, signature_of, signed_body, unsigned_body
from tests.support.post_forms import FORM_HEADERS, agreeing, form
from tests.support.raw_http import request_bytes
from tests.support.served import Served
from tests.support.sigv4_signer import canonical_query

HOST = ("host", "localhost:9000")
DENIED = (403, "AccessDenied")
MISMATCH = (403, "SignatureDoesNotMatch")
PATHS = {Kind.SERVICE: "/", Kind.BUCKET: f"/{BUCKET}", Kind.OBJECT: SENTINEL}


def test_cve_2026_41145_a_name_in_the_query_is_no_identity(wire: Wire, path: str, upload: Upload) -> None:
    scope = f"X-Amz-Credential={wire.access_key_id}/{wire.signer().day}/{wire.region}/s3/aws4_request"
    body = unsigned_body([b"forged"])
    framed = [
        HOST,
        ("x-amz-content-sha256", UNSIGNED_TRAILER),
        ("x-amz-decoded-content-length", "6"),
        ("content-length", str(len(body))),
    ]

    for target in (f"{path}?{scope}", upload.target(1) + f"&{scope}"):
        answer = wire.send(request_bytes("PUT", target, framed, body), "PUT")
        assert answer.said == (400, "AuthorizationQueryParametersError")
    assert wire.stored(path) is None


def test_a_digest_without_the_key_signs_no_url(wire: Wire, path: str) -> None:
    signer = wire.signer()
    target, _, signature = signer.presigned("PUT", path).partition("&X-Amz-Signature=")
    query = canonical_query(target.partition("?")[2])
    canonical = f"PUT\n{path}\n{query}\nhost:{HOST[1]}\n\nhost\n{UNSIGNED}".encode()
    digest = hashlib.sha256(canonical).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{signer.amz_date}\n{signer.scope}\n{digest}".encode()
    raw = [HOST, ("content-length", "6")]

    for forged in (digest, hashlib.sha256(text).hexdigest()):
        answer = wire.send(request_bytes("PUT", f"{target}&X-Amz-Signature={forged}", raw, b"forged"), "PUT")
        assert answer.said == MISMATCH
    assert wire.stored(path) is None
    # The same request with its own signature is good: only the signature was wrong.
    whole = f"{target}&X-Amz-Signature={signature}"
    assert wire.send(request_bytes("PUT", whole, raw, b"signed"), "PUT").status == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amz-copy-source", SENTINEL),
        ("x-amz-copy-source-range", "bytes=0-1"),
        ("x-amz-acl", "private"),
        ("x-amz-tagging", "a=b"),
        ("x-amz-meta-a", "b"),
        ("x-amz-anything-at-all", "b"),
    ],
)
def test_ghsa_xm99_no_header_is_added_to_a_presigned_put(
    wire: Wire, path: str, upload: Upload, name: str, value: str
) -> None:
    for target in (path, upload.target(1)):
        signed = wire.signer().presigned("PUT", target)
        raw = request_bytes("PUT", signed, [HOST, (name, value), ("content-length", "0")])
        answer = wire.send(raw, "PUT")
        assert answer.said == DENIED
        assert f"<HeadersNotSigned>{name}</HeadersNotSigned>".encode() in answer.body
    assert wire.stored(path) is None


def test_cve_2021_21390_a_byte_of_the_third_chunk_is_altered(wire: Wire, path: str) -> None:
    chunks = [b"a" * 70_000, b"b" * 70_000, b"c" * 70_000, b"d" * 70_000]
    size = [("x-amz-decoded-content-length", "280000")]
    signer = wire.signer()
    pairs = wire.headers("PUT", path, size, payload=SIGNED, signer=signer, length=None)
    body = bytearray(signed_body(signer, signature_of(pairs), chunks))
    body[body.index(b"ccc") + 35_000] ^= 1

    raw = request_bytes("PUT", path, [*pairs, ("content-length", str(len(body)))], bytes(body))

    assert wire.send(raw, "PUT").said == MISMATCH
    assert wire.stored(path) is None


@pytest.mark.parametrize(
    "name",
    [
        "x-penstock-degraded",
        "x-penstock-sealed",
        "x-amz-meta-penstock-key-id",
        "x-amz-meta-x-amz-server-side-encryption",
        "x-amz-replication-status",
        "x-amz-version-id",
        "x-amz-delete-marker",
        "x-amz-restore",
    ],
)
def test_cve_2026_34204_no_header_of_a_client_is_one_of_ours(wire: Wire, path: str, name: str) -> None:
    answer = wire.ask("PUT", path, [(name, "true")], body=b"readable")

    assert answer.status in {200, 400, 501}
    if answer.status == 200:
        read = wire.get(path)
        assert read.body == b"readable"
        assert name.startswith("x-amz-meta-") or read.header(name) != "true"


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b"])
@pytest.mark.parametrize("name", ["x-amz-meta-a", "Content-Type", "Content-Disposition"])
def test_no_line_break_gets_into_a_header_by_a_form(wire: Wire, path: str, name: str, value: str) -> None:
    fields = [("key", path.removeprefix(f"/{BUCKET}/")), (name, value)]
    body = form(agreeing(wire.signer(), fields, BUCKET), b"x")
    pairs = [HOST, *FORM_HEADERS, ("content-length", str(len(body)))]

    assert wire.send(request_bytes("POST", f"/{BUCKET}", pairs, body), "POST").said == (
        400,
        "InvalidArgument",
    )
    assert wire.stored(path) is None


def test_cve_2023_28432_no_answer_to_a_stranger_holds_a_secret(wire: Wire, served: Served) -> None:
    known = served.credentials
    secrets = [wire.secret, OTHER_SECRET, READER_SECRET, known.admin_token]
    targets = [("GET", "/-/live"), ("GET", "/-/ready"), ("GET", "/-/ready?for=write"), ("GET", "/-/env")]
    targets += [("GET", "/minio/health/live"), ("POST", "/minio/bootstrap/v1/verify"), ("GET", "/metrics")]
    for each in SERVED:
        query = f"?{each.selector}" if each.selector else ""
        targets.append((each.method, PATHS[each.kind] + query))

    for method, target in targets:
        length = [("content-length", "0")] if method in {"PUT", "POST"} else []
        answer = wire.send(request_bytes(method, target, [HOST, *length]), method)
        told = answer.body + repr(answer.headers).encode()
        assert [secret for secret in secrets if secret.encode() in told] == []
        assert target.startswith("/-/") or answer.status in {400, 403}, (method, target, answer)
    assert wire.stored(SENTINEL) == SENTINEL_BODY


def test_an_underscored_date_is_no_date(wire: Wire) -> None:
    pairs = [
        (name.replace("x-amz-date", "x_amz_date"), value) for name, value in wire.headers("GET", SENTINEL)
    ]

    assert wire.send(request_bytes("GET", SENTINEL, pairs)).said == DENIED


@pytest.fixture
def talkative(tmp_path: Path) -> Iterator[Served]:
    """A deployment that logs all it can."""
    with Served(
        tmp_path, volumes=1, edit_config=lambda text: f"{text}\ntelemetry: {{log_level: debug}}\n"
    ) as made:
        yield made


def test_cve_2018_16889_no_log_holds_secrets_or_signatures(talkative: Served) -> None:
    wire = Wire.of(talkative)
    wire.lay_sentinel()
    key = ("x-amz-server-side-encryption-customer-key", "Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5LWNhbmE=")
    token = ("x-amz-security-token", "canary-of-a-token")
    signatures = []

    def remember(raw: bytes) -> bytes:
        for mark in (b"Signature=", b'x-amz-signature"\r\n\r\n'):
            if mark in raw:
                signatures.append(raw.partition(mark)[2][:64].decode())
        return raw

    def send(method: str, target: str, extra: tuple[tuple[str, str], ...] = (), **options: object) -> None:
        wire.send(remember(wire.raw(method, target, extra, body=b"the body is a canary", **options)), method)

    send("PUT", f"/{BUCKET}/k")
    send("PUT", f"/{BUCKET}/k", (key,))
    send("PUT", f"/{BUCKET}/k", (token,))
    send("PUT", f"/{BUCKET}/k", signer=wire.signer(secret="canary of a wrong secret"))
    send("PUT", f"/{BUCKET}/k", signer=wire.signer(off_s=-3600))
    send("PUT", f"/{BUCKET}/k", payload="0" * 64)
    send("PUT", "/never-made/k")
    send("POST", f"/{BUCKET}?delete", (("content-md5", "x"),))
    presigned = wire.signer().presigned("GET", SENTINEL)
    signatures.append(presigned.rpartition("=")[2])
    wire.send(request_bytes("GET", presigned, [HOST]))
    wire.send(request_bytes("GET", presigned.replace("Expires=3600", "Expires=1"), [HOST]))
    for fields in ([("key", "k")], [("key", "k"), token]):
        body = form(agreeing(wire.signer(), fields, BUCKET), b"the file is a canary")
        pairs = [HOST, *FORM_HEADERS, ("content-length", str(len(body)))]
        wire.send(remember(request_bytes("POST", f"/{BUCKET}", pairs, body)), "POST")
    talkative.stop()

    told = talkative.log.read_text()
    canaries = [wire.secret, key[1], token[1], "canary", "AWS4-HMAC", talkative.credentials.admin_token]
    assert len(set(signatures)) > 8
    assert "PutObject" in told, "what was asked for is logged"
    assert [each for each in (*canaries, *signatures) if each in told] == []
