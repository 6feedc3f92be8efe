"""The one route table: what is not listed is refused by name, and never falls through to a plain GET or PUT."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from dataplane.s3.faults import InvalidRequest, MethodNotAllowed, NotImplementedYet
from dataplane.s3.identity import Action
from dataplane.s3.target import Target


class Operation(Enum):
    """Operations that are served, by their names in the S3 API."""

    LIST_BUCKETS = "ListBuckets"
    CREATE_BUCKET = "CreateBucket"
    HEAD_BUCKET = "HeadBucket"
    DELETE_BUCKET = "DeleteBucket"
    GET_BUCKET_LOCATION = "GetBucketLocation"
    LIST_OBJECTS = "ListObjects"
    LIST_OBJECTS_V2 = "ListObjectsV2"
    DELETE_OBJECTS = "DeleteObjects"
    LIST_MULTIPART_UPLOADS = "ListMultipartUploads"
    GET_OBJECT = "GetObject"
    HEAD_OBJECT = "HeadObject"
    PUT_OBJECT = "PutObject"
    COPY_OBJECT = "CopyObject"
    DELETE_OBJECT = "DeleteObject"
    CREATE_MULTIPART_UPLOAD = "CreateMultipartUpload"
    UPLOAD_PART = "UploadPart"
    LIST_PARTS = "ListParts"
    COMPLETE_MULTIPART_UPLOAD = "CompleteMultipartUpload"
    ABORT_MULTIPART_UPLOAD = "AbortMultipartUpload"


class Level(Enum):
    """What a target names."""

    SERVICE = "service"
    BUCKET = "bucket"
    OBJECT = "object"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An operation with what it needs to be allowed, and whether it carries an object's bytes in."""

    operation: Operation
    action: Action
    is_upload: bool = False


def _route(operation: Operation, action: Action, *, is_upload: bool = False) -> Route:
    return Route(operation=operation, action=action, is_upload=is_upload)


_R, _W, _A = Action.READ, Action.WRITE, Action.ADMINISTER

ROUTES: Mapping[tuple[Level, str, str], Route] = {
    (Level.SERVICE, "GET", ""): _route(Operation.LIST_BUCKETS, _R),
    (Level.BUCKET, "PUT", ""): _route(Operation.CREATE_BUCKET, _A),
    (Level.BUCKET, "HEAD", ""): _route(Operation.HEAD_BUCKET, _R),
    (Level.BUCKET, "DELETE", ""): _route(Operation.DELETE_BUCKET, _A),
    (Level.BUCKET, "GET", "location"): _route(Operation.GET_BUCKET_LOCATION, _R),
    (Level.BUCKET, "GET", ""): _route(Operation.LIST_OBJECTS, _R),
    (Level.BUCKET, "GET", "list-type"): _route(Operation.LIST_OBJECTS_V2, _R),
    (Level.BUCKET, "POST", "delete"): _route(Operation.DELETE_OBJECTS, _W),
    (Level.BUCKET, "GET", "uploads"): _route(Operation.LIST_MULTIPART_UPLOADS, _R),
    (Level.OBJECT, "GET", ""): _route(Operation.GET_OBJECT, _R),
    (Level.OBJECT, "HEAD", ""): _route(Operation.HEAD_OBJECT, _R),
    (Level.OBJECT, "PUT", ""): _route(Operation.PUT_OBJECT, _W, is_upload=True),
    (Level.OBJECT, "DELETE", ""): _route(Operation.DELETE_OBJECT, _W),
    (Level.OBJECT, "POST", "uploads"): _route(Operation.CREATE_MULTIPART_UPLOAD, _W),
    (Level.OBJECT, "PUT", "uploadId"): _route(Operation.UPLOAD_PART, _W, is_upload=True),
    (Level.OBJECT, "GET", "uploadId"): _route(Operation.LIST_PARTS, _R),
    (Level.OBJECT, "POST", "uploadId"): _route(Operation.COMPLETE_MULTIPART_UPLOAD, _W),
    (Level.OBJECT, "DELETE", "uploadId"): _route(Operation.ABORT_MULTIPART_UPLOAD, _W),
}

_COPY = _route(Operation.COPY_OBJECT, _W)

SUB_RESOURCES = frozenset(
    {
        *("abac", "accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption"),
        *("intelligent-tiering", "inventory", "legal-hold", "lifecycle", "list-type", "location", "logging"),
        *(
            "metadataConfiguration",
            "metadataInventoryTable",
            "metadataJournalTable",
            "metadataTable",
            "metrics",
        ),
        *("notification", "object-lock", "ownershipControls", "partNumber", "policy", "policyStatus"),
        *(
            "publicAccessBlock",
            "renameObject",
            "replication",
            "requestPayment",
            "restore",
            "retention",
            "select",
        ),
        *("session", "tagging", "torrent", "uploadId", "uploads", "versioning", "versions", "website"),
        "objectencryption",
    }
)
"""Query parameters that select another operation. Other unknown parameters are ignored, as S3 does."""

_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE"})
_NOT_BUILT_IDS = frozenset({"ListDirectoryBuckets"})


def level_of(target: Target) -> Level:
    if target.bucket is None:
        return Level.SERVICE
    return Level.BUCKET if target.key is None else Level.OBJECT


def route(method: str, target: Target, headers: Mapping[str, str]) -> Route:
    """The route of a request; raises NotImplemented by name, MethodNotAllowed, InvalidRequest for two sub-resources."""
    if method not in _METHODS:
        raise MethodNotAllowed(f"the method {method[:20]} is not allowed", Method=method[:20])
    level = level_of(target)
    sub = _sub_resource(target) if target.query else ""
    found = ROUTES.get((level, method, sub))
    if sub == "list-type" and target.get("list-type") != "2":
        raise InvalidRequest("list-type must be 2")
    if level is Level.OBJECT and method == "PUT" and "x-amz-copy-source" in headers:
        if sub == "uploadId":
            raise NotImplementedYet("UploadPartCopy is not implemented")
        if sub == "":
            return _COPY
    if target.get("x-id") in _NOT_BUILT_IDS:
        raise NotImplementedYet(f"{target.get('x-id')} is not implemented")
    if found is not None:
        return found
    if sub:
        raise NotImplementedYet(f"{method} with ?{sub} is not implemented", SubResource=sub)
    if level is Level.BUCKET and method == "POST":
        raise NotImplementedYet("uploads by HTML form are not implemented")
    raise MethodNotAllowed(f"the method {method} is not allowed on this resource", Method=method)


def _sub_resource(target: Target) -> str:
    named = [name for name in dict.fromkeys(name for name, _ in target.query) if name in SUB_RESOURCES]
    if "uploadId" in named and "partNumber" in named:
        named.remove("partNumber")
    if len(named) > 1:
        raise InvalidRequest(f"conflicting query parameters: {', '.join(named)}")
    return named[0] if named else ""
