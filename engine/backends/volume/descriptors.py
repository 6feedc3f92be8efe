"""Open volume files for reading: a bounded cache of descriptors that are pinned while in use."""

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from engine.errors import Overloaded

DESCRIPTOR_COUNT_MAX = 256
"""Descriptors one process holds open for reading, over all its volume backends."""

GONE_CHECK_INTERVAL_S = 60.0
"""How often descriptors of unlinked files are looked for: they keep the file's blocks allocated."""


class Descriptor:
    """One open file. `pins` counts its readers; it is closed by the cache alone."""

    __slots__ = ("fd", "path", "pins")

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self.fd = fd
        self.pins = 0


class DescriptorCache:
    """At most `count_max` descriptors, least recently used unpinned ones closed first. Safe for many threads."""

    def __init__(
        self, *, count_max: int = DESCRIPTOR_COUNT_MAX, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._count_max = count_max
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Descriptor] = OrderedDict()
        # Unlinked or closed while pinned: out of the cache, closed with their last pin.
        self._leaving: set[Descriptor] = set()
        self._check_due_s = monotonic_s() + GONE_CHECK_INTERVAL_S

    def pin(self, path: str) -> Descriptor:
        """The file's descriptor, opened if need be; every pin is followed by one `unpin`.

        Raises FileNotFoundError, OSError, and Overloaded when as many files as may be open are all in use.
        """
        with self._lock:
            if self._monotonic_s() >= self._check_due_s:
                self._drop_gone()
            found = self._open.get(path)
            if found is not None:
                self._open.move_to_end(path)
                found.pins += 1
                return found
            self._make_room()
            # Opening a local file under the lock: two threads never open the same file twice.
            descriptor = Descriptor(path, os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW))
            descriptor.pins = 1
            self._open[path] = descriptor
            return descriptor

    def unpin(self, descriptor: Descriptor) -> None:
        """Give a pin back."""
        with self._lock:
            descriptor.pins -= 1
            if descriptor.pins == 0 and descriptor in self._leaving:
                self._leaving.discard(descriptor)
                os.close(descriptor.fd)

    def drop_gone(self) -> int:
        """Let go of files that have been unlinked; the count of them. Called now and then by `pin` itself."""
        with self._lock:
            return self._drop_gone()

    def count(self) -> int:
        """Descriptors open now."""
        with self._lock:
            return len(self._open) + len(self._leaving)

    def close(self) -> None:
        """Let go of everything; what is still pinned is closed with its last pin."""
        with self._lock:
            for descriptor in list(self._open.values()):
                self._leave(descriptor)

    def _make_room(self) -> None:
        if len(self._open) + len(self._leaving) < self._count_max:
            return
        idle = next((descriptor for descriptor in self._open.values() if descriptor.pins == 0), None)
        if idle is None:
            raise Overloaded(what="the count of volume files open for reading")
        self._leave(idle)

    def _drop_gone(self) -> int:
        self._check_due_s = self._monotonic_s() + GONE_CHECK_INTERVAL_S
        gone = [descriptor for descriptor in self._open.values() if os.fstat(descriptor.fd).st_nlink == 0]
        for descriptor in gone:
            self._leave(descriptor)
        return len(gone)

    def _leave(self, descriptor: Descriptor) -> None:
        del self._open[descriptor.path]
        if descriptor.pins == 0:
            os.close(descriptor.fd)
        else:
            self._leaving.add(descriptor)
