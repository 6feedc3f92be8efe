"""aws-chunked over a socket: what is framed, signed or summed up wrongly is refused and stored nowhere (rows E)."""

import base64
import zlib
from dataclasses import dataclass

import pytest

from tests.conformance.s3.wire import Wire
from tests.support.chunked_bodies import (
    SIGNED,
    SIGNED_TRAILER,
    UNSIGNED_TRAILER,
    ChunkSigner,
    signature_of,
    signed_body,
    unsigned_body,
)
from tests.support.raw_http import Answer, Pairs, request_bytes
from tests.support.sigv4_signer import Signer

MIB = 1024**2
CRC = "x-amz-checksum-crc32"
INCOMPLETE = (400, "IncompleteBody")
MISMATCH = (403, "SignatureDoesNotMatch")
CHUNKS = [b"a" * 70_000, b"b" * 70_000, b"c" * 123]
DATA = b"".join(CHUNKS)


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


@dataclass
class Upload:
    """A chunked PUT whose head is signed; the body is the test's."""

    wire: Wire
    path: str
    payload: str
    decoded: str | None
    trailer: str | None = None

    def __post_init__(self) -> None:
        self.signer: Signer = self.wire.signer()
        extra = [("content-encoding", "aws-chunked")]
        if self.decoded is not None:
            extra.append(("x-amz-decoded-content-length", self.decoded))
        if self.trailer is not None:
            extra.append(("x-amz-trailer", self.trailer))
        self.headers: Pairs = self.signer.headers("PUT", self.path, extra, payload=self.payload)

    @property
    def seed(self) -> str:
        return signature_of(self.headers)

    def send(self, body: bytes, *, length: int | None = None, half_close: bool = False) -> Answer:
        head = [*self.headers, ("content-length", str(len(body) if length is None else length))]
        return self.wire.send(request_bytes("PUT", self.path, head, body), "PUT", half_close=half_close)


def signed(wire: Wire, path: str, decoded: int | str | None = len(DATA)) -> Upload:
    return Upload(wire, path, SIGNED, None if decoded is None else str(decoded))


def unsigned(
    wire: Wire, path: str, decoded: int | str | None = len(DATA), trailer: str | None = CRC
) -> Upload:
    return Upload(wire, path, UNSIGNED_TRAILER, None if decoded is None else str(decoded), trailer)


def test_good_bodies_are_stored_decoded(wire: Wire, path: str) -> None:
    first = signed(wire, f"{path}/1")
    second = unsigned(wire, f"{path}/2")
    third = Upload(wire, f"{path}/3", SIGNED_TRAILER, str(len(DATA)), CRC)
    trailers = [(CRC, crc32(DATA))]

    answers = [
        first.send(signed_body(first.signer, first.seed, CHUNKS)),
        second.send(unsigned_body(CHUNKS, trailers)),
        third.send(signed_body(third.signer, third.seed, CHUNKS, trailers)),
    ]

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert [answer.header(CRC) for answer in answers[1:]] == [crc32(DATA)] * 2
    for number in (1, 2, 3):
        found = wire.get(f"{path}/{number}")
        assert found.body == DATA
        assert found.header("content-encoding") is None


@pytest.mark.parametrize("number", range(4))
def test_e01_a_bad_signature_on_any_chunk(wire: Wire, path: str, number: int) -> None:
    upload = signed(wire, path)
    body = signed_body(upload.signer, upload.seed, CHUNKS)
    at = -1
    for _ in range(number + 1):
        at = body.index(b"chunk-signature=", at + 1)
    at += len(b"chunk-signature=")
    wrong = b"1" if body[at : at + 1] == b"0" else b"0"

    answer = upload.send(body[:at] + wrong + body[at + 1 :])

    assert answer.said == MISMATCH
    assert wire.stored(path) is None


def test_e01_one_byte_of_the_data_altered(wire: Wire, path: str) -> None:
    upload = signed(wire, path)
    body = bytearray(signed_body(upload.signer, upload.seed, CHUNKS))
    body[len(body) // 2] ^= 1

    assert upload.send(bytes(body)).said == MISMATCH
    assert wire.stored(path) is None


def test_e01_chunks_of_another_request(wire: Wire, path: str) -> None:
    first, second = signed(wire, f"{path}/1"), signed(wire, f"{path}/2")

    assert second.send(signed_body(first.signer, first.seed, CHUNKS)).said == MISMATCH
    assert wire.stored(f"{path}/2") is None


@pytest.mark.parametrize("half_close", [True, False], ids=["the connection ends", "the length ends"])
def test_e03_no_last_chunk(wire: Wire, path: str, half_close: bool) -> None:
    upload = unsigned(wire, path, trailer=None)
    body = unsigned_body(CHUNKS, ends=False)

    answer = upload.send(body, length=len(body) + (5 if half_close else 0), half_close=half_close)

    assert answer.said == INCOMPLETE
    assert wire.stored(path) is None


def test_e03_signed_chunks_without_the_last(wire: Wire, path: str) -> None:
    upload = signed(wire, path)
    writer = ChunkSigner(upload.signer, upload.seed)

    assert upload.send(b"".join(map(writer.chunk, CHUNKS))).said == INCOMPLETE
    assert wire.stored(path) is None


@pytest.mark.parametrize("size", ["xyz", "-5", "1" * 17, "0x5", "", " 5", "5 ", "+5", "5_0", "٥"])
def test_e04_a_size_that_is_no_hexadecimal_number(wire: Wire, path: str, size: str) -> None:
    body = size.encode() + b"\r\nabcde\r\n0\r\n\r\n"

    answer = unsigned(wire, path, 5, None).send(body)

    assert answer.said == INCOMPLETE
    assert wire.stored(path) is None


@pytest.mark.parametrize(
    "body",
    [
        b"4\r\nabcde\r\n0\r\n\r\n",
        b"6\r\nabcde\r\n0\r\n\r\n",
        b"5\r\nabcde0\r\n\r\n",
        b"5\nabcde\n0\n\n",
        b"5\r\nabcde\r\n0\r\n",
        b"5\r\nabcde\r\n0\r\n\r\nmore",
        b"5;ext=1\r\nabcde\r\n0\r\n\r\n",
    ],
)
def test_e05_broken_framing(wire: Wire, path: str, body: bytes) -> None:
    assert unsigned(wire, path, 5, None).send(body).said == INCOMPLETE
    assert wire.stored(path) is None


@pytest.mark.parametrize(
    ("decoded", "said"),
    [
        (None, (411, "MissingContentLength")),
        ("4", INCOMPLETE),
        ("6", INCOMPLETE),
        ("0", INCOMPLETE),
        ("-1", (400, "InvalidArgument")),
        ("abc", (400, "InvalidArgument")),
        ("", (400, "InvalidArgument")),
        (str(5 * 1024**3 + 1), (400, "EntityTooLarge")),
    ],
)
def test_e06_another_length_than_decoded(
    wire: Wire, path: str, decoded: str | None, said: tuple[int, str]
) -> None:
    assert unsigned(wire, path, decoded, None).send(unsigned_body([b"abcde"])).said == said
    assert wire.stored(path) is None


def test_e08_a_trailer_that_was_announced_and_does_not_come(wire: Wire, path: str) -> None:
    assert unsigned(wire, path).send(unsigned_body(CHUNKS)).said == (400, "MalformedTrailerError")
    assert wire.stored(path) is None


@pytest.mark.parametrize("name", ["x-amz-meta-a", "authorization", "x-amz-checksum-sha1", "content-type", ""])
def test_e09_a_trailer_that_was_not_announced(wire: Wire, path: str, name: str) -> None:
    trailers = [(CRC, crc32(DATA)), (name, "value")]

    assert unsigned(wire, path).send(unsigned_body(CHUNKS, trailers)).said == (400, "MalformedTrailerError")
    assert wire.stored(path) is None


@pytest.mark.parametrize("name", ["x-amz-meta-a", "authorization", f"{CRC},x-amz-meta-a", "", f"{CRC},{CRC}"])
def test_e09_a_trailer_that_may_not_be_announced(wire: Wire, path: str, name: str) -> None:
    trailers = [(each, "value") for each in name.split(",")]

    assert unsigned(wire, path, trailer=name).send(unsigned_body(CHUNKS, trailers)).said == (
        400,
        "InvalidRequest",
    )
    assert wire.stored(path) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (crc32(b"other"), (400, "BadDigest")),
        ("garbage", (400, "InvalidRequest")),
        ("", (400, "InvalidRequest")),
    ],
)
def test_e10_a_trailing_checksum_that_is_wrong(
    wire: Wire, path: str, value: str, said: tuple[int, str]
) -> None:
    assert unsigned(wire, path).send(unsigned_body(CHUNKS, [(CRC, value)])).said == said
    assert wire.stored(path) is None


@pytest.mark.parametrize("change", ["wrong", "missing", "of other trailers"])
def test_e11_the_signature_of_signed_trailers(wire: Wire, path: str, change: str) -> None:
    upload = Upload(wire, path, SIGNED_TRAILER, str(len(DATA)), CRC)
    body = signed_body(upload.signer, upload.seed, CHUNKS, [(CRC, crc32(DATA))])
    head, name, rest = body.partition(b"x-amz-trailer-signature:")
    if change == "wrong":
        body = head + name + (b"0" * 64) + rest[64:]
    elif change == "missing":
        body = head + b"\r\n"
    else:
        body = body.replace(crc32(DATA).encode(), crc32(b"other").encode())

    assert upload.send(body).said == MISMATCH
    assert wire.stored(path) is None


@pytest.mark.parametrize("kind", ["extension", "header", "trailer"])
@pytest.mark.parametrize("is_signed", [True, False])
def test_e12_endless_lines(wire: Wire, path: str, kind: str, is_signed: bool) -> None:
    upload = signed(wire, path) if is_signed else unsigned(wire, path)
    endless = {
        "extension": b"5;" + b"e" * MIB,
        "header": b"5" * 64 * 1024,
        "trailer": unsigned_body([DATA])[:-2] + b"t" * MIB,
    }[kind]

    answer = upload.send(endless)

    assert answer.status in (400, 403)
    assert wire.stored(path) is None


@pytest.mark.parametrize("payload", [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER])
def test_e13_a_body_that_is_not_framed(wire: Wire, path: str, payload: str) -> None:
    upload = Upload(wire, path, payload, str(len(DATA)))

    assert upload.send(DATA).said == INCOMPLETE
    assert wire.stored(path) is None


def test_e13_framing_is_never_stored_as_data(wire: Wire, path: str) -> None:
    """A framed body sent as another kind of payload is what it is signed as, or refused."""
    body = unsigned_body(CHUNKS)

    answer = wire.ask(
        "PUT",
        path,
        [("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", str(len(DATA)))],
        body=body,
    )

    found = wire.stored(path)
    assert answer.status == 400 or found == body
    assert found != DATA


def test_e15_a_forged_seed(wire: Wire, path: str) -> None:
    upload = unsigned(wire, path)
    upload.headers = upload.wire.signer(secret=wire.secret[::-1]).headers(
        "PUT",
        path,
        [("x-amz-decoded-content-length", str(len(DATA))), ("x-amz-trailer", CRC)],
        payload=UNSIGNED_TRAILER,
    )

    assert upload.send(unsigned_body(CHUNKS, [(CRC, crc32(DATA))])).said == MISMATCH
    assert wire.stored(path) is None


def test_e15_a_reader_writes_nothing_in_any_form(reader: Wire, wire: Wire, path: str) -> None:
    for payload in (SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER):
        upload = Upload(reader, path, payload, str(len(DATA)))
        assert upload.send(unsigned_body(CHUNKS)).said == (403, "AccessDenied")
    assert wire.stored(path) is None
