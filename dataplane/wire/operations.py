"""What an operation of S3 is: how a request for it is recognised, its action, its body and its forms of signature."""

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


VERSION_4 = frozenset({AuthKind.HEADER, AuthKind.PRESIGNED})
# What boto3 presigns by default is signed in the older version.
PRESIGNED = VERSION_4 | {AuthKind.PRESIGNED_V2}


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
    auth_kinds: frozenset[AuthKind] = VERSION_4

    @property
    def is_served(self) -> bool:
        return self.action is not None

    def takes(self, auth_kind: AuthKind, payload_kind: PayloadKind) -> bool:
        """Whether a request signed like this may come in at all; what is not listed may not."""
        return auth_kind in self.auth_kinds and payload_kind in _PAYLOADS[auth_kind][self.body]
