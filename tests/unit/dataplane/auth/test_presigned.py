"""A presigned URL is good for what was signed, for as long as was signed, and for nothing else."""

from dataclasses import replace

import pytest

from dataplane.auth.sigv4 import Authenticator
from dataplane.wire.operations import AuthKind, PayloadKind
from dataplane.wire.refusals import WireError
from tests.support.sigv4_signer import Signer, request
from tests.unit.dataplane.auth.conftest import ALICE, StandingClock

HOST = ("host", "localhost:9000")


def code(
    authenticator: Authenticator,
    target: str,
    *,
    method: str = "GET",
    headers: tuple[tuple[str, str], ...] = (HOST,),
) -> str:
    with pytest.raises(WireError) as caught:
        authenticator.authenticate(request(method, target, headers))
    return caught.value.fault.code


def test_a_presigned_url_is_proven(authenticator: Authenticator, signer: Signer) -> None:
    proven = authenticator.authenticate(request("GET", signer.presigned(), (HOST,)))

    assert proven.identity is ALICE
    assert proven.auth_kind is AuthKind.PRESIGNED
    assert proven.payload.kind is PayloadKind.UNSIGNED


@pytest.mark.parametrize("expires", ["0", "-1", "604801", "1e30", "abc", "", "9" * 40, "१"])
def test_a39_a_life_that_is_none_is_refused(
    authenticator: Authenticator, signer: Signer, expires: str
) -> None:
    assert code(authenticator, signer.presigned(expires=expires)) == "AuthorizationQueryParametersError"


@pytest.mark.parametrize("expires", ["1", "604800"])
def test_a39_a_second_and_a_week_are_lives(
    authenticator: Authenticator, signer: Signer, expires: str
) -> None:
    target = signer.presigned(expires=expires)

    assert authenticator.authenticate(request("GET", target, (HOST,))).identity is ALICE


def test_a40_an_expired_url_says_when(
    authenticator: Authenticator, signer: Signer, clock: StandingClock
) -> None:
    clock.seconds += 3601

    with pytest.raises(WireError, match="Request has expired") as caught:
        authenticator.authenticate(request("GET", signer.presigned(), (HOST,)))

    assert caught.value.fault.code == "AccessDenied"
    assert caught.value.extra["Expires"] == "2026-11-24T13:00:00.000Z"


def test_a40_a_url_lives_to_its_last_second(
    authenticator: Authenticator, signer: Signer, clock: StandingClock
) -> None:
    clock.seconds += 3600

    assert authenticator.authenticate(request("GET", signer.presigned(), (HOST,))).identity is ALICE


def test_a_url_from_the_future_is_not_valid_yet(
    authenticator: Authenticator, signer: Signer, clock: StandingClock
) -> None:
    clock.seconds -= 16 * 60

    assert code(authenticator, signer.presigned()) == "AccessDenied"


@pytest.mark.parametrize("name", ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"])
def test_a42_half_a_signature_is_never_taken_for_none(
    authenticator: Authenticator, signer: Signer, name: str
) -> None:
    path, _, query = signer.presigned().partition("?")
    rest = "&".join(each for each in query.split("&") if not each.startswith(f"X-Amz-{name}="))

    assert code(authenticator, f"{path}?{rest}") == "AuthorizationQueryParametersError"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", id="A42 algorithm"),
        pytest.param("X-Amz-Signature", "x-amz-signature", id="letters of the name"),
        pytest.param("X-Amz-Expires=3600", "X-Amz-Expires=3600&X-Amz-Expires=3600", id="twice"),
        pytest.param("%2Fs3%2F", "%2Fsts%2F", id="A15 service"),
        pytest.param("us-east-1", "eu-west-1", id="A14 region"),
        pytest.param("aws4_request", "aws5_request", id="A16 terminator"),
        pytest.param("X-Amz-Date=20261124", "X-Amz-Date=20261125", id="A20 another day"),
        pytest.param("20261124T120000Z", "2026-11-24", id="A20 no date"),
        pytest.param("SignedHeaders=host", "SignedHeaders=host%3B", id="A5 an empty name"),
    ],
)
def test_parameters_that_are_not_exactly_right_are_refused(
    authenticator: Authenticator, signer: Signer, old: str, new: str
) -> None:
    assert old in signer.presigned()

    assert code(authenticator, signer.presigned().replace(old, new)) == "AuthorizationQueryParametersError"


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("HEAD", "/bucket/key"),
        ("PUT", "/bucket/key"),
        ("GET", "/bucket/other"),
        ("GET", "/bucket/key?acl"),
        ("GET", "/bucket/key?response-content-type=text%2Fhtml"),
    ],
)
def test_a45_a_presigned_get_is_good_for_that_get_only(
    authenticator: Authenticator, signer: Signer, method: str, target: str
) -> None:
    query = signer.presigned().partition("?")[2]
    used = target + ("&" if "?" in target else "?") + query

    assert code(authenticator, used, method=method) == "SignatureDoesNotMatch"


def test_a13_a_wrong_secret_does_not_match(authenticator: Authenticator, signer: Signer) -> None:
    assert code(authenticator, replace(signer, secret="wrong").presigned()) == "SignatureDoesNotMatch"


def test_a11_an_unknown_key_is_named(authenticator: Authenticator, signer: Signer) -> None:
    assert code(authenticator, replace(signer, access_key_id="NOBODY").presigned()) == "InvalidAccessKeyId"


def test_a26_the_host_must_be_signed(authenticator: Authenticator, signer: Signer) -> None:
    target = signer.presigned(headers=(("range", "bytes=0-1"),))

    assert code(authenticator, target, headers=(HOST, ("range", "bytes=0-1"))) == "AccessDenied"


def test_a47_a_session_token_is_refused(authenticator: Authenticator, signer: Signer) -> None:
    target = signer.presigned(target="/bucket/key?X-Amz-Security-Token=bogus")

    assert code(authenticator, target) == "InvalidToken"


@pytest.mark.parametrize("name", ["x-amz-copy-source", "x-amz-acl", "x-amz-tagging", "x-amz-content-sha256"])
def test_a_header_added_to_a_presigned_put_is_refused(
    authenticator: Authenticator, signer: Signer, name: str
) -> None:
    headers = (HOST, (name, "UNSIGNED-PAYLOAD"))

    assert code(authenticator, signer.presigned("PUT"), method="PUT", headers=headers) == "AccessDenied"


def test_a_header_and_a_url_are_one_signature_too_many(authenticator: Authenticator, signer: Signer) -> None:
    target = signer.presigned()
    headers = tuple(signer.headers(target=target))

    assert code(authenticator, target, headers=headers) == "InvalidArgument"


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Credential=AKIDEXAMPLE%2F20261124%2Fus-east-1%2Fs3%2Faws4_request",
        "x-amz-credential=AKIDEXAMPLE",
        "X-Amz-Signature=" + "0" * 64,
    ],
)
def test_a_credential_without_its_signature_names_nobody(authenticator: Authenticator, query: str) -> None:
    headers = (HOST, ("x-amz-content-sha256", PayloadKind.STREAMING_UNSIGNED_TRAILER.value))

    found = code(authenticator, f"/bucket/key?{query}", method="PUT", headers=headers)

    assert found == "AuthorizationQueryParametersError"


def test_a_presigned_put_may_have_an_unsigned_trailer(authenticator: Authenticator, signer: Signer) -> None:
    kind = PayloadKind.STREAMING_UNSIGNED_TRAILER.value
    headers = (HOST, ("x-amz-content-sha256", kind))
    target = signer.presigned("PUT", headers=headers, payload=kind)

    assert authenticator.authenticate(request("PUT", target, headers)).payload.text == kind


def test_a_presigned_put_has_no_signed_chunks(authenticator: Authenticator, signer: Signer) -> None:
    kind = PayloadKind.STREAMING_SIGNED.value
    headers = (HOST, ("x-amz-content-sha256", kind))
    target = signer.presigned("PUT", headers=headers, payload=kind)

    assert code(authenticator, target, method="PUT", headers=headers) == "InvalidRequest"


def test_headers_that_were_signed_into_the_url_count_as_headers(
    authenticator: Authenticator, signer: Signer
) -> None:
    target = signer.presigned("PUT", "/bucket/key?x-amz-acl=private&x-amz-meta-color=light%20blue")

    proven = authenticator.authenticate(request("PUT", target, (HOST,)))

    assert proven.headers["x-amz-acl"] == "private"
    assert proven.headers["x-amz-meta-color"] == "light blue"
    assert "x-amz-signature" not in proven.headers


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ("x-amz-meta-a=%0D%0ASet-Cookie:%20a", "InvalidArgument"),
        ("x-amz-meta-a=%00", "InvalidArgument"),
        ("x-amz-meta-a=1&X-Amz-Meta-A=2", "InvalidRequest"),
    ],
)
def test_a_header_in_the_url_is_as_strict_as_one_on_the_wire(
    authenticator: Authenticator, signer: Signer, parameter: str, expected: str
) -> None:
    target = signer.presigned("PUT", f"/bucket/key?{parameter}")

    assert code(authenticator, target, method="PUT") == expected
