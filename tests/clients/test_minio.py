"""minio-py with its own defaults: signed chunks, part uploads, presigned requests, over either engine."""

import io
import os
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from minio import Minio, S3Error
from minio.commonconfig import ENABLED, REPLACE, ComposeSource, CopySource, Tags
from minio.datatypes import PostPolicy
from minio.deleteobjects import DeleteObject
from minio.versioningconfig import VersioningConfig
from urllib3 import encode_multipart_formdata, request

from tests.clients.odd_keys import ODD_KEYS, SLASHED_KEYS
from tests.support.served import Served

MIB = 1024**2
BUCKET = "minio-py"


@pytest.fixture(scope="module")
def minio(on_each_engine: Served) -> Iterator[Minio]:
    credentials = on_each_engine.credentials
    client = Minio(
        credentials.endpoint.removeprefix("http://"),
        access_key=credentials.access_key_id,
        secret_key=credentials.secret_access_key,
        region=credentials.region,
        secure=False,
    )
    client.make_bucket(BUCKET, location=credentials.region)
    yield client
    # Connections of its pool are closed by nobody else.
    client._http.clear()


def put(client: Minio, key: str, payload: bytes, *, metadata: dict[str, str] | None = None) -> str | None:
    written = client.put_object(
        BUCKET,
        key,
        io.BytesIO(payload),
        len(payload),
        content_type="text/x-plain",
        metadata={**(metadata or {})},
    )
    return written.etag


def read(client: Minio, key: str, *, offset: int = 0, length: int = 0) -> bytes:
    answer = client.get_object(BUCKET, key, offset=offset, length=length)
    try:
        return answer.read()
    finally:
        answer.close()
        answer.release_conn()


def test_the_region_of_a_bucket_is_found(minio: Minio, on_each_engine: Served) -> None:
    credentials = on_each_engine.credentials
    unaware = Minio(
        credentials.endpoint.removeprefix("http://"),
        access_key=credentials.access_key_id,
        secret_key=credentials.secret_access_key,
        secure=False,
    )

    assert unaware.bucket_exists(BUCKET)
    assert not unaware.bucket_exists("nobody-made-this")
    assert BUCKET in [bucket.name for bucket in unaware.list_buckets()]
    unaware._http.clear()


@pytest.mark.parametrize("size_bytes", [0, 1, 70_000, 11 * MIB])
def test_bytes_come_back_with_their_metadata(minio: Minio, size_bytes: int) -> None:
    payload = os.urandom(size_bytes)

    etag = put(minio, "plain", payload, metadata={"Colour": "blue"})

    seen = minio.stat_object(BUCKET, "plain")
    assert read(minio, "plain") == payload
    assert (seen.size, seen.content_type, seen.etag) == (size_bytes, "text/x-plain", etag)
    assert seen.metadata is not None
    assert seen.metadata["x-amz-meta-colour"] == "blue"


def test_a_stream_of_unknown_length_is_one_object(minio: Minio) -> None:
    payload = os.urandom(13 * MIB)

    minio.put_object(BUCKET, "stream", io.BytesIO(payload), -1, part_size=5 * MIB)

    assert read(minio, "stream") == payload
    assert read(minio, "stream", offset=5 * MIB - 3, length=7) == payload[5 * MIB - 3 : 5 * MIB + 4]


@pytest.mark.parametrize("key", [*ODD_KEYS, *SLASHED_KEYS])
def test_odd_keys_go_there_and_back(minio: Minio, key: str) -> None:
    put(minio, key, key.encode())

    assert read(minio, key) == key.encode()
    assert key in [each.object_name for each in minio.list_objects(BUCKET, recursive=True)]
    assert key in [each.object_name for each in minio.list_objects(BUCKET, recursive=True, use_api_v1=True)]
    minio.remove_object(BUCKET, key)
    with pytest.raises(S3Error) as error:
        minio.stat_object(BUCKET, key)
    assert error.value.code == "NoSuchKey"


def test_listings_show_folders_and_begin_where_they_are_told(minio: Minio) -> None:
    for key in ("list/a/1", "list/a/2", "list/b", "list/c"):
        put(minio, key, b".")

    folded = [(each.object_name, each.is_dir) for each in minio.list_objects(BUCKET, prefix="list/")]
    after = minio.list_objects(BUCKET, prefix="list/", recursive=True, start_after="list/a/2")

    assert sorted(folded) == [("list/a/", True), ("list/b", False), ("list/c", False)]
    assert [each.object_name for each in after] == ["list/b", "list/c"]


def test_copies_are_made_by_the_server(minio: Minio) -> None:
    first, second = os.urandom(5 * MIB + 1), os.urandom(200_000)
    put(minio, "copy/first", first, metadata={"m": "1"})
    put(minio, "copy/second part", second)

    minio.copy_object(BUCKET, "copy/kept", CopySource(BUCKET, "copy/first"))
    minio.copy_object(
        BUCKET,
        "copy/replaced",
        CopySource(BUCKET, "copy/second part"),
        metadata={"m": "2"},
        metadata_directive=REPLACE,
    )

    assert read(minio, "copy/kept") == first
    assert read(minio, "copy/replaced") == second
    replaced = minio.stat_object(BUCKET, "copy/replaced").metadata
    assert replaced is not None
    assert replaced["x-amz-meta-m"] == "2"
    etag = minio.stat_object(BUCKET, "copy/first").etag
    with pytest.raises(S3Error) as error:
        minio.copy_object(BUCKET, "copy/never", CopySource(BUCKET, "copy/first", not_match_etag=etag))
    assert error.value.code == "PreconditionFailed"


def test_a_composition_is_its_sources_in_their_order(minio: Minio) -> None:
    first, second = os.urandom(5 * MIB + 1), os.urandom(200_000)
    put(minio, "compose/first", first)
    put(minio, "compose/second part", second)

    minio.compose_object(
        BUCKET,
        "composed",
        [ComposeSource(BUCKET, "compose/first"), ComposeSource(BUCKET, "compose/second part")],
    )

    assert read(minio, "composed") == first + second


def test_presigned_requests_need_no_headers(minio: Minio) -> None:
    there = minio.presigned_put_object(BUCKET, "shared key", expires=timedelta(minutes=1))
    with urllib.request.urlopen(urllib.request.Request(there, data=b"for all", method="PUT")) as answer:
        assert answer.status == 200

    back = minio.presigned_get_object(
        BUCKET, "shared key", response_headers={"response-content-disposition": "attachment"}
    )
    with urllib.request.urlopen(back) as answer:
        assert answer.read() == b"for all"
        assert answer.headers["Content-Disposition"] == "attachment"


def test_a_form_takes_what_its_policy_allows(minio: Minio, on_each_engine: Served) -> None:
    policy = PostPolicy(BUCKET, datetime.now(UTC) + timedelta(minutes=1))
    policy.add_equals_condition("key", "form")
    policy.add_content_length_range_condition(1, 100)
    fields = {**minio.presigned_post_policy(policy), "key": "form"}

    def post(payload: bytes) -> int:
        body, content_type = encode_multipart_formdata({**fields, "file": ("name", payload)})
        answer = request(
            "POST",
            f"{on_each_engine.credentials.endpoint}/{BUCKET}",
            body=body,
            headers={"Content-Type": content_type},
        )
        return answer.status

    assert post(b"posted") == 204
    assert post(b"x" * 101) == 400
    assert read(minio, "form") == b"posted"


def test_versions_and_tags_are_kept(minio: Minio) -> None:
    minio.make_bucket("minio-versions")
    minio.set_bucket_versioning("minio-versions", VersioningConfig(ENABLED))
    for text in (b"first", b"second"):
        minio.put_object("minio-versions", "k", io.BytesIO(text), len(text))
    tags = Tags.new_object_tags()
    tags["colour"] = "blau + grün"
    minio.set_object_tags("minio-versions", "k", tags)

    minio.remove_object("minio-versions", "k")

    assert list(minio.list_objects("minio-versions")) == []
    # It gives what has content before what has none.
    kept = list(minio.list_objects("minio-versions", include_version=True))
    assert [(each.is_delete_marker, each.is_latest) for each in kept] == [
        (False, "false"),
        (False, "false"),
        (True, "true"),
    ]
    assert minio.get_object_tags("minio-versions", "k", version_id=kept[0].version_id) == tags
    for each in kept:
        minio.remove_object("minio-versions", "k", version_id=each.version_id)
    minio.remove_bucket("minio-versions")


def test_many_keys_go_in_one_request_and_the_bucket_after_them(minio: Minio) -> None:
    minio.make_bucket("minio-emptied")
    keys = [f"k{index}" for index in range(25)]
    for key in keys:
        minio.put_object("minio-emptied", key, io.BytesIO(b"."), 1)
    with pytest.raises(S3Error) as error:
        minio.remove_bucket("minio-emptied")
    assert error.value.code == "BucketNotEmpty"

    assert list(minio.remove_objects("minio-emptied", [DeleteObject(key) for key in keys])) == []

    minio.remove_bucket("minio-emptied")
    assert not minio.bucket_exists("minio-emptied")
