"""A bucket is copied from, taken over and emptied while control planes are killed: every object once, byte by byte."""

import json
import os
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.steady_load import eventually
from tests.support.engines import ENGINES
from tests.support.postgres import shared_server, with_database
from tests.support.s3_stores import BUCKET, RcloneStore
from tests.support.served import ADMINCTL, Served, kill

OBJECT_COUNT = 700
LARGE_BYTES = 3_000_000
KILL_COUNT = int(os.environ.get("PENSTOCK_SYNC_KILLS", "0"))
"""Control planes killed in each operation; whoever goes on waits for the lease of the one before to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """A deployment over one volume, and a store that somebody else filled."""

    main: Served
    bodies: dict[str, bytes]
    folder: Path

    def asked(self, *words: str) -> Any:
        known = self.main.credentials
        done = subprocess.run(
            [ADMINCTL, "--address", known.control_address, "-o", "json", *words],
            env={**os.environ, "PENSTOCK_TOKEN": known.admin_token},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return json.loads(done.stdout) if done.returncode == 0 else None

    def operated(self, *words: str) -> Any:
        """The operation that a command starts, once it has ended; control planes are killed on the way."""
        begun = self.asked(*words, "--detach")
        assert begun is not None, words
        name = begun["operation"]["name"]
        for _ in range(KILL_COUNT):
            progressed = self._progress(name)
            eventually(partial(self._has_gone_on, name, progressed), "it goes on")
            (control,) = [pid for pid, line in self.main.processes().items() if "controlplane" in line]
            kill(control)
            eventually(lambda: self.asked("operation", "get", name) is not None, "a control plane")
        eventually(lambda: bool(self._operation(name).get("done")), "its end", timeout_s=120)
        return self._operation(name)

    def _operation(self, name: str) -> Any:
        return (self.asked("operation", "get", name) or {"operation": {}})["operation"]

    def _has_gone_on(self, name: str, progressed: int) -> bool:
        return self._progress(name) > progressed or bool(self._operation(name).get("done"))

    def _progress(self, name: str) -> int:
        return int(self._operation(name).get("progress", {}).get("done_count", 0))

    def check(self, bucket: str) -> None:
        s3 = self.main.client(read_timeout=30)
        listed = [
            each["Key"]
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
            for each in page.get("Contents", [])
        ]
        assert listed == sorted(self.bodies)
        for key, body in self.bodies.items():
            assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body, key


@pytest.fixture(params=ENGINES)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    chance = random.Random(1)
    bodies = {f"in/{number:04}": chance.randbytes(chance.choice([1, 900])) for number in range(OBJECT_COUNT)}
    bodies["in/large"] = chance.randbytes(LARGE_BYTES)
    store = RcloneStore(tmp_path / "rclone")
    folder = tmp_path / "rclone" / "data" / BUCKET
    (folder / "in").mkdir()
    for key, body in bodies.items():
        (folder / key).write_bytes(body)
    with store:
        place = store.place

        def edited(text: str) -> str:
            text = text.replace(
                "backends:\n",
                f"backends:\n  - {{name: old, kind: s3, endpoint: '{place.endpoint}', bucket: {BUCKET}, prefix: own, "
                f"region: {place.region}, access_key_id: {place.access_key_id}, "
                f"secret_access_key: '{place.secret_access_key}'}}\n",
            )
            text = text.replace("\nstorage:\n", "\nstorage:\n  read_grace: 1s\n  chunk_bytes: 1MiB\n")
            text += "workers: {cleanup: {interval: 1s}, reaper: {interval: 1s}}\ndebug: {allowed: true}\n"
            if request.param == "postgres":
                server = shared_server()
                text = with_database(text, server, server.create_empty_database())
            return text

        with Served(tmp_path / "main", volumes=1, edit_config=edited) as main:
            made = Rig(main=main, bodies=bodies, folder=folder)
            for bucket in ("placed", "copied"):
                main.client().create_bucket(Bucket=bucket)
            eventually(lambda: made.asked("status") is not None, "a control plane")
            yield made


@pytest.mark.skipif(
    KILL_COUNT == 0, reason="minutes of waiting for leases: PENSTOCK_SYNC_KILLS says how many kills"
)
@pytest.mark.timeout(900)
def test_a_bucket_is_taken_over_and_emptied_while_control_planes_are_killed(rig: Rig) -> None:
    copied = rig.operated("backend", "sync", "old", "--bucket", "copied", "--copy", "--prefix", "in/")
    assert copied["state"] == "OPERATION_STATE_SUCCEEDED", copied
    rig.check("copied")

    placed = rig.operated("backend", "sync", "old", "--bucket", "placed", "--prefix", "in/")
    assert placed["state"] == "OPERATION_STATE_SUCCEEDED", placed
    assert placed["result"]["imported_count"] + placed["result"]["known_count"] == len(rig.bodies)
    rig.check("placed")

    drained = rig.operated("backend", "drain", "old")
    assert drained["state"] == "OPERATION_STATE_SUCCEEDED", drained
    rig.check("placed")
    rig.check("copied")
    eventually(lambda: not [each for each in (rig.folder / "in").rglob("*") if each.is_file()], "deletions")
    assert rig.main.fsck()["findings"] == []
