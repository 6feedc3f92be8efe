"""A start whose file says something else is a reload: one more generation, and rows that say what the file says."""

import json
from pathlib import Path

import pytest

from engine.errors import InvalidConfig, StartRefused
from engine.metadata import generations
from engine.metadata.accounts import ensure_account
from engine.metadata.backends import list_backends
from engine.metadata.buckets import create_bucket, find_bucket
from engine.metadata.store import Tx
from engine.metadata.workers import list_workers
from engine.names import BucketName, ObjectKey
from engine.objects.write import PutOrder
from engine.records import BackendState, ObjectHeaders, Origin
from tests.integration.engine.deployment.conftest import CONFIG, ENVIRON, SECRET, TOKEN_SHA256, Open, Site
from tests.support.bodies import BytesBody

BOB = next(line for line in CONFIG.splitlines() if "name: bob" in line) + "\n"
V2 = next(line for line in CONFIG.splitlines() if "name: v2" in line) + "\n"
OTHER_TOKEN = "cd" * 32


def test_what_the_file_names_no_more_is_disabled_or_kept(
    site: Site, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    opened().close()
    site.edit(BOB, "")
    site.edit("first, role", "second, role")
    site.edit(TOKEN_SHA256, OTHER_TOKEN)
    site.edit("- {name: abc, account: main, quota_bytes: 1MiB}", "- {name: xyz, account: main}")

    deployment = opened({})

    assert deployment.generation == 2
    assert deployment.find_identity("AKIABOB") is None
    assert deployment.find_identity("AKIAALICE") is not None
    assert deployment.find_admin(bytes.fromhex(TOKEN_SHA256)) is None
    assert deployment.find_admin(bytes.fromhex(OTHER_TOKEN)) is not None
    assert deployment.store.read(lambda tx: find_bucket(tx, "abc")).quota_bytes == 1024 * 1024
    assert deployment.store.read(lambda tx: find_bucket(tx, "xyz")).origin is Origin.CONFIG
    (kept,) = [each for each in caplog.records if each.message == "deployment.bucket_kept"]
    assert kept.__dict__["bucket"] == "abc"


def test_what_the_file_changes_is_changed(site: Site, opened: Open) -> None:
    opened().close()
    site.edit(SECRET, "another-secret-9876543210")
    site.edit("quota_bytes: 1MiB", "quota_bytes: 2MiB")
    site.edit("interval: 5s", "enabled: false")
    site.edit("role: writer, buckets: [abc]", "role: reader")

    deployment = opened()

    alice, bob = deployment.find_identity("AKIAALICE"), deployment.find_identity("AKIABOB")
    assert alice is not None
    assert bob is not None
    assert alice.secret == "another-secret-9876543210"
    assert (bob.role, bob.buckets) == ("reader", None)
    assert deployment.store.read(lambda tx: find_bucket(tx, "abc")).quota_bytes == 2 * 1024 * 1024
    (cleanup,) = deployment.store.read(list_workers)
    assert (cleanup.standing.is_enabled, cleanup.standing.interval_s) == (False, 5.0)
    assert deployment.settings.live.workers.cleanup.enabled is False


def test_a_token_changed_under_its_name_ends_the_old_one(site: Site, opened: Open) -> None:
    opened().close()
    site.edit(TOKEN_SHA256, OTHER_TOKEN)

    deployment = opened()

    assert deployment.find_admin(bytes.fromhex(TOKEN_SHA256)) is None
    assert deployment.find_admin(bytes.fromhex(OTHER_TOKEN)) is not None


def test_tokens_may_trade_their_names(site: Site, opened: Open) -> None:
    line = f'  - {{name: first, role: admin, sha256: "{TOKEN_SHA256}"}}\n'
    more = f'  - {{name: second, role: viewer, sha256: "{OTHER_TOKEN}"}}\n'
    site.edit(line, line + more)
    opened().close()
    site.edit("first, role: admin", "spare, role: admin")
    site.edit("second, role: viewer", "first, role: viewer")
    site.edit("spare, role: admin", "second, role: admin")

    deployment = opened()

    first = deployment.find_admin(bytes.fromhex(TOKEN_SHA256))
    second = deployment.find_admin(bytes.fromhex(OTHER_TOKEN))
    assert first is not None
    assert second is not None
    assert (first.name, first.role) == ("second", "admin")
    assert (second.name, second.role) == ("first", "viewer")


def test_an_identity_that_returns_is_in_force_again(site: Site, opened: Open) -> None:
    opened().close()
    site.edit(BOB, "")
    opened().close()
    site.config.write_text(CONFIG)

    deployment = opened()

    assert deployment.generation == 3
    assert deployment.find_identity("AKIABOB") is not None


def test_a_comment_makes_no_generation(site: Site, opened: Open) -> None:
    opened().close()
    site.config.write_text(CONFIG + "# nothing new\n")

    assert opened().generation == 1


def test_a_reference_in_place_of_its_value_is_a_change(site: Site, opened: Open) -> None:
    opened().close()
    site.edit(f"secret_access_key: {SECRET}", 'secret_access_key: "${ALICE}"')

    deployment = opened({**ENVIRON, "ALICE": SECRET})

    assert deployment.generation == 2
    newest = deployment.store.read(generations.current)
    assert newest is not None
    assert json.loads(newest.document)["identities"][0]["secret_access_key"] == "${ALICE}"


def test_a_reference_that_means_something_else_now_counts_without_a_generation(
    site: Site, opened: Open
) -> None:
    opened().close()

    deployment = opened({"BOB": "a-new-secret-0123456789"})

    bob = deployment.find_identity("AKIABOB")
    assert bob is not None
    assert (deployment.generation, bob.secret) == (1, "a-new-secret-0123456789")


def test_an_invalid_file_refuses_with_its_line_and_changes_nothing(site: Site, opened: Open) -> None:
    opened().close()
    before = site.database.read_bytes()
    site.edit("role: superuser", "role: emperor")

    with pytest.raises(InvalidConfig) as refused:
        opened()

    (problem,) = refused.value.problems
    assert (problem.line, problem.path) == (8, "identities[0].role")
    assert site.database.read_bytes() == before


def test_a_backend_that_holds_pieces_cannot_go(site: Site, opened: Open) -> None:
    deployment = opened()
    alice = deployment.find_identity("AKIAALICE")
    assert alice is not None
    for number in range(2):
        order = PutOrder(
            bucket=BucketName("abc"),
            key=ObjectKey(b"k%d" % number),
            account_id=alice.account_id,
            headers=ObjectHeaders(),
        )
        deployment.use.writer.put(order, BytesBody(b"x" * 1000))
    holding = {each.name for each in deployment.backends if list((site.volume(each.name)).glob("*.volume"))}
    deployment.close()
    gone = sorted(holding)[0]
    site.edit(f"  - {{name: {gone}, kind: volume, path: volumes/{gone}}}\n", "")

    with pytest.raises(InvalidConfig, match=f"'{gone}' holds pieces"):
        opened()

    store = site.store()
    try:
        newest = store.read(generations.current)
    finally:
        store.close()
    assert newest is not None
    assert newest.generation == 1


def test_an_empty_backend_goes_and_may_return(site: Site, opened: Open) -> None:
    opened().close()
    site.edit(V2, "")
    without = opened()
    states = {str(row.name): row.state for row in without.store.read(list_backends)}
    assert [each.name for each in without.backends] == ["v1"]
    assert (states["v1"], states["v2"]) == (BackendState.ACTIVE, BackendState.REMOVED)
    without.close()
    site.config.write_text(CONFIG)

    deployment = opened()

    states = {str(row.name): row.state for row in deployment.store.read(list_backends)}
    assert states["v2"] is BackendState.ACTIVE
    assert not any(deployment.health.problem_of(each.backend_id) for each in deployment.backends)


def test_a_new_backend_in_a_used_folder_refuses_and_the_old_generation_stays(
    site: Site, opened: Open
) -> None:
    opened().close()
    site.volume("v3").mkdir()
    (site.volume("v3") / "holiday.jpg").touch()
    site.edit(V2, V2 + V2.replace("v2", "v3"))

    with pytest.raises(StartRefused, match=r"'v3' cannot be registered: .*'holiday.jpg'"):
        opened()

    site.config.write_text(CONFIG)
    assert opened().generation == 1


def test_a_bucket_that_a_client_made_is_not_taken_over(site: Site, opened: Open) -> None:
    deployment = opened()

    def unit(tx: Tx) -> None:
        account_id = ensure_account(tx, "main", Origin.CONFIG)
        create_bucket(tx, name=BucketName("photos"), account_id=account_id, origin=Origin.API)

    deployment.store.write(unit)
    deployment.close()
    site.edit("buckets:\n  - {", "buckets:\n  - {name: photos, account: main}\n  - {")

    with pytest.raises(InvalidConfig, match="'photos' was made by a client"):
        opened()


def test_a_folder_that_was_moved_with_its_configuration_serves_on(
    site: Site, opened: Open, tmp_path: Path
) -> None:
    opened().close()
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in list(tmp_path.iterdir()):
        if path != moved:
            path.rename(moved / path.name)
    site.config = moved / "penstock.yaml"

    deployment = opened()

    assert deployment.generation == 2
    assert not any(deployment.health.problem_of(each.backend_id) for each in deployment.backends)
