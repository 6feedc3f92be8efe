"""Sends a message to a webhook: one signed POST to an address that was looked at, no redirect, a bounded answer."""

import hashlib
import hmac
import http.client
import re
import socket
import ssl
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from engine.notifications.targets import Target, resolve

TIMESTAMP_HEADER = "X-Penstock-Timestamp"
SIGNATURE_HEADER = "X-Penstock-Signature"
EVENT_HEADER = "X-Penstock-Event-Id"

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})[ \r\n]")
_STATUS_LINE_BYTES_MAX = 1024


class DeliveryFailed(Exception):
    """The message may not have arrived; sending it again is right. Says nothing of what the receiver answered."""


def signature(secret: bytes, timestamp: int, body: bytes) -> str:
    """What a receiver compares: HMAC-SHA256 over the time in seconds, a dot, and the body, in hex behind `v1=`."""
    return "v1=" + hmac.new(secret, f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


class Webhooks:
    """Safe for many threads."""

    def __init__(self, *, now_s: Callable[[], float] = time.time, tls: ssl.SSLContext | None = None) -> None:
        self._now_s = now_s
        self._tls = tls or ssl.create_default_context()

    def send(self, target: Target, body: bytes, *, event_id: str, content_type: str) -> None:
        """Returns once the receiver said 2xx. Raises DeliveryFailed."""
        url = urlsplit(target.url)
        assert url.hostname is not None
        port = url.port or (443 if url.scheme == "https" else 80)
        timestamp = int(self._now_s())
        headers = {
            "Host": url.netloc,
            "Content-Type": content_type,
            "Content-Length": str(len(body)),
            "User-Agent": "penstock-notifier",
            "Connection": "close",
            EVENT_HEADER: event_id,
            TIMESTAMP_HEADER: str(timestamp),
            SIGNATURE_HEADER: signature(target.secret, timestamp, body),
        }
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        deadline_s = time.monotonic() + target.timeout_s
        try:
            address = resolve(url.hostname, port, allows_private=target.allows_private)
            connection = _Connection(
                url.hostname,
                port,
                address=address,
                tls=self._tls if url.scheme == "https" else None,
                timeout_s=target.timeout_s,
            )
            try:
                connection.request("POST", path, body=body, headers=headers)
                status = _status(connection.sock, deadline_s)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise DeliveryFailed(f"{type(error).__name__}: {error}"[:500]) from error
        if not 200 <= status < 300:
            raise DeliveryFailed(f"the receiver answered {status}")


class _Connection(http.client.HTTPConnection):
    """To an address that was chosen before; the name is for the certificate and the Host header alone."""

    def __init__(
        self, host: str, port: int, *, address: str, tls: ssl.SSLContext | None, timeout_s: float
    ) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self._address = address
        self._tls = tls
        self._timeout_s = timeout_s

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), self._timeout_s)
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)


def _status(sock: socket.socket, deadline_s: float) -> int:
    """The status alone, and nothing behind its line: whoever trickles it is not waited for beyond the deadline."""
    said = b""
    while b"\n" not in said:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("timed out")
        sock.settimeout(left_s)
        more = sock.recv(_STATUS_LINE_BYTES_MAX)
        said += more
        if not more or len(said) > _STATUS_LINE_BYTES_MAX:
            break
    found = _STATUS_LINE.match(said)
    if found is None:
        raise http.client.BadStatusLine("not an answer of HTTP")
    return int(found[1])
