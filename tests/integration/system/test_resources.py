"""A served deployment whose operator makes identities, keys, links and buckets, and deletes them under S3 traffic.

The control plane is killed in the middle of deletions: who follows them sees them end all the same.
"""

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from botocore.exceptions import ClientError
from penstock.admin.v1 import operation_service_pb2, operation_service_pb2_grpc

from tests.integration.adminctl.running import BIN, adminctl
from tests.support.control import wait_until
from tests.support.instances import SharedDatabase
from tests.support.postgres import shared_server, with_database
from tests.support.served import Served

OBJECT_COUNT = 1500


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("resources")
    with ExitStack() as stack:
        edit = None
        if request.param == "postgres":
            server = shared_server()
            database = SharedDatabase(server=server, name=server.create_empty_database())
            stack.callback(server.drop_database, database.name)

            def edit(text: str) -> str:
                return with_database(text, database.server, database.name)

        made = stack.enter_context(Served(folder, volumes=2, edit_config=edit))
        # S3 is served while the control plane still starts.
        wait_until(lambda: adminctl("whoami", environ=environ_of(made)).returncode == 0, "a control plane")
        yield made


def environ_of(served: Served) -> dict[str, str]:
    return {
        "PENSTOCK_ENDPOINT": served.credentials.control_address,
        "PENSTOCK_TOKEN": served.credentials.admin_token,
    }


@pytest.fixture
def environ(served: Served) -> dict[str, str]:
    return environ_of(served)


def ask(environ: dict[str, str], *arguments: str) -> Any:
    done = adminctl("-o", "json", *arguments, environ=environ)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def client_of(served: Served, pair: dict[str, Any]) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=served.credentials.endpoint,
        region_name=served.credentials.region,
        aws_access_key_id=pair["access_key"]["access_key_id"],
        aws_secret_access_key=pair["secret_access_key"],
        config=Config(retries={"max_attempts": 0}),
    )


def may_read(client: Any, bucket: str) -> bool:
    try:
        client.list_objects_v2(Bucket=bucket)
    except ClientError as error:
        assert error.response["Error"]["Code"] in ("InvalidAccessKeyId", "AccessDenied")
        return False
    return True


def fetch(url: str, *, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, data=body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def fill(served: Served, bucket: str, count: int = OBJECT_COUNT) -> None:
    client = served.client()
    client.create_bucket(Bucket=bucket)
    with ThreadPoolExecutor(16) as threads:
        list(
            threads.map(
                lambda number: client.put_object(Bucket=bucket, Key=f"logs/{number:05}", Body=b"x"),
                range(count),
            )
        )


def control_pid(served: Served) -> int:
    (pid,) = (pid for pid, command in served.processes().items() if "-m controlplane" in command)
    return pid


def is_under_way(channel: grpc.Channel, environ: dict[str, str]) -> bool:
    stub = operation_service_pb2_grpc.OperationServiceStub(channel)
    listed = stub.ListOperations(
        operation_service_pb2.ListOperationsRequest(),
        metadata=(("authorization", f"Bearer {environ['PENSTOCK_TOKEN']}"),),
        timeout=10,
    )
    return any(not each.done and each.progress.done_count for each in listed.operations)


def follow_over_a_kill(served: Served, environ: dict[str, str], *arguments: str) -> dict[str, Any]:
    """Run a command that follows an operation, and kill the control plane once that is under way; how it ended."""
    command = subprocess.Popen(
        [BIN / "adminctl", "-o", "json", *arguments],
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    try:
        with grpc.insecure_channel(environ["PENSTOCK_ENDPOINT"]) as channel:
            pid = control_pid(served)
            wait_until(lambda: is_under_way(channel, environ), "the operation to be under way")
            os.kill(pid, signal.SIGKILL)
        out, err = command.communicate(timeout=120)
    finally:
        command.kill()
    assert command.returncode == 0, err
    operation: dict[str, Any] = json.loads(out)["operation"]
    return operation


def test_a_key_works_everywhere_until_it_is_taken_away(served: Served, environ: dict[str, str]) -> None:
    served.client().create_bucket(Bucket="films")
    ask(environ, "identity", "create", "reader", "--account", "main", "--role", "reader", "--bucket", "films")
    first, second = (ask(environ, "accesskey", "create", "reader") for _ in range(2))
    clients = [client_of(served, pair) for pair in (first, second)]

    both = [may_read(each, "films") for each in clients]
    with pytest.raises(ClientError, match="AccessDenied"):
        clients[0].put_object(Bucket="films", Key="k", Body=b"x")
    ask(environ, "accesskey", "disable", first["access_key"]["access_key_id"])
    # Each request may meet another process: all of them have to have forgotten it.
    wait_until(lambda: not any(may_read(clients[0], "films") for _ in range(20)), "the first to be forgotten")
    still = may_read(clients[1], "films")
    ask(environ, "identity", "delete", "reader", "--yes")
    wait_until(lambda: not any(may_read(clients[1], "films") for _ in range(20)), "the second to be as well")

    assert both == [True, True]
    assert still


def test_links_read_and_write_as_their_identity_and_no_more(served: Served, environ: dict[str, str]) -> None:
    client = served.client()
    client.create_bucket(Bucket="links")
    client.put_object(Bucket="links", Key="a b/ü+&?.txt", Body=b"shared")
    ask(environ, "identity", "create", "linker", "--account", "main", "--role", "writer", "--bucket", "links")
    pair = ask(environ, "accesskey", "create", "linker")

    def link(key: str, method: str, *options: str) -> str:
        arguments = ("object", "presign", "links", key, "--identity", "linker", "--method", method)
        url: str = ask(environ, *arguments, *options)["url"]
        return url

    read = link("a b/ü+&?.txt", "get")
    write = link("new//key", "put")
    assert fetch(read) == (200, b"shared")
    assert fetch(write, method="PUT", body=b"written")[0] == 200
    assert client.get_object(Bucket="links", Key="new//key")["Body"].read() == b"written"
    assert fetch(read, method="PUT", body=b"x")[0] == 403
    assert fetch(read.replace("shared", "other").replace("%C3%BC", "u"))[0] == 403
    ask(environ, "accesskey", "disable", pair["access_key"]["access_key_id"])
    wait_until(lambda: all(fetch(read)[0] == 403 for _ in range(10)), "the link to end with its key")


def test_a_prefix_is_deleted_over_a_kill_and_what_is_written_meanwhile_stays(
    served: Served, environ: dict[str, str]
) -> None:
    fill(served, "prefixed")
    client = served.client()

    operation = follow_over_a_kill(served, environ, "object", "delete-prefix", "prefixed", "logs/", "--yes")
    listed = ask(environ, "object", "versions", "prefixed")["versions"]

    assert operation["state"] == "OPERATION_STATE_SUCCEEDED"
    assert listed == []
    # A step that was done and not stored is counted in neither attempt.
    assert OBJECT_COUNT - 100 <= int(operation["progress"]["done_count"]) <= OBJECT_COUNT
    client.put_object(Bucket="prefixed", Key="logs/later", Body=b"x")
    assert client.get_object(Bucket="prefixed", Key="logs/later")["Body"].read() == b"x"


def test_a_bucket_is_deleted_with_its_versions_over_a_kill_and_its_name_is_free(
    served: Served, environ: dict[str, str]
) -> None:
    fill(served, "doomed")
    ask(environ, "bucket", "update", "doomed", "--versioning", "enabled")
    served.client().delete_object(Bucket="doomed", Key="logs/00000")

    operation = follow_over_a_kill(served, environ, "bucket", "delete", "doomed", "--force", "--yes")

    assert operation["state"] == "OPERATION_STATE_SUCCEEDED"
    with pytest.raises(ClientError, match="NoSuchBucket"):
        served.client().list_objects_v2(Bucket="doomed")
    made = ask(environ, "bucket", "create", "doomed", "--account", "main")["bucket"]
    assert int(made["version_count"]) == 0


def test_what_was_deleted_is_cleaned_up_now_and_rows_and_bytes_agree(
    served: Served, environ: dict[str, str]
) -> None:
    served.client().create_bucket(Bucket="cleaned")
    served.client().put_object(Bucket="cleaned", Key="k", Body=os.urandom(100_000))
    served.client().delete_object(Bucket="cleaned", Key="k")
    wait_until(
        lambda: int(ask(environ, "cleanup", "status")["retired_count"]) == 0, "the reaper to take all apart"
    )

    ask(environ, "cleanup", "run", "--now", "--yes")

    status = ask(environ, "cleanup", "status")
    quotas = ask(environ, "usage", "list")["quotas"]
    report = served.fsck()
    assert (int(status["queued_count"]), int(status["dead_letter_count"])) == (0, 0)
    assert {int(each["usage"]["orphan_bytes"]) for each in quotas} == {0}
    assert report["is_clean"], report["findings"]
