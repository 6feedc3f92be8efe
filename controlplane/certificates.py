"""The certificate of the control API: read again when its files change, kept while they are no good."""

import logging
import threading
from collections.abc import Callable
from typing import cast

import grpc

from engine.settings.tls import Marks, TlsSettings, UnusableTlsFiles, file_marks, server_context

_log = logging.getLogger("penstock.control")


class ControlCertificates:
    """What new connections are served with. gRPC asks before each handshake, from a thread of its own."""

    def __init__(self, settings: TlsSettings) -> None:
        """Raises UnusableTlsFiles."""
        self._settings = settings
        self._lock = threading.Lock()
        self._seen = file_marks(settings)
        self._current = self._handed = _read(settings, self._seen)

    def credentials(self) -> grpc.ServerCredentials:
        """With authorities of clients every client must show a certificate that one of them issued."""
        needs_client = self._settings.client_ca is not None
        # Its stubs do not know that nothing to hand over is none.
        renewed = cast("Callable[[], grpc.ServerCertificateConfiguration]", self._renewed)
        return grpc.dynamic_ssl_server_credentials(self._handed, renewed, needs_client)

    def refresh(self) -> None:
        """Look at the files; a change that cannot be served is told once. Never raises."""
        with self._lock:
            marks = file_marks(self._settings)
            if marks == self._seen:
                return
            self._seen = marks
            try:
                self._current = _read(self._settings, marks)
            except UnusableTlsFiles as error:
                _log.error("tls.kept_old", extra={"why": str(error)})
            else:
                _log.info("tls.renewed", extra={"cert": str(self._settings.cert)})

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        self.refresh()
        with self._lock:
            if self._handed is self._current:
                return None
            self._handed = self._current
            return self._handed


def _read(settings: TlsSettings, marks: Marks) -> grpc.ServerCertificateConfiguration:
    server_context(settings)
    try:
        key, cert = settings.key.read_bytes(), settings.cert.read_bytes()
        authorities = None if settings.client_ca is None else settings.client_ca.read_bytes()
    except OSError as error:
        raise UnusableTlsFiles(f"{error.filename} cannot be read: {error.strerror}") from error
    if file_marks(settings) != marks:
        # Certificate and key are written one after the other: the next look finds both.
        raise UnusableTlsFiles("the files change as they are read")
    return grpc.ssl_server_certificate_configuration([(key, cert)], authorities)
