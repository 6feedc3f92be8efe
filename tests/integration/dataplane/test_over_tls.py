"""Clients as they are speak S3 over TLS: uploads with trailers, many parts, ranges, and their own certificates."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import Authority
from tests.support.served import Served

BUCKET = "over-tls"
MIB = 1024**2
_BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder / "certificates")
    made = Served(folder)
    made.speak_tls(authority.issue("server"), authority.ca)
    with made:
        made.client().create_bucket(Bucket=BUCKET)
        yield made


@pytest.fixture(scope="module")
def s3(served: Served) -> Any:
    return served.client()


@pytest.mark.parametrize("size_bytes", [0, 1, 16 * 1024, 70_000, 20 * MIB])
@pytest.mark.parametrize("checksums", ["when_supported", "when_required"])
def test_objects_come_back_whole(served: Served, size_bytes: int, checksums: str) -> None:
    """Where it speaks TLS, boto3 sends checksums as trailers of chunks that are not signed."""
    s3 = served.client(request_checksum_calculation=checksums)
    key, body = f"{checksums}/{size_bytes}", os.urandom(size_bytes)

    put = s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    got = s3.get_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")

    assert got["Body"].read() == body
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    assert ("ChecksumCRC32" in got) == (checksums == "when_supported")
    assert s3.head_object(Bucket=BUCKET, Key=key)["ContentLength"] == size_bytes
    if size_bytes > 16:
        part = s3.get_object(Bucket=BUCKET, Key=key, Range="bytes=5-14")["Body"].read()
        assert part == body[5:15]


def test_an_object_of_parts_says_where_it_is(s3: Any) -> None:
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
    parts = []
    for number in (1, 2):
        sent = s3.upload_part(
            Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=number, Body=b"p" * (5 * MIB)
        )
        parts.append({"PartNumber": number, "ETag": sent["ETag"], "ChecksumCRC32": sent["ChecksumCRC32"]})

    done = s3.complete_multipart_upload(
        Bucket=BUCKET, Key="parts", UploadId=upload, MultipartUpload={"Parts": parts}
    )

    assert done["Location"].startswith("https://127.0.0.1:")


def test_many_at_once_each_get_their_own(s3: Any) -> None:
    def pass_through(number: int) -> bool:
        key, body = f"many/{number}", os.urandom(100_000 + number)
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return bool(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(pass_through, range(64)))


def test_rclone_copies_there_and_back(served: Served, tmp_path: Path) -> None:
    program = _BIN / "rclone"
    if not program.exists():
        pytest.skip("rclone is not installed beside this Python")
    there, back = tmp_path / "there", tmp_path / "back"
    there.mkdir()
    for number in range(5):
        (there / f"{number}").write_bytes(os.urandom(number * 500_000))
    known = served.credentials
    remote = (
        f":s3,provider=Other,access_key_id={known.access_key_id},secret_access_key={known.secret_access_key},"
        f"region={known.region},endpoint='{known.endpoint}':{BUCKET}/rclone"
    )

    for source, target in ((str(there), remote), (remote, str(back))):
        subprocess.run(
            [program, "copy", "--config", os.devnull, "--ca-cert", str(served.ca), source, target],
            check=True,
            capture_output=True,
            timeout=60,
        )

    assert {each.name: each.read_bytes() for each in back.iterdir()} == {
        each.name: each.read_bytes() for each in there.iterdir()
    }


def test_the_start_says_https(served: Served) -> None:
    assert f"S3 at {served.credentials.endpoint}" in served.log.read_text()


def test_validate_names_a_pair_that_does_not_fit(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "certificates")
    files, other = authority.issue("server"), authority.issue("other")
    made = Served(tmp_path)
    made.speak_tls(files, authority.ca)
    check: list[str | Path] = [_BIN / "penstock", "validate", "--config", made.config]
    assert subprocess.run(check, capture_output=True, timeout=60, check=False).returncode == 0
    files.key.write_bytes(other.key.read_bytes())

    told = subprocess.run(check, capture_output=True, text=True, timeout=60, check=False)

    assert told.returncode != 0
    assert "listen.tls: " in told.stdout
    assert "KEY_VALUES_MISMATCH" in told.stdout
