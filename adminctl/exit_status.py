"""Exit statuses of `adminctl`: part of its contract, one for each way a command can end."""

from collections.abc import Mapping
from enum import IntEnum


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


BY_CODE: Mapping[str, ExitStatus] = {
    "OK": ExitStatus.OK,
    "INVALID_ARGUMENT": ExitStatus.USAGE,
    "OUT_OF_RANGE": ExitStatus.USAGE,
    "NOT_FOUND": ExitStatus.NOT_FOUND,
    "UNAUTHENTICATED": ExitStatus.DENIED,
    "PERMISSION_DENIED": ExitStatus.DENIED,
    "UNAVAILABLE": ExitStatus.UNAVAILABLE,
    "RESOURCE_EXHAUSTED": ExitStatus.UNAVAILABLE,
    "DEADLINE_EXCEEDED": ExitStatus.DEADLINE,
    "FAILED_PRECONDITION": ExitStatus.PRECONDITION,
    "ABORTED": ExitStatus.PRECONDITION,
    "ALREADY_EXISTS": ExitStatus.EXISTS,
    "CANCELLED": ExitStatus.CANCELLED,
    "UNIMPLEMENTED": ExitStatus.INTERNAL,
    "INTERNAL": ExitStatus.INTERNAL,
    "UNKNOWN": ExitStatus.INTERNAL,
    "DATA_LOSS": ExitStatus.INTERNAL,
}
"""By the name of gRPC's code, so that nobody needs gRPC to know them."""

HELP = (
    "Exit status: 0 ok, 1 internal error, 2 usage, 3 partial failure, 4 not found, 5 not authenticated or not "
    "permitted, 6 unavailable, 7 deadline, 8 failed precondition, 9 exists already, 10 operation failed, "
    "11 cancelled, 130 interrupted."
)
