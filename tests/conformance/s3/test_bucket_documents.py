"""Documents of buckets: what is put comes back, what was never set has its answer, and bad ones change nothing."""

import uuid

import pytest

from tests.conformance.s3.wire import BUCKET, Wire
from tests.support.raw_http import Answer

MALFORMED = (400, "MalformedXML")
NOT_BUILT = (501, "NotImplemented")
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

BLOCK = "".join(
    f"<{name}>true</{name}>"
    for name in ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
)
OWN_ACL = (
    "<AccessControlList><Grant><Grantee><ID>main</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant>"
    "</AccessControlList>"
)
RULE = "<AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin>"
# Sub-resource: the root of its document, and what a right one holds.
GOOD = {
    "tagging": ("Tagging", "<TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet>"),
    "cors": ("CORSConfiguration", f"<CORSRule>{RULE}</CORSRule>"),
    "versioning": ("VersioningConfiguration", "<Status>Suspended</Status>"),
    "acl": ("AccessControlPolicy", OWN_ACL),
    "ownershipControls": (
        "OwnershipControls",
        "<Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>",
    ),
    "publicAccessBlock": ("PublicAccessBlockConfiguration", BLOCK),
    "requestPayment": ("RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>"),
    "accelerate": ("AccelerateConfiguration", "<Status>Suspended</Status>"),
    "logging": ("BucketLoggingStatus", ""),
    "notification": ("NotificationConfiguration", ""),
}
UNSET = {
    "policy": "NoSuchBucketPolicy",
    "cors": "NoSuchCORSConfiguration",
    "lifecycle": "NoSuchLifecycleConfiguration",
    "tagging": "NoSuchTagSet",
    "website": "NoSuchWebsiteConfiguration",
    "encryption": "ServerSideEncryptionConfigurationNotFoundError",
    "object-lock": "ObjectLockConfigurationNotFoundError",
    "publicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
    "ownershipControls": "OwnershipControlsNotFoundError",
    "replication": "ReplicationConfigurationNotFoundError",
}
DEFAULTS = {
    "acl": b"<Permission>FULL_CONTROL</Permission>",
    "versioning": b"<VersioningConfiguration",
    "logging": b"<BucketLoggingStatus",
    "notification": b"<NotificationConfiguration",
    "accelerate": b"<AccelerateConfiguration",
    "requestPayment": b"<Payer>BucketOwner</Payer>",
    "policyStatus": b"<IsPublic>false</IsPublic>",
}


@pytest.fixture
def bucket(wire: Wire) -> str:
    """The path of a bucket of the test's own."""
    path = f"/documents-{uuid.uuid4().hex[:12]}"
    assert wire.put(path, b"").status == 200
    return path


def document(sub: str, inner: str | None = None, *, attributes: str = "") -> bytes:
    root, good = GOOD[sub]
    return f"<{root}{attributes}>{good if inner is None else inner}</{root}>".encode()


def put(wire: Wire, path: str, body: bytes) -> Answer:
    return wire.ask("PUT", path, body=body)


def test_s3_35_what_was_never_set_answers_under_its_own_code(wire: Wire, bucket: str) -> None:
    for sub, code in UNSET.items():
        assert wire.get(f"{bucket}?{sub}").said == (404, code)
        if sub != "object-lock":
            assert wire.ask("DELETE", f"{bucket}?{sub}").status == 204
    for sub, part in DEFAULTS.items():
        answer = wire.get(f"{bucket}?{sub}")
        assert (answer.status, part in answer.body) == (200, True), sub
    assert wire.get("/nobody-has-this-bucket?acl").said == (404, "NoSuchBucket")


@pytest.mark.parametrize(
    "sub", ["policy", "lifecycle", "website", "encryption", "object-lock", "replication"]
)
def test_what_is_not_built_is_refused_when_it_is_put(wire: Wire, bucket: str, sub: str) -> None:
    assert put(wire, f"{bucket}?{sub}", b"<x/>").said == NOT_BUILT
    assert wire.get(f"{bucket}?{sub}").said == (404, UNSET[sub])


@pytest.mark.parametrize("sub", ["tagging", "cors", "ownershipControls", "publicAccessBlock"])
def test_a_document_comes_back_the_same_until_it_is_deleted(wire: Wire, bucket: str, sub: str) -> None:
    assert put(wire, f"{bucket}?{sub}", document(sub)).status in (200, 204)
    first = wire.get(f"{bucket}?{sub}")
    assert (first.status, GOOD[sub][1].encode() in first.body) == (200, True)

    inner = first.body.decode().partition(f' xmlns="{NAMESPACE}">')[2].rpartition("</")[0]
    assert put(wire, f"{bucket}?{sub}", document(sub, inner)).status in (200, 204)
    assert wire.get(f"{bucket}?{sub}").body == first.body

    for _ in range(2):
        assert wire.ask("DELETE", f"{bucket}?{sub}").status == 204
    assert wire.get(f"{bucket}?{sub}").said == (404, UNSET[sub])


def test_documents_are_for_those_who_may(wire: Wire, reader: Wire, other: Wire, bucket: str) -> None:
    put(wire, f"{bucket}?tagging", document("tagging"))

    assert reader.get(f"{bucket}?tagging").status == 200
    for sub in GOOD:
        assert put(reader, f"{bucket}?{sub}", document(sub)).said == (403, "AccessDenied")
        assert put(other, f"{bucket}?{sub}", document(sub)).said == (403, "AccessDenied")
        assert other.get(f"{bucket}?{sub}").said == (403, "AccessDenied")
    for sub in UNSET:
        if sub != "object-lock":
            assert reader.ask("DELETE", f"{bucket}?{sub}").said == (403, "AccessDenied")


def test_a_bucket_made_again_has_no_documents(wire: Wire, bucket: str) -> None:
    for sub in ("tagging", "cors"):
        put(wire, f"{bucket}?{sub}", document(sub))
    assert wire.ask("DELETE", bucket).status == 204
    wire.put(bucket, b"")

    for sub in ("tagging", "cors"):
        assert wire.get(f"{bucket}?{sub}").said == (404, UNSET[sub])


def test_what_would_not_be_done_is_refused_by_name(wire: Wire, bucket: str) -> None:
    asked = {
        "requestPayment": "<Payer>Requester</Payer>",
        "accelerate": "<Status>Enabled</Status>",
        "logging": "<LoggingEnabled/>",
        "notification": "<EventBridgeConfiguration/>",
        "publicAccessBlock": "<BlockPublicAcls>true</BlockPublicAcls>",
        "ownershipControls": "<Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>",
    }
    for sub, inner in asked.items():
        before = wire.get(f"{bucket}?{sub}").said
        assert put(wire, f"{bucket}?{sub}", document(sub, inner)).said == NOT_BUILT, sub
        assert wire.get(f"{bucket}?{sub}").said == before


def test_f34_access_control_lists_are_the_owners(wire: Wire, bucket: str, path: str) -> None:
    wire.put(path, b"x")
    for target in (bucket, path):
        acl = f"{target}?acl"
        assert b"<ID>main</ID>" in wire.get(acl).body
        for canned in ("private", "bucket-owner-full-control"):
            assert wire.ask("PUT", acl, [("x-amz-acl", canned)]).status == 200
        for canned in ("public-read", "authenticated-read"):
            answer = wire.ask("PUT", acl, [("x-amz-acl", canned)])
            assert answer.said == (400, "AccessControlListNotSupported")
        assert wire.ask("PUT", acl, [("x-amz-acl", "foo")]).said == (400, "InvalidArgument")
        assert put(wire, acl, document("acl")).status == 200
        for inner in (OWN_ACL.replace("main", "other"), OWN_ACL.replace("FULL_CONTROL", "READ")):
            assert put(wire, acl, document("acl", inner)).said == (400, "AccessControlListNotSupported")
    assert wire.get(f"/{BUCKET}/nobody-wrote-this?acl").said == (404, "NoSuchKey")


def test_d12_tags_that_no_bucket_can_have(wire: Wire, bucket: str) -> None:
    path = f"{bucket}?tagging"

    def tagged(*pairs: tuple[str, str]) -> tuple[int, str]:
        rows = "".join(f"<Tag><Key>{key}</Key><Value>{value}</Value></Tag>" for key, value in pairs)
        answer = put(wire, path, document("tagging", f"<TagSet>{rows}</TagSet>"))
        return (answer.status, "") if answer.status == 204 else answer.said

    assert tagged(*((f"k{number}", "v") for number in range(51))) == (400, "BadRequest")
    for key, value in (
        ("k" * 129, "v"),
        ("k", "v" * 257),
        ("", "v"),
        ("aws:k", "v"),
        ("AWS:k", "v"),
        ("k&#10;", "v"),
        ("k", "v;"),
    ):
        assert tagged((key, value)) == (400, "InvalidTag"), (key, value)
    assert tagged(("k", "1"), ("k", "2")) == (400, "InvalidTag")
    assert wire.get(path).said == (404, "NoSuchTagSet")
    assert tagged(("k" * 128, "v" * 256), ("ü λ+-=._:/@", "")) == (204, "")
    assert "<Key>ü λ+-=._:/@</Key><Value></Value>" in wire.get(path).body.decode()
    assert tagged() == (204, "")


def test_d14_rules_that_no_bucket_can_have(wire: Wire, bucket: str) -> None:
    path = f"{bucket}?cors"

    def ruled(*rules: str) -> tuple[int, str]:
        inner = "".join(f"<CORSRule>{rule}</CORSRule>" for rule in rules)
        answer = put(wire, path, document("cors", inner))
        return (answer.status, "") if answer.status == 200 else answer.said

    assert ruled() == ruled(*[RULE] * 101) == MALFORMED
    for rule in (
        "",
        "<AllowedMethod>GET</AllowedMethod>",
        "<AllowedOrigin>*</AllowedOrigin>",
        RULE + "<MaxAgeSeconds>-1</MaxAgeSeconds>",
        RULE + "<MaxAgeSeconds>2147483648</MaxAgeSeconds>",
        RULE + "<ExposeHeader>X&#13;&#10;Set-Cookie: a</ExposeHeader>",
        RULE + "<AllowedHeader>a&#10;b</AllowedHeader>",
        RULE + "<AllowedOrigin>http://a&#13;&#10;b</AllowedOrigin>",
        RULE + "<AllowedOrigin></AllowedOrigin>",
    ):
        assert ruled(rule) == MALFORMED, rule
    for rule in (
        RULE.replace("GET", "FOO"),
        RULE.replace("GET", "get"),
        RULE.replace("GET", "OPTIONS"),
        RULE.replace("*", "http://*.*"),
        RULE + "<AllowedHeader>*-*</AllowedHeader>",
        RULE + "<ExposeHeader>x-*</ExposeHeader>",
        RULE + f"<ID>{'i' * 256}</ID>",
    ):
        assert ruled(rule) == (400, "InvalidRequest"), rule
    assert wire.get(path).said == (404, "NoSuchCORSConfiguration")
    assert ruled(*[RULE] * 100) == (200, "")
    many = RULE + "<AllowedHeader>x-header-of-a-middling-length</AllowedHeader>" * 1200
    assert ruled(many) == (400, "MaxMessageLengthExceeded")
