"""No x-amz-* header that S3 gives a meaning is passed over in silence."""

from collections.abc import Iterator

import botocore.session
import pytest

from dataplane.wire.amz_headers import GRANTS, HARMLESS, READ, REFUSED, check_amz_headers
from dataplane.wire.refusals import (
    AccessControlListNotSupported,
    AccessDenied,
    InvalidArgument,
    InvalidEncryptionAlgorithm,
    InvalidRequest,
    NotImplementedYet,
)
from dataplane.wire.served_operations import SERVED

PUT = next(each for each in SERVED if each.name == "PutObject")
COPY = next(each for each in SERVED if each.name == "CopyObject")


def headers_of_served_operations() -> Iterator[str]:
    model = botocore.session.get_session().get_service_model("s3")
    for operation in (each for each in SERVED if each.name in model.operation_names):
        shape = model.operation_model(operation.name).input_shape
        for member in shape.members.values() if shape else ():
            place = member.serialization
            if place.get("location") == "header":
                yield place["name"].lower()


@pytest.mark.parametrize(
    "name", sorted({each for each in headers_of_served_operations() if each.startswith("x-amz-")})
)
def test_every_header_of_the_model_is_read_harmless_or_refused(name: str) -> None:
    assert name in READ | HARMLESS | REFUSED | GRANTS


def test_no_header_is_two_things() -> None:
    groups = (READ, HARMLESS, REFUSED, GRANTS)

    assert sum(map(len, groups)) == len(frozenset[str]().union(*groups))


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_not_built_is_refused_by_name(name: str) -> None:
    with pytest.raises(NotImplementedYet) as caught:
        check_amz_headers(COPY, {name: "x"}, account="main")

    assert caught.value.extra["Feature"] == name


@pytest.mark.parametrize("name", sorted(GRANTS))
def test_f34_grants_are_not_supported(name: str) -> None:
    with pytest.raises(AccessControlListNotSupported):
        check_amz_headers(PUT, {name: 'id="x"'}, account="main")


@pytest.mark.parametrize("acl", ["private", "bucket-owner-full-control"])
def test_f34_the_owners_acls_are_what_holds_anyway(acl: str) -> None:
    check_amz_headers(PUT, {"x-amz-acl": acl}, account="main")


@pytest.mark.parametrize(
    ("acl", "error"),
    [
        ("foo", InvalidArgument),
        ("", InvalidArgument),
        ("public-read", AccessControlListNotSupported),
        ("authenticated-read", AccessControlListNotSupported),
    ],
)
def test_f34_other_acls_are_refused(acl: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        check_amz_headers(PUT, {"x-amz-acl": acl}, account="main")


@pytest.mark.parametrize("value", ["AES256", "aws:kms", "aws:kms:dsse"])
def test_f33_encryption_is_refused_by_name_and_never_only_claimed(value: str) -> None:
    with pytest.raises(NotImplementedYet, match="x-amz-server-side-encryption"):
        check_amz_headers(PUT, {"x-amz-server-side-encryption": value}, account="main")


def test_f33_encryption_of_no_kind_is_invalid() -> None:
    with pytest.raises(InvalidEncryptionAlgorithm):
        check_amz_headers(PUT, {"x-amz-server-side-encryption": "FOO"}, account="main")


@pytest.mark.parametrize(
    ("name", "fine", "refused"),
    [
        ("x-amz-bucket-object-lock-enabled", "false", "true"),
        ("x-amz-object-ownership", "BucketOwnerEnforced", "ObjectWriter"),
    ],
)
def test_a_header_that_asks_for_what_holds_anyway_is_fine(name: str, fine: str, refused: str) -> None:
    check_amz_headers(PUT, {name: fine}, account="main")
    with pytest.raises(NotImplementedYet):
        check_amz_headers(PUT, {name: refused}, account="main")


def test_conditions_on_a_source_belong_to_copies() -> None:
    check_amz_headers(COPY, {"x-amz-copy-source": "a/b", "x-amz-copy-source-if-match": "x"}, account="main")
    with pytest.raises(InvalidRequest):
        check_amz_headers(PUT, {"x-amz-copy-source-if-match": "x"}, account="main")


@pytest.mark.parametrize("name", ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"])
def test_an_owner_who_is_another_is_denied(name: str) -> None:
    check_amz_headers(COPY, {name: "main"}, account="main")
    with pytest.raises(AccessDenied):
        check_amz_headers(COPY, {name: "123456789012"}, account="main")


def test_headers_nobody_gave_a_meaning_are_ignored_as_s3_does() -> None:
    check_amz_headers(
        PUT,
        {"x-amz-user-agent": "x", "x-amz-meta-a": "1", "x-penstock-internal": "1", "x-other": "y"},
        account="main",
    )
