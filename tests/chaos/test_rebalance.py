"""Backends are evened out under load, though every control plane is killed in the middle: no client notices."""

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.chaos.steady_load import adminctl, asked, eventually, is_controlled, problems_of, steady_load
from tests.support.engines import ENGINES
from tests.support.instances import Instance, InstanceWish, SharedDatabase, running_instances
from tests.support.postgres import shared_server
from tests.support.served import kill

SEED = int(os.environ.get("PENSTOCK_CHAOS_SEED", "1"))
BUCKET = "steady"
FILLED = "filled"
OBJECT_COUNT = 60
OBJECT_BYTES = 400_000


def with_quotas(text: str) -> str:
    changed, count = re.subn(r'(?m)^(    path: "\./data/volumes/v\d")$', r"\1\n    quota_bytes: 400MiB", text)
    assert count == 3, text
    return changed


@pytest.fixture(params=ENGINES)
def instances(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Instance]]:
    """One instance over SQLite, two over PostgreSQL."""
    if request.param == "sqlite":
        wishes = [InstanceWish()]
        with running_instances(tmp_path, database=None, wishes=wishes, volumes=3, edit=with_quotas) as made:
            yield made
        return
    name = shared_server().create_empty_database()
    database = SharedDatabase(server=shared_server(), name=name)
    with running_instances(tmp_path, database=database, volumes=3, edit=with_quotas) as made:
        yield made
    shared_server().drop_database(name)


def has_moved(instance: Instance, name: str) -> bool:
    seen = asked(instance, "operation", "get", name)["operation"]
    assert not seen["done"], seen
    return int(seen["progress"]["done_count"]) > 0


def has_ended(instance: Instance, name: str) -> bool:
    """Not while its control plane is away."""
    if adminctl(instance, "operation", "get", name).returncode != 0:
        return False
    return bool(asked(instance, "operation", "get", name)["operation"]["done"])


@pytest.mark.timeout(300)
def test_backends_are_evened_out_under_load_though_the_control_planes_are_killed(
    instances: list[Instance],
) -> None:
    first, last = instances[0], instances[-1]
    for each in instances:
        eventually(partial(is_controlled, each), "the control plane answers")
    asked(first, "backend", "update", "v3", "--read-only")
    filler = first.client()
    filler.create_bucket(Bucket=FILLED)
    filled = {f"{n:03}": os.urandom(OBJECT_BYTES) for n in range(OBJECT_COUNT)}
    for key, body in filled.items():
        filler.put_object(Bucket=FILLED, Key=key, Body=body)
    asked(first, "backend", "update", "v3", "--no-read-only")
    before = asked(first, "rebalance", "status")

    # What is written goes to the emptiest, so it begins before there is load.
    run = ("rebalance", "run", "--threshold", "0.5", "--rate", "1MiB", "--detach")
    begun = asked(first, *run)["operation"]["name"]
    eventually(partial(has_moved, first, begun), "the first pieces move")
    # Nobody cleans up while the control planes are away: at full speed the load would fill the quotas.
    with steady_load(instances, BUCKET, seed=SEED, pause_s=0.1) as clients:
        for each in instances:
            for pid, command in each.processes().items():
                if "-m controlplane" in command:
                    kill(pid)
        eventually(partial(has_ended, last, begun), "the rebalancing ends", timeout_s=200)

    assert problems_of(clients) == []
    ended = asked(last, "operation", "get", begun)["operation"]
    assert ended["state"] == "OPERATION_STATE_SUCCEEDED", ended
    assert asked(last, "rebalance", "status")["imbalance"] < before["imbalance"]
    for key, body in filled.items():
        assert filler.get_object(Bucket=FILLED, Key=key)["Body"].read() == body
    report = first.fsck()
    assert report["is_clean"], report["findings"]
