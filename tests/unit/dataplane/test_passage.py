"""Every request that ends is counted and logged once, after its end and outside of it."""

import json
import time
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from dataplane import passage as module
from dataplane.middleware.access_log import AccessLog
from dataplane.middleware.admission import Admission, AdmissionLimits, Flow
from dataplane.middleware.measures import Measures
from dataplane.middleware.traces import Traces
from dataplane.passage import Ledger, Passage, RequestIds
from dataplane.wire.target import parse_target

NOW_US = 1_764_000_000_123_000


class Book:
    """A ledger, and what it wrote."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.written: list[bytes] = []
        self.access_log = AccessLog(self.written.append)
        self.told: list[bytes] = []
        self.traces = Traces(self.told.extend)
        self.ledger = Ledger(
            measures=Measures(self.registry),
            access_log=self.access_log,
            traces=self.traces,
            now_us=lambda: NOW_US,
        )

    def passage(self) -> Passage:
        environ: dict[str, Any] = {"penstock.started_s": time.monotonic(), "REMOTE_ADDR": "192.0.2.1"}
        return Passage(self.ledger, "R1", environ)

    def lines(self) -> list[dict[str, Any]]:
        self.ledger.settle()
        self.access_log.flush()
        return [json.loads(line) for line in b"".join(self.written).splitlines()]

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def book() -> Book:
    return Book()


def test_a_request_is_logged_with_what_became_known_of_it(book: Book) -> None:
    passage = book.passage()
    passage.operation = "PutObject"
    passage.target = parse_target(b"/photos/%C3%BC%20a")
    passage.access_key_id = "AKID"

    passage.ended(200, 10, 0, True)

    (line,) = book.lines()
    assert (line["operation"], line["bucket"], line["key"]) == ("PutObject", "photos", "ü a")
    assert (line["status"], line["bytes_in"], line["access_key_id"]) == (200, 10, "AKID")
    assert line["time"].endswith(".123Z")
    assert book.value("penstock_requests_total", operation="PutObject", status="200") == 1
    assert book.value("penstock_received_bytes_total", operation="PutObject") == 10


def test_nothing_is_written_before_it_is_settled(book: Book) -> None:
    book.passage().ended(200, 0, 0, True)

    assert book.value("penstock_requests_total", operation="unknown", status="200") is None
    book.ledger.settle()
    book.ledger.settle()
    assert book.value("penstock_requests_total", operation="unknown", status="200") == 1


def test_an_answer_that_was_cut_says_so_unless_it_was_an_error_anyway(book: Book) -> None:
    cut, failed = book.passage(), book.passage()
    failed.code = "NoSuchKey"

    cut.ended(200, 0, 5, False)
    failed.ended(404, 0, 0, False)

    assert [line["code"] for line in book.lines()] == ["ConnectionCut", "NoSuchKey"]


def test_the_place_in_flight_is_given_back_at_the_end_itself(book: Book) -> None:
    limits = AdmissionLimits(
        read_count_max=1, write_count_max=1, shed_threshold=1.0, wait_s=0.0, memory_bytes_max=1
    )
    admission = Admission(limits)
    passage = book.passage()
    passage.ticket = admission.admit(Flow.READ)

    passage.ended(200, 0, 0, True)

    assert admission.in_flight(Flow.READ) == 0


def test_what_finds_too_much_waiting_is_dropped_and_counted(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ENDED_COUNT_MAX", 2)

    for _ in range(5):
        book.passage().ended(200, 0, 0, True)

    assert len(book.lines()) == 2
    assert book.access_log.dropped_count == 3


def test_request_ids_differ_and_look_alike() -> None:
    ids = RequestIds()
    made = [ids.next() for _ in range(1000)]

    assert len(set(made)) == 1000
    assert all(len(each) == 16 and int(each, 16) >= 0 for each in made)
