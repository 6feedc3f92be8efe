"""Work that takes long is begun to be answered; what came of it stands in the document that ends the answer."""

import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import cast

import pytest
from falcon import Response

from dataplane.auth.sigv4 import Authenticated
from dataplane.exchange import Exchange
from dataplane.handlers.long_work import LongWork
from dataplane.server.contract import Lane
from dataplane.wire.long_answer import DECLARATION, LongAnswer
from dataplane.wire.served_operations import SERVED
from dataplane.wire.target import parse_target
from engine.errors import EngineError, NoSuchUpload
from tests.support.bodies import regions_of

TARGET = b"/bucket/key?uploadId=00"
COMPLETE = next(each for each in SERVED if each.name == "CompleteMultipartUpload")


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What slow work waits for; open at the end of the test, so that no thread stays."""
    made = threading.Event()
    yield made
    made.set()


def exchange_in(lane: Lane) -> Exchange:
    return Exchange(
        environ={"penstock.lane": lane, "penstock.target": TARGET},
        request_id="R",
        target=parse_target(TARGET),
        operation=COMPLETE,
        caller=cast(Authenticated, None),
    )


def document(done: str) -> bytes:
    return DECLARATION + f"<Done>{done}</Done>".encode()


def long_answer(resp: Response) -> LongAnswer[str]:
    answer = resp.stream
    assert isinstance(answer, LongAnswer)
    assert (resp.status_code, resp.content_type) == (200, "application/xml")
    assert resp.headers["content-length"] == str(answer.remaining_bytes)
    return answer


@pytest.mark.parametrize("lane", [Lane.STREAMING, Lane.SHORT, Lane.PARKING])
def test_quick_work_is_answered_as_ever(lane: Lane) -> None:
    resp = Response()

    assert LongWork(patience_s=20).run(exchange_in(lane), resp, lambda: "quick", document) == "quick"

    assert resp.stream is None


@pytest.mark.parametrize("lane", [Lane.STREAMING, Lane.SHORT])
def test_quick_work_that_fails_has_a_status_of_its_own(lane: Lane) -> None:
    def fail() -> str:
        raise NoSuchUpload(upload_id="x")

    with pytest.raises(NoSuchUpload):
        LongWork(patience_s=20).run(exchange_in(lane), Response(), fail, document)


def test_slow_work_is_answered_while_it_goes_on(gate: threading.Event) -> None:
    resp = Response()

    def work() -> str:
        gate.wait()
        return "slow"

    begun = LongWork(patience_s=0, interval_s=0.01).run(exchange_in(Lane.STREAMING), resp, work, document)
    answer = long_answer(resp)
    first = [answer.next_region(), answer.next_region()]
    gate.set()

    assert begun is None
    assert [bytes(each) for each in first if isinstance(each, memoryview)] == [DECLARATION, b" "]
    assert ElementTree.fromstring(DECLARATION + b"".join(regions_of(answer))).text == "slow"


@pytest.mark.parametrize(
    ("error", "code"), [(NoSuchUpload(upload_id="x"), "NoSuchUpload"), (ValueError("ours"), "InternalError")]
)
def test_slow_work_that_fails_ends_with_an_error_document(
    gate: threading.Event, caplog: pytest.LogCaptureFixture, error: Exception, code: str
) -> None:
    resp = Response()

    def work() -> str:
        gate.wait()
        raise error

    LongWork(patience_s=0, interval_s=0.01).run(exchange_in(Lane.STREAMING), resp, work, document)
    gate.set()
    root = ElementTree.fromstring(b"".join(regions_of(long_answer(resp))))

    assert (root.tag, root.findtext("Code"), root.findtext("RequestId")) == ("Error", code, "R")
    assert root.findtext("Resource") == "/bucket/key"
    assert ("request.failed" in caplog.text) == (not isinstance(error, EngineError))
    assert "ours" not in (root.findtext("Message") or "")
