"""Pools of threads for what waits: bounded, started when needed, used again."""

import logging
import threading
from collections import deque
from collections.abc import Callable

STACK_BYTES = 512 * 1024

_log = logging.getLogger("penstock.server")


class Pool:
    """Runs calls on at most `thread_count` threads; `submit` refuses when all are busy and the queue is full."""

    def __init__(self, name: str, *, thread_count: int, queue_count: int) -> None:
        self._name = name
        self._thread_count_max = thread_count
        self._queue_count_max = queue_count
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._queue: deque[Callable[[], None]] = deque()
        self._idle_count = 0
        self._threads: list[threading.Thread] = []
        self._is_closing = False

    def submit(self, call: Callable[[], None]) -> bool:
        """False: there is no room, and nothing will happen."""
        with self._lock:
            waiting_count = len(self._queue)
            if waiting_count >= self._idle_count:
                if len(self._threads) < self._thread_count_max:
                    self._start()
                elif waiting_count - self._idle_count >= self._queue_count_max:
                    return False
            self._queue.append(call)
            self._arrived.notify()
            return True

    def close(self, timeout_s: float) -> None:
        """Let what is queued end; threads that outlast the timeout are left to the process' end."""
        with self._lock:
            self._is_closing = True
            self._arrived.notify_all()
        for thread in self._threads:
            thread.join(timeout_s)

    def _start(self) -> None:
        before = threading.stack_size(STACK_BYTES)
        try:
            thread = threading.Thread(
                target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True
            )
            thread.start()
        finally:
            threading.stack_size(before)
        self._threads.append(thread)

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle_count += 1
                while not self._queue and not self._is_closing:
                    self._arrived.wait()
                self._idle_count -= 1
                if not self._queue:
                    return
                call = self._queue.popleft()
            try:
                call()
            except Exception:  # a thread outlives whatever a request does
                _log.exception("pool.call_failed pool=%s", self._name)
