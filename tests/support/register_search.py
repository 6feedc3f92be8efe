"""A search for an order of operations: every state that a register may be in while calls and answers pass by.

The search is that of Wing and Gong (Testing and verifying concurrent objects, 1993) in the just-in-time form of
Lowe (Testing for linearizability, 2017): keep every configuration (state of the register; open operations that
took effect already) that explains the answers so far. A change is placed no earlier than the return of an
operation that cannot do without it. No configuration left means that no order explains the history.
"""

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tests.support.history import Operation, Value


class Needs(enum.Enum):
    """What the register must hold for an operation to have ended as it did."""

    ANYTHING = 0
    ABSENT = 1
    PRESENT = 2
    EQUAL = 3
    OTHER = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An operation as the register sees it."""

    operation: Operation
    needs: Needs
    subject: Value
    is_change: bool
    value: Value
    ended_ns: int
    is_optional: bool

    def fits(self, state: Value) -> bool:
        match self.needs:
            case Needs.ANYTHING:
                return True
            case Needs.ABSENT:
                return state is None
            case Needs.PRESENT:
                return state is not None
            case Needs.EQUAL:
                return state == self.subject
            case Needs.OTHER:
                return state is not None and state != self.subject


class Configuration(NamedTuple):
    """One way to explain the answers so far."""

    state: Value
    placed: int
    """Bits of the open steps that took effect."""
    hidden: int
    """Bits of open changes without condition that are not placed, but may have taken effect unseen meanwhile."""
    used: int
    """Bits of the optional steps that took effect."""


class _OptionalSteps:
    """Steps that may be placed at any time after their call, or never. Those alike stand for each other."""

    def __init__(self) -> None:
        self._alike: dict[tuple[Needs, Value], dict[Value, tuple[Step, list[int]]]] = {}
        self._count = 0

    def add(self, step: Step) -> None:
        group = self._alike.setdefault((step.needs, step.subject), {})
        group.setdefault(step.value, (step, []))[1].append(1 << self._count)
        self._count += 1

    def fitting(self, state: Value, used: int) -> Iterator[tuple[int, Step]]:
        """With their bits, the oldest of each likeness that is not used up."""
        for step, bits in [
            *self._alike.get((Needs.ANYTHING, None), {}).values(),
            *self._conditional(state).values(),
        ]:
            bit = next((each for each in bits if not used & each), 0)
            if bit:
                yield bit, step

    def depend_on(self, state: Value) -> bool:
        """Whether some fit this state and no other."""
        return bool(self._conditional(state))

    def _conditional(self, state: Value) -> dict[Value, tuple[Step, list[int]]]:
        wanted = (Needs.ABSENT, None) if state is None else (Needs.EQUAL, state)
        return self._alike.get(wanted, {})


class Register:
    """Every configuration that explains the answers so far, and the steps that may still be placed.

    A change is placed before it must be only where it makes another step possible, or has a condition that holds
    now. One without condition, that nobody looks at before the next, needs no decision: see `hidden`.
    """

    def __init__(self, initial: Value) -> None:
        self.configurations = {Configuration(initial, 0, 0, 0)}
        self._open: dict[int, Step] = {}
        self._looking = 0
        self._unconditional = 0
        self._optional = _OptionalSteps()

    def call(self, step: Step) -> None:
        if step.is_optional:
            self._optional.add(step)
            return
        bit = 1
        while bit in self._open:
            bit <<= 1
        self._open[bit] = step
        if not step.is_change:
            self._looking |= bit
        elif step.needs is Needs.ANYTHING:
            self._unconditional |= bit
        self.configurations = {self._settled(each) for each in self.configurations}

    def answer(self, step: Step) -> bool:
        """Keep what explains that `step` took effect by now; false when nothing does."""
        bit = next(bit for bit, each in self._open.items() if each is step)
        kept = set()
        seen = set(self.configurations)
        waiting = list(seen)
        while waiting:
            configuration = waiting.pop()
            if (configuration.placed | configuration.hidden) & bit:
                kept.add(
                    configuration._replace(
                        placed=configuration.placed & ~bit, hidden=configuration.hidden & ~bit
                    )
                )
            if configuration.placed & bit:
                continue
            for following in self._following(configuration, bit):
                if following not in seen:
                    seen.add(following)
                    waiting.append(following)
        del self._open[bit]
        self._looking &= ~bit
        self._unconditional &= ~bit
        self.configurations = self._best(kept)
        return bool(kept)

    def _following(self, now: Configuration, wanted: int) -> Iterator[Configuration]:
        """What one more change makes of a configuration, on the way to place the step of the bit `wanted`."""
        unplaced = {bit: step for bit, step in self._open.items() if not now.placed & bit}
        for bit, step in unplaced.items():
            if step.is_change and step.fits(now.state):
                is_timely = bit == wanted or step.needs is not Needs.ANYTHING
                if is_timely or self._helps(step, now, unplaced, bit):
                    yield self._changed(now._replace(placed=now.placed | bit), step)
        for bit, step in self._optional.fitting(now.state, now.used):
            if self._helps(step, now, unplaced):
                yield self._changed(now._replace(used=now.used | bit), step)

    def _helps(self, step: Step, now: Configuration, unplaced: Mapping[int, Step], own: int = 0) -> bool:
        """Whether a change makes another step possible, or hides others and leaves the state as it is."""
        if step.value == now.state:
            return bool(self._unconditional & ~(now.placed | now.hidden | own))
        return self._optional.depend_on(step.value) or any(
            each.fits(step.value) and not each.fits(now.state) for each in unplaced.values()
        )

    def _changed(self, before: Configuration, step: Step) -> Configuration:
        """After a change. Before one without condition, any other such one may have come and gone unseen."""
        hidden = before.hidden
        if step.needs is Needs.ANYTHING:
            hidden |= self._unconditional
        return self._settled(before._replace(state=step.value, hidden=hidden & ~before.placed))

    def _settled(self, configuration: Configuration) -> Configuration:
        """With every open step placed that fits and changes nothing: there is no better time for it."""
        state, placed, hidden, _ = configuration
        for bit, step in self._open.items():
            if placed & bit:
                continue
            if self._looking & bit and step.fits(state):
                placed |= bit
            elif self._unconditional & bit and step.value == state:
                hidden |= bit
        return configuration._replace(placed=placed, hidden=hidden)

    def _best(self, configurations: Iterable[Configuration]) -> set[Configuration]:
        """Without those that another one betters: the same state by the same changes, less used up, more done."""
        alike: dict[tuple[Value, int], list[Configuration]] = {}
        for each in configurations:
            alike.setdefault((each.state, each.placed & ~self._looking), []).append(each)
        best = set()
        for group in alike.values():
            for each in group:
                if not any(_betters(other, each) for other in group if other is not each):
                    best.add(each)
        return best


def _betters(one: Configuration, other: Configuration) -> bool:
    return one.used & ~other.used == 0 and other.placed & ~one.placed == 0 and other.hidden & ~one.hidden == 0
