"""Either plane does without the other for a while, and `serve` brings back whichever died."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.served import Served, kill

ADMINCTL = Path(sys.executable).parent / "adminctl"
WAIT_S = 40.0


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("system"), volumes=2) as each:
        each.client().create_bucket(Bucket="system")
        yield each


def adminctl(served: Served, *arguments: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
    credentials = served.credentials
    return subprocess.run(
        [
            ADMINCTL,
            *("--address", credentials.control_address, "--token", token or credentials.admin_token),
            *("-o", "json"),
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def pid_of(served: Served, module: str) -> int:
    return next(pid for pid, command in served.processes().items() if f"-m {module} " in command)


def eventually(claim: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not claim():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.1)


def test_the_operator_sees_a_healthy_system_and_runs_a_worker(served: Served) -> None:
    eventually(lambda: adminctl(served, "status").returncode == 0, "the system is healthy")

    done = adminctl(served, "worker", "trigger", "cleanup", "--wait")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["operation"]["state"] == "OPERATION_STATE_SUCCEEDED"


def test_a_wrong_token_is_turned_away(served: Served) -> None:
    assert adminctl(served, "status", token="wrong").returncode == 5


def test_traffic_goes_on_without_the_control_plane_and_serve_brings_it_back(served: Served) -> None:
    s3 = served.client()
    before = pid_of(served, "controlplane")

    kill(before)
    for number in range(20):
        s3.put_object(Bucket="system", Key=f"{number}", Body=b"x" * 100)
        assert s3.get_object(Bucket="system", Key=f"{number}")["Body"].read() == b"x" * 100

    eventually(lambda: adminctl(served, "status").returncode == 0, "the control plane is back")
    assert pid_of(served, "controlplane") != before


def test_a_killed_process_of_the_data_plane_is_replaced_and_nothing_is_lost(served: Served) -> None:
    s3 = served.client(retries={"max_attempts": 5})
    s3.put_object(Bucket="system", Key="kept", Body=b"kept")
    arbiter = pid_of(served, "dataplane")
    workers = [
        pid for pid, command in served.processes().items() if "dataplane" in command and pid != arbiter
    ]

    kill(workers[0])

    assert s3.get_object(Bucket="system", Key="kept")["Body"].read() == b"kept"
    eventually(
        lambda: sum("dataplane" in command for command in served.processes().values()) == len(workers) + 1,
        "as many processes as before",
    )
    assert workers[0] not in served.processes()


def test_metrics_count_what_was_served(served: Served) -> None:
    def counted() -> bool:
        with urllib.request.urlopen(served.credentials.metrics_url, timeout=5) as answer:
            text = answer.read().decode()
        return 'penstock_requests_total{operation="PutObject",status="200"}' in text

    served.client().put_object(Bucket="system", Key="counted", Body=b"1")
    eventually(counted, "the request is on the page")


def test_it_stops_when_asked_and_leaves_everything_in_order(served: Served) -> None:
    served.client().put_object(Bucket="system", Key="written", Body=b"written")

    assert served.stop() == 0

    report = served.fsck()
    assert report["is_clean"], report["findings"]
    served.start()
    assert served.client().get_object(Bucket="system", Key="written")["Body"].read() == b"written"


def test_the_last_use_of_keys_and_tokens_outlives_a_restart(served: Served) -> None:
    def told(noun: str, list_name: str) -> dict[str, str | None]:
        rows = json.loads(adminctl(served, noun, "list").stdout)[list_name]
        return {each["name"]: each.get("last_use_time") for each in rows}

    eventually(lambda: adminctl(served, "status").returncode == 0, "the system is healthy")
    adminctl(served, "identity", "create", "guest", "--account", "main", "--role", "reader")
    guest = json.loads(adminctl(served, "accesskey", "create", "guest").stdout)["access_key"]
    served.client().list_buckets()
    forged = boto3.client(
        "s3",
        endpoint_url=served.credentials.endpoint,
        region_name=served.credentials.region,
        aws_access_key_id=guest["access_key_id"],
        aws_secret_access_key="not-the-secret-of-that-key",
    )
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        forged.list_buckets()

    served.stop()
    served.start()
    eventually(lambda: adminctl(served, "status").returncode == 0, "the system is healthy")

    keys, tokens = told("accesskey", "access_keys"), told("token", "admin_tokens")
    assert keys[f"accessKeys/{served.credentials.access_key_id}"] is not None
    assert keys[guest["name"]] is None
    assert any(tokens.values())
