"""What a new operator does with `adminctl` alone, while clients go on: a store is added, another emptied and removed.

The drain is cancelled half-way, begun again, and every control plane killed in the middle of it.
"""

import os
import subprocess
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.steady_load import (
    adminctl,
    asked,
    environ_of,
    eventually,
    is_controlled,
    problems_of,
    steady_load,
)
from tests.support.engines import ENGINES
from tests.support.instances import Instance, InstanceWish, SharedDatabase, running_instances
from tests.support.postgres import shared_server
from tests.support.served import ADMINCTL, kill

SEED = int(os.environ.get("PENSTOCK_CHAOS_SEED", "1"))
BUCKET = "operated"
FILLED = "filled"
OBJECT_COUNT = 110 if "PENSTOCK_CHAOS_KILLS" in os.environ else 30
OBJECT_BYTES = 400_000
EMPTIED = "v1"
SETTINGS = """\
debug: {allowed: true}
"""
GRACE = "\nstorage:\n  read_grace: 3s\n"


@pytest.fixture(params=ENGINES)
def instances(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Instance]]:
    """One instance over SQLite, two over PostgreSQL; each of two processes of the data plane."""
    if request.param == "sqlite":
        with running_instances(
            tmp_path, database=None, wishes=[InstanceWish()], settings=SETTINGS, edit=without_grace
        ) as made:
            yield made
        return
    name = shared_server().create_empty_database()
    database = SharedDatabase(server=shared_server(), name=name)
    with running_instances(tmp_path, database=database, settings=SETTINGS, edit=without_grace) as made:
        yield made
    shared_server().drop_database(name)


def without_grace(text: str) -> str:
    assert text.count("\nstorage:\n") == 1
    return text.replace("\nstorage:\n", GRACE)


def edit(instances: Sequence[Instance], old: str, new: str) -> None:
    for each in instances:
        text = each.config.read_text()
        assert text.count(old) == 1, (old, text)
        each.config.write_text(text.replace(old, new))


def put_in_force(instances: Sequence[Instance]) -> None:
    """Reload, and see that every process of every instance took it."""
    told = asked(instances[0], "config", "reload")
    assert len(told["processes"]) == 3 * len(instances), told
    for row in asked(instances[-1], "instance", "list")["instances"]:
        running = {int(each["config_generation"]) for each in row["processes"] if each["alive"]}
        assert running == {int(told["generation"])}, row


def backend(instance: Instance, name: str) -> Any:
    return asked(instance, "backend", "get", name)["backend"]


def operation(instance: Instance, name: str) -> Any:
    """As any instance whose control plane answers sees it; null while this one's does not."""
    done = adminctl(instance, "-o", "json", "operation", "get", name)
    return asked(instance, "operation", "get", name)["operation"] if done.returncode == 0 else None


def moves(instance: Instance, name: str) -> bool:
    seen = operation(instance, name)
    assert seen is None or not seen["done"], seen
    return seen is not None and int(seen["progress"].get("done_count", 0)) > 0


def control_planes(instances: Sequence[Instance]) -> list[int]:
    return [
        pid for each in instances for pid, command in each.processes().items() if "-m controlplane" in command
    ]


@pytest.mark.timeout(600)
def test_an_operator_adds_a_store_and_empties_another_under_load(instances: list[Instance]) -> None:
    first = instances[0]
    for each in instances:
        eventually(partial(is_controlled, each), "the control plane answers")
    filler = first.client()
    filler.create_bucket(Bucket=FILLED)
    filled = {f"{n:03}": os.urandom(OBJECT_BYTES) for n in range(OBJECT_COUNT)}
    for key, body in filled.items():
        filler.put_object(Bucket=FILLED, Key=key, Body=body)

    with steady_load(instances, BUCKET, seed=SEED) as clients:
        folder = first.data / "volumes" / "added"
        edit(instances, "\nrouting:", f'  - name: added\n    kind: volume\n    path: "{folder}"\n\nrouting:')
        put_in_force(instances)
        assert backend(instances[-1], "added")["state"] == "BACKEND_STATE_ACTIVE"

        begun = asked(first, "backend", "drain", EMPTIED, "--rate", "1MiB", "--detach")["operation"]["name"]
        eventually(partial(moves, instances[-1], begun), "the drain moves pieces")
        cancelled = asked(instances[-1], "operation", "cancel", begun)["operation"]
        assert cancelled["state"] == "OPERATION_STATE_CANCELLED"
        half_way = backend(first, EMPTIED)
        assert half_way["state"] == "BACKEND_STATE_ACTIVE"
        assert int(half_way["capacity"]["piece_count"]) > 0

        with subprocess.Popen(
            [ADMINCTL, "-o", "json", "backend", "drain", EMPTIED, "--rate", "1MiB"],
            env=environ_of(first),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as following:
            eventually(lambda: backend(first, EMPTIED)["operation"] != "", "the drain has begun again")
            again = backend(first, EMPTIED)["operation"]
            assert again != begun
            eventually(partial(moves, first, again), "the drain moves pieces again")
            killed = control_planes(instances)
            assert len(killed) == len(instances)
            for pid in killed:
                kill(pid)
            told, said = following.communicate(timeout=240)
        assert following.returncode == 0, (told, said)
        assert "waiting for it to come back" in said
        assert backend(first, EMPTIED)["state"] == "BACKEND_STATE_DRAINED"
        assert backend(first, EMPTIED)["capacity"]["piece_count"] == "0"

        unsure = adminctl(first, "backend", "remove", EMPTIED)
        assert unsure.returncode == 2, unsure
        removed = asked(first, "backend", "remove", EMPTIED, "--purge", "--yes")["operation"]
        assert removed["state"] == "OPERATION_STATE_SUCCEEDED"
        assert list((first.data / "volumes" / EMPTIED).iterdir()) == []
        gone = backend(first, EMPTIED)
        # It is named by the file until that is edited.
        assert (gone["state"], gone["notice"] != "") == ("BACKEND_STATE_REMOVED", True)
        taken_out = f"  - name: {EMPTIED}\n"
        for each in instances:
            head, _, rest = each.config.read_text().partition(taken_out)
            lines = rest.splitlines(keepends=True)
            while lines and lines[0].startswith("    "):
                del lines[0]
            each.config.write_text(head + "".join(lines))
        put_in_force(instances)
        assert problems_of(clients) == []

    assert problems_of(clients) == []
    assert all(each.request_count > 20 for each in clients), [each.request_count for each in clients]
    for key, body in filled.items():
        assert filler.get_object(Bucket=FILLED, Key=key)["Body"].read() == body
    report = first.fsck()
    assert report["is_clean"], report["findings"]
