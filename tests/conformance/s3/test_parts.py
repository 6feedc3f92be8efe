"""Parts of whole objects: read by number, told of by attributes, and copied into uploads (rows F, S3 21 and 24)."""

import hashlib
import os

import pytest

from tests.conformance.s3.uploads import PART_BYTES, Upload, element
from tests.conformance.s3.wire import BUCKET, SENTINEL, SENTINEL_BODY, Wire

INVALID_ARGUMENT = (400, "InvalidArgument")
NO_PART = (416, "InvalidPartNumber")


@pytest.fixture
def bodies(upload: Upload) -> list[bytes]:
    """What the parts 1, 2 and 3 of the test's object were sent with."""
    sent = [os.urandom(PART_BYTES), os.urandom(PART_BYTES + 7), b"the last"]
    for number, body in enumerate(sent, 1):
        assert upload.part(number, body).status == 200
    assert upload.complete().status == 200
    return sent


def test_f06_a_part_is_read_by_its_number(wire: Wire, upload: Upload, bodies: list[bytes]) -> None:
    start, size = 0, sum(map(len, bodies))
    for number, body in enumerate(bodies, 1):
        answer = wire.get(f"{upload.path}?partNumber={number}")
        head = wire.ask("HEAD", f"{upload.path}?partNumber={number}")
        assert (answer.status, head.status) == (206, 206)
        assert answer.body == body
        for each in (answer, head):
            assert each.header("content-range") == f"bytes {start}-{start + len(body) - 1}/{size}"
            assert each.header("content-length") == str(len(body))
            assert each.header("x-amz-mp-parts-count") == "3"
        start += len(body)
    assert wire.get(upload.path).header("x-amz-mp-parts-count") is None


def test_f06_what_is_no_part(wire: Wire, upload: Upload, bodies: list[bytes]) -> None:
    for number in ("0", "10001", "-1", "abc", ""):
        assert wire.get(f"{upload.path}?partNumber={number}").said == INVALID_ARGUMENT, number
    assert wire.get(f"{upload.path}?partNumber=4").said == NO_PART
    assert wire.ask("HEAD", f"{upload.path}?partNumber=4").status == 416
    ranged = wire.get(f"{upload.path}?partNumber=1", [("range", "bytes=0-1")])
    assert ranged.said == (400, "InvalidRequest")
    assert wire.get(f"{upload.path}?partNumber=1", [("if-none-match", "*")]).status == 304


def test_f06_an_object_of_one_put_is_its_own_first_part(wire: Wire, path: str) -> None:
    wire.put(path, b"whole")
    wire.put(f"{path}/empty", b"")

    first = wire.get(f"{path}?partNumber=1")
    empty = wire.get(f"{path}/empty?partNumber=1")

    assert (first.status, first.body, first.header("content-range")) == (206, b"whole", "bytes 0-4/5")
    assert first.header("x-amz-mp-parts-count") is None
    assert (empty.status, empty.body) == (200, b"")
    assert wire.get(f"{path}?partNumber=2").said == NO_PART


def test_f06_numbers_may_have_gaps_and_the_last_part_may_be_empty(wire: Wire, upload: Upload) -> None:
    upload.part(2, b"x" * PART_BYTES)
    upload.part(7, b"y")
    assert upload.complete().status == 200
    other = Upload(wire, f"{upload.path}/other")
    other.part(1, b"x" * PART_BYTES)
    other.part(2, b"")
    assert other.complete().status == 200

    assert wire.get(f"{upload.path}?partNumber=7").body == b"y"
    assert wire.get(f"{upload.path}?partNumber=1").said == NO_PART
    empty = wire.get(f"{other.path}?partNumber=2")
    assert (empty.status, empty.body, empty.header("x-amz-mp-parts-count")) == (200, b"", "2")


def test_attributes_tell_of_an_object_of_parts(wire: Wire, upload: Upload, bodies: list[bytes]) -> None:
    every = [("x-amz-object-attributes", "ETag, Checksum,ObjectParts,StorageClass,ObjectSize")]

    answer = wire.get(f"{upload.path}?attributes", every)

    document = answer.body
    assert answer.status == 200
    assert element(document, "ETag") == (wire.get(upload.path).header("etag") or "").strip('"')
    assert element(document, "ObjectSize") == str(sum(map(len, bodies)))
    assert element(document, "StorageClass") == "STANDARD"
    assert element(document, "PartsCount") == "3"
    assert document.count(b"<Part>") == 3
    assert [f"<Size>{len(body)}</Size>".encode() in document for body in bodies] == [True] * 3
    assert answer.header("last-modified") == wire.get(upload.path).header("last-modified")


def test_the_parts_among_attributes_come_in_pages(wire: Wire, upload: Upload, bodies: list[bytes]) -> None:
    parts = ("x-amz-object-attributes", "ObjectParts")
    found, marker = [], "0"
    for _ in bodies:
        asked = [parts, ("x-amz-max-parts", "1"), ("x-amz-part-number-marker", marker)]
        document = wire.get(f"{upload.path}?attributes", asked).body
        found.append(element(document, "PartNumber"))
        assert (element(document, "MaxParts"), element(document, "PartNumberMarker")) == ("1", marker)
        marker = element(document, "NextPartNumberMarker")
        is_last = element(document, "IsTruncated") == "false"

    assert found == ["1", "2", "3"]
    assert is_last
    assert b"<ETag>" not in document


def test_attributes_that_are_not_asked_for_rightly(wire: Wire, path: str) -> None:
    wire.put(path, b"x")
    name = "x-amz-object-attributes"

    assert wire.get(f"{path}?attributes").said == INVALID_ARGUMENT
    assert wire.get(f"{path}?attributes", [(name, "etag")]).said == INVALID_ARGUMENT
    assert wire.get(f"{path}?attributes", [(name, "ETag,Foo")]).said == INVALID_ARGUMENT
    wrong = [(name, "ObjectParts"), ("x-amz-max-parts", "many")]
    assert wire.get(f"{path}?attributes", wrong).said == INVALID_ARGUMENT
    assert wire.get(f"{path}/none?attributes", [(name, "ETag")]).said == (404, "NoSuchKey")
    for method in ("PUT", "DELETE"):
        assert wire.ask(method, f"{path}?attributes", body=b"").status in (405, 501)
    assert wire.stored(path) == b"x"
    assert b"<ObjectParts>" not in wire.get(f"{path}?attributes", [(name, "ObjectParts")]).body


def test_parts_are_copied_whole_and_by_range(wire: Wire, upload: Upload, bodies: list[bytes]) -> None:
    whole = b"".join(bodies)
    target = Upload(wire, f"{upload.path}/copy")

    # The range begins in one part and ends in the next: its bytes lie in two blobs.
    first = target.copy_part(1, upload.path, [("x-amz-copy-source-range", f"bytes=5-{PART_BYTES + 4}")])
    second = target.copy_part(2, SENTINEL)
    done = target.complete()

    assert (first.status, second.status, done.status) == (200, 200, 200)
    digest = hashlib.md5(whole[5 : PART_BYTES + 5], usedforsecurity=False).hexdigest()
    assert element(first.body, "ETag") == f"&quot;{digest}&quot;"
    assert element(first.body, "LastModified").endswith("Z")
    assert wire.stored(target.path) == whole[5 : PART_BYTES + 5] + SENTINEL_BODY


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bytes=0-", INVALID_ARGUMENT),
        ("bytes=-5", INVALID_ARGUMENT),
        ("bytes=3-2", INVALID_ARGUMENT),
        ("bytes=a-b", INVALID_ARGUMENT),
        ("0-1", INVALID_ARGUMENT),
        ("bytes=0-1,3-4", INVALID_ARGUMENT),
        ("", INVALID_ARGUMENT),
        (f"bytes=0-{len(SENTINEL_BODY)}", (416, "InvalidRange")),
        ("bytes=900-901", (416, "InvalidRange")),
        ("bytes=0-9999999999999999999", (416, "InvalidRange")),
    ],
)
def test_f12_a_range_that_the_source_has_not(
    wire: Wire, upload: Upload, text: str, said: tuple[int, str]
) -> None:
    assert upload.copy_part(1, SENTINEL, [("x-amz-copy-source-range", text)]).said == said
    assert b"<Part>" not in wire.get(f"{upload.path}?uploadId={upload.id}").body
    copied = wire.ask(
        "PUT", f"{upload.path}/x", [("x-amz-copy-source", SENTINEL), ("x-amz-copy-source-range", "bytes=0-1")]
    )
    assert copied.said == (400, "InvalidRequest")


def test_the_source_of_a_part_must_be_there_and_meet_its_conditions(wire: Wire, upload: Upload) -> None:
    etag = wire.get(SENTINEL).header("etag") or ""

    assert upload.copy_part(1, f"/{BUCKET}/never-made").said == (404, "NoSuchKey")
    assert upload.copy_part(1, "/never-made-here/x").said == (404, "NoSuchBucket")
    assert upload.copy_part(1, "").said == INVALID_ARGUMENT
    for name, value in [("if-match", '"x"'), ("if-none-match", etag)]:
        said = upload.copy_part(1, SENTINEL, [(f"x-amz-copy-source-{name}", value)]).said
        assert said == (412, "PreconditionFailed"), name
    assert upload.copy_part(1, SENTINEL, [("x-amz-copy-source-if-match", etag)]).status == 200
    assert upload.copy_part(0, SENTINEL).said == INVALID_ARGUMENT
    unknown = f"{upload.path}?partNumber=1&uploadId={'0' * 32}"
    assert wire.ask("PUT", unknown, [("x-amz-copy-source", SENTINEL)]).said == (404, "NoSuchUpload")


def test_nobody_copies_a_part_of_what_it_may_not_read(wire: Wire, other: Wire, upload: Upload) -> None:
    bucket = f"of-others-{os.urandom(4).hex()}"
    assert other.ask("PUT", f"/{bucket}").status == 200
    theirs = Upload(other, f"/{bucket}/k")
    other.put(f"/{bucket}/secret", b"theirs")

    assert theirs.copy_part(1, SENTINEL).said == (403, "AccessDenied")
    assert theirs.copy_part(1, f"/{BUCKET}/never-made").said == (403, "AccessDenied")
    assert upload.copy_part(1, f"/{bucket}/secret").said == (403, "AccessDenied")
    assert other.ask("PUT", upload.target(1), [("x-amz-copy-source", f"/{bucket}/secret")]).said == (
        403,
        "AccessDenied",
    )
    assert b"<Part>" not in wire.get(f"{upload.path}?uploadId={upload.id}").body
    for target in (f"{theirs.path}?uploadId={theirs.id}", f"/{bucket}/secret", f"/{bucket}"):
        assert other.ask("DELETE", target).status == 204
