"""Trying a write without keeping it, for calls that only want to know whether it would go well."""

from collections.abc import Callable
from typing import TypeVar

from engine.errors import EngineError
from engine.metadata.store import Store, Tx

T = TypeVar("T")


class _Rehearsed(EngineError):
    """Rolls a rehearsal back; never leaves this module."""


def write_or_rehearse(store: Store, unit: Callable[[Tx], T], *, validate_only: bool) -> T:
    """What the unit returns, committed or, with `validate_only`, as it would have been. Raises what the unit raises."""
    if not validate_only:
        return store.write(unit)
    answers: list[T] = []

    def rehearse(tx: Tx) -> None:
        # A unit may be run again from the start; the last one is the one that counts.
        answers[:] = [unit(tx)]
        raise _Rehearsed

    try:
        store.write(rehearse)
    except _Rehearsed:
        return answers[0]
    raise AssertionError("a rehearsal was committed")
