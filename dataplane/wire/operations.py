"""Every operation of S3: what is served, under which action and forms of signature, and what is refused by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

# Members are singletons, so that identity will do: Enum's own hash is Python code, and a request takes a dozen of them.


class Kind(Enum):
    """What a path names."""

    __hash__ = object.__hash__

    SERVICE = "service"
    BUCKET = "bucket"
    OBJECT = "object"


class Action(Enum):
    """What a caller must be allowed to do; the value is the name policies use."""

    __hash__ = object.__hash__

    LIST_BUCKETS = "s3:ListAllMyBuckets"
    CREATE_BUCKET = "s3:CreateBucket"
    DELETE_BUCKET = "s3:DeleteBucket"
    BUCKET_LOCATION = "s3:GetBucketLocation"
    LIST_BUCKET = "s3:ListBucket"
    LIST_UPLOADS = "s3:ListBucketMultipartUploads"
    LIST_PARTS = "s3:ListMultipartUploadParts"
    GET_OBJECT = "s3:GetObject"
    PUT_OBJECT = "s3:PutObject"
    DELETE_OBJECT = "s3:DeleteObject"
    ABORT_UPLOAD = "s3:AbortMultipartUpload"
    LIST_VERSIONS = "s3:ListBucketVersions"
    GET_VERSIONING = "s3:GetBucketVersioning"
    PUT_VERSIONING = "s3:PutBucketVersioning"
    GET_BUCKET_ACL = "s3:GetBucketAcl"
    PUT_BUCKET_ACL = "s3:PutBucketAcl"
    GET_OBJECT_ACL = "s3:GetObjectAcl"
    PUT_OBJECT_ACL = "s3:PutObjectAcl"
    GET_OBJECT_TAGGING = "s3:GetObjectTagging"
    PUT_OBJECT_TAGGING = "s3:PutObjectTagging"
    DELETE_OBJECT_TAGGING = "s3:DeleteObjectTagging"
    GET_ACCELERATION = "s3:GetAccelerateConfiguration"
    PUT_ACCELERATION = "s3:PutAccelerateConfiguration"
    GET_CORS = "s3:GetBucketCORS"
    PUT_CORS = "s3:PutBucketCORS"
    GET_ENCRYPTION = "s3:GetEncryptionConfiguration"
    PUT_ENCRYPTION = "s3:PutEncryptionConfiguration"
    GET_LIFECYCLE = "s3:GetLifecycleConfiguration"
    PUT_LIFECYCLE = "s3:PutLifecycleConfiguration"
    GET_LOGGING = "s3:GetBucketLogging"
    PUT_LOGGING = "s3:PutBucketLogging"
    GET_NOTIFICATION = "s3:GetBucketNotification"
    PUT_NOTIFICATION = "s3:PutBucketNotification"
    GET_LOCK_CONFIGURATION = "s3:GetBucketObjectLockConfiguration"
    GET_OWNERSHIP = "s3:GetBucketOwnershipControls"
    PUT_OWNERSHIP = "s3:PutBucketOwnershipControls"
    GET_POLICY = "s3:GetBucketPolicy"
    DELETE_POLICY = "s3:DeleteBucketPolicy"
    GET_POLICY_STATUS = "s3:GetBucketPolicyStatus"
    GET_PUBLIC_ACCESS = "s3:GetBucketPublicAccessBlock"
    PUT_PUBLIC_ACCESS = "s3:PutBucketPublicAccessBlock"
    GET_REPLICATION = "s3:GetReplicationConfiguration"
    PUT_REPLICATION = "s3:PutReplicationConfiguration"
    GET_REQUEST_PAYMENT = "s3:GetBucketRequestPayment"
    PUT_REQUEST_PAYMENT = "s3:PutBucketRequestPayment"
    GET_BUCKET_TAGGING = "s3:GetBucketTagging"
    PUT_BUCKET_TAGGING = "s3:PutBucketTagging"
    GET_WEBSITE = "s3:GetBucketWebsite"
    DELETE_WEBSITE = "s3:DeleteBucketWebsite"


class AuthKind(Enum):
    """Where a request carries its signature."""

    __hash__ = object.__hash__

    HEADER = "header"
    PRESIGNED = "presigned"
    PRESIGNED_V2 = "presigned, version 2"
    FORM = "form"


class PayloadKind(Enum):
    """How the signature covers the body; the value is what x-amz-content-sha256 says, `SIGNED` standing for a hash."""

    __hash__ = object.__hash__

    SIGNED = "SIGNED"
    UNSIGNED = "UNSIGNED-PAYLOAD"
    STREAMING_SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    STREAMING_SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
    STREAMING_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


class Body(Enum):
    """What an operation reads from the wire."""

    __hash__ = object.__hash__

    NONE = "none"
    DOCUMENT = "document"
    OBJECT = "object"


_WHOLE = frozenset({PayloadKind.SIGNED, PayloadKind.UNSIGNED})
_PAYLOADS: Mapping[AuthKind, Mapping[Body, frozenset[PayloadKind]]] = {
    AuthKind.HEADER: {Body.NONE: _WHOLE, Body.DOCUMENT: _WHOLE, Body.OBJECT: frozenset(PayloadKind)},
    # A presigned URL is made before the body is known: there is no seed that signed chunks could follow.
    AuthKind.PRESIGNED: {
        Body.NONE: _WHOLE,
        Body.DOCUMENT: _WHOLE,
        Body.OBJECT: _WHOLE | {PayloadKind.STREAMING_UNSIGNED_TRAILER},
    },
    AuthKind.PRESIGNED_V2: dict.fromkeys(Body, frozenset({PayloadKind.UNSIGNED})),
    # The policy is what is signed; the file only has to keep to it.
    AuthKind.FORM: {
        Body.NONE: frozenset(),
        Body.DOCUMENT: frozenset(),
        Body.OBJECT: frozenset({PayloadKind.UNSIGNED}),
    },
}


_VERSION_4 = frozenset({AuthKind.HEADER, AuthKind.PRESIGNED})
# What boto3 presigns by default is signed in the older version.
_PRESIGNED = _VERSION_4 | {AuthKind.PRESIGNED_V2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row: how a request is recognised, and what it takes.

    `selector` names the query parameters that choose the operation, sorted and joined by `&`; `is_copy` that it has
    x-amz-copy-source. `parameters` are the further query parameters it reads. An operation without action is refused.
    """

    name: str
    method: str
    kind: Kind
    selector: str = ""
    is_copy: bool = False
    action: Action | None = None
    body: Body = Body.NONE
    parameters: frozenset[str] = frozenset()
    auth_kinds: frozenset[AuthKind] = _VERSION_4

    @property
    def is_served(self) -> bool:
        return self.action is not None

    def takes(self, auth_kind: AuthKind, payload_kind: PayloadKind) -> bool:
        """Whether a request signed like this may come in at all; what is not listed may not."""
        return auth_kind in self.auth_kinds and payload_kind in _PAYLOADS[auth_kind][self.body]


_OVERRIDES = frozenset(
    f"response-{name}"
    for name in (
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
    )
)
_PAGE = frozenset({"prefix", "delimiter", "encoding-type"})


def _served(
    name: str,
    method: str,
    kind: Kind,
    selector: str = "",
    *,
    action: Action,
    body: Body = Body.NONE,
    parameters: frozenset[str] = frozenset(),
    is_copy: bool = False,
    auth_kinds: frozenset[AuthKind] = _VERSION_4,
) -> Operation:
    return Operation(
        name=name,
        method=method,
        kind=kind,
        selector=selector,
        is_copy=is_copy,
        action=action,
        body=body,
        parameters=parameters,
        auth_kinds=auth_kinds,
    )


# Sub-resource, name in the operations' names, and the actions of those methods that are served.
_BUCKET_DOCUMENTS: tuple[tuple[str, str, Mapping[str, Action]], ...] = (
    ("acl", "BucketAcl", {"GET": Action.GET_BUCKET_ACL, "PUT": Action.PUT_BUCKET_ACL}),
    (
        "accelerate",
        "BucketAccelerateConfiguration",
        {"GET": Action.GET_ACCELERATION, "PUT": Action.PUT_ACCELERATION},
    ),
    ("cors", "BucketCors", {"GET": Action.GET_CORS, "PUT": Action.PUT_CORS, "DELETE": Action.PUT_CORS}),
    ("encryption", "BucketEncryption", {"GET": Action.GET_ENCRYPTION, "DELETE": Action.PUT_ENCRYPTION}),
    ("lifecycle", "BucketLifecycleConfiguration", {"GET": Action.GET_LIFECYCLE}),
    ("lifecycle", "BucketLifecycle", {"DELETE": Action.PUT_LIFECYCLE}),
    ("logging", "BucketLogging", {"GET": Action.GET_LOGGING, "PUT": Action.PUT_LOGGING}),
    (
        "notification",
        "BucketNotificationConfiguration",
        {"GET": Action.GET_NOTIFICATION, "PUT": Action.PUT_NOTIFICATION},
    ),
    ("object-lock", "ObjectLockConfiguration", {"GET": Action.GET_LOCK_CONFIGURATION}),
    (
        "ownershipControls",
        "BucketOwnershipControls",
        {"GET": Action.GET_OWNERSHIP, "PUT": Action.PUT_OWNERSHIP, "DELETE": Action.PUT_OWNERSHIP},
    ),
    ("policy", "BucketPolicy", {"GET": Action.GET_POLICY, "DELETE": Action.DELETE_POLICY}),
    ("policyStatus", "BucketPolicyStatus", {"GET": Action.GET_POLICY_STATUS}),
    (
        "publicAccessBlock",
        "PublicAccessBlock",
        {
            "GET": Action.GET_PUBLIC_ACCESS,
            "PUT": Action.PUT_PUBLIC_ACCESS,
            "DELETE": Action.PUT_PUBLIC_ACCESS,
        },
    ),
    ("replication", "BucketReplication", {"GET": Action.GET_REPLICATION, "DELETE": Action.PUT_REPLICATION}),
    (
        "requestPayment",
        "BucketRequestPayment",
        {"GET": Action.GET_REQUEST_PAYMENT, "PUT": Action.PUT_REQUEST_PAYMENT},
    ),
    (
        "tagging",
        "BucketTagging",
        {
            "GET": Action.GET_BUCKET_TAGGING,
            "PUT": Action.PUT_BUCKET_TAGGING,
            "DELETE": Action.PUT_BUCKET_TAGGING,
        },
    ),
    ("website", "BucketWebsite", {"GET": Action.GET_WEBSITE, "DELETE": Action.DELETE_WEBSITE}),
)
VERBS = {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}
"""How operations on documents are named after their methods."""

SERVED = (
    *(
        _served(
            VERBS[method] + name,
            method,
            Kind.BUCKET,
            sub_resource,
            action=action,
            body=Body.DOCUMENT if method == "PUT" else Body.NONE,
        )
        for sub_resource, name, actions in _BUCKET_DOCUMENTS
        for method, action in actions.items()
    ),
    *(
        _served(
            f"{VERBS[method]}ObjectTagging",
            method,
            Kind.OBJECT,
            "tagging",
            action=action,
            body=Body.DOCUMENT if method == "PUT" else Body.NONE,
            parameters=frozenset({"versionId"}),
        )
        for method, action in (
            ("GET", Action.GET_OBJECT_TAGGING),
            ("PUT", Action.PUT_OBJECT_TAGGING),
            ("DELETE", Action.DELETE_OBJECT_TAGGING),
        )
    ),
    _served(
        "GetObjectAcl",
        "GET",
        Kind.OBJECT,
        "acl",
        action=Action.GET_OBJECT_ACL,
        parameters=frozenset({"versionId"}),
    ),
    _served(
        "PutObjectAcl",
        "PUT",
        Kind.OBJECT,
        "acl",
        action=Action.PUT_OBJECT_ACL,
        body=Body.DOCUMENT,
        parameters=frozenset({"versionId"}),
    ),
    _served(
        "ListBuckets",
        "GET",
        Kind.SERVICE,
        action=Action.LIST_BUCKETS,
        parameters=frozenset({"prefix", "max-buckets", "continuation-token", "bucket-region"}),
    ),
    _served("CreateBucket", "PUT", Kind.BUCKET, action=Action.CREATE_BUCKET, body=Body.DOCUMENT),
    _served("HeadBucket", "HEAD", Kind.BUCKET, action=Action.LIST_BUCKET),
    _served("DeleteBucket", "DELETE", Kind.BUCKET, action=Action.DELETE_BUCKET),
    _served("GetBucketLocation", "GET", Kind.BUCKET, "location", action=Action.BUCKET_LOCATION),
    _served(
        "ListObjects",
        "GET",
        Kind.BUCKET,
        action=Action.LIST_BUCKET,
        parameters=_PAGE | {"marker", "max-keys"},
    ),
    _served(
        "ListObjectsV2",
        "GET",
        Kind.BUCKET,
        "list-type",
        action=Action.LIST_BUCKET,
        parameters=_PAGE | {"continuation-token", "start-after", "fetch-owner", "max-keys"},
    ),
    _served(
        "ListObjectVersions",
        "GET",
        Kind.BUCKET,
        "versions",
        action=Action.LIST_VERSIONS,
        parameters=_PAGE | {"key-marker", "version-id-marker", "max-keys"},
    ),
    _served("GetBucketVersioning", "GET", Kind.BUCKET, "versioning", action=Action.GET_VERSIONING),
    _served(
        "PutBucketVersioning",
        "PUT",
        Kind.BUCKET,
        "versioning",
        action=Action.PUT_VERSIONING,
        body=Body.DOCUMENT,
    ),
    _served("DeleteObjects", "POST", Kind.BUCKET, "delete", action=Action.DELETE_OBJECT, body=Body.DOCUMENT),
    _served(
        "ListMultipartUploads",
        "GET",
        Kind.BUCKET,
        "uploads",
        action=Action.LIST_UPLOADS,
        parameters=_PAGE | {"key-marker", "upload-id-marker", "max-uploads"},
    ),
    _served(
        "GetObject",
        "GET",
        Kind.OBJECT,
        action=Action.GET_OBJECT,
        parameters=_OVERRIDES | {"versionId"},
        auth_kinds=_PRESIGNED,
    ),
    _served(
        "HeadObject",
        "HEAD",
        Kind.OBJECT,
        action=Action.GET_OBJECT,
        parameters=_OVERRIDES | {"versionId"},
        auth_kinds=_PRESIGNED,
    ),
    _served(
        "GetObject",
        "GET",
        Kind.OBJECT,
        "partNumber",
        action=Action.GET_OBJECT,
        parameters=_OVERRIDES | {"versionId"},
        auth_kinds=_PRESIGNED,
    ),
    _served(
        "HeadObject",
        "HEAD",
        Kind.OBJECT,
        "partNumber",
        action=Action.GET_OBJECT,
        parameters=_OVERRIDES | {"versionId"},
        auth_kinds=_PRESIGNED,
    ),
    _served(
        "GetObjectAttributes",
        "GET",
        Kind.OBJECT,
        "attributes",
        action=Action.GET_OBJECT,
        parameters=frozenset({"versionId"}),
    ),
    _served(
        "PutObject", "PUT", Kind.OBJECT, action=Action.PUT_OBJECT, body=Body.OBJECT, auth_kinds=_PRESIGNED
    ),
    _served(
        "PostObject",
        "POST",
        Kind.BUCKET,
        action=Action.PUT_OBJECT,
        body=Body.OBJECT,
        auth_kinds=frozenset({AuthKind.FORM}),
    ),
    _served("CopyObject", "PUT", Kind.OBJECT, action=Action.PUT_OBJECT, is_copy=True),
    _served(
        "DeleteObject",
        "DELETE",
        Kind.OBJECT,
        action=Action.DELETE_OBJECT,
        parameters=frozenset({"versionId"}),
        auth_kinds=_PRESIGNED,
    ),
    _served("CreateMultipartUpload", "POST", Kind.OBJECT, "uploads", action=Action.PUT_OBJECT),
    _served(
        "UploadPart",
        "PUT",
        Kind.OBJECT,
        "partNumber&uploadId",
        action=Action.PUT_OBJECT,
        body=Body.OBJECT,
        auth_kinds=_PRESIGNED,
    ),
    _served(
        "UploadPartCopy",
        "PUT",
        Kind.OBJECT,
        "partNumber&uploadId",
        action=Action.PUT_OBJECT,
        is_copy=True,
    ),
    _served(
        "CompleteMultipartUpload",
        "POST",
        Kind.OBJECT,
        "uploadId",
        action=Action.PUT_OBJECT,
        body=Body.DOCUMENT,
    ),
    _served("AbortMultipartUpload", "DELETE", Kind.OBJECT, "uploadId", action=Action.ABORT_UPLOAD),
    _served(
        "ListParts",
        "GET",
        Kind.OBJECT,
        "uploadId",
        action=Action.LIST_PARTS,
        parameters=frozenset({"max-parts", "part-number-marker"}),
    ),
)
