"""Buckets and listings as boto3 asks for them: pages, prefixes, keys of every kind."""

from typing import Any

import pytest

from dataplane.auth.identity import Role
from tests.integration.dataplane.in_process import InProcess, refused
from tests.support.objects import ObjectRig

BUCKET = "photos"
KEYS = sorted(["a", "a/", "a/b", "a/c", "b//c", "d e+f%", "ö/€", "z\x01", "😀"], key=str.encode)


def test_buckets_come_and_go(client: Any) -> None:
    client.create_bucket(Bucket="fresh")

    assert {each["Name"] for each in client.list_buckets()["Buckets"]} == {"fresh", BUCKET}
    assert client.list_buckets(Prefix="fr")["Buckets"][0]["Name"] == "fresh"
    assert client.head_bucket(Bucket="fresh")["BucketRegion"] == "us-east-1"
    assert client.get_bucket_location(Bucket="fresh")["LocationConstraint"] is None
    assert refused(client.create_bucket, Bucket="fresh") == ("BucketAlreadyOwnedByYou", 409)
    client.put_object(Bucket="fresh", Key="k", Body=b"")
    assert refused(client.delete_bucket, Bucket="fresh") == ("BucketNotEmpty", 409)
    client.delete_object(Bucket="fresh", Key="k")
    client.delete_bucket(Bucket="fresh")
    assert refused(client.head_bucket, Bucket="fresh") == ("404", 404)


def test_buckets_are_paged(client: Any) -> None:
    for number in range(5):
        client.create_bucket(Bucket=f"bucket-{number}")

    pages = client.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 2})

    assert [len(page["Buckets"]) for page in pages] == [2, 2, 2]


def test_d16_a_location_that_is_ours(client: Any) -> None:
    client.create_bucket(Bucket="here", CreateBucketConfiguration={"LocationConstraint": "us-east-1"})

    elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": "us-west-2"}}
    assert refused(client.create_bucket, Bucket="there", **elsewhere) == (
        "IllegalLocationConstraintException",
        400,
    )


@pytest.mark.parametrize("version", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize("page_size", [1, 2, 7, 1000])
def test_every_key_comes_once_in_byte_order(client: Any, version: str, page_size: int) -> None:
    for key in KEYS:
        client.put_object(Bucket=BUCKET, Key=key, Body=b"12345")

    pages = client.get_paginator(version).paginate(Bucket=BUCKET, PaginationConfig={"PageSize": page_size})
    listed = [each for page in pages for each in page.get("Contents", ())]

    assert [each["Key"] for each in listed] == KEYS
    assert {each["Size"] for each in listed} == {5}


@pytest.mark.parametrize("version", ["list_objects", "list_objects_v2"])
def test_folders(client: Any, version: str) -> None:
    for key in KEYS:
        client.put_object(Bucket=BUCKET, Key=key, Body=b"")

    pages = list(
        client.get_paginator(version).paginate(Bucket=BUCKET, Delimiter="/", PaginationConfig={"PageSize": 2})
    )
    inner = getattr(client, version)(Bucket=BUCKET, Delimiter="/", Prefix="a/")

    assert [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", ())] == ["a/", "b/", "ö/"]
    assert [each["Key"] for page in pages for each in page.get("Contents", ())] == [
        "a",
        "d e+f%",
        "z\x01",
        "😀",
    ]
    assert [each["Key"] for each in inner["Contents"]] == ["a/", "a/b", "a/c"]
    assert inner["Prefix"] == "a/"


def test_a_reader_reads_and_a_bucket_list_limits(rig: ObjectRig, client: Any) -> None:
    client.put_object(Bucket=BUCKET, Key="k", Body=b"x")
    reader = InProcess(rig, Role.READER).client()

    assert reader.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"x"
    assert refused(reader.put_object, Bucket=BUCKET, Key="k", Body=b"y") == ("AccessDenied", 403)
    assert refused(reader.delete_object, Bucket=BUCKET, Key="k") == ("AccessDenied", 403)
    assert refused(reader.create_bucket, Bucket="mine") == ("AccessDenied", 403)


@pytest.mark.parametrize(
    "call",
    [
        "list_bucket_analytics_configurations",
        "list_bucket_inventory_configurations",
        "get_bucket_abac",
    ],
)
def test_b19_what_is_not_built_says_so(client: Any, call: str) -> None:
    assert refused(getattr(client, call), Bucket=BUCKET) == ("NotImplemented", 501)
