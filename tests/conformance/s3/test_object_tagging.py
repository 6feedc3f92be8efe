"""Tags of objects: carried by whatever writes a version, counted by reads, changed beside it, within their limits."""

import re
import uuid
from collections.abc import Mapping

import pytest

from tests.conformance.s3.wire import BUCKET, Wire
from tests.support.raw_http import Answer

TAGGING = "x-amz-tagging"


def document(*pairs: tuple[str, str]) -> bytes:
    rows = "".join(f"<Tag><Key>{key}</Key><Value>{value}</Value></Tag>" for key, value in pairs)
    return f"<Tagging><TagSet>{rows}</TagSet></Tagging>".encode()


def tags_of(wire: Wire, path: str, query: str = "") -> dict[str, str]:
    answer = wire.get(f"{path}?tagging{query}")
    assert answer.status == 200, answer
    return dict(re.findall(r"<Key>([^<]*)</Key><Value>([^<]*)</Value>", answer.body.decode()))


def counted(answer: Answer) -> str | None:
    return answer.header("x-amz-tagging-count")


def test_tags_come_with_an_object_and_are_counted_when_there_are_some(wire: Wire, path: str) -> None:
    wire.put(path, b"x", [(TAGGING, "colour=dark+blue&%C3%BC=%2F")])

    assert tags_of(wire, path) == {"colour": "dark blue", "ü": "/"}
    assert counted(wire.get(path)) == counted(wire.ask("HEAD", path)) == "2"
    wire.put(path, b"y")
    assert (tags_of(wire, path), counted(wire.get(path))) == ({}, None)


def test_tags_are_put_and_deleted_beside_the_object(wire: Wire, path: str) -> None:
    etag = wire.put(path, b"x").header("etag")

    for pairs in ((("a", "1"),), (("b", ""), ("c", "3")), ()):
        assert wire.ask("PUT", f"{path}?tagging", body=document(*pairs)).status == 200
        assert tags_of(wire, path) == dict(pairs)
        assert counted(wire.get(path)) == (str(len(pairs)) if pairs else None)
    wire.put(f"{path}?tagging", document(("a", "1")))
    for _ in range(2):
        assert wire.ask("DELETE", f"{path}?tagging").status == 204
        assert tags_of(wire, path) == {}
    read = wire.get(path)
    assert (read.body, read.header("etag")) == (b"x", etag)


def test_a_copy_keeps_tags_or_gets_its_own(wire: Wire, path: str) -> None:
    wire.put(path, b"x", [(TAGGING, "a=1")])

    def copied(headers: Mapping[str, str]) -> dict[str, str]:
        source = [("x-amz-copy-source", path)]
        wire.put(f"{path}-copy", b"", [*source, *headers.items()])
        return tags_of(wire, f"{path}-copy")

    assert copied({}) == copied({"x-amz-tagging-directive": "COPY", TAGGING: "b=2"}) == {"a": "1"}
    assert copied({"x-amz-metadata-directive": "REPLACE"}) == {"a": "1"}
    assert copied({"x-amz-tagging-directive": "REPLACE", TAGGING: "b=2"}) == {"b": "2"}
    assert copied({"x-amz-tagging-directive": "REPLACE"}) == {}
    wrong = [("x-amz-copy-source", path), ("x-amz-tagging-directive", "KEEP")]
    assert wire.ask("PUT", f"{path}-copy", wrong).said == (400, "InvalidArgument")


def test_an_upload_in_parts_gives_its_object_the_tags_it_began_with(wire: Wire, path: str) -> None:
    begun = wire.ask("POST", f"{path}?uploads", [(TAGGING, "a=1")]).body.decode()
    upload_id = re.findall(r"<UploadId>([^<]*)</UploadId>", begun)[0]
    etag = wire.put(f"{path}?partNumber=1&uploadId={upload_id}", b"part").header("etag")
    part = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    complete = f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode()

    assert wire.ask("POST", f"{path}?uploadId={upload_id}", body=complete).status == 200

    assert tags_of(wire, path) == {"a": "1"}
    assert counted(wire.get(path)) == "1"


def test_every_version_has_its_own_tags(wire: Wire) -> None:
    bucket = f"/tags-{uuid.uuid4().hex[:12]}"
    wire.put(bucket, b"")
    wire.put(
        f"{bucket}?versioning", b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    )
    old, new = (
        wire.put(f"{bucket}/k", text, [(TAGGING, f"is={text.decode()}")]).header("x-amz-version-id")
        for text in (b"old", b"new")
    )

    assert tags_of(wire, f"{bucket}/k") == {"is": "new"}
    changed = wire.put(f"{bucket}/k?tagging&versionId={old}", document(("is", "older")))
    assert changed.header("x-amz-version-id") == old
    assert tags_of(wire, f"{bucket}/k", f"&versionId={old}") == {"is": "older"}
    assert tags_of(wire, f"{bucket}/k", f"&versionId={new}") == {"is": "new"}
    marker = wire.ask("DELETE", f"{bucket}/k").header("x-amz-version-id")
    for method, body in (("GET", b""), ("PUT", document()), ("DELETE", b"")):
        assert wire.ask(method, f"{bucket}/k?tagging", body=body).said == (404, "NoSuchKey")
        by_id = wire.ask(method, f"{bucket}/k?tagging&versionId={marker}", body=body)
        assert by_id.said == (405, "MethodNotAllowed")
        none = wire.ask(method, f"{bucket}/k?tagging&versionId={'0' * 32}", body=body)
        assert none.said == (404, "NoSuchVersion")


@pytest.mark.parametrize(
    ("tagging", "code"),
    [
        ("&".join(f"k{number}=v" for number in range(11)), "BadRequest"),
        ("k" * 129 + "=v", "InvalidTag"),
        ("k=" + "v" * 257, "InvalidTag"),
        ("k=1&k=2", "InvalidTag"),
        ("aws:k=v", "InvalidTag"),
        ("=v", "InvalidTag"),
        ("k=%00", "InvalidTag"),
        ("k=%FF", "InvalidArgument"),
        ("k=v;w", "InvalidTag"),
    ],
)
def test_d12_tags_that_no_object_can_have(wire: Wire, path: str, tagging: str, code: str) -> None:
    for method, target in (("PUT", path), ("POST", f"{path}?uploads")):
        assert wire.ask(method, target, [(TAGGING, tagging)], body=b"").said == (400, code)
    assert wire.stored(path) is None


def test_d12_documents_of_objects_that_are_refused_leave_the_tags(wire: Wire, path: str) -> None:
    wire.put(path, b"x", [(TAGGING, "a=1")])
    target = f"{path}?tagging"

    for pairs in (
        [(f"k{number}", "v") for number in range(11)],
        [("k" * 129, "v")],
        [("k", "v" * 257)],
        [("k", "1"), ("k", "2")],
        [("aws:k", "v")],
    ):
        answer = wire.ask("PUT", target, body=document(*pairs))
        assert (answer.status, answer.code in ("BadRequest", "InvalidTag")) == (400, True)
    for body in (b"no xml", b"<Tagging/>", b"<!DOCTYPE a>" + document(), document() * 2):
        assert wire.ask("PUT", target, body=body).said == (400, "MalformedXML")
    assert wire.ask("PUT", target, body=b"").said == (400, "MissingRequestBodyError")
    assert tags_of(wire, path) == {"a": "1"}
    wire.put(target, document(("k" * 128, "v" * 256), *((f"k{number}", "") for number in range(9))))
    assert counted(wire.get(path)) == "10"


def test_who_only_reads_changes_no_tags(wire: Wire, reader: Wire, other: Wire, path: str) -> None:
    wire.put(path, b"x", [(TAGGING, "a=1")])

    assert tags_of(reader, path) == {"a": "1"}
    for client in (reader, other):
        assert client.ask("PUT", f"{path}?tagging", body=document()).said == (403, "AccessDenied")
        assert client.ask("DELETE", f"{path}?tagging").said == (403, "AccessDenied")
    assert other.get(f"{path}?tagging").said == (403, "AccessDenied")
    assert wire.get(f"/{BUCKET}/nobody-wrote-this?tagging").said == (404, "NoSuchKey")
