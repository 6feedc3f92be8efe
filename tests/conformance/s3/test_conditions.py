"""Conditional writes and deletes: each is kept by the commit that it guards, or nothing changes (rows F)."""

import base64
import hashlib
import threading
from collections.abc import Callable
from functools import partial

import pytest

from tests.conformance.s3.uploads import Upload
from tests.conformance.s3.wire import BUCKET, Wire
from tests.support.raw_http import Answer

PRECONDITION = (412, "PreconditionFailed")
CONFLICT = (409, "ConditionalRequestConflict")
NO_KEY = (404, "NoSuchKey")


def md5_of(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def at_once(*requests: Callable[[], Answer]) -> list[Answer]:
    """The answers to requests that are sent at the same time, in the order of the requests."""
    answers: dict[int, Answer] = {}

    def send(number: int) -> None:
        answers[number] = requests[number]()

    senders = [threading.Thread(target=send, args=(number,)) for number in range(len(requests))]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return [answers[number] for number in range(len(requests))]


def test_a_put_over_whatever_is_there(wire: Wire, path: str) -> None:
    assert wire.ask("PUT", path, [("if-match", "*")], body=b"x").said == PRECONDITION
    assert wire.stored(path) is None
    wire.put(path, b"first")

    wire.put(path, b"second", [("if-match", "*")])

    assert wire.stored(path) == b"second"


@pytest.mark.parametrize(
    "headers",
    [
        [("if-none-match", '"x"')],
        [("if-match", '"x", "y"')],
        [("if-match", "*"), ("if-none-match", "*")],
    ],
)
def test_what_s3_takes_on_no_write_is_refused_on_every_one(
    wire: Wire, path: str, headers: list[tuple[str, str]]
) -> None:
    wire.put(path, b"x")

    put = wire.ask("PUT", path, headers, body=b"y")
    copy = wire.ask("PUT", path, [*headers, ("x-amz-copy-source", f"{BUCKET}/sentinel")])

    assert put.said == copy.said == (501, "NotImplemented")
    assert wire.stored(path) == b"x"


def test_conditions_on_the_target_of_a_copy(wire: Wire, path: str) -> None:
    wire.put(f"{path}/from", b"source")
    source = ("x-amz-copy-source", f"{path}/from")

    def copy(*conditions: tuple[str, str]) -> tuple[int, str]:
        return wire.ask("PUT", path, [source, *conditions]).said

    assert copy(("if-match", '"x"')) == NO_KEY
    assert copy(("if-match", "*")) == PRECONDITION
    assert wire.stored(path) is None
    assert copy(("if-none-match", "*")) == (200, "")
    assert copy(("if-none-match", "*")) == PRECONDITION
    etag = wire.put(path, b"other").header("etag") or ""
    assert copy(("if-match", '"x"')) == PRECONDITION
    assert wire.stored(path) == b"other"
    assert copy(("if-match", etag)) == (200, "")
    assert copy(("if-match", "*")) == (200, "")
    assert wire.stored(path) == b"source"


def test_conditions_on_a_complete_leave_the_upload_alive(wire: Wire, upload: Upload) -> None:
    upload.part(1, b"whole")
    parts = list(upload.etags.items())
    assert upload.complete(parts, [("if-match", '"x"')]).said == NO_KEY
    assert upload.complete(parts, [("if-match", "*")]).said == PRECONDITION
    etag = wire.put(upload.path, b"there").header("etag") or ""
    assert upload.complete(parts, [("if-none-match", "*")]).said == PRECONDITION
    assert upload.complete(parts, [("if-match", '"x"')]).said == PRECONDITION
    assert wire.stored(upload.path) == b"there"
    assert upload.is_alive()

    assert upload.complete(parts, [("if-match", etag)]).status == 200

    assert wire.stored(upload.path) == b"whole"


def test_conditions_on_a_delete(wire: Wire, path: str) -> None:
    assert wire.ask("DELETE", path, [("if-match", "*")]).said == PRECONDITION
    assert wire.ask("DELETE", path, [("if-match", '"x"')]).said == PRECONDITION
    assert wire.ask("DELETE", path, [("x-amz-if-match-size", "3")]).status == 204
    etag = wire.put(path, b"five!").header("etag") or ""
    modified = wire.get(path).header("last-modified") or ""

    for name, value in [
        ("if-match", '"x"'),
        ("x-amz-if-match-size", "4"),
        ("x-amz-if-match-last-modified-time", "Mon, 24 Nov 2025 16:00:00 GMT"),
    ]:
        assert wire.ask("DELETE", path, [(name, value)]).said == PRECONDITION, name
    for name in ("x-amz-if-match-size", "x-amz-if-match-last-modified-time"):
        assert wire.ask("DELETE", path, [(name, "x")]).said == (400, "InvalidArgument")
        assert wire.ask("PUT", path, [(name, "5")], body=b"y").said == (400, "InvalidRequest")
    assert wire.stored(path) == b"five!"

    right = [
        ("if-match", etag),
        ("x-amz-if-match-size", "5"),
        ("x-amz-if-match-last-modified-time", modified),
    ]
    assert wire.ask("DELETE", path, right).status == 204
    assert wire.stored(path) is None


def test_each_entry_of_a_delete_stands_on_its_own(wire: Wire, path: str) -> None:
    etags = {name: wire.put(f"{path}/{name}", name.encode()).header("etag") or "" for name in "abcd"}
    prefix = path.removeprefix(f"/{BUCKET}/")
    entries = [
        ("a", f"<ETag>{etags['a'].replace(chr(34), '&quot;')}</ETag>"),
        ("b", f"<ETag>{etags['a'].replace(chr(34), '&quot;')}</ETag>"),
        ("c", "<Size>2</Size>"),
        ("d", "<Size>1</Size>"),
        ("e", "<ETag>*</ETag>"),
    ]
    document = "".join(f"<Object><Key>{prefix}/{name}</Key>{asked}</Object>" for name, asked in entries)
    body = f"<Delete>{document}</Delete>".encode()

    answer = wire.ask("POST", f"/{BUCKET}?delete", [("content-md5", md5_of(body))], body=body)

    assert answer.status == 200
    assert answer.body.count(b"<Code>PreconditionFailed</Code>") == 3
    assert [wire.stored(f"{path}/{name}") for name in "abcd"] == [None, b"b", b"c", None]


def test_of_a_put_and_a_delete_at_once_that_saw_the_same_one_wins(wire: Wire, path: str) -> None:
    for _ in range(5):
        etag = wire.put(path, b"seen").header("etag") or ""

        written, deleted = at_once(
            partial(wire.ask, "PUT", path, [("if-match", etag)], body=b"newer"),
            partial(wire.ask, "DELETE", path, [("if-match", etag)]),
        )

        if written.status == 200:
            assert deleted.said in (PRECONDITION, CONFLICT)
            assert wire.stored(path) == b"newer"
        else:
            assert deleted.status == 204
            assert written.said in (NO_KEY, PRECONDITION, CONFLICT)
            assert wire.stored(path) is None


def test_of_copies_and_a_complete_at_once_where_nothing_was_one_wins(wire: Wire, upload: Upload) -> None:
    upload.part(1, b"of parts")
    wire.put(f"{upload.path}/from", b"of a copy")
    only_new = ("if-none-match", "*")
    source = ("x-amz-copy-source", f"{upload.path}/from")

    answers = at_once(
        lambda: upload.complete(list(upload.etags.items()), [only_new]),
        lambda: wire.ask("PUT", upload.path, [source, only_new]),
        lambda: wire.ask("PUT", upload.path, [source, only_new]),
    )

    assert sorted(answer.status for answer in answers)[0] == 200
    assert {answer.said for answer in answers if answer.status != 200} <= {PRECONDITION, CONFLICT}
    assert len([answer for answer in answers if answer.status == 200]) == 1
    assert wire.stored(upload.path) == (b"of parts" if answers[0].status == 200 else b"of a copy")
