"""All processes of an instance start at once, and any of them may be killed at any point: there is one deployment."""

import json
import signal

import pytest

from engine.metadata import generations, keys
from engine.metadata.backends import list_backends
from engine.metadata.processes import find_instance
from engine.metadata.workers import list_workers
from tests.integration.engine.deployment.conftest import Open, Site
from tests.integration.engine.deployment.starts import Starter

PROCESS_COUNT = 4

STEPS = (
    "engine.metadata.sqlite.store.SqliteStore.__init__",
    "engine.metadata.sqlite.migrating.migrate",
    "engine.sealing.keyring.new_ring_key",
    "engine.metadata.keys.insert_key",
    "engine.metadata.generations.commit_generation",
    "engine.deployment.rows.apply_live",
    "engine.backends.volume.identity.init_identity",
    "engine.backends.volume.identity._create",
    "engine.metadata.backends.mark_registered",
    "engine.deployment.registering.Registrar.register",
    "engine.metadata.processes.register",
    "engine.deployment.use_cases.build_use_cases",
    "engine.metadata.processes.stop",
)


def test_processes_that_race_for_the_first_start_make_one_deployment(site: Site, starter: Starter) -> None:
    told = [start.opened for start in starter.start(site.config, count=PROCESS_COUNT)]

    assert len({(each["deployment"], each["generation"], each["key"]) for each in told}) == 1
    assert len({each["process"] for each in told}) == PROCESS_COUNT
    assert all(each["backends"] == ["v1", "v2"] and not each["failed"] for each in told)
    store = site.store()
    try:
        assert len(store.read(keys.list_keys)) == 1
        newest = store.read(generations.current)
        rows = store.read(list_backends)
    finally:
        store.close()
    assert newest is not None
    assert newest.generation == 1
    for row in rows:
        identity = json.loads((site.volume(row.name) / "penstock-backend.json").read_text())
        assert (identity["deployment_id"], identity["backend_id"]) == (
            told[0]["deployment"],
            row.identity_id.hex(),
        )
        assert [path.name for path in site.volume(row.name).iterdir()] == ["penstock-backend.json"]


def test_processes_that_race_over_a_changed_file_make_one_generation(
    site: Site, opened: Open, starter: Starter
) -> None:
    opened().close()
    site.edit("quota_bytes: 1MiB", "quota_bytes: 2MiB")
    site.edit("volumes/v2}", "volumes/v2}\n  - {name: v3, kind: volume, path: volumes/v3}")

    told = [start.opened for start in starter.start(site.config, count=PROCESS_COUNT)]

    assert [each["generation"] for each in told] == [2] * PROCESS_COUNT
    assert all(each["backends"] == ["v1", "v2", "v3"] and not each["failed"] for each in told)


@pytest.mark.parametrize("step", [f"{when} {step}" for step in STEPS for when in ("before", "after")])
def test_a_start_that_was_killed_is_completed_by_the_next_one(
    site: Site, opened: Open, starter: Starter, step: str
) -> None:
    assert starter.start_until(site.config, step).status == -signal.SIGKILL

    deployment = opened()

    assert deployment.generation == 1
    assert all(row.is_registered for row in deployment.store.read(list_backends))
    assert not any(deployment.health.problem_of(each.backend_id) for each in deployment.backends)
    assert len(deployment.store.read(keys.list_keys)) == 1
    assert deployment.find_identity("AKIAALICE") is not None
    row = deployment.store.read(lambda tx: find_instance(tx, deployment.instance_id))
    assert row is not None
    assert row.is_alive


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "function",
    [
        "engine.metadata.generations.commit_generation",
        "engine.deployment.rows.apply_identities",
        "engine.deployment.rows.apply_live",
        "engine.deployment.rows.kept_buckets",
    ],
)
def test_a_change_that_was_killed_is_made_whole_by_the_next_start(
    site: Site, opened: Open, starter: Starter, when: str, function: str
) -> None:
    opened().close()
    site.edit("role: superuser", "role: reader")
    site.edit("interval: 5s", "interval: 7s")
    assert starter.start_until(site.config, f"{when} {function}").status == -signal.SIGKILL

    deployment = opened()

    alice = deployment.find_identity("AKIAALICE")
    assert alice is not None
    assert (deployment.generation, alice.role) == (2, "reader")
    assert [row.standing.interval_s for row in deployment.store.read(list_workers)] == [7.0]
