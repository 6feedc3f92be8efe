"""The examples of the S3 API reference (authenticating requests; chunked uploads, with and without trailers)."""

import hashlib

import pytest

from dataplane.auth.identity import Credential
from dataplane.auth.signing_keys import SigningKeys
from dataplane.auth.sigv4 import Authenticated, Authenticator, SignedRequest
from dataplane.wire.aws_chunked import AwsChunkedReader
from dataplane.wire.fields import gather_fields
from dataplane.wire.refusals import SignatureDoesNotMatch
from dataplane.wire.target import Target, parse_query
from tests.support.wire_bodies import BytesBody, read_all
from tests.unit.dataplane.auth.conftest import ALICE

KEY = Credential(
    access_key_id="AKIAIOSFODNN7EXAMPLE",
    secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    identity=ALICE,
)
NOW_US = 1369353600 * 1_000_000
EMPTY = hashlib.sha256(b"").hexdigest()
HOST = "examplebucket.s3.amazonaws.com"


def authenticate(method: str, path: str, query: str, headers: dict[str, str]) -> Authenticated:
    """The examples address the bucket by its host, so the path is no path of ours."""
    authenticator = Authenticator(
        {KEY.access_key_id: KEY}.get,
        region="us-east-1",
        now_us=lambda: NOW_US,
        signing_keys=SigningKeys(),
    )
    target = Target(
        bucket=None,
        key=None,
        query=parse_query(query.encode()),
        raw_path=path.encode(),
        raw_query=query.encode(),
    )
    fields = gather_fields((name.lower().encode(), value.encode()) for name, value in headers.items())
    return authenticator.authenticate(SignedRequest(method=method, target=target, headers=fields))


def authorization(signed_headers: str, signature: str) -> str:
    return (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        f"SignedHeaders={signed_headers},Signature={signature}"
    )


@pytest.mark.parametrize(
    ("query", "signature"),
    [
        pytest.param(
            "lifecycle",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            id="GET Bucket Lifecycle",
        ),
        pytest.param(
            "max-keys=2&prefix=J",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            id="GET Bucket (List Objects)",
        ),
    ],
)
def test_bucket_requests(query: str, signature: str) -> None:
    headers = {
        "Host": HOST,
        "x-amz-date": "20130524T000000Z",
        "x-amz-content-sha256": EMPTY,
        "Authorization": authorization("host;x-amz-content-sha256;x-amz-date", signature),
    }

    assert authenticate("GET", "/", query, headers).identity is ALICE


def test_get_object() -> None:
    headers = {
        "Host": HOST,
        "Range": "bytes=0-9",
        "x-amz-content-sha256": EMPTY,
        "x-amz-date": "20130524T000000Z",
        "Authorization": authorization(
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
    }

    assert authenticate("GET", "/test.txt", "", headers).identity is ALICE


def test_put_object() -> None:
    headers = {
        "Host": HOST,
        "Date": "Fri, 24 May 2013 00:00:00 GMT",
        "x-amz-date": "20130524T000000Z",
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
        "x-amz-content-sha256": "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        "Authorization": authorization(
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
    }

    proven = authenticate("PUT", "/test%24file.text", "", headers)

    assert proven.payload.sha256 == hashlib.sha256(b"Welcome to Amazon S3.").digest()


def test_presigned_get() -> None:
    query = (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )

    assert authenticate("GET", "/test.txt", query, {"Host": HOST}).identity is ALICE


CHUNKED_HEADERS = {
    "Host": "s3.amazonaws.com",
    "x-amz-date": "20130524T000000Z",
    "x-amz-storage-class": "REDUCED_REDUNDANCY",
    "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "Content-Encoding": "aws-chunked",
    "x-amz-decoded-content-length": "66560",
    "Content-Length": "66824",
    "Authorization": authorization(
        "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
        "x-amz-storage-class",
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    ),
}
CHUNKED_BODY = (
    b"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n"
    + b"a" * 65536
    + b"\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n"
    + b"a" * 1024
    + b"\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"
)


def test_chunked_upload() -> None:
    proven = authenticate("PUT", "/examplebucket/chunkObject.txt", "", CHUNKED_HEADERS)

    reader = AwsChunkedReader(BytesBody(CHUNKED_BODY), decoded_bytes=66560, signatures=proven.signatures)

    assert len(CHUNKED_BODY) == 66824
    assert read_all(reader) == b"a" * 66560


@pytest.mark.parametrize("position", [100, 65700, 66700])
def test_chunked_upload_with_one_byte_altered(position: int) -> None:
    proven = authenticate("PUT", "/examplebucket/chunkObject.txt", "", CHUNKED_HEADERS)
    altered = bytearray(CHUNKED_BODY)
    altered[position] ^= 1

    reader = AwsChunkedReader(BytesBody(bytes(altered)), decoded_bytes=66560, signatures=proven.signatures)

    with pytest.raises(SignatureDoesNotMatch):
        read_all(reader)


TRAILER_HEADERS = {
    "Host": "s3.amazonaws.com",
    "x-amz-date": "20130524T000000Z",
    "x-amz-storage-class": "REDUCED_REDUNDANCY",
    "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "Content-Encoding": "aws-chunked",
    "x-amz-decoded-content-length": "66560",
    "x-amz-trailer": "x-amz-checksum-crc32c",
    "Authorization": authorization(
        "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;"
        "x-amz-trailer",
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    ),
}
TRAILER_BODY = (
    b"10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n"
    + b"a" * 65536
    + b"\r\n400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n"
    + b"a" * 1024
    + b"\r\n0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n"
    + b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
    + b"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
)


def trailer_reader(body: bytes) -> AwsChunkedReader:
    proven = authenticate("PUT", "/examplebucket/chunkObject.txt", "", TRAILER_HEADERS)
    return AwsChunkedReader(
        BytesBody(body),
        decoded_bytes=66560,
        signatures=proven.signatures,
        has_trailer=True,
        trailers=("x-amz-checksum-crc32c",),
    )


def test_chunked_upload_with_a_signed_trailer() -> None:
    reader = trailer_reader(TRAILER_BODY)

    assert read_all(reader) == b"a" * 66560
    assert reader.trailers == {"x-amz-checksum-crc32c": "sOO8/Q=="}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b"sOO8/Q==", b"sOO8/A==", id="E11 another checksum"),
        pytest.param(b"signature:d81f", b"signature:e81f", id="E11 another signature"),
        pytest.param(b"x-amz-trailer-signature", b"x-amz-trailer-signatur", id="E11 no signature"),
    ],
)
def test_e11_an_altered_trailer_is_refused(old: bytes, new: bytes) -> None:
    reader = trailer_reader(TRAILER_BODY.replace(old, new))

    with pytest.raises(Exception, match=r"signature|announced"):
        read_all(reader)
