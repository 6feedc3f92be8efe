"""The first start makes a deployment once, whatever starts with it; later ones find it and change nothing."""

import json
import stat

import pytest

from engine.errors import StartRefused, WrongKey
from engine.metadata import generations, keys
from engine.metadata.backends import list_backends
from engine.metadata.buckets import find_bucket
from engine.metadata.deployments import read_deployment
from engine.metadata.processes import find_instance
from engine.metadata.workers import list_workers
from engine.names import BucketName, ObjectKey
from engine.objects.read import Span
from engine.objects.write import PutOrder
from engine.records import ObjectHeaders
from tests.integration.engine.deployment.conftest import ENVIRON, SECRET, TOKEN_SHA256, Open, Site
from tests.support.bodies import BytesBody, regions_of


def test_the_first_start_makes_everything_that_the_file_says(site: Site, opened: Open) -> None:
    deployment = opened()

    row = deployment.store.read(read_deployment)
    assert row is not None
    assert (row.deployment_id, row.node) == (deployment.deployment_id, "n1")
    assert deployment.generation == 1
    assert [(each.name, each.is_registered) for each in deployment.store.read(list_backends)] == [
        ("v1", True),
        ("v2", True),
    ]
    assert len(deployment.store.read(keys.list_keys)) == 1
    assert deployment.store.read(lambda tx: find_bucket(tx, "abc")).quota_bytes == 1024 * 1024
    (cleanup,) = deployment.store.read(list_workers)
    assert (cleanup.worker, cleanup.standing.interval_s, cleanup.standing.is_enabled) == (
        "cleanup",
        5.0,
        True,
    )
    admin = deployment.find_admin(bytes.fromhex(TOKEN_SHA256))
    assert admin is not None
    assert (admin.name, admin.role) == ("first", "admin")
    alice, bob = deployment.find_identity("AKIAALICE"), deployment.find_identity("AKIABOB")
    assert alice is not None
    assert bob is not None
    assert (alice.secret, alice.role, alice.account, alice.buckets) == (SECRET, "superuser", "main", None)
    assert (bob.secret, bob.role, bob.buckets) == (ENVIRON["BOB"], "writer", frozenset({"abc"}))
    assert deployment.find_identity("AKIANOBODY") is None


def test_objects_can_be_written_and_read_at_once(opened: Open) -> None:
    deployment = opened()
    alice = deployment.find_identity("AKIAALICE")
    assert alice is not None
    order = PutOrder(
        bucket=BucketName("abc"), key=ObjectKey(b"k"), account_id=alice.account_id, headers=ObjectHeaders()
    )

    deployment.use.writer.put(order, BytesBody(b"hello"))

    stored = deployment.use.reader.find(BucketName("abc"), ObjectKey(b"k"))
    assert b"".join(regions_of(deployment.use.reader.open(stored, Span(start=0, stop=5)))) == b"hello"


def test_a_second_start_changes_nothing(site: Site, opened: Open) -> None:
    first = opened()
    first.close()
    identity = (site.volume("v1") / "penstock-backend.json").read_bytes()

    second = opened()

    assert (second.deployment_id, second.generation) == (first.deployment_id, 1)
    assert len(second.store.read(keys.list_keys)) == 1
    assert (site.volume("v1") / "penstock-backend.json").read_bytes() == identity
    assert second.settings.live == first.settings.live


def test_folders_and_files_are_for_their_owner_only(site: Site, opened: Open) -> None:
    opened()

    assert stat.S_IMODE((site.folder / "state").stat().st_mode) == 0o700
    for path in site.folder.glob("metadata.sqlite*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_no_secret_stands_in_the_database(site: Site, opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    deployment = opened()
    deployment.find_identity("AKIABOB")
    repr(deployment.find_identity("AKIAALICE"))
    while_open = site.database_bytes()
    deployment.close()

    for secret in (SECRET, ENVIRON["BOB"]):
        assert secret.encode() not in while_open
        assert secret.encode() not in site.database_bytes()
        assert secret not in caplog.text
        assert all(secret not in str(record.__dict__) for record in caplog.records)
    assert b"AKIAALICE" in site.database_bytes()


def test_the_document_keeps_references_and_seals_literal_secrets(site: Site, opened: Open) -> None:
    generation = opened().store.read(generations.current)

    assert generation is not None
    document = json.loads(generation.document)
    assert document["identities"][1]["secret_access_key"] == "${BOB}"
    assert set(document["identities"][0]["secret_access_key"]) == {"sealed"}


def test_a_wrong_master_key_refuses_and_changes_nothing(site: Site, opened: Open) -> None:
    opened().close()
    before = site.database.read_bytes()
    site.write_key(bytes(range(1, 33)))

    with pytest.raises(WrongKey):
        opened()

    assert site.database.read_bytes() == before


def test_another_node_name_refuses_and_names_both(site: Site, opened: Open) -> None:
    opened().close()
    site.edit("name: n1", "name: n2")

    with pytest.raises(StartRefused, match=r"'n2'.*'n1'"):
        opened()


def test_a_folder_with_somebody_elses_files_refuses_before_anything_is_made(site: Site, opened: Open) -> None:
    site.volume("v2").mkdir(parents=True)
    (site.volume("v2") / "holiday.jpg").touch()

    with pytest.raises(StartRefused, match=r"'v2' cannot be registered: .*'holiday.jpg'.* empty folder"):
        opened()

    store = site.store()
    try:
        assert store.read(generations.current) is None
    finally:
        store.close()
    assert not site.volume("v1").exists()


def test_volumes_whose_database_is_gone_are_not_taken_over(site: Site, opened: Open) -> None:
    opened().close()
    for path in site.folder.glob("metadata.sqlite*"):
        path.unlink()

    with pytest.raises(StartRefused, match="database was lost, put that back"):
        opened()


def test_processes_of_one_instance_find_each_other(opened: Open) -> None:
    instance = "0193e5f0c0de7000800000000000abcd"
    environ = {**ENVIRON, "PENSTOCK_INSTANCE_ID": instance}

    first = opened(environ)
    second = opened(environ, plane="controlplane")

    row = first.store.read(lambda tx: find_instance(tx, bytes.fromhex(instance)))
    assert row is not None
    assert {each.process_id for each in row.processes} == {first.process_id, second.process_id}
    assert {each.plane for each in row.processes} == {"dataplane", "controlplane"}


def test_a_stopped_process_is_told_apart_from_a_dead_one(opened: Open) -> None:
    staying, leaving = opened(), opened()

    leaving.close()

    row = staying.store.read(lambda tx: find_instance(tx, leaving.instance_id))
    assert row is not None
    assert not row.is_alive
    leaving.close()


def test_a_malformed_instance_id_is_refused(opened: Open) -> None:
    with pytest.raises(StartRefused, match="PENSTOCK_INSTANCE_ID"):
        opened({**ENVIRON, "PENSTOCK_INSTANCE_ID": "seven"})
