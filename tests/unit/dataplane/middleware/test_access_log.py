"""The access log writes one whole JSON line a request, whatever clients put into names, and never stops a request."""

import json
from typing import Any

from dataplane.middleware import access_log
from dataplane.middleware.access_log import WRITE_BYTES_MAX, AccessLog


def record(log: AccessLog, **changes: Any) -> None:
    fields: dict[str, Any] = {
        "time_text": "2026-11-24T16:16:41.123Z",
        "request_id": "R1",
        "peer": "127.0.0.1",
        "access_key_id": "AKID",
        "operation": "GetObject",
        "bucket": "photos",
        "key": "a",
        "status": 200,
        "code": "",
        "bytes_in": 0,
        "bytes_out": 5,
        "duration_us": 77,
        "user_agent": "test",
    }
    log.record(**(fields | changes))


def test_lines_are_written_when_flushed_whole_and_in_order() -> None:
    written: list[bytes] = []
    log = AccessLog(written.append)

    for number in range(3):
        record(log, request_id=f"R{number}")
    assert written == []
    log.flush()

    lines = b"".join(written).decode().splitlines()
    assert [json.loads(line)["request_id"] for line in lines] == ["R0", "R1", "R2"]
    assert json.loads(lines[0])["duration_us"] == 77


def test_what_clients_choose_cannot_break_a_line() -> None:
    written: list[bytes] = []
    log = AccessLog(written.append)

    record(log, key='x"\n{"event":"forged"}\x00\u2028', user_agent='"\\')
    log.flush()

    (line,) = b"".join(written).splitlines()
    assert json.loads(line)["key"] == 'x"\n{"event":"forged"}\x00\u2028'


def test_lines_leave_in_writes_that_a_pipe_takes_whole() -> None:
    written: list[bytes] = []
    log = AccessLog(written.append)

    for _ in range(100):
        record(log, key="k" * 200)
    log.flush()

    assert len(written) > 1
    assert all(len(block) <= WRITE_BYTES_MAX and block.endswith(b"\n") for block in written)


def test_a_log_that_cannot_be_written_is_counted() -> None:
    def fail(block: bytes) -> None:
        raise OSError

    log = AccessLog(fail)
    record(log)
    log.flush()

    assert log.dropped_count == 1


def test_a_reader_that_does_not_keep_up_costs_lines_and_no_memory(monkeypatch: Any) -> None:
    monkeypatch.setattr(access_log, "WAITING_BYTES_MAX", 1000)
    written: list[bytes] = []
    log = AccessLog(written.append)

    for _ in range(50):
        record(log)
    assert log.dropped_count > 40
    log.flush()
    record(log)
    log.flush()

    assert len(b"".join(written).splitlines()) == 50 - log.dropped_count + 1
