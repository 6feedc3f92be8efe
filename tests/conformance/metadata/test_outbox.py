"""Events stand in the transaction of what they tell of, wait for their next try, and are given up after the last."""

import json
from functools import partial

import pytest

from engine.errors import PreconditionFailed
from engine.metadata import outbox
from engine.metadata.outbox import ATTEMPT_COUNT_MAX, OutboxDepth
from engine.metadata.publish import publish
from engine.metadata.remove import remove
from engine.metadata.store import Store
from engine.notifications.rules import Destination, NotificationRule, write_rules
from engine.objects.bucket_documents import BucketDocuments
from engine.records import Bucket, DocumentKind
from engine.units import HOUR_S
from tests.support.metadata import SetClock, make_bucket, new_version

KEY = b"in/a"


@pytest.fixture
def bucket(store: Store) -> Bucket:
    """One whose creations under `in/` and removals are told; its test event has gone."""
    made = make_bucket(store)
    rules = [
        NotificationRule(
            rule_id="r", destination=Destination.TOPIC, target="hook", events=(events,), prefix="in/"
        )
        for events in ("s3:ObjectCreated:*", "s3:ObjectRemoved:Delete")
    ]
    BucketDocuments(store).put(made.name, DocumentKind.NOTIFICATION, write_rules(rules), made.account_id)
    (test,) = due(store)
    assert test.type == "s3:TestEvent"
    store.write(partial(outbox.settle_sent, items=[test]))
    return made


def due(store: Store) -> list[outbox.OutboxItem]:
    return store.read(partial(outbox.list_due, count_max=100))


def test_a_write_and_its_event_stand_or_fall_together(store: Store, bucket: Bucket, clock: SetClock) -> None:
    def fails(tx: object) -> None:
        publish(tx, new_version(bucket, KEY))  # type: ignore[arg-type]
        raise PreconditionFailed(condition="If-Match")

    with pytest.raises(PreconditionFailed):
        store.write(fails)
    assert due(store) == []

    published = store.write(lambda tx: publish(tx, new_version(bucket, KEY)))
    store.write(lambda tx: publish(tx, new_version(bucket, b"out/a")))
    clock.move(1)
    store.write(lambda tx: remove(tx, bucket.name, KEY))  # type: ignore[arg-type]

    made, gone = due(store)
    assert (made.type, gone.type) == ("s3:ObjectCreated:Put", "s3:ObjectRemoved:Delete")
    told = json.loads(made.payload)["Records"][0]["s3"]["object"]
    assert told["sequencer"].startswith(f"{published.version_seq:016X}")
    assert "versionId" not in told


def test_a_failure_is_tried_again_later_and_given_up_in_the_end(
    store: Store, bucket: Bucket, clock: SetClock
) -> None:
    store.write(lambda tx: publish(tx, new_version(bucket, KEY)))

    for number in range(ATTEMPT_COUNT_MAX):
        (item,) = due(store)
        assert item.attempts == number
        is_last = store.write(partial(outbox.postpone, item=item, error="nobody is there"))
        assert is_last is (number + 1 == ATTEMPT_COUNT_MAX)
        assert due(store) == []
        clock.move(HOUR_S)

    assert store.read(outbox.depth) == OutboxDepth(waiting_count=0, dead_count=1)


def test_a_bucket_without_rules_tells_nothing(store: Store) -> None:
    quiet = make_bucket(store)

    store.write(lambda tx: publish(tx, new_version(quiet, KEY)))

    assert store.read(outbox.depth) == OutboxDepth(waiting_count=0, dead_count=0)
