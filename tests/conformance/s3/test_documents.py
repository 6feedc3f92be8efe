"""Every operation that reads an XML document refuses what is none, in time, and does nothing of it by halves."""

import base64
import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from dataplane.wire.cors_documents import CORS_BYTES_MAX
from dataplane.wire.operations import Body
from dataplane.wire.served_operations import SERVED
from tests.conformance.s3.test_bucket_documents import BLOCK, GOOD, OWN_ACL, RULE
from tests.conformance.s3.wire import Wire
from tests.support.raw_http import Answer

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
MALFORMED = (400, "MalformedXML")
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a document goes: `inner` is what a right one holds, `bytes_max` how long one may be.

    `state` tells what the operation would change.
    """

    method: str
    target: str
    root: str
    inner: str
    state: Callable[[], object]
    bytes_max: int = MIB
    may_be_empty: bool = False

    def document(self, inner: str | None = None, *, attributes: str = "") -> bytes:
        return f"<{self.root}{attributes}>{self.inner if inner is None else inner}</{self.root}>".encode()


BUCKET_DOCUMENTS = {
    "PutBucketAccelerateConfiguration": "accelerate",
    "PutBucketAcl": "acl",
    "PutBucketCors": "cors",
    "PutBucketLogging": "logging",
    "PutBucketNotificationConfiguration": "notification",
    "PutBucketOwnershipControls": "ownershipControls",
    "PutBucketRequestPayment": "requestPayment",
    "PutBucketTagging": "tagging",
    "PutBucketVersioning": "versioning",
    "PutPublicAccessBlock": "publicAccessBlock",
}
OTHERS = ("CompleteMultipartUpload", "CreateBucket", "DeleteObjects", "PutObjectAcl", "PutObjectTagging")
TWICE = {
    "CompleteMultipartUpload": "<Part><PartNumber>1</PartNumber><PartNumber>1</PartNumber><ETag>a</ETag></Part>",
    "CreateBucket": "<LocationConstraint/><LocationConstraint/>",
    "DeleteObjects": "<Object><Key>k</Key><Key>k</Key></Object>",
    "PutBucketAccelerateConfiguration": "<Status>Suspended</Status>" * 2,
    "PutBucketAcl": OWN_ACL * 2,
    "PutBucketCors": f"<CORSRule>{RULE}<ID>a</ID><ID>b</ID></CORSRule>",
    "PutBucketOwnershipControls": GOOD["ownershipControls"][1] * 2,
    "PutBucketRequestPayment": "<Payer>BucketOwner</Payer>" * 2,
    "PutBucketTagging": "<TagSet></TagSet>" * 2,
    "PutBucketVersioning": "<Status>Enabled</Status>" * 2,
    "PutObjectAcl": OWN_ACL * 2,
    "PutObjectTagging": "<TagSet></TagSet>" * 2,
    "PutPublicAccessBlock": BLOCK * 2,
}
"""What is none because something comes twice; the rest hold no element that is accepted at all."""


def test_every_operation_with_a_document_is_among_them() -> None:
    reading = {each.name for each in SERVED if each.body is Body.DOCUMENT}

    assert reading == BUCKET_DOCUMENTS.keys() | set(OTHERS)
    assert reading - TWICE.keys() == {"PutBucketLogging", "PutBucketNotificationConfiguration"}


@pytest.fixture(params=sorted(BUCKET_DOCUMENTS.keys() | set(OTHERS)))
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def place(wire: Wire, name: str) -> Place:
    bucket = f"/places-{uuid.uuid4().hex[:12]}"
    wire.put(bucket, b"")
    wire.put(f"{bucket}/k", b"x")
    if name in BUCKET_DOCUMENTS:
        sub = BUCKET_DOCUMENTS[name]
        return _sub_resource(wire, f"{bucket}?{sub}", sub)
    if name in ("PutObjectAcl", "PutObjectTagging"):
        sub = name.removeprefix("PutObject").lower()
        return _sub_resource(wire, f"{bucket}/k?{sub}", sub)
    if name == "CreateBucket":
        return Place(
            method="PUT",
            target=f"{bucket}-more",
            root="CreateBucketConfiguration",
            inner=f"<LocationConstraint>{wire.region}</LocationConstraint>",
            state=lambda: wire.ask("HEAD", f"{bucket}-more").status,
            may_be_empty=True,
        )
    if name == "DeleteObjects":
        return Place(
            method="POST",
            target=f"{bucket}?delete",
            root="Delete",
            inner="<Object><Key>k</Key></Object>",
            state=lambda: wire.stored(f"{bucket}/k"),
        )
    begun = wire.ask("POST", f"{bucket}/parts?uploads").body
    upload = f"{bucket}/parts?uploadId={begun.partition(b'<UploadId>')[2].partition(b'<')[0].decode()}"
    etag = wire.put(f"{upload}&partNumber=1", b"part").header("etag")
    return Place(
        method="POST",
        target=upload,
        root="CompleteMultipartUpload",
        inner=f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>",
        state=lambda: (wire.stored(f"{bucket}/parts"), wire.get(upload).status),
        bytes_max=2 * MIB,
    )


def _sub_resource(wire: Wire, target: str, sub: str) -> Place:
    root, inner = GOOD[sub]

    def state() -> object:
        answer = wire.get(target)
        return answer.body if answer.status == 200 else answer.said

    bytes_max = CORS_BYTES_MAX if sub == "cors" else MIB
    return Place(method="PUT", target=target, root=root, inner=inner, state=state, bytes_max=bytes_max)


def send(wire: Wire, place: Place, body: bytes) -> Answer:
    digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    return wire.ask(place.method, place.target, [("content-md5", digest)], body=body)


def test_d01_what_is_no_document(wire: Wire, place: Place) -> None:
    good, before = place.document(), place.state()

    if not place.may_be_empty:
        assert send(wire, place, b"").said == (400, "MissingRequestBodyError")
    for body in (b"no xml", good[:-3], good + good, b"\xff\xfe", b"<a>" * 20_000, b"\x00" + good):
        assert send(wire, place, body).said == MALFORMED, body[:40]
    assert place.state() == before


def test_d02_document_types_are_refused_before_anything_grows(wire: Wire, place: Place) -> None:
    root, before = place.root, place.state()
    laughs = '<!ENTITY a0 "ha">' + "".join(
        f'<!ENTITY a{level} "{f"&a{level - 1};" * 10}">' for level in range(1, 12)
    )

    for prologue, inner in (
        ("<!DOCTYPE a>", place.inner),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd">', place.inner),
        ('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>', "&b;"),
        (f"<!DOCTYPE a [{laughs}]>", "&a11;"),
        (f'<!DOCTYPE a [<!ENTITY b "{"b" * 10_000}">]>', "&b;" * 10_000),
    ):
        assert send(wire, place, f"{prologue}<{root}>{inner}</{root}>".encode()).said == MALFORMED
    assert place.state() == before


def test_d04_documents_that_are_too_long(wire: Wire, place: Place) -> None:
    before = place.state()

    body = place.document(place.inner + " " * place.bytes_max)

    assert send(wire, place, body).said == (400, "MaxMessageLengthExceeded")
    assert place.state() == before


def test_d06_s3s_namespace_or_none(wire: Wire, place: Place) -> None:
    before, good = place.state(), place.document()
    foreign = place.document(attributes=' xmlns="http://example.com/"')
    prefixed = good.replace(b"<", b"<p:").replace(b"<p:/", b"</p:")

    assert send(wire, place, foreign).said == MALFORMED
    assert send(wire, place, prefixed).said == MALFORMED
    assert place.state() == before
    declared = prefixed.replace(b">", f' xmlns:p="{NAMESPACE}">'.encode(), 1)
    assert send(wire, place, declared).status in (200, 204)


def test_d06_the_namespace_that_sdks_send(wire: Wire, place: Place) -> None:
    assert send(wire, place, place.document(attributes=f' xmlns="{NAMESPACE}"')).status in (200, 204)


def test_d08_what_a_document_has_not_refuses_all_of_it(wire: Wire, name: str, place: Place) -> None:
    before, root = place.state(), place.root
    wrong_case = f"<{root}>{place.inner.lower()}</{root}>" if place.inner else f"<{root.lower()}/>"

    for body in (
        b"<Wrong/>",
        f"<{root.lower()}>{place.inner}</{root.lower()}>".encode(),
        wrong_case.encode(),
        place.document(place.inner + "<Unknown/>"),
        place.document(place.inner + "text"),
        *([place.document(TWICE[name])] if name in TWICE else []),
    ):
        assert send(wire, place, body).said == MALFORMED, body
    assert place.state() == before


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("eu-west-1", "IllegalLocationConstraintException"),
        ("EU", "IllegalLocationConstraintException"),
        ("nowhere", "InvalidLocationConstraint"),
        ("us-east-1;", "InvalidLocationConstraint"),
    ],
)
def test_d16_buckets_are_made_where_this_is(wire: Wire, location: str, code: str) -> None:
    bucket = f"/places-{uuid.uuid4().hex[:12]}"
    inner = f"<LocationConstraint>{location}</LocationConstraint>"
    body = f"<CreateBucketConfiguration>{inner}</CreateBucketConfiguration>".encode()

    assert wire.ask("PUT", bucket, body=body).said == (400, code)
    assert wire.ask("HEAD", bucket).status == 404
