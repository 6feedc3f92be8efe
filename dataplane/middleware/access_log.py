"""The access log: one JSON line a request, without secrets, tokens, signatures or bodies."""

import json
import threading
from collections.abc import Callable

FLUSH_BYTES = 64 * 1024
"""Lines are written together once this many bytes wait."""

_escape = json.encoder.encode_basestring_ascii


class AccessLog:
    """Gathers lines and writes them in blocks: at `FLUSH_BYTES`, and whenever the plane's tick calls `flush`.

    `write` gets whole lines. A log that cannot be written is dropped and counted: it never stops a request.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._lines: list[str] = []
        self._waiting_bytes = 0
        self.dropped_count = 0

    def record(
        self,
        *,
        time_text: str,
        request_id: str,
        peer: str,
        access_key_id: str,
        operation: str,
        bucket: str,
        key: str,
        status: int,
        code: str,
        bytes_in: int,
        bytes_out: int,
        duration_us: int,
        user_agent: str,
    ) -> None:
        """Add one line. `key` is the object's key as text; sizes are of the bodies; `code` is the S3 error or empty."""
        line = (
            f'{{"time":"{time_text}","event":"request","request_id":"{request_id}","peer":"{peer}",'
            f'"access_key_id":{_escape(access_key_id)},"operation":"{operation}","bucket":{_escape(bucket)},'
            f'"key":{_escape(key)},"status":{status},"code":"{code}","bytes_in":{bytes_in},"bytes_out":{bytes_out},'
            f'"duration_us":{duration_us},"user_agent":{_escape(user_agent)}}}\n'
        )
        with self._lock:
            self._lines.append(line)
            self._waiting_bytes += len(line)
            is_due = self._waiting_bytes >= FLUSH_BYTES
        if is_due:
            self.flush()

    def flush(self) -> None:
        with self._lock:
            lines, self._lines, self._waiting_bytes = self._lines, [], 0
        if lines:
            try:
                self._write("".join(lines).encode("ascii"))
            except OSError:
                self.dropped_count += len(lines)
