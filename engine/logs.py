"""Logs as events with fields, for every process alike: JSON lines on standard error, plain lines on a terminal."""

import json
import logging
import os
import select
import sys
import time
from typing import Any, TextIO

ROOM_WAIT_MS = 100
"""How long a line waits for room in a pipe that was not found full before."""

_DROPPED = {"name": "penstock.logs", "levelno": logging.WARNING, "levelname": "WARNING"}
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Time, level, logger, event, then whatever fields the event has; a traceback as one text."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{second}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "process": self._process,
            "pid": record.process,
            "event": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class PlainLines(logging.Formatter):
    """The same for a person: local time, the level where it is more than information, no process id.

    What others chose cannot reach the terminal: whatever is not printable is escaped.
    """

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        parts = [time.strftime("%H:%M:%S", time.localtime(record.created)), self._process]
        if record.levelno > logging.INFO:
            parts.append(record.levelname)
        parts.append(_printable(record.getMessage()))
        parts.extend(f"{name}={_value(value)}" for name, value in fields_of(record).items())
        line = " ".join(parts)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def lines_for(stream: TextIO, *, process: str) -> logging.Formatter:
    """The form that suits who reads `stream`."""
    return PlainLines(process) if stream.isatty() else JsonLines(process)


class LineHandler(logging.Handler):
    """Writes lines to a stream's descriptor, and never waits long for whoever reads them.

    A pipe that stays full costs one wait of `ROOM_WAIT_MS`; from then on lines that find no room are dropped, and
    the first one that finds some is preceded by one that says how many were.
    """

    def __init__(self, stream: TextIO, *, process: str) -> None:
        super().__init__()
        self.setFormatter(lines_for(stream, process=process))
        self._fd = stream.fileno()
        self._room = select.poll()
        self._room.register(self._fd, select.POLLOUT)
        self._dropped_count = 0
        self._is_within_line = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self._line(record)
            if self._dropped_count:
                told = {"msg": "log.lines_dropped", "count": self._dropped_count}
                line = self._line(logging.makeLogRecord(_DROPPED | told)) + line
            if self._is_within_line:
                line = b"\n" + line
            self._write(line)
        except OSError:
            # Whoever read it is gone.
            self._dropped_count += 1
        except Exception:
            self.handleError(record)

    def _line(self, record: logging.LogRecord) -> bytes:
        return f"{self.format(record)}\n".encode(errors="backslashreplace")

    def _write(self, line: bytes) -> None:
        written_bytes = 0
        while written_bytes < len(line):
            # A pipe with any room takes so much as a whole (pipe(7)).
            if not self._room.poll(0 if self._dropped_count else ROOM_WAIT_MS):
                self._dropped_count += 1
                self._is_within_line = self._is_within_line or written_bytes > 0
                return
            written_bytes += os.write(self._fd, line[written_bytes : written_bytes + select.PIPE_BUF])
        self._dropped_count = 0
        self._is_within_line = False


def log_to(stream: TextIO | None, *, process: str, level: str) -> None:
    """Make the root logger write to `stream` (default: standard error); `process` names what runs, as `dataplane`."""
    stream = stream or sys.stderr
    handler = (
        LineHandler(stream, process=process) if _has_descriptor(stream) else logging.StreamHandler(stream)
    )
    handler.setFormatter(lines_for(stream, process=process))
    root = logging.getLogger()
    for old in root.handlers[:]:
        # What tells the control plane of the lines as well goes on doing so.
        if not getattr(old, "is_beside", False):
            root.removeHandler(old)
    root.addHandler(handler)
    set_level(level)


def set_level(level: str) -> None:
    """The least level that is logged from now on, as `info`."""
    logging.getLogger().setLevel(level.upper())


def _has_descriptor(stream: TextIO) -> bool:
    try:
        stream.fileno()
    except OSError:
        return False
    return True


def fields_of(record: logging.LogRecord) -> dict[str, bool | int | float | str | None]:
    """What an event carries beside its name."""
    return {
        name: value if isinstance(value, bool | int | float | None) else str(value)
        for name, value in vars(record).items()
        if name not in _STANDARD
    }


def _value(value: bool | int | float | str | None) -> str:
    text = str(value)
    return json.dumps(_printable(text), ensure_ascii=False) if " " in text or not text else _printable(text)


def _printable(text: str) -> str:
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
