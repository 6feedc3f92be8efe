"""What a process of the data plane does when its instance is asked for something."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path

from dataplane.health import Health
from dataplane.middleware.admission import Admission, Flow
from engine.deployment.opening import INSTANCE_ID


class ProcessDuties:
    """Implements `engine.deployment.obeying.Duties`."""

    restarts = True

    def __init__(self, admission: Admission, health: Health, environ: Mapping[str, str]) -> None:
        self._admission = admission
        self._health = health
        self._is_served = INSTANCE_ID in environ

    def in_flight_count(self) -> int:
        return sum(map(self._admission.in_flight, Flow))

    def drain(self, is_wanted: bool, /) -> None:
        self._health.set_aside(is_wanted)

    def make_room(self) -> None:
        """As the arbiter would end it: what is under way is finished, and another one is started."""
        os.kill(os.getpid(), signal.SIGTERM)

    def stop_instance(self) -> None:
        """The arbiter's parent is `penstock serve`, which stops the control plane as well."""
        arbiter = os.getppid()
        served = _parent_of(arbiter) if self._is_served else None
        os.kill(served or arbiter, signal.SIGTERM)


def _parent_of(pid: int) -> int | None:
    """Null when its parent is gone, and another process has adopted it."""
    # The name of the program, in parentheses, may hold anything.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    parent = int(fields[1])
    return parent if parent > 1 else None
