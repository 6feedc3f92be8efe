"""Calls to several backends, those across a network side by side, so that none waits for another."""

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Generic, Self, TypeVar

from engine.backends.base import Backend
from engine.errors import BackendError

T = TypeVar("T")


class SideBySide:
    """Threads for calls that wait for a network, made when they are first needed and ended by `close`. For one thread.

    Who has one remote store to call makes none: a call is always made in the caller's own.
    """

    def __init__(self) -> None:
        self._lanes: list[_Lane] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, calls: Sequence[tuple[Backend, Callable[[], T]]]) -> list[T | BackendError]:
        """What each call to its backend gave, in order: a BackendError stands in its place, anything else is raised.

        All have ended when it returns; those on disks of this machine are made first, one after the other.
        """
        outcomes = [_Outcome(call) for _, call in calls]
        far = []
        for (backend, _), outcome in zip(calls, outcomes, strict=True):
            if backend.needs_intents:
                far.append(outcome)
            else:
                outcome.settle()
                outcome.result()
        self._run_far(far)
        return [outcome.result() for outcome in outcomes]

    def _run_far(self, outcomes: "list[_Outcome[T]]") -> None:
        if not outcomes:
            return
        own, *others = outcomes
        while len(self._lanes) < len(others):
            self._lanes.append(_Lane(len(self._lanes)))
        for lane, outcome in zip(self._lanes, others, strict=False):
            lane.do(outcome)
        own.settle()
        for outcome in others:
            assert outcome.ended is not None
            outcome.ended.wait()

    def close(self) -> None:
        """End the threads, none of which has anything to do."""
        for lane in self._lanes:
            lane.end()
        self._lanes.clear()


class _Outcome(Generic[T]):
    def __init__(self, call: Callable[[], T]) -> None:
        # Only who runs in another thread is waited for.
        self.ended: threading.Event | None = None
        self._call = call
        self._results: list[T | BackendError] = []
        self._error: BaseException | None = None

    def settle(self) -> None:
        try:
            self._results.append(self._call())
        except BackendError as error:
            self._results.append(error)
        except BaseException as error:  # raised again in the thread that asked
            self._error = error
        finally:
            if self.ended is not None:
                self.ended.set()

    def result(self) -> T | BackendError:
        if self._error is not None:
            raise self._error
        return self._results[0]


class _Lane:
    def __init__(self, number: int) -> None:
        self._waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"piece {number + 2}", daemon=True)
        self._thread.start()

    def do(self, outcome: _Outcome[T]) -> None:
        outcome.ended = threading.Event()
        self._waiting.put(outcome.settle)

    def end(self) -> None:
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (call := self._waiting.get()) is not None:
            call()
