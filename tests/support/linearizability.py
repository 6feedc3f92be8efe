"""Whether what clients saw of a key can be explained by one register that changes one operation at a time.

Operations of unknown outcome may take effect at any later time, or never. Two facts keep them cheap: each write
has a value of its own, so that one whose value somebody saw did take effect by then; and those whose value
nobody ever named are alike, so that the oldest of a kind stands for all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.support.history import Kind, Operation, Outcome, Value, short
from tests.support.register_search import Needs, Register, Step

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


@dataclass(frozen=True, slots=True)
class _Event:
    at_ns: int
    is_return: bool
    step: Step


def _check_order(operations: Sequence[Operation], initial: Value) -> Violation | None:
    steps, start = _steps(operations, initial)
    events = _events(steps)
    register = Register(start)
    for event in events:
        if not event.is_return:
            register.call(event.step)
        elif not register.answer(event.step):
            return _violation(steps, start, event)
    return None


def _violation(steps: list[Step], start: Value, event: _Event) -> Violation:
    """Describe the failure by what overlapped the answer, without the reads that explain nothing."""
    failed = event.step
    register = Register(start)
    for each in _events(steps):
        if not each.is_return and each.step is failed:
            break
        if each.is_return:
            register.answer(each.step)
        else:
            register.call(each.step)
    possible = {each.state for each in register.configurations}

    # What may never have happened explains nothing, as the answer has no explanation.
    beside = [
        step
        for step in steps
        if step is not failed
        and not step.is_optional
        and step.operation.began_ns <= event.at_ns
        and step.ended_ns >= failed.operation.began_ns
    ]
    earlier = [step for step in steps if step.ended_ns < failed.operation.began_ns]
    for step in list(beside):
        fewer = [each for each in beside if each is not step]
        if not step.is_change and _fails_at([*earlier, *fewer, failed], start, event.at_ns):
            beside = fewer
    seen = failed.subject or object()
    written = [step for step in steps if step.operation.is_write and step.operation.value == seen]
    allowed = [step for step in steps if step.is_change and step.operation.value in possible - {None}]
    shown = {id(step): step for step in [*written, *allowed, *beside, failed]}
    return Violation(
        operation=failed.operation,
        possible=tuple(sorted("another" if each == _UNNAMED else short(each) for each in possible)),
        window=tuple(sorted((step.operation for step in shown.values()), key=lambda each: each.began_ns)),
        reason=_reason(failed, written[0] if written else None),
    )


def _fails_at(steps: list[Step], start: Value, at_ns: int) -> bool:
    register = Register(start)
    for each in _events(steps):
        if not each.is_return:
            register.call(each.step)
        elif not register.answer(each.step):
            return each.at_ns == at_ns
    return False


def _reason(failed: Step, written: Step | None) -> str:
    if failed.needs is not Needs.EQUAL or failed.subject is None:
        return "no order of the operations explains it"
    if written is None:
        return "nobody wrote that"
    if not written.is_change:
        return "its write was refused"
    if written.operation.began_ns > failed.ended_ns:
        return "that was written only later"
    return "no order of the operations explains it"


def _steps(operations: Sequence[Operation], initial: Value) -> tuple[list[Step], Value]:
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
            Step(
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


def _needs(operation: Operation) -> tuple[Needs, Value]:
    match operation.kind, operation.outcome:
        case Kind.GET, _:
            return Needs.EQUAL, operation.value
        case Kind.PUT_IF_ABSENT, Outcome.REFUSED:
            return Needs.PRESENT, None
        case Kind.PUT_IF_ABSENT, _:
            return Needs.ABSENT, None
        case Kind.PUT_IF_MATCH, Outcome.REFUSED:
            return Needs.OTHER, operation.expected
        case Kind.PUT_IF_MATCH, Outcome.MISSING:
            return Needs.ABSENT, None
        case Kind.PUT_IF_MATCH, _:
            return Needs.EQUAL, operation.expected
        case _, (Outcome.DONE | Outcome.UNKNOWN):
            return Needs.ANYTHING, None
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


def _events(steps: Iterable[Step]) -> list[_Event]:
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
