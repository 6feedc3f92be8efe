"""An answer that begins before its work has ended is one document of its announced length, however the work ends."""

import xml.etree.ElementTree as ElementTree
from concurrent.futures import Future

import pytest

from dataplane.wire.long_answer import DECLARATION, AnswerTooLong, LongAnswer
from engine.streams import FileRegion, WouldBlock

DOCUMENT = DECLARATION + b"<Done><Key>k</Key></Done>"
ROOM = 200


def long_answer(work: Future[str], *, wait_max_s: float = 60.0, room_bytes: int = ROOM) -> LongAnswer[str]:
    return LongAnswer(
        work,
        document=lambda key: DOCUMENT.replace(b"<Key>k<", f"<Key>{key}<".encode()),
        failure=lambda error: DECLARATION + f"<Error><Code>{error}</Code></Error>".encode(),
        room_bytes=room_bytes,
        interval_s=0.001,
        wait_max_s=wait_max_s,
    )


def said(answer: LongAnswer[str], *, nowait: bool = False) -> bytes:
    region = answer.next_region(nowait=nowait)
    assert region is not None
    assert not isinstance(region, FileRegion)
    return bytes(region)


def rest(answer: LongAnswer[str]) -> bytes:
    regions = []
    while answer.remaining_bytes:
        regions.append(said(answer))
    assert answer.next_region() is None
    return b"".join(regions)


@pytest.mark.parametrize("blank_count", [0, 1, 7])
def test_blanks_go_before_the_document_and_its_length_is_kept(blank_count: int) -> None:
    work: Future[str] = Future()
    answer = long_answer(work)
    announced_bytes = answer.remaining_bytes
    begun = said(answer) + b"".join(said(answer) for _ in range(blank_count))

    work.set_result("a")
    body = begun + rest(answer)

    assert begun == DECLARATION + b" " * blank_count
    assert len(body) == announced_bytes
    assert ElementTree.fromstring(body).findtext("Key") == "a"
    assert body.count(DECLARATION) == 1


def test_a_failure_is_told_by_an_error_document() -> None:
    work: Future[str] = Future()
    answer = long_answer(work)
    begun = said(answer) + said(answer)

    work.set_exception(ValueError("NoSuchUpload"))
    body = begun + rest(answer)

    root = ElementTree.fromstring(body)
    assert (root.tag, root.findtext("Code")) == ("Error", "NoSuchUpload")


def test_who_may_not_wait_is_told_so_until_the_work_has_ended() -> None:
    work: Future[str] = Future()
    answer = long_answer(work)

    assert said(answer, nowait=True) == DECLARATION
    with pytest.raises(WouldBlock):
        answer.next_region(nowait=True)
    work.set_result("a")

    assert said(answer, nowait=True) == DOCUMENT.removeprefix(DECLARATION).replace(b"k<", b"a<")


def test_an_answer_is_not_held_open_for_ever() -> None:
    answer = long_answer(Future(), wait_max_s=0.0)
    said(answer)

    with pytest.raises(AnswerTooLong):
        said(answer)


def test_a_document_without_room_is_no_answer() -> None:
    work: Future[str] = Future()
    work.set_result("k" * ROOM)
    answer = long_answer(work, room_bytes=10, wait_max_s=0.01)
    said(answer)

    with pytest.raises(AnswerTooLong):
        said(answer)
