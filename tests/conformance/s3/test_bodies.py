"""A body is stored when it is exactly what was announced, and otherwise nothing of it (rows C and D9)."""

import base64
import gzip
import hashlib
import threading
import zlib

import pytest

from tests.conformance.s3.wire import BUCKET, SENTINEL, UNSIGNED, Wire
from tests.support.chunked_bodies import SIGNED, UNSIGNED_TRAILER, signature_of, signed_body, unsigned_body
from tests.support.raw_http import Connection, NoAnswer, request_bytes

KIB, MIB, GIB = 1024, 1024**2, 1024**3
EMPTY_ETAG = '"d41d8cd98f00b204e9800998ecf8427e"'


def md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def test_c01_a_body_of_unknown_length(wire: Wire, path: str) -> None:
    answer = wire.ask("PUT", path, body=b"", payload=UNSIGNED, length=None)

    assert answer.said == (411, "MissingContentLength")
    assert wire.stored(path) is None


def test_c01_chunks_of_http_tell_no_length_either(wire: Wire, path: str) -> None:
    pairs = wire.headers("PUT", path, [("transfer-encoding", "chunked")], payload=UNSIGNED, length=None)

    answer = wire.send(request_bytes("PUT", path, pairs, b"3\r\nabc\r\n0\r\n\r\n"), "PUT")

    assert answer.said == (411, "MissingContentLength")
    assert wire.stored(path) is None


@pytest.mark.parametrize(
    "length", ["-1", "+5", "5, 5", "0x5", "1" + "0" * 20, "", "5 ", "٥", "5_0", "1e1", "9" * 400]
)
def test_c02_a_length_that_is_none(wire: Wire, path: str, length: str) -> None:
    text = length.encode().decode("latin-1")

    answer = wire.ask("PUT", path, body=b"12345", payload=UNSIGNED, length=text)

    # Blanks around a value are no part of it.
    assert answer.status == (200 if length == "5 " else 400)
    assert answer.closes or length == "5 "
    assert wire.stored(path) == (b"12345" if length == "5 " else None)


def test_c03_a_body_too_large_is_refused_before_it_is_asked_for(wire: Wire, path: str) -> None:
    pairs = wire.headers("PUT", path, payload=UNSIGNED, length=5 * GIB + 1)

    answer = wire.send(request_bytes("PUT", path, [*pairs, ("expect", "100-continue")]), "PUT")

    assert answer.said == (400, "EntityTooLarge")
    assert wire.stored(path) is None


@pytest.mark.parametrize("size_bytes", [10, 100 * KIB, 3 * MIB])
@pytest.mark.parametrize("payload", ["", UNSIGNED], ids=["signed", "unsigned"])
def test_c04_a_body_that_ends_early(wire: Wire, path: str, size_bytes: int, payload: str) -> None:
    body = b"x" * size_bytes
    raw = wire.raw("PUT", path, body=body, payload=payload)

    answer = wire.send(raw[: -size_bytes // 2], "PUT", half_close=True)

    assert answer.said == (400, "IncompleteBody")
    assert answer.closes
    assert wire.stored(path) is None


def test_c04_the_old_object_stands_when_the_new_one_ends_early(wire: Wire, path: str) -> None:
    wire.put(path, b"the old one")

    wire.send(wire.raw("PUT", path, body=b"n" * 90_000)[:-1], "PUT", half_close=True)

    assert wire.stored(path) == b"the old one"


@pytest.mark.parametrize("size_bytes", [10, 100 * KIB, 3 * MIB])
def test_c05_a_client_that_vanishes(wire: Wire, path: str, size_bytes: int) -> None:
    connection = Connection(wire.address)
    connection.send(wire.raw("PUT", path, body=b"x" * size_bytes)[:-1])
    connection.reset()

    assert wire.stored(path) is None


def test_c05_vanished_clients_leave_no_room_taken(wire: Wire, path: str) -> None:
    """More of them than there are threads: each gives back its own."""
    for _ in range(300):
        connection = Connection(wire.address)
        connection.send(wire.raw("PUT", path, body=b"x" * 70_000)[:-1])
        connection.reset()

    wire.put(path, b"x" * 70_000)


@pytest.mark.parametrize(
    "tail", [b"defghij", b"DELETE " + SENTINEL.encode() + b" HTTP/1.1\r\nHost: h\r\n\r\n", b"\0" * 99]
)
def test_c07_bytes_behind_the_body(wire: Wire, path: str, tail: bytes) -> None:
    raw = wire.raw("PUT", path, body=b"abc")
    with Connection(wire.address) as connection:
        connection.send(raw + tail)
        first = connection.answer("PUT")
        second = connection.answer()

    assert first.status == 200
    assert second.status in (400, 403)
    assert wire.stored(path) == b"abc"
    assert wire.get(SENTINEL).status == 200


@pytest.mark.parametrize(
    "text", ["abc", md5(b"")[:-4] + "==", hashlib.md5(b"x").hexdigest(), "", "%%%", "ä" * 16]
)
def test_c08_a_content_md5_that_is_none(wire: Wire, path: str, text: str) -> None:
    value = text.encode().decode("latin-1")

    assert wire.ask("PUT", path, [("content-md5", value)], body=b"x").said == (400, "InvalidDigest")
    assert wire.stored(path) is None


@pytest.mark.parametrize("size_bytes", [1, 100 * KIB, 2 * MIB])
def test_c09_the_content_md5_of_another_body(wire: Wire, path: str, size_bytes: int) -> None:
    body = b"x" * size_bytes

    assert wire.ask("PUT", path, [("content-md5", md5(b"y"))], body=body).said == (400, "BadDigest")
    assert wire.stored(path) is None
    wire.put(path, body, [("content-md5", md5(body))])


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("x-amz-checksum-crc32", "abc", (400, "InvalidRequest")),
        ("x-amz-checksum-crc32", "", (400, "InvalidRequest")),
        ("x-amz-checksum-crc32", "AAAAAAAA", (400, "InvalidRequest")),
        ("x-amz-checksum-crc32", crc32(b"y"), (400, "BadDigest")),
        ("x-amz-checksum-crc32", crc32(b"x") + "-1", (400, "InvalidRequest")),
        ("x-amz-checksum-crc64nvme", crc32(b"x"), (400, "InvalidRequest")),
        ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=", (400, "BadDigest")),
        ("x-amz-checksum-crc99", "AAAA", (400, "InvalidRequest")),
        ("x-amz-checksum-md5", "AAAA", (501, "NotImplemented")),
    ],
)
def test_c10_a_checksum_that_is_none_or_anothers(
    wire: Wire, path: str, name: str, value: str, said: tuple[int, str]
) -> None:
    assert wire.ask("PUT", path, [(name, value)], body=b"x").said == said
    assert wire.stored(path) is None


def test_c10_two_checksums_are_one_too_many(wire: Wire, path: str) -> None:
    two = [("x-amz-checksum-crc32", crc32(b"x")), ("x-amz-checksum-sha1", "A" * 27 + "=")]

    assert wire.ask("PUT", path, two, body=b"x").said == (400, "InvalidRequest")
    assert wire.stored(path) is None


@pytest.mark.parametrize("named", ["FOO", "SHA1", "", "crc32c"])
def test_c12_an_algorithm_that_is_none_or_another(wire: Wire, path: str, named: str) -> None:
    extra = [("x-amz-sdk-checksum-algorithm", named), ("x-amz-checksum-crc32", crc32(b"x"))]

    assert wire.ask("PUT", path, extra, body=b"x").said == (400, "InvalidRequest")
    assert wire.ask("PUT", path, extra[:1], body=b"x").said == (400, "InvalidRequest")
    assert wire.stored(path) is None


def test_c14_nothing_is_an_object_too(wire: Wire, path: str) -> None:
    plain = wire.put(f"{path}/plain", b"")
    pairs = wire.headers(
        "PUT", f"{path}/signed", [("x-amz-decoded-content-length", "0")], payload=SIGNED, length=None
    )
    body = signed_body(wire.signer(amz_date=dict(pairs)["x-amz-date"]), signature_of(pairs), [])
    signed = wire.send(
        request_bytes("PUT", f"{path}/signed", [*pairs, ("content-length", str(len(body)))], body), "PUT"
    )
    unsigned = wire.ask(
        "PUT",
        f"{path}/unsigned",
        [("x-amz-decoded-content-length", "0"), ("x-amz-trailer", "x-amz-checksum-crc32")],
        payload=UNSIGNED_TRAILER,
        body=unsigned_body([], [("x-amz-checksum-crc32", crc32(b""))]),
    )

    assert [each.header("etag") for each in (plain, signed, unsigned)] == [EMPTY_ETAG] * 3
    assert [wire.stored(f"{path}/{name}") for name in ("plain", "signed", "unsigned")] == [b"", b"", b""]


def test_c14_an_empty_last_part(wire: Wire, path: str) -> None:
    created = wire.ask("POST", f"{path}?uploads")
    upload_id = created.body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
    etag = wire.put(f"{path}?partNumber=1&uploadId={upload_id}", b"").header("etag")

    done = wire.ask(
        "POST",
        f"{path}?uploadId={upload_id}",
        body=f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
        "</CompleteMultipartUpload>".encode(),
    )

    assert done.status == 200
    assert wire.stored(path) == b""


def test_c16_a_bomb_is_stored_as_it_is(wire: Wire, path: str) -> None:
    bomb = gzip.compress(bytes(64 * MIB))

    wire.put(path, bomb, [("content-encoding", "gzip")])

    answer = wire.get(path)
    assert answer.body == bomb
    assert answer.header("content-encoding") == "gzip"


def test_d09_batches_of_deletes_prove_their_body_and_are_whole(wire: Wire, path: str) -> None:
    wire.put(path, b"stays")
    key = path.removeprefix(f"/{BUCKET}/")
    one = f"<Object><Key>{key}</Key></Object>"

    def delete(body: bytes, **extra: str) -> tuple[int, str]:
        pairs = [(name.replace("_", "-"), value) for name, value in extra.items()]
        return wire.ask("POST", f"/{BUCKET}?delete", pairs, body=body).said

    too_many = f"<Delete>{one * 1001}</Delete>".encode()
    good = f"<Delete>{one}</Delete>".encode()
    assert delete(too_many, content_md5=md5(too_many)) == (400, "MalformedXML")
    assert delete(b"<Delete></Delete>", content_md5=md5(b"<Delete></Delete>")) == (400, "MalformedXML")
    assert delete(good) == (400, "InvalidRequest")
    assert delete(good, content_md5=md5(b"other")) == (400, "BadDigest")
    half = f"<Delete>{one}<Object><key>x</key></Object></Delete>".encode()
    assert delete(half, content_md5=md5(half)) == (400, "MalformedXML")
    big = b"<Delete>" + b" " * MIB + good
    assert delete(big, content_md5=md5(big)) == (400, "MaxMessageLengthExceeded")
    assert wire.stored(path) == b"stays"
    assert delete(good, x_amz_checksum_crc32=crc32(good)) == (200, "")
    assert wire.stored(path) is None


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "'
    + b"a" * 50_000
    + b'">]><Delete><Object><Key>'
    + b"&a;" * 10_000
    + b"</Key></Object></Delete>"
)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"not xml",
        b"<Delete",
        b"<Delete/><Delete/>",
        b"<!DOCTYPE x><Delete/>",
        BOMB,
        b"<a>" * 100_000,
        b"\xff\xfe",
    ],
    ids=["empty", "text", "cut", "two roots", "doctype", "bomb", "deep", "half UTF-16"],
)
def test_d01_d02_documents_that_are_none(wire: Wire, path: str, document: bytes) -> None:
    created = wire.ask("POST", f"{path}?uploads")
    upload_id = created.body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
    expected = {"MalformedXML", "MissingRequestBodyError"} if not document else {"MalformedXML"}

    answers = [
        wire.ask("POST", f"/{BUCKET}?delete", [("content-md5", md5(document))], body=document),
        wire.ask("POST", f"{path}?uploadId={upload_id}", body=document),
    ]
    if document:
        answers.append(wire.ask("PUT", f"/never-{upload_id[:8]}", body=document))

    assert {answer.status for answer in answers} == {400}
    assert {answer.code for answer in answers} <= expected
    assert wire.ask("HEAD", f"/never-{upload_id[:8]}").status == 404
    assert wire.ask("DELETE", f"{path}?uploadId={upload_id}").status == 204


def test_a_body_that_comes_a_byte_at_a_time_is_whole(wire: Wire, path: str) -> None:
    raw = wire.raw("PUT", path, body=b"drop by drop")
    with Connection(wire.address) as connection:
        for index in range(len(raw)):
            connection.send(raw[index : index + 1])
        assert connection.answer("PUT").status == 200

    assert wire.stored(path) == b"drop by drop"


def test_a_reader_sees_the_old_object_until_the_new_one_is_whole(wire: Wire, path: str) -> None:
    wire.put(path, b"o" * 200_000)
    raw = wire.raw("PUT", path, body=b"n" * 200_000)
    with Connection(wire.address) as connection:
        connection.send(raw[:-1])
        before = wire.stored(path)
        with pytest.raises(NoAnswer):
            connection.answer("PUT", timeout_s=0.05)
        connection.send(raw[-1:])
        assert connection.answer("PUT").status == 200

    assert before == b"o" * 200_000
    assert wire.stored(path) == b"n" * 200_000


def test_one_of_two_writers_wins_whole(wire: Wire, path: str) -> None:
    bodies = [bytes([letter]) * 300_000 for letter in b"abcdefgh"]
    writers = [threading.Thread(target=wire.put, args=(path, body)) for body in bodies]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert wire.stored(path) in bodies
