"""A bucket as it was found: listed in order, looked at whole, read and deleted only while it is what it was."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import boto3
import pytest
from botocore.config import Config

from engine.backends.s3.backend import S3Backend
from engine.backends.s3.objects import BucketObjects, is_penstocks_own
from engine.errors import PieceMissing
from engine.imported import ImportedObject
from engine.units import MIB
from tests.support.pieces import payload_of
from tests.support.s3_stores import BUCKET, PenstockStore, RcloneStore, make_s3_backend

KEYS = sorted(["a0", "a b+c", "a/1", "a/2", "a%2Fb", "b|c", "z/ö/x"], key=str.encode)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A store, whoever used it before us, and our backend in a corner of it."""

    kind: str
    client: Any
    backend: S3Backend

    @property
    def objects(self) -> BucketObjects:
        return self.backend.objects

    def etag(self, key: str) -> str:
        found = self.objects.find(key)
        assert found is not None
        return found.etag


@pytest.fixture(scope="module", params=["penstock", "rclone"])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    kind = str(request.param)
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp(kind)
        store: PenstockStore | RcloneStore = (PenstockStore if kind == "penstock" else RcloneStore)(folder)
        stack.enter_context(store)
        place = replace(store.place, prefix="corner")
        client = boto3.client(
            "s3",
            endpoint_url=place.endpoint,
            region_name=place.region,
            aws_access_key_id=place.access_key_id,
            aws_secret_access_key=place.secret_access_key,
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
        )
        backend = make_s3_backend(place)
        stack.callback(backend.close)
        backend.register(created_at_us=1_700_000_000_000_000)
        for key in KEYS:
            client.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
        yield Found(kind=kind, client=client, backend=backend)


def test_keys_are_listed_in_their_order_page_by_page(found: Found) -> None:
    seen: list[str] = []
    while True:
        page = found.objects.list(prefix="", after=seen[-1] if seen else "", count_max=3)
        assert len(page.objects) <= 3
        seen += [each.key for each in page.objects if not found.objects.is_ours(each.key)]
        if not page.has_more:
            break

    assert seen == KEYS


def test_a_prefix_bounds_a_listing(found: Found) -> None:
    page = found.objects.list(prefix="a/", after="", count_max=100)

    assert [each.key for each in page.objects] == ["a/1", "a/2"]
    assert not page.has_more


def test_an_object_is_seen_with_all_it_carries(found: Found) -> None:
    found.client.put_object(
        Bucket=BUCKET,
        Key="rich",
        Body=b"x" * 10,
        ContentType="text/css",
        CacheControl="max-age=1",
        Metadata={"colour": "blue"},
        **({"Tagging": "a=b&c=d"} if found.kind == "penstock" else {}),
    )

    seen = found.objects.find("rich")

    assert seen is not None
    assert seen.size_bytes == 10
    assert seen.headers.content_type == "text/css"
    if found.kind == "penstock":
        assert seen.headers.user == {"colour": "blue"}
        assert seen.headers.system == {"cache-control": "max-age=1"}
        assert seen.headers.tags == {"a": "b", "c": "d"}
    head = found.client.head_object(Bucket=BUCKET, Key="rich")
    assert seen.modified_at_us == int(head["LastModified"].timestamp()) * 1_000_000
    assert f'"{seen.etag}"' == head["ETag"]
    assert found.objects.find("nothing there") is None


@pytest.mark.parametrize("size", [10, 3 * MIB + 7])
def test_only_the_bytes_of_its_etag_are_ever_read(found: Found, size: int) -> None:
    key, payload = f"read/{size}", payload_of(size, seed=1)
    found.client.put_object(Bucket=BUCKET, Key=key, Body=payload)
    storage_key = ImportedObject(key=key, etag=found.etag(key)).storage_key
    reader = found.backend.open_reader(storage_key, size)
    out = bytearray(size)

    reader.read_into(0, memoryview(out))
    assert bytes(out) == payload
    reader.close()
    found.client.put_object(Bucket=BUCKET, Key=key, Body=payload_of(size, seed=2))

    reader = found.backend.open_reader(storage_key, size)
    with pytest.raises(PieceMissing):
        reader.read_into(0, memoryview(out))
    reader.close()


def test_a_shorter_object_of_that_key_is_missing_not_damaged(found: Found) -> None:
    found.client.put_object(Bucket=BUCKET, Key="short", Body=b"long" * 1000)
    storage_key = ImportedObject(key="short", etag=found.etag("short")).storage_key
    found.client.put_object(Bucket=BUCKET, Key="short", Body=b"s")

    with pytest.raises(PieceMissing):
        found.backend.open_reader(storage_key, 4000).read_into(3000, memoryview(bytearray(1000)))


def test_it_is_deleted_while_it_is_what_it_was_and_left_once_it_is_not(found: Found) -> None:
    for key in ("go", "stay"):
        found.client.put_object(Bucket=BUCKET, Key=key, Body=b"first")
    go, stay = (ImportedObject(key=key, etag=found.etag(key)).storage_key for key in ("go", "stay"))
    found.client.put_object(Bucket=BUCKET, Key="stay", Body=b"second")

    for _ in range(2):
        found.backend.delete(go, 5)
        found.backend.delete(stay, 5)

    assert found.objects.find("go") is None
    assert found.client.get_object(Bucket=BUCKET, Key="stay")["Body"].read() == b"second"


@pytest.mark.parametrize(
    ("key", "is_own"),
    [
        ("penstock-backend.json", True),
        ("x/penstock-backend.json", True),
        ("pieces/0f/0123456789abcdef0123456789abcd0f", True),
        ("some/where/pieces/0f/0123456789abcdef0123456789abcd0f", True),
        ("pieces/0f/0123456789abcdef0123456789abcdef", False),
        ("pieces/0f/readme.txt", False),
        ("my-penstock-backend.json", False),
        ("penstock-backend.json.bak", False),
    ],
)
def test_what_a_penstock_wrote_for_itself_is_told_by_its_name(key: str, is_own: bool) -> None:
    assert is_penstocks_own(key) is is_own
