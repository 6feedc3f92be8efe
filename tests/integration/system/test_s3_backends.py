"""A deployment over a volume, another Penstock and a foreign S3 server: any one of them may be gone."""

import os
import random
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from engine.units import KIB, MIB
from tests.support.postgres import shared_server, with_database
from tests.support.s3_stores import BUCKET, PenstockStore, RcloneStore
from tests.support.served import ADMINCTL, Served

SIZES = [0, 1, 5000, 300 * KIB, MIB + 1, 5 * MIB + 77]
DOWN_READ_MAX_S = 30.0
"""Bound on one read or write while a store answers nothing: it is given up within ten seconds, and then left alone."""

BACK_READ_MAX_S = 10.0
"""Bound on a read when one store has just come back and another one went: each of its blobs waits for the latter for
a second or two at most.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """The deployment under test, and two of the stores it keeps pieces on."""

    main: Served
    penstock: PenstockStore
    rclone: RcloneStore

    @property
    def s3(self) -> Any:
        return self.main.client(read_timeout=60)

    def check_all(self, bodies: dict[str, bytes], *, within_s: float = DOWN_READ_MAX_S) -> None:
        """No answer is an error: the client asks once."""
        s3 = self.main.client(read_timeout=60, retries={"total_max_attempts": 1})
        for key, body in bodies.items():
            begun_s = time.monotonic()
            assert s3.get_object(Bucket="photos", Key=key)["Body"].read() == body
            assert time.monotonic() - begun_s < within_s
            if len(body) > 1000:
                middle = len(body) // 2
                part = s3.get_object(Bucket="photos", Key=key, Range=f"bytes={middle}-{middle + 499}")
                assert part["Body"].read() == body[middle : middle + 500]

    def put_all(self, word: str, *, seed: int) -> dict[str, bytes]:
        bodies = {f"{word}-{size}": random.Random(seed + size).randbytes(size) for size in SIZES}
        for key, body in bodies.items():
            begun_s = time.monotonic()
            self._put(key, body)
            assert time.monotonic() - begun_s < DOWN_READ_MAX_S
        return bodies

    def _put(self, key: str, body: bytes) -> None:
        """A store that has just come back is trusted again after some looks at it; until then `SlowDown` is told."""
        begun_s = time.monotonic()
        while True:
            try:
                self.s3.put_object(Bucket="photos", Key=key, Body=body)
                return
            except ClientError as error:
                if error.response["Error"]["Code"] != "SlowDown" or time.monotonic() - begun_s > 60.0:
                    raise
            time.sleep(0.5)


@pytest.fixture(params=["sqlite", "postgres"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with PenstockStore(tmp_path / "penstock") as penstock, RcloneStore(tmp_path / "rclone") as rclone:

        def edited(text: str) -> str:
            backends = "backends:\n"
            for name, place in (("pen", penstock.place), ("foreign", rclone.place)):
                backends += (
                    f"  - {{name: {name}, kind: s3, preset: {place.preset}, endpoint: '{place.endpoint}', "
                    f"bucket: {place.bucket}, prefix: main, access_key_id: {place.access_key_id}, "
                    f"secret_access_key: '{place.secret_access_key}'}}\n"
                )
            text = text.replace("backends:\n", backends)
            text = text.replace(
                "default_scheme: copies(1)",
                "default_scheme: copies(2)\n  chunk_bytes: 2MiB\n  read_grace: 1s",
            )
            text += "workers: {cleanup: {interval: 1s}}\ndebug: {allowed: true}\n"
            if request.param == "postgres":
                server = shared_server()
                text = with_database(text, server, server.create_empty_database())
            return text

        main = Served(tmp_path / "main", volumes=1, edit_config=edited)
        with main:
            made = Rig(main=main, penstock=penstock, rclone=rclone)
            made.s3.create_bucket(Bucket="photos")
            yield made


@pytest.mark.timeout(240)
def test_any_one_store_may_be_gone(rig: Rig) -> None:
    bodies = rig.put_all("before", seed=1)
    rig.check_all(bodies)

    rig.rclone.kill()
    rig.check_all(bodies)
    bodies |= rig.put_all("without-rclone", seed=2)
    rig.check_all(bodies)

    rig.rclone.start()
    rig.penstock.served.kill_tree()
    # The one that is back was left alone until now: reads find it all the same, at once.
    rig.check_all(bodies, within_s=BACK_READ_MAX_S)
    bodies |= rig.put_all("without-penstock", seed=3)
    rig.check_all(bodies)

    rig.penstock.served.start()
    rig.rclone.freeze()
    rig.check_all(bodies, within_s=BACK_READ_MAX_S)
    bodies |= rig.put_all("rclone-frozen", seed=4)
    rig.rclone.thaw()
    rig.check_all(bodies)

    for key in list(bodies)[::2]:
        rig.s3.delete_object(Bucket="photos", Key=key)
        del bodies[key]
    rig.check_all(bodies)
    assert rig.main.fsck()["findings"] == []


def run_adminctl(served: Served, *words: str) -> str:
    """What a command says on its standard output, once it has ended well."""
    known = served.credentials
    done = subprocess.run(
        [ADMINCTL, "--address", known.control_address, *words],
        env={**os.environ, "PENSTOCK_TOKEN": known.admin_token},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects_in(store: RcloneStore) -> list[Path]:
    return [each for each in (store.folder / "data" / BUCKET / "main").rglob("*") if each.is_file()]


@pytest.mark.timeout(200)
def test_a_store_is_emptied_and_given_up_and_its_secret_never_shown(rig: Rig) -> None:
    bodies = rig.put_all("moved", seed=5)
    config = rig.main.config.read_text()
    without = "".join(line for line in config.splitlines(True) if "name: foreign" not in line)

    run_adminctl(rig.main, "backend", "drain", "foreign")
    rig.check_all(bodies)
    run_adminctl(rig.main, "backend", "remove", "foreign", "--purge", "--yes")
    rig.main.config.write_text(without)
    shown = run_adminctl(rig.main, "config", "reload", "-o", "json")

    assert objects_in(rig.rclone) == []
    assert str(rig.rclone.place.access_key_id) in shown
    assert str(rig.rclone.place.secret_access_key) not in shown
    rig.check_all(bodies)
    log = rig.main.log.read_text()
    for place in (rig.rclone.place, rig.penstock.place):
        assert str(place.secret_access_key) not in log
