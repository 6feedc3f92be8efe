"""Whether what clients saw of a key can be explained by one register that changes one operation at a time.

The search is that of Wing and Gong (Testing and verifying concurrent objects, 1993) in the just-in-time form of
Lowe (Testing for linearizability, 2017): walk through the calls and returns in time, and keep every
configuration (state of the register; open operations that took effect already) that explains the answers so
far. An operation is placed no earlier than the return of one that cannot do without it. No configuration left
means that no order explains the history.

Operations of unknown outcome stay open for ever and need never be placed. Two facts keep them cheap: each write
has a value of its own, so that one whose value somebody saw did take effect by then; and those whose value
nobody ever named are alike, so that the oldest of a kind stands for all.
"""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.support.history import Kind, Operation, Outcome, Value, short

_UNNAMED = "\N{HORIZONTAL ELLIPSIS}"
"""Stands for every value that no read and no condition ever named: nothing can tell them apart."""
_NEVER_NS = 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """The answer that no order explains, and what there was to explain it with."""

    operation: Operation
    possible: tuple[str, ...]
    """What the key may have held when the operation began."""
    window: tuple[Operation, ...]
    """What overlapped it, without the reads that explain nothing, and who wrote what it saw and should have seen."""
    reason: str

    def __str__(self) -> str:
        zero_ns = min(each.began_ns for each in (self.operation, *self.window))
        lines = [
            f"{self.operation}: {self.reason}",
            f"  before it the key may have been: {', '.join(self.possible) or '-'}",
        ]
        for each in self.window:
            mark = ">" if each is self.operation else " "
            began_ms, ended_ms = (each.began_ns - zero_ns) / 1e6, (each.ended_ns - zero_ns) / 1e6
            lines.append(f"  {mark} {began_ms:10.3f} .. {ended_ms:10.3f} ms  {each}")
        return "\n".join(lines)


def check(operations: Sequence[Operation], *, initial: Value = None) -> Violation | None:
    """The first answer in time that no order of these operations on one key explains, or none.

    `initial` is what the key held before. Values written must all be different (`ValueError` otherwise).
    """
    _refuse_doubles(operations, initial)
    return _check_degraded(operations, initial) or _check_order(operations, initial)


def check_all(histories: dict[str, list[Operation]]) -> list[str]:
    """What is wrong with the histories of several keys, each judged alone, in words."""
    found = []
    for key, operations in histories.items():
        violation = check(operations)
        if violation is not None:
            found.append(f"{key}: {violation}")
    return found


class _Needs(enum.Enum):
    """What the register must hold for an operation to have ended as it did."""

    ANYTHING = 0
    ABSENT = 1
    PRESENT = 2
    EQUAL = 3
    OTHER = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """An operation as the register sees it."""

    operation: Operation
    needs: _Needs
    subject: Value
    is_change: bool
    value: Value
    ended_ns: int
    is_optional: bool

    @property
    def likeness(self) -> tuple[object, ...]:
        """Optional steps of one likeness stand for each other."""
        return self.needs, self.subject, self.value

    def fits(self, state: Value) -> bool:
        match self.needs:
            case _Needs.ANYTHING:
                return True
            case _Needs.ABSENT:
                return state is None
            case _Needs.PRESENT:
                return state is not None
            case _Needs.EQUAL:
                return state == self.subject
            case _Needs.OTHER:
                return state is not None and state != self.subject


_Configuration = tuple[Value, int, int]
"""State of the register; bits of open steps placed already; bits of optional steps used up."""


@dataclass(frozen=True, slots=True)
class _Event:
    at_ns: int
    is_return: bool
    step: _Step


class _Register:
    """Every configuration that explains the answers so far, and the steps that may still be placed."""

    def __init__(self, initial: Value) -> None:
        self.configurations: set[_Configuration] = {(initial, 0, 0)}
        self._open: dict[int, tuple[int, _Step]] = {}
        self._free_bits: list[int] = []
        self._bit_count = 0
        self._optional: dict[tuple[object, ...], tuple[_Step, list[int]]] = {}
        self._optional_count = 0

    def call(self, step: _Step) -> None:
        if step.is_optional:
            bits = self._optional.setdefault(step.likeness, (step, []))[1]
            bits.append(1 << self._optional_count)
            self._optional_count += 1
            return
        if not self._free_bits:
            self._free_bits.append(1 << self._bit_count)
            self._bit_count += 1
        self._open[id(step)] = self._free_bits.pop(), step
        if not step.is_change:
            self.configurations = {self._settled(each) for each in self.configurations}

    def answer(self, step: _Step) -> bool:
        """Keep what explains that `step` took effect by now; false when nothing does."""
        bit, _ = self._open[id(step)]
        kept: dict[tuple[Value, int], list[int]] = {}
        seen = set(self.configurations)
        waiting = list(seen)
        while waiting:
            configuration = waiting.pop()
            state, placed, used = configuration
            if placed & bit:
                kept.setdefault((state, placed & ~bit), []).append(used)
                continue
            for following in self._following(state, placed, used):
                if following not in seen:
                    seen.add(following)
                    waiting.append(following)
        del self._open[id(step)]
        self._free_bits.append(bit)
        self.configurations = {
            (state, placed, used) for (state, placed), all_used in kept.items() for used in _least(all_used)
        }
        return bool(self.configurations)

    def _following(self, state: Value, placed: int, used: int) -> Iterable[_Configuration]:
        """What one more change makes of a configuration."""
        unplaced = [step for bit, step in self._open.values() if not placed & bit]
        for bit, step in self._open.values():
            if step.is_change and not placed & bit and step.fits(state):
                yield self._settled((step.value, placed | bit, used))
        for step, bits in self._optional.values():
            if step.fits(state) and self._helps(step, state, unplaced):
                bit = next((each for each in bits if not used & each), 0)
                if bit:
                    yield self._settled((step.value, placed, used | bit))

    def _helps(self, step: _Step, state: Value, unplaced: list[_Step]) -> bool:
        """Whether an optional step makes another possible. It need never be placed otherwise: what no condition
        looks at is overwritten unseen."""
        candidates = [*unplaced, *(each for each, _ in self._optional.values())]
        return any(each.fits(step.value) and not each.fits(state) for each in candidates)

    def _settled(self, configuration: _Configuration) -> _Configuration:
        """With every open step placed that fits and changes nothing: there is no better time for it."""
        state, placed, used = configuration
        for bit, step in self._open.values():
            if not step.is_change and not placed & bit and step.fits(state):
                placed |= bit
        return state, placed, used


def _check_order(operations: Sequence[Operation], initial: Value) -> Violation | None:
    steps, start = _steps(operations, initial)
    events = _events(steps)
    register = _Register(start)
    for event in events:
        if not event.is_return:
            register.call(event.step)
        elif not register.answer(event.step):
            return _violation(steps, start, event)
    return None


def _violation(steps: list[_Step], start: Value, event: _Event) -> Violation:
    """Describe the failure by what overlapped the answer, without the reads that explain nothing."""
    failed = event.step
    register = _Register(start)
    for each in _events(steps):
        if not each.is_return and each.step is failed:
            break
        if each.is_return:
            register.answer(each.step)
        else:
            register.call(each.step)
    possible = {state for state, _, _ in register.configurations}

    beside = [
        step
        for step in steps
        if step is not failed
        and step.operation.began_ns <= event.at_ns
        and step.ended_ns >= failed.operation.began_ns
    ]
    earlier = [step for step in steps if step.ended_ns < failed.operation.began_ns]
    for step in list(beside):
        fewer = [each for each in beside if each is not step]
        if not step.is_change and _fails_at([*earlier, *fewer, failed], start, event.at_ns):
            beside = fewer
    written = [step for step in steps if step.is_change and step.value == failed.subject]
    allowed = [step for step in steps if step.is_change and step.operation.value in possible - {None}]
    shown = {id(step): step for step in [*written, *allowed, *beside, failed]}
    return Violation(
        operation=failed.operation,
        possible=tuple(sorted("another" if each == _UNNAMED else short(each) for each in possible)),
        window=tuple(sorted((step.operation for step in shown.values()), key=lambda each: each.began_ns)),
        reason=_reason(failed, written),
    )


def _fails_at(steps: list[_Step], start: Value, at_ns: int) -> bool:
    register = _Register(start)
    for each in _events(steps):
        if not each.is_return:
            register.call(each.step)
        elif not register.answer(each.step):
            return each.at_ns == at_ns
    return False


def _reason(failed: _Step, written: list[_Step]) -> str:
    if failed.needs is _Needs.EQUAL and failed.subject is not None and not written:
        return "nobody wrote that"
    if written and written[0].operation.began_ns > failed.ended_ns:
        return "that was written only later"
    return "no order of the operations explains it"


def _steps(operations: Sequence[Operation], initial: Value) -> tuple[list[_Step], Value]:
    """What counts for the order, with the outcome of unknown ones settled where somebody saw it; the first state."""
    named = {each.value for each in operations if not each.is_write}
    named |= {each.expected for each in operations if each.kind is Kind.PUT_IF_MATCH}
    deadlines_ns = _deadlines_ns(operations)

    def known(value: Value) -> Value:
        return value if value is None or value in named else _UNNAMED

    steps = []
    for each in operations:
        if each.outcome is Outcome.NOTHING or each.is_degraded:
            continue
        is_unknown = each.outcome is Outcome.UNKNOWN
        if is_unknown and not each.is_write:
            continue
        ended_ns = deadlines_ns.get(each.value or "", _NEVER_NS) if is_unknown else each.ended_ns
        needs, subject = _needs(each)
        is_change = each.is_write and each.outcome in (Outcome.DONE, Outcome.UNKNOWN)
        steps.append(
            _Step(
                operation=each,
                needs=needs,
                subject=subject,
                is_change=is_change,
                value=known(each.value) if is_change else None,
                ended_ns=ended_ns,
                is_optional=ended_ns == _NEVER_NS,
            )
        )
    return steps, known(initial)


def _needs(operation: Operation) -> tuple[_Needs, Value]:
    match operation.kind, operation.outcome:
        case Kind.GET, _:
            return _Needs.EQUAL, operation.value
        case Kind.PUT_IF_ABSENT, Outcome.REFUSED:
            return _Needs.PRESENT, None
        case Kind.PUT_IF_ABSENT, _:
            return _Needs.ABSENT, None
        case Kind.PUT_IF_MATCH, Outcome.REFUSED:
            return _Needs.OTHER, operation.expected
        case Kind.PUT_IF_MATCH, Outcome.MISSING:
            return _Needs.ABSENT, None
        case Kind.PUT_IF_MATCH, _:
            return _Needs.EQUAL, operation.expected
        case _, (Outcome.DONE | Outcome.UNKNOWN):
            return _Needs.ANYTHING, None
        case _:
            raise ValueError(f"{operation} cannot be: only a condition is refused or misses its object")


def _deadlines_ns(operations: Sequence[Operation]) -> dict[str, int]:
    """For each value that somebody saw, by when it was seen: what wrote it had taken effect by then."""
    seen_ns: dict[str, int] = {}

    def saw(value: Value, at_ns: int) -> bool:
        if value is None or seen_ns.get(value, _NEVER_NS) <= at_ns:
            return False
        seen_ns[value] = at_ns
        return True

    matches = [each for each in operations if each.kind is Kind.PUT_IF_MATCH]
    for each in operations:
        if each.kind is Kind.GET and each.outcome is Outcome.DONE:
            saw(each.value, each.ended_ns)
    is_changed = True
    while is_changed:
        # A conditional write that took effect saw what it names, and so on back along a chain of unknown ones.
        is_changed = False
        for each in matches:
            own_ns = seen_ns.get(each.value or "", _NEVER_NS)
            if each.outcome is Outcome.DONE:
                is_changed |= saw(each.expected, min(each.ended_ns, own_ns))
            elif each.outcome is Outcome.UNKNOWN and own_ns < _NEVER_NS:
                is_changed |= saw(each.expected, own_ns)
    return seen_ns


def _events(steps: Iterable[_Step]) -> list[_Event]:
    events = []
    for step in steps:
        # A write of unknown outcome that was seen before it began returns at once: it explains nothing.
        began_ns = step.operation.began_ns
        events.append(_Event(began_ns, False, step))
        if not step.is_optional:
            events.append(_Event(max(step.ended_ns, began_ns), True, step))
    # At one instant calls come first: operations that touch count as concurrent.
    events.sort(key=lambda each: (each.at_ns, each.is_return))
    return events


def _least(all_used: list[int]) -> list[int]:
    """Without what used up more than another in the same state: the other can do all that it can."""
    least: list[int] = []
    for used in sorted(set(all_used), key=int.bit_count):
        if not any(other & ~used == 0 for other in least):
            least.append(used)
    return least


def _check_degraded(operations: Sequence[Operation], initial: Value) -> Violation | None:
    """Answers without database must show a state that once was: nothing else is asked of them."""
    writes = {each.value: each for each in operations if each.is_write and each.value is not None}
    for each in operations:
        if not each.is_degraded or each.outcome is not Outcome.DONE or each.value in (None, initial):
            continue
        write = writes.get(each.value)
        if write is None:
            reason = "nobody wrote that"
        elif write.outcome not in (Outcome.DONE, Outcome.UNKNOWN):
            reason = "its write was refused"
        elif write.began_ns > each.ended_ns:
            reason = "that was written only later"
        else:
            continue
        window = tuple(sorted({id(o): o for o in (write, each) if o}.values(), key=lambda o: o.began_ns))
        return Violation(operation=each, possible=(), window=window, reason=reason)
    return None


def _refuse_doubles(operations: Sequence[Operation], initial: Value) -> None:
    written = {initial} if initial is not None else set()
    for each in operations:
        if each.is_write and each.value is not None:
            if each.value in written:
                raise ValueError(f"{short(each.value)} is written twice: nothing tells the writes apart")
            written.add(each.value)
