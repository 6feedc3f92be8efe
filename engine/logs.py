"""Logs as events with fields, for every process alike: JSON lines on standard error, plain lines on a terminal."""

import json
import logging
import sys
import time
from typing import Any, TextIO

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
            **_fields(record),
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
        parts.extend(f"{name}={_value(value)}" for name, value in _fields(record).items())
        line = " ".join(parts)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def lines_for(stream: TextIO, *, process: str) -> logging.Formatter:
    """The form that suits who reads `stream`."""
    return PlainLines(process) if stream.isatty() else JsonLines(process)


def log_to(stream: TextIO | None, *, process: str, level: str) -> None:
    """Make the root logger write to `stream` (default: standard error); `process` names what runs, as `dataplane`."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(lines_for(stream, process=process))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())


def _fields(record: logging.LogRecord) -> dict[str, bool | int | float | str | None]:
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
