"""The one place for a control plane on a node: two of them would take each other's sockets away."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import StartRefused

LOOK_EVERY_S = 0.05


@contextmanager
def sole_control_plane(state_dir: Path, *, wait_s: float) -> Iterator[None]:
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
        yield
    finally:
        os.close(fd)
