"""The operations of S3 that are served: how each is asked for, and what it takes."""

from collections.abc import Mapping

from dataplane.wire.operations import PRESIGNED, VERSION_4, Action, AuthKind, Body, Kind, Operation

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
    auth_kinds: frozenset[AuthKind] = VERSION_4,
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
        auth_kinds=PRESIGNED,
    ),
    _served(
        "HeadObject",
        "HEAD",
        Kind.OBJECT,
        action=Action.GET_OBJECT,
        parameters=_OVERRIDES | {"versionId"},
        auth_kinds=PRESIGNED,
    ),
    _served(
        "GetObject",
        "GET",
        Kind.OBJECT,
        "partNumber",
        action=Action.GET_OBJECT,
        parameters=_OVERRIDES | {"versionId"},
        auth_kinds=PRESIGNED,
    ),
    _served(
        "HeadObject",
        "HEAD",
        Kind.OBJECT,
        "partNumber",
        action=Action.GET_OBJECT,
        parameters=_OVERRIDES | {"versionId"},
        auth_kinds=PRESIGNED,
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
        "PutObject", "PUT", Kind.OBJECT, action=Action.PUT_OBJECT, body=Body.OBJECT, auth_kinds=PRESIGNED
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
        auth_kinds=PRESIGNED,
    ),
    _served("CreateMultipartUpload", "POST", Kind.OBJECT, "uploads", action=Action.PUT_OBJECT),
    _served(
        "UploadPart",
        "PUT",
        Kind.OBJECT,
        "partNumber&uploadId",
        action=Action.PUT_OBJECT,
        body=Body.OBJECT,
        auth_kinds=PRESIGNED,
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
