"""What the control plane's process does when its instance is asked for something."""

import os
import signal
from collections.abc import Mapping

from engine.deployment.opening import INSTANCE_ID


class ProcessDuties:
    """Implements `engine.deployment.obeying.Duties`: it serves no clients of the data plane."""

    restarts = False

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._is_served = INSTANCE_ID in environ

    def in_flight_count(self) -> None:
        return None

    def drain(self, is_wanted: bool, /) -> None:
        """It has nothing that could be drained."""

    def make_room(self) -> None:
        raise AssertionError("nobody takes the place of a control plane")

    def stop_instance(self) -> None:
        """Its parent is `penstock serve`, which stops the data plane as well; without one it stops itself."""
        parent = os.getppid()
        os.kill(parent if self._is_served and parent > 1 else os.getpid(), signal.SIGTERM)
