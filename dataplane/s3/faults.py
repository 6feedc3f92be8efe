"""What went wrong, as S3 says it: one table from engine errors to codes, and mistakes of the protocol itself."""

from dataclasses import dataclass
from http import HTTPStatus

from dataplane.s3.xml_text import escape
from engine import errors
from engine.errors import EngineError


@dataclass(frozen=True, slots=True)
class S3Fault:
    """An S3 error code with its status. `retry_after_s` is sent along where a repeat may help."""

    code: str
    status: HTTPStatus
    retry_after_s: int | None = None


class WireError(Exception):
    """A request that is refused as it stands: a text for people, and further elements of the error document."""

    fault: S3Fault

    def __init__(self, message: str, **extra: str) -> None:
        super().__init__(message)
        self.message = message
        self.extra = extra


def _wire(code: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> type[WireError]:
    return type(code, (WireError,), {"fault": S3Fault(code, status), "__doc__": f"S3's {code}."})


AccessDenied = _wire("AccessDenied", HTTPStatus.FORBIDDEN)
AuthorizationHeaderMalformed = _wire("AuthorizationHeaderMalformed")
AuthorizationQueryParametersError = _wire("AuthorizationQueryParametersError")
BadDigest = _wire("BadDigest")
BadRequest = _wire("BadRequest")
EntityTooLarge = _wire("EntityTooLarge")
IllegalLocationConstraint = _wire("IllegalLocationConstraintException")
IncompleteBody = _wire("IncompleteBody")
InvalidAccessKeyId = _wire("InvalidAccessKeyId", HTTPStatus.FORBIDDEN)
InvalidArgument = _wire("InvalidArgument")
InvalidDigest = _wire("InvalidDigest")
InvalidLocationConstraint = _wire("InvalidLocationConstraint")
InvalidRequest = _wire("InvalidRequest")
InvalidStorageClass = _wire("InvalidStorageClass")
InvalidToken = _wire("InvalidToken")
InvalidUri = _wire("InvalidURI")
MalformedTrailer = _wire("MalformedTrailerError")
MalformedXml = _wire("MalformedXML")
MaxMessageLengthExceeded = _wire("MaxMessageLengthExceeded")
MetadataTooLarge = _wire("MetadataTooLarge")
MethodNotAllowed = _wire("MethodNotAllowed", HTTPStatus.METHOD_NOT_ALLOWED)
MissingContentLength = _wire("MissingContentLength", HTTPStatus.LENGTH_REQUIRED)
MissingRequestBody = _wire("MissingRequestBodyError")
NotImplementedYet = _wire("NotImplemented", HTTPStatus.NOT_IMPLEMENTED)
RequestTimeTooSkewed = _wire("RequestTimeTooSkewed", HTTPStatus.FORBIDDEN)
SignatureDoesNotMatch = _wire("SignatureDoesNotMatch", HTTPStatus.FORBIDDEN)
ContentSha256Mismatch = _wire("XAmzContentSHA256Mismatch")

_S = HTTPStatus
_SLOW_DOWN = S3Fault("SlowDown", _S.SERVICE_UNAVAILABLE, 1)
_UNAVAILABLE = S3Fault("ServiceUnavailable", _S.SERVICE_UNAVAILABLE, 2)
_FULL = S3Fault("InsufficientStorage", _S.INSUFFICIENT_STORAGE)
INTERNAL = S3Fault("InternalError", _S.INTERNAL_SERVER_ERROR)

FAULTS: dict[type[EngineError], S3Fault] = {
    errors.InvalidBucketName: S3Fault("InvalidBucketName", _S.BAD_REQUEST),
    errors.InvalidKey: S3Fault("InvalidURI", _S.BAD_REQUEST),
    errors.KeyTooLong: S3Fault("KeyTooLongError", _S.BAD_REQUEST),
    errors.NoSuchBucket: S3Fault("NoSuchBucket", _S.NOT_FOUND),
    errors.NoSuchKey: S3Fault("NoSuchKey", _S.NOT_FOUND),
    errors.NoSuchVersion: S3Fault("NoSuchVersion", _S.NOT_FOUND),
    errors.NoSuchUpload: S3Fault("NoSuchUpload", _S.NOT_FOUND),
    errors.BucketExists: S3Fault("BucketAlreadyExists", _S.CONFLICT),
    errors.BucketNotEmpty: S3Fault("BucketNotEmpty", _S.CONFLICT),
    errors.DigestMismatch: S3Fault("BadDigest", _S.BAD_REQUEST),
    errors.BodySizeMismatch: S3Fault("IncompleteBody", _S.BAD_REQUEST),
    errors.ObjectTooLarge: S3Fault("EntityTooLarge", _S.BAD_REQUEST),
    errors.RangeNotSatisfiable: S3Fault("InvalidRange", _S.REQUESTED_RANGE_NOT_SATISFIABLE),
    errors.PartOrder: S3Fault("InvalidPartOrder", _S.BAD_REQUEST),
    errors.InvalidPart: S3Fault("InvalidPart", _S.BAD_REQUEST),
    errors.PartTooSmall: S3Fault("EntityTooSmall", _S.BAD_REQUEST),
    errors.PreconditionFailed: S3Fault("PreconditionFailed", _S.PRECONDITION_FAILED),
    errors.ConcurrentWrite: S3Fault("ConditionalRequestConflict", _S.CONFLICT),
    errors.VersionLocked: S3Fault("AccessDenied", _S.FORBIDDEN),
    errors.NotSupported: S3Fault("NotImplemented", _S.NOT_IMPLEMENTED),
    errors.BucketQuotaExceeded: S3Fault("QuotaExceeded", _S.FORBIDDEN),
    errors.BackendQuotaExceeded: _FULL,
    errors.NoSpaceAnywhere: _FULL,
    errors.BackendFull: _FULL,
    errors.DatabaseFull: _FULL,
    errors.Overloaded: _SLOW_DOWN,
    errors.BackendsUnavailable: _SLOW_DOWN,
    errors.BelowWriteQuorum: _SLOW_DOWN,
    errors.PlacementRefused: _SLOW_DOWN,
    errors.BlobGone: _SLOW_DOWN,
    errors.BackendError: _SLOW_DOWN,
    errors.BackendUnavailable: _SLOW_DOWN,
    errors.BackendTimeout: _SLOW_DOWN,
    errors.DatabaseUnavailable: _UNAVAILABLE,
    errors.OutcomeUnknown: _UNAVAILABLE,
    errors.IntentLost: _UNAVAILABLE,
    errors.LeaseLost: _UNAVAILABLE,
    errors.KeyUnavailable: _UNAVAILABLE,
    errors.WrongKey: _UNAVAILABLE,
    errors.CorruptEverywhere: INTERNAL,
    errors.PieceMissing: INTERNAL,
    errors.PieceCorrupt: INTERNAL,
    errors.ForeignBackend: _SLOW_DOWN,
    errors.SealBroken: INTERNAL,
    errors.InvalidConfig: INTERNAL,
    errors.MalformedField: S3Fault("InvalidArgument", _S.BAD_REQUEST),
    errors.NoSuchResource: S3Fault("NoSuchKey", _S.NOT_FOUND),
    errors.StartRefused: INTERNAL,
    errors.SchemaTooNew: INTERNAL,
}


def fault_of(error: EngineError) -> S3Fault:
    """The fault of an engine error, nearest class first."""
    if isinstance(error, errors.BucketExists) and error.owned_by_caller:
        return S3Fault("BucketAlreadyOwnedByYou", HTTPStatus.CONFLICT)
    if isinstance(error, errors.DigestMismatch) and error.what == "sha256":
        return S3Fault("XAmzContentSHA256Mismatch", HTTPStatus.BAD_REQUEST)
    for kind in type(error).__mro__:
        if kind in FAULTS:
            return FAULTS[kind]
    return INTERNAL


def extra_of(error: EngineError) -> dict[str, str]:
    """Further elements that S3 gives with some errors."""
    if isinstance(error, errors.NoSuchBucket | errors.InvalidBucketName):
        return {"BucketName": error.bucket}
    if isinstance(error, errors.NoSuchKey):
        return {"Key": error.key.decode("utf-8", "replace")}
    if isinstance(error, errors.NoSuchUpload):
        return {"UploadId": error.upload_id}
    if isinstance(error, errors.RangeNotSatisfiable):
        return {"ActualObjectSize": str(error.size_bytes)}
    if isinstance(error, errors.PreconditionFailed):
        return {"Condition": error.condition}
    if isinstance(error, errors.PartTooSmall):
        return {"ProposedSize": str(error.size_bytes), "MinSizeAllowed": str(error.min_bytes)}
    return {}


def error_document(
    code: str, message: str, *, resource: str, request_id: str, extra: dict[str, str] | None = None
) -> bytes:
    """The XML of an error (S3 API, Error responses)."""
    further = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in (extra or {}).items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>{further}"
        f"<Resource>{escape(resource)}</Resource><RequestId>{request_id}</RequestId>"
        f"<HostId>{request_id}</HostId></Error>"
    ).encode()
