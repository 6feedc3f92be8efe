"""Bodies are what their headers promise, or they are refused, as early as can be known."""

import base64
import hashlib
import io
import zlib
from typing import Any

import pytest
from botocore.httpchecksum import _CHECKSUM_CLS, AwsChunkedWrapper

from dataplane.wire.bodies import ChunkedBody, object_body, read_document
from dataplane.wire.payload import read_payload
from dataplane.wire.refusals import WireError
from engine.errors import DigestMismatch, ObjectTooLarge
from engine.integrity.digests import BodyDigests
from engine.streams import ChecksumAlgorithm
from engine.units import PUT_SIZE_MAX_BYTES
from tests.support.wire_bodies import BytesBody, read_all

UNSIGNED = read_payload("UNSIGNED-PAYLOAD")
TRAILER = read_payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
HELLO = b"hello"


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def chunked(data: bytes, trailer: str | None = None) -> bytes:
    line = b"" if trailer is None else f"x-amz-checksum-crc32:{trailer}\r\n".encode()
    return b"%x\r\n" % len(data) + data + b"\r\n0\r\n" + line + b"\r\n"


def stored(body: Any) -> bytes:
    """Read as the engine does: exactly the size, then hold the digests against the promise."""
    buffer = bytearray(body.size_bytes)
    filled = 0
    while filled < len(buffer):
        filled += body.readinto(memoryview(buffer)[filled:])
    digests = BodyDigests(body.plan)
    digests.update(buffer)
    digests.check(body.finish())
    return bytes(buffer)


def refused(call: Any) -> str:
    with pytest.raises(WireError) as caught:
        call()
    return caught.value.fault.code


def test_a_plain_body_is_its_bytes() -> None:
    body = object_body(BytesBody(HELLO, piece_sizes=(2,)), {}, UNSIGNED)

    assert (body.size_bytes, body.plan.sha256, tuple(body.plan.checksums)) == (5, False, ())
    assert stored(body) == HELLO


def test_c1_a_body_of_unknown_length_is_refused() -> None:
    assert (
        refused(lambda: object_body(BytesBody(HELLO, size_bytes=None), {}, UNSIGNED))
        == "MissingContentLength"
    )


def test_c3_a_body_too_large_is_refused_before_it_is_read() -> None:
    source = BytesBody(HELLO, size_bytes=PUT_SIZE_MAX_BYTES + 1)

    with pytest.raises(ObjectTooLarge):
        object_body(source, {}, UNSIGNED)

    assert source.left_bytes == 5


def test_c4_a_body_shorter_than_announced_is_incomplete() -> None:
    body = object_body(BytesBody(b"h", size_bytes=10), {}, UNSIGNED)

    assert refused(lambda: read_all(body)) == "IncompleteBody"


def test_c7_what_follows_the_announced_bytes_is_not_read() -> None:
    source = BytesBody(b"hello world", size_bytes=5)

    assert read_all(object_body(source, {}, UNSIGNED)) == HELLO
    assert source.left_bytes == 6


def test_a34_the_payloads_hash_is_held_against_the_bytes() -> None:
    right = read_payload(hashlib.sha256(HELLO).hexdigest())
    wrong = read_payload(hashlib.sha256(b"other").hexdigest())

    assert stored(object_body(BytesBody(HELLO), {}, right)) == HELLO
    with pytest.raises(DigestMismatch) as caught:
        stored(object_body(BytesBody(HELLO), {}, wrong))
    assert caught.value.what == "sha256"


def test_c9_content_md5_is_held_against_the_bytes() -> None:
    right = base64.b64encode(hashlib.md5(HELLO, usedforsecurity=False).digest()).decode()
    wrong = base64.b64encode(bytes(16)).decode()

    assert stored(object_body(BytesBody(HELLO), {"content-md5": right}, UNSIGNED)) == HELLO
    with pytest.raises(DigestMismatch):
        stored(object_body(BytesBody(HELLO), {"content-md5": wrong}, UNSIGNED))


def test_c8_a_content_md5_that_is_none_is_refused_before_the_body() -> None:
    assert refused(lambda: object_body(BytesBody(HELLO), {"content-md5": "abc"}, UNSIGNED)) == "InvalidDigest"


def test_c10_a_checksum_header_is_held_against_the_bytes() -> None:
    body = object_body(BytesBody(HELLO), {"x-amz-checksum-crc32": crc32(HELLO)}, UNSIGNED)

    assert tuple(body.plan.checksums) == (ChecksumAlgorithm.CRC32,)
    assert stored(body) == HELLO
    with pytest.raises(DigestMismatch):
        stored(object_body(BytesBody(HELLO), {"x-amz-checksum-crc32": crc32(b"other")}, UNSIGNED))


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"x-amz-checksum-crc32": "!"}, id="C10 malformed"),
        pytest.param({"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-crc32c": "AAAAAA=="}, id="C10 two"),
        pytest.param({"x-amz-sdk-checksum-algorithm": "FOO"}, id="C12 unknown"),
        pytest.param({"x-amz-sdk-checksum-algorithm": "CRC32"}, id="C12 named and not given"),
        pytest.param(
            {"x-amz-sdk-checksum-algorithm": "SHA1", "x-amz-checksum-crc32": "AAAAAA=="}, id="C12 another"
        ),
        pytest.param({"x-amz-trailer": "x-amz-checksum-crc32"}, id="a trailer on a plain body"),
    ],
)
def test_c10_c12_checksums_that_contradict_themselves(headers: dict[str, str]) -> None:
    assert refused(lambda: object_body(BytesBody(HELLO), headers, UNSIGNED)) == "InvalidRequest"


def chunked_body(raw: bytes, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return object_body(BytesBody(raw), {"x-amz-decoded-content-length": "5", **named}, TRAILER)


def test_a_trailing_checksum_is_held_against_the_bytes() -> None:
    body = chunked_body(chunked(HELLO, crc32(HELLO)), x_amz_trailer="x-amz-checksum-crc32")

    assert isinstance(body, ChunkedBody)
    assert tuple(body.plan.checksums) == (ChecksumAlgorithm.CRC32,)
    assert stored(body) == HELLO


def test_e10_a_trailing_checksum_of_other_bytes() -> None:
    with pytest.raises(DigestMismatch):
        stored(chunked_body(chunked(HELLO, crc32(b"other")), x_amz_trailer="x-amz-checksum-crc32"))


def test_e10_a_trailing_checksum_that_is_none() -> None:
    body = chunked_body(chunked(HELLO, "zzz"), x_amz_trailer="x-amz-checksum-crc32")

    assert refused(lambda: stored(body)) == "InvalidRequest"


def test_an_unsigned_trailer_payload_may_have_no_trailer() -> None:
    assert stored(chunked_body(chunked(HELLO))) == HELLO


@pytest.mark.parametrize(
    "trailer",
    [
        "x-amz-meta-a",
        "authorization",
        "x-amz-checksum-foo",
        "x-amz-checksum-crc32,x-amz-checksum-sha1",
        "",
        ",",
    ],
)
def test_e9_only_one_checksum_may_be_announced(trailer: str) -> None:
    assert refused(lambda: chunked_body(b"", x_amz_trailer=trailer)) == "InvalidRequest"


def test_a_checksum_comes_as_header_or_as_trailer() -> None:
    headers = {"x_amz_trailer": "x-amz-checksum-crc32", "x_amz_checksum_crc32": "AAAAAA=="}

    assert refused(lambda: chunked_body(b"", **headers)) == "InvalidRequest"


@pytest.mark.parametrize(
    ("length", "code"),
    [
        (None, "MissingContentLength"),
        ("-1", "InvalidArgument"),
        ("x", "InvalidArgument"),
        ("", "InvalidArgument"),
        ("+5", "InvalidArgument"),
        ("5_0", "InvalidArgument"),
        ("1" * 20, "InvalidArgument"),
        ("٥", "InvalidArgument"),
    ],
)
def test_e6_the_decoded_length_is_a_number(length: str | None, code: str) -> None:
    headers = {} if length is None else {"x-amz-decoded-content-length": length}

    assert refused(lambda: object_body(BytesBody(chunked(HELLO)), headers, TRAILER)) == code


def test_e6_the_decoded_length_is_the_bodys() -> None:
    for length in ("4", "6"):
        assert refused(
            lambda length=length: stored(chunked_body(chunked(HELLO), x_amz_decoded_content_length=length))
        ) == ("IncompleteBody")


def test_e6_a_decoded_length_beyond_what_comes_is_refused_before_anything_is_made_ready() -> None:
    raw = BytesBody(chunked(HELLO))

    assert refused(lambda: object_body(raw, {"x-amz-decoded-content-length": str(1 << 30)}, TRAILER)) == (
        "IncompleteBody"
    )


def test_a_chunked_body_needs_no_content_length() -> None:
    source = BytesBody(chunked(HELLO), size_bytes=None)

    assert stored(object_body(source, {"x-amz-decoded-content-length": "5"}, TRAILER)) == HELLO


def test_a_chunked_body_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(ObjectTooLarge):
        chunked_body(b"", x_amz_decoded_content_length=str(PUT_SIZE_MAX_BYTES + 1))


def test_documents_are_read_whole_and_held_against_their_digests() -> None:
    right = read_payload(hashlib.sha256(HELLO).hexdigest())

    assert read_document(BytesBody(HELLO, piece_sizes=(1,)), {}, right) == HELLO
    with pytest.raises(DigestMismatch):
        read_document(BytesBody(b"hullo"), {}, right)


def test_d4_documents_are_capped_before_a_byte_is_read() -> None:
    source = BytesBody(b"x" * 100)

    assert refused(lambda: read_document(source, {}, UNSIGNED, max_bytes=99)) == "MaxMessageLengthExceeded"
    assert source.left_bytes == 100


def test_documents_have_a_length() -> None:
    assert (
        refused(lambda: read_document(BytesBody(b"", size_bytes=None), {}, UNSIGNED))
        == "MissingContentLength"
    )


def test_d9_a_batch_delete_proves_its_body() -> None:
    signed = read_payload(hashlib.sha256(HELLO).hexdigest())

    assert refused(lambda: read_document(BytesBody(HELLO), {}, signed, needs_digest=True)) == "InvalidRequest"
    headers = {"x-amz-checksum-crc32": crc32(HELLO)}
    assert read_document(BytesBody(HELLO), headers, UNSIGNED, needs_digest=True) == HELLO


def test_a_checksum_of_an_object_is_not_held_against_the_list_of_its_parts() -> None:
    headers = {"x-amz-checksum-crc32": crc32(b"the object") + "-2", "x-amz-checksum-type": "COMPOSITE"}

    assert read_document(BytesBody(HELLO), headers, UNSIGNED, has_checksum=False) == HELLO


@pytest.mark.parametrize("algorithm", list(ChecksumAlgorithm), ids=lambda each: each.value)
@pytest.mark.parametrize("size_bytes", [0, 1, 1024 * 1024 + 17])
def test_bodies_as_botocore_streams_them(algorithm: ChecksumAlgorithm, size_bytes: int) -> None:
    data = bytes(range(256)) * (size_bytes // 256) + bytes(size_bytes % 256)
    name = f"x-amz-checksum-{algorithm.value.lower()}"
    wrapper = AwsChunkedWrapper(
        io.BytesIO(data), _CHECKSUM_CLS[algorithm.value.lower()], name, chunk_size=65536
    )
    headers = {
        "x-amz-trailer": name,
        "x-amz-decoded-content-length": str(size_bytes),
        "x-amz-sdk-checksum-algorithm": algorithm.value,
    }

    body = object_body(BytesBody(wrapper.read(), piece_sizes=(1400, 3, 9000)), headers, TRAILER)

    assert stored(body) == data
