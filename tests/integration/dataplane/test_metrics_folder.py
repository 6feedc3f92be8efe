"""Counting never kills a process: the files it counts in have their blocks before anything is written into them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dataplane.metrics_folder import FILE_BYTES, FOLDER_VARIABLE, reserve_room
from engine.errors import StartRefused
from tests.support.served import Served


def has_all_its_blocks(path: Path) -> bool:
    facts = path.stat()
    return facts.st_blocks * 512 >= facts.st_size


def test_every_file_that_a_served_plane_counts_in_has_all_its_blocks(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        client = served.client()
        client.create_bucket(Bucket="counted")
        client.put_object(Bucket="counted", Key="k", Body=b"v")

        files = list((served.data / "state/metrics").iterdir())

        assert len(files) >= 3
        assert all(map(has_all_its_blocks, files))
        assert {path.stat().st_size for path in files} == {FILE_BYTES}


def test_what_is_counted_lies_in_the_file_that_was_reserved(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from dataplane.metrics_folder import reserve_room;"
        "reserve_room(Path(sys.argv[1]), os.getpid());"
        "from prometheus_client import Counter; Counter('seen', 'Seen.').inc(3)"
    )

    subprocess.run(
        [sys.executable, "-c", program, tmp_path],
        env={**os.environ, FOLDER_VARIABLE: str(tmp_path)},
        check=True,
        timeout=30,
    )

    (file,) = tmp_path.glob("counter_*.db")
    assert b"seen_total" in file.read_bytes()
    assert file.stat().st_size == FILE_BYTES


def test_without_room_the_process_says_so(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="no room to count"):
        reserve_room(tmp_path / "gone", 1)
