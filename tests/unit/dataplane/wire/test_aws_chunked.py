"""aws-chunked is decoded from pieces of any size, and ends well only when every byte of it is right."""

import hashlib
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.wire.aws_chunked import LINE_BYTES_MAX, TRAILER_COUNT_MAX, AwsChunkedReader
from dataplane.wire.refusals import IncompleteBody, SignatureDoesNotMatch, WireError
from tests.support.wire_bodies import BytesBody, read_all

CRC = "x-amz-checksum-crc32"


@dataclass
class Notary:
    """Signs a chunk as the digest of what came before and of its data, and expects just that."""

    seen: list[str] = field(default_factory=list)

    @staticmethod
    def sign(previous: list[str], data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        return hashlib.sha256("".join([*previous, digest]).encode()).hexdigest()

    def check_chunk(self, signature: str, data_sha256: str) -> None:
        expected = hashlib.sha256("".join([*self.seen, data_sha256]).encode()).hexdigest()
        if signature != expected:
            raise SignatureDoesNotMatch
        self.seen.append(signature)

    def check_trailer(self, signature: str, trailer_sha256: str) -> None:
        self.check_chunk(signature, trailer_sha256)


def framed(*chunks: bytes, trailers: bytes = b"", signs: bool = False, last: bool = True) -> bytes:
    raw, signatures = b"", list[str]()
    for chunk in (*chunks, b"") if last else chunks:
        extension = b""
        if signs:
            signatures.append(Notary.sign(signatures, chunk))
            extension = b";chunk-signature=" + signatures[-1].encode()
        raw += b"%x" % len(chunk) + extension + b"\r\n" + (chunk + b"\r\n" if chunk else b"")
    return raw + (trailers + b"\r\n" if last else b"")


def reader(
    raw: bytes,
    decoded_bytes: int,
    *,
    signs: bool = False,
    trailers: tuple[str, ...] = (),
    pieces: tuple[int, ...] = (1 << 20,),
) -> AwsChunkedReader:
    return AwsChunkedReader(
        BytesBody(raw, piece_sizes=pieces),
        decoded_bytes=decoded_bytes,
        signatures=Notary() if signs else None,
        has_trailer=not signs,
        trailers=trailers,
    )


def read_whole(body: AwsChunkedReader) -> bytes:
    data = read_all(body)
    body.finish()
    return data


def refused(
    raw: bytes, decoded_bytes: int = 5, *, signs: bool = False, trailers: tuple[str, ...] = ()
) -> str:
    with pytest.raises(WireError) as caught:
        read_whole(reader(raw, decoded_bytes, signs=signs, trailers=trailers))
    return caught.value.fault.code


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=300), max_size=6),
    pieces=st.lists(st.integers(1, 400), min_size=1, max_size=5),
    buffer_bytes=st.integers(1, 500),
    signs=st.booleans(),
)
def test_any_chunks_in_any_pieces_into_any_buffer(
    chunks: list[bytes], pieces: list[int], buffer_bytes: int, signs: bool
) -> None:
    data = b"".join(chunks)
    body = reader(framed(*chunks, signs=signs), len(data), signs=signs, pieces=tuple(pieces))

    assert read_all(body, buffer_bytes=buffer_bytes) == data
    body.finish()


def test_large_chunks_go_straight_into_the_callers_buffer() -> None:
    raw = framed(b"a" * 1_000_000)
    wanted: list[int] = []

    class Watched(BytesBody):
        def readinto(self, buffer: memoryview, /) -> int:
            wanted.append(len(buffer))
            return super().readinto(buffer)

    body = AwsChunkedReader(Watched(raw), decoded_bytes=1_000_000, has_trailer=True)
    read_all(body, buffer_bytes=262_144)

    assert max(wanted) == 262_144
    assert len(wanted) < 12


def test_the_engine_need_not_read_past_the_last_byte() -> None:
    body = reader(framed(b"hello", signs=True), 5, signs=True)
    buffer = memoryview(bytearray(5))

    assert body.readinto(buffer) == 5
    body.finish()

    assert (bytes(buffer), body.readinto(buffer)) == (b"hello", 0)


def test_c14_an_empty_body() -> None:
    for signs in (True, False):
        body = reader(framed(signs=signs), 0, signs=signs)
        body.finish()
        assert read_all(body) == b""


@pytest.mark.parametrize("chunk", [0, 1, 2])
def test_e1_a_bad_signature_on_any_chunk(chunk: int) -> None:
    raw = framed(b"hello", b"world", signs=True)
    parts = raw.split(b"signature=")
    parts[chunk + 1] = (b"0" if parts[chunk + 1][:1] != b"0" else b"1") + parts[chunk + 1][1:]

    assert refused(b"signature=".join(parts), 10, signs=True) == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "raw",
    [b"5\r\nhello\r\n0\r\n\r\n", b"5;chunk-sig=x\r\nhello\r\n", b"5;chunk-signature=\r\nhello\r\n0\r\n\r\n"],
)
def test_e1_a_chunk_without_signature(raw: bytes) -> None:
    assert refused(raw, signs=True) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("signature", ["ä" * 64, "A" * 64, "0" * 900])
def test_e1_a_signature_of_another_form(signature: str) -> None:
    raw = f"5;chunk-signature={signature}\r\nhello\r\n".encode("latin-1")

    assert refused(raw, signs=True) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("cut", range(1, 15))
def test_e3_a_body_that_ends_anywhere_before_its_end(cut: int) -> None:
    raw = framed(b"hello")

    assert refused(raw[:-cut]) == "IncompleteBody"


def test_e3_no_last_chunk() -> None:
    assert refused(framed(b"hello", last=False)) == "IncompleteBody"
    assert refused(framed(b"hello", signs=True, last=False), signs=True) == "IncompleteBody"


@pytest.mark.parametrize(
    "size",
    [
        b"",
        b"-1",
        b"+5",
        b"0x5",
        b" 5",
        b"5 ",
        b"5_0",
        b"g",
        b"0" * 17,
        b"fffffffffffffffff",
        b"5\n",
        b"\xb2",
        b"5,5",
    ],
)
def test_e4_a_size_that_is_no_hexadecimal_number(size: bytes) -> None:
    assert refused(size + b"\r\nhello\r\n0\r\n\r\n") == "IncompleteBody"


def test_e4_leading_zeros_and_both_cases_are_hexadecimal() -> None:
    body = reader(b"000000000000000A\r\n0123456789\r\n0\r\n\r\n", 10)

    assert read_all(body) == b"0123456789"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"5\r\nhell\r\n0\r\n\r\n", id="shorter"),
        pytest.param(b"5\r\nhello!\r\n0\r\n\r\n", id="longer"),
        pytest.param(b"5\r\nhello0\r\n\r\n", id="no line end"),
        pytest.param(b"5\r\nhello\n0\r\n\r\n", id="bare line feed"),
        pytest.param(b"5\nhello\r\n0\r\n\r\n", id="bare line feed after the size"),
        pytest.param(b"5\r\nhello\r\n0\r\n\r\nx", id="something behind"),
        pytest.param(b"5\r\nhello\r\n0\r\n\r\n5\r\nworld\r\n0\r\n\r\n", id="another body behind"),
        pytest.param(b"hello", id="E13 not chunked"),
        pytest.param(b"hello, this is no chunk\r\n" * 100, id="E13 not chunked, with lines"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_e5_e13_broken_framing(raw: bytes) -> None:
    assert refused(raw) == "IncompleteBody"


@pytest.mark.parametrize("decoded_bytes", [0, 4, 6, 2**62])
def test_e6_another_length_than_announced(decoded_bytes: int) -> None:
    assert refused(framed(b"hello"), decoded_bytes) == "IncompleteBody"


def test_e6_too_much_is_noticed_by_one_who_reads_only_what_was_announced() -> None:
    body = reader(framed(b"hello", b"world"), 5)
    body.readinto(memoryview(bytearray(5)))

    with pytest.raises(IncompleteBody):
        body.finish()


def test_e6_too_little_is_noticed_by_one_who_finishes_early() -> None:
    body = reader(framed(b"hello"), 5)
    body.readinto(memoryview(bytearray(3)))

    with pytest.raises(IncompleteBody):
        body.finish()


@pytest.mark.parametrize(
    "line",
    [
        b"x-amz-checksum-crc32:AAAAAA==\r\n",
        b"X-Amz-Checksum-CRC32: AAAAAA== \r\n",
        b"x-amz-checksum-crc32:AAAAAA==\n\r\n",
    ],
)
def test_trailers_as_sdks_write_them(line: bytes) -> None:
    body = reader(framed(b"hello", trailers=line), 5, trailers=(CRC,))

    assert read_all(body) == b"hello"
    assert body.trailers == {CRC: "AAAAAA=="}


@pytest.mark.parametrize(
    "trailers",
    [
        pytest.param(b"", id="E8 announced and absent"),
        pytest.param(b"x-amz-checksum-sha1:AAAA\r\n", id="E9 another checksum"),
        pytest.param(b"x-amz-checksum-crc32:AA\r\nx-amz-meta-a:b\r\n", id="E9 metadata"),
        pytest.param(b"x-amz-checksum-crc32:AA\r\nauthorization:x\r\n", id="E9 authorization"),
        pytest.param(b"x-amz-checksum-crc32:AA\r\nx-amz-checksum-crc32:BB\r\n", id="E9 twice"),
        pytest.param(b"x-amz-checksum-crc32\r\n", id="no colon"),
        pytest.param(
            b"x-amz-checksum-crc32:AA\r\nx-amz-trailer-signature:00\r\n", id="E9 signed where nothing is"
        ),
        pytest.param(b":\r\n" * (TRAILER_COUNT_MAX + 1), id="E12 too many"),
    ],
)
def test_e8_e9_trailers_that_were_not_announced_so(trailers: bytes) -> None:
    assert refused(framed(b"hello", trailers=trailers), trailers=(CRC,)) == "MalformedTrailerError"


def test_e9_a_trailer_nobody_announced() -> None:
    assert refused(framed(b"hello", trailers=b"x-amz-checksum-crc32:AA\r\n")) == "MalformedTrailerError"


def test_e9_a_payload_without_trailers_has_none() -> None:
    raw = framed(b"hello", signs=True, trailers=b"x-amz-checksum-crc32:AA\r\n")

    assert refused(raw, signs=True) == "IncompleteBody"


@pytest.mark.parametrize("line_bytes", [LINE_BYTES_MAX + 1, 65536, 1 << 20])
def test_e12_endless_lines_are_cut_short(line_bytes: int) -> None:
    for raw in (b"5;" + b"x" * line_bytes, b"0" * line_bytes, b"5\r\nhello\r\n0\r\n" + b"t" * line_bytes):
        source = BytesBody(raw)
        body = AwsChunkedReader(source, decoded_bytes=5, has_trailer=True, trailers=(CRC,))
        with pytest.raises(WireError):
            read_all(body)
        assert len(raw) - source.left_bytes < 16384


def test_chunk_extensions_are_signatures_or_nothing() -> None:
    assert refused(b"5;a=b\r\nhello\r\n0\r\n\r\n") == "IncompleteBody"


def test_a_lone_carriage_return_at_the_end_of_a_piece_is_no_line_end() -> None:
    body = reader(b"5\r\nhe\r\no\r\n0\r\n\r\n", 5, pieces=(2, 1, 3))

    assert read_all(body) == b"he\r\no"
