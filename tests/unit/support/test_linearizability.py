"""The judge of concurrent histories: it passes what one register could have answered, and nothing else."""

import random
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.history import Kind, Operation, Outcome, Value
from tests.support.linearizability import check, check_all

FIRST, SECOND, THIRD = "first", "second", "third"


def did(
    kind: Kind,
    began_ns: int,
    ended_ns: int,
    value: Value = None,
    outcome: Outcome = Outcome.DONE,
    *,
    expected: Value = None,
    is_degraded: bool = False,
) -> Operation:
    return Operation(
        client=f"c{began_ns}",
        kind=kind,
        value=value,
        outcome=outcome,
        began_ns=began_ns,
        ended_ns=ended_ns,
        expected=expected,
        is_degraded=is_degraded,
    )


def put(began_ns: int, ended_ns: int, value: str, outcome: Outcome = Outcome.DONE) -> Operation:
    return did(Kind.PUT, began_ns, ended_ns, value, outcome)


def get(began_ns: int, ended_ns: int, value: Value, *, is_degraded: bool = False) -> Operation:
    return did(Kind.GET, began_ns, ended_ns, value, is_degraded=is_degraded)


def delete(began_ns: int, ended_ns: int, outcome: Outcome = Outcome.DONE) -> Operation:
    return did(Kind.DELETE, began_ns, ended_ns, None, outcome)


def put_if_absent(began_ns: int, ended_ns: int, value: str, outcome: Outcome = Outcome.DONE) -> Operation:
    return did(Kind.PUT_IF_ABSENT, began_ns, ended_ns, value, outcome)


def put_if_match(
    began_ns: int, ended_ns: int, expected: str, value: str, outcome: Outcome = Outcome.DONE
) -> Operation:
    return did(Kind.PUT_IF_MATCH, began_ns, ended_ns, value, outcome, expected=expected)


GOOD = {
    "nothing happened": [],
    "one after the other": [put(0, 1, FIRST), get(2, 3, FIRST), delete(4, 5), get(6, 7, None)],
    "a read beside a write sees the old": [put(0, 1, FIRST), put(2, 9, SECOND), get(3, 4, FIRST)],
    "a read beside a write sees the new": [put(0, 1, FIRST), put(2, 9, SECOND), get(3, 4, SECOND)],
    "writes beside each other end in either order": [put(0, 9, FIRST), put(0, 9, SECOND), get(10, 11, FIRST)],
    "operations that touch are concurrent": [put(0, 5, FIRST), get(5, 6, None)],
    "one of two conditional writers wins": [
        put_if_absent(0, 9, FIRST),
        put_if_absent(0, 9, SECOND, Outcome.REFUSED),
        get(10, 11, FIRST),
    ],
    "a delete between two winners": [
        put_if_absent(0, 1, FIRST),
        delete(2, 9),
        put_if_absent(3, 4, SECOND),
        get(10, 11, SECOND),
    ],
    "a chain of matches": [
        put(0, 1, FIRST),
        put_if_match(2, 3, FIRST, SECOND),
        put_if_match(4, 5, FIRST, "late", Outcome.REFUSED),
        delete(6, 7),
        put_if_match(8, 9, SECOND, "later", Outcome.MISSING),
    ],
    "a conflict says nothing": [put(0, 1, FIRST), put_if_match(2, 3, "?", SECOND, Outcome.NOTHING)],
    "an unknown write never happened": [put(0, 1, FIRST, Outcome.UNKNOWN), get(2, 3, None)],
    "an unknown write happened": [put(0, 1, FIRST, Outcome.UNKNOWN), get(2, 3, FIRST)],
    "an unknown write happens late": [
        put(0, 1, FIRST, Outcome.UNKNOWN),
        get(2, 3, None),
        put(4, 5, SECOND),
        get(6, 7, SECOND),
        get(8, 9, FIRST),
    ],
    "an unknown write that nobody saw explains a refusal": [
        put(0, 1, FIRST, Outcome.UNKNOWN),
        put_if_absent(2, 3, SECOND, Outcome.REFUSED),
    ],
    "an unknown delete and an unknown write explain a refusal": [
        put(0, 1, FIRST),
        delete(2, 3, Outcome.UNKNOWN),
        put_if_absent(4, 5, SECOND, Outcome.UNKNOWN),
        put_if_match(6, 7, FIRST, THIRD, Outcome.REFUSED),
    ],
    "an unknown match was seen through another": [
        put(0, 1, FIRST),
        put_if_match(2, 3, FIRST, SECOND, Outcome.UNKNOWN),
        put_if_match(4, 5, SECOND, THIRD, Outcome.UNKNOWN),
        get(6, 7, THIRD),
    ],
    "an unknown delete explains two absences": [
        put(0, 1, FIRST),
        delete(2, 3, Outcome.UNKNOWN),
        get(4, 5, None),
        put_if_absent(6, 7, SECOND),
    ],
    "a change hidden by a delete of what is not there": [
        delete(0, 3),
        put(0, 4, FIRST),
        put_if_absent(0, 2, SECOND),
        put_if_match(5, 6, SECOND, THIRD),
    ],
    "a change hidden by a delete of unknown outcome": [
        put(0, 4, FIRST),
        delete(1, 2, Outcome.UNKNOWN),
        put_if_absent(0, 3, SECOND),
        put_if_match(5, 6, SECOND, THIRD),
    ],
    "a degraded read is old": [
        put(0, 1, FIRST),
        put(2, 3, SECOND),
        get(4, 5, FIRST, is_degraded=True),
        get(6, 7, SECOND),
    ],
}

BAD = {
    "a value from nowhere": ([get(0, 1, FIRST)], "nobody wrote that"),
    "a value of the future": ([get(0, 1, FIRST), put(2, 3, FIRST)], "written only later"),
    "an unknown value of the future": (
        [get(0, 1, FIRST), put(2, 3, FIRST, Outcome.UNKNOWN)],
        "written only later",
    ),
    "a stale read": ([put(0, 1, FIRST), put(2, 3, SECOND), get(4, 5, FIRST)], "no order"),
    "a lost write": ([put(0, 1, FIRST), get(2, 3, None)], "no order"),
    "a lost delete": ([put(0, 1, FIRST), delete(2, 3), get(4, 5, FIRST)], "no order"),
    "reads that disagree about the order": (
        [put(0, 9, FIRST), put(0, 9, SECOND), get(10, 11, FIRST), get(12, 13, SECOND)],
        "no order",
    ),
    "a new value seen and unseen": (
        [put(0, 1, FIRST), put(2, 9, SECOND), get(3, 4, SECOND), get(5, 6, FIRST)],
        "no order",
    ),
    "two winners where nothing was": ([put_if_absent(0, 9, FIRST), put_if_absent(0, 9, SECOND)], "no order"),
    "two winners over one value": (
        [put(0, 1, FIRST), put_if_match(2, 9, FIRST, SECOND), put_if_match(2, 9, FIRST, THIRD)],
        "no order",
    ),
    "a refusal without reason": ([put_if_absent(0, 1, FIRST, Outcome.REFUSED)], "no order"),
    "a refused match that matched": (
        [put(0, 1, FIRST), put_if_match(2, 3, FIRST, SECOND, Outcome.REFUSED)],
        "no order",
    ),
    "nobody wins": (
        [put_if_absent(0, 9, FIRST, Outcome.REFUSED), put_if_absent(0, 9, SECOND, Outcome.REFUSED)],
        "no order",
    ),
    "an unknown write that was seen and is gone": (
        [put(0, 1, FIRST, Outcome.UNKNOWN), get(2, 3, FIRST), get(4, 5, None)],
        "no order",
    ),
    "an unknown write cannot happen twice": (
        [
            put(0, 1, FIRST, Outcome.UNKNOWN),
            get(2, 3, FIRST),
            put(4, 5, SECOND),
            get(6, 7, SECOND),
            get(8, 9, FIRST),
        ],
        "no order",
    ),
    "one unknown delete explains one absence": (
        [
            put(0, 1, FIRST),
            delete(2, 3, Outcome.UNKNOWN),
            get(4, 5, None),
            put(6, 7, SECOND),
            get(8, 9, None),
        ],
        "no order",
    ),
    "a refused value was seen": (
        [put(0, 1, FIRST), put_if_absent(2, 3, SECOND, Outcome.REFUSED), get(4, 5, SECOND)],
        "its write was refused",
    ),
    "a degraded value from nowhere": ([get(0, 1, FIRST, is_degraded=True)], "nobody wrote that"),
    "a degraded value that was refused": (
        [put(0, 1, FIRST, Outcome.NOTHING), get(2, 3, FIRST, is_degraded=True)],
        "refused",
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_one_register_could_have_answered_passes(name: str) -> None:
    assert check(GOOD[name]) is None


@pytest.mark.parametrize("name", BAD)
def test_what_no_register_could_have_answered_is_found(name: str) -> None:
    operations, reason = BAD[name]

    violation = check(operations)

    assert violation is not None
    assert reason in violation.reason


def test_the_window_is_the_answer_what_it_saw_and_what_it_should_have_seen() -> None:
    old, new, stale = put(10, 11, FIRST), put(20, 21, SECOND), get(30, 40, FIRST)
    beside = [get(31, 35, SECOND), get(32, 34, SECOND)]

    violation = check([get(0, 1, None), old, new, stale, *beside, get(50, 51, SECOND)])

    assert violation is not None
    assert violation.operation is stale
    assert violation.possible == (SECOND,)
    assert violation.window == (old, new, stale)
    assert f"c30: get {FIRST} done: no order of the operations explains it" in str(violation)


def test_keys_are_judged_alone() -> None:
    good, bad = [put(0, 1, FIRST), get(2, 3, FIRST)], [get(2, 3, FIRST)]

    (problem,) = check_all({"good": good, "bad": bad})

    assert problem.startswith("bad: ")


def test_values_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        check([put(0, 1, FIRST), put(2, 3, FIRST)])


def test_hundreds_of_unknown_outcomes_cost_little() -> None:
    operations: list[Operation] = []
    for number in range(600):
        at_ns = number * 10
        operations.append(put(at_ns, at_ns + 1, f"lost{number}", Outcome.UNKNOWN))
        operations.append(delete(at_ns + 2, at_ns + 3, Outcome.UNKNOWN))
        operations.append(put(at_ns + 4, at_ns + 5, f"kept{number}"))
        operations.append(get(at_ns + 6, at_ns + 7, f"kept{number}"))
        operations.append(put_if_absent(at_ns + 8, at_ns + 9, f"never{number}", Outcome.REFUSED))

    assert check(operations) is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a client will ask: the register decides what it is told."""

    kind: Kind
    gap_ns: int
    before_ns: int
    after_ns: int
    fate: int
    """0: the answer is lost and nothing happened; 1: it is lost; otherwise it arrives."""
    choice: int


PLANS = st.builds(
    Plan,
    kind=st.sampled_from(list(Kind)),
    gap_ns=st.integers(0, 30),
    before_ns=st.integers(0, 30),
    after_ns=st.integers(0, 30),
    fate=st.integers(0, 9),
    choice=st.integers(0, 5),
)
CLIENTS = st.lists(st.lists(PLANS, max_size=12), min_size=1, max_size=5)


def played(clients: list[list[Plan]]) -> list[Operation]:
    """What clients see of a real register that answers each of them at one moment of its span."""
    moments = []
    for number, plans in enumerate(clients):
        now_ns = 0
        for step, plan in enumerate(plans):
            began_ns = now_ns + plan.gap_ns
            effect_ns = began_ns + plan.before_ns
            ended_ns = effect_ns + plan.after_ns
            if plan.fate == 1:
                # The client has given up before it happens.
                ended_ns = began_ns + plan.before_ns // 2
            moments.append((effect_ns, number, step, began_ns, ended_ns, plan))
            now_ns = ended_ns
    state: Value = None
    past: list[str] = []
    operations = []
    for _, number, step, began_ns, ended_ns, plan in sorted(moments, key=lambda each: each[:3]):
        new = f"v{number}.{step}"
        expected = None
        outcome, value = Outcome.DONE, None if plan.kind is Kind.DELETE else new
        is_changed = plan.kind is not Kind.GET
        if plan.kind is Kind.GET:
            value = state
        elif plan.kind is Kind.PUT_IF_ABSENT and state is not None:
            outcome, is_changed = Outcome.REFUSED, False
        elif plan.kind is Kind.PUT_IF_MATCH:
            candidates = [*past[-plan.choice :], "unheard of"]
            expected = candidates[0] if plan.choice < 4 else (state or "unheard of")
            if state is None:
                outcome, is_changed = Outcome.MISSING, False
            elif state != expected:
                outcome, is_changed = Outcome.REFUSED, False
        if plan.fate < 2:
            outcome = Outcome.UNKNOWN
            is_changed = is_changed and plan.fate == 1
        if is_changed:
            state = value
            past += [new] if value else []
        operations.append(
            Operation(
                client=f"c{number}",
                kind=plan.kind,
                value=value,
                outcome=outcome,
                began_ns=began_ns,
                ended_ns=ended_ns,
                expected=expected,
            )
        )
    return operations


@settings(deadline=None, max_examples=300)
@given(clients=CLIENTS)
def test_every_history_of_a_real_register_passes(clients: list[list[Plan]]) -> None:
    violation = check(played(clients))

    assert violation is None, str(violation)


@settings(deadline=None, max_examples=200)
@given(clients=CLIENTS, seed=st.integers(0, 1000))
def test_a_read_of_what_was_overwritten_before_it_began_is_found(
    clients: list[list[Plan]], seed: int
) -> None:
    operations = played(clients)
    end_ns = max((each.ended_ns for each in operations), default=0) + 1
    overwritten = [
        each.value
        for each in operations
        if each.kind is Kind.PUT and each.outcome is Outcome.DONE and each.ended_ns < end_ns
    ]
    stale = random.Random(seed).choice(overwritten) if overwritten else None

    violation = check([*operations, put(end_ns, end_ns + 1, "last"), get(end_ns + 2, end_ns + 3, stale)])

    # Deletes of unknown outcome may still come: then there may be nothing at any time.
    may_be_absent = any(each.kind is Kind.DELETE and each.outcome is Outcome.UNKNOWN for each in operations)
    assert violation is not None or (stale is None and may_be_absent)


@settings(deadline=None, max_examples=200)
@given(clients=CLIENTS, seed=st.integers(0, 1000))
def test_two_winners_over_one_value_are_found_anywhere(clients: list[list[Plan]], seed: int) -> None:
    operations = played(clients)
    winners = [each for each in operations if each.kind is Kind.PUT_IF_MATCH and each.outcome is Outcome.DONE]
    if not winners:
        at_ns = max((each.ended_ns for each in operations), default=0) + 1
        winners = [put_if_match(at_ns + 2, at_ns + 3, "base", "won")]
        operations += [put(at_ns, at_ns + 1, "base"), *winners]
    winner = random.Random(seed).choice(winners)

    violation = check([*operations, replace(winner, value="won too", client="other")])

    assert violation is not None


SPANS = st.tuples(st.integers(0, 12), st.integers(1, 6))
SMALL = st.lists(
    st.tuples(st.sampled_from(list(Kind)), SPANS, st.integers(0, 9), st.integers(0, 5)),
    min_size=1,
    max_size=5,
)


@settings(deadline=None, max_examples=2000)
@given(drawn=SMALL)
def test_it_agrees_with_trying_every_order(drawn: list[tuple[Kind, tuple[int, int], int, int]]) -> None:
    operations = [_any_answer(index, *each) for index, each in enumerate(drawn)]

    violation = check(operations)

    assert (violation is None) == _some_order_explains(operations, None)


def _any_answer(index: int, kind: Kind, span: tuple[int, int], said: int, choice: int) -> Operation:
    outcome = Outcome.UNKNOWN if said < 3 else Outcome.DONE
    if said > 6 and kind is Kind.PUT_IF_ABSENT:
        outcome = Outcome.REFUSED
    if said > 6 and kind is Kind.PUT_IF_MATCH:
        outcome = Outcome.REFUSED if said < 9 else Outcome.MISSING
    named = None if choice == 5 else f"w{choice}"
    value = {Kind.GET: named, Kind.DELETE: None}.get(kind, f"w{index}")
    expected = named or "w0" if kind is Kind.PUT_IF_MATCH else None
    began_ns, took_ns = span
    return did(kind, began_ns, began_ns + took_ns, value, outcome, expected=expected)


def _some_order_explains(left: list[Operation], state: Value) -> bool:
    """The definition itself: some operation that nobody precedes comes next; unknown ones may be left out."""
    if all(each.outcome is Outcome.UNKNOWN for each in left):
        return True
    first_end_ns = min(each.ended_ns for each in left if each.outcome is not Outcome.UNKNOWN)
    for index, each in enumerate(left):
        if each.began_ns <= first_end_ns:
            is_explained, following = _told(each, state)
            if is_explained and _some_order_explains(left[:index] + left[index + 1 :], following):
                return True
    return False


def _told(each: Operation, state: Value) -> tuple[bool, Value]:
    holds = {
        Kind.PUT_IF_ABSENT: state is None,
        Kind.PUT_IF_MATCH: state is not None and state == each.expected,
    }.get(each.kind, True)
    if each.kind is Kind.GET:
        return each.outcome is Outcome.UNKNOWN or state == each.value, state
    match each.outcome:
        case Outcome.REFUSED:
            return not holds and state is not None, state
        case Outcome.MISSING:
            return state is None, state
        case _:
            return holds, each.value
