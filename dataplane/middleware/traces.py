"""Requests told to whoever traces them, as they are settled: a request itself pays nothing for it, traced or not."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from engine.telling.wishes import TraceWish

LINE_COUNT_MAX = 1000
"""Requests told at once; more are dropped, and the count of them is told."""

TEXT_CHARS_MAX = 1024
ERROR_STATUS_MIN = 400


class Traces:
    """Gathers requests while somebody wishes for them. `take` and `flush` are for one thread, `wish` for any."""

    def __init__(
        self, tell: Callable[[Sequence[bytes]], object], *, chance: Callable[[], float] = random.random
    ) -> None:
        self.wish: TraceWish | None = None
        self._tell = tell
        self._chance = chance
        self._lines: list[bytes] = []

    def take(self, request: dict[str, Any]) -> None:
        """A request that has ended; `key` and `user_agent` may be of any length."""
        wish = self.wish
        if wish is None or len(self._lines) >= LINE_COUNT_MAX:
            return
        if wish.errors_only and request["status"] < ERROR_STATUS_MIN and not request["code"]:
            return
        if wish.sample < 1.0 and self._chance() >= wish.sample:
            return
        request["key"] = request["key"][:TEXT_CHARS_MAX]
        request["user_agent"] = request["user_agent"][:TEXT_CHARS_MAX]
        self._lines.append(json.dumps(request, separators=(",", ":")).encode("ascii"))

    def flush(self) -> None:
        lines, self._lines = self._lines, []
        if lines:
            self._tell(lines)
