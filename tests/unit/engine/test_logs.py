"""Logs are JSON lines for programs and plain lines for a person at a terminal, one a fact, whatever is in them."""

import io
import json
import logging
import sys

import pytest

from engine.logs import JsonLines, PlainLines, lines_for


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def record(event: str, *, level: int = logging.INFO, **fields: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"levelno": level, "levelname": logging.getLevelName(level), "msg": event})
    vars(made).update(fields)
    return made


def test_a_terminal_gets_plain_lines_and_everybody_else_json() -> None:
    assert isinstance(lines_for(Terminal(), process="x"), PlainLines)
    assert isinstance(lines_for(io.StringIO(), process="x"), JsonLines)


def test_a_json_line_holds_the_event_and_its_fields() -> None:
    line = json.loads(JsonLines("dataplane").format(record("copy.repaired", backend="near", count=2)))

    assert (line["process"], line["event"], line["level"]) == ("dataplane", "copy.repaired", "info")
    assert (line["backend"], line["count"]) == ("near", 2)


def test_a_plain_line_reads_like_one() -> None:
    line = PlainLines("dataplane").format(record("copy.repaired", backend="near", count=2, why="no answer"))

    assert line.partition(" ")[2] == 'dataplane copy.repaired backend=near count=2 why="no answer"'


@pytest.mark.parametrize(("level", "is_named"), [(logging.INFO, False), (logging.WARNING, True)])
def test_a_plain_line_names_the_level_only_where_somebody_should_look(level: int, is_named: bool) -> None:
    line = PlainLines("dataplane").format(record("copy.repaired", level=level))

    assert (logging.getLevelName(level) in line) is is_named


@pytest.mark.parametrize("text", ["\x1b[31mred", "two\nlines", "\u202ereversed", "\r"])
def test_nothing_that_moves_a_terminal_gets_through(text: str) -> None:
    line = PlainLines("dataplane").format(record(f"event {text}", field=text))

    assert line.isprintable()


def test_a_traceback_follows_a_plain_line() -> None:
    failed = record("request.failed", level=logging.ERROR)
    try:
        raise ValueError("why")
    except ValueError:
        failed.exc_info = sys.exc_info()

    line, *traceback = PlainLines("dataplane").format(failed).splitlines()

    assert line.endswith("dataplane ERROR request.failed")
    assert traceback[-1] == "ValueError: why"
