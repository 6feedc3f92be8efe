"""The access log: one JSON line a request, without secrets, tokens, signatures or bodies."""

import json
import threading
from collections.abc import Callable, Iterator

WAITING_BYTES_MAX = 8 * 1024 * 1024
"""Lines that find this much waiting are dropped: whoever reads the log does not keep up."""

WRITE_BYTES_MAX = 4096
"""Lines written at once: a pipe takes so much as a whole, whoever else writes to it (PIPE_BUF, pipe(7))."""

_escape = json.encoder.encode_basestring_ascii


class AccessLog:
    """Gathers lines, which the plane's own tick writes: a request never waits for whoever reads the log.

    `write` gets whole lines, a few at a time. What cannot be written is dropped and counted.
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
            if self._waiting_bytes > WAITING_BYTES_MAX:
                self.dropped_count += 1
                return
            self._lines.append(line)
            self._waiting_bytes += len(line)

    def flush(self) -> None:
        """Write what waits; for one thread, which may wait for the log's reader."""
        with self._lock:
            lines, self._lines = self._lines, []
        for block in _blocks(lines):
            try:
                self._write("".join(block).encode("ascii"))
            except OSError:
                self.dropped_count += len(block)
        with self._lock:
            self._waiting_bytes -= sum(map(len, lines))


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    block: list[str] = []
    size_bytes = 0
    for line in lines:
        if block and size_bytes + len(line) > WRITE_BYTES_MAX:
            yield block
            block, size_bytes = [], 0
        block.append(line)
        size_bytes += len(line)
    if block:
        yield block
