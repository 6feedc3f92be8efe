"""Multipart uploads as boto3 and its transfer manager make them."""

import base64
import hashlib
import io
import zlib
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig

from tests.integration.dataplane.in_process import refused

BUCKET = "photos"
PART = bytes(range(256)) * 1024
REPLACE = {"MetadataDirective": "REPLACE"}


def begin(client: Any, key: str = "k", **arguments: Any) -> dict[str, str]:
    upload = client.create_multipart_upload(Bucket=BUCKET, Key=key, **arguments)
    return {"Bucket": BUCKET, "Key": key, "UploadId": upload["UploadId"]}


def listed(*etags: str) -> dict[str, Any]:
    return {"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]}


def test_parts_become_one_object(client: Any) -> None:
    named = begin(client, "ö+ k", Metadata={"a": "1"}, ContentType="a/b")
    etags = [client.upload_part(**named, PartNumber=n, Body=PART)["ETag"] for n in (1, 2)]

    found = client.list_parts(**named, MaxParts=1)
    done = client.complete_multipart_upload(**named, MultipartUpload=listed(*etags))

    assert [part["PartNumber"] for part in found["Parts"]] == [1]
    assert (found["IsTruncated"], found["NextPartNumberMarker"]) == (True, 1)
    md5s = b"".join(hashlib.md5(PART, usedforsecurity=False).digest() for _ in range(2))
    assert done["ETag"] == f'"{hashlib.md5(md5s, usedforsecurity=False).hexdigest()}-2"'
    assert (done["Key"], done["Bucket"]) == ("ö+ k", BUCKET)
    got = client.get_object(Bucket=BUCKET, Key="ö+ k")
    assert got["Body"].read() == PART * 2
    assert (got["Metadata"], got["ContentType"]) == ({"a": "1"}, "a/b")
    again = client.complete_multipart_upload(**named, MultipartUpload=listed(*etags))
    assert again["ETag"] == done["ETag"]


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC64NVME", "SHA256"])
def test_the_transfer_manager_and_its_checksums(client: Any, algorithm: str) -> None:
    client.upload_fileobj(
        io.BytesIO(PART * 48),
        BUCKET,
        "k",
        ExtraArgs={"ChecksumAlgorithm": algorithm},
        Config=TransferConfig(multipart_threshold=1, multipart_chunksize=5 * 1024 * 1024, use_threads=False),
    )

    head = client.head_object(Bucket=BUCKET, Key="k", ChecksumMode="ENABLED")
    into = io.BytesIO()
    client.download_fileobj(BUCKET, "k", into)

    assert into.getvalue() == PART * 48
    assert head[f"Checksum{algorithm}"]
    assert head["ChecksumType"] == ("FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE")


def test_open_uploads_are_listed_and_aborted(client: Any) -> None:
    first, second = begin(client, "a/1"), begin(client, "b 2")

    found = client.list_multipart_uploads(Bucket=BUCKET, EncodingType="url")
    client.abort_multipart_upload(**first)

    assert [each["Key"] for each in found["Uploads"]] == ["a/1", "b%202"]
    assert [each["UploadId"] for each in found["Uploads"]] == [first["UploadId"], second["UploadId"]]
    assert refused(client.upload_part, **first, PartNumber=1, Body=b"") == ("NoSuchUpload", 404)
    assert [each["Key"] for each in client.list_multipart_uploads(Bucket=BUCKET)["Uploads"]] == ["b 2"]


def test_uploads_are_paged(client: Any) -> None:
    made = [begin(client, f"k{number // 2}")["UploadId"] for number in range(5)]

    pages = client.get_paginator("list_multipart_uploads").paginate(
        Bucket=BUCKET, PaginationConfig={"PageSize": 2}
    )

    assert [each["UploadId"] for page in pages for each in page["Uploads"]] == made


def test_f18_to_f23_what_is_refused(client: Any) -> None:
    named = begin(client)
    etag = client.upload_part(**named, PartNumber=1, Body=PART)["ETag"]
    complete = client.complete_multipart_upload

    assert refused(client.upload_part, **named, PartNumber=0, Body=b"") == ("InvalidArgument", 400)
    assert refused(client.upload_part, **named, PartNumber=10_001, Body=b"") == ("InvalidArgument", 400)
    assert refused(complete, **named, MultipartUpload={"Parts": []}) == ("MalformedXML", 400)
    assert refused(complete, **named, MultipartUpload=listed(etag, etag)) == ("InvalidPart", 400)
    assert refused(complete, **named, MultipartUpload=listed('"0"')) == ("InvalidPart", 400)
    twice = {"Parts": [{"PartNumber": 1, "ETag": etag}, {"PartNumber": 1, "ETag": etag}]}
    assert refused(complete, **named, MultipartUpload=twice) == ("InvalidPartOrder", 400)
    assert refused(complete, **{**named, "UploadId": "bogus"}, MultipartUpload=listed(etag)) == (
        "NoSuchUpload",
        404,
    )
    assert refused(complete, **{**named, "Key": "other"}, MultipartUpload=listed(etag)) == (
        "NoSuchUpload",
        404,
    )
    source = {"CopySource": f"{BUCKET}/k", "PartNumber": 1}
    assert refused(client.upload_part_copy, **named, **source) == ("NoSuchKey", 404)
    assert complete(**named, MultipartUpload=listed(etag.strip('"')))["ETag"].endswith('-1"')


def test_parts_are_read_by_number_and_told_of(client: Any) -> None:
    large = PART * 20
    named = begin(client, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    etags = [
        client.upload_part(**named, PartNumber=n, Body=body)["ETag"] for n, body in ((1, large), (2, PART))
    ]
    client.complete_multipart_upload(**named, MultipartUpload=listed(*etags))
    known = {"Bucket": BUCKET, "Key": "k"}

    # boto3 holds what it reads against the checksums that come with it, without being asked to.
    second = client.get_object(**known, PartNumber=2)
    head = client.head_object(**known, PartNumber=1)
    told = client.get_object_attributes(
        **known,
        ObjectAttributes=["ETag", "Checksum", "ObjectParts", "ObjectSize", "StorageClass"],
        MaxParts=1,
    )

    assert second["Body"].read() == PART
    assert (second["PartsCount"], head["PartsCount"], head["ContentLength"]) == (2, 2, len(large))
    assert (told["ObjectSize"], told["StorageClass"]) == (len(large) + len(PART), "STANDARD")
    assert f'"{told["ETag"]}"' == second["ETag"]
    assert told["Checksum"]["ChecksumType"] == "FULL_OBJECT"
    parts = told["ObjectParts"]
    assert (parts["TotalPartsCount"], parts["IsTruncated"], parts["NextPartNumberMarker"]) == (2, True, 1)
    crc = base64.b64encode(zlib.crc32(large).to_bytes(4, "big")).decode()
    assert parts["Parts"] == [{"PartNumber": 1, "Size": len(large), "ChecksumCRC32": crc}]
    assert refused(client.get_object, **known, PartNumber=3) == ("InvalidPartNumber", 416)


def test_a_large_copy_is_one_of_parts(client: Any) -> None:
    data = PART * 45
    client.put_object(Bucket=BUCKET, Key="from", Body=data)

    client.copy(
        {"Bucket": BUCKET, "Key": "from"},
        BUCKET,
        "to",
        Config=TransferConfig(multipart_threshold=1, multipart_chunksize=5 * 1024 * 1024, use_threads=False),
    )

    got = client.get_object(Bucket=BUCKET, Key="to")
    assert got["Body"].read() == data
    assert got["ETag"].endswith('-3"')


def test_conditions_of_every_write_and_delete(client: Any) -> None:
    known = {"Bucket": BUCKET, "Key": "k"}
    etag = client.put_object(**known, Body=b"x")["ETag"]
    modified = client.head_object(**known)["LastModified"]
    named = begin(client)
    parts = listed(client.upload_part(**named, PartNumber=1, Body=PART)["ETag"])
    failed = ("PreconditionFailed", 412)

    complete = client.complete_multipart_upload
    assert refused(complete, **named, MultipartUpload=parts, IfNoneMatch="*") == failed
    source = {"CopySource": f"{BUCKET}/k"}
    assert refused(client.copy_object, Bucket=BUCKET, Key="k", **source, IfNoneMatch="*", **REPLACE) == failed
    assert refused(client.copy_object, Bucket=BUCKET, Key="k", **source, IfMatch='"x"', **REPLACE) == failed
    assert refused(client.delete_object, **known, IfMatch='"x"') == failed
    assert refused(client.delete_object, **known, IfMatchSize=2) == failed
    entries = [
        {"Key": "k", "ETag": '"x"'},
        {"Key": "k", "Size": 2},
        {"Key": "k", "LastModifiedTime": "2020-01-01T00:00:00Z"},
    ]
    answer = client.delete_objects(Bucket=BUCKET, Delete={"Objects": entries})
    assert [each["Code"] for each in answer["Errors"]] == ["PreconditionFailed"] * 3
    assert client.get_object(**known)["Body"].read() == b"x"

    client.delete_object(**known, IfMatch=etag, IfMatchSize=1, IfMatchLastModifiedTime=modified)
    assert refused(client.get_object, **known) == ("NoSuchKey", 404)
