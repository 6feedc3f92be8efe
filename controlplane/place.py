"""The one place for a control plane on a node: two of them would take each other's sockets away."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.errors import StartRefused

LOOK_EVERY_S = 0.05
ID_DIGITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The place that is held. `before` is the id of the process that held it last; null when none said so."""

    before: bytes | None
    _fd: int

    def note(self, process_id: bytes) -> None:
        """Say who holds it, to whoever comes next."""
        os.pwrite(self._fd, process_id.hex().encode(), 0)


@contextmanager
def sole_control_plane(state_dir: Path, *, wait_s: float) -> Iterator[Place]:
    """Hold the node's place; raises StartRefused when another process still has it after `wait_s`."""
    fd = os.open(state_dir / "control.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline_s = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline_s:
                    raise StartRefused(
                        f"another control plane runs over {state_dir}: stop it, or name another node.state_dir"
                    ) from None
                time.sleep(LOOK_EVERY_S)
        yield Place(before=_read_id(os.pread(fd, ID_DIGITS, 0)), _fd=fd)
    finally:
        os.close(fd)


def _read_id(text: bytes) -> bytes | None:
    """Null for what a crash left of it."""
    try:
        found = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        return None
    return found if len(found) * 2 == ID_DIGITS else None
