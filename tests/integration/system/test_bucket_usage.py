"""What S3 clients ask of buckets is counted once, by whichever process and instance served them."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.engines import ENGINES
from tests.support.instances import Instance, InstanceWish, SharedDatabase, running_instances
from tests.support.postgres import shared_server
from tests.support.served import ADMINCTL

WAIT_S = 30.0
BODY = b"b" * 100_000
PUT_COUNT, GET_COUNT = 4, 6


@pytest.fixture(params=ENGINES)
def instances(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Instance]]:
    """One over SQLite, two over PostgreSQL."""
    if request.param == "sqlite":
        with running_instances(tmp_path, database=None, wishes=[InstanceWish()]) as made:
            yield made
        return
    name = shared_server().create_empty_database()
    with running_instances(tmp_path, database=SharedDatabase(server=shared_server(), name=name)) as made:
        yield made
    shared_server().drop_database(name)


def told(instance: Instance, *words: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [ADMINCTL, "-o", "json", *words],
        env={
            "PATH": os.environ["PATH"],
            "PENSTOCK_ENDPOINT": instance.credentials.control_address,
            "PENSTOCK_TOKEN": instance.credentials.admin_token,
        },
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout).get("usages", [])
    return found


def use(instance: Instance) -> None:
    """Put, read, list and delete; ask for what is not there, and without a key."""
    client = instance.client()
    for number in range(PUT_COUNT):
        client.put_object(Bucket="photos", Key=f"k{number}", Body=BODY)
    for number in range(GET_COUNT):
        assert client.get_object(Bucket="photos", Key=f"k{number % PUT_COUNT}")["Body"].read() == BODY
    client.list_objects_v2(Bucket="photos")
    client.delete_object(Bucket="photos", Key="k0")
    for name in ("made-up", "made-up-too"):
        with pytest.raises(ClientError, match="NoSuchBucket"):
            client.get_object(Bucket=name, Key="k")


def test_what_clients_ask_of_a_bucket_is_told_with_what_others_served(instances: list[Instance]) -> None:
    instances[0].client().create_bucket(Bucket="photos")
    for each in instances:
        use(each)
    count = len(instances)

    # A process that ends in order tells at once what it would have told within the minute.
    for each in instances:
        for pid in each.dataplane_pids():
            os.kill(pid, signal.SIGTERM)
    deadline_s = time.monotonic() + WAIT_S
    expected = (count * (PUT_COUNT + 1) + 1, count * GET_COUNT, count)
    usages = told(instances[0], "usage", "buckets")
    while [_counts(each) for each in usages] != [expected] and time.monotonic() < deadline_s:
        usages = told(instances[0], "usage", "buckets")

    (photos,) = usages
    assert (photos["bucket"], _counts(photos)) == ("buckets/photos", expected)
    # Listings and answers without content have bodies too.
    assert 0 <= int(photos["ingress_bytes"]) - count * PUT_COUNT * len(BODY) < 1000
    assert 0 < int(photos["egress_bytes"]) - count * GET_COUNT * len(BODY) < 5000
    assert int(photos["stored_bytes"]) == (PUT_COUNT - 1) * len(BODY)
    (hour, *later) = told(instances[-1], "usage", "history", "buckets/photos", "--by", "hour")
    assert sum(int(each["read_request_count"]) for each in (hour, *later)) == count * GET_COUNT


def _counts(usage: dict[str, Any]) -> tuple[int, int, int]:
    return (
        int(usage["write_request_count"]),
        int(usage["read_request_count"]),
        int(usage["delete_request_count"]),
    )
