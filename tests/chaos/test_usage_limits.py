"""However often processes are killed under load, no more requests reach a store than its limits allow."""

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.support.engines import ENGINES
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Latency, Request
from tests.support.postgres import shared_server, with_database
from tests.support.s3_stores import RcloneStore
from tests.support.served import Served, kill

WRITES, READS = 400, 700
KILL_COUNT = 3
LOAD_S = 8.0
LOAD_S_MAX = 100.0
"""On a slow machine, where the limit is not reached sooner."""

BODY = b"b" * 20_000


class Arrivals:
    """Requests as the store's provider would count them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def note(self, request: Request) -> bool:
        if not self.counts and request.method != "PUT":
            # Whether the prefix is empty is looked at before there is a backend, and a limit, to count it by.
            return False
        is_read = request.method in ("GET", "HEAD") and "?" not in request.target
        with self._lock:
            self.counts["delete" if request.method == "DELETE" else "read" if is_read else "write"] += 1
        return False


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of an empty database of PostgreSQL, or nothing for SQLite."""
    if request.param == "sqlite":
        yield ""
        return
    database = shared_server().create_empty_database()
    yield database
    shared_server().drop_database(database)


@pytest.mark.timeout(180)
def test_killed_processes_never_make_a_store_be_asked_beyond_its_limits(engine: str, tmp_path: Path) -> None:
    arrivals = Arrivals()
    with RcloneStore(tmp_path / "rclone") as rclone:
        address = urlsplit(rclone.place.endpoint)
        with FaultProxy(str(address.hostname), int(address.port or 0)) as proxy:
            proxy.add(Latency(seconds=0.0), which=arrivals.note)

            def edited(text: str) -> str:
                backends = (
                    f"backends:\n  - {{name: cloud, kind: s3, endpoint: '{proxy.endpoint}', bucket: "
                    f"{rclone.place.bucket}, access_key_id: {rclone.place.access_key_id}, secret_access_key: "
                    f"'{rclone.place.secret_access_key}', "
                    f"limits: {{api_requests: {{write: {WRITES}, read: {READS}}}}}}}\n"
                )
                # Filled first, and the volume takes what it may not.
                text = text.replace("backends:\n", backends).replace("routing: spread", "routing: pack")
                return with_database(text, shared_server(), engine) if engine else text

            with Served(tmp_path / "main", volumes=1, edit_config=edited) as served:
                written = _load(served)
                client = served.client()
                # Acknowledged bytes on the volume still read back, and those in the cloud while its limit lasts.
                refused = sum(_is_refused(client, key) for key in written[:: len(written) // 100 or 1])

    print(f"arrived: {dict(arrivals.counts)}, written: {len(written)}, refused: {refused} of 100")
    assert arrivals.counts["write"] <= WRITES
    assert arrivals.counts["read"] <= READS
    assert arrivals.counts["write"] > WRITES // 10
    assert len(written) > WRITES
    assert refused < 100


def _load(served: Served) -> list[str]:
    """Writes and reads until limits have been reached, with processes of the data plane killed on the way.

    The keys acknowledged.
    """
    start_s = time.monotonic()
    written: list[str] = []
    served.client().create_bucket(Bucket="photos")

    def work(number: int) -> None:
        client, chance = served.client(), random.Random(number)
        for count in range(100_000):
            taken_s = time.monotonic() - start_s
            if taken_s > LOAD_S_MAX or (taken_s > LOAD_S and len(written) > 1.5 * WRITES):
                return
            key = f"{number}-{count}"
            with contextlib.suppress(ClientError, BotoCoreError):
                client.put_object(Bucket="photos", Key=key, Body=BODY)
                written.append(key)
                client.get_object(Bucket="photos", Key=chance.choice(written))["Body"].read()

    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(work, number) for number in range(8)]
        for _ in range(KILL_COUNT):
            time.sleep(LOAD_S / (KILL_COUNT + 1))
            planes = [pid for pid, command in served.processes().items() if "dataplane" in command]
            kill(random.choice(planes))
        for each in running:
            each.result()
    return written


def _is_refused(client: object, key: str) -> bool:
    try:
        assert client.get_object(Bucket="photos", Key=key)["Body"].read() == BODY  # type: ignore[attr-defined]
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 429
        return True
    return False
