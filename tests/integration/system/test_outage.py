"""While PostgreSQL is away, what was read before is served and says so; all else is refused at once, and comes back."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.instances import Instance, InstanceWish, SharedDatabase, running_instances
from tests.support.postgres import PostgresServer, running_server

T = TypeVar("T")

BODIES = {"small": b"small", "large": bytes(range(256)) * 20_000, "empty": b""}
WAIT_S = 30.0
REFUSED_WITHIN_S = 10.0
"""Two seconds are promised; a machine that is busy with other things may take some more."""


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with running_server() as each:
        yield each


@pytest.fixture
def instance(server: PostgresServer, tmp_path: Path) -> Iterator[Instance]:
    database = SharedDatabase(server=server, name=server.create_empty_database())
    with running_instances(tmp_path, database=database, wishes=[InstanceWish()], processes=2) as (each,):
        yield each


def client(instance: Instance) -> Any:
    given = instance.credentials
    return boto3.client(
        "s3",
        endpoint_url=given.endpoint,
        aws_access_key_id=given.access_key_id,
        aws_secret_access_key=given.secret_access_key,
        region_name=given.region,
        config=Config(retries={"total_max_attempts": 1}),
    )


def fill(instance: Instance) -> None:
    """Objects that are there and were read by every process; one was never read."""
    s3 = client(instance)
    s3.create_bucket(Bucket="photos")
    for key, body in BODIES.items():
        s3.put_object(Bucket="photos", Key=key, Body=body)
    upload = s3.create_multipart_upload(Bucket="photos", Key="parts")["UploadId"]
    parts = []
    for number in (1, 2):
        body = bytes([number]) * (5 * 1024 * 1024)
        part = s3.upload_part(Bucket="photos", Key="parts", UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(
        Bucket="photos", Key="parts", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    s3.put_object(Bucket="photos", Key="cold", Body=b"never read")
    for _ in range(8):
        for key in (*BODIES, "parts"):
            client(instance).get_object(Bucket="photos", Key=key)["Body"].read()
    # The tick that writes down what was read runs twice a second, and the one for access keys at the first of them.
    time.sleep(3)


def fails(call: Any, **arguments: Any) -> tuple[int, str]:
    """Status and code of a call that is refused, within the time that is promised."""
    begun_s = time.monotonic()
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert time.monotonic() - begun_s < REFUSED_WITHIN_S
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def assert_serves_warm(instance: Instance) -> None:
    s3 = client(instance)
    for key, body in BODIES.items():
        got = s3.get_object(Bucket="photos", Key=key)
        assert got["Body"].read() == body
        assert got["ResponseMetadata"]["HTTPHeaders"]["x-penstock-degraded"].startswith("age=")
    got = s3.get_object(Bucket="photos", Key="parts", Range=f"bytes={5 * 1024 * 1024 - 1}-{5 * 1024 * 1024}")
    assert got["Body"].read() == b"\1\2"
    assert (
        "x-penstock-degraded"
        in s3.head_object(Bucket="photos", Key="small")["ResponseMetadata"]["HTTPHeaders"]
    )


def assert_refuses_the_rest(instance: Instance) -> None:
    s3 = client(instance)
    unavailable = (503, "ServiceUnavailable")
    assert fails(s3.get_object, Bucket="photos", Key="cold") == unavailable
    assert fails(s3.put_object, Bucket="photos", Key="new", Body=b"new") == unavailable
    assert fails(s3.delete_object, Bucket="photos", Key="small") == unavailable
    assert fails(s3.list_objects_v2, Bucket="photos") == unavailable
    stranger = boto3.client(
        "s3",
        endpoint_url=instance.credentials.endpoint,
        aws_access_key_id="STRANGERSTRANGER",
        aws_secret_access_key="0123456789012345",
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}),
    )
    # Whether it is a key cannot be told now.
    assert fails(stranger.get_object, Bucket="photos", Key="small") == unavailable


def once_it_is_back(instance: Instance, call: Callable[[Any], T]) -> T:
    """What a call gives as soon as it goes well, on a new connection each time.

    Every process finds the database again by itself, and which one answers is the kernel's choice.
    """
    deadline_s = time.monotonic() + WAIT_S
    while True:
        try:
            return call(client(instance))
        except Exception:
            assert time.monotonic() < deadline_s, instance.log_tail()
            time.sleep(0.2)


def wait_until_writable(instance: Instance) -> None:
    once_it_is_back(instance, lambda s3: s3.put_object(Bucket="photos", Key="after", Body=b"after"))


def read(instance: Instance, key: str) -> bytes:
    body: bytes = once_it_is_back(instance, lambda s3: s3.get_object(Bucket="photos", Key=key)["Body"].read())
    return body


def is_degraded(instance: Instance) -> bool:
    """Whether an answer says that the database is away."""
    got = client(instance).head_object(Bucket="photos", Key="small")
    return "x-penstock-degraded" in got["ResponseMetadata"]["HTTPHeaders"]


def assert_whole_again(instance: Instance) -> None:
    wait_until_writable(instance)
    for key, body in (*BODIES.items(), ("cold", b"never read"), ("after", b"after")):
        assert read(instance, key) == body
    listed = once_it_is_back(instance, lambda s3: s3.list_objects_v2(Bucket="photos")["Contents"])
    assert [each["Key"] for each in listed] == sorted([*BODIES, "parts", "cold", "after"])


def test_warm_reads_go_on_while_the_database_is_away(server: PostgresServer, instance: Instance) -> None:
    fill(instance)

    server.stop("immediate")

    assert_serves_warm(instance)
    assert_refuses_the_rest(instance)
    server.start()
    assert_whole_again(instance)
    # Each process finds the database again by itself.
    deadline_s = time.monotonic() + WAIT_S
    while any(is_degraded(instance) for _ in range(10)):
        assert time.monotonic() < deadline_s, instance.log_tail()


def test_an_instance_starts_and_reads_without_its_database(
    server: PostgresServer, instance: Instance
) -> None:
    fill(instance)
    server.stop("fast")
    instance.kill_tree()

    instance.start(wait=False)
    instance.wait_ready()

    assert_serves_warm(instance)
    assert_refuses_the_rest(instance)
    server.start()
    assert_whole_again(instance)
