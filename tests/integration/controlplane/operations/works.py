"""Long work for tests: counts to a number, a step each, and does what the test wants on the way."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from controlplane.operations.kinds import OperationKind
from engine.clock import uuid7
from engine.deployment.opening import OpenDeployment
from engine.metadata import operations
from engine.metadata.operations import OperationRow
from engine.metadata.store import Store
from engine.upkeep.long_work import Extent, Fence, Json, LongWork, Pace, Step

METHOD = "penstock.test.v1.CountService/Count"
STEP_BYTES = 1000


@dataclass(kw_only=True)
class Counting:
    """The kind, and what became of its works. `at` is called in every step with the number it counts."""

    at: Callable[["CountingWork", int], None] = lambda work, number: None
    cancelled_count: int = 0
    measured_count: int = 0
    built_count: int = 0
    counted: list[int] = field(default_factory=list)

    @property
    def kind(self) -> OperationKind:
        return OperationKind(method=METHOD, build=self.build, rate_of="counter")

    def build(
        self, deployment: OpenDeployment, request: Mapping[str, Json], fence: Fence, pace: Pace
    ) -> LongWork:
        self.built_count += 1
        if request.get("broken"):
            raise ZeroDivisionError("by a request")
        return CountingWork(self, deployment.store, int(str(request["to"])), fence, pace)


@dataclass(kw_only=True)
class Gate:
    """Holds a work up at one number until the test lets it go on."""

    number: int
    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def __call__(self, work: "CountingWork", number: int) -> None:
        if number == self.number:
            self.reached.set()
            assert self.opened.wait(30)


class CountingWork:
    """One step a number; the cursor is the last number counted."""

    def __init__(self, counting: Counting, store: Store, to: int, fence: Fence, pace: Pace) -> None:
        self._counting = counting
        self.store = store
        self._to = to
        self.fence = fence
        self.pace = pace

    def measure(self) -> Extent:
        self._counting.measured_count += 1
        return Extent(item_count=self._to, size_bytes=self._to * STEP_BYTES)

    def step(self, cursor: str | None, /) -> Step:
        number = int(cursor or 0) + 1
        self._counting.at(self, number)
        self.pace.take(STEP_BYTES)
        self.store.write(self.fence)
        self._counting.counted.append(number)
        return Step(
            cursor=str(number),
            is_last=number == self._to,
            item_count=1,
            moved_bytes=STEP_BYTES,
            stage="counting",
            current_item=f"number {number}",
            warnings=(f"{number} is odd",) if number % 2 else (),
            result={"counted_to": number} if number == self._to else None,
        )

    def cancelled(self) -> None:
        self._counting.cancelled_count += 1


def begin(store: Store, to: int, *, target: str = "numbers/natural", **request: Json) -> str:
    """Ask for it as a servicer does; the operation's name."""
    unit = partial(
        operations.start,
        name=f"operations/{uuid7().hex()}",
        method=METHOD,
        target=target,
        request={"to": to, **request},
        creator="tester",
    )
    return store.write(unit).name


def look(store: Store, name: str) -> OperationRow:
    found = store.read(partial(operations.find_operation, name=name))
    assert found is not None
    return found
