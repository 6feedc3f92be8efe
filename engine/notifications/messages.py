"""What receivers get: S3's event message (version 2.1 of its structure), or the same in CloudEvents 1.0.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, quote_plus

from engine.notifications.rules import TEST_EVENT, EventType, NotificationRule
from engine.records import Bucket

EVENT_VERSION = "2.1"
CREATED_SUFFIX = "00"
REMOVED_SUFFIX = "01"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectEvent:
    """Something that happened to a version. Null where S3's message leaves an element out.

    `account_id` is who did it; for a removal that nobody told of, the bucket's owner.
    """

    type: EventType
    bucket: Bucket
    key: bytes
    version_seq: int
    version_id: str | None
    at_us: int
    account_id: int
    size_bytes: int | None = None
    etag: str | None = None


def sequencer(event: ObjectEvent) -> str:
    """Hexadecimal digits that grow with the history of a key, as long for all, so that they compare as texts.

    A version's removal comes after its creation and before that of any later version.
    """
    suffix = CREATED_SUFFIX if event.type.value.startswith("s3:ObjectCreated:") else REMOVED_SUFFIX
    return f"{event.version_seq:016X}{suffix}"


def object_message(event: ObjectEvent, rule: NotificationRule) -> str:
    """The message for one rule, as JSON text. Who asked from where is not kept, so those elements are empty.

    The region is filled in when it is sent.
    """
    told: dict[str, Any] = {"key": quote_plus(event.key, safe="/")}
    if event.size_bytes is not None:
        told["size"] = event.size_bytes
    if event.etag is not None:
        told["eTag"] = event.etag
    if event.version_id is not None:
        told["versionId"] = event.version_id
    if not event.type.value.startswith("s3:ObjectTagging:"):
        told["sequencer"] = sequencer(event)
    record = {
        "eventVersion": EVENT_VERSION,
        "eventSource": "aws:s3",
        "awsRegion": "",
        "eventTime": _time(event.at_us),
        "eventName": event.type.value.removeprefix("s3:"),
        "userIdentity": {"principalId": str(event.account_id)},
        "requestParameters": {"sourceIPAddress": ""},
        "responseElements": {"x-amz-request-id": "", "x-amz-id-2": ""},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": rule.rule_id,
            "bucket": {
                "name": event.bucket.name,
                "ownerIdentity": {"principalId": event.bucket.account},
                "arn": f"arn:aws:s3:::{event.bucket.name}",
            },
            "object": told,
        },
    }
    return _json({"Records": [record]})


def message_of_test(bucket: str, at_us: int) -> str:
    """What S3 sends when a document was set."""
    return _json(
        {
            "Service": "Amazon S3",
            "Event": TEST_EVENT,
            "Time": _time(at_us),
            "Bucket": bucket,
            "RequestId": "",
            "HostId": "",
        }
    )


def with_region(message: str, region: str) -> str:
    """The message with the region that clients sign for."""
    told = json.loads(message)
    for record in told.get("Records", ()):
        record["awsRegion"] = region
    return _json(told)


def cloud_event(message: str, *, event_id: str) -> str:
    """The same in structured mode: one event, whose data is the record, or the whole message of a test."""
    told: Mapping[str, Any] = json.loads(message)
    if "Records" not in told:
        return _json(
            {
                "specversion": "1.0",
                "id": event_id,
                "source": f"aws:s3:::{told['Bucket']}",
                "type": "com.amazonaws.s3.TestEvent",
                "time": told["Time"],
                "datacontenttype": "application/json",
                "data": told,
            }
        )
    (record,) = told["Records"]
    return _json(
        {
            "specversion": "1.0",
            "id": event_id,
            "source": f"aws:s3:{record['awsRegion']}::{record['s3']['bucket']['name']}",
            "subject": record["s3"]["object"]["key"],
            "type": "com.amazonaws.s3." + quote(record["eventName"].replace(":", ".")),
            "time": record["eventTime"],
            "datacontenttype": "application/json",
            "data": record,
        }
    )


def _time(at_us: int) -> str:
    moment = datetime.fromtimestamp(at_us // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_us % 1_000_000 // 1000:03}Z"


def _json(told: Mapping[str, Any]) -> str:
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)
