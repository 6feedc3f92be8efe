"""Messages have the structure that AWS documents, version 2.1, and that of CloudEvents 1.0."""

import json

from engine.names import BucketName
from engine.notifications.messages import (
    ObjectEvent,
    cloud_event,
    message_of_test,
    object_message,
    with_region,
)
from engine.notifications.rules import Destination, EventType, NotificationRule
from engine.records import Bucket, Origin, Versioning

RULE = NotificationRule(
    rule_id="to-hook", destination=Destination.QUEUE, target="hook", events=("s3:ObjectCreated:*",)
)
BUCKET = Bucket(
    bucket_id=1,
    name=BucketName("photos"),
    account_id=1,
    account="main",
    created_at_us=0,
    versioning=Versioning.ENABLED,
    object_lock=False,
    scheme=None,
    seal=None,
    quota_bytes=None,
    revision=1,
    origin=Origin.API,
)


def event(event_type: EventType = EventType.PUT, *, version_seq: int = 7) -> ObjectEvent:
    return ObjectEvent(
        type=event_type,
        bucket=BUCKET,
        key="red flower/ä.jpg".encode(),
        version_seq=version_seq,
        version_id="abc",
        at_us=1_700_000_000_123_456,
        account_id=3,
        size_bytes=1024,
        etag="d41d8cd98f00b204e9800998ecf8427e",
    )


def test_s3s_structure() -> None:
    told = json.loads(with_region(object_message(event(), RULE), "eu-central-1"))

    assert told == {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "eu-central-1",
                "eventTime": "2023-11-14T22:13:20.123Z",
                "eventName": "ObjectCreated:Put",
                "userIdentity": {"principalId": "3"},
                "requestParameters": {"sourceIPAddress": ""},
                "responseElements": {"x-amz-request-id": "", "x-amz-id-2": ""},
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "to-hook",
                    "bucket": {
                        "name": "photos",
                        "ownerIdentity": {"principalId": "main"},
                        "arn": "arn:aws:s3:::photos",
                    },
                    "object": {
                        "key": "red+flower/%C3%A4.jpg",
                        "size": 1024,
                        "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                        "versionId": "abc",
                        "sequencer": "000000000000000700",
                    },
                },
            }
        ]
    }


def test_a_removal_comes_behind_its_version_and_before_the_next() -> None:
    def sequencer(each: ObjectEvent) -> str:
        return str(json.loads(object_message(each, RULE))["Records"][0]["s3"]["object"]["sequencer"])

    made, gone = sequencer(event()), sequencer(event(EventType.DELETE))
    following = sequencer(event(version_seq=8))

    assert made < gone < following


def test_tagging_has_no_sequencer_as_with_s3() -> None:
    told = json.loads(object_message(event(EventType.TAGS_PUT), RULE))

    assert "sequencer" not in told["Records"][0]["s3"]["object"]


def test_a_cloud_event_has_what_its_specification_requires() -> None:
    message = with_region(object_message(event(), RULE), "eu-central-1")

    told = json.loads(cloud_event(message, event_id="some-id"))

    assert {name: told[name] for name in ("specversion", "id", "source", "type", "subject", "time")} == {
        "specversion": "1.0",
        "id": "some-id",
        "source": "aws:s3:eu-central-1::photos",
        "type": "com.amazonaws.s3.ObjectCreated.Put",
        "subject": "red+flower/%C3%A4.jpg",
        "time": "2023-11-14T22:13:20.123Z",
    }
    assert told["data"] == json.loads(message)["Records"][0]


def test_a_test_event_is_told_in_both_forms() -> None:
    message = message_of_test("photos", 1_700_000_000_000_000)

    assert json.loads(message)["Event"] == "s3:TestEvent"
    assert json.loads(cloud_event(message, event_id="x"))["type"] == "com.amazonaws.s3.TestEvent"
