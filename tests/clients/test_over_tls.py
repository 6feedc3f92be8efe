"""Clients over TLS send what they never send in the clear: payloads that are not signed, with checksums behind them."""

import filecmp
import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3
from minio import Minio

from tests.clients.conftest import environment_for, pen_environment_for
from tests.clients.odd_keys import ODD_KEYS, SLASHED_KEYS
from tests.clients.running import run
from tests.support.certificates import Authority
from tests.support.served import Served

MIB = 1024**2
DRIVE = Path(__file__).parent / "s3fs" / "drive.py"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("clients-tls")
    authority = Authority(folder / "certificates")
    made = Served(folder, volumes=2)
    made.speak_tls(authority.issue("server"), authority.ca)
    with made:
        yield made


def test_the_javascript_sdk(javascript_folder: Path, served: Served, tmp_path: Path) -> None:
    keys = json.dumps([*ODD_KEYS, *SLASHED_KEYS])

    run(["node", str(javascript_folder / "drive.mjs"), "javascript", keys], environment_for(served, tmp_path))


def test_s3fs(s3fs_python: str, served: Served, tmp_path: Path) -> None:
    keys = json.dumps([key[:1000] for key in ODD_KEYS])

    run([s3fs_python, str(DRIVE), "s3fs-bucket", keys], environment_for(served, tmp_path))


def test_minio_py(served: Served) -> None:
    payload = os.urandom(11 * MIB)
    with urllib3.PoolManager(ca_certs=str(served.ca)) as pool:
        minio = Minio(
            served.credentials.endpoint.removeprefix("https://"),
            access_key=served.credentials.access_key_id,
            secret_key=served.credentials.secret_access_key,
            http_client=pool,
        )
        minio.make_bucket("minio-py")

        minio.put_object("minio-py", "small", io.BytesIO(b"small"), 5)
        minio.put_object("minio-py", "parts", io.BytesIO(payload), -1, part_size=5 * MIB)

        with minio.get_object("minio-py", "small") as small, minio.get_object("minio-py", "parts") as parts:
            assert (small.read(), parts.read()) == (b"small", payload)


def test_rclone(served: Served, tool: Callable[[str], str], tmp_path: Path) -> None:
    rclone, environment = tool("rclone"), pen_environment_for(served, tmp_path)
    source = tmp_path / "source"
    source.mkdir()
    for index in range(12):
        (source / f"f {index}").write_bytes(os.urandom(index * 90_000))
    (source / "big").write_bytes(os.urandom(12 * MIB))

    run([rclone, "mkdir", "pen:rclone"], environment)
    run([rclone, "copy", str(source), "pen:rclone/t", "--s3-upload-cutoff", "8Mi"], environment)
    run([rclone, "check", "--download", str(source), "pen:rclone/t"], environment)


def test_the_aws_cli(served: Served, tool: Callable[[str], str], tmp_path: Path) -> None:
    aws, environment = tool("aws"), environment_for(served, tmp_path)
    (tmp_path / "there").write_bytes(os.urandom(20 * MIB))

    run([aws, "s3", "mb", "s3://aws"], environment)
    run([aws, "s3", "cp", str(tmp_path / "there"), "s3://aws/file"], environment)
    run([aws, "s3", "cp", "s3://aws/file", str(tmp_path / "back")], environment)

    assert filecmp.cmp(tmp_path / "there", tmp_path / "back", shallow=False)


def test_restic(served: Served, tool: Callable[[str], str], tmp_path: Path) -> None:
    restic = tool("restic")
    environment = {
        **environment_for(served, tmp_path),
        "RESTIC_REPOSITORY": f"s3:{served.credentials.endpoint}/restic",
        "RESTIC_PASSWORD": "correct horse",
    }
    (tmp_path / "kept").write_bytes(os.urandom(3 * MIB))

    for words in (["init"], ["backup", str(tmp_path / "kept")], ["check", "--read-data"]):
        run([restic, "--cacert", str(served.ca), *words], environment)
