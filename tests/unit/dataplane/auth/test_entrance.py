"""Nobody comes in whose signature, operation and role do not all hold, whatever the form of the request."""

import itertools
from dataclasses import replace

import pytest

from dataplane.auth.entrance import Entry, enter
from dataplane.auth.identity import Credential, Identity, Role
from dataplane.auth.signing_keys import SigningKeys
from dataplane.auth.sigv4 import Authenticator
from dataplane.wire.operations import AuthKind, Kind, Operation, PayloadKind
from dataplane.wire.refusals import WireError
from dataplane.wire.served_operations import SERVED
from tests.support.sigv4_signer import EMPTY_SHA256, Signer, request
from tests.support.wire_bodies import BytesBody
from tests.unit.dataplane.auth.conftest import StandingClock

HOST = ("host", "localhost:9000")
PATHS = {Kind.SERVICE: "/", Kind.BUCKET: "/bucket", Kind.OBJECT: "/bucket/key"}
PAYLOADS = [EMPTY_SHA256, *(kind.value for kind in PayloadKind if kind is not PayloadKind.SIGNED)]

BY_HEADER = tuple(each for each in SERVED if AuthKind.HEADER in each.auth_kinds)


def target_of(operation: Operation) -> str:
    selector = "list-type=2" if operation.selector == "list-type" else operation.selector
    return PATHS[operation.kind] + (f"?{selector}" if selector else "")


def extra_of(operation: Operation) -> list[tuple[str, str]]:
    return [("x-amz-copy-source", "bucket/source")] if operation.is_copy else []


def authenticator_for(
    signer: Signer, clock: StandingClock, role: Role, buckets: frozenset[str] | None = None
) -> Authenticator:
    identity = Identity(name="n", account_id=1, account="main", role=role, buckets=buckets)
    known = Credential(access_key_id=signer.access_key_id, secret=signer.secret, identity=identity)
    return Authenticator(
        {known.access_key_id: known}.get, region="us-east-1", now_us=clock.now_us, signing_keys=SigningKeys()
    )


def come_in(
    authenticator: Authenticator, method: str, target: str, headers: list[tuple[str, str]]
) -> Entry | str:
    """The entry, or the code of the refusal."""
    made = request(method, target, headers)
    try:
        return enter(made.method, made.target, made.headers, BytesBody(b""), authenticator)
    except WireError as error:
        assert error.fault.status in {400, 403, 405, 501}
        return error.fault.code


@pytest.mark.parametrize("operation", BY_HEADER, ids=lambda each: each.name)
def test_every_operation_comes_in_signed(signer: Signer, clock: StandingClock, operation: Operation) -> None:
    authenticator = authenticator_for(signer, clock, Role.SUPERUSER)
    target = target_of(operation)
    headers = signer.headers(operation.method, target, extra_of(operation))

    entry = come_in(authenticator, operation.method, target, headers)

    assert isinstance(entry, Entry)
    assert entry.operation is operation


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("operation", SERVED, ids=lambda each: each.name)
def test_a49_a_wrong_secret_opens_nothing_in_any_form(
    signer: Signer, clock: StandingClock, operation: Operation, payload: str
) -> None:
    authenticator = authenticator_for(signer, clock, Role.SUPERUSER)
    forger, target, extra = replace(signer, secret="wrong"), target_of(operation), extra_of(operation)
    signed = (HOST, *extra, ("x-amz-content-sha256", payload))

    by_header = come_in(
        authenticator,
        operation.method,
        target,
        forger.headers(operation.method, target, extra, payload=payload),
    )
    by_query = come_in(
        authenticator,
        operation.method,
        forger.presigned(operation.method, target, signed, payload=payload),
        list(signed),
    )
    by_nobody = come_in(authenticator, operation.method, target, list(signed))

    assert by_header == "SignatureDoesNotMatch"
    assert by_query in {"SignatureDoesNotMatch", "InvalidRequest"}
    assert by_nobody == "AccessDenied"


@pytest.mark.parametrize("operation", SERVED, ids=lambda each: each.name)
def test_a_form_of_payload_that_is_not_listed_stays_out(
    signer: Signer, clock: StandingClock, operation: Operation
) -> None:
    authenticator = authenticator_for(signer, clock, Role.SUPERUSER)
    target, extra = target_of(operation), extra_of(operation)

    for payload in PAYLOADS[2:]:
        headers = signer.headers(operation.method, target, extra, payload=payload)
        entry = come_in(authenticator, operation.method, target, headers)
        assert isinstance(entry, Entry) == (operation.name in {"PutObject", "UploadPart"})


def test_a_reader_cannot_write_by_streaming(signer: Signer, clock: StandingClock) -> None:
    authenticator = authenticator_for(signer, clock, Role.READER)

    for payload in PAYLOADS:
        headers = signer.headers("PUT", payload=payload)
        assert come_in(authenticator, "PUT", "/bucket/key", headers) == "AccessDenied"


@pytest.mark.parametrize(
    "target",
    ["/other/key", "/bucket/../other/key", "/bucket/%2e%2e/other/key", "/bucket/..%2fother/key"],
)
def test_a_bucket_list_is_held_against_the_bucket_that_storage_uses(
    signer: Signer, clock: StandingClock, target: str
) -> None:
    authenticator = authenticator_for(signer, clock, Role.WRITER, frozenset({"bucket"}))

    entry = come_in(authenticator, "GET", target, signer.headers("GET", target))

    assert entry == "AccessDenied" or (isinstance(entry, Entry) and entry.target.bucket == "bucket")


def test_strangers_learn_nothing_of_what_is_built(signer: Signer, clock: StandingClock) -> None:
    authenticator = authenticator_for(signer, clock, Role.SUPERUSER)
    queries = ("", "?acl", "?uploads", "?torrent", "?acl&tagging", "?versionId=bogus")

    answers = {
        come_in(authenticator, method, path + query, [HOST])
        for method, path, query in itertools.product(("GET", "HEAD", "DELETE"), PATHS.values(), queries)
    }

    assert answers == {"AccessDenied"}


def test_what_is_not_built_is_refused_by_name_to_those_who_may_ask(
    signer: Signer, clock: StandingClock
) -> None:
    authenticator = authenticator_for(signer, clock, Role.SUPERUSER)
    encrypted = signer.headers("PUT", extra=[("x-amz-server-side-encryption", "AES256")])

    assert (
        come_in(authenticator, "GET", "/bucket?abac", signer.headers(target="/bucket?abac"))
        == "NotImplemented"
    )
    assert come_in(authenticator, "PUT", "/bucket/key", encrypted) == "NotImplemented"


def test_an_owner_who_is_another_is_denied(signer: Signer, clock: StandingClock) -> None:
    authenticator = authenticator_for(signer, clock, Role.SUPERUSER)

    for owner, is_in in (("main", True), ("123456789012", False)):
        headers = signer.headers(extra=[("x-amz-expected-bucket-owner", owner)])
        assert isinstance(come_in(authenticator, "GET", "/bucket/key", headers), Entry) is is_in


def test_a_copy_source_signed_into_the_url_makes_a_copy(signer: Signer, clock: StandingClock) -> None:
    authenticator = authenticator_for(signer, clock, Role.SUPERUSER)
    target = signer.presigned("PUT", "/bucket/key?x-amz-copy-source=bucket%2Fsource")

    entry = come_in(authenticator, "PUT", target, [HOST])

    assert isinstance(entry, Entry)
    assert entry.operation.name == "CopyObject"
