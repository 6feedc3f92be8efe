"""What the control plane wishes of its node's processes: levels of loggers and traces of requests, in one file.

The file stands in the state folder and is renamed into place whole. Every wish ends at its time by itself, so that a
control plane that dies leaves nothing switched on.
"""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

LEVEL_COUNT_MAX = 32
LEVEL_MAX_S = 24 * 3600
TRACE_MAX_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelWish:
    """`level` as `logging` counts."""

    level: int
    until_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceWish:
    """Which requests are to be told; `sample` is their share, above 0 and up to 1."""

    errors_only: bool
    sample: float
    until_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """All of them."""

    levels: Mapping[str, LevelWish] = field(default_factory=dict)
    trace: TraceWish | None = None

    def at(self, now_us: int) -> "Wishes":
        """Those that hold then. What would hold for longer than any may comes of a clock that was changed."""
        trace = self.trace
        return Wishes(
            levels={
                name: wish
                for name, wish in self.levels.items()
                if now_us < wish.until_us <= now_us + LEVEL_MAX_S * 1_000_000
            },
            trace=trace
            if trace is not None and now_us < trace.until_us <= now_us + TRACE_MAX_S * 1_000_000
            else None,
        )


NOTHING = Wishes()


class WishesFile:
    """The file, for its one writer and any reader."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "wishes.json"
        self._seen: tuple[int, int] | None = None
        self._wishes = NOTHING

    def look(self) -> Wishes:
        """What is wished now; a missing or damaged file wishes nothing. Costs one `stat` when nothing changed."""
        try:
            stat = os.stat(self._path)
        except OSError:
            self._seen, self._wishes = None, NOTHING
            return NOTHING
        mark = (stat.st_ino, stat.st_mtime_ns)
        if mark != self._seen:
            self._seen, self._wishes = mark, self._read()
        return self._wishes.at(time.time_ns() // 1000)

    def write(self, wishes: Wishes) -> None:
        """Raises OSError."""
        draft = self._path.with_suffix(".new")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
            json.dump(asdict(wishes), file)
        os.replace(draft, self._path)

    def _read(self) -> Wishes:
        try:
            return _decoded(json.loads(self._path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return NOTHING


def _decoded(value: Mapping[str, Any]) -> Wishes:
    trace = value["trace"]
    levels = {
        str(name): LevelWish(level=int(each["level"]), until_us=int(each["until_us"]))
        for name, each in value["levels"].items()
    }
    return Wishes(
        levels=dict(list(levels.items())[:LEVEL_COUNT_MAX]),
        trace=None
        if trace is None
        else TraceWish(
            errors_only=bool(trace["errors_only"]),
            sample=float(trace["sample"]),
            until_us=int(trace["until_us"]),
        ),
    )
