"""Images of a deployment's files as a power cut may leave them: all that was synced, and anything of the rest.

A recorder notes every write and every sync, of volumes and of the database, in one order. An image at some point of
that order has each write whole that a sync of its file came after; of every other one any part may be there, missing,
or garbage.
"""

import os
import random
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.backends.volume.disk import Buffer, LinuxDisk
from engine.backends.volume.format import FILE_BLOCK_BYTES
from tests.support.sqlite_files import SqliteDisk

SECTOR_BYTES = 512

File = str
"""A database file by its path, a volume by its id: it has no name yet when its header is written."""

_VOLUME_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Bytes written. Of a volume a torn write may spoil the whole blocks it touches, of a database only itself."""

    file: File
    offset: int
    data: bytes
    spoils_blocks: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncate:
    file: File
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """What of the file was written before event `through` is durable."""

    file: File
    through: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Names that are there, or that are no more (null), durably or perhaps."""

    names: dict[str, File | None]
    is_durable: bool


Event = Write | Truncate | Sync | Named


class Recorder:
    """What happened to the files, in order. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: list[Event] = []

    def position(self) -> int:
        """How many events there are by now."""
        with self._lock:
            return len(self._events)

    def add(self, event: Event) -> None:
        with self._lock:
            self._events.append(event)

    def image(self, position: int, generator: random.Random) -> dict[str, bytes]:
        """One of the states in which a cut after that many events may leave the files, by their paths."""
        events = self._events[:position]
        durable: dict[File, int] = defaultdict(int)
        names: dict[str, File | None] = {}
        for event in events:
            if isinstance(event, Sync):
                durable[event.file] = max(durable[event.file], event.through)
            elif isinstance(event, Named):
                names.update(
                    {
                        name: file
                        for name, file in event.names.items()
                        if event.is_durable or generator.random() < 0.5
                    }
                )
        contents: dict[File, bytearray] = defaultdict(bytearray)
        for index, event in enumerate(events):
            if isinstance(event, Write):
                if index < durable[event.file]:
                    _put(contents[event.file], event.offset, event.data)
                else:
                    _tear(contents[event.file], event, generator)
            elif isinstance(event, Truncate) and (index < durable[event.file] or generator.random() < 0.5):
                del contents[event.file][event.size_bytes :]
        return {name: bytes(contents[file]) for name, file in names.items() if file is not None}


class RecordingDisk(LinuxDisk):
    """The disk of volumes. Writeback that is only begun or waited for makes nothing durable."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder
        self._named: set[str] = set()

    def write(self, fd: int, parts: Sequence[Buffer], offset: int, /) -> int:
        data = b"".join(parts)
        end = super().write(fd, parts, offset)
        self._recorder.add(Write(file=_file(fd), offset=offset, data=data, spoils_blocks=True))
        return end

    def sync(self, fd: int, /) -> None:
        through = self._recorder.position()
        super().sync(fd)
        self._recorder.add(Sync(file=_file(fd), through=through))

    def sync_directory(self, directory: Path, /) -> None:
        there = {str(path) for path in directory.glob("*.volume")}
        known = {name for name in self._named if Path(name).parent == directory}
        self._named = (self._named - known) | there
        names = {name: _volume(name) if name in there else None for name in known ^ there}
        self._recorder.add(Named(names=names, is_durable=False))
        super().sync_directory(directory)
        self._recorder.add(Named(names=names, is_durable=True))

    def punch(self, fd: int, offset: int, length: int, /) -> bool:
        self._recorder.add(Write(file=_file(fd), offset=offset, data=bytes(length), spoils_blocks=False))
        return super().punch(fd, offset, length)


class RecordingSqlite(SqliteDisk):
    """The disk of the database. A new file's name is durable once the file was synced, as SQLite sees to."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._unnamed: set[str] = set()
        self._deleted: set[str] = set()

    def opened(self, path: str) -> None:
        self._deleted.discard(path)
        self._unnamed.add(path)
        self._recorder.add(Named(names={path: path}, is_durable=False))

    def delete(self, path: str, is_synced: bool, call: Callable[[], None]) -> None:
        call()
        self._deleted.add(path)
        self._recorder.add(Named(names={path: None}, is_durable=is_synced))

    def write(self, path: str, data: bytes, offset: int, call: Callable[[], None]) -> None:
        call()
        self._recorder.add(Write(file=path, offset=offset, data=data, spoils_blocks=False))

    def truncate(self, path: str, size_bytes: int, call: Callable[[], None]) -> None:
        call()
        self._recorder.add(Truncate(file=path, size_bytes=size_bytes))

    def sync(self, path: str, call: Callable[[], None]) -> None:
        through = self._recorder.position()
        call()
        self._recorder.add(Sync(file=path, through=through))
        if path in self._unnamed:
            # The directory is synced with it, and what was deleted before is gone for good.
            self._unnamed.discard(path)
            names: dict[str, File | None] = dict.fromkeys(self._deleted - {path})
            self._recorder.add(Named(names={**names, path: path}, is_durable=True))
            self._deleted.clear()


def _file(fd: int) -> File:
    return _volume(os.readlink(f"/proc/self/fd/{fd}"))


def _volume(path: str) -> File:
    found = _VOLUME_ID.search(Path(path).name)
    assert found is not None, path
    return found[0]


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _tear(content: bytearray, write: Write, generator: random.Random) -> None:
    """Each piece of the write is there, is not, or is garbage; now and then all of them share one fate."""
    unit_bytes = FILE_BLOCK_BYTES if write.spoils_blocks else SECTOR_BYTES
    shared = generator.choice([None, None, 0, 1])
    stop = write.offset + len(write.data)
    start = write.offset
    while start < stop:
        end = min((start // unit_bytes + 1) * unit_bytes, stop)
        fate = generator.randrange(3) if shared is None else shared
        if fate == 1:
            _put(content, start, write.data[start - write.offset : end - write.offset])
        elif fate == 2:
            low = start // unit_bytes * unit_bytes if write.spoils_blocks else start
            _put(content, low, generator.randbytes(end - low))
        start = end
