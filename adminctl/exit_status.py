"""Exit statuses of `adminctl`: part of its contract, one for each way a command can end."""

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


HELP = (
    "Exit status: 0 ok, 1 internal error, 2 usage, 3 partial failure, 4 not found, 5 not authenticated or not "
    "permitted, 6 unavailable, 7 deadline, 8 failed precondition, 9 exists already, 10 operation failed, "
    "11 cancelled, 130 interrupted."
)
