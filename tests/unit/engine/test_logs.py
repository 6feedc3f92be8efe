"""Logs are JSON lines for programs and plain lines for a person at a terminal, one a fact, whatever is in them."""

import fcntl
import io
import json
import logging
import os
import sys
from collections.abc import Iterator

import pytest

from engine.logs import JsonLines, LineHandler, PlainLines, lines_for


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


@pytest.fixture
def pipe() -> Iterator[tuple[int, io.TextIOWrapper]]:
    """A small pipe: the end to read, and the end that is a stream to log to."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with os.fdopen(writing, "w") as stream:
        yield reading, stream
        # What is buffered, which nothing should be, finds its reader gone or room.
        os.set_blocking(reading, False)
        while _read(reading):
            pass
    os.close(reading)


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 1 << 20)
    except BlockingIOError:
        return b""


def test_a_reader_that_does_not_read_keeps_nobody_waiting_and_learns_what_it_missed(
    pipe: tuple[int, io.TextIOWrapper],
) -> None:
    reading, stream = pipe
    handler = LineHandler(stream, process="x")

    for number in range(200):
        handler.emit(record("copy.repaired", number=number))

    lines = [json.loads(line) for line in os.read(reading, 1 << 20).splitlines()]
    assert [line["number"] for line in lines] == list(range(len(lines)))
    assert 0 < len(lines) < 200

    handler.emit(record("copy.repaired", number=200))
    told, last = (json.loads(line) for line in os.read(reading, 1 << 20).splitlines())
    assert (told["event"], told["count"]) == ("log.lines_dropped", 200 - len(lines))
    assert last["number"] == 200


def test_a_line_longer_than_a_pipe_holds_is_cut_off_and_the_next_one_stands_on_its_own(
    pipe: tuple[int, io.TextIOWrapper],
) -> None:
    reading, stream = pipe
    handler = LineHandler(stream, process="x")

    handler.emit(record("x" * 10_000))
    os.read(reading, 1 << 20)
    handler.emit(record("copy.repaired"))

    *_, last = os.read(reading, 1 << 20).splitlines()
    assert json.loads(last)["event"] == "copy.repaired"
