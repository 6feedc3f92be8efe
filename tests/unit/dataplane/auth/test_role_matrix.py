"""What each role may do, operation by operation, as a table that nothing gets past without being written here."""

from collections.abc import Iterator

import pytest

from dataplane.auth.identity import ALLOWED, Identity, Role, authorise
from dataplane.wire.operations import Action, AuthKind, Kind, Operation
from dataplane.wire.refusals import AccessDenied
from dataplane.wire.served_operations import SERVED

READER, WRITER, SUPERUSER = "R W S", "W S", "S"

EXPECTED = {
    "ListBuckets": READER,
    "HeadBucket": READER,
    "GetBucketLocation": READER,
    "ListObjects": READER,
    "ListObjectsV2": READER,
    "ListObjectVersions": READER,
    "ListMultipartUploads": READER,
    "ListParts": READER,
    "GetObject": READER,
    "HeadObject": READER,
    "GetObjectAttributes": READER,
    "GetObjectAcl": READER,
    "GetObjectTagging": READER,
    "GetObjectLockConfiguration": READER,
    "GetPublicAccessBlock": READER,
    "GetBucketAccelerateConfiguration": READER,
    "GetBucketAcl": READER,
    "GetBucketCors": READER,
    "GetBucketEncryption": READER,
    "GetBucketLifecycleConfiguration": READER,
    "GetBucketLogging": READER,
    "GetBucketNotificationConfiguration": READER,
    "GetBucketOwnershipControls": READER,
    "GetBucketPolicy": READER,
    "GetBucketPolicyStatus": READER,
    "GetBucketReplication": READER,
    "GetBucketRequestPayment": READER,
    "GetBucketTagging": READER,
    "GetBucketVersioning": READER,
    "GetBucketWebsite": READER,
    "PutObject": WRITER,
    "PostObject": WRITER,
    "CopyObject": WRITER,
    "DeleteObject": WRITER,
    "DeleteObjects": WRITER,
    "CreateMultipartUpload": WRITER,
    "UploadPart": WRITER,
    "UploadPartCopy": WRITER,
    "CompleteMultipartUpload": WRITER,
    "AbortMultipartUpload": WRITER,
    "PutObjectAcl": WRITER,
    "PutObjectTagging": WRITER,
    "DeleteObjectTagging": WRITER,
    "CreateBucket": SUPERUSER,
    "DeleteBucket": SUPERUSER,
    "PutBucketAccelerateConfiguration": SUPERUSER,
    "PutBucketAcl": SUPERUSER,
    "PutBucketCors": SUPERUSER,
    "PutBucketLogging": SUPERUSER,
    "PutBucketNotificationConfiguration": SUPERUSER,
    "PutBucketOwnershipControls": SUPERUSER,
    "PutBucketRequestPayment": SUPERUSER,
    "PutBucketTagging": SUPERUSER,
    "PutBucketVersioning": SUPERUSER,
    "PutPublicAccessBlock": SUPERUSER,
    "DeleteBucketCors": SUPERUSER,
    "DeleteBucketEncryption": SUPERUSER,
    "DeleteBucketLifecycle": SUPERUSER,
    "DeleteBucketOwnershipControls": SUPERUSER,
    "DeleteBucketPolicy": SUPERUSER,
    "DeleteBucketReplication": SUPERUSER,
    "DeleteBucketTagging": SUPERUSER,
    "DeleteBucketWebsite": SUPERUSER,
    "DeletePublicAccessBlock": SUPERUSER,
}
_LETTERS = {Role.READER: "R", Role.WRITER: "W", Role.SUPERUSER: "S"}


def identity(role: Role, buckets: frozenset[str] | None = None) -> Identity:
    return Identity(name="n", account_id=1, account="main", role=role, buckets=buckets)


def may(who: Identity, action: Action, bucket: str | None) -> bool:
    try:
        authorise(who, action, bucket)
    except AccessDenied:
        return False
    return True


def cells() -> Iterator[tuple[Operation, Role]]:
    yield from ((operation, role) for operation in SERVED for role in Role)


def test_every_served_operation_has_its_row() -> None:
    assert {each.name for each in SERVED} == set(EXPECTED)


@pytest.mark.parametrize(("operation", "role"), list(cells()), ids=lambda each: getattr(each, "name", ""))
def test_a_role_may_do_what_the_table_says(operation: Operation, role: Role) -> None:
    assert operation.action is not None

    expected = _LETTERS[role] in EXPECTED[operation.name].split()

    assert may(identity(role), operation.action, "bucket") is expected


@pytest.mark.parametrize(("operation", "role"), list(cells()), ids=lambda each: getattr(each, "name", ""))
def test_a_bucket_list_holds_for_every_operation_of_every_role(operation: Operation, role: Role) -> None:
    assert operation.action is not None
    if operation.kind is Kind.SERVICE:
        return

    held, to_nothing = identity(role, frozenset({"mine"})), identity(role, frozenset())

    assert not may(held, operation.action, "another")
    assert not may(to_nothing, operation.action, "mine")
    assert may(held, operation.action, "mine") is may(identity(role), operation.action, "mine")


def test_what_no_row_allows_is_denied() -> None:
    assert set(ALLOWED) == set(Role)
    assert ALLOWED[Role.READER] < ALLOWED[Role.WRITER] < ALLOWED[Role.SUPERUSER]
    used = {each.action for each in SERVED}
    assert set(Action) - used == set(), "an action that no operation asks for guards nothing"


def test_every_operation_says_how_it_may_be_signed() -> None:
    assert [each.name for each in SERVED if not each.auth_kinds or each.action is None] == []
    assert all(each.auth_kinds <= set(AuthKind) for each in SERVED)
