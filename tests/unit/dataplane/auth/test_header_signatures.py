"""A signature in the Authorization header proves its sender, and nothing less than all of it does."""

import hashlib
from dataclasses import replace

import pytest

from dataplane.auth.identity import Credential
from dataplane.auth.signing_keys import SigningKeys
from dataplane.auth.sigv4 import Authenticator
from dataplane.wire.operations import AuthKind, PayloadKind
from dataplane.wire.refusals import WireError
from tests.support.sigv4_signer import EMPTY_SHA256, Signer, request
from tests.unit.dataplane.auth.conftest import ALICE, StandingClock

HOST = ("host", "localhost:9000")


def refusal(
    authenticator: Authenticator, method: str, target: str, headers: list[tuple[str, str]]
) -> WireError:
    with pytest.raises(WireError) as caught:
        authenticator.authenticate(request(method, target, headers))
    return caught.value


def code(authenticator: Authenticator, headers: list[tuple[str, str]], target: str = "/bucket/key") -> str:
    return refusal(authenticator, "GET", target, headers).fault.code


def with_authorization(headers: list[tuple[str, str]], old: str, new: str) -> list[tuple[str, str]]:
    assert any(name == "authorization" and old in value for name, value in headers)
    return [(name, value.replace(old, new) if name == "authorization" else value) for name, value in headers]


def test_a_signed_request_is_proven(authenticator: Authenticator, signer: Signer) -> None:
    proven = authenticator.authenticate(request("GET", "/bucket/key", signer.headers()))

    assert proven.identity is ALICE
    assert proven.access_key_id == signer.access_key_id
    assert proven.auth_kind is AuthKind.HEADER
    assert proven.payload.kind is PayloadKind.SIGNED
    assert proven.payload.sha256 == hashlib.sha256(b"").digest()
    assert proven.signatures is None


def test_a1_a_stranger_is_denied(authenticator: Authenticator) -> None:
    assert code(authenticator, [HOST]) == "AccessDenied"


@pytest.mark.parametrize("value", ["", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256 ,,,"])
def test_a2_an_authorization_that_says_nothing_is_malformed(authenticator: Authenticator, value: str) -> None:
    assert code(authenticator, [HOST, ("authorization", value)]) == "AuthorizationHeaderMalformed"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("Credential=", "Credentials=", id="A3 credential missing"),
        pytest.param("AKIDEXAMPLE/", "", id="A4 four parts"),
        pytest.param("AKIDEXAMPLE/", "AKIDEXAMPLE/x/", id="A4 six parts"),
        pytest.param("AKIDEXAMPLE/", "/", id="A4 empty access key"),
        pytest.param("SignedHeaders=", "Signed=", id="A5 signed headers missing"),
        pytest.param("SignedHeaders=host;x-amz-content-sha256;x-amz-date", "SignedHeaders=", id="A5 empty"),
        pytest.param("SignedHeaders=host;", "SignedHeaders=host;host;", id="A5 repeated"),
        pytest.param("Signature=", "Sig=", id="A6 signature missing"),
        pytest.param("Signature=", "Signature=,Signature=", id="A6 signature twice"),
        pytest.param("us-east-1/s3/", "us-east-1/ec2/", id="A15 service ec2"),
        pytest.param("us-east-1/s3/", "us-east-1/sts/", id="A15 service sts"),
        pytest.param("aws4_request", "aws5_request", id="A16 terminator"),
        pytest.param("20261124/", "20261125/", id="A20 day of the scope is not the date's"),
        pytest.param("20261124/", "2026-1-2/", id="A20 day of the scope is none"),
    ],
)
def test_a_credential_that_is_not_exactly_right_is_malformed(
    authenticator: Authenticator, signer: Signer, old: str, new: str
) -> None:
    headers = with_authorization(signer.headers(), old, new)

    assert code(authenticator, headers) == "AuthorizationHeaderMalformed"


def test_a14_another_region_is_told_ours(authenticator: Authenticator, signer: Signer) -> None:
    foreign = replace(signer, region="eu-west-1")

    error = refusal(authenticator, "GET", "/bucket/key", foreign.headers())

    assert error.fault.code == "AuthorizationHeaderMalformed"
    assert error.extra["Region"] == "us-east-1"


@pytest.mark.parametrize("service", ["ec2", "sts", "s3express"])
def test_a15_a_signature_made_for_another_service_is_no_good(
    authenticator: Authenticator, signer: Signer, service: str
) -> None:
    assert code(authenticator, replace(signer, service=service).headers()) == "AuthorizationHeaderMalformed"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda s: s[:-1], id="63 digits"),
        pytest.param(lambda s: s + "0", id="65 digits"),
        pytest.param(str.upper, id="upper case"),
        pytest.param(lambda s: "g" + s[1:], id="no hex"),
        pytest.param(lambda s: "é" * 64, id="not ASCII"),
        pytest.param(lambda s: "0" * 64, id="another"),
        pytest.param(lambda s: f"{int(s, 16) ^ 1:064x}", id="one bit"),
    ],
)
def test_a7_a_signature_of_another_form_does_not_match(
    authenticator: Authenticator, signer: Signer, change: object
) -> None:
    headers = signer.headers()
    signature = dict(headers)["authorization"].rpartition("=")[2]
    assert callable(change)

    error = refusal(
        authenticator, "GET", "/bucket/key", with_authorization(headers, signature, change(signature))
    )

    assert (error.fault.code, error.fault.status) == ("SignatureDoesNotMatch", 403)
    assert signature not in str(error.extra)


@pytest.mark.parametrize("scheme", ["AWS4-HMAC-SHA1", "Bearer", "Basic", "Negotiate"])
def test_a9_another_scheme_is_unsupported(authenticator: Authenticator, scheme: str) -> None:
    assert code(authenticator, [HOST, ("authorization", f"{scheme} abc")]) == "InvalidArgument"


@pytest.mark.parametrize("value", ["AWS AKIDEXAMPLE:c2ln", "AWS4-ECDSA-P256-SHA256 Credential=a/b/c/d"])
def test_a10_other_versions_of_the_signature_are_refused_by_name(
    authenticator: Authenticator, value: str
) -> None:
    assert code(authenticator, [HOST, ("authorization", value)]) == "InvalidRequest"


def test_a11_an_unknown_key_is_named(authenticator: Authenticator, signer: Signer) -> None:
    error = refusal(authenticator, "GET", "/bucket/key", replace(signer, access_key_id="NOBODY").headers())

    assert (error.fault.code, error.fault.status) == ("InvalidAccessKeyId", 403)


def test_a13_a_wrong_secret_does_not_match(authenticator: Authenticator, signer: Signer) -> None:
    assert code(authenticator, replace(signer, secret="wrong").headers()) == "SignatureDoesNotMatch"


def test_a18_the_date_header_stands_in_for_x_amz_date(authenticator: Authenticator, signer: Signer) -> None:
    headers = signer.headers(extra=[("date", "Tue, 24 Nov 2026 12:00:00 GMT")], dated=False)

    assert authenticator.authenticate(request("GET", "/bucket/key", headers)).identity is ALICE


def test_a19_without_any_date_access_is_denied(authenticator: Authenticator, signer: Signer) -> None:
    assert code(authenticator, signer.headers(dated=False)) == "AccessDenied"


@pytest.mark.parametrize(
    "date",
    [
        "2026-11-24T12:00:00Z",
        "garbage",
        "",
        "00000101T000000Z",
        "9" * 99999,
        "20261124T250000Z",
        "２０２６1124T120000Z",
    ],
)
def test_a20_a_date_that_is_none_is_refused(authenticator: Authenticator, signer: Signer, date: str) -> None:
    headers = [
        (name, date.encode("utf-8").decode("latin-1") if name == "x-amz-date" else value)
        for name, value in signer.headers()
    ]

    assert code(authenticator, headers) in {"AccessDenied", "AuthorizationHeaderMalformed"}


@pytest.mark.parametrize("skew_s", [16 * 60, -16 * 60])
def test_a21_a_clock_sixteen_minutes_off_is_told_the_time(
    authenticator: Authenticator, signer: Signer, clock: StandingClock, skew_s: int
) -> None:
    clock.seconds += skew_s

    error = refusal(authenticator, "GET", "/bucket/key", signer.headers())

    assert (error.fault.code, error.fault.status) == ("RequestTimeTooSkewed", 403)
    assert error.extra["RequestTime"] == signer.amz_date
    assert error.extra["ServerTime"].startswith("2026-11-24T1")
    assert error.extra["MaxAllowedSkewMilliseconds"] == "900000"


@pytest.mark.parametrize("skew_s", [14 * 60, -14 * 60, 15 * 60, -15 * 60])
def test_a22_a_clock_fourteen_minutes_off_is_fine(
    authenticator: Authenticator, signer: Signer, clock: StandingClock, skew_s: int
) -> None:
    clock.seconds += skew_s

    assert authenticator.authenticate(request("GET", "/bucket/key", signer.headers())).identity is ALICE


def test_a24_the_same_request_may_come_again_within_the_skew(
    authenticator: Authenticator, signer: Signer
) -> None:
    headers = signer.headers("PUT")

    first = authenticator.authenticate(request("PUT", "/bucket/key", headers))
    second = authenticator.authenticate(request("PUT", "/bucket/key", headers))

    assert first == second


def test_a26_the_host_must_be_signed(authenticator: Authenticator, signer: Signer) -> None:
    error = refusal(authenticator, "GET", "/bucket/key", signer.headers(unsigned=["host"]))

    assert (error.fault.code, error.extra["HeadersNotSigned"]) == ("AccessDenied", "host")


def test_a28_a_signed_header_that_is_not_there_does_not_match(
    authenticator: Authenticator, signer: Signer
) -> None:
    headers = signer.headers(extra=[("x-amz-meta-a", "1")])

    assert (
        code(authenticator, [each for each in headers if each[0] != "x-amz-meta-a"])
        == "SignatureDoesNotMatch"
    )


@pytest.mark.parametrize("value", ["a  b   c", "\ta", " a b ", "a\tb", "Ã\xa0 b"])
def test_a30_blanks_are_trimmed_as_sdks_do(authenticator: Authenticator, signer: Signer, value: str) -> None:
    headers = signer.headers(extra=[("x-amz-meta-a", value)])

    assert authenticator.authenticate(request("GET", "/bucket/key", headers)).identity is ALICE


def test_a31_a_repeated_header_is_signed_and_kept_joined(
    authenticator: Authenticator, signer: Signer
) -> None:
    headers = signer.headers(extra=[("x-amz-meta-a", "1"), ("x-amz-meta-a", "2")])

    proven = authenticator.authenticate(request("GET", "/bucket/key", headers))

    assert proven.headers["x-amz-meta-a"] == "1,2"


def test_a32_the_payload_must_be_spoken_of(authenticator: Authenticator, signer: Signer) -> None:
    assert code(authenticator, signer.headers(payload=None)) == "InvalidRequest"


@pytest.mark.parametrize("payload", ["abc", "", EMPTY_SHA256.upper(), "STREAMING-FOO", "unsigned-payload"])
def test_a33_a_payload_hash_of_another_form_is_refused(
    authenticator: Authenticator, signer: Signer, payload: str
) -> None:
    assert code(authenticator, signer.headers(payload=payload)) == "InvalidArgument"


def test_a34_the_hash_of_the_body_is_handed_on_to_be_checked(
    authenticator: Authenticator, signer: Signer
) -> None:
    digest = hashlib.sha256(b"another body")

    proven = authenticator.authenticate(
        request("PUT", "/bucket/key", signer.headers("PUT", payload=digest.hexdigest()))
    )

    assert proven.payload.sha256 == digest.digest()


@pytest.mark.parametrize(
    "query",
    [
        "a=1&a=2",
        "a=2&a=1",
        "a",
        "a=",
        "?&&",
        "a=%20b",
        "a+b=c+d",
        "b=1&a=2",
        "%7ea=~",
        "k=%e2%82%ac",
        "a=b=c",
    ],
)
def test_a36_queries_are_canonical_as_sdks_make_them(
    authenticator: Authenticator, signer: Signer, query: str
) -> None:
    target = f"/bucket?{query}"

    assert authenticator.authenticate(request("GET", target, signer.headers(target=target))).identity is ALICE


@pytest.mark.parametrize("sent", ["prefix=a+b", "prefix=a%20b"])
def test_a36_a_space_in_the_query_is_signed_alike_in_both_of_its_forms(
    authenticator: Authenticator, signer: Signer, sent: str
) -> None:
    headers = signer.headers(target="/bucket?prefix=a%20b")

    assert authenticator.authenticate(request("GET", f"/bucket?{sent}", headers)).identity is ALICE


def test_a36_a_plus_in_the_query_is_signed_as_an_escape(authenticator: Authenticator, signer: Signer) -> None:
    assert code(authenticator, signer.headers(target="/bucket?prefix=a%2Bb"), "/bucket?prefix=a+b") == (
        "SignatureDoesNotMatch"
    )


@pytest.mark.parametrize(
    ("signed", "sent"),
    [
        ("/b/a%2Fb", "/b/a/b"),
        ("/b/a/b", "/b/a%2Fb"),
        ("/b/a", "/b/%61"),
        ("/b/a%2fb", "/b/a%2Fb"),
        ("/b/x/../a", "/b/a"),
    ],
)
def test_a38_only_the_path_as_signed_will_do(
    authenticator: Authenticator, signer: Signer, signed: str, sent: str
) -> None:
    signed, sent = signed.replace("/b/", "/bucket/"), sent.replace("/b/", "/bucket/")
    headers = signer.headers(target=signed)

    assert authenticator.authenticate(request("GET", signed, headers)).identity is ALICE
    assert code(authenticator, headers, sent) == "SignatureDoesNotMatch"


def test_a47_a_session_token_is_refused(authenticator: Authenticator, signer: Signer) -> None:
    headers = signer.headers(extra=[("x-amz-security-token", "bogus")])

    assert code(authenticator, headers) == "InvalidToken"


@pytest.mark.parametrize("payload", [kind.value for kind in PayloadKind if kind is not PayloadKind.SIGNED])
@pytest.mark.parametrize("method", ["PUT", "POST", "GET"])
def test_a48_a49_e15_no_kind_of_payload_spares_the_signature(
    authenticator: Authenticator, signer: Signer, payload: str, method: str
) -> None:
    target = "/bucket/key?partNumber=1&uploadId=u"
    headers = replace(signer, secret="wrong").headers(method, target, payload=payload)

    error = refusal(authenticator, method, target, headers)

    assert (error.fault.code, error.fault.status) == ("SignatureDoesNotMatch", 403)


def test_signed_chunks_come_with_their_chain(authenticator: Authenticator, signer: Signer) -> None:
    kind = PayloadKind.STREAMING_SIGNED.value

    proven = authenticator.authenticate(request("PUT", "/bucket/key", signer.headers("PUT", payload=kind)))

    assert proven.signatures is not None


@pytest.mark.parametrize(
    "name", ["x-amz-copy-source", "x-amz-acl", "x-amz-tagging", "x-amz-meta-a", "x-amz-storage-class"]
)
def test_an_x_amz_header_that_is_not_signed_is_refused(
    authenticator: Authenticator, signer: Signer, name: str
) -> None:
    headers = [*signer.headers(), (name, "value")]

    error = refusal(authenticator, "GET", "/bucket/key", headers)

    assert (error.fault.code, error.extra["HeadersNotSigned"]) == ("AccessDenied", name)


def test_what_a_content_network_adds_needs_no_signature(authenticator: Authenticator, signer: Signer) -> None:
    headers = [*signer.headers(), ("x-amz-cf-id", "added on the way"), ("x-forwarded-for", "10.0.0.1")]

    assert authenticator.authenticate(request("GET", "/bucket/key", headers)).identity is ALICE


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(("PUT", "/bucket/key"), id="method"),
        pytest.param(("GET", "/bucket/other"), id="key"),
        pytest.param(("GET", "/bucket/key?acl"), id="sub-resource"),
        pytest.param(("GET", "/bucket/key?versionId=null"), id="parameter"),
    ],
)
def test_a_signature_is_good_for_one_request_only(
    authenticator: Authenticator, signer: Signer, change: tuple[str, str]
) -> None:
    method, target = change

    assert refusal(authenticator, method, target, signer.headers()).fault.code == "SignatureDoesNotMatch"


def test_a_digest_without_the_key_is_no_signature(authenticator: Authenticator, signer: Signer) -> None:
    headers = signer.headers()
    signature = dict(headers)["authorization"].rpartition("=")[2]
    names = ["host", "x-amz-content-sha256", "x-amz-date"]
    canonical = "\n".join(
        [
            "GET",
            "/bucket/key",
            "",
            *(f"{n}:{dict(headers)[n]}" for n in names),
            "",
            ";".join(names),
            EMPTY_SHA256,
        ]
    )
    forged = hashlib.sha256(canonical.encode()).hexdigest()

    assert code(authenticator, with_authorization(headers, signature, forged)) == "SignatureDoesNotMatch"


def test_a_secret_that_changed_is_no_good_any_more(signer: Signer, clock: StandingClock) -> None:
    secrets = {signer.access_key_id: signer.secret}

    def credentials(access_key_id: str) -> Credential | None:
        secret = secrets.get(access_key_id)
        if secret is None:
            return None
        return Credential(access_key_id=access_key_id, secret=secret, identity=ALICE)

    authenticator = Authenticator(
        credentials, region="us-east-1", now_us=clock.now_us, signing_keys=SigningKeys()
    )
    authenticator.authenticate(request("GET", "/bucket/key", signer.headers()))
    secrets[signer.access_key_id] = "a new secret"

    assert code(authenticator, signer.headers()) == "SignatureDoesNotMatch"
