"""Versioning as boto3 sees it: ids, markers, null versions, copies and uploads, histories page by page."""

from typing import Any

import pytest

from dataplane.auth.identity import Role
from tests.integration.dataplane.in_process import InProcess, refused
from tests.support.objects import BUCKET, ObjectRig

ENABLED = {"Status": "Enabled"}
SUSPENDED = {"Status": "Suspended"}


@pytest.fixture
def kept(client: Any) -> Any:
    """A client whose bucket keeps versions."""
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=ENABLED)
    return client


def put(client: Any, body: bytes, key: str = "k") -> str:
    version_id: str = client.put_object(Bucket=BUCKET, Key=key, Body=body)["VersionId"]
    return version_id


def read(client: Any, **named: str) -> bytes:
    body: bytes = client.get_object(Bucket=BUCKET, Key="k", **named)["Body"].read()
    return body


def headers_of(answer: dict[str, Any]) -> dict[str, str]:
    headers: dict[str, str] = answer["ResponseMetadata"]["HTTPHeaders"]
    return headers


def test_a_bucket_says_nothing_of_versioning_until_it_is_enabled(client: Any) -> None:
    assert "Status" not in client.get_bucket_versioning(Bucket=BUCKET)
    assert "VersionId" not in client.put_object(Bucket=BUCKET, Key="k", Body=b"1")
    assert "VersionId" not in client.get_object(Bucket=BUCKET, Key="k")

    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=ENABLED)
    assert client.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=SUSPENDED)
    assert client.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Suspended"


def test_what_was_there_before_is_the_null_version(client: Any) -> None:
    client.put_object(Bucket=BUCKET, Key="k", Body=b"before")
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=ENABLED)

    version_id = put(client, b"after")

    assert read(client) == b"after"
    assert read(client, VersionId="null") == b"before"
    assert read(client, VersionId=version_id) == b"after"
    assert client.head_object(Bucket=BUCKET, Key="k", VersionId="null")["VersionId"] == "null"


def test_every_version_is_read_by_its_id(kept: Any) -> None:
    ids = [put(kept, str(number).encode()) for number in range(3)]

    assert [read(kept, VersionId=each) for each in ids] == [b"0", b"1", b"2"]
    assert kept.get_object(Bucket=BUCKET, Key="k")["VersionId"] == ids[-1]
    ranged = kept.get_object(Bucket=BUCKET, Key="k", VersionId=ids[0], Range="bytes=0-0")
    assert ranged["ContentRange"] == "bytes 0-0/1"


def test_s3_34_a_delete_leaves_a_marker_and_deleting_that_brings_the_object_back(kept: Any) -> None:
    version_id = put(kept, b"x")

    deleted = kept.delete_object(Bucket=BUCKET, Key="k")

    marker_id = deleted["VersionId"]
    assert deleted["DeleteMarker"] is True
    assert marker_id not in ("null", version_id)
    with pytest.raises(kept.exceptions.NoSuchKey) as missing:
        kept.get_object(Bucket=BUCKET, Key="k")
    assert headers_of(missing.value.response)["x-amz-delete-marker"] == "true"
    assert headers_of(missing.value.response)["x-amz-version-id"] == marker_id
    assert refused(kept.get_object, Bucket=BUCKET, Key="k", VersionId=marker_id) == ("MethodNotAllowed", 405)
    assert refused(kept.head_object, Bucket=BUCKET, Key="k", VersionId=marker_id) == ("405", 405)
    assert read(kept, VersionId=version_id) == b"x"
    undone = kept.delete_object(Bucket=BUCKET, Key="k", VersionId=marker_id)
    assert (undone["DeleteMarker"], undone["VersionId"]) == (True, marker_id)
    assert read(kept) == b"x"


def test_f28_a_marker_asked_for_by_its_id_says_what_it_is(kept: Any) -> None:
    marker_id = kept.delete_object(Bucket=BUCKET, Key="k")["VersionId"]

    with pytest.raises(kept.exceptions.ClientError) as asked:
        kept.head_object(Bucket=BUCKET, Key="k", VersionId=marker_id)

    headers = headers_of(asked.value.response)
    assert headers["x-amz-delete-marker"] == "true"
    assert headers["allow"] == "DELETE"
    assert "last-modified" in headers


def test_deleting_the_current_version_makes_the_one_before_current(kept: Any) -> None:
    first, second = put(kept, b"1"), put(kept, b"2")

    deleted = kept.delete_object(Bucket=BUCKET, Key="k", VersionId=second)

    assert deleted["VersionId"] == second
    assert "DeleteMarker" not in deleted
    assert kept.get_object(Bucket=BUCKET, Key="k")["VersionId"] == first
    again = kept.delete_object(Bucket=BUCKET, Key="k", VersionId=second)
    assert again["VersionId"] == second


def test_b25_ids_that_are_none_and_ids_of_nothing(kept: Any) -> None:
    version_id = put(kept, b"x")
    put(kept, b"y", key="other")
    get = kept.get_object

    assert refused(get, Bucket=BUCKET, Key="k", VersionId="bogus") == ("InvalidArgument", 400)
    assert refused(get, Bucket=BUCKET, Key="other", VersionId=version_id) == ("NoSuchVersion", 404)
    assert refused(get, Bucket=BUCKET, Key="k", VersionId="0" * 32) == ("NoSuchVersion", 404)


def test_suspended_buckets_replace_their_null_version_and_keep_the_others(kept: Any) -> None:
    old = put(kept, b"old")
    kept.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=SUSPENDED)

    assert put(kept, b"null 1") == "null"
    assert put(kept, b"null 2") == "null"

    assert read(kept) == read(kept, VersionId="null") == b"null 2"
    assert read(kept, VersionId=old) == b"old"
    deleted = kept.delete_object(Bucket=BUCKET, Key="k")
    assert (deleted["DeleteMarker"], deleted["VersionId"]) == (True, "null")
    listed = kept.list_object_versions(Bucket=BUCKET)
    assert [each["VersionId"] for each in listed["Versions"]] == [old]
    assert [(each["VersionId"], each["IsLatest"]) for each in listed["DeleteMarkers"]] == [("null", True)]


def test_a_history_lists_versions_and_markers_newest_first(kept: Any) -> None:
    ids = [put(kept, b"x" * number) for number in range(1, 4)]
    marker_id = kept.delete_object(Bucket=BUCKET, Key="k")["VersionId"]
    other = put(kept, b"y", key="z")

    listed = kept.list_object_versions(Bucket=BUCKET)

    assert [(each["Key"], each["VersionId"], each["IsLatest"]) for each in listed["Versions"]] == [
        ("k", ids[2], False),
        ("k", ids[1], False),
        ("k", ids[0], False),
        ("z", other, True),
    ]
    assert [each["Size"] for each in listed["Versions"]] == [3, 2, 1, 1]
    assert {each["Owner"]["ID"] for each in listed["Versions"]} == {"main"}
    (marker,) = listed["DeleteMarkers"]
    assert (marker["Key"], marker["VersionId"], marker["IsLatest"]) == ("k", marker_id, True)
    assert "Size" not in marker
    assert [each["Key"] for each in kept.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["z"]


@pytest.mark.parametrize("page_size", [1, 2, 1000])
def test_pages_of_a_history(kept: Any, page_size: int) -> None:
    keys = ["a b/1", "a b/2", "c+d", "ö%"]
    made = [(key, put(kept, b"x", key=key)) for key in keys for _ in range(3)]

    paged = list(
        kept.get_paginator("list_object_versions").paginate(
            Bucket=BUCKET, PaginationConfig={"PageSize": page_size}
        )
    )
    folded = kept.list_object_versions(Bucket=BUCKET, Delimiter="/")

    found = [(each["Key"], each["VersionId"]) for page in paged for each in page.get("Versions", ())]
    assert sorted(found) == sorted(made)
    assert [key for key, _ in found] == sorted(key for key, _ in made)
    assert [each["Prefix"] for each in folded["CommonPrefixes"]] == ["a b/"]
    assert {each["Key"] for each in folded["Versions"]} == {"c+d", "ö%"}


def test_emptying_a_bucket_version_by_version_while_paging(kept: Any) -> None:
    for number in range(12):
        put(kept, b"x", key=f"k{number % 3}")
    kept.delete_object(Bucket=BUCKET, Key="k1")
    assert refused(kept.delete_bucket, Bucket=BUCKET) == ("BucketNotEmpty", 409)
    for page in kept.get_paginator("list_object_versions").paginate(
        Bucket=BUCKET, PaginationConfig={"PageSize": 2}
    ):
        listed = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        entries = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in listed]
        answer = kept.delete_objects(Bucket=BUCKET, Delete={"Objects": entries})
        assert len(answer["Deleted"]) == len(entries)

    kept.delete_bucket(Bucket=BUCKET)
    assert refused(kept.head_bucket, Bucket=BUCKET) == ("404", 404)


def test_delete_objects_says_which_markers_it_made_and_removed(kept: Any) -> None:
    version_id = put(kept, b"x", key="a")
    marker_id = kept.delete_object(Bucket=BUCKET, Key="b")["VersionId"]
    entries = [
        {"Key": "a", "VersionId": version_id},
        {"Key": "b", "VersionId": marker_id},
        {"Key": "c"},
        {"Key": "d", "VersionId": "0" * 32},
    ]

    deleted = kept.delete_objects(Bucket=BUCKET, Delete={"Objects": entries})["Deleted"]

    assert deleted[0] == {"Key": "a", "VersionId": version_id}
    assert deleted[1] == {
        "Key": "b",
        "VersionId": marker_id,
        "DeleteMarker": True,
        "DeleteMarkerVersionId": marker_id,
    }
    assert deleted[2]["DeleteMarker"] is True
    assert "VersionId" not in deleted[2]
    assert deleted[2]["DeleteMarkerVersionId"] != marker_id
    assert deleted[3] == {"Key": "d", "VersionId": "0" * 32}


def test_copies_take_the_version_they_name_and_say_which(kept: Any) -> None:
    first, second = put(kept, b"1"), put(kept, b"2")

    copied = kept.copy_object(Bucket=BUCKET, Key="k", CopySource=f"{BUCKET}/k?versionId={first}")

    assert read(kept) == b"1"
    assert copied["CopySourceVersionId"] == first
    assert copied["VersionId"] not in (first, second)
    latest = kept.copy_object(Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/k")
    assert latest["CopySourceVersionId"] == copied["VersionId"]
    missing = {"Bucket": BUCKET, "Key": "x", "CopySource": f"{BUCKET}/k?versionId={'0' * 32}"}
    assert refused(kept.copy_object, **missing) == ("NoSuchVersion", 404)
    marker_id = kept.delete_object(Bucket=BUCKET, Key="k")["VersionId"]
    of_marker = {"Bucket": BUCKET, "Key": "x", "CopySource": f"{BUCKET}/k?versionId={marker_id}"}
    assert refused(kept.copy_object, **of_marker) == ("InvalidRequest", 400)
    deleted = {"Bucket": BUCKET, "Key": "x", "CopySource": f"{BUCKET}/k"}
    assert refused(kept.copy_object, **deleted) == ("NoSuchKey", 404)


def test_a_completed_upload_has_a_version_id_also_when_it_is_completed_again(kept: Any) -> None:
    upload = {"Bucket": BUCKET, "Key": "k"}
    upload["UploadId"] = kept.create_multipart_upload(**upload)["UploadId"]
    etag = kept.upload_part(**upload, PartNumber=1, Body=b"part")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}

    completed = kept.complete_multipart_upload(**upload, MultipartUpload=parts)
    again = kept.complete_multipart_upload(**upload, MultipartUpload=parts)

    assert completed["VersionId"] == again["VersionId"]
    assert read(kept, VersionId=completed["VersionId"]) == b"part"


def test_conditions_see_through_a_marker(kept: Any) -> None:
    etag = kept.put_object(Bucket=BUCKET, Key="k", Body=b"x")["ETag"]
    kept.delete_object(Bucket=BUCKET, Key="k")

    assert refused(kept.put_object, Bucket=BUCKET, Key="k", Body=b"y", IfMatch=etag) == ("NoSuchKey", 404)
    kept.put_object(Bucket=BUCKET, Key="k", Body=b"y", IfNoneMatch="*")

    assert read(kept) == b"y"


def test_a_reader_reads_versions_and_changes_nothing(rig: ObjectRig, kept: Any) -> None:
    version_id = put(kept, b"x")
    reader = InProcess(rig, Role.READER).client()

    assert reader.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    assert len(reader.list_object_versions(Bucket=BUCKET)["Versions"]) == 1
    denied = ("AccessDenied", 403)
    change = {"Bucket": BUCKET, "VersioningConfiguration": SUSPENDED}
    assert refused(reader.put_bucket_versioning, **change) == denied
    assert refused(reader.delete_object, Bucket=BUCKET, Key="k", VersionId=version_id) == denied
