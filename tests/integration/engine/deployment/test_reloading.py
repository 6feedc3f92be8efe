"""A file becomes the next generation while the deployment serves, and what it may not become changes nothing."""

import threading

import pytest

from engine.clock import uuid7
from engine.deployment.opening import OpenDeployment, take_file_over
from engine.deployment.reloading import Reloading
from engine.errors import ConcurrentWrite, ConfigProblem, InvalidConfig, NoSuchResource
from engine.metadata import generations
from engine.metadata.backends import list_backends
from engine.metadata.buckets import find_bucket
from engine.metadata.generations import Generation
from engine.names import BucketName, ObjectKey
from engine.objects.write import PutOrder
from engine.records import BackendState, ObjectHeaders, Origin
from engine.settings.differences import Effect
from tests.integration.engine.deployment.conftest import CONFIG, ENVIRON, SECRET, Open, Site
from tests.support.bodies import BytesBody

V2 = next(line for line in CONFIG.splitlines() if "name: v2" in line) + "\n"
V3 = V2.replace("v2", "v3")
OTHER_SECRET = "another-secret-9876543210"


@pytest.fixture
def site(any_site: Site) -> Site:
    return any_site


@pytest.fixture
def deployment(site: Site, opened: Open) -> OpenDeployment:
    return opened()


@pytest.fixture
def reloading(deployment: OpenDeployment) -> Reloading:
    return made(deployment)


def made(deployment: OpenDeployment) -> Reloading:
    return Reloading(deployment.store, deployment.ring, deployment.settings, environ=ENVIRON, ids=uuid7)


def text_of(site: Site) -> str:
    return site.config.read_text()


def newest(deployment: OpenDeployment) -> Generation:
    found = deployment.store.read(generations.current)
    assert found is not None
    return found


def refused(call: object, **options: object) -> tuple[ConfigProblem, ...]:
    with pytest.raises(InvalidConfig) as caught:
        call(**options)  # type: ignore[operator]
    return caught.value.problems


def put(deployment: OpenDeployment, count: int) -> None:
    alice = deployment.find_identity("AKIAALICE")
    assert alice is not None
    for number in range(count):
        order = PutOrder(
            bucket=BucketName("abc"),
            key=ObjectKey(b"k%d" % number),
            account_id=alice.account_id,
            headers=ObjectHeaders(),
        )
        deployment.use.writer.put(order, BytesBody(b"x" * 1000))


def test_a_changed_file_becomes_the_next_generation(
    site: Site, deployment: OpenDeployment, reloading: Reloading
) -> None:
    site.edit("quota_bytes: 1MiB", "quota_bytes: 2MiB")
    site.edit(V2, V2 + V3)

    done = reloading.reload(author="alice")

    assert (done.generation, done.is_new) == (2, True)
    assert [(each.path, each.effect) for each in done.changes] == [
        ("backends[v3]", Effect.LIVE),
        ("buckets[abc].quota_bytes", Effect.LIVE),
    ]
    assert (done.changes[1].old, done.changes[1].new) == (1024 * 1024, 2 * 1024 * 1024)
    assert deployment.store.read(lambda tx: find_bucket(tx, "abc")).quota_bytes == 2 * 1024 * 1024
    found = newest(deployment)
    assert (found.author, found.origin) == ("alice", Origin.CONFIG)
    assert SECRET not in found.document


def test_a_file_that_says_nothing_new_makes_no_generation(
    site: Site, deployment: OpenDeployment, reloading: Reloading
) -> None:
    site.config.write_text(text_of(site) + "# nothing new\n")

    done = reloading.reload(author="alice")

    assert (done.generation, done.is_new, list(done.changes)) == (1, False, [])
    assert newest(deployment).generation == 1


def test_another_secret_is_a_change_that_does_not_show_itself(
    site: Site, deployment: OpenDeployment, reloading: Reloading
) -> None:
    site.edit(SECRET, OTHER_SECRET)

    done = reloading.reload(author="alice")

    (change,) = done.changes
    assert (change.path, change.old, change.new) == ("identities[alice].secret_access_key", "***", "***")
    alice = deployment.find_identity("AKIAALICE")
    assert alice is not None


def test_settings_of_the_node_are_told_and_count_later(
    site: Site, deployment: OpenDeployment, reloading: Reloading
) -> None:
    site.edit("backends:\n", "listen: {domains: [s3.example.org], s3: ':9999'}\nbackends:\n")

    done = reloading.reload(author="alice")

    assert (done.is_new, newest(deployment).generation) == (False, 1)
    assert [(each.path, each.effect) for each in done.changes] == [
        ("listen.domains", Effect.PROCESS_RESTART),
        ("listen.s3", Effect.NODE_RESTART),
    ]


def test_a_look_changes_nothing(site: Site, deployment: OpenDeployment, reloading: Reloading) -> None:
    site.edit(V2, V2 + V3)

    done = reloading.reload(author="alice", validate_only=True)

    assert (done.generation, done.is_new) == (1, False)
    assert [each.path for each in done.changes] == ["backends[v3]"]
    assert newest(deployment).generation == 1
    assert [row.name for row in deployment.store.read(list_backends)] == ["v1", "v2"]
    assert not site.volume("v3").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("role: superuser", "role: emperor", "expected reader or writer"),
        ("kind: volume, path: volumes/v2", "kind: volume, path: [", "not YAML"),
        ("workers: {cleanup", "surprise: 1\nworkers: {cleanup", "unknown key"),
        ('"${BOB}"', '"${NOBODY}"', "NOBODY is not set"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(
    site: Site, deployment: OpenDeployment, reloading: Reloading, old: str, new: str, message: str
) -> None:
    line = text_of(site)[: text_of(site).index(old)].count("\n") + 1
    site.edit(old, new)

    problems = refused(reloading.reload, author="alice")

    # What was opened and never closed is missed at the next line.
    assert line <= (problems[0].line or 0) <= line + 1
    assert message in problems[0].message
    assert newest(deployment).generation == 1


def test_a_file_that_was_written_half_is_refused_wherever_it_ends(
    site: Site, deployment: OpenDeployment, reloading: Reloading
) -> None:
    whole = text_of(site)
    for end in [*range(3, len(whole) - 1, 97), len(whole) - 1]:
        half = whole[:end].rstrip("\n")
        site.config.write_text(half)

        problems = refused(reloading.reload, author="alice")

        assert problems[0].line, half
    assert newest(deployment).generation == 1


def test_a_file_that_is_gone_is_refused(site: Site, deployment: OpenDeployment, reloading: Reloading) -> None:
    site.config.unlink()

    (problem,) = refused(reloading.reload, author="alice")

    assert "cannot be read" in problem.message
    assert newest(deployment).generation == 1


@pytest.mark.parametrize("validate_only", [False, True])
def test_a_backend_that_holds_pieces_cannot_be_taken_out(
    site: Site, deployment: OpenDeployment, reloading: Reloading, validate_only: bool
) -> None:
    put(deployment, 8)
    site.edit(V2, "")

    (problem,) = refused(reloading.reload, author="alice", validate_only=validate_only)

    assert "'v2' holds pieces" in problem.message
    assert problem.line == text_of(site)[: text_of(site).index("backends:")].count("\n") + 1
    assert newest(deployment).generation == 1


def test_every_contradiction_is_told_at_once(
    site: Site, deployment: OpenDeployment, reloading: Reloading
) -> None:
    put(deployment, 8)
    site.edit(V2, "")
    site.edit("name: abc, account: main", "name: abc, account: other")

    problems = refused(reloading.reload, author="alice")

    assert [each.path for each in problems] == ["backends", "buckets[0].account"]
    assert all(each.line for each in problems)


def test_a_folder_in_use_is_refused_with_the_line_of_its_path(
    site: Site, deployment: OpenDeployment, reloading: Reloading
) -> None:
    site.volume("v3").mkdir()
    (site.volume("v3") / "holiday.jpg").touch()
    site.edit(V2, V2 + V3)

    (problem,) = refused(reloading.reload, author="alice")

    assert problem.path == "backends[2].path"
    assert problem.line == text_of(site)[: text_of(site).index("name: v3")].count("\n") + 1
    assert "holiday.jpg" in problem.message
    assert newest(deployment).generation == 1


def test_another_name_for_the_node_is_refused(site: Site, reloading: Reloading) -> None:
    site.edit("name: n1", "name: n2")

    (problem,) = refused(reloading.reload, author="alice")

    assert (problem.path, problem.line) == ("node.name", 1)


def test_going_back_makes_a_generation_that_says_what_an_earlier_one_said(
    site: Site, opened: Open, deployment: OpenDeployment, reloading: Reloading
) -> None:
    site.edit("quota_bytes: 1MiB", "quota_bytes: 2MiB")
    site.edit(SECRET, OTHER_SECRET)
    reloading.reload(author="alice")

    done = reloading.roll_back(1, author="bob")

    assert (done.generation, done.is_new) == (3, True)
    assert [each.path for each in done.changes] == [
        "buckets[abc].quota_bytes",
        "identities[alice].secret_access_key",
    ]
    assert (newest(deployment).author, newest(deployment).origin) == ("bob", Origin.API)
    assert deployment.store.read(lambda tx: find_bucket(tx, "abc")).quota_bytes == 1024 * 1024
    again = opened()
    alice = again.find_identity("AKIAALICE")
    assert alice is not None
    assert (again.generation, alice.secret) == (3, SECRET)


def test_after_going_back_the_file_counts_when_it_is_asked_for(
    site: Site, deployment: OpenDeployment, reloading: Reloading
) -> None:
    site.edit("quota_bytes: 1MiB", "quota_bytes: 2MiB")
    reloading.reload(author="alice")
    reloading.roll_back(1, author="bob")

    assert take_file_over(site.config, ENVIRON) == 4
    assert [each.path for each in reloading.difference(1, 4)] == ["buckets[abc].quota_bytes"]
    assert reloading.difference(None, None) == []


def test_going_back_before_a_backend_that_holds_pieces_is_refused(
    site: Site, deployment: OpenDeployment, reloading: Reloading
) -> None:
    site.edit(V2, V2 + V3)
    reloading.reload(author="alice")
    deployment.tick()
    put(deployment, 12)

    (problem,) = refused(reloading.roll_back, number=1, author="bob")

    assert "'v3' holds pieces" in problem.message
    assert newest(deployment).generation == 2


def test_an_empty_backend_goes_with_going_back(
    site: Site, deployment: OpenDeployment, reloading: Reloading
) -> None:
    site.edit(V2, V2 + V3)
    reloading.reload(author="alice")

    reloading.roll_back(1, author="bob")

    states = {str(row.name): row.state for row in deployment.store.read(list_backends)}
    assert states["v3"] is BackendState.REMOVED


def test_there_is_no_going_back_to_what_never_was(reloading: Reloading) -> None:
    with pytest.raises(NoSuchResource):
        reloading.roll_back(7, author="bob")


def test_a_text_that_was_applied_outlasts_restarts_until_the_file_changes(
    site: Site, deployment: OpenDeployment, reloading: Reloading, opened: Open
) -> None:
    sent = text_of(site).replace("quota_bytes: 1MiB", "quota_bytes: 3MiB").encode()

    applied = reloading.apply(sent, author="alice", base=1)
    deployment.close()
    again = opened()

    assert (applied.generation, applied.is_new) == (2, True)
    assert [each.path for each in applied.changes] == ["buckets[abc].quota_bytes"]
    assert (newest(again).generation, newest(again).origin) == (2, Origin.API)
    assert (newest(again).author, newest(again).file_digest) == ("alice", None)
    bucket = again.store.read(lambda tx: find_bucket(tx, BucketName("abc")))
    assert bucket.quota_bytes == 3 << 20
    assert made(again).reload(author="bob").generation == 3


def test_a_text_written_against_another_generation_is_refused(
    site: Site, deployment: OpenDeployment, reloading: Reloading
) -> None:
    with pytest.raises(ConcurrentWrite):
        reloading.apply(text_of(site).encode(), author="alice", base=7)

    assert newest(deployment).generation == 1


def test_many_who_reload_at_once_make_one_generation(
    site: Site, opened: Open, deployment: OpenDeployment
) -> None:
    site.edit("quota_bytes: 1MiB", "quota_bytes: 2MiB")
    others = [made(opened()) for _ in range(3)] if "sqlite" not in text_of(site) else [made(deployment)] * 3
    done = []

    def reload(each: Reloading) -> None:
        done.append(each.reload(author="alice"))

    threads = [threading.Thread(target=reload, args=[each]) for each in [made(deployment), *others]]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert [each.generation for each in done] == [2] * 4
    assert sum(each.is_new for each in done) == 1
