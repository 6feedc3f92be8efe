"""The files of the cache: one a blob, shared by the processes of a node; the oldest go before it is full.

Whoever adds a blob looks at the sum of bytes alone. Going through the folder is left to a sweep, which holds nobody up.
"""

import contextlib
import fcntl
import heapq
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SWEPT_FRACTION = 0.9
"""How full the cache is at most after the oldest had to go."""

ROOM_FRACTION = 0.05
"""With less than this free a sweep is due, so that what is added while it goes on finds room."""

OLDEST_COUNT_MAX = 20_000
"""Files that a sweep keeps in mind at a time, some megabytes; it goes through the folder again for more."""

PAUSE_S = 0.001
"""After each of the 256 folders: a sweep is in no hurry, and shares its process with requests."""

PART_AGE_MAX_S = 3600.0
"""A file that was begun and not finished for so long is a dead process's."""

_BLOB = re.compile(r"[0-9a-f]{32}")
_PART = re.compile(r"[0-9a-f]{32}\.\d+\.\d+\.part")


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedFile:
    """A file of the cache as a look at the folder shows it."""

    path: Path
    size_bytes: int
    used_at_s: float
    is_part: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of a blob that is whole. `is_sweep_due`: one as large as this might find no room."""

    is_kept: bool
    is_sweep_due: bool


class CacheFolder:
    """Names, sizes and eviction. Safe for many threads and processes; touches no file that it has not named itself."""

    def __init__(self, path: Path, *, size_bytes_max: int, oldest_count_max: int = OLDEST_COUNT_MAX) -> None:
        self.path = path
        self.size_bytes_max = size_bytes_max
        self._oldest_count_max = oldest_count_max

    def path_of(self, blob_id: bytes) -> Path:
        name = blob_id.hex()
        return self.path / name[-2:] / name

    def part_of(self, blob_id: bytes, number: int) -> Path:
        """Where a blob is written before it is whole; `number` is never used twice by one process."""
        final = self.path_of(blob_id)
        return final.with_name(f"{final.name}.{os.getpid()}.{number}.part")

    def take(self, part: Path, final: Path, size_bytes: int) -> Taken:
        """A part is whole: give it its name if there is room; else the caller drops it. Raises OSError."""
        with self._account() as account:
            total_bytes = _read_total(account) + size_bytes
            if total_bytes > self.size_bytes_max:
                return Taken(is_kept=False, is_sweep_due=True)
            os.rename(part, final)
            _write_total(account, total_bytes)
        return Taken(is_kept=True, is_sweep_due=not self._has_room(total_bytes, size_bytes))

    def sweep(self, wanted_bytes: int) -> int:
        """Remove what was not used for longest, until there is room for so many bytes and a tenth is free.

        The bytes that went; none when another process is at it. The account is put right: it is only as good as the
        processes that kept it. Raises OSError.
        """
        kept_bytes_max = min(int(self.size_bytes_max * SWEPT_FRACTION), self.size_bytes_max - wanted_bytes)
        gone_bytes = 0
        with self._sweeping() as is_alone:
            # Somebody may just have made enough.
            is_due = is_alone and not self._has_room(self._total_bytes(), wanted_bytes)
            while is_due:
                left_bytes, went_bytes = self._sweep_once(kept_bytes_max)
                gone_bytes += went_bytes
                if left_bytes <= kept_bytes_max or not went_bytes:
                    break
        return gone_bytes

    def flush(self) -> int:
        """Remove every blob; the bytes they took. What is being sent goes on, and what is being written is kept."""
        gone_bytes = sum(_remove(each) for each in self.files() if not each.is_part)
        with self._account() as account:
            _write_total(account, _read_total(account) - gone_bytes)
        return gone_bytes

    def drop(self, path: Path) -> None:
        """Remove one that is damaged; the account follows at the next sweep."""
        with contextlib.suppress(OSError):
            path.unlink()

    def files(self, *, pause_s: float = 0.0) -> Iterator[CachedFile]:
        """What lies there, in no order; with a pause after each of its folders."""
        for folder in sorted(self.path.glob("[0-9a-f][0-9a-f]")):
            time.sleep(pause_s)
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                for entry in entries:
                    is_part = _PART.fullmatch(entry.name) is not None
                    if not is_part and _BLOB.fullmatch(entry.name) is None:
                        continue
                    with contextlib.suppress(OSError):
                        seen = entry.stat(follow_symlinks=False)
                        yield CachedFile(
                            path=Path(entry.path),
                            size_bytes=seen.st_size,
                            used_at_s=seen.st_mtime,
                            is_part=is_part,
                        )

    def _sweep_once(self, kept_bytes_max: int) -> tuple[int, int]:
        """What is left and what went, in one look through the folder; blobs may be added meanwhile."""
        before_bytes = self._total_bytes()
        left_bytes = 0
        now_s = time.time()

        def blobs() -> Iterator[CachedFile]:
            nonlocal left_bytes
            for each in self.files(pause_s=PAUSE_S):
                if not each.is_part:
                    left_bytes += each.size_bytes
                    yield each
                elif now_s - each.used_at_s >= PART_AGE_MAX_S:
                    _remove(each)

        oldest = heapq.nsmallest(self._oldest_count_max, blobs(), key=lambda each: each.used_at_s)
        gone_bytes = 0
        for each in oldest:
            if left_bytes - gone_bytes <= kept_bytes_max:
                break
            gone_bytes += _remove(each)
        left_bytes -= gone_bytes
        with self._account() as account:
            # Some of what was added meanwhile may be counted twice; the next sweep puts that right.
            added_bytes = max(0, _read_total(account) - before_bytes)
            _write_total(account, left_bytes + added_bytes)
        return left_bytes, gone_bytes

    def _has_room(self, total_bytes: int, wanted_bytes: int) -> bool:
        room_bytes = max(wanted_bytes, int(self.size_bytes_max * ROOM_FRACTION))
        return total_bytes + room_bytes <= self.size_bytes_max

    def _total_bytes(self) -> int:
        with self._account() as account:
            return _read_total(account)

    @contextmanager
    def _sweeping(self) -> Iterator[bool]:
        """Whether nobody else sweeps; then nobody does until the end."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self.path / "sweeping", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(fd)

    @contextmanager
    def _account(self) -> Iterator[int]:
        """The descriptor of the sum of bytes, which is text, locked."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self.path / "total", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield fd
        finally:
            os.close(fd)


def _remove(file: CachedFile) -> int:
    try:
        file.path.unlink()
    except OSError:
        return 0
    return file.size_bytes


def _read_total(account: int) -> int:
    text = os.pread(account, 32, 0).strip()
    return int(text) if text.isdigit() else 0


def _write_total(account: int, total_bytes: int) -> None:
    os.ftruncate(account, 0)
    os.pwrite(account, b"%d\n" % max(0, total_bytes), 0)
