"""One table decides what a request is; nothing that is not in it is taken for something plain."""

import itertools
from collections.abc import Iterator

import botocore.session
import pytest
from botocore.model import OperationModel

from dataplane.wire.operations import AuthKind, Body, Kind, Operation, PayloadKind
from dataplane.wire.refusals import (
    InvalidArgument,
    InvalidRequest,
    MethodNotAllowed,
    NotImplementedYet,
)
from dataplane.wire.refused_operations import REFUSED, SAME_ON_THE_WIRE
from dataplane.wire.routes import SUB_RESOURCES, find_route, require_known_method, require_signed_form
from dataplane.wire.served_operations import SERVED
from dataplane.wire.target import parse_target

ISSUED = {
    "ListBuckets",
    "CreateBucket",
    "HeadBucket",
    "DeleteBucket",
    "GetBucketLocation",
    "GetBucketVersioning",
    "PutBucketVersioning",
    "ListObjectVersions",
    "PutObject",
    "PostObject",
    "GetObject",
    "HeadObject",
    "DeleteObject",
    "CopyObject",
    "DeleteObjects",
    "ListObjects",
    "ListObjectsV2",
    "CreateMultipartUpload",
    "UploadPart",
    "UploadPartCopy",
    "GetObjectAttributes",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
    "ListParts",
    "ListMultipartUploads",
    "GetObjectAcl",
    *(f"{verb}ObjectTagging" for verb in ("Get", "Put", "Delete")),
    "PutObjectAcl",
    *(
        verb + name
        for name, verbs in {
            "BucketAccelerateConfiguration": "Get Put",
            "BucketAcl": "Get Put",
            "BucketCors": "Get Put Delete",
            "BucketEncryption": "Get Delete",
            "BucketLifecycle": "Delete",
            "BucketLifecycleConfiguration": "Get",
            "BucketLogging": "Get Put",
            "BucketNotificationConfiguration": "Get Put",
            "BucketOwnershipControls": "Get Put Delete",
            "BucketPolicy": "Get Delete",
            "BucketPolicyStatus": "Get",
            "BucketReplication": "Get Delete",
            "BucketRequestPayment": "Get Put",
            "BucketTagging": "Get Put Delete",
            "BucketWebsite": "Get Delete",
            "ObjectLockConfiguration": "Get",
            "PublicAccessBlock": "Get Put Delete",
        }.items()
        for verb in verbs.split()
    ),
}


def route(method: str, target: str, **headers: str) -> str:
    """The operation's name."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return find_route(method, parse_target(target.encode()), named).name


def models() -> Iterator[OperationModel]:
    model = botocore.session.get_session().get_service_model("s3")
    for name in model.operation_names:
        yield model.operation_model(name)


def request_of(operation: OperationModel) -> tuple[str, str, dict[str, str]]:
    """The least a client sends for an operation: method, target, headers that are required."""
    uri = operation.http["requestUri"].replace("{Bucket}", "bucket").replace("{Key+}", "some/key")
    query, headers = [], {}
    members = operation.input_shape.members if operation.input_shape else {}
    required = operation.input_shape.required_members if operation.input_shape else []
    for member in required:
        place = members[member].serialization
        if place.get("location") == "querystring":
            query.append(f"{place['name']}=1")
        if place.get("location") == "header":
            headers[place["name"].lower()] = "/source/key"
    separator = "&" if "?" in uri else "?"
    return operation.http["method"], uri + (separator + "&".join(query) if query else ""), headers


@pytest.mark.parametrize("operation", list(models()), ids=lambda each: each.name)
def test_every_operation_of_s3_is_served_or_refused_by_name(operation: OperationModel) -> None:
    method, target, headers = request_of(operation)
    name = SAME_ON_THE_WIRE.get(operation.name, operation.name)

    if name in ISSUED:
        assert find_route(method, parse_target(target.encode()), headers).name == name
    else:
        with pytest.raises(NotImplementedYet) as caught:
            find_route(method, parse_target(target.encode()), headers)
        assert caught.value.extra["Feature"] == name
        assert caught.value.fault.status == 501


def test_the_table_serves_what_it_says_and_no_more() -> None:
    assert {each.name for each in SERVED} == ISSUED
    assert all(each.is_served for each in SERVED)
    assert not any(each.is_served for each in REFUSED)


@pytest.mark.parametrize("operation", SERVED, ids=lambda each: each.name)
def test_parameters_of_the_model_are_read_refused_or_of_the_signature(operation: Operation) -> None:
    service = botocore.session.get_session().get_service_model("s3")
    if operation.name not in service.operation_names:
        assert operation.name == "PostObject", "SDKs only sign forms, browsers send them"
        assert operation.parameters == frozenset()
        return
    model = service.operation_model(operation.name)
    members = model.input_shape.members.values() if model.input_shape else ()
    known = {m.serialization["name"] for m in members if m.serialization.get("location") == "querystring"}

    assert known - operation.parameters - SUB_RESOURCES == set()
    assert operation.parameters <= known


@pytest.mark.parametrize("method", ["PATCH", "TRACE", "CONNECT", "FOO", "get", "", "G" * 4000])
def test_b18_other_methods_are_not_allowed(method: str) -> None:
    for target in ("/", "/bucket", "/bucket/key", "/bucket/key?acl"):
        with pytest.raises(MethodNotAllowed) as caught:
            find_route(method, parse_target(target.encode()), {})
        assert "GET" in caught.value.headers["Allow"]
        assert len(caught.value.extra["Method"]) <= 32
    with pytest.raises(MethodNotAllowed):
        require_known_method(method)


@pytest.mark.parametrize("sub", ["torrent", "select", "retention", "legal-hold", "inventory", "restore"])
@pytest.mark.parametrize("path", ["/bucket", "/bucket/key"])
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "HEAD"])
def test_b19_a_sub_resource_is_never_taken_for_a_plain_request(sub: str, path: str, method: str) -> None:
    with pytest.raises((NotImplementedYet, MethodNotAllowed)):
        route(method, f"{path}?{sub}")
    with pytest.raises((NotImplementedYet, MethodNotAllowed)):
        route(method, f"{path}?x-id=GetObject&{sub}=")


@pytest.mark.parametrize(
    "query",
    [
        "acl&tagging&uploadId=x&partNumber=1",
        "acl&tagging",
        "uploadId=1&uploadId=2&partNumber=1",
        "partNumber=1&partNumber=2&uploadId=x",
        "uploads&uploadId=x",
        "list-type=2&versions",
        "list-type=2&list-type=2",
        "delete&delete",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "HEAD"])
@pytest.mark.parametrize("path", ["/bucket", "/bucket/key"])
def test_b20_several_sub_resources_are_a_riddle(query: str, method: str, path: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        route(method, f"{path}?{query}")

    assert caught.value.fault.status == 400


def test_every_other_combination_is_refused_and_never_falls_through() -> None:
    rows = {(each.method, each.kind, each.selector) for each in (*SERVED, *REFUSED)}
    paths = {Kind.SERVICE: "/", Kind.BUCKET: "/bucket", Kind.OBJECT: "/bucket/key"}
    methods = ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH")

    for method, (kind, path), sub in itertools.product(methods, paths.items(), sorted(SUB_RESOURCES)):
        if (method, kind, sub) not in rows:
            with pytest.raises((NotImplementedYet, MethodNotAllowed)):
                route(method, f"{path}?{sub}=1")


@pytest.mark.parametrize(
    ("method", "target", "name"),
    [
        ("GET", "/", "ListBuckets"),
        ("GET", "/bucket?prefix=a&x-id=ListObjects", "ListObjects"),
        ("GET", "/bucket?list-type=2&prefix=a", "ListObjectsV2"),
        ("GET", "/bucket/key?response-content-type=a&versionId=null&X-Amz-Signature=a", "GetObject"),
        ("GET", "/bucket/key?id=5&annotationName=x&select-type=2", "GetObject"),
        ("GET", "/bucket/key?partNumber=1&versionId=null", "GetObject"),
        ("HEAD", "/bucket/key?partNumber=1", "HeadObject"),
        ("PUT", "/bucket/key?partNumber=1&uploadId=x", "UploadPart"),
        ("PUT", "/bucket/key?uploadId=x&partNumber=1&id=3", "UploadPart"),
        ("POST", "/bucket/key?uploads=", "CreateMultipartUpload"),
        ("POST", "/bucket/key?uploadId=x", "CompleteMultipartUpload"),
        ("POST", "/bucket?delete=", "DeleteObjects"),
    ],
)
def test_parameters_that_choose_nothing_do_not_hide_what_was_asked(
    method: str, target: str, name: str
) -> None:
    assert route(method, target) == name


@pytest.mark.parametrize("value", ["1", "", "3", "two"])
def test_only_the_second_version_of_the_listing_is_numbered(value: str) -> None:
    with pytest.raises(InvalidArgument):
        route("GET", f"/bucket?list-type={value}")


def test_a_copy_source_makes_a_copy_and_nothing_else() -> None:
    assert route("PUT", "/bucket/key", x_amz_copy_source="a/b") == "CopyObject"
    assert route("PUT", "/bucket/key?partNumber=1&uploadId=x", x_amz_copy_source="a/b") == "UploadPartCopy"
    for method, target in (("GET", "/bucket/key"), ("POST", "/bucket/key?uploads"), ("PUT", "/bucket")):
        with pytest.raises(InvalidRequest):
            route(method, target, x_amz_copy_source="a/b")


@pytest.mark.parametrize(
    ("name", "auth_kind", "payload_kind", "is_taken"),
    [
        ("PutObject", AuthKind.HEADER, PayloadKind.STREAMING_SIGNED, True),
        ("PutObject", AuthKind.HEADER, PayloadKind.STREAMING_SIGNED_TRAILER, True),
        ("PutObject", AuthKind.HEADER, PayloadKind.STREAMING_UNSIGNED_TRAILER, True),
        ("PutObject", AuthKind.PRESIGNED, PayloadKind.UNSIGNED, True),
        ("PutObject", AuthKind.PRESIGNED, PayloadKind.STREAMING_UNSIGNED_TRAILER, True),
        ("PutObject", AuthKind.PRESIGNED, PayloadKind.STREAMING_SIGNED, False),
        ("UploadPart", AuthKind.HEADER, PayloadKind.STREAMING_SIGNED, True),
        ("DeleteObjects", AuthKind.HEADER, PayloadKind.SIGNED, True),
        ("DeleteObjects", AuthKind.HEADER, PayloadKind.STREAMING_UNSIGNED_TRAILER, False),
        ("CopyObject", AuthKind.HEADER, PayloadKind.STREAMING_SIGNED, False),
        ("GetObject", AuthKind.HEADER, PayloadKind.STREAMING_UNSIGNED_TRAILER, False),
        ("GetObject", AuthKind.PRESIGNED, PayloadKind.UNSIGNED, True),
    ],
)
def test_each_operation_takes_the_forms_of_signature_it_lists(
    name: str, auth_kind: AuthKind, payload_kind: PayloadKind, is_taken: bool
) -> None:
    operation = next(each for each in SERVED if each.name == name)

    if is_taken:
        require_signed_form(operation, auth_kind, payload_kind)
    else:
        with pytest.raises(InvalidRequest):
            require_signed_form(operation, auth_kind, payload_kind)


def test_only_uploads_take_chunks() -> None:
    chunked = {
        each.name for each in SERVED if each.takes(AuthKind.HEADER, PayloadKind.STREAMING_UNSIGNED_TRAILER)
    }

    assert chunked == {"PutObject", "UploadPart"}
    assert chunked | {"PostObject"} == {each.name for each in SERVED if each.body is Body.OBJECT}


def test_only_forms_come_in_signed_by_a_form() -> None:
    for operation in SERVED:
        for payload in PayloadKind:
            is_taken = operation.takes(AuthKind.FORM, payload)
            assert is_taken == (operation.name == "PostObject" and payload is PayloadKind.UNSIGNED)
    assert next(each for each in SERVED if each.name == "PostObject").auth_kinds == {AuthKind.FORM}
