"""Compaction, scrub and rebalancing under load, control planes killed on the way: nothing lost, space reclaimed.

No request fails, each operation succeeds, and what deleted objects took is given back. `PENSTOCK_BACKGROUND_KILLS` says
how many kills there are during each; a seed makes a run again.
"""

import fcntl
import json
import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.steady_load import adminctl, asked, eventually, is_controlled, problems_of, steady_load
from tests.support.engines import ENGINES
from tests.support.instances import Instance, InstanceWish, SharedDatabase, running_instances
from tests.support.pieces import payload_of
from tests.support.postgres import shared_server
from tests.support.served import kill

SEED = int(os.environ.get("PENSTOCK_CHAOS_SEED", "1"))
KILL_COUNT = int(os.environ.get("PENSTOCK_BACKGROUND_KILLS", "1"))
IS_LONG = "PENSTOCK_BACKGROUND_KILLS" in os.environ
"""Two instances are killed in the long form alone."""

STANDING, LOADED = "standing", "loaded"
SIZES_BYTES = (0, 700, 70_000, 400_000, 1_500_000)
OBJECT_COUNT = 100 if IS_LONG else 30
PACE = ("--rate", "3MiB")
"""Such that there is time to kill somebody."""

PACKED = "24MiB" if IS_LONG else "8MiB"

REST_S = 2.0
"""More than the read grace."""

PAUSE_S = 0.0 if IS_LONG else 0.05
"""Between two rounds of a client: all that they write is scrubbed, deleted and compacted in the end."""

KILL_WAIT_MAX_S = 1.0
END_TIMEOUT_S = 120.0 + 20.0 * KILL_COUNT
EMPTY_BYTES_MAX = 2**20

STORAGE = """\
  seal: none
  read_grace: 1s
"""
SETTINGS = """\
debug: {allowed: true}
workers:
  cleanup: {interval: 0.5s}
  reaper: {interval: 0.5s}
  compaction: {interval: 1s}

"""


def edited(text: str) -> str:
    """Volumes with an end, which makes it known how full they are."""
    for number in (1, 2):
        path = f'path: "./data/volumes/v{number}"'
        assert path in text
        text = text.replace(path, f"{path}\n    quota_bytes: 1GiB")
    return text.replace("  seal: none\n", STORAGE)


@pytest.fixture(params=ENGINES if IS_LONG else ENGINES[:1])
def instances(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Instance]]:
    """One instance over SQLite, two over PostgreSQL; each of two processes of the data plane."""
    if request.param == "sqlite":
        with running_instances(
            tmp_path, database=None, wishes=[InstanceWish()], settings=SETTINGS, edit=edited
        ) as made:
            yield made
        return
    name = shared_server().create_empty_database()
    database = SharedDatabase(server=shared_server(), name=name)
    with running_instances(tmp_path, database=database, settings=SETTINGS, edit=edited) as made:
        yield made
    shared_server().drop_database(name)


def standing(number: int) -> bytes:
    return payload_of(SIZES_BYTES[number % len(SIZES_BYTES)], seed=number)


def volume_files(instances: Sequence[Instance]) -> set[Path]:
    return set(instances[0].data.glob("volumes/*/*.volume"))


def disk_bytes(files: set[Path]) -> int:
    """What those of them that are still there take, as `du` counts it."""
    total_bytes = 0
    for path in files:
        try:
            total_bytes += path.stat().st_blocks * 512
        except FileNotFoundError:
            continue
    return total_bytes


def written_since(files: set[Path], moment_s: float) -> set[Path]:
    """Those of them that somebody appended to since then; what cleanup does to a file leaves its time as it was."""
    written = set()
    for path in files:
        try:
            if path.stat().st_mtime > moment_s:
                written.add(path)
        except FileNotFoundError:
            continue
    return written


def rest(files: set[Path]) -> bool:
    """Whether nobody wrote to them lately, nor punched a hole where something was deleted."""
    return max(path.stat().st_mtime for path in files) < time.time() - REST_S


@contextmanager
def nobody_appends_to(files: set[Path]) -> Iterator[None]:
    """Whoever writes meanwhile takes other files: as if these were full."""
    with ExitStack() as stack:
        for path in files:
            file = stack.enter_context(path.open("rb"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def start_anew(instances: Sequence[Instance]) -> None:
    for each in reversed(instances):
        assert each.stop() == 0
    for each in instances:
        each.start()


def control_planes(instances: Sequence[Instance]) -> list[int]:
    return [
        pid for each in instances for pid, command in each.processes().items() if "-m controlplane" in command
    ]


def operation(instances: Sequence[Instance], name: str) -> Any:
    """As whoever answers sees it; null while nobody does."""
    for each in instances:
        done = adminctl(each, "-o", "json", "operation", "get", name)
        if done.returncode == 0:
            return json.loads(done.stdout)["operation"]
    return None


def through_kills(instances: Sequence[Instance], chance: random.Random, *words: str) -> Any:
    """Start something long, kill control planes while it runs, and see it succeed; the operation as it ended."""
    for each in instances:
        eventually(partial(is_controlled, each), "every control plane answers")
    name = asked(instances[0], *words, "--detach")["operation"]["name"]
    killed_at = []
    for number in range(KILL_COUNT):
        if number > 0:
            eventually(lambda: operation(instances, name) is not None, f"somebody knows of {words}")
        threading.Event().wait(chance.uniform(0.0, KILL_WAIT_MAX_S))
        planes = control_planes(instances)
        killed_at.append(datetime.now(UTC))
        for pid in planes if chance.random() < 0.5 else planes[:1]:
            kill(pid)

    def has_ended() -> bool:
        seen = operation(instances, name)
        return seen is not None and bool(seen["done"])

    eventually(has_ended, f"{words} ends", timeout_s=END_TIMEOUT_S)
    ended = operation(instances, name)
    assert ended["state"] == "OPERATION_STATE_SUCCEEDED", ended
    # Asking first would take a busy machine longer than some of these last.
    is_hit = killed_at[0] < datetime.fromisoformat(ended["end_time"])
    assert is_hit, f"{words} was over before anybody was killed: {ended}"
    return ended


def delete_all(s3: Any, bucket: str) -> None:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", ()):
            s3.delete_object(Bucket=bucket, Key=entry["Key"])


def is_cleaned_up(instance: Instance) -> bool:
    """Whether all that was deleted is taken apart and gone, what killed control planes had claimed included."""
    status = asked(instance, "cleanup", "status")
    return all(int(status[count]) == 0 for count in ("retired_count", "queued_count"))


@pytest.mark.timeout(420 + 120 * KILL_COUNT)
def test_nothing_is_lost_and_space_comes_back_whatever_happens_to_control_planes(
    instances: list[Instance],
) -> None:
    chance = random.Random(SEED)
    first = instances[0]
    eventually(partial(is_controlled, first), "the control plane answers")
    first.client().create_bucket(Bucket=STANDING)
    for number in range(OBJECT_COUNT):
        instances[number // 2 % len(instances)].client().put_object(
            Bucket=STANDING, Key=f"{number:03}", Body=standing(number)
        )
    for each in reversed(instances):
        assert each.stop() == 0
    files = volume_files(instances)
    filled_bytes = disk_bytes(files)

    with ExitStack() as stack:
        with nobody_appends_to(files):
            for each in instances:
                each.start()
            eventually(partial(is_controlled, first), "the control plane answers")
            asked(first, "worker", "pause", "compaction", "--reason", "to see who compacts")
            clients = stack.enter_context(steady_load(instances, LOADED, seed=SEED, pause_s=PAUSE_S))
            s3 = first.client()
            for number in range(0, OBJECT_COUNT, 2):
                s3.delete_object(Bucket=STANDING, Key=f"{number:03}")
            eventually(lambda: all(each.request_count > 20 for each in clients), "everybody writes")
            eventually(lambda: disk_bytes(files) < 0.7 * filled_bytes, "holes are punched")
            eventually(partial(rest, files), "cleanup is done with what was deleted")

        began_s = time.time()
        through_kills(instances, chance, "maintenance", "compact", "--all", "--rate", "1MiB")
        eventually(partial(is_controlled, first), "the control plane answers")
        asked(first, "worker", "resume", "compaction")
        eventually(lambda: not all(path.exists() for path in files), "emptied files go")
        # Those of them that a control plane took for its copies when it came back stay, and grow.
        assert disk_bytes(files - written_since(files, began_s)) < 0.7 * filled_bytes

        scrubbed = through_kills(instances, chance, "scrub", "run", *PACE)
        assert scrubbed["progress"].get("failed_count", "0") == "0", scrubbed

        # Clients write to the emptiest store: evening out has little to do beside them, packing has.
        packed = through_kills(
            instances, chance, *("rebalance", "run", "--strategy", "pack"), *("--max-bytes", PACKED), *PACE
        )
        assert int(packed["progress"]["done_bytes"]) > 0, packed
        assert problems_of(clients) == []

    assert problems_of(clients) == []
    for number in range(1, OBJECT_COUNT, 2):
        assert s3.get_object(Bucket=STANDING, Key=f"{number:03}")["Body"].read() == standing(number)
    for each in reversed(instances):
        assert each.stop() == 0
    report = first.fsck()
    assert report["is_clean"], report["findings"][:5]

    for each in instances:
        each.start()
    for bucket in (STANDING, LOADED):
        delete_all(s3, bucket)
    eventually(partial(is_controlled, first), "the control plane answers")
    eventually(partial(is_cleaned_up, first), "what was deleted is gone", timeout_s=END_TIMEOUT_S)
    # Files that were appended to are free for compaction once their processes have ended.
    start_anew(instances)
    eventually(partial(is_controlled, first), "the control plane answers")

    def is_empty() -> bool:
        asked(first, "maintenance", "compact", "--all")
        return disk_bytes(volume_files(instances)) < EMPTY_BYTES_MAX

    eventually(is_empty, "all of the space is back", timeout_s=END_TIMEOUT_S)
