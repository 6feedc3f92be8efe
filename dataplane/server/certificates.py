"""The certificate that new connections are shown: read again when its files change, kept while they are no good."""

import logging
import os
import ssl

from engine.settings.tls import TlsSettings, UnusableTlsFiles, server_context

_log = logging.getLogger("penstock.server")

_Marks = list[tuple[int, int, int] | None]


class Certificates:
    """`context` is what the next connection is served with; connections that are open keep theirs."""

    def __init__(self, settings: TlsSettings) -> None:
        """Raises UnusableTlsFiles."""
        self._settings = settings
        self._served = self._changed = self._look()
        self.context: ssl.SSLContext = server_context(settings)

    def refresh(self) -> None:
        """Called every tick: some looks at the files, and a new context once they have changed and lie still."""
        marks = self._look()
        if marks == self._served:
            return
        if marks != self._changed:
            # Certificate and key are written one after the other.
            self._changed = marks
            return
        self._served = marks
        try:
            self.context = server_context(self._settings)
        except UnusableTlsFiles as error:
            _log.error("tls.kept_old reason=%s", error)
        else:
            _log.info("tls.renewed cert=%s", self._settings.cert)

    def _look(self) -> _Marks:
        settings = self._settings
        return [
            _mark(os.fspath(path))
            for path in (settings.cert, settings.key, settings.client_ca)
            if path is not None
        ]


def _mark(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
