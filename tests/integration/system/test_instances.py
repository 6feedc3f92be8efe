"""Instances are asked for things through their rows: to look again, to start processes anew, to drain, to stop."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engines import ENGINES
from tests.support.instances import Instance, InstanceWish, SharedDatabase, running_instances
from tests.support.postgres import shared_server
from tests.support.served import ADMINCTL, kill

WAIT_S = 40.0


@pytest.fixture(params=ENGINES)
def instances(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Instance]]:
    """One over SQLite, two over PostgreSQL."""
    if request.param == "sqlite":
        with running_instances(tmp_path, database=None, wishes=[InstanceWish()]) as made:
            wait_for_control(made)
            yield made
        return
    name = shared_server().create_empty_database()
    with running_instances(tmp_path, database=SharedDatabase(server=shared_server(), name=name)) as made:
        wait_for_control(made)
        yield made
    shared_server().drop_database(name)


def wait_for_control(instances: list[Instance]) -> None:
    for each in instances:
        eventually(lambda asked=each: adminctl(asked, "version").returncode == 0, "it answers")  # type: ignore[misc]


def adminctl(instance: Instance, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ADMINCTL, *words],
        env={
            "PATH": os.environ["PATH"],
            "PENSTOCK_ENDPOINT": instance.credentials.control_address,
            "PENSTOCK_TOKEN": instance.credentials.admin_token,
        },
        check=False,
        capture_output=True,
        text=True,
        timeout=90,
    )


def eventually(holds: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.1)


def told(instance: Instance, *words: str) -> Any:
    done = adminctl(instance, "-o", "json", *words)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def name_of(asked: Instance, of: Instance) -> str:
    """The name by which one instance knows another: that of its processes."""
    pids = {str(pid) for pid in of.processes()}
    for row in told(asked, "instance", "list")["instances"]:
        if row["alive"] and pids & {each["pid"] for each in row["processes"] if each["alive"]}:
            return str(row["name"])
    raise AssertionError("no such instance")


def ready(instance: Instance) -> int:
    try:
        with urllib.request.urlopen(f"{instance.credentials.endpoint}/-/ready", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_processes_are_started_anew_one_after_the_other(instances: list[Instance]) -> None:
    asked, target = instances[0], instances[-1]
    s3 = target.client(retries={"max_attempts": 5})
    s3.create_bucket(Bucket="anew")
    before = target.dataplane_pids()

    done = adminctl(asked, "instance", "reload", name_of(asked, target), "--restart-processes")

    assert done.returncode == 0, (done.stdout, done.stderr)
    after = target.dataplane_pids()
    assert len(after) == len(before)
    assert not set(before) & set(after)
    s3.put_object(Bucket="anew", Key="k", Body=b"x" * 5000)
    assert s3.get_object(Bucket="anew", Key="k")["Body"].read() == b"x" * 5000


def test_all_look_again_when_nobody_is_named(instances: list[Instance]) -> None:
    done = told(instances[0], "instance", "reload")

    assert [each["pending_count"] for each in done["results"]] == [0] * len(instances)
    assert [each["process_count"] for each in done["results"]] == [3] * len(instances)


def test_an_instance_drains_while_it_serves_and_is_ready_again(instances: list[Instance]) -> None:
    asked, target = instances[0], instances[-1]
    name = name_of(asked, target)
    target.client().create_bucket(Bucket="drained")
    slow = socket.create_connection(target.address)
    slow.sendall(
        b"PUT /drained/k HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n"
        b"Authorization: AWS4-HMAC-SHA256 nonsense\r\n\r\n"
    )
    slow.close()

    done = adminctl(asked, "instance", "drain", name)

    assert (done.returncode, done.stdout) == (0, "drained\n"), done.stderr
    # Each process answers for itself.
    for _ in range(8):
        assert ready(target) == 503
    assert all(ready(each) == 200 for each in instances if each is not target)
    assert target.client().list_buckets()["Buckets"]
    shown = told(asked, "instance", "get", name)["instance"]
    assert shown["draining"]
    assert {each["drained"] for each in shown["processes"] if each["plane"] == "PLANE_DATA"} == {True}

    adminctl(asked, "instance", "undrain", name)

    eventually(lambda: all(ready(target) == 200 for _ in range(8)), "it is ready again")


def test_an_instance_is_stopped_through_another_one(instances: list[Instance]) -> None:
    asked, target = instances[0], instances[-1]
    name = name_of(asked, target)

    refused = adminctl(asked, "instance", "shutdown", name)
    done = adminctl(asked, "instance", "shutdown", name, "--yes", "--grace", "20")

    assert (refused.returncode, done.returncode) == (2, 0), done.stderr
    assert target._process is not None
    assert target._process.wait(WAIT_S) == 0
    if asked is not target:
        assert adminctl(asked, "version").returncode == 0
        # One of its processes that was killed counts as alive for a while.
        eventually(lambda: adminctl(asked, "instance", "undrain", name).returncode == 4, "it is gone")
        assert ready(asked) == 200
    target.start()
    target.wait_ready()
    assert ready(target) == 200


def test_a_bad_file_keeps_nobody_from_being_started_again(instances: list[Instance]) -> None:
    target = instances[-1]
    good = target.config.read_text()
    s3 = target.client(retries={"max_attempts": 5})
    s3.create_bucket(Bucket="bad")
    # What a node is told counts from its start on: another database would be another deployment.
    target.config.write_text(good.replace("routing: spread", "routing: [pack").replace("sqlite", "other"))
    before = target.processes()
    control = next(pid for pid, command in before.items() if "-m controlplane" in command)

    kill(control)
    kill(target.dataplane_pids()[0])

    eventually(lambda: adminctl(target, "version").returncode == 0, "the control plane is back")
    eventually(lambda: len(target.dataplane_pids()) == 2, "as many processes as before")
    s3.put_object(Bucket="bad", Key="k", Body=b"x")
    assert adminctl(target, "config", "reload").returncode == 2
    target.config.write_text(good.replace("routing: spread", "routing: pack"))
    kill(target.dataplane_pids()[0])
    eventually(lambda: len(target.dataplane_pids()) == 2, "as many processes as before")
    # Nobody has asked for the changed file yet.
    assert told(target, "config", "get")["generation"] == "1"
    eventually(lambda: adminctl(target, "config", "reload").returncode == 0, "every process takes it")
    assert told(target, "config", "get")["config"]["routing"] == "pack"
