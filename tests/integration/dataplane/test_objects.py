"""Objects as boto3 stores, fetches, copies and removes them, with its defaults."""

import base64
import hashlib
import io
import zlib
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from dataplane.wire.times import amz_date
from engine.clock import SystemClock
from engine.metadata.store import Params, Row
from tests.integration.dataplane.in_process import ACCESS_KEY_ID, SECRET, InProcess, refused
from tests.support.objects import ObjectRig
from tests.support.sigv4_signer import Signer

BUCKET = "photos"
DATA = bytes(range(256)) * 1000
MD5 = hashlib.md5(DATA, usedforsecurity=False).hexdigest()


def code(error: ClientError) -> tuple[str, int]:
    return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]


def test_what_is_put_comes_back_with_all_it_carried(client: Any) -> None:
    put = client.put_object(
        Bucket=BUCKET,
        Key="a b+c/ö%?#.bin",
        Body=DATA,
        ContentType="text/plain",
        CacheControl="no-cache",
        ContentEncoding="gzip",
        ContentDisposition="attachment",
        ContentLanguage="de",
        Metadata={"color": "light blue", "Size": "9"},
    )

    got = client.get_object(Bucket=BUCKET, Key="a b+c/ö%?#.bin", ChecksumMode="ENABLED")

    assert got["Body"].read() == DATA
    assert put["ETag"] == got["ETag"] == f'"{MD5}"'
    assert (
        put["ChecksumCRC32"]
        == got["ChecksumCRC32"]
        == base64.b64encode(zlib.crc32(DATA).to_bytes(4, "big")).decode()
    )
    assert got["ChecksumType"] == "FULL_OBJECT"
    assert got["Metadata"] == {"color": "light blue", "size": "9"}
    assert (got["ContentType"], got["CacheControl"], got["ContentEncoding"]) == (
        "text/plain",
        "no-cache",
        "gzip",
    )
    assert (got["ContentDisposition"], got["ContentLanguage"]) == ("attachment", "de")
    assert (got["ContentLength"], got["AcceptRanges"]) == (len(DATA), "bytes")


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_every_checksum_is_computed_kept_and_given_back(client: Any, algorithm: str) -> None:
    put = client.put_object(Bucket=BUCKET, Key="k", Body=DATA, ChecksumAlgorithm=algorithm)
    head = client.head_object(Bucket=BUCKET, Key="k", ChecksumMode="ENABLED")

    assert put[f"Checksum{algorithm}"] == head[f"Checksum{algorithm}"]
    assert refused(
        client.put_object,
        Bucket=BUCKET,
        Key="k",
        Body=b"other",
        **{f"Checksum{algorithm}": put[f"Checksum{algorithm}"]},
    ) == ("BadDigest", 400)
    assert client.get_object(Bucket=BUCKET, Key="k")["Body"].read() == DATA


@pytest.mark.parametrize("size_bytes", [0, 1, 70_000, 3_000_000])
def test_a_stream_that_cannot_be_rewound_is_stored(endpoint: InProcess, size_bytes: int) -> None:
    class Stream(io.RawIOBase):
        def __init__(self) -> None:
            self._inner = io.BytesIO(bytes(size_bytes))

        def readinto(self, buffer: Any) -> int:
            return self._inner.readinto(buffer)

        def readable(self) -> bool:
            return True

    client = endpoint.client()
    client.upload_fileobj(Stream(), BUCKET, "k")

    assert client.head_object(Bucket=BUCKET, Key="k")["ContentLength"] == size_bytes


def test_ranges_and_conditions(client: Any) -> None:
    etag = client.put_object(Bucket=BUCKET, Key="k", Body=b"0123456789")["ETag"]

    part = client.get_object(Bucket=BUCKET, Key="k", Range="bytes=2-4")
    assert (part["Body"].read(), part["ContentRange"], part["ContentLength"]) == (b"234", "bytes 2-4/10", 3)
    assert part["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert client.get_object(Bucket=BUCKET, Key="k", Range="bytes=5-2")["Body"].read() == b"0123456789"
    assert client.get_object(Bucket=BUCKET, Key="k", IfMatch=etag)["Body"].read() == b"0123456789"
    assert refused(client.get_object, Bucket=BUCKET, Key="k", Range="bytes=40-50") == ("InvalidRange", 416)
    assert refused(client.get_object, Bucket=BUCKET, Key="k", IfMatch='"x"') == ("PreconditionFailed", 412)
    assert refused(client.get_object, Bucket=BUCKET, Key="k", IfNoneMatch=etag) == ("304", 304)
    assert refused(client.put_object, Bucket=BUCKET, Key="k", Body=b"", IfNoneMatch="*") == (
        "PreconditionFailed",
        412,
    )
    assert refused(client.put_object, Bucket=BUCKET, Key="k", Body=b"", IfMatch='"x"') == (
        "PreconditionFailed",
        412,
    )
    client.put_object(Bucket=BUCKET, Key="k", Body=b"new", IfMatch=etag)
    assert client.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"new"


def test_response_overrides(client: Any) -> None:
    client.put_object(Bucket=BUCKET, Key="k", Body=b"x")

    got = client.get_object(
        Bucket=BUCKET,
        Key="k",
        ResponseContentType="text/html",
        ResponseContentDisposition='attachment; filename="ä"',
    )

    assert (got["ContentType"], got["ContentDisposition"]) == ("text/html", 'attachment; filename="ä"')


def test_what_is_not_there(client: Any) -> None:
    assert refused(client.get_object, Bucket=BUCKET, Key="k") == ("NoSuchKey", 404)
    assert refused(client.head_object, Bucket=BUCKET, Key="k") == ("404", 404)
    assert refused(client.get_object, Bucket="nowhere", Key="k") == ("NoSuchBucket", 404)
    assert client.delete_object(Bucket=BUCKET, Key="k")["ResponseMetadata"]["HTTPStatusCode"] == 204


@pytest.mark.parametrize(
    ("version_id", "expected"),
    [("bogus", ("InvalidArgument", 400)), ("0190163d8694739a823e1d2b6e1f8f0a", ("NoSuchVersion", 404))],
)
def test_b25_version_ids(client: Any, version_id: str, expected: tuple[str, int]) -> None:
    client.put_object(Bucket=BUCKET, Key="k", Body=b"x")

    assert refused(client.get_object, Bucket=BUCKET, Key="k", VersionId=version_id) == expected
    assert client.get_object(Bucket=BUCKET, Key="k", VersionId="null")["Body"].read() == b"x"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"ServerSideEncryption": "AES256"}, ("NotImplemented", 501)),
        ({"StorageClass": "GLACIER"}, ("InvalidStorageClass", 400)),
        ({"ACL": "public-read"}, ("AccessControlListNotSupported", 400)),
        ({"Tagging": "a=b&a=c"}, ("InvalidTag", 400)),
        ({"ContentMD5": base64.b64encode(bytes(16)).decode()}, ("BadDigest", 400)),
        ({"ContentMD5": "abc"}, ("InvalidDigest", 400)),
        ({"Metadata": {"a": "x" * 2048}}, ("MetadataTooLarge", 400)),
        ({"ExpectedBucketOwner": "123456789012"}, ("AccessDenied", 403)),
    ],
)
def test_what_is_refused_stores_nothing(client: Any, arguments: Any, expected: tuple[str, int]) -> None:
    assert refused(client.put_object, Bucket=BUCKET, Key="k", Body=b"x", **arguments) == expected
    assert "Contents" not in client.list_objects_v2(Bucket=BUCKET)


def test_copies(client: Any) -> None:
    client.put_object(Bucket=BUCKET, Key="source ö", Body=DATA, Metadata={"a": "1"}, ContentType="a/b")
    source = {"Bucket": BUCKET, "Key": "source ö"}

    copied = client.copy_object(Bucket=BUCKET, Key="copy", CopySource=source)
    client.copy_object(
        Bucket=BUCKET, Key="other", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"}
    )

    assert copied["CopyObjectResult"]["ETag"] == f'"{MD5}"'
    assert client.head_object(Bucket=BUCKET, Key="copy")["Metadata"] == {"a": "1"}
    assert client.head_object(Bucket=BUCKET, Key="other")["Metadata"] == {"b": "2"}
    assert client.get_object(Bucket=BUCKET, Key="copy")["Body"].read() == DATA
    itself = {"Bucket": BUCKET, "Key": "source ö", "CopySource": source}
    assert refused(client.copy_object, **itself) == ("InvalidRequest", 400)
    client.copy_object(**itself, MetadataDirective="REPLACE")
    assert client.head_object(Bucket=BUCKET, Key="source ö")["Metadata"] == {}


def test_f8_f10_copies_that_are_refused(client: Any) -> None:
    etag = client.put_object(Bucket=BUCKET, Key="k", Body=b"x")["ETag"]
    to = {"Bucket": BUCKET, "Key": "copy"}

    assert refused(client.copy_object, **to, CopySource="nowhere/k") == ("NoSuchBucket", 404)
    assert refused(client.copy_object, **to, CopySource=f"{BUCKET}/none") == ("NoSuchKey", 404)
    assert refused(client.copy_object, **to, CopySource=BUCKET) == ("InvalidArgument", 400)
    source = {"Bucket": BUCKET, "Key": "k"}
    assert refused(client.copy_object, **to, CopySource=source, CopySourceIfMatch='"x"') == (
        "PreconditionFailed",
        412,
    )
    assert refused(client.copy_object, **to, CopySource=source, CopySourceIfNoneMatch=etag) == (
        "PreconditionFailed",
        412,
    )


def test_batches_of_deletes(client: Any) -> None:
    for key in ("a", "b", "c"):
        client.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    wanted = [{"Key": "a"}, {"Key": "none"}, {"Key": "b", "VersionId": "null"}]

    result = client.delete_objects(Bucket=BUCKET, Delete={"Objects": wanted})

    assert {each["Key"] for each in result["Deleted"]} == {"a", "none", "b"}
    assert [each["Key"] for each in client.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["c"]
    quiet = client.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "c"}], "Quiet": True})
    assert "Deleted" not in quiet
    missing = {"Key": "c", "VersionId": "0190163d8694739a823e1d2b6e1f8f0a"}
    gone = client.delete_objects(Bucket=BUCKET, Delete={"Objects": [missing]})
    assert gone["Deleted"] == [missing]


@pytest.mark.parametrize("options", [{}, {"signature_version": "s3v4"}], ids=["defaults", "version 4"])
def test_presigned_urls(endpoint: InProcess, options: dict[str, Any]) -> None:
    client = endpoint.client(**options)
    put = client.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "p q"})
    get = client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "p q"})

    assert ask(endpoint, "PUT", put, DATA)[0] == 200
    assert ask(endpoint, "GET", get) == (200, DATA)
    assert ask(endpoint, "GET", put)[0] == 403


def ask(endpoint: InProcess, method: str, url: str, body: bytes = b"") -> tuple[int, bytes]:
    parts = urlsplit(url)
    status, _, content = endpoint.answer(
        method, f"{parts.path}?{parts.query}", [("host", parts.netloc)], body
    )
    return status, content


def test_a34_a_body_that_is_not_the_signed_one_is_not_stored(endpoint: InProcess, client: Any) -> None:
    client.put_object(Bucket=BUCKET, Key="k", Body=b"right")
    signer = Signer(
        access_key_id=ACCESS_KEY_ID, secret=SECRET, amz_date=amz_date(SystemClock().now_us() // 1_000_000)
    )
    headers = signer.headers("PUT", f"/{BUCKET}/k", payload=hashlib.sha256(b"signed").hexdigest())

    status, _, content = endpoint.answer("PUT", f"/{BUCKET}/k", headers, b"forged")

    assert (status, b"<Code>XAmzContentSHA256Mismatch</Code>" in content) == (400, True)
    assert client.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"right"


def test_an_object_is_put_with_one_look_at_its_bucket(
    rig: ObjectRig, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look is a way to the database and back."""
    looked: list[str] = []
    look = rig.store.look

    def counted(statement: str, params: Params) -> list[Row]:
        looked.append(statement)
        return look(statement, params)

    monkeypatch.setattr(rig.store, "look", counted)

    client.put_object(Bucket=BUCKET, Key="one", Body=DATA)

    assert looked == ["find_bucket"]
