"""Scrub, comparison with repairs and compaction under load, killed at random moments: nothing lost, damage healed.

And space reclaimed. `PENSTOCK_CHAOS_KILLS` rounds; a seed makes a run again.
"""

import os
import random
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.chaos.load import BUCKET, Client, check
from tests.chaos.oracle import payload
from tests.support.engines import ENGINES
from tests.support.postgres import shared_server, with_database
from tests.support.served import ADMINCTL, Served, kill

ROUND_COUNT = int(os.environ.get("PENSTOCK_CHAOS_KILLS", "1"))
SEED = int(os.environ.get("PENSTOCK_CHAOS_SEED", "1"))
CLIENT_COUNT = 4
STATIC = "static"
STATIC_COUNT = 20
RECLAIM_S = 60.0

STORAGE = """\
default_scheme: copies(2)
  read_grace: 0s
  degraded_reads: off
  scrub_period: 2s
"""

WORKERS = """
workers:
  scrubber: {interval: 0.5s}
  compaction: {interval: 0.5s}
  cleanup: {interval: 0.2s}
  reaper: {interval: 0.2s}
"""


def static(number: int) -> bytes:
    return payload(f"static#{number}", 300_000)


class IntegrityRig:
    """A deployment that looks after its bytes all the time."""

    def __init__(self, folder: Path, engine: str) -> None:
        server = shared_server() if engine == "postgres" else None

        def edit(text: str) -> str:
            text = text.replace("default_scheme: copies(1)\n", STORAGE)
            for number in (1, 2, 3):
                path = f'path: "./data/volumes/v{number}"'
                assert path in text
                text = text.replace(path, f"{path}\n    failure_domain: d{number}")
            text += WORKERS
            return text if server is None else with_database(text, server, server.create_empty_database())

        self.served = Served(folder, volumes=3, edit_config=edit)

    def adminctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        credentials = self.served.credentials
        return subprocess.run(
            [ADMINCTL, "--timeout", "20", *arguments],
            env={
                "PATH": os.environ["PATH"],
                "LANG": "C.UTF-8",
                "PENSTOCK_ENDPOINT": credentials.control_address,
                "PENSTOCK_TOKEN": credentials.admin_token,
            },
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def start_works(self) -> None:
        """All of them at once; one that still runs is only named again."""
        self.adminctl("reconcile", "start", "--repair", "both", "--yes", "--detach")
        self.adminctl("scrub", "run", "--detach")
        self.adminctl("maintenance", "compact", "--all", "--detach")
        self.adminctl("maintenance", "recount", "--detach")

    def damage(self, chance: random.Random) -> None:
        """Flip bytes on one disk, wherever they are: the copy on another one is good. In closed records alone."""
        files = [
            path for path in self.served.data.glob("volumes/v1/*.volume") if path.stat().st_size > 400_000
        ]
        if not files:
            return
        path = chance.choice(files)
        with path.open("r+b") as file:
            file.seek(chance.randrange(20_000, path.stat().st_size - 350_000))
            byte = file.read(1)[0]
            file.seek(-1, 1)
            file.write(bytes([byte ^ 1]))

    def volume_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.served.data.glob("volumes/*/*.volume"))


@pytest.mark.timeout(180 + 40 * ROUND_COUNT)
@pytest.mark.parametrize("engine", ENGINES)
def test_bytes_are_looked_after_through_kills_under_load(tmp_path: Path, engine: str) -> None:
    chance = random.Random(SEED)
    rig = IntegrityRig(tmp_path, engine)
    served = rig.served
    served.start()
    s3 = served.client(retries={"max_attempts": 5})
    s3.create_bucket(Bucket=BUCKET)
    s3.create_bucket(Bucket=STATIC)
    for number in range(STATIC_COUNT):
        s3.put_object(Bucket=STATIC, Key=f"{number}", Body=static(number))
    stop = threading.Event()
    clients = [Client(served.client(), f"c{n}", SEED * 100 + n, stop) for n in range(CLIENT_COUNT)]

    for round_index in range(ROUND_COUNT):
        stop = threading.Event()
        clients = [client.renew(served.client(), stop) for client in clients]
        for client in clients:
            client.start()
        rig.damage(chance)
        rig.start_works()
        threading.Event().wait(chance.uniform(0.1, 2.0))
        whole_tree = chance.random() < 0.4
        if whole_tree:
            served.kill_tree()
        else:
            planes = {pid: command for pid, command in served.processes().items() if pid != served.pid}
            kill(next(pid for pid, command in planes.items() if "controlplane" in command))
        stop.set()
        for client in clients:
            client.join(60)
        if whole_tree:
            served.start()
        else:
            served.wait_ready()
        reading = served.client(retries={"max_attempts": 5})
        problems = check(reading, clients)
        assert not problems, f"round {round_index} (whole tree: {whole_tree}, seed {SEED}): {problems}"
        for number in range(STATIC_COUNT):
            body = reading.get_object(Bucket=STATIC, Key=f"{number}")["Body"].read()
            assert body == static(number), (round_index, number, SEED)

    settle(rig)
    assert served.stop() == 0
    report = served.fsck()
    assert report["is_clean"], report["findings"][:5]


def settle(rig: IntegrityRig) -> None:
    """A last comparison with repairs; all of it ends well, and what is deleted comes back as space."""
    wait_for_control(rig)
    done = rig.adminctl("reconcile", "start", "--repair", "both", "--yes")
    # One from before a kill may still be at work; it is waited for, and then there is another.
    if done.returncode != 0:
        time.sleep(1)
        done = rig.adminctl("reconcile", "start", "--repair", "both", "--yes")
    assert done.returncode == 0, done.stderr
    left = rig.adminctl("-o", "json", "reconcile", "list")
    assert left.returncode == 0, left.stderr
    peak_bytes = rig.volume_bytes()
    s3 = rig.served.client(retries={"max_attempts": 5})
    for bucket in (BUCKET, STATIC):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for entry in page.get("Contents", ()):
                s3.delete_object(Bucket=bucket, Key=entry["Key"])
    # Files that were appended to are free for compaction once their processes have ended.
    assert rig.served.stop() == 0
    rig.served.start()
    deadline_s = time.monotonic() + RECLAIM_S
    while rig.volume_bytes() > 0.5 * peak_bytes:
        assert time.monotonic() < deadline_s, (rig.volume_bytes(), peak_bytes)
        time.sleep(0.2)


def wait_for_control(rig: IntegrityRig) -> None:
    deadline_s = time.monotonic() + RECLAIM_S
    while rig.adminctl("reconcile", "status").returncode != 0:
        assert time.monotonic() < deadline_s, "the control plane never came back"
        time.sleep(0.2)
