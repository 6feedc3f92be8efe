"""`penstock fsck` finds what is wrong with a deployment, served or at rest, and leaves it as it is."""

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.backends.volume.format import FIRST_RECORD_OFFSET, RECORD_HEADER_BYTES
from engine.deployment.opening import OpenDeployment, open_deployment
from engine.metadata.sqlite.doubt import Doubt
from engine.names import BucketName, ObjectKey
from engine.objects.write import PutOrder
from engine.records import ObjectHeaders
from tests.support.bodies import BytesBody

PENSTOCK = [sys.executable, "-P", "-m", "launcher.main"]
BUCKETS = "\nbuckets:\n  - {name: plain, account: main}\n  - {name: sealed, account: main, seal: all}\n"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PENSTOCK, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    assert run("init", "--data", tmp_path, "--yes").returncode == 0
    file = tmp_path / "penstock.yaml"
    file.write_text(file.read_text() + BUCKETS)
    return file


@pytest.fixture
def deployment(config: Path) -> Iterator[OpenDeployment]:
    """One with six objects in it, some sealed."""
    opened = open_deployment(config, {}, plane="dataplane", version="1")
    for number in range(6):
        bucket = "sealed" if number % 2 else "plain"
        order = PutOrder(
            bucket=BucketName(bucket),
            key=ObjectKey(b"%d" % number),
            account_id=1,
            headers=ObjectHeaders(),
        )
        opened.use.writer.put(order, BytesBody(os.urandom(3000)))
    yield opened
    opened.close()


def damage(folder: Path) -> Path:
    """Turn a bit of the first record of a volume."""
    volume = next(folder.glob("volumes/*/*.volume"))
    with volume.open("r+b") as file:
        file.seek(FIRST_RECORD_OFFSET + RECORD_HEADER_BYTES + 1000)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    return volume


def test_a_deployment_at_rest_is_clean(deployment: OpenDeployment, config: Path) -> None:
    deployment.close()

    done = run("fsck", "--config", config)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("clean: 6 blobs, 6 pieces, ")
    assert "6 cards" in done.stdout
    assert done.stdout.count("\n") == 1


def test_one_that_serves_is_looked_at_too_and_goes_on(deployment: OpenDeployment, config: Path) -> None:
    done = run("fsck", "--config", config)

    assert done.returncode == 0, done.stdout
    order = PutOrder(
        bucket=BucketName("plain"), key=ObjectKey(b"more"), account_id=1, headers=ObjectHeaders()
    )
    deployment.use.writer.put(order, BytesBody(b"more"))


def test_looking_changes_nothing(deployment: OpenDeployment, config: Path) -> None:
    deployment.close()
    database = config.parent / "metadata.sqlite"
    files = sorted(config.parent.glob("volumes/*/*"))
    before = database.read_bytes(), [path.read_bytes() for path in files]

    run("fsck", "--config", config)

    assert sorted(config.parent.glob("volumes/*/*")) == files
    assert (database.read_bytes(), [path.read_bytes() for path in files]) == before


def test_a_damaged_piece_is_found_with_its_place(deployment: OpenDeployment, config: Path) -> None:
    deployment.close()
    volume = damage(config.parent)

    done = run("fsck", "--config", config)

    assert done.returncode == 1
    finding, summary = done.stdout.splitlines()
    assert finding.startswith(f"BLOCK_DAMAGED: {volume.stem}:")
    assert summary.startswith("1 findings: ")


def test_findings_are_json_if_asked(deployment: OpenDeployment, config: Path) -> None:
    deployment.close()
    damage(config.parent)

    done = run("fsck", "--config", config, "-o", "json")

    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert (told["is_clean"], told["finding_count"]) == (False, 1)
    assert told["findings"][0]["problem"] == "BLOCK_DAMAGED"
    assert told["counts"]["blob_count"] == 6


def test_a_disk_that_is_not_there_is_a_finding(deployment: OpenDeployment, config: Path) -> None:
    deployment.close()
    (config.parent / "volumes/v2").rename(config.parent / "away")

    done = run("fsck", "--config", config)

    assert done.returncode == 1
    assert "BACKEND_UNREACHABLE: v2: " in done.stdout


def test_without_a_deployment_it_says_so_and_makes_none(config: Path) -> None:
    done = run("fsck", "--config", config)

    assert done.returncode == 78
    assert "no deployment yet" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (config.parent / "metadata.sqlite").exists()


def test_another_master_key_is_refused(deployment: OpenDeployment, config: Path) -> None:
    deployment.close()
    (config.parent / "master.key").write_bytes(base64.b64encode(os.urandom(32)))

    done = run("fsck", "--config", config)

    assert done.returncode == 78
    assert "does not open" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_invalid_configuration_is_named_with_its_line(config: Path) -> None:
    config.write_text(config.read_text() + "bogus: 1\n")

    done = run("fsck", "--config", config)

    assert done.returncode == 78
    assert ": bogus: unknown key" in done.stderr


def test_the_next_start_still_knows_of_an_unclean_stop_before(config: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from engine.deployment.opening import open_deployment;"
        "kept = open_deployment(Path(sys.argv[1]), {}, plane='dataplane', version='1');"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", program, config], timeout=30, check=False)
    assert killed.returncode == -signal.SIGKILL

    assert run("fsck", "--config", config).returncode == 0

    doubt = Doubt(config.parent / "metadata.sqlite")
    assert doubt.take()
    doubt.release()
