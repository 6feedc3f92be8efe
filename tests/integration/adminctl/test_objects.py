"""`adminctl object` and `adminctl bucket delete --force` as an operator runs them."""

import json
from collections.abc import Iterator

import pytest

from engine.deployment.opening import open_deployment
from engine.deployment.process import OpenDeployment
from tests.integration.adminctl.running import ControlProcess
from tests.support.control import put_object


@pytest.fixture
def opened(control: ControlProcess) -> Iterator[OpenDeployment]:
    """A data plane's process of the deployment."""
    opened = open_deployment(control.config, {}, plane="dataplane", version="1")
    yield opened
    opened.close()


def test_objects_are_looked_at_and_removed(control: ControlProcess, opened: OpenDeployment) -> None:
    for key in ("a b", "logs/1", "logs/2"):
        put_object(opened, "films", key, bytes(1000))

    head = control.run("object", "head", "films", "a b")
    tree = control.run("object", "tree", "films")
    versions = control.run("object", "versions", "films", "logs/")
    unasked = control.run("object", "delete", "films", "a b")
    deleted = control.run("object", "delete", "films", "a b", "--yes")
    again = control.run("object", "delete", "films", "a b", "--yes")
    plan = control.run("object", "delete-prefix", "films", "logs/", "--dry-run")
    done = control.run("object", "delete-prefix", "films", "logs/", "--yes")

    assert "1000 B (1000 bytes)" in head.stdout
    assert [line.split()[0] for line in tree.stdout.splitlines()] == ["KEY", "a", "logs/"]
    assert [line.split()[:4] for line in versions.stdout.splitlines()[1:]] == [
        ["logs/1", "null", "current", "version"],
        ["logs/2", "null", "current", "version"],
    ]
    assert unasked.returncode == 2
    assert deleted.stdout == "removed version null\n"
    assert again.stdout == "there was nothing to remove\n"
    assert plan.stdout == "Removes 2 under 'logs/' in the bucket films, 2.0 KiB.\n"
    assert (done.returncode, "2 of 2" in done.stdout) == (0, True)


def test_a_bucket_goes_with_all_that_is_in_it(control: ControlProcess, opened: OpenDeployment) -> None:
    put_object(opened, "films", "k", b"x")

    full = control.run("bucket", "delete", "films")
    unasked = control.run("bucket", "delete", "films", "--force")
    trial = control.run("bucket", "delete", "films", "--force", "--dry-run")
    done = control.run("bucket", "delete", "films", "--force", "--yes")
    missing = control.run("bucket", "get", "films")

    assert (full.returncode, "BUCKET_NOT_EMPTY" in full.stderr) == (8, True)
    assert (unasked.returncode, "1 versions" in unasked.stderr) == (2, True)
    assert trial.stdout == "buckets/films: could be deleted\n"
    assert (done.returncode, "succeeded" in done.stdout) == (0, True)
    assert missing.returncode == 4


def test_a_link_is_made(control: ControlProcess, opened: OpenDeployment) -> None:
    put_object(opened, "films", "k", b"x")
    identity = control.json("identity", "list")["identities"][0]["name"]

    made = control.run("object", "presign", "films", "k", "--identity", identity, "--expires", "5m")
    told = json.loads(
        control.run(
            *("-o", "json", "object", "presign", "films", "k", "--identity", identity),
            *("--method", "put", "--endpoint", "https://s3.example.org"),
        ).stdout
    )
    long = control.run("object", "presign", "films", "k", "--identity", identity, "--expires", "8d")

    assert made.stdout.startswith("http://127.0.0.1:")
    assert "works until" in made.stderr
    assert told["url"].startswith("https://s3.example.org/films/k?")
    assert long.returncode == 2
