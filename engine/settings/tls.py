"""TLS of a listener: where certificate and key stand, and the context that serves them."""

import ssl
from pathlib import Path

from engine.settings.quantities import PathOnDisk
from engine.settings.section import Section


class UnusableTlsFiles(Exception):
    """Certificate, key or client authorities that cannot be served; the message says which and why."""


class TlsSettings(Section):
    """TLS 1.2 and 1.3, in place of plain HTTP. The files are read again when they change, without a restart."""

    cert: PathOnDisk
    """File with the certificate and those between it and its authority, in PEM, its own first."""

    key: PathOnDisk
    """File with the certificate's private key, in PEM and not encrypted."""

    client_ca: PathOnDisk | None = None
    """File with authorities in PEM. When given, every client must show a certificate that one of them issued."""


Marks = tuple[tuple[int, int, int] | None, ...]
"""By which a change of the files is seen."""


def file_marks(settings: TlsSettings) -> Marks:
    """Where each file stands now; null for one that cannot be looked at."""
    paths = (settings.cert, settings.key, settings.client_ca)
    return tuple(_mark(path) for path in paths if path is not None)


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """A context of what the files hold now; raises UnusableTlsFiles."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Renegotiation lets one client make the server compute for as long as it likes (CVE-2011-1473).
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.set_alpn_protocols(["http/1.1"])
    # One is enough for a client that comes again, and goes out with each handshake.
    context.num_tickets = 1
    for path in (settings.cert, settings.key, settings.client_ca):
        if path is not None:
            try:
                path.open("rb").close()
            except OSError as error:
                raise UnusableTlsFiles(f"{path} cannot be read: {error.strerror}") from error
    try:
        context.load_cert_chain(settings.cert, settings.key, password=_no_password)
    except (OSError, ValueError) as error:
        # ssl.SSLError is an OSError; without a reason it found no PEM.
        reason = str(error) if isinstance(error, ValueError) else getattr(error, "reason", None) or "no PEM"
        raise UnusableTlsFiles(
            f"{settings.cert} and {settings.key} are no usable certificate with its key: {reason}"
        ) from error
    if settings.client_ca is not None:
        try:
            context.load_verify_locations(settings.client_ca)
        except OSError as error:
            raise UnusableTlsFiles(f"{settings.client_ca} holds no certificates of authorities") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _no_password() -> str:
    """OpenSSL would ask whoever sits at the terminal, and wait."""
    raise ValueError("the key is encrypted")


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
