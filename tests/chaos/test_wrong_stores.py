"""An unmounted disk, a foreign bucket, a wrong database: nothing is initialised, nothing deleted, and it is told.

What is right again serves again by itself. Each is tried on one engine, with PENSTOCK_CHAOS_PLACES=1 on both.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.postgres import shared_server, with_database
from tests.support.s3_stores import BUCKET, RcloneStore
from tests.support.served import ADMINCTL, Served

IS_LONG = "PENSTOCK_CHAOS_PLACES" in os.environ
WAIT_S = 45.0
"""Each backend is looked at every ten seconds."""

BODIES = {f"key-{number}": bytes([number]) * (3000 + number) for number in range(6)}


@dataclass(slots=True, kw_only=True)
class Rig:
    """A deployment over two volumes and a prefix of a store, a copy on each of two."""

    main: Served
    store: RcloneStore
    engine: str

    @property
    def prefix(self) -> Path:
        return self.store.folder / "data" / BUCKET / "main"

    def volume(self, number: int) -> Path:
        return self.main.data / "volumes" / f"v{number}"

    def put_all(self) -> None:
        s3 = self.main.client()
        for key, body in BODIES.items():
            s3.put_object(Bucket="photos", Key=key, Body=body)

    def check_all(self) -> None:
        s3 = self.main.client()
        for key, body in BODIES.items():
            assert s3.get_object(Bucket="photos", Key=key)["Body"].read() == body

    def ask(self, *words: str, statuses: tuple[int, ...] = (0,)) -> str:
        """What `adminctl` says; the control plane may still be on its way."""
        known, deadline_s = self.main.credentials, time.monotonic() + WAIT_S
        while True:
            done = subprocess.run(
                [ADMINCTL, "--address", known.control_address, *words],
                env={**os.environ, "PENSTOCK_TOKEN": known.admin_token},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            if done.returncode in statuses:
                return done.stdout
            assert time.monotonic() < deadline_s, done.stderr
            time.sleep(0.3)

    def backend(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ask("-o", "json", "backend", "get", name))["backend"]
        return found

    def wait_for_problem(self, name: str, text: str) -> None:
        """Until every process has seen it: each looks by itself."""
        wait_until(lambda: text in self.backend(name).get("problem", ""), f"{text!r} of {name}")
        told = ("backend.problem", "backend.failed")
        wait_until(
            lambda: self.events(name, *told, text=text) >= self.openers(), f"{text!r} of {name} by all"
        )

    def wait_for_none(self, name: str) -> None:
        wait_until(lambda: self.events(name, "backend.recovered") >= self.openers(), f"{name} back for all")
        wait_until(lambda: not self.backend(name).get("problem"), f"{name} without a problem")

    def openers(self) -> set[int]:
        """Processes that have the deployment open; the parent of the data plane has not."""
        planes = {pid: command for pid, command in self.main.processes().items() if "plane" in command}
        return {pid for pid in planes if not _children(pid) & planes.keys()}

    def events(self, name: str, *events: str, text: str = "") -> set[int]:
        """Processes that logged such an event of a backend."""
        lines = [line for line in self.main.log.read_text().splitlines() if line.startswith("{")]
        told = [each for each in map(json.loads, lines) if each.get("backend") == name]
        return {each["pid"] for each in told if each["event"] in events and text in each.get("problem", "")}

    def check_told(self, name: str, text: str) -> None:
        """By the list, and by the doctor with what to do; the log was seen to say it."""
        assert text in self.ask("-o", "json", "backend", "list")
        told = json.loads(self.ask("-o", "json", "doctor", statuses=(3,)))["findings"]
        (finding,) = [each for each in told if each["check"] == f"backends/{name}"]
        assert finding["status"] == "failed"
        assert text in finding["message"]
        assert f"adminctl backend get {name}" in finding["remedy"]


def _children(pid: int) -> set[int]:
    try:
        return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:
        return set()


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline_s, f"never: {what}"
        time.sleep(0.3)


def everything_in(folder: Path) -> dict[str, bytes]:
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in sorted(folder.rglob("*"))
        if each.is_file()
    }


@pytest.fixture
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with RcloneStore(tmp_path / "rclone") as store:

        def edited(text: str) -> str:
            place = store.place
            far = (
                f"backends:\n  - {{name: far, kind: s3, endpoint: '{place.endpoint}', bucket: {place.bucket}, "
                f"prefix: main, access_key_id: {place.access_key_id}, "
                f"secret_access_key: '{place.secret_access_key}'}}\n"
            )
            text = text.replace("backends:\n", far)
            text = text.replace("default_scheme: copies(2)", "default_scheme: copies(2)\n  read_grace: 1s")
            text += "workers: {cleanup: {interval: 1s}}\ndebug: {allowed: true}\n"
            if request.param == "postgres":
                text = with_database(text, shared_server(), shared_server().create_empty_database())
            return text

        main = Served(tmp_path / "main", volumes=2, copies=2, edit_config=edited)
        with main:
            made = Rig(main=main, store=store, engine=request.param)
            main.client().create_bucket(Bucket="photos")
            made.put_all()
            yield made


@pytest.mark.timeout(240)
@pytest.mark.parametrize("rig", ["sqlite", "postgres"][: 1 + IS_LONG], indirect=True)
def test_what_is_not_the_right_place_is_left_alone_until_it_is(rig: Rig) -> None:
    folder, prefix = rig.volume(1), rig.prefix
    name = folder.name
    disk, bucket = folder.with_name("unmounted"), prefix.with_name("elsewhere")
    s3 = rig.main.client()

    folder.rename(disk)
    folder.mkdir()
    rig.wait_for_problem(name, "is the disk mounted?")
    rig.check_told(name, "is the disk mounted?")
    rig.check_all()
    s3.put_object(Bucket="photos", Key="meanwhile", Body=b"x" * 3000)
    s3.delete_object(Bucket="photos", Key="meanwhile")
    assert everything_in(folder) == {}
    folder.rmdir()
    disk.rename(folder)
    rig.wait_for_none(name)
    rig.check_all()

    # It remembers folders for minutes.
    rig.store.kill()
    prefix.rename(bucket)
    prefix.mkdir()
    (prefix / "penstock-backend.json").write_text(
        json.dumps({"format": 1, "deployment_id": "00" * 16, "backend_id": "11" * 16})
    )
    (prefix / "pieces").mkdir()
    (prefix / "pieces" / "theirs").write_bytes(b"theirs")
    theirs = everything_in(prefix)
    rig.store.start()
    rig.wait_for_problem("far", "it is another deployment's")
    rig.check_told("far", "it is another deployment's")
    assert everything_in(prefix) == theirs
    rig.check_all()
    for number in range(3):
        s3.put_object(Bucket="photos", Key=f"meanwhile-{number}", Body=b"x" * 3000)
        s3.delete_object(Bucket="photos", Key=f"meanwhile-{number}")
    # Cleanup has had its turns.
    rig.ask("worker", "trigger", "cleanup")
    assert everything_in(prefix) == theirs
    rig.store.kill()
    shutil.rmtree(prefix)
    bucket.rename(prefix)
    rig.store.start()
    rig.wait_for_none("far")
    rig.check_all()
    rig.main.stop()
    assert rig.main.fsck()["findings"] == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize("rig", ["postgres", "sqlite"][: 1 + IS_LONG], indirect=True)
def test_a_wrong_database_initialises_and_deletes_nothing(rig: Rig, tmp_path: Path) -> None:
    rig.main.stop()
    before = {str(each): everything_in(each) for each in (rig.volume(1), rig.volume(2), rig.prefix)}
    text = rig.main.config.read_text()

    # A fresh one: the deployment it would make finds its places taken.
    rig.main.config.write_text(_with_other_database(rig, text, tmp_path / "fresh"))
    done = subprocess.run(
        [Path(sys.executable).parent / "penstock", "serve", "--config", rig.main.config],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 78
    assert "put that back; nothing here was touched" in done.stderr + done.stdout
    assert before == {each: everything_in(Path(each)) for each in before}

    # Another deployment's, whose backends have the same names.
    _of_another_deployment(rig, text, tmp_path / "other")
    rig.main.start()
    for name in (rig.volume(1).name, rig.volume(2).name, "far"):
        rig.wait_for_problem(name, "another deployment's")
        rig.check_told(name, "the right metadata database?")
    with pytest.raises(ClientError, match="SlowDown"):
        rig.main.client().get_object(Bucket="photos", Key="key-1")
    with pytest.raises(ClientError, match="SlowDown"):
        rig.main.client().put_object(Bucket="photos", Key="key-2", Body=b"x" * 3000)
    rig.ask("worker", "trigger", "cleanup")
    rig.main.stop()
    assert before == {each: everything_in(Path(each)) for each in before}

    rig.main.config.write_text(text)
    rig.main.start()
    rig.check_all()


def _with_other_database(rig: Rig, text: str, folder: Path) -> str:
    if rig.engine == "postgres":
        return with_database(text, shared_server(), shared_server().create_empty_database())
    folder.mkdir(exist_ok=True)
    section = f"database:\n  path: {folder / 'metadata.sqlite'}\n\n"
    changed, count = re.subn(r"(?ms)^database:\n.*?^(?=keys:)", lambda _: section, text)
    assert count == 1
    return changed


def _of_another_deployment(rig: Rig, text: str, folder: Path) -> None:
    """The database of a deployment that was made over empty places, which then are those of the first one again."""
    rig.main.config.write_text(_with_other_database(rig, text, folder))
    places = (rig.volume(1), rig.volume(2), rig.prefix)
    rig.store.kill()
    for each in places:
        each.rename(each.with_name(f"{each.name}.aside"))
    rig.store.start()
    rig.main.start()
    s3 = rig.main.client()
    s3.create_bucket(Bucket="photos")
    for number in range(6):
        s3.put_object(Bucket="photos", Key=f"key-{number}", Body=b"of the other deployment" * 99)
        s3.delete_object(Bucket="photos", Key=f"key-{number}")
    s3.put_object(Bucket="photos", Key="key-1", Body=b"of the other deployment" * 99)
    rig.main.kill_tree()
    rig.store.kill()
    for each in places:
        shutil.rmtree(each)
        each.with_name(f"{each.name}.aside").rename(each)
    rig.store.start()
