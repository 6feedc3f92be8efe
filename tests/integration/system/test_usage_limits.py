"""Clients meet a month's limits as 507 and 429, and only when no backend is left; deletions go on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.engines import ENGINES
from tests.support.postgres import shared_server, with_database
from tests.support.served import Served

WRITES = {"v1": 25, "v2": 40}
READS = {"v1": 30, "v2": 50}
BODY = b"b" * 300_000


@pytest.fixture(scope="module", params=ENGINES)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    database = shared_server().create_empty_database() if request.param == "postgres" else ""

    def edited(text: str) -> str:
        for name, write in WRITES.items():
            text = text.replace(
                f"  - name: {name}\n",
                f"  - name: {name}\n    limits: {{api_requests: {{write: {write}, read: {READS[name]}}}}}\n",
            )
        return with_database(text, shared_server(), database) if database else text

    folder: Path = tmp_path_factory.mktemp("limits")
    with Served(folder, volumes=2, edit_config=edited) as running:
        yield running
    if database:
        shared_server().drop_database(database)


def count_until_refused(step: Any) -> tuple[int, dict[str, Any]]:
    """How many steps go well, and the answer to the first one that does not."""
    for number in range(300):
        try:
            step(number)
        except ClientError as error:
            return number, {**error.response["Error"], **error.response["ResponseMetadata"]}
    raise AssertionError("nothing was refused")


def test_what_no_backend_may_take_or_give_is_refused_with_that_reason(served: Served) -> None:
    client = served.client()
    client.create_bucket(Bucket="photos")

    put_count, refused_put = count_until_refused(
        lambda number: client.put_object(Bucket="photos", Key=f"k{number}", Body=BODY)
    )

    def read(number: int) -> None:
        assert client.get_object(Bucket="photos", Key=f"k{number % put_count}")["Body"].read() == BODY

    get_count, refused_get = count_until_refused(read)

    # What one process leased ahead is missing to the other until it is given back, seconds later.
    assert sum(WRITES.values()) // 2 < put_count <= sum(WRITES.values())
    assert (refused_put["HTTPStatusCode"], refused_put["Code"]) == (507, "InsufficientStorage")
    assert get_count <= sum(READS.values())
    assert (refused_get["HTTPStatusCode"], refused_get["Code"]) == (429, "TooManyRequests")
    assert 0 < int(refused_get["HTTPHeaders"]["retry-after"]) <= 31 * 86_400
    assert client.head_object(Bucket="photos", Key="k0")["ContentLength"] == len(BODY)
    for number in range(put_count):
        client.delete_object(Bucket="photos", Key=f"k{number}")
    assert client.list_objects_v2(Bucket="photos")["KeyCount"] == 0
