"""gunicorn's worker class: one process of the data plane, its loop on the main thread."""

import gc
import os
import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from dataplane.server.certificates import Certificates
from dataplane.server.contract import Observer
from dataplane.server.loop import Loop
from dataplane.server.parking import Parking
from dataplane.server.settings import ServerSettings

GRACE_SHARE = 0.9
"""Of `graceful_timeout`, for requests: afterwards the application closes, before the arbiter kills."""


TRY_AGAIN = 75
"""Exit status of a process that could not start beside others that serve (sysexits.h, EX_TEMPFAIL)."""


class _Unobserved:
    def stalled(self, seconds: float, /) -> None: ...

    def pool_full(self, pool: str, /) -> None: ...

    def connections(self, count: int, /) -> None: ...


class StreamingWorker(Worker):  # type: ignore[misc]
    """Runs the Loop over the arbiter's sockets. `app.server_settings` are its bounds, `wsgi.observer` hears of it.

    SIGTERM finishes what runs within `graceful_timeout`, SIGINT and SIGQUIT cut it, and so does the arbiter's death
    after the same grace.
    """

    _loop: Loop | None = None

    def load_wsgi(self) -> None:
        """A failure of the application's factory is a boot error, and the arbiter stops rather than tries for ever.

        A factory that ends with TRY_AGAIN wants just that: others serve meanwhile.
        """
        try:
            super().load_wsgi()
        except SystemExit as error:
            if error.code in (Arbiter.APP_LOAD_ERROR, TRY_AGAIN):
                raise
            self.log.error("The application ended while it was made: %s", error.code)
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

    def run(self) -> None:
        application = self.wsgi
        settings = getattr(self.app, "server_settings", None) or ServerSettings()
        observer: Observer = getattr(application, "observer", None) or _Unobserved()
        parking: Parking | None = getattr(application, "parking", None)
        certificates: Mapping[int, Certificates] | None = getattr(application, "certificates", None)
        self._loop = Loop(
            self.sockets,
            application,
            settings,
            observer,
            on_tick=self._on_tick,
            parking=parking,
            certificates=certificates,
        )
        if not self.alive:
            self._loop.stop(0.0)
        # What was made until now stays: the collector need not look at it again and again.
        gc.freeze()
        try:
            self._loop.run()
        finally:
            close: Any = getattr(application, "close", None)
            if close is not None:
                close()

    def _on_tick(self) -> None:
        self.notify()
        if not self.alive:
            # Whoever cleared it (the reloader does) calls no handler.
            self._stop(self.cfg.graceful_timeout * GRACE_SHARE)
        elif os.getppid() != self.ppid:
            self.log.info("The arbiter is gone, stopping worker %s", self.pid)
            self._stop(self.cfg.graceful_timeout * GRACE_SHARE)

    def _stop(self, timeout_s: float) -> None:
        """Called in signal handlers too."""
        self.alive = False
        if self._loop is not None:
            self._loop.stop(timeout_s)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stop(self.cfg.graceful_timeout * GRACE_SHARE)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        self.cfg.worker_int(self)
        self._stop(0.0)
