"""Exit statuses of `penstock` and of the planes it starts."""

from enum import IntEnum


class ExitStatus(IntEnum):
    """What a process says by ending; part of the contract."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CONFIG = 78
    """EX_CONFIG of sysexits.h: this configuration cannot run here. A plane that ends so is not started again."""
