"""Errors as S3 says them: one table from engine errors to codes, and the document that carries them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from dataplane.wire.refusals import S3Fault, WireError
from dataplane.wire.times import http_date
from dataplane.wire.xml_text import escape
from engine import errors
from engine.errors import EngineError

RETRY_AFTER_S = 1
"""What a client waits before it repeats what may go well a moment later."""

READ_ONLY_RETRY_AFTER_S = 30
"""The same while an operator lets nobody write, which no moment mends."""

_S = HTTPStatus
INTERNAL = S3Fault("InternalError", _S.INTERNAL_SERVER_ERROR)
_SLOW_DOWN = S3Fault("SlowDown", _S.SERVICE_UNAVAILABLE, RETRY_AFTER_S)
_UNAVAILABLE = S3Fault("ServiceUnavailable", _S.SERVICE_UNAVAILABLE, RETRY_AFTER_S)
_READ_ONLY = S3Fault("ServiceUnavailable", _S.SERVICE_UNAVAILABLE, READ_ONLY_RETRY_AFTER_S)
_FULL = S3Fault("InsufficientStorage", _S.INSUFFICIENT_STORAGE)
_USED_UP = S3Fault("TooManyRequests", _S.TOO_MANY_REQUESTS)
_OWN_BUCKET = S3Fault("BucketAlreadyOwnedByYou", _S.CONFLICT)
_BODY_HASH = S3Fault("XAmzContentSHA256Mismatch", _S.BAD_REQUEST)

FAULTS: dict[type[EngineError], S3Fault] = {
    errors.InvalidBucketName: S3Fault("InvalidBucketName", _S.BAD_REQUEST),
    errors.InvalidKey: S3Fault("InvalidArgument", _S.BAD_REQUEST),
    errors.KeyTooLong: S3Fault("KeyTooLongError", _S.BAD_REQUEST),
    errors.NoSuchBucket: S3Fault("NoSuchBucket", _S.NOT_FOUND),
    errors.NoSuchKey: S3Fault("NoSuchKey", _S.NOT_FOUND),
    errors.NoSuchVersion: S3Fault("NoSuchVersion", _S.NOT_FOUND),
    errors.IsDeleteMarker: S3Fault("MethodNotAllowed", _S.METHOD_NOT_ALLOWED),
    errors.NoSuchUpload: S3Fault("NoSuchUpload", _S.NOT_FOUND),
    errors.BucketExists: S3Fault("BucketAlreadyExists", _S.CONFLICT),
    errors.BucketNotEmpty: S3Fault("BucketNotEmpty", _S.CONFLICT),
    errors.DigestMismatch: S3Fault("BadDigest", _S.BAD_REQUEST),
    errors.BodySizeMismatch: S3Fault("IncompleteBody", _S.BAD_REQUEST),
    errors.ObjectTooLarge: S3Fault("EntityTooLarge", _S.BAD_REQUEST),
    errors.RangeNotSatisfiable: S3Fault("InvalidRange", _S.REQUESTED_RANGE_NOT_SATISFIABLE),
    errors.NoSuchPart: S3Fault("InvalidPartNumber", _S.REQUESTED_RANGE_NOT_SATISFIABLE),
    errors.ChecksumTypeMismatch: S3Fault("InvalidRequest", _S.BAD_REQUEST),
    errors.PartOrder: S3Fault("InvalidPartOrder", _S.BAD_REQUEST),
    errors.InvalidPart: S3Fault("InvalidPart", _S.BAD_REQUEST),
    errors.PartTooSmall: S3Fault("EntityTooSmall", _S.BAD_REQUEST),
    errors.PreconditionFailed: S3Fault("PreconditionFailed", _S.PRECONDITION_FAILED),
    errors.ConcurrentWrite: S3Fault("ConditionalRequestConflict", _S.CONFLICT),
    errors.VersionLocked: S3Fault("AccessDenied", _S.FORBIDDEN),
    errors.NotSupported: S3Fault("NotImplemented", _S.NOT_IMPLEMENTED),
    errors.BucketQuotaExceeded: S3Fault("QuotaExceeded", _S.FORBIDDEN),
    errors.NoSpaceAnywhere: _FULL,
    errors.BackendQuotaExceeded: _FULL,
    errors.BackendFull: _FULL,
    errors.BackendOverLimit: _USED_UP,
    errors.UsageLimitReached: _USED_UP,
    errors.DatabaseFull: _FULL,
    errors.Overloaded: _SLOW_DOWN,
    errors.BackendsUnavailable: _SLOW_DOWN,
    errors.NotEnoughDomains: _SLOW_DOWN,
    errors.BelowWriteQuorum: _SLOW_DOWN,
    errors.PlacementRefused: _SLOW_DOWN,
    errors.BlobGone: _SLOW_DOWN,
    errors.BackendError: _SLOW_DOWN,
    errors.BackendUnavailable: _SLOW_DOWN,
    errors.BackendShut: _SLOW_DOWN,
    errors.BackendTimeout: _SLOW_DOWN,
    errors.BackendLate: _SLOW_DOWN,
    errors.ForeignBackend: _SLOW_DOWN,
    errors.ReadOnly: _READ_ONLY,
    errors.DatabaseUnavailable: _UNAVAILABLE,
    errors.RowRefused: INTERNAL,
    errors.OutcomeUnknown: _UNAVAILABLE,
    errors.IntentLost: _UNAVAILABLE,
    errors.LeaseLost: _UNAVAILABLE,
    errors.KeyUnavailable: _UNAVAILABLE,
    errors.WrongKey: _UNAVAILABLE,
    errors.CorruptEverywhere: INTERNAL,
    errors.PieceMissing: INTERNAL,
    errors.PieceCorrupt: INTERNAL,
    errors.SealBroken: INTERNAL,
    errors.InvalidConfig: INTERNAL,
    errors.MalformedField: S3Fault("InvalidArgument", _S.BAD_REQUEST),
    errors.NoSuchResource: INTERNAL,
    errors.ResourceExists: INTERNAL,
    errors.EtagMismatch: INTERNAL,
    errors.IdentityCannot: INTERNAL,
    errors.CountMismatch: INTERNAL,
    errors.WiderThanCaller: INTERNAL,
    errors.OwnedByConfig: INTERNAL,
    errors.ResumeTooOld: INTERNAL,
    errors.RedundancyAtRisk: INTERNAL,
    errors.BackendInState: INTERNAL,
    errors.DrainIncomplete: INTERNAL,
    errors.InstanceStopping: INTERNAL,
    errors.NoCache: INTERNAL,
    errors.WorkerDisabled: INTERNAL,
    errors.OperationOpen: INTERNAL,
    errors.StartRefused: INTERNAL,
    errors.SchemaTooNew: INTERNAL,
}

# An engine error's own words may name backends, volumes or keys of ours: clients get S3's words instead.
_MESSAGES: Mapping[str, str] = {
    "BadDigest": "The digest you specified did not match what we received.",
    "BucketAlreadyExists": "The requested bucket name is not available.",
    "BucketAlreadyOwnedByYou": "Your previous request to create the named bucket succeeded and you already own it.",
    "BucketNotEmpty": "The bucket you tried to delete is not empty.",
    "ConditionalRequestConflict": "A conflicting operation ran at the same time. Try again.",
    "EntityTooLarge": "Your proposed upload exceeds the maximum allowed size.",
    "EntityTooSmall": "Your proposed upload is smaller than the minimum allowed size.",
    "IncompleteBody": "You did not provide the number of bytes specified by the Content-Length HTTP header.",
    "InsufficientStorage": "There is no room for the request on any backend that may take it.",
    "InternalError": "We encountered an internal error. Please try again.",
    "InvalidBucketName": "The specified bucket is not valid.",
    "InvalidPart": "One or more of the specified parts could not be found. The part might not have been uploaded, "
    "or the specified entity tag might not have matched the part's entity tag.",
    "MethodNotAllowed": "The specified method is not allowed against this resource.",
    "InvalidPartNumber": "The requested partnumber is not satisfiable.",
    "InvalidPartOrder": "The list of parts was not in ascending order. Parts must be ordered by part number.",
    "InvalidRange": "The requested range is not satisfiable.",
    "KeyTooLongError": "Your key is too long.",
    "NoSuchBucket": "The specified bucket does not exist.",
    "NoSuchKey": "The specified key does not exist.",
    "NoSuchUpload": "The specified multipart upload does not exist. The upload ID might be invalid, or the multipart "
    "upload might have been aborted or completed.",
    "NoSuchVersion": "The specified version does not exist.",
    "PreconditionFailed": "At least one of the preconditions you specified did not hold.",
    "QuotaExceeded": "The bucket's quota does not allow the request.",
    "ServiceUnavailable": "Service is unable to handle the request. Try again.",
    "SlowDown": "Please reduce your request rate.",
    "TooManyRequests": "What may be read this month of the backends that hold the object is used up.",
    "XAmzContentSHA256Mismatch": "The provided 'x-amz-content-sha256' header does not match what was computed.",
    "AccessDenied": "Access Denied",
}

# Slower requests would not help here, whatever the code's name says.
_OUT_OF_REACH = (
    errors.BackendsUnavailable,
    errors.BackendError,
    errors.BelowWriteQuorum,
    errors.NotEnoughDomains,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error ready to be answered: everything but the ids of the request."""

    fault: S3Fault
    message: str
    extra: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def refusal_of(error: BaseException) -> Refusal:
    """What a client is told of an error. An unknown exception is InternalError, its text stays in the log."""
    if isinstance(error, WireError):
        return Refusal(
            fault=error.fault, message=error.message, extra=error.extra, headers=_headers(error, error.fault)
        )
    if not isinstance(error, EngineError):
        return Refusal(fault=INTERNAL, message=_MESSAGES[INTERNAL.code])
    fault = fault_of(error)
    return Refusal(
        fault=fault, message=message_of(error), extra=_extra_of(error), headers=_headers(error, fault)
    )


def fault_of(error: EngineError) -> S3Fault:
    """The fault of an engine error, nearest class first."""
    if isinstance(error, errors.BucketExists) and error.owned_by_caller:
        return _OWN_BUCKET
    if isinstance(error, errors.DigestMismatch) and error.what == "sha256":
        return _BODY_HASH
    return next((FAULTS[kind] for kind in type(error).__mro__ if kind in FAULTS), INTERNAL)


def message_of(error: EngineError) -> str:
    """S3's words for an engine error; only what speaks of the client's own input keeps its own."""
    fault = fault_of(error)
    if fault is _SLOW_DOWN and isinstance(error, _OUT_OF_REACH):
        return "Too few backends can take part in the request now. Please try again."
    if fault is _READ_ONLY:
        return "The service is read-only for now. Reads go on; try to write again later."
    return _MESSAGES.get(fault.code) or str(error)


def error_document(
    refusal: Refusal, *, resource: str, request_id: str, host_id: str, with_body: bool = True
) -> bytes:
    """The XML of an error (S3 API, error responses); empty for HEAD, which has no body to carry it."""
    if not with_body:
        return b""
    extra = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in refusal.extra.items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{refusal.fault.code}</Code><Message>{escape(refusal.message)}</Message>{extra}"
        f"<Resource>{escape(resource)}</Resource><RequestId>{escape(request_id)}</RequestId>"
        f"<HostId>{escape(host_id)}</HostId></Error>"
    ).encode()


def _extra_of(error: EngineError) -> Mapping[str, str]:
    match error:
        case (
            errors.NoSuchBucket()
            | errors.InvalidBucketName()
            | errors.BucketExists()
            | errors.BucketNotEmpty()
        ):
            return {"BucketName": error.bucket[:256]}
        case errors.NoSuchKey():
            return {"Key": error.key.decode("utf-8", "replace")}
        case errors.IsDeleteMarker():
            return {"Method": "GET", "ResourceType": "DeleteMarker"}
        case errors.NoSuchVersion():
            return {"Key": error.key.decode("utf-8", "replace"), "VersionId": error.version_id[:256]}
        case errors.NoSuchUpload():
            return {"UploadId": error.upload_id[:256]}
        case errors.KeyTooLong():
            return {"Size": str(error.size_bytes), "MaxSizeAllowed": str(error.max_bytes)}
        case errors.ObjectTooLarge():
            return {"ProposedSize": str(error.size_bytes), "MaxSizeAllowed": str(error.max_bytes)}
        case errors.PartTooSmall():
            return {
                "ProposedSize": str(error.size_bytes),
                "MinSizeAllowed": str(error.min_bytes),
                "PartNumber": str(error.part_number),
            }
        case errors.NoSuchPart():
            return {"PartNumberRequested": str(error.part_number), "ActualPartCount": str(error.part_count)}
        case errors.InvalidPart():
            return {"PartNumber": str(error.part_number)}
        case errors.RangeNotSatisfiable():
            return {"ActualObjectSize": str(error.size_bytes)}
        case errors.PreconditionFailed():
            return {"Condition": error.condition}
        case errors.NotSupported():
            return {"Feature": error.feature}
        case _:
            return {}


def _headers(error: Exception, fault: S3Fault) -> Mapping[str, str]:
    if fault.retry_after_s is not None:
        return {"Retry-After": str(fault.retry_after_s)}
    match error:
        case errors.RangeNotSatisfiable():
            return {"Content-Range": f"bytes */{error.size_bytes}"}
        case errors.NoSuchKey(marker_version_id=str(version_id)):
            return {"x-amz-delete-marker": "true", "x-amz-version-id": version_id}
        case errors.IsDeleteMarker():
            told = {
                "x-amz-delete-marker": "true",
                "x-amz-version-id": error.version_id,
                "Allow": "DELETE",
            }
            if error.created_at_us is not None:
                told["Last-Modified"] = http_date(error.created_at_us // 1_000_000)
            return told
        case errors.UsageLimitReached() | errors.BackendOverLimit():
            return {"Retry-After": str(math.ceil(error.resets_in_s))}
        case WireError():
            return error.headers
        case _:
            return {}
