"""A control plane whose operations count, as a process of its own: `python -P -m … CONFIG LOG`.

Every number that a step is about to count is a line of the log, with the process. A step waits before it writes while a
file named after the log and the number is there.
"""

import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from controlplane.app import run_plane
from controlplane.operations.kinds import OperationKind
from controlplane.settings import ControlSettings
from engine.deployment.opening import OpenDeployment
from engine.metadata.store import Store
from engine.upkeep.long_work import Extent, Fence, Json, LongWork, Pace, Step
from tests.integration.controlplane.operations.works import METHOD

LOOK_EVERY_S = 0.01


def hold_file(log: Path, number: int) -> Path:
    """While it is there, the step of that number waits."""
    return log.with_name(f"{log.name}.hold-{number}")


class LoggedWork:
    """One step a number."""

    def __init__(self, log: Path, store: Store, to: int, fence: Fence) -> None:
        self._log = log
        self._store = store
        self._to = to
        self._fence = fence

    def measure(self) -> Extent:
        return Extent(item_count=self._to)

    def step(self, cursor: str | None, /) -> Step:
        number = int(cursor or 0) + 1
        with self._log.open("a") as log:
            log.write(f"{number} {os.getpid()}\n")
        while hold_file(self._log, number).exists():
            time.sleep(LOOK_EVERY_S)
        self._store.write(self._fence)
        return Step(cursor=str(number), is_last=number == self._to, item_count=1, stage="counting")

    def cancelled(self) -> None:
        return None


def main() -> int:
    config, log = map(Path, sys.argv[1:])

    def build(deployment: OpenDeployment, request: Mapping[str, Json], fence: Fence, pace: Pace) -> LongWork:
        return LoggedWork(log, deployment.store, int(str(request["to"])), fence)

    kinds = [OperationKind(method=METHOD, build=build)]
    stopping = threading.Event()
    settings = ControlSettings(tick_s=0.05)
    return (
        0
        if run_plane(config, os.environ, version="1", stopping=stopping, settings=settings, kinds=kinds)
        else 1
    )


if __name__ == "__main__":
    sys.exit(main())
