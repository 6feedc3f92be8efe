"""Counting never kills a process: the files it counts in have their blocks before anything is written into them."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict

from dataplane.metrics_folder import FILE_BYTES, FOLDER_VARIABLE, give_back_room, reserve_room
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

        files = list((served.data / "state/metrics").glob("*.db"))

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

    give_back_room(tmp_path, int(file.stem.removeprefix("counter_")))

    # What it counted is read as before; the files in which it counted nothing are gone.
    assert list(tmp_path.iterdir()) == [file]
    assert file.stat().st_size < 1024
    assert [value for _, value, _, _ in MmapedDict.read_all_values_from_file(file)] == [3.0]  # type: ignore[no-untyped-call]


def test_a_process_that_is_killed_leaves_its_counts_and_no_reserved_room(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        served.client().create_bucket(Bucket="counted")
        folder = served.data / "state/metrics"
        eventually(lambda: has_counted(served))
        dead = [int(path.stem.removeprefix("counter_")) for path in folder.glob("counter_*.db")]

        for pid in dead:
            os.kill(pid, signal.SIGKILL)

        eventually(lambda: all(is_settled(folder, pid) for pid in dead))
        served.wait_ready()
        assert has_counted(served)


def is_settled(folder: Path, pid: int) -> bool:
    return all(path.stat().st_size < FILE_BYTES for path in folder.glob(f"*_{pid}.db"))


def has_counted(served: Served) -> bool:
    with urllib.request.urlopen(served.credentials.metrics_url, timeout=10) as answer:
        page: bytes = answer.read()
    return b'penstock_requests_total{operation="CreateBucket",status="200"} 1.0' in page


def eventually(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_without_room_the_process_says_so(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="no room to count"):
        reserve_room(tmp_path / "gone", 1)
