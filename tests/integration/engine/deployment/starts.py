"""Starts of a deployment in real processes: many at once, or one that is killed at a step."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What became of a process: minus the signal that ended it, or 0 and what it told of what it had opened."""

    status: int
    told: dict[str, Any] | None

    @property
    def opened(self) -> dict[str, Any]:
        assert self.status == 0, "see what it wrote to standard error"
        assert self.told is not None
        return self.told


class Starter:
    """Forks such processes; importing the engine costs ten times as much as a start."""

    def __init__(self) -> None:
        module = "tests.integration.engine.deployment.starter"
        self._process = subprocess.Popen(
            [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, config: Path, *, count: int) -> list[Start]:
        """So many processes that open the deployment at once, and close it."""
        return self._order(config, None, count)

    def start_until(self, config: Path, step: str) -> Start:
        """One that is killed `before` or `after` a function, as in `before engine.metadata.keys.insert_key`."""
        (start,) = self._order(config, step, 1)
        return start

    def close(self) -> None:
        self._process.communicate()

    def _order(self, config: Path, step: str | None, count: int) -> list[Start]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"config": str(config), "step": step, "count": count}) + "\n")
        self._process.stdin.flush()
        return [Start(**each) for each in json.loads(self._process.stdout.readline())]
