"""A volume backend on a directory of a test, with a ledger in memory."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine.backends.volume.backend import VolumeBackend
from engine.backends.volume.disk import Buffer, LinuxDisk
from engine.backends.volume.identity import Identity, init_identity
from engine.names import BackendName

DEPLOYMENT_ID = b"deployment-----1"
IDENTITY_ID = b"backend--------1"
NAME = BackendName("near")


class MemoryLedger:
    """Rows of volume files as the metadata keeps them; `refused` lists files that take no more appends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.open: list[bytes] = []
        self.closed_sizes: dict[bytes, int] = {}
        self.refused: set[bytes] = set()
        self.failing_with: Exception | None = None

    def opened(self, volume_id: bytes, /) -> bool:
        with self._lock:
            if self.failing_with is not None:
                raise self.failing_with
            if volume_id in self.refused or volume_id in self.closed_sizes:
                return False
            self.open.append(volume_id)
            return True

    def closed(self, volume_id: bytes, size_bytes: int, /) -> None:
        with self._lock:
            if self.failing_with is not None:
                raise self.failing_with
            self.closed_sizes[volume_id] = size_bytes


def identity_of(name: BackendName = NAME, *, node: str | None = "node-1") -> Identity:
    """The identity the backends of these tests have."""
    return Identity(backend=name, deployment_id=DEPLOYMENT_ID, identity_id=IDENTITY_ID, node=node)


def make_volume_backend(path: Path, ledger: MemoryLedger | None = None, **options: Any) -> VolumeBackend:
    """A registered volume backend; `options` are those of VolumeBackend."""
    init_identity(path, identity_of(), created_at_us=1_700_000_000_000_000)
    settings: dict[str, Any] = {"free_min_bytes": 0, **options}
    return VolumeBackend(
        backend_id=1,
        name=NAME,
        path=path,
        ledger=ledger or MemoryLedger(),
        deployment_id=DEPLOYMENT_ID,
        identity_id=IDENTITY_ID,
        node="node-1",
        **settings,
    )


class FailingDisk(LinuxDisk):
    """A real disk that can be watched and made to fail: `on_call(name)` runs before each call and may raise."""

    def __init__(self, on_call: Callable[[str], None]) -> None:
        super().__init__()
        self._on_call = on_call

    def write(self, fd: int, parts: Sequence[Buffer], offset: int, /) -> int:
        self._on_call("write")
        return super().write(fd, parts, offset)

    def sync(self, fd: int, /) -> None:
        self._on_call("sync")
        super().sync(fd)

    def sync_directory(self, directory: Path, /) -> None:
        self._on_call("sync_directory")
        super().sync_directory(directory)

    def start_writeback(self, fd: int, offset: int, length: int, /) -> None:
        self._on_call("start_writeback")
        super().start_writeback(fd, offset, length)

    def finish_writeback(self, fd: int, offset: int, length: int, /) -> None:
        self._on_call("finish_writeback")
        super().finish_writeback(fd, offset, length)

    def reserve(self, fd: int, offset: int, length: int, /) -> None:
        self._on_call("reserve")
        super().reserve(fd, offset, length)

    def punch(self, fd: int, offset: int, length: int, /) -> bool:
        self._on_call("punch")
        return super().punch(fd, offset, length)
