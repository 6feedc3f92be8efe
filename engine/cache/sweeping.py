"""Room in the cache is made beside the requests of a process, by a thread that is there while it is needed."""

import threading
from collections.abc import Callable

from engine.cache.folder import CacheFolder


class CacheSweeper:
    """Safe for many threads. A sweep that its process does not survive is taken up by the next one to find no room."""

    def __init__(self, folder: CacheFolder, swept: Callable[[int | None], None]) -> None:
        """`swept` is told how many bytes went, null when the folder could not be gone through."""
        self._folder = folder
        self._swept = swept
        self._lock = threading.Lock()
        self._wanted_bytes = 0
        self._thread: threading.Thread | None = None

    def wake(self, wanted_bytes: int) -> None:
        """Room for so many bytes is wanted, soon."""
        with self._lock:
            self._wanted_bytes = max(self._wanted_bytes, wanted_bytes)
            if self._thread is None:
                self._thread = threading.Thread(target=self._sweep, name="cache-sweeper", daemon=True)
                self._thread.start()

    def wait(self, timeout_s: float) -> bool:
        """Whether no sweep is under way, within so many seconds."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def _sweep(self) -> None:
        while True:
            with self._lock:
                wanted_bytes, self._wanted_bytes = self._wanted_bytes, 0
                if not wanted_bytes:
                    self._thread = None
                    return
            try:
                gone_bytes = self._folder.sweep(wanted_bytes)
            except OSError:
                self._swept(None)
            else:
                self._swept(gone_bytes)
