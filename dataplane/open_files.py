"""Open files of a process: as many as the system allows, and what connections leave of them to everything else."""

import resource

WANTED_COUNT = 65_536
KEPT_COUNT = 512
"""For volumes, the database, logs and pipes; of a small limit half."""


def raise_open_files() -> None:
    """Let this process and its children open as many files as the system allows, whatever its shell was content with.

    A connection is an open file, and the usual soft limit of 1,024 is a crowd of slow clients.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_COUNT if hard == resource.RLIM_INFINITY else min(WANTED_COUNT, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connections_within(open_files_count: int, *, wanted_count: int) -> int:
    """How many connections a process may hold that may open so many files: those that read files need some too."""
    if open_files_count == resource.RLIM_INFINITY:
        return wanted_count
    return min(wanted_count, open_files_count - min(KEPT_COUNT, open_files_count // 2))


def open_files_count() -> int:
    """The soft limit as it is now."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
