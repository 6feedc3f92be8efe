"""SQLite's own calls to its files, in one place, so that a test can watch them and make each fail."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import apsw

_numbers = count()


class SqliteDisk:
    """What SQLite does to its files; `call` does it. As it stands it does everything and tells nobody."""

    def opened(self, path: str) -> None:
        """A file is there from now on."""

    def delete(self, path: str, is_synced: bool, call: Callable[[], None]) -> None:
        """A file goes; `is_synced` when its directory is synced as well."""
        call()

    def write(self, path: str, data: bytes, offset: int, call: Callable[[], None]) -> None:
        call()

    def truncate(self, path: str, size_bytes: int, call: Callable[[], None]) -> None:
        call()

    def sync(self, path: str, call: Callable[[], None]) -> None:
        call()


class _File(apsw.VFSFile):
    def __init__(
        self, disk: SqliteDisk, base: str, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        super().__init__(base, name, flags)
        self._disk = disk
        self._path = _text(name)
        disk.opened(self._path)

    def xWrite(self, data: bytes, offset: int) -> None:
        whole = bytes(data)
        self._disk.write(self._path, whole, offset, lambda: super(_File, self).xWrite(whole, offset))

    def xTruncate(self, newsize: int) -> None:
        self._disk.truncate(self._path, newsize, lambda: super(_File, self).xTruncate(newsize))

    def xSync(self, flags: int) -> None:
        self._disk.sync(self._path, lambda: super(_File, self).xSync(flags))


class _Vfs(apsw.VFS):
    def __init__(self, disk: SqliteDisk) -> None:
        self._base = apsw.vfs_names()[0]
        self._disk = disk
        super().__init__(f"watched-{next(_numbers)}", self._base, makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _File(self._disk, self._base, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self._disk.delete(filename, syncdir, lambda: super(_Vfs, self).xDelete(filename, syncdir))


@contextmanager
def watched_sqlite(disk: SqliteDisk) -> Iterator[None]:
    """Databases that are opened within go through `disk`; all of them are closed before the end."""
    vfs = _Vfs(disk)
    try:
        yield
    finally:
        vfs.unregister()


def _text(name: str | apsw.URIFilename | None) -> str:
    return name.filename() if isinstance(name, apsw.URIFilename) else name or ""
