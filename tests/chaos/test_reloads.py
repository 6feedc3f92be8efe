"""The configuration is reloaded again and again under load, with good, bad and half-written files, and with kills.

No request is lost, what is bad is refused with its lines and changes nothing, and in the end every process runs the
newest generation.
"""

import json
import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.chaos.steady_load import (
    adminctl,
    asked,
    eventually,
    is_controlled,
    problems_of,
    steady_load,
)
from tests.support.engines import ENGINES
from tests.support.instances import Instance, InstanceWish, SharedDatabase, running_instances
from tests.support.postgres import shared_server
from tests.support.served import kill

RELOAD_COUNT = int(os.environ.get("PENSTOCK_CHAOS_RELOADS", "16"))
KILL_COUNT = int(os.environ.get("PENSTOCK_CHAOS_KILLS", "1"))
SEED = int(os.environ.get("PENSTOCK_CHAOS_SEED", "1"))
BUCKET = "reloads"
EXTRA_VOLUME_COUNT = 3
SETTINGS = """\
admission: {writes: 512}
rate_limits: {per_address: 100000}
"""


class Files:
    """The configuration files of all instances, edited alike."""

    def __init__(self, instances: Sequence[Instance]) -> None:
        self._instances = instances
        self._good = [each.config.read_text() for each in instances]
        self._extra_count = 0
        self._numbers = iter(range(1, 10_000))

    def write_good(self, chance: random.Random) -> None:
        """One setting is another one, or a volume is added."""
        number = next(self._numbers)
        if self._extra_count < EXTRA_VOLUME_COUNT and chance.random() < 0.2:
            self._extra_count += 1
            name = f"extra{self._extra_count}"
            folder = self._instances[0].data / "volumes" / name
            self._edit("\nrouting:", f'  - name: {name}\n    kind: volume\n    path: "{folder}"\n\nrouting:')
            return
        old, new = chance.choice(
            [
                ("admission: {writes:", f"admission: {{writes: {500 + number}}} # "),
                ("rate_limits: {per_address:", f"rate_limits: {{per_address: {100_000 + number}}} # "),
                ("  default_scheme: copies(1)", f"  inline_buffer_bytes: {64 + number}KiB"),
                ("  inline_buffer_bytes:", "  default_scheme: copies(1) # "),
                ("routing: spread", "routing: pack"),
                ("routing: pack", "routing: spread"),
            ]
        )
        self._edit(old, new)

    def write_bad(self, chance: random.Random) -> None:
        bad = chance.choice(
            [
                ("role: superuser", "role: emperor"),
                ("kind: volume", "kind: [volume"),
                ("identities:", "surprise: 1\nidentities:"),
                ('path: "', "path: 5 # "),
                # Volumes that hold pieces are taken out.
                ("  - name: v1\n    kind: volume\n", "  - name: v0\n    kind: volume\n"),
            ]
        )
        for each, good in zip(self._instances, self._good, strict=True):
            each.config.write_text(good.replace(*bad, 1))

    def write_half(self, chance: random.Random) -> None:
        """As an editor that was interrupted leaves it: the end of some line is missing."""
        share = chance.random()
        for each, good in zip(self._instances, self._good, strict=True):
            each.config.write_text(good[: int(len(good) * share)].rstrip("\n"))

    def restore(self) -> None:
        for each, good in zip(self._instances, self._good, strict=True):
            each.config.write_text(good)

    def _edit(self, old: str, new: str) -> None:
        self._good = [text.replace(old, new, 1) for text in self._good]
        self.restore()


@pytest.fixture(params=ENGINES)
def instances(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Instance]]:
    """One instance over SQLite, two over PostgreSQL; each of two processes of the data plane."""
    if request.param == "sqlite":
        with running_instances(tmp_path, database=None, wishes=[InstanceWish()], settings=SETTINGS) as made:
            yield made
        return
    name = shared_server().create_empty_database()
    database = SharedDatabase(server=shared_server(), name=name)
    with running_instances(tmp_path, database=database, settings=SETTINGS) as made:
        yield made
    shared_server().drop_database(name)


def newest(instance: Instance) -> int:
    return int(asked(instance, "config", "get")["generation"])


@pytest.mark.timeout(120 + 10 * RELOAD_COUNT)
def test_no_request_is_lost_over_reloads_with_good_bad_and_half_written_files(
    instances: list[Instance],
) -> None:
    chance = random.Random(SEED)
    files = Files(instances)
    for each in instances:
        eventually(partial(is_controlled, each), "the control plane answers")
    generation = newest(instances[0])
    done = {"good": 0, "bad": 0, "half": 0}

    with steady_load(instances, BUCKET, seed=SEED) as clients:
        for index in range(RELOAD_COUNT):
            kind = ("good", "bad", "good", "half")[index % 4]
            getattr(files, f"write_{kind}")(chance)
            answer = adminctl(chance.choice(instances), "-o", "json", "config", "reload")
            if kind == "good":
                assert answer.returncode == 0, (index, answer.stdout, answer.stderr)
                told = json.loads(answer.stdout)
                assert len(told["processes"]) == 3 * len(instances), told
                assert int(told["generation"]) in (generation, generation + 1)
                generation = int(told["generation"])
            else:
                assert answer.returncode == 2, (index, kind, answer.stdout, answer.stderr)
                assert "line " in answer.stderr
                assert newest(instances[0]) == generation
                files.restore()
            done[kind] += 1
            assert not problems_of(clients), (index, kind, problems_of(clients))

    assert all(each.request_count > 50 for each in clients), [each.request_count for each in clients]
    assert done["good"] >= RELOAD_COUNT // 2
    assert generation > RELOAD_COUNT // 4
    assert len(list((instances[0].data / "volumes").iterdir())) == 2 + EXTRA_VOLUME_COUNT
    report = instances[0].fsck()
    assert report["is_clean"], report["findings"]


@pytest.mark.timeout(120 + 40 * KILL_COUNT)
def test_a_reload_that_is_killed_at_any_moment_counts_whole_or_not_at_all(instances: list[Instance]) -> None:
    chance = random.Random(SEED)
    files = Files(instances)
    for each in instances:
        eventually(partial(is_controlled, each), "the control plane answers")
    instances[0].client().create_bucket(Bucket=BUCKET)

    for round_ in range(KILL_COUNT):
        before = newest(instances[0])
        files.write_good(chance)
        asked = chance.choice(instances)
        reloading = threading.Thread(target=adminctl, args=(asked, "config", "reload", "--no-wait"))
        reloading.start()
        time.sleep(chance.uniform(0.1, 0.9))
        victims = [pid for pid in asked.processes() if pid != asked.pid]
        kill(chance.choice(victims))
        reloading.join()

        def settled() -> bool:
            told = adminctl(instances[0], "-o", "json", "config", "diff")
            if told.returncode != 0:
                return False
            watched = adminctl(instances[-1], "-o", "json", "config", "reload")
            return watched.returncode == 0

        for each in instances:
            eventually(partial(is_controlled, each), "the control plane is back")
        assert newest(instances[0]) in (before, before + 1), round_
        eventually(settled, "every process runs the newest generation")
        for each in instances:
            each.wait_ready()
            s3 = each.client(retries={"max_attempts": 5})
            s3.put_object(Bucket=BUCKET, Key=f"{round_}", Body=b"x" * 5000)
            assert s3.get_object(Bucket=BUCKET, Key=f"{round_}")["Body"].read() == b"x" * 5000

    report = instances[0].fsck()
    assert report["is_clean"], report["findings"]
