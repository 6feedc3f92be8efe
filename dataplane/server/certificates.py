"""The certificate that new connections are shown: read again when its files change, kept while they are no good."""

import logging
import ssl

from engine.settings.tls import TlsSettings, UnusableTlsFiles, file_marks, server_context

_log = logging.getLogger("penstock.server")


class Certificates:
    """`context` is what the next connection is served with; connections that are open keep theirs."""

    def __init__(self, settings: TlsSettings) -> None:
        """Raises UnusableTlsFiles."""
        self._settings = settings
        self._served = self._changed = file_marks(self._settings)
        self.context: ssl.SSLContext = server_context(settings)

    def refresh(self) -> None:
        """Called every tick: some looks at the files, and a new context once they have changed and lie still."""
        marks = file_marks(self._settings)
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
