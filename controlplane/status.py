"""Engine errors as gRPC statuses: one table, complete by test, with a reason that programs can rely on."""

from dataclasses import dataclass
from enum import Enum

import grpc
from google.rpc import error_details_pb2, status_pb2

from engine import errors
from engine.errors import EngineError

DOMAIN = "penstock"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a fact becomes: canonical code and the reason in ErrorInfo."""

    code: grpc.StatusCode
    reason: str


_C = grpc.StatusCode

STATUSES: dict[type[EngineError], Answer] = {
    errors.InvalidBucketName: Answer(_C.INVALID_ARGUMENT, "INVALID_BUCKET_NAME"),
    errors.InvalidKey: Answer(_C.INVALID_ARGUMENT, "INVALID_KEY"),
    errors.KeyTooLong: Answer(_C.INVALID_ARGUMENT, "KEY_TOO_LONG"),
    errors.NoSuchBucket: Answer(_C.NOT_FOUND, "NO_SUCH_BUCKET"),
    errors.NoSuchKey: Answer(_C.NOT_FOUND, "NO_SUCH_KEY"),
    errors.IsDeleteMarker: Answer(_C.FAILED_PRECONDITION, "IS_DELETE_MARKER"),
    errors.NoSuchVersion: Answer(_C.NOT_FOUND, "NO_SUCH_VERSION"),
    errors.NoSuchUpload: Answer(_C.NOT_FOUND, "NO_SUCH_UPLOAD"),
    errors.BucketExists: Answer(_C.ALREADY_EXISTS, "BUCKET_EXISTS"),
    errors.BucketNotEmpty: Answer(_C.FAILED_PRECONDITION, "BUCKET_NOT_EMPTY"),
    errors.DigestMismatch: Answer(_C.INVALID_ARGUMENT, "DIGEST_MISMATCH"),
    errors.BodySizeMismatch: Answer(_C.INVALID_ARGUMENT, "BODY_SIZE_MISMATCH"),
    errors.ObjectTooLarge: Answer(_C.INVALID_ARGUMENT, "OBJECT_TOO_LARGE"),
    errors.RangeNotSatisfiable: Answer(_C.OUT_OF_RANGE, "RANGE_NOT_SATISFIABLE"),
    errors.PartOrder: Answer(_C.INVALID_ARGUMENT, "PART_ORDER"),
    errors.InvalidPart: Answer(_C.INVALID_ARGUMENT, "INVALID_PART"),
    errors.ChecksumTypeMismatch: Answer(_C.INVALID_ARGUMENT, "CHECKSUM_TYPE_MISMATCH"),
    errors.NoSuchPart: Answer(_C.NOT_FOUND, "NO_SUCH_PART"),
    errors.PartTooSmall: Answer(_C.INVALID_ARGUMENT, "PART_TOO_SMALL"),
    errors.PreconditionFailed: Answer(_C.FAILED_PRECONDITION, "PRECONDITION_FAILED"),
    errors.ConcurrentWrite: Answer(_C.ABORTED, "CONCURRENT_WRITE"),
    errors.VersionLocked: Answer(_C.FAILED_PRECONDITION, "VERSION_LOCKED"),
    errors.NotSupported: Answer(_C.UNIMPLEMENTED, "NOT_SUPPORTED"),
    errors.BucketQuotaExceeded: Answer(_C.RESOURCE_EXHAUSTED, "BUCKET_QUOTA"),
    errors.NoSpaceAnywhere: Answer(_C.RESOURCE_EXHAUSTED, "NO_SPACE"),
    errors.ReadOnly: Answer(_C.UNAVAILABLE, "READ_ONLY"),
    errors.Overloaded: Answer(_C.UNAVAILABLE, "OVERLOADED"),
    errors.BackendsUnavailable: Answer(_C.UNAVAILABLE, "BACKENDS_UNAVAILABLE"),
    errors.NotEnoughDomains: Answer(_C.UNAVAILABLE, "NOT_ENOUGH_DOMAINS"),
    errors.BelowWriteQuorum: Answer(_C.UNAVAILABLE, "BELOW_WRITE_QUORUM"),
    errors.DatabaseUnavailable: Answer(_C.UNAVAILABLE, "DATABASE_UNAVAILABLE"),
    errors.DatabaseFull: Answer(_C.RESOURCE_EXHAUSTED, "DATABASE_FULL"),
    errors.RowRefused: Answer(_C.INTERNAL, "ROW_REFUSED"),
    errors.OutcomeUnknown: Answer(_C.UNAVAILABLE, "OUTCOME_UNKNOWN"),
    errors.IntentLost: Answer(_C.UNAVAILABLE, "INTENT_LOST"),
    errors.PlacementRefused: Answer(_C.UNAVAILABLE, "PLACEMENT_REFUSED"),
    errors.BackendQuotaExceeded: Answer(_C.RESOURCE_EXHAUSTED, "NO_SPACE"),
    errors.BlobGone: Answer(_C.ABORTED, "BLOB_GONE"),
    errors.LeaseLost: Answer(_C.ABORTED, "LEASE_LOST"),
    errors.BackendError: Answer(_C.UNAVAILABLE, "BACKEND"),
    errors.BackendUnavailable: Answer(_C.UNAVAILABLE, "BACKEND_UNAVAILABLE"),
    errors.BackendShut: Answer(_C.UNAVAILABLE, "BACKEND_UNAVAILABLE"),
    errors.BackendTimeout: Answer(_C.UNAVAILABLE, "BACKEND_TIMEOUT"),
    errors.BackendLate: Answer(_C.UNAVAILABLE, "BACKEND_TIMEOUT"),
    errors.BackendFull: Answer(_C.RESOURCE_EXHAUSTED, "NO_SPACE"),
    errors.BackendOverLimit: Answer(_C.RESOURCE_EXHAUSTED, "USAGE_LIMIT"),
    errors.UsageLimitReached: Answer(_C.RESOURCE_EXHAUSTED, "USAGE_LIMIT"),
    errors.PieceMissing: Answer(_C.DATA_LOSS, "PIECE_MISSING"),
    errors.PieceCorrupt: Answer(_C.DATA_LOSS, "PIECE_CORRUPT"),
    errors.ForeignBackend: Answer(_C.FAILED_PRECONDITION, "FOREIGN_BACKEND"),
    errors.CorruptEverywhere: Answer(_C.DATA_LOSS, "CORRUPT_EVERYWHERE"),
    errors.KeyUnavailable: Answer(_C.FAILED_PRECONDITION, "KEY_UNAVAILABLE"),
    errors.WrongKey: Answer(_C.FAILED_PRECONDITION, "WRONG_KEY"),
    errors.SealBroken: Answer(_C.DATA_LOSS, "SEAL_BROKEN"),
    errors.InvalidConfig: Answer(_C.INVALID_ARGUMENT, "INVALID_CONFIG"),
    errors.MalformedField: Answer(_C.INVALID_ARGUMENT, "MALFORMED_FIELD"),
    errors.NoSuchResource: Answer(_C.NOT_FOUND, "NO_SUCH_RESOURCE"),
    errors.ResourceExists: Answer(_C.ALREADY_EXISTS, "RESOURCE_EXISTS"),
    errors.EtagMismatch: Answer(_C.ABORTED, "ETAG_MISMATCH"),
    errors.IdentityCannot: Answer(_C.FAILED_PRECONDITION, "IDENTITY_CANNOT"),
    errors.CountMismatch: Answer(_C.FAILED_PRECONDITION, "COUNT_MISMATCH"),
    errors.WiderThanCaller: Answer(_C.PERMISSION_DENIED, "WIDER_THAN_CALLER"),
    errors.OwnedByConfig: Answer(_C.FAILED_PRECONDITION, "OWNED_BY_CONFIG"),
    errors.ResumeTooOld: Answer(_C.OUT_OF_RANGE, "RESUME_TOO_OLD"),
    errors.RedundancyAtRisk: Answer(_C.FAILED_PRECONDITION, "REDUNDANCY_AT_RISK"),
    errors.BackendInState: Answer(_C.FAILED_PRECONDITION, "BACKEND_STATE"),
    errors.DrainIncomplete: Answer(_C.FAILED_PRECONDITION, "DRAIN_INCOMPLETE"),
    errors.InstanceStopping: Answer(_C.FAILED_PRECONDITION, "INSTANCE_STOPPING"),
    errors.NoCache: Answer(_C.FAILED_PRECONDITION, "NO_CACHE"),
    errors.WorkerDisabled: Answer(_C.FAILED_PRECONDITION, "WORKER_DISABLED"),
    errors.OperationOpen: Answer(_C.FAILED_PRECONDITION, "OPERATION_OPEN"),
    errors.StartRefused: Answer(_C.FAILED_PRECONDITION, "START_REFUSED"),
    errors.SchemaTooNew: Answer(_C.FAILED_PRECONDITION, "SCHEMA_TOO_NEW"),
}


class Own(Enum):
    """What the server itself answers, whatever the engine says; the text is for the reference."""

    NO_CALLER = (_C.UNAUTHENTICATED, "no valid admin token was given")
    ROLE = (_C.PERMISSION_DENIED, "the caller's role does not suffice for the method")
    SCOPE = (_C.PERMISSION_DENIED, "the method is outside the scopes of the caller's token")
    MALFORMED_MESSAGE = (_C.INVALID_ARGUMENT, "the request is no message of the method")
    DEADLINE = (_C.DEADLINE_EXCEEDED, "the call took longer than its deadline, or than 60 seconds")
    DRAINING = (_C.UNAVAILABLE, "the server stops, and the call would outlast it")
    INTERNAL = (_C.INTERNAL, "anything unknown; its text is in the log only")

    def __init__(self, code: grpc.StatusCode, meaning: str) -> None:
        self.answer = Answer(code, self.name)
        self.meaning = meaning


def status_of(error: EngineError) -> status_pb2.Status:
    """The rich status of a fact: canonical code, text, ErrorInfo, and field violations where there are fields.

    A fact that the table does not know goes by its nearest base, one without any as an internal error.
    """
    answer = _answer_of(error)
    if answer is None:
        return internal_status()
    status = status_pb2.Status(code=answer.code.value[0], message=str(error))
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=answer.reason, domain=DOMAIN))
    violations = _violations(error)
    if violations:
        bad = error_details_pb2.BadRequest()
        for field, description in violations:
            bad.field_violations.add(field=field, description=description)
        status.details.add().Pack(bad)
    return status


def reason_of(error: Exception) -> str:
    """The reason by which programs know it."""
    answer = _answer_of(error)
    return Own.INTERNAL.name if answer is None else answer.reason


def plain_status(own: Own, message: str) -> status_pb2.Status:
    """A status of the server itself, such as a refused caller."""
    status = status_pb2.Status(code=own.answer.code.value[0], message=message)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=own.answer.reason, domain=DOMAIN))
    return status


def internal_status() -> status_pb2.Status:
    """What a caller learns of anything unknown: nothing."""
    return plain_status(Own.INTERNAL, "internal error; see the log")


def draining_status() -> status_pb2.Status:
    return plain_status(Own.DRAINING, "server draining; call again")


def _answer_of(error: Exception) -> Answer | None:
    """By its nearest base that the table knows; the table is of engine errors only."""
    kinds = [kind for kind in type(error).__mro__ if issubclass(kind, EngineError)]
    return next((STATUSES[kind] for kind in kinds if kind in STATUSES), None)


def _violations(error: EngineError) -> list[tuple[str, str]]:
    if isinstance(error, errors.MalformedField):
        return [(error.field, error.message)]
    if isinstance(error, errors.InvalidConfig):
        return [
            (each.path, f"line {each.line}: {each.message}" if each.line else each.message)
            for each in error.problems
        ]
    return []
