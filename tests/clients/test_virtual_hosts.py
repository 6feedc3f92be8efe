"""boto3 in the style SDKs prefer: the bucket stands before the domain, keys fill the whole path."""

import io
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from tests.support.served import Served

MIB = 1024**2
DOMAIN = "s3.storage.test"
BUCKET = "dotted.and-plain"


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    def edited(text: str) -> str:
        return text.replace("\nlisten:\n", f"\nlisten:\n  domains: [{DOMAIN}]\n")

    with Served(tmp_path_factory.mktemp("hosts"), volumes=1, edit_config=edited) as each:
        yield each


@pytest.fixture
def s3(hosted: Served, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client to which every host of the domain is this machine, as a wildcard record would have it."""
    look_up = socket.getaddrinfo

    def resolve(host: Any, *rest: Any, **named: Any) -> Any:
        is_ours = isinstance(host, str) and (host == DOMAIN or host.endswith(f".{DOMAIN}"))
        return look_up("127.0.0.1" if is_ours else host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    known = hosted.credentials
    return boto3.client(
        "s3",
        endpoint_url=f"http://{DOMAIN}:{urlsplit(known.endpoint).port}",
        region_name=known.region,
        aws_access_key_id=known.access_key_id,
        aws_secret_access_key=known.secret_access_key,
        config=Config(
            s3={"addressing_style": "virtual"}, retries={"max_attempts": 0}, signature_version="s3v4"
        ),
    )


def test_a_bucket_from_its_making_to_its_end_under_its_own_host(s3: Any, tmp_path: Path) -> None:
    seen: list[str] = []
    s3.meta.events.register("before-send.s3", lambda request, **_: seen.append(request.url))
    payload = os.urandom(6 * MIB)
    keys = ["a b+c", "folder/", "folder/ö%25", "//", "nested/deep/key"]

    s3.create_bucket(Bucket=BUCKET)
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    s3.upload_fileobj(
        io.BytesIO(payload), BUCKET, "large", Config=TransferConfig(multipart_threshold=5 * MIB)
    )
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": "a b+c"})

    assert all(urlsplit(url).hostname == f"{BUCKET}.{DOMAIN}" for url in seen)
    assert s3.get_object(Bucket=BUCKET, Key="large")["Body"].read() == payload
    for key in keys:
        assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == key.encode()
    listed = [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert listed == sorted([*keys, "large", "copy"], key=str.encode)
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in listed]})
    s3.delete_bucket(Bucket=BUCKET)
    assert BUCKET not in [each["Name"] for each in s3.list_buckets()["Buckets"]]


def test_presigned_requests_are_good_for_the_host_they_were_signed_for(s3: Any) -> None:
    s3.create_bucket(Bucket="presigned")
    s3.create_bucket(Bucket="other")
    put = s3.generate_presigned_url("put_object", Params={"Bucket": "presigned", "Key": "k"})
    get = s3.generate_presigned_url("get_object", Params={"Bucket": "presigned", "Key": "k"})

    with urllib.request.urlopen(urllib.request.Request(put, method="PUT", data=b"x"), timeout=10) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(get, timeout=10) as answer:
        assert answer.read() == b"x"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(get.replace("presigned.", "other.", 1), timeout=10)
    assert refused.value.code == 403
    refused.value.close()
