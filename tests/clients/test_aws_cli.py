"""aws s3: big files byte-equal there and back, and a second sync that copies nothing."""

import filecmp
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.conftest import IS_LONG
from tests.clients.running import run

FILE_BYTES = 1024**3 if IS_LONG else 48 * 1024**2
FILE_COUNT = 2000 if IS_LONG else 60


def write_file(path: Path, size_bytes: int) -> None:
    with path.open("wb") as file:
        left = size_bytes
        while left:
            left -= file.write(os.urandom(min(left, 8 * 1024**2)))


@pytest.mark.timeout(1200)
def test_a_big_file_comes_back_byte_equal(
    tmp_path: Path, client_environment: dict[str, str], tool: Callable[[str], str]
) -> None:
    aws = tool("aws")
    write_file(tmp_path / "there", FILE_BYTES)
    run([aws, "s3", "mb", "s3://aws-big"], client_environment)

    run([aws, "s3", "cp", str(tmp_path / "there"), "s3://aws-big/file"], client_environment)
    run([aws, "s3", "cp", "s3://aws-big/file", str(tmp_path / "back")], client_environment)

    assert filecmp.cmp(tmp_path / "there", tmp_path / "back", shallow=False)
    run([aws, "s3", "rb", "s3://aws-big", "--force"], client_environment)


@pytest.mark.timeout(1200)
def test_a_second_sync_copies_nothing(
    tmp_path: Path, client_environment: dict[str, str], tool: Callable[[str], str]
) -> None:
    aws = tool("aws")
    source = tmp_path / "source"
    for index in range(FILE_COUNT):
        path = source / f"d{index % 7}" / f"file {index} ü+%.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(index * 13 % 5000))
    run([aws, "s3", "mb", "s3://aws-sync"], client_environment)

    # One attempt: an answer that the client does not understand is a failure then, not a minute's wait and a repeat.
    once = {**client_environment, "AWS_MAX_ATTEMPTS": "1"}
    first = run([aws, "s3", "sync", str(source), "s3://aws-sync/tree"], once)
    second = run([aws, "s3", "sync", str(source), "s3://aws-sync/tree"], client_environment)
    run([aws, "s3", "sync", "s3://aws-sync/tree", str(tmp_path / "back")], client_environment)

    assert first.count("upload:") == FILE_COUNT
    assert "upload:" not in second
    names = [str(path.relative_to(source)) for path in source.rglob("*.bin")]
    same, different, missing = filecmp.cmpfiles(source, tmp_path / "back", names, shallow=False)
    assert (len(same), different, missing) == (FILE_COUNT, [], [])
    listed = run([aws, "s3", "ls", "--recursive", "s3://aws-sync/"], client_environment)
    assert len(listed.splitlines()) == FILE_COUNT
    run([aws, "s3", "rm", "--recursive", "--only-show-errors", "s3://aws-sync/"], client_environment)
    run([aws, "s3", "rb", "s3://aws-sync"], client_environment)


@pytest.mark.timeout(600)
def test_big_files_are_copied_and_moved_by_the_server_part_by_part(
    tmp_path: Path, client_environment: dict[str, str], tool: Callable[[str], str]
) -> None:
    aws = tool("aws")
    write_file(tmp_path / "there", 20 * 1024**2)
    run([aws, "s3", "mb", "s3://aws-copies"], client_environment)
    run([aws, "s3", "cp", str(tmp_path / "there"), "s3://aws-copies/first +ü"], client_environment)

    run([aws, "s3", "cp", "s3://aws-copies/first +ü", "s3://aws-copies/copied"], client_environment)
    run([aws, "s3", "mv", "s3://aws-copies/first +ü", "s3://aws-copies/moved"], client_environment)

    for name in ("copied", "moved"):
        run([aws, "s3", "cp", f"s3://aws-copies/{name}", str(tmp_path / name)], client_environment)
        assert filecmp.cmp(tmp_path / "there", tmp_path / name, shallow=False)
    listed = run([aws, "s3", "ls", "s3://aws-copies/"], client_environment)
    assert [line.split()[-1] for line in listed.splitlines()] == ["copied", "moved"]
    run([aws, "s3", "rb", "s3://aws-copies", "--force"], client_environment)


def test_a_presigned_link_needs_no_headers(
    tmp_path: Path, client_environment: dict[str, str], tool: Callable[[str], str]
) -> None:
    aws = tool("aws")
    (tmp_path / "file").write_bytes(b"for all")
    run([aws, "s3", "mb", "s3://aws-links"], client_environment)
    run([aws, "s3", "cp", str(tmp_path / "file"), "s3://aws-links/a b"], client_environment)

    link = run([aws, "s3", "presign", "s3://aws-links/a b"], client_environment).strip()

    with urllib.request.urlopen(link) as answer:
        assert answer.read() == b"for all"
    run([aws, "s3", "rb", "s3://aws-links", "--force"], client_environment)
