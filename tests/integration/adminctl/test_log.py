"""`adminctl log` and `adminctl audit` as an operator runs them, over a deployment that serves."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.integration.adminctl.running import BIN, ControlProcess
from tests.support.control import wait_until
from tests.support.served import Served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """With a data plane, whose lines and requests are told."""
    with Served(tmp_path_factory.mktemp("served"), volumes=1) as made:
        made.client().create_bucket(Bucket="photos")
        yield made


def environ(served: Served) -> dict[str, str]:
    known = served.credentials
    return {
        "PATH": os.environ["PATH"],
        "PENSTOCK_ENDPOINT": known.control_address,
        "PENSTOCK_TOKEN": known.admin_token,
    }


def adminctl(served: Served, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "adminctl", *arguments],
        env=environ(served),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


class Following:
    """A command that goes on, from `with` to its end; `lines` is what it has printed."""

    def __init__(self, served: Served, folder: Path, *arguments: str) -> None:
        self._out = folder / f"{arguments[0]}-{arguments[1]}-{time.monotonic_ns()}"
        self._command = [str(BIN / "adminctl"), *arguments]
        self._environ = {**environ(served), "PYTHONUNBUFFERED": "1"}

    def __enter__(self) -> "Following":
        with self._out.open("wb") as out:
            self._process = subprocess.Popen(
                self._command, env=self._environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)

    @property
    def lines(self) -> list[str]:
        return self._out.read_text().splitlines()


def test_lines_of_both_planes_are_shown(served: Served) -> None:
    def shown() -> list[str]:
        return adminctl(served, "log", "tail").stdout.splitlines()

    # A child of the arbiter, which starts another process in its place. Numbers of processes begin anew at some time,
    # and say nothing about who came first; parents are listed before their children.
    *_, last = (pid for pid, command in served.processes().items() if "dataplane" in command)
    os.kill(last, signal.SIGKILL)
    wait_until(
        lambda: any(" info dataplane.serving " in line for line in shown()), "a line of the data plane"
    )

    line = next(each for each in shown() if "call.ended" in each)
    assert " controlplane[" in line
    assert "caller=first" in line


def test_lines_for_programs_are_one_message_each(served: Served) -> None:
    for _ in range(2):
        adminctl(served, "version")

    done = adminctl(served, "-o", "json", "log", "tail", "-n", "2", "--process", "controlplane")

    entries = [json.loads(line)["entry"] for line in done.stdout.splitlines()]
    assert len(entries) == 2
    assert {each["process"] for each in entries} == {"controlplane"}


def test_requests_show_as_they_end_and_only_those_asked_for(served: Served, tmp_path: Path) -> None:
    s3 = served.client()
    with Following(served, tmp_path, "log", "trace", "--bucket", "photos", "--errors") as following:

        def is_told() -> bool:
            s3.put_object(Bucket="photos", Key="there", Body=b"x")
            with pytest.raises(s3.exceptions.NoSuchKey):
                s3.get_object(Bucket="photos", Key="not there")
            return bool(following.lines)

        wait_until(is_told, "a request")
        line = following.lines[0]

    assert "GetObject  photos/not there  404 NoSuchKey" in line
    assert "PutObject" not in "".join(following.lines)


def test_a_traced_request_can_be_read_by_programs(served: Served, tmp_path: Path) -> None:
    with Following(served, tmp_path, "-o", "jsonl", "log", "trace") as following:
        wait_until(lambda: bool(served.client().list_buckets()) and bool(following.lines), "a request")
        told: dict[str, Any] = json.loads(following.lines[0])["request"]

    assert told["operation"] == "ListBuckets"
    assert told["access_key_id"] == served.credentials.access_key_id
    assert int(told["status"]) == 200


def test_levels_are_set_shown_and_put_back(served: Served) -> None:
    set_to = adminctl(served, "log", "set-level", "penstock.server", "debug", "--for", "1m")
    shown = adminctl(served, "log", "levels").stdout
    adminctl(served, "log", "set-level", "penstock.server", "default")
    after = adminctl(served, "log", "levels").stdout

    assert set_to.stdout.startswith("penstock.server: debug until ")
    assert any(line.split()[:2] == ["penstock.server", "debug"] for line in shown.splitlines())
    assert "penstock.server" not in after


def test_what_is_no_logger_of_ours_is_refused(served: Served) -> None:
    done = adminctl(served, "log", "set-level", "botocore", "debug")

    assert done.returncode == 2
    assert "logger: expected `penstock`" in done.stderr


def test_who_did_what_is_listed_and_followed(served: Served, tmp_path: Path) -> None:
    with Following(served, tmp_path, "audit", "tail", "-n", "0") as following:

        def is_told() -> bool:
            adminctl(served, "worker", "trigger", "cleanup")
            return len(following.lines) >= 3

        wait_until(is_told, "three events, of which the first may be the end of a call that was under way")
        begun, ended = sorted(line.split(maxsplit=1)[1] for line in following.lines[1:3])
    listed = adminctl(served, "audit", "list", "--method", "WorkerService/TriggerWorker", "--actor", "first")

    assert begun == "first  WorkerService/TriggerWorker  workers/cleanup  BEGUN"
    assert ended == "first  WorkerService/TriggerWorker  workers/cleanup  OK"
    heading, newest, *_ = listed.stdout.splitlines()
    assert heading.split() == ["TIME", "ACTOR", "METHOD", "RESOURCE", "OUTCOME"]
    assert newest.split()[1:] == ["first", "WorkerService/TriggerWorker", "workers/cleanup", "OK"]


def test_a_whole_trail_is_said_to_be_one(served: Served) -> None:
    done = adminctl(served, "audit", "verify")

    assert (done.returncode, done.stdout[:7]) == (0, "whole: ")


def test_a_trail_that_was_tampered_with_ends_with_a_status_of_its_own(tmp_path: Path) -> None:
    with ControlProcess(tmp_path) as control:
        control.run("worker", "trigger", "cleanup")
        connection = apsw.Connection(str(tmp_path / "data" / "metadata.sqlite"))
        connection.execute("UPDATE audit_events SET actor = 'nobody' WHERE outcome = 'BEGUN'")
        connection.close()

        done = control.run("audit", "verify")
        told = control.json("audit", "verify")

    assert done.returncode == 3
    assert "altered" in done.stdout
    assert "tampered with" in done.stderr
    assert [each["problem"] for each in told["findings"]] == ["AUDIT_PROBLEM_ALTERED"]


@pytest.mark.timeout(120)
def test_killed_in_the_midst_of_calls_the_trail_is_whole(tmp_path: Path) -> None:
    """What was begun and cut off has no end in the trail; the next instance's chain is tied to the one before."""
    with ControlProcess(tmp_path) as control:
        for _ in range(3):
            callers = [
                subprocess.Popen(
                    [BIN / "adminctl", "worker", "trigger", "cleanup"],
                    env={
                        "PATH": os.environ["PATH"],
                        "PENSTOCK_ENDPOINT": control.address,
                        "PENSTOCK_TOKEN": control.token,
                    },
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                for _ in range(4)
            ]
            time.sleep(0.8)
            control.kill()
            for each in callers:
                each.wait(30)
            control.start()
        control.run("worker", "trigger", "cleanup")

        verified = control.json("audit", "verify")
        events = control.json("audit", "list")["events"]

    assert verified["findings"] == []
    assert int(verified["chain_count"]) >= 1
    begun = {each["request_id"] for each in events if each["outcome"] == "BEGUN"}
    ended = {each["request_id"] for each in events if each["outcome"] != "BEGUN"}
    assert ended <= begun
