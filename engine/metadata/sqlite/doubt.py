"""Doubt about a database: after an unclean stop one process looks through it, and all are told what it finds.

The mark is a file beside the database. It stays until a check has passed, through any number of starts, and holds what
the last check found.
"""

import fcntl
import os
from pathlib import Path

_SUFFIX = "-doubt"
_TEXT_BYTES_MAX = 4096


class Doubt:
    """The mark of one database."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + _SUFFIX)
        self._fd: int | None = None

    def arise(self) -> None:
        """Mark the database as one to be looked through."""
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))

    @property
    def is_there(self) -> bool:
        """Whether the database is yet to be looked through."""
        return self._path.exists()

    def finding(self) -> str | None:
        """What a check found wrong; null while nothing is known to be."""
        try:
            with self._path.open("rb") as file:
                return file.read(_TEXT_BYTES_MAX).decode(errors="replace") or None
        except FileNotFoundError:
            return None

    def take(self) -> bool:
        """Whether the database is in doubt and this process is the one to look; it is until `release`."""
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._fd = fd
        return True

    def confirm(self, finding: str) -> None:
        """It is damaged; only who took it may say so."""
        assert self._fd is not None
        text = finding.encode()[:_TEXT_BYTES_MAX]
        os.pwrite(self._fd, text, 0)
        os.ftruncate(self._fd, len(text))
        os.fsync(self._fd)

    def dispel(self) -> None:
        """It is whole; only who took it may say so."""
        assert self._fd is not None
        self._path.unlink(missing_ok=True)

    def release(self) -> None:
        """Whoever opens the database next looks, if there is doubt left."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
