"""Events of buckets reach webhooks: each kind of them, signed, at least once, whatever is down or killed meanwhile."""

import hashlib
import hmac
import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest
from botocore.exceptions import ClientError

from engine.notifications.rules import EventType
from tests.support.engines import ENGINES
from tests.support.post_forms import BOUNDARY, form
from tests.support.postgres import shared_server, with_database
from tests.support.receiver import Received, Receiver
from tests.support.served import Served

SECRET = "a secret of the receivers"
ARN = "arn:penstock:notify:::"
ALL = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*"]
PART = b"p" * (5 << 20)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as listening:
        yield listening


@pytest.fixture(scope="module", params=ENGINES)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, receiver: Receiver
) -> Iterator[Served]:
    database = shared_server().create_empty_database() if request.param == "postgres" else ""
    more = f"""
workers:
  notifier: {{interval: 0.2s}}
notifications:
  - {{name: hook, url: "{receiver.url("/s3")}", secret: {SECRET}, allow_private: true}}
  - {{name: cloud, url: "{receiver.url("/cloud")}", secret: {SECRET}, allow_private: true, format: cloudevents}}
  - {{name: inner, url: "{receiver.url("/inner")}", secret: {SECRET}}}
"""

    def edited(text: str) -> str:
        text += more
        return with_database(text, shared_server(), database) if database else text

    folder: Path = tmp_path_factory.mktemp("notify")
    with Served(folder, volumes=1, edit_config=edited) as running:
        yield running
    if database:
        shared_server().drop_database(database)


@pytest.fixture
def client(served: Served) -> Any:
    return served.client()


@pytest.fixture
def bucket(client: Any, receiver: Receiver) -> str:
    """One of the test's own; what the receiver got before is forgotten."""
    name = f"b-{os.urandom(6).hex()}"
    client.create_bucket(Bucket=name)
    receiver.received.clear()
    return name


def listen(client: Any, bucket: str, target: str = "hook", events: list[str] = ALL, **more: Any) -> None:
    rule = {"Id": "mine", "TopicArn": ARN + target, "Events": events, **more}
    client.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"TopicConfigurations": [rule]}
    )


def records(received: list[Received], bucket: str) -> list[dict[str, Any]]:
    """S3's records of a bucket in the order they came in."""
    found = []
    for each in list(received):
        told = json.loads(each.body)
        found += [record for record in told.get("Records", ()) if record["s3"]["bucket"]["name"] == bucket]
    return found


def about(received: list[Received], bucket: str) -> list[Received]:
    """What came of a bucket; events of earlier tests' buckets may still come."""
    return [each for each in list(received) if bucket.encode() in each.body]


def names(bucket: str) -> Callable[[list[Received]], list[str]]:
    return lambda received: ["s3:" + each["eventName"] for each in records(received, bucket)]


def test_every_event_there_is_reaches_its_target(client: Any, bucket: str, receiver: Receiver) -> None:
    listen(client, bucket)
    client.put_object(Bucket=bucket, Key="a b/ä", Body=b"hello")
    client.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "a b/ä"})
    allowed = client.generate_presigned_post(bucket, "posted")
    body = form(list(allowed["fields"].items()), b"by form")
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    asked = urllib.request.Request(allowed["url"], body, kind, method="POST")
    urllib.request.urlopen(asked, timeout=30).close()
    upload = client.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    named = {"Bucket": bucket, "Key": "parts", "UploadId": upload}
    etag = client.upload_part(**named, PartNumber=1, Body=PART)["ETag"]
    client.complete_multipart_upload(**named, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    client.put_object_tagging(
        Bucket=bucket, Key="copy", Tagging={"TagSet": [{"Key": "team", "Value": "blue"}]}
    )
    client.delete_object_tagging(Bucket=bucket, Key="copy")
    client.delete_object(Bucket=bucket, Key="copy")
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    client.delete_object(Bucket=bucket, Key="posted")

    told = names(bucket)
    receiver.wait_for(lambda received: set(told(received)) == {each.value for each in EventType})

    first = records(receiver.received, bucket)[0]
    assert (first["eventName"], first["awsRegion"]) == ("ObjectCreated:Put", "us-east-1")
    assert first["s3"]["configurationId"] == "mine"
    assert unquote_plus(first["s3"]["object"]["key"]) == "a b/ä"
    assert first["s3"]["object"]["size"] == 5
    assert first["s3"]["object"]["eTag"] == hashlib.md5(b"hello", usedforsecurity=False).hexdigest()
    (test,) = [
        each for each in receiver.received if b"s3:TestEvent" in each.body and bucket.encode() in each.body
    ]
    for each in [test, *receiver.received]:
        stamp = each.headers["x-penstock-timestamp"]
        mac = hmac.new(SECRET.encode(), f"{stamp}.".encode() + each.body, "sha256")
        assert each.headers["x-penstock-signature"] == "v1=" + mac.hexdigest()
        assert abs(int(stamp) - time.time()) < 120


def test_only_what_was_asked_for_is_told_and_as_a_cloud_event(
    client: Any, bucket: str, receiver: Receiver
) -> None:
    rules = [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".jpg"}]
    listen(client, bucket, "cloud", ["s3:ObjectCreated:Put"], Filter={"Key": {"FilterRules": rules}})
    for key in ("in/a.png", "out/a.jpg", "in/a.jpg"):
        client.put_object(Bucket=bucket, Key=key, Body=b"x")
    client.delete_object(Bucket=bucket, Key="in/a.jpg")

    receiver.wait_for(lambda received: len(about(received, bucket)) == 2)
    client.put_object(Bucket=bucket, Key="in/b.jpg", Body=b"x")
    receiver.wait_for(lambda received: len(about(received, bucket)) == 3)

    came = about(receiver.received, bucket)
    told = [json.loads(each.body) for each in came]
    assert [each["type"].removeprefix("com.amazonaws.s3.") for each in told] == [
        "TestEvent",
        "ObjectCreated.Put",
        "ObjectCreated.Put",
    ]
    assert [each.get("subject") for each in told[1:]] == ["in/a.jpg", "in/b.jpg"]
    assert {each.path for each in came} == {"/cloud"}
    assert came[0].headers["content-type"].startswith("application/cloudevents+json")


def test_the_document_comes_back_and_an_empty_one_ends_it(client: Any, bucket: str) -> None:
    listen(client, bucket)
    found = client.get_bucket_notification_configuration(Bucket=bucket)
    assert found["TopicConfigurations"] == [{"Id": "mine", "TopicArn": ARN + "hook", "Events": ALL}]

    client.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    assert set(client.get_bucket_notification_configuration(Bucket=bucket)) == {"ResponseMetadata"}


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"TopicArn": ARN + "nobody", "Events": ["s3:ObjectCreated:*"]}, "InvalidArgument"),
        ({"TopicArn": "arn:aws:sns:us-east-1:1:hook", "Events": ["s3:ObjectCreated:*"]}, "InvalidArgument"),
        ({"TopicArn": ARN + "hook", "Events": ["s3:ObjectRestore:*"]}, "InvalidArgument"),
    ],
)
def test_what_would_never_arrive_is_refused(client: Any, bucket: str, rule: Any, code: str) -> None:
    with pytest.raises(ClientError) as refused:
        client.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"TopicConfigurations": [rule]}
        )
    assert refused.value.response["Error"]["Code"] == code


def test_nothing_is_lost_while_the_receiver_fails_and_the_notifier_is_killed(
    served: Served, client: Any, bucket: str, receiver: Receiver
) -> None:
    listen(client, bucket)
    receiver.wait_for(lambda received: len(about(received, bucket)) == 1)
    receiver.status = 503
    keys = [f"k{number:03}" for number in range(120)]
    try:
        for key in keys[:60]:
            client.put_object(Bucket=bucket, Key=key, Body=b"x")
        receiver.wait_for(lambda received: len(about(received, bucket)) > 1)
    finally:
        receiver.status = 204
    for key in keys[60:]:
        client.put_object(Bucket=bucket, Key=key, Body=b"x")
    receiver.wait_for(lambda received: len(about(received, bucket)) > 20)
    (pid,) = [pid for pid, line in served.processes().items() if "controlplane" in line]
    os.kill(pid, signal.SIGKILL)

    def has_all(received: list[Received]) -> bool:
        return {each["s3"]["object"]["key"] for each in records(received, bucket)} == set(keys)

    receiver.wait_for(has_all, timeout_s=90)


def test_an_inner_address_that_nobody_permitted_is_never_called(
    served: Served, client: Any, bucket: str, receiver: Receiver
) -> None:
    listen(client, bucket, "inner")

    deadline_s = time.monotonic() + 30
    while "no public address" not in served.log.read_text():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)

    assert [each for each in receiver.received if each.path == "/inner"] == []
