"""Exit statuses of `adminctl`: part of its contract, one for each way a command can end."""

from enum import IntEnum

import grpc


class ExitStatus(IntEnum):
    """What a script may rely on."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    PARTIAL = 3
    NOT_FOUND = 4
    DENIED = 5
    UNAVAILABLE = 6
    DEADLINE = 7
    PRECONDITION = 8
    EXISTS = 9
    OPERATION_FAILED = 10
    CANCELLED = 11
    INTERRUPTED = 130


BY_CODE: dict[grpc.StatusCode, ExitStatus] = {
    grpc.StatusCode.OK: ExitStatus.OK,
    grpc.StatusCode.INVALID_ARGUMENT: ExitStatus.USAGE,
    grpc.StatusCode.OUT_OF_RANGE: ExitStatus.USAGE,
    grpc.StatusCode.NOT_FOUND: ExitStatus.NOT_FOUND,
    grpc.StatusCode.UNAUTHENTICATED: ExitStatus.DENIED,
    grpc.StatusCode.PERMISSION_DENIED: ExitStatus.DENIED,
    grpc.StatusCode.UNAVAILABLE: ExitStatus.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ExitStatus.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: ExitStatus.DEADLINE,
    grpc.StatusCode.FAILED_PRECONDITION: ExitStatus.PRECONDITION,
    grpc.StatusCode.ABORTED: ExitStatus.PRECONDITION,
    grpc.StatusCode.ALREADY_EXISTS: ExitStatus.EXISTS,
    grpc.StatusCode.CANCELLED: ExitStatus.CANCELLED,
    grpc.StatusCode.UNIMPLEMENTED: ExitStatus.INTERNAL,
    grpc.StatusCode.INTERNAL: ExitStatus.INTERNAL,
    grpc.StatusCode.UNKNOWN: ExitStatus.INTERNAL,
    grpc.StatusCode.DATA_LOSS: ExitStatus.INTERNAL,
}

HELP = """\b
Exit status: 0 ok, 1 internal error, 2 usage, 3 partial failure, 4 not found, 5 not authenticated or not
permitted, 6 unavailable, 7 deadline, 8 failed precondition, 9 exists already, 10 operation failed,
11 cancelled, 130 interrupted."""
