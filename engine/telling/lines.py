"""One log line as it is told to the control plane: a JSON object of bounded size."""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from engine.logs import fields_of

TEXT_CHARS_MAX = 1024
TRACEBACK_CHARS_MAX = 6 * 1024
FIELD_COUNT_MAX = 24

_formatter = logging.Formatter()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """An event of a log, its fields as text, each cut where it is too long."""

    time_us: int
    level: int
    """As `logging` counts: 10 is debug, 40 is error."""
    logger: str
    process: str
    pid: int
    event: str
    fields: Mapping[str, str]
    traceback: str


def line_of(record: logging.LogRecord, *, process: str) -> LogLine:
    fields = list(fields_of(record).items())[:FIELD_COUNT_MAX]
    traceback = _formatter.formatException(record.exc_info) if record.exc_info else ""
    return LogLine(
        time_us=int(record.created * 1_000_000),
        level=record.levelno,
        logger=record.name[:TEXT_CHARS_MAX],
        process=process,
        pid=record.process or 0,
        event=record.getMessage()[:TEXT_CHARS_MAX],
        fields={name[:64]: str(value)[:TEXT_CHARS_MAX] for name, value in fields if value is not None},
        # What went wrong stands at the end.
        traceback=traceback[-TRACEBACK_CHARS_MAX:],
    )


def write_line(line: LogLine) -> bytes:
    return json.dumps(asdict(line), separators=(",", ":")).encode("ascii")


def read_line(data: Mapping[str, Any]) -> LogLine:
    """Raises KeyError, TypeError or ValueError for what is none."""
    return LogLine(
        time_us=int(data["time_us"]),
        level=int(data["level"]),
        logger=str(data["logger"]),
        process=str(data["process"]),
        pid=int(data["pid"]),
        event=str(data["event"]),
        fields={str(name): str(value) for name, value in dict(data["fields"]).items()},
        traceback=str(data["traceback"]),
    )


def plain_line(*, logger: str, process: str, pid: int, event: str, fields: Mapping[str, str]) -> LogLine:
    """A line that no record stands behind."""
    return LogLine(
        time_us=time.time_ns() // 1000,
        level=logging.WARNING,
        logger=logger,
        process=process,
        pid=pid,
        event=event,
        fields=fields,
        traceback="",
    )
