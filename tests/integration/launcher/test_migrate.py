"""A deployment that outgrows SQLite goes on over PostgreSQL with every object, and the old file is out of its way."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.support.postgres import PostgresServer, shared_server, with_database
from tests.support.served import Served

PENSTOCK = Path(sys.executable).parent / "penstock"
SECTIONS = """
processes:
  dataplane: 1

buckets:
  - {name: kept, account: main, quota_bytes: 5MiB}
"""
OBJECTS = {f"photos/{index:03}": bytes([index]) * (index * 1000) for index in range(40)}


@pytest.fixture
def served(tmp_path: Path) -> Served:
    """Over SQLite, not started; one process is enough."""
    return Served(
        tmp_path,
        edit_config=lambda text: text.replace("\nidentities:\n", SECTIONS + "\nidentities:\n"),
    )


@pytest.fixture
def database() -> Iterator[str]:
    name = shared_server().create_empty_database()
    yield name
    shared_server().drop_database(name)


def client(served: Served) -> Any:
    given = served.credentials
    return boto3.client(
        "s3",
        endpoint_url=given.endpoint,
        aws_access_key_id=given.access_key_id,
        aws_secret_access_key=given.secret_access_key,
        region_name=given.region,
        config=Config(retries={"total_max_attempts": 1}),
    )


def over_postgres(served: Served, database: str, server: PostgresServer) -> Path:
    """The same configuration with another database section."""
    config = served.config.with_name("postgres.yaml")
    config.write_text(with_database(served.config.read_text(), server, database))
    return config


def migrate(source: Path, target: Path) -> "subprocess.CompletedProcess[str]":
    command: list[str | Path] = [PENSTOCK, "migrate", "sqlite-to-postgres", "--from", source, "--to", target]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def fill(served: Served) -> None:
    s3 = client(served)
    for key, body in OBJECTS.items():
        s3.put_object(Bucket="kept", Key=key, Body=b"before")
        s3.put_object(Bucket="kept", Key=key, Body=body, Metadata={"name": key})
    s3.put_object(Bucket="kept", Key="gone", Body=b"soon")
    s3.delete_object(Bucket="kept", Key="gone")
    upload = s3.create_multipart_upload(Bucket="kept", Key="parts")["UploadId"]
    part = s3.upload_part(Bucket="kept", Key="parts", UploadId=upload, PartNumber=1, Body=b"part" * 100)
    s3.complete_multipart_upload(
        Bucket="kept",
        Key="parts",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )


def test_every_object_is_there_over_postgres(served: Served, database: str) -> None:
    with served:
        fill(served)
    target = over_postgres(served, database, shared_server())

    done = migrate(served.config, target)

    assert done.returncode == 0, done.stderr
    assert not (served.data / "metadata.sqlite").exists()
    assert (served.data / "metadata.sqlite-moved").exists()
    served.config = target
    with served:
        s3 = client(served)
        for key, body in OBJECTS.items():
            got = s3.get_object(Bucket="kept", Key=key)
            assert (got["Body"].read(), got["Metadata"]) == (body, {"name": key})
        assert s3.get_object(Bucket="kept", Key="parts")["Body"].read() == b"part" * 100
        listed = [each["Key"] for each in s3.list_objects_v2(Bucket="kept")["Contents"]]
        assert listed == sorted([*OBJECTS, "parts"])
        # The account came along: what is left of it can be used, and no more.
        held = sum(map(len, OBJECTS.values())) + 400
        s3.put_object(Bucket="kept", Key="rest", Body=b"r" * (5 * 1024 * 1024 - held))
        with pytest.raises(s3.exceptions.ClientError, match="Quota"):
            s3.put_object(Bucket="kept", Key="more", Body=b"m")
    checked = subprocess.run(
        [PENSTOCK, "fsck", "--config", target], capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_move_that_was_interrupted_is_begun_again(served: Served, database: str) -> None:
    with served:
        client(served).put_object(Bucket="kept", Key="one", Body=b"one")
    target = over_postgres(served, database, shared_server())
    assert migrate(served.config, target).returncode == 0
    # As a crash between the commit and the new name would leave it.
    shutil.move(served.data / "metadata.sqlite-moved", served.data / "metadata.sqlite")

    again = migrate(served.config, target)

    assert again.returncode == 0, again.stderr
    assert (served.data / "metadata.sqlite-moved").exists()


def test_a_database_that_went_on_after_the_move_is_not_put_away(served: Served, database: str) -> None:
    with served:
        client(served).put_object(Bucket="kept", Key="one", Body=b"one")
    target = over_postgres(served, database, shared_server())
    assert migrate(served.config, target).returncode == 0
    shutil.move(served.data / "metadata.sqlite-moved", served.data / "metadata.sqlite")
    with served:
        client(served).put_object(Bucket="kept", Key="two", Body=b"two")

    again = migrate(served.config, target)

    assert again.returncode == 78
    assert "PostgreSQL" in again.stderr
    assert (served.data / "metadata.sqlite").exists()


# Runs the move and says, when the old file is about to be renamed, whether another process could take it up.
WATCHED = """
import fcntl, os, sys
source = sys.argv[1]

def look(event, arguments):
    if event == "os.rename" and os.fspath(arguments[0]) == source:
        mark_fd = os.open(source + "-live", os.O_RDWR)
        try:
            fcntl.flock(mark_fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            print("held")
        else:
            print("free")
        os.close(mark_fd)

sys.addaudithook(look)
from launcher.main import main
sys.argv[1:] = ["migrate", "sqlite-to-postgres", "--from", sys.argv[2], "--to", sys.argv[3]]
sys.exit(main())
"""


def test_no_process_can_take_the_old_file_up_until_it_is_put_away(served: Served, database: str) -> None:
    with served:
        client(served).put_object(Bucket="kept", Key="one", Body=b"one")
    target = over_postgres(served, database, shared_server())
    command: list[str | Path] = [sys.executable, "-c", WATCHED, served.data / "metadata.sqlite"]

    done = subprocess.run(
        [*command, served.config, target], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines().count("held") == 1
    assert "free" not in done.stdout


def test_nothing_is_moved_while_it_is_served(served: Served, database: str) -> None:
    target = over_postgres(served, database, shared_server())
    with served:
        refused = migrate(served.config, target)

    assert refused.returncode == 78
    assert "is in use" in refused.stderr


def test_nothing_is_moved_into_another_deployment(served: Served, database: str, tmp_path: Path) -> None:
    with served:
        pass
    folder = tmp_path / "other"
    folder.mkdir()
    other = Served(folder, edit_config=lambda text: text)
    with other:
        pass
    assert migrate(other.config, over_postgres(other, database, shared_server())).returncode == 0

    refused = migrate(served.config, over_postgres(served, database, shared_server()))

    assert refused.returncode == 78
    assert "is not empty" in refused.stderr
    assert (served.data / "metadata.sqlite").exists()


def test_configurations_the_wrong_way_round_are_refused(served: Served, database: str) -> None:
    target = over_postgres(served, database, shared_server())

    refused = migrate(target, served.config)

    assert refused.returncode == 78
    assert "names no SQLite database" in refused.stderr
