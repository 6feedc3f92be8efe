"""The journal is complete: replayed over an empty database it makes the same rows again, whatever happened before.

A random history runs every use case that changes what images tell of. Behind it the rows of both databases are the
same, and no transaction of it wrote such a row without leaving an image.
"""

import json
import random
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from engine.errors import SchemaTooNew
from engine.metadata import buckets
from engine.metadata.images import BUCKET, KINDS, MARKER, REMOVED, TABLES, VERSION
from engine.metadata.journal import append_row
from engine.metadata.publish import publish
from engine.metadata.remove import remove
from engine.metadata.replay import Image, Lost, VersionName, replay
from engine.metadata.store import Store, Tx
from engine.names import ObjectKey
from engine.records import Bucket, Versioning
from tests.conformance.metadata.history import History
from tests.conformance.metadata.replaying import blobs_of, images_of, no_blobs, replayed, rows_told
from tests.conformance.metadata.watched import STATEMENTS, UNTOLD, RecordingTx, WatchedStore, tables_written
from tests.support.engines import metadata_on, open_metadata
from tests.support.metadata import (
    SetClock,
    journal_of,
    make_backend,
    make_bucket,
    new_version,
    put,
    reap_all,
    run_sql,
    set_versioning,
)

STEP_COUNT = 250
ROUND_COUNT = 10
WRITER_COUNT = 4
SEEDS = (1, 2, 3, 4)
KEY = ObjectKey(b"one")


@dataclass(frozen=True, slots=True, kw_only=True)
class Databases:
    """One to live in, and an empty one."""

    lived: Store
    empty: Store


@pytest.fixture
def databases(engine: str, tmp_path: Path, clock: SetClock) -> Iterator[Databases]:
    with metadata_on(engine):
        opened = {}
        for name in ("lived", "empty"):
            (tmp_path / name).mkdir()
            opened[name] = open_metadata(tmp_path / name, clock)
        yield Databases(lived=opened["lived"], empty=opened["empty"])
        for each in opened.values():
            each.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_replay_makes_the_same_rows(databases: Databases, clock: SetClock, seed: int) -> None:
    history = History(WatchedStore(databases.lived), clock, seed)
    restore_blob = blobs_of(databases.lived)
    replayed_count = 0

    for _ in range(ROUND_COUNT):
        history.run(STEP_COUNT // ROUND_COUNT)
        images = images_of(databases.lived)[replayed_count:]
        lost = replayed(images, databases.empty, restore_blob=restore_blob)
        replayed_count += len(images)

        assert lost == {}
        assert rows_told(databases.empty) == rows_told(databases.lived)


def test_a_replay_in_runs_that_overlap_makes_the_same_rows(databases: Databases, clock: SetClock) -> None:
    History(WatchedStore(databases.lived), clock, 5).run(STEP_COUNT)
    images = images_of(databases.lived)
    restore_blob = blobs_of(databases.lived)
    lost: Lost = {}

    for start in range(0, len(images), 40):
        run = images[max(0, start - 15) : start + 40]
        lost = replayed(run, databases.empty, restore_blob=restore_blob, lost=lost)

    assert lost == {}
    assert rows_told(databases.empty) == rows_told(databases.lived)


def test_a_replay_of_keys_in_another_order_makes_the_same_rows(databases: Databases, clock: SetClock) -> None:
    History(WatchedStore(databases.lived), clock, 6).run(STEP_COUNT)
    images = images_of(databases.lived)
    moved = in_another_order(images, random.Random(6))

    lost = replayed(moved, databases.empty, restore_blob=blobs_of(databases.lived))

    assert moved != images
    assert lost == {}
    assert rows_told(databases.empty) == rows_told(databases.lived)


def in_another_order(images: list[Image], chance: random.Random) -> list[Image]:
    """Images of keys drawn in any order that leaves each key its own; other images stay where they are."""
    moved: list[Image] = []
    waiting: dict[tuple[object, object], deque[Image]] = {}

    def draw() -> None:
        while waiting:
            drawn = chance.choice(list(waiting))
            moved.append(waiting[drawn].popleft())
            if not waiting[drawn]:
                del waiting[drawn]

    for image in images:
        if KINDS[image.kind] in (VERSION, MARKER, REMOVED):
            told = json.loads(image.payload)
            waiting.setdefault((told["bucket"], told["key"]), deque()).append(image)
        else:
            draw()
            moved.append(image)
    draw()
    return moved


def test_a_replay_again_changes_nothing(databases: Databases, clock: SetClock) -> None:
    History(WatchedStore(databases.lived), clock, 7).run(STEP_COUNT)
    images = images_of(databases.lived)
    restore_blob = blobs_of(databases.lived)
    replayed(images, databases.empty, restore_blob=restore_blob)
    reap_all(databases.empty)

    lost = replayed(images, databases.empty, restore_blob=restore_blob)

    assert lost == {}
    assert rows_told(databases.empty) == rows_told(databases.lived)


@pytest.mark.parametrize("versioning", list(Versioning))
def test_what_many_wrote_at_once_is_replayed_in_the_order_it_had(
    databases: Databases, tmp_path: Path, clock: SetClock, versioning: Versioning
) -> None:
    """Numbers of images are drawn before the commit, so between keys they tell nothing of its order."""
    lived = databases.lived
    bucket, backend_id = make_bucket(lived), make_backend(lived, kind="memory")
    set_versioning(lived, bucket, versioning)
    lived.write(lambda tx: append_row(tx, BUCKET, {"bucket_id": bucket.bucket_id}))
    others = [open_metadata(tmp_path / "lived", clock) for _ in range(WRITER_COUNT)]

    def write(number: int) -> None:
        chance = random.Random(number)
        for _ in range(30):
            key = ObjectKey(chance.choice([b"a", b"b"]))
            if chance.random() < 0.7:
                put(others[number], bucket, key, *chance.choice([(), (backend_id,)]))
            else:
                others[number].write(partial(remove, bucket_name=bucket.name, key=key))

    with ThreadPoolExecutor(WRITER_COUNT) as pool:
        list(pool.map(write, range(WRITER_COUNT)))
    lost = replayed(images_of(lived), databases.empty, restore_blob=blobs_of(lived))

    assert lost == {}
    assert rows_told(databases.empty) == rows_told(lived)
    for each in others:
        each.close()


@pytest.mark.parametrize("versioning", list(Versioning))
def test_versions_of_a_key_may_come_late(databases: Databases, versioning: Versioning) -> None:
    lived, bucket = databases.lived, make_bucket(databases.lived)
    set_versioning(lived, bucket, versioning)
    before = images_of(lived)
    for number in range(3):
        put(lived, bucket, KEY, etag=str(number))
    late = images_of(lived)[len(before) :]

    replayed([*before, *reversed(late)], databases.empty, restore_blob=no_blobs)

    assert rows_told(databases.empty)["object_versions"] == rows_told(lived)["object_versions"]


def test_a_version_whose_blob_is_nowhere_is_lost(databases: Databases) -> None:
    lived = databases.lived
    bucket, backend_id = make_bucket(lived), make_backend(lived, kind="memory")
    published = put(lived, bucket, KEY, backend_id)

    lost = replayed(images_of(lived), databases.empty, restore_blob=no_blobs)

    assert lost == {name_of(bucket): published.version_seq}
    assert rows_told(databases.empty)["object_versions"] == []


@pytest.mark.parametrize("is_displaced", [True, False], ids=["displaced", "removed"])
def test_a_version_that_a_later_image_ends_is_not_lost(databases: Databases, is_displaced: bool) -> None:
    lived = databases.lived
    bucket, backend_id = make_bucket(lived), make_backend(lived, kind="memory")
    put(lived, bucket, KEY, backend_id)
    first = images_of(lived)
    lost = replayed(first, databases.empty, restore_blob=no_blobs)
    if is_displaced:
        put(lived, bucket, KEY)
    else:
        lived.write(partial(remove, bucket_name=bucket.name, key=KEY))

    rest = images_of(lived)[len(first) :]
    still_lost = replayed(rest, databases.empty, restore_blob=no_blobs, lost=lost)

    assert (len(lost), still_lost) == (1, {})
    assert rows_told(databases.empty)["object_versions"] == rows_told(lived)["object_versions"]


def test_a_lost_version_is_not_succeeded_by_one_that_came_before_it(databases: Databases) -> None:
    lived = databases.lived
    bucket, backend_id = make_bucket(lived), make_backend(lived, kind="memory")
    before = images_of(lived)
    put(lived, bucket, KEY)
    later = put(lived, bucket, KEY, backend_id)
    late = images_of(lived)[len(before) :]

    lost = replayed([*before, *reversed(late)], databases.empty, restore_blob=no_blobs)

    assert lost == {name_of(bucket): later.version_seq}
    assert rows_told(databases.empty)["object_versions"] == []


def name_of(bucket: Bucket) -> VersionName:
    return VersionName(bucket_id=bucket.bucket_id, key=KEY, version_id="null")


def test_an_image_of_a_newer_release_is_refused(databases: Databases) -> None:
    image = Image(seq=1, kind="wormhole", payload="{}", created_at_us=1)

    with pytest.raises(SchemaTooNew, match="wormhole"):
        replayed([image], databases.empty, restore_blob=no_blobs)


def test_what_goes_on_behind_a_replay_gets_numbers_of_its_own(databases: Databases, clock: SetClock) -> None:
    lived, empty = databases.lived, databases.empty
    bucket, backend_id = make_bucket(lived), make_backend(lived, kind="memory")
    gone = put(lived, bucket, KEY, backend_id)
    lived.write(partial(remove, bucket_name=bucket.name, key=KEY))
    doomed = make_bucket(lived, "doomed")
    lived.write(partial(buckets.delete_bucket, name=doomed.name))
    images = images_of(lived)

    replayed(images, empty, restore_blob=no_blobs)
    made = make_bucket(empty, "made")
    published = empty.write(partial(publish, new=new_version(bucket, KEY)))

    assert published.version_seq > gone.version_seq
    assert made.bucket_id > doomed.bucket_id
    assert min(image.seq for image in images_of(empty)) > max(image.seq for image in images)


def test_a_clock_below_what_the_journal_has_seen_is_known_behind_a_replay(
    databases: Databases, clock: SetClock
) -> None:
    History(WatchedStore(databases.lived), clock, 8).run(20)
    images = images_of(databases.lived)

    replayed(images, databases.empty, restore_blob=blobs_of(databases.lived))

    assert run_sql(databases.empty, "SELECT seen_us FROM deployment") == [(images[-1].created_at_us,)]


def test_every_statement_that_writes_what_images_tell_is_run_by_a_history_and_every_kind_left(
    databases: Databases, clock: SetClock
) -> None:
    watched = WatchedStore(databases.lived)
    History(watched, clock, 11).run(1400)

    writing = {name for name in STATEMENTS if tables_written(name) and not name.startswith("restore_")}
    assert writing - watched.seen - UNTOLD.keys() == set()
    assert {kind for kind, _ in journal_of(databases.lived)} == KINDS.keys()


def test_every_statement_that_makes_rows_again_is_run_by_a_replay(
    databases: Databases, clock: SetClock
) -> None:
    History(WatchedStore(databases.lived), clock, 11).run(STEP_COUNT)
    images = images_of(databases.lived)

    def unit(tx: Tx) -> set[str]:
        recording = RecordingTx(tx)
        for _ in range(2):
            # What is told again is placed again.
            replay(recording, images, restore_blob=blobs_of(databases.lived), lost={})
        return recording.changed()

    making = {name for name in STATEMENTS if name.startswith("restore_")}
    assert making - databases.empty.write(unit) == set()


def test_what_nothing_writes_has_no_image() -> None:
    unwritten = {table for table, kinds in TABLES.items() if not kinds}

    writing = {name for name in STATEMENTS if tables_written(name) & unwritten}

    assert writing - UNTOLD.keys() == set()
