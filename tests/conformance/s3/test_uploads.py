"""Multipart uploads: parts become an object in the order and with the bytes that were named, or not at all (rows F)."""

import hashlib
import os

import pytest

from tests.conformance.s3.uploads import PART_BYTES, Upload
from tests.conformance.s3.wire import BUCKET, Wire

MALFORMED = (400, "MalformedXML")
NO_UPLOAD = (404, "NoSuchUpload")
INVALID_ARGUMENT = (400, "InvalidArgument")


@pytest.mark.parametrize("number", ["0", "10001", "-1", "abc", "1.0", "", "%2B1", "1_0", "٣", "9" * 5000])
def test_f18_a_number_that_no_part_has(upload: Upload, number: str) -> None:
    target = number.encode().decode("latin-1") if number.isascii() else "%D9%A3"

    assert upload.part(target, b"x").said == INVALID_ARGUMENT
    assert b"<Part>" not in upload.wire.get(f"{upload.path}?uploadId={upload.id}").body


def test_f18_the_first_and_the_last_number(upload: Upload) -> None:
    assert upload.part(1, b"x" * PART_BYTES).status == 200
    assert upload.part(10_000, b"y").status == 200
    assert upload.complete().status == 200
    assert upload.wire.stored(upload.path) == b"x" * PART_BYTES + b"y"


def test_f19_no_parts_and_too_many(upload: Upload) -> None:
    upload.part(1, b"x")
    etag = upload.etags[1]

    assert upload.complete([]).said == MALFORMED
    assert upload.complete([(1, etag)] * 10_001).said == MALFORMED
    assert upload.is_alive()
    assert upload.wire.stored(upload.path) is None


def test_f20_another_order(upload: Upload) -> None:
    upload.part(1, b"x" * PART_BYTES)
    upload.part(2, b"y")
    one, two = upload.etags.items()

    assert upload.complete([two, one]).said == (400, "InvalidPartOrder")
    assert upload.complete([one, one]).said == (400, "InvalidPartOrder")
    assert upload.is_alive()
    assert upload.wire.stored(upload.path) is None


def test_f21_parts_that_are_not_there(upload: Upload) -> None:
    upload.part(1, b"x")
    etag = upload.etags[1]
    wrong = '"' + hashlib.md5(b"wrong", usedforsecurity=False).hexdigest() + '"'

    assert upload.complete([(2, etag)]).said == (400, "InvalidPart")
    assert upload.complete([(1, wrong)]).said == (400, "InvalidPart")
    assert upload.complete([(1, "&quot;&quot;")]).said == (400, "InvalidPart")
    assert upload.wire.stored(upload.path) is None
    assert upload.complete([(1, etag.strip('"'))]).status == 200
    assert upload.wire.stored(upload.path) == b"x"


def test_f22_a_part_too_small_before_the_last(upload: Upload) -> None:
    upload.part(1, b"x" * (PART_BYTES - 1))
    upload.part(2, b"y")

    assert upload.complete().said == (400, "EntityTooSmall")
    assert upload.is_alive()
    assert upload.wire.stored(upload.path) is None
    upload.part(1, b"x" * PART_BYTES)
    assert upload.complete(sorted(upload.etags.items())).status == 200
    assert upload.wire.stored(upload.path) == b"x" * PART_BYTES + b"y"


def test_f23_uploads_that_are_not_there(wire: Wire, upload: Upload) -> None:
    bucket = f"second-{os.urandom(6).hex()}"
    assert wire.ask("PUT", f"/{bucket}").status == 200
    key = upload.path.removeprefix(f"/{BUCKET}")
    aborted = Upload(wire, upload.path)
    assert wire.ask("DELETE", f"{aborted.path}?uploadId={aborted.id}").status == 204
    ids = ["bogus", "", "0" * 32, upload.id.upper(), "../x", aborted.id]
    elsewhere = [(upload.path, each) for each in ids if each != upload.id]
    elsewhere += [(f"{upload.path}/other", upload.id), (f"/{bucket}{key}", upload.id)]

    for path, upload_id in elsewhere:
        stranger = Upload.__new__(Upload)
        stranger.wire, stranger.path, stranger.id, stranger.etags = wire, path, upload_id, {}
        assert stranger.part(1, b"x").said == NO_UPLOAD, (path, upload_id)
        assert stranger.complete([(1, '"x"')]).said == NO_UPLOAD, (path, upload_id)
        assert wire.get(f"{path}?uploadId={upload_id}").said == NO_UPLOAD, (path, upload_id)
        assert wire.ask("DELETE", f"{path}?uploadId={upload_id}").said == NO_UPLOAD, (path, upload_id)
    assert upload.is_alive()
    assert wire.ask("DELETE", f"/{bucket}").status == 204


def test_a_part_that_ends_early_is_none(wire: Wire, upload: Upload) -> None:
    target = f"{upload.path}?partNumber=1&uploadId={upload.id}"

    answer = wire.send(wire.raw("PUT", target, body=b"x" * 300_000)[:-1], "PUT", half_close=True)

    assert answer.said == (400, "IncompleteBody")
    assert b"<Part>" not in wire.get(f"{upload.path}?uploadId={upload.id}").body


def test_a_completed_upload_is_one_object_with_its_etag(wire: Wire, upload: Upload) -> None:
    bodies = [os.urandom(PART_BYTES), os.urandom(PART_BYTES), b"the end"]
    for number, body in reversed(list(enumerate(bodies, start=3))):
        assert upload.part(number, body).status == 200
    digests = b"".join(hashlib.md5(body, usedforsecurity=False).digest() for body in bodies)
    etag = f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-3"'

    done = upload.complete(sorted(upload.etags.items()))
    again = upload.complete(sorted(upload.etags.items()))
    another = upload.complete(sorted(upload.etags.items())[:1])

    found = wire.get(upload.path)
    assert found.body == b"".join(bodies)
    assert found.header("etag") == etag
    assert etag.replace('"', "&quot;").encode() in done.body or etag.encode() in done.body
    assert (again.status, again.body) == (200, done.body)
    assert another.said == NO_UPLOAD
    assert wire.get(upload.path, [("range", f"bytes={PART_BYTES - 2}-{PART_BYTES + 1}")]).body == (
        bodies[0][-2:] + bodies[1][:2]
    )


def test_a_list_as_long_as_that_of_ten_thousand_parts(wire: Wire, upload: Upload) -> None:
    upload.part(1, b"whole")
    blanks = " " * 700_000
    listed = f"<Part><PartNumber>1</PartNumber><ETag>{upload.etags[1]}</ETag></Part>"
    target = f"{upload.path}?uploadId={upload.id}"

    wrong = listed.replace("<PartNumber>1", "<PartNumber>2")
    refused = wire.ask(
        "POST",
        target,
        body=f"<CompleteMultipartUpload>{blanks}{wrong}</CompleteMultipartUpload>".encode(),
    )
    done = wire.ask(
        "POST",
        target,
        body=f"<CompleteMultipartUpload>{blanks}{listed}</CompleteMultipartUpload>".encode(),
    )

    assert refused.said == (400, "InvalidPart")
    assert done.status == 200
    assert wire.stored(upload.path) == b"whole"
