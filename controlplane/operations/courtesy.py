"""How much background work leaves to clients: the more they ask of this node, the longer it rests between bytes."""

from dataclasses import dataclass

REST_PER_WORK_MAX = 16.0
"""Seconds of rest for a second of work beside a data plane that is full. Work never stops: pieces are to be healed."""

REST_PER_WORK_BUSY = 2.0
"""Beside so many requests at a time or more, however far from being full: over PostgreSQL work costs its server too."""

WORK_S_MAX = 1.0
"""More than this between two looks was not all work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the data plane of this node was asked lately.

    `concurrency` is how many requests were under way on the average, `fullness` how close what is in flight is to where
    requests begin to be shed, 1 being there.
    """

    concurrency: float
    fullness: float
    has_shed: bool


class Courtesy:
    """What was last heard of the data plane. Without a word of it nothing rests. For any thread."""

    def __init__(self) -> None:
        self._rest_per_work = 0.0

    def note(self, load: Load | None) -> None:
        """Null: no data plane serves here."""
        self._rest_per_work = 0.0 if load is None else rest_per_work(load)

    def rest_s(self, worked_s: float) -> float:
        """How long to rest after so much work."""
        return self._rest_per_work * min(worked_s, WORK_S_MAX)


def rest_per_work(load: Load) -> float:
    """As long as was worked beside one request at a time, twice as long beside more, and longer near to shedding."""
    if load.has_shed:
        return REST_PER_WORK_MAX
    busy = min(REST_PER_WORK_BUSY, load.concurrency)
    return busy + (REST_PER_WORK_MAX - busy) * min(1.0, load.fullness)
