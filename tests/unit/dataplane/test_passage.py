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
from dataplane.wire.served_operations import SERVED
from dataplane.wire.target import parse_target
from dataplane.wire.usage_kinds import USAGE_KINDS
from engine.metadata.bucket_usage import NamedBucket
from engine.records import UsageKind

NOW_US = 1_764_000_000_123_000


class FakeUses:
    """What was counted of buckets: by kind how often, how often with content, bytes received and sent."""

    def __init__(self) -> None:
        self.sums: dict[tuple[NamedBucket, UsageKind], list[int]] = {}

    def count(
        self,
        bucket: NamedBucket,
        kind: UsageKind,
        /,
        *,
        request_count: int,
        content_count: int,
        received_bytes: int,
        sent_bytes: int,
    ) -> None:
        before = self.sums.get((bucket, kind), [0, 0, 0, 0])
        more = (request_count, content_count, received_bytes, sent_bytes)
        self.sums[bucket, kind] = [old + new for old, new in zip(before, more, strict=True)]


class Book:
    """A ledger, and what it wrote."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.written: list[bytes] = []
        self.access_log = AccessLog(self.written.append)
        self.told: list[bytes] = []
        self.traces = Traces(self.told.extend)
        self.uses = FakeUses()
        self.ledger = Ledger(
            measures=Measures(self.registry),
            access_log=self.access_log,
            traces=self.traces,
            bucket_uses=self.uses,
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


def let_in(book: Book, operation: str, target: bytes) -> Passage:
    passage = book.passage()
    passage.operation, passage.target, passage.account_id = operation, parse_target(target), 7
    return passage


def test_what_is_asked_of_a_bucket_is_counted_by_its_kind(book: Book) -> None:
    for operation, status, received, sent in (
        ("PutObject", 200, 100, 0),
        ("UploadPart", 200, 1000, 0),
        ("PutObject", 507, 10, 300),
        ("CopyObject", 200, 0, 150),
        ("ListObjectsV2", 200, 0, 500),
        ("GetObject", 206, 0, 4096),
        ("HeadObject", 404, 0, 0),
        ("DeleteObject", 204, 0, 0),
        ("DeleteObjects", 200, 200, 250),
    ):
        let_in(book, operation, b"/photos/k").ended(status, received, sent, True)
    let_in(book, "GetObject", b"/films/k").ended(200, 0, 5, False)

    book.ledger.settle()

    photos, films = NamedBucket("photos", 7), NamedBucket("films", 7)
    assert book.uses.sums == {
        (photos, UsageKind.WRITE_REQUESTS): [5, 2, 1110, 950],
        (photos, UsageKind.READ_REQUESTS): [2, 0, 0, 4096],
        (photos, UsageKind.DELETE_REQUESTS): [2, 0, 200, 250],
        (films, UsageKind.READ_REQUESTS): [1, 0, 0, 5],
    }


def test_requests_that_were_not_let_in_or_are_of_no_bucket_are_counted_of_none(book: Book) -> None:
    stranger = book.passage()
    stranger.target = parse_target(b"/photos/k")
    stranger.code = "AccessDenied"
    stranger.ended(403, 0, 300, True)
    missed = let_in(book, "GetObject", b"/made-up/k")
    missed.code = "NoSuchBucket"
    missed.ended(404, 0, 300, True)
    let_in(book, "ListBuckets", b"/").ended(200, 0, 300, True)

    book.ledger.settle()

    assert book.uses.sums == {}


def test_every_operation_of_a_bucket_is_of_one_kind() -> None:
    kinds = {each.name: USAGE_KINDS.get(each.name) for each in SERVED}

    assert [name for name, kind in kinds.items() if kind is None] == ["ListBuckets"]
    assert {name for name, kind in kinds.items() if kind is UsageKind.READ_REQUESTS} == {
        each.name for each in SERVED if each.method in ("GET", "HEAD") and not each.name.startswith("List")
    }
    assert kinds["AbortMultipartUpload"] is UsageKind.DELETE_REQUESTS
    assert kinds["CompleteMultipartUpload"] is UsageKind.WRITE_REQUESTS
