"""boto3 with its own defaults: checksums, unseekable bodies, presigned requests, paging, multipart."""

import io
import os
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.served import Served

MIB = 1024**2


@pytest.fixture(scope="module")
def s3(served: Served) -> Any:
    client = served.client()
    client.create_bucket(Bucket="boto")
    return client


class Unseekable(io.RawIOBase):
    """A body that can only be read once, as a pipe would be."""

    def __init__(self, payload: bytes) -> None:
        self._left = io.BytesIO(payload)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._left.readinto(buffer)

    def seekable(self) -> bool:
        return False


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


@pytest.mark.parametrize("size_bytes", [0, 1, 4096, 65_536, 65_537, 3 * MIB])
def test_bytes_come_back_with_their_etag_and_checksum(s3: Any, size_bytes: int) -> None:
    payload = os.urandom(size_bytes)

    put = s3.put_object(
        Bucket="boto", Key="plain", Body=payload, Metadata={"Colour": "blue"}, CacheControl="no-store"
    )
    got = s3.get_object(Bucket="boto", Key="plain")

    assert got["Body"].read() == payload
    assert got["ETag"] == put["ETag"]
    assert got["ContentLength"] == size_bytes
    assert got["Metadata"] == {"colour": "blue"}
    assert got["CacheControl"] == "no-store"
    assert put["ChecksumCRC32"]
    assert put["ChecksumType"] == "FULL_OBJECT"


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC64NVME"])
def test_a_checksum_asked_for_is_kept(s3: Any, algorithm: str) -> None:
    put = s3.put_object(Bucket="boto", Key="sum", Body=b"123456789", ChecksumAlgorithm=algorithm)
    head = s3.head_object(Bucket="boto", Key="sum", ChecksumMode="ENABLED")

    assert head[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"]


def test_an_unseekable_body_is_stored_as_its_decoded_bytes(s3: Any) -> None:
    payload = os.urandom(200_000)

    s3.upload_fileobj(io.BufferedReader(Unseekable(payload)), "boto", "pipe")

    got = s3.get_object(Bucket="boto", Key="pipe")
    assert got["Body"].read() == payload
    assert "aws-chunked" not in got.get("ContentEncoding", "")


def test_a_presigned_get_needs_no_headers(s3: Any) -> None:
    s3.put_object(Bucket="boto", Key="shared", Body=b"for all")

    url = s3.generate_presigned_url("get_object", Params={"Bucket": "boto", "Key": "shared"}, ExpiresIn=60)

    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"for all"


def test_a_presigned_put_stores_and_a_changed_one_does_not(s3: Any) -> None:
    url = s3.generate_presigned_url("put_object", Params={"Bucket": "boto", "Key": "dropped"}, ExpiresIn=60)

    with urllib.request.urlopen(urllib.request.Request(url, data=b"dropped here", method="PUT")) as answer:
        assert answer.status == 200
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(
            urllib.request.Request(url.replace("dropped", "other"), data=b"x", method="PUT")
        )
    refused.value.close()

    assert refused.value.code == 403
    assert s3.get_object(Bucket="boto", Key="dropped")["Body"].read() == b"dropped here"


def test_ranges_are_slices(s3: Any) -> None:
    payload = os.urandom(700_000)
    s3.put_object(Bucket="boto", Key="ranged", Body=payload)

    for header, expected in [
        ("bytes=0-4", payload[:5]),
        ("bytes=262140-262150", payload[262_140:262_151]),
        ("bytes=699990-", payload[699_990:]),
        ("bytes=-10", payload[-10:]),
    ]:
        got = s3.get_object(Bucket="boto", Key="ranged", Range=header)
        assert got["Body"].read() == expected
        assert got["ContentRange"].endswith("/700000")
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="boto", Key="ranged", Range="bytes=700000-")
    assert code(error) == "InvalidRange"


def test_multipart_uploads_are_one_object(s3: Any) -> None:
    parts = [os.urandom(5 * MIB), os.urandom(5 * MIB), os.urandom(12_345)]
    upload = s3.create_multipart_upload(Bucket="boto", Key="parts", ContentType="text/x-parts")
    named = {"Bucket": "boto", "Key": "parts", "UploadId": upload["UploadId"]}

    listed: list[dict[str, Any]] = []
    for number, part in reversed(list(enumerate(parts, start=1))):
        answer = s3.upload_part(**named, PartNumber=number, Body=part)
        listed.insert(
            0, {"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32": answer["ChecksumCRC32"]}
        )
    assert [part["PartNumber"] for part in s3.list_parts(**named)["Parts"]] == [1, 2, 3]
    assert [each["Key"] for each in s3.list_multipart_uploads(Bucket="boto")["Uploads"]] == ["parts"]
    done = s3.complete_multipart_upload(**named, MultipartUpload={"Parts": listed})
    again = s3.complete_multipart_upload(**named, MultipartUpload={"Parts": listed})

    got = s3.get_object(Bucket="boto", Key="parts")
    assert got["Body"].read() == b"".join(parts)
    assert got["ContentType"] == "text/x-parts"
    assert got["ETag"] == done["ETag"] == again["ETag"]
    assert done["ETag"].endswith('-3"')
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="boto")


def test_an_aborted_upload_is_gone(s3: Any) -> None:
    upload = s3.create_multipart_upload(Bucket="boto", Key="aborted")
    named = {"Bucket": "boto", "Key": "aborted", "UploadId": upload["UploadId"]}

    s3.abort_multipart_upload(**named)

    with pytest.raises(ClientError) as error:
        s3.upload_part(**named, PartNumber=1, Body=b"late")
    assert code(error) == "NoSuchUpload"


def test_listings_page_through_every_key_once(s3: Any) -> None:
    s3.create_bucket(Bucket="pages")
    keys = [*sorted(f"{folder}/{name:02d}" for folder in "abc" for name in range(7)), "top", "ü 100%+&"]
    for key in keys:
        s3.put_object(Bucket="pages", Key=key, Body=b".")

    for version in ("list_objects", "list_objects_v2"):
        for size in (1, 4, 1000):
            pages = s3.get_paginator(version).paginate(Bucket="pages", PaginationConfig={"PageSize": size})
            assert [entry["Key"] for page in pages for entry in page["Contents"]] == keys
            pages = s3.get_paginator(version).paginate(
                Bucket="pages", Delimiter="/", PaginationConfig={"PageSize": size}
            )
            seen = [(page.get("CommonPrefixes", []), page.get("Contents", [])) for page in pages]
            assert [each["Prefix"] for prefixes, _ in seen for each in prefixes] == ["a/", "b/", "c/"]
            assert [each["Key"] for _, contents in seen for each in contents] == ["top", "ü 100%+&"]


def test_many_keys_go_in_one_request_and_the_bucket_after_them(s3: Any) -> None:
    s3.create_bucket(Bucket="emptied")
    for index in range(30):
        s3.put_object(Bucket="emptied", Key=f"k{index}", Body=b".")
    with pytest.raises(ClientError) as error:
        s3.delete_bucket(Bucket="emptied")
    assert code(error) == "BucketNotEmpty"

    wanted = [{"Key": f"k{index}"} for index in range(30)] + [{"Key": "never there"}]
    answer = s3.delete_objects(Bucket="emptied", Delete={"Objects": wanted})

    assert len(answer["Deleted"]) == 31
    assert "Errors" not in answer
    s3.delete_bucket(Bucket="emptied")
    with pytest.raises(ClientError) as error:
        s3.head_bucket(Bucket="emptied")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_copies_share_content_and_may_replace_headers(s3: Any) -> None:
    s3.put_object(Bucket="boto", Key="from/a b", Body=b"shared", ContentType="text/a", Metadata={"m": "1"})

    source = {"Bucket": "boto", "Key": "from/a b"}
    s3.copy_object(Bucket="boto", Key="kept", CopySource=source)
    s3.copy_object(
        Bucket="boto", Key="replaced", CopySource=source, MetadataDirective="REPLACE", ContentType="text/b"
    )

    kept, replaced = (s3.get_object(Bucket="boto", Key=key) for key in ("kept", "replaced"))
    assert (kept["Body"].read(), kept["ContentType"], kept["Metadata"]) == (b"shared", "text/a", {"m": "1"})
    assert (replaced["Body"].read(), replaced["ContentType"], replaced["Metadata"]) == (
        b"shared",
        "text/b",
        {},
    )
    with pytest.raises(ClientError) as error:
        s3.copy_object(Bucket="boto", Key="kept", CopySource={"Bucket": "boto", "Key": "kept"})
    assert code(error) == "InvalidRequest"


def test_what_is_not_there_is_told_by_its_name(s3: Any) -> None:
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="boto", Key="nothing")
    assert code(error) == "NoSuchKey"
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="no-such-bucket-here", Key="nothing")
    assert code(error) == "NoSuchBucket"
    assert s3.delete_object(Bucket="boto", Key="nothing")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_what_is_not_built_is_refused_by_its_name(s3: Any) -> None:
    with pytest.raises(ClientError) as error:
        s3.put_bucket_website(Bucket="boto", WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
    assert code(error) == "NotImplemented"
