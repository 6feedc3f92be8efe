"""Pools of threads for what waits: bounded, started when needed, used again."""

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

STACK_BYTES = 512 * 1024

_log = logging.getLogger("penstock.server")


class Pool:
    """Runs calls on at most `thread_count` threads; `submit` refuses when all are busy and the queue is full."""

    def __init__(self, name: str, *, thread_count: int, queue_count: int) -> None:
        self.name = name
        self._thread_count_max = thread_count
        self._call_count_max = thread_count + queue_count
        self._lock = threading.Lock()
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._call_count = 0
        self._threads: list[threading.Thread] = []

    @property
    def call_count(self) -> int:
        """Calls that run or wait."""
        return self._call_count

    def submit(self, call: Callable[[], None]) -> bool:
        """False: there is no room, and nothing will happen. For one thread only, and not after `close`."""
        with self._lock:
            if self._call_count >= self._call_count_max:
                return False
            self._call_count += 1
            needs_thread = len(self._threads) < min(self._call_count, self._thread_count_max)
        if needs_thread:
            try:
                self._start()
            except RuntimeError:
                # The system gives no more threads: those that run will do, if there are any.
                _log.warning("pool.no_thread pool=%s count=%d", self.name, len(self._threads))
                if not self._threads:
                    self._done()
                    return False
        self._queue.put(call)
        return True

    def close(self, timeout_s: float) -> bool:
        """Let what is queued end, waiting no longer than the timeout, and say whether it did; threads are daemons."""
        deadline_s = time.monotonic() + timeout_s
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _start(self) -> None:
        before = threading.stack_size(STACK_BYTES)
        try:
            thread = threading.Thread(
                target=self._work, name=f"{self.name}-{len(self._threads)}", daemon=True
            )
            thread.start()
        finally:
            threading.stack_size(before)
        self._threads.append(thread)

    def _work(self) -> None:
        while (call := self._queue.get()) is not None:
            try:
                call()
            except BaseException:  # a thread outlives whatever a request does
                _log.exception("pool.call_failed pool=%s", self.name)
            self._done()
            del call

    def _done(self) -> None:
        with self._lock:
            self._call_count -= 1
