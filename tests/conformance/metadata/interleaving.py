"""Two processes on one database whose units overlap in a known order."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from engine.errors import EngineError
from engine.metadata.store import Store, Tx

T = TypeVar("T")
U = TypeVar("U")

WAIT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[T]):
    """What a unit returned, or the engine's fact it was refused by."""

    result: T | None = None
    error: EngineError | None = None


def overlap(
    first_store: Store, first: Callable[[Tx], T], second_store: Store, second: Callable[[Tx], U]
) -> tuple[Outcome[T], Outcome[U]]:
    """The second unit is handed to its store when the first one has run and has not committed."""
    has_run, is_handed = threading.Event(), threading.Event()

    def held(tx: Tx) -> T:
        try:
            return first(tx)
        finally:
            has_run.set()
            assert is_handed.wait(WAIT_S)

    def hand_over() -> Outcome[U]:
        assert has_run.wait(WAIT_S)
        is_handed.set()
        return _outcome(second_store, second)

    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(_outcome, first_store, held)
        other = threads.submit(hand_over)
        return one.result(WAIT_S), other.result(WAIT_S)


def _outcome(store: Store, unit: Callable[[Tx], T]) -> Outcome[T]:
    try:
        return Outcome(result=store.write(unit))
    except EngineError as error:
        return Outcome(error=error)
