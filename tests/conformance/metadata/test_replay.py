"""The journal is complete: replayed over an empty database it makes the same rows again, whatever happened before.

A random history runs every use case that changes what images tell of. Behind it the rows of both databases are the
same, and no transaction of it wrote such a row without leaving an image.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TypeVar, cast

import pytest

import engine.metadata.sqlite.store as sqlite_store
from engine.errors import EngineError
from engine.metadata import (
    accounts,
    backends,
    buckets,
    deployments,
    generations,
    identities,
    journal,
    keys,
)
from engine.metadata.complete import CompleteOrder, complete
from engine.metadata.images import BUCKET, TABLES
from engine.metadata.publish import publish
from engine.metadata.remove import remove, remove_version
from engine.metadata.replay import Image, Lost, replay
from engine.metadata.statements import load_statements
from engine.metadata.store import WRITE_TIMEOUT_S, Answer, Barrier, Params, Row, SqlValue, Store, Tx
from engine.metadata.uploads import abort
from engine.names import BackendName, ObjectKey, bucket_name
from engine.records import BackendState, Bucket, Copies, ObjectHeaders, Origin, Sealing, Versioning
from tests.support.engines import metadata_on, open_metadata
from tests.support.metadata import (
    SetClock,
    make_upload,
    new_blob,
    new_version,
    put_part,
    reap_all,
    run_sql,
)

T = TypeVar("T")

STEP_COUNT = 220
SEEDS = (1, 2, 3)
KEYS = (b"a", b"b", "ü/λ".encode())

_WRITES = re.compile(r"\b(?:INSERT (?:OR REPLACE )?INTO|UPDATE|DELETE FROM)\s+([a-z_]+)")

UNTOLD = {
    "delete_version": "the version was told to be gone when it was retired",
    "delete_version_segments": "as its version",
    "delete_version_tags": "as its version",
    "unset_version_blob": "as its version",
    "note_time": "the time of the newest image is what was seen",
    "delete_quota_limit": "with its bucket, whose image stands in the same transaction",
    "delete_quota_stripes": "sums",
    "update_quota_limit": "with its backend or bucket",
    "insert_quota_limit": "with its backend or bucket",
}
"""Statements on tables of images that leave none themselves, and why."""

# What is counted or seen by the way, and told by no image.
_UNTOLD_COLUMNS = {
    "deployment": {"one", "seen_us"},
    "access_keys": {"last_used_us"},
    "admin_tokens": {"last_used_us"},
}


STATEMENTS = load_statements(sqlite_store.FOLDER)
"""SQLite's; the other engine has the same ones."""


@cache
def tables_written(statement: str) -> frozenset[str]:
    """Tables of images that a statement writes."""
    return frozenset(_WRITES.findall(STATEMENTS[statement])) & TABLES.keys()


class RecordingTx:
    """A transaction that remembers which statements it was given."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self.asked: list[tuple[str, Answer]] = []

    @property
    def stripe_count(self) -> int:
        return self._tx.stripe_count

    def ask(self, statement: str, params: Params) -> Answer:
        answer = self._tx.ask(statement, params)
        self.asked.append((statement, answer))
        return answer

    def changed(self) -> set[str]:
        """Statements that changed rows."""
        return {statement for statement, answer in self.asked if tables_written(statement) and answer.count()}

    def lock(self, statement: str, params: Params) -> None:
        self._tx.lock(statement, params)

    def tell(self) -> None:
        self._tx.tell()

    def row(self, statement: str, params: Params) -> Row:
        return self.ask(statement, params).row()

    def row_or_none(self, statement: str, params: Params) -> Row | None:
        return self.ask(statement, params).row_or_none()

    def rows(self, statement: str, params: Params) -> list[Row]:
        return self.ask(statement, params).rows()

    def run(self, statement: str, params: Params) -> int:
        return self.ask(statement, params).count()

    def run_many(self, statement: str, params: Sequence[Params]) -> int:
        return sum(self.run(statement, each) for each in params)

    def now_us(self) -> int:
        return self._tx.now_us()


class WatchedStore:
    """A store that refuses a unit which wrote a row of an image and left no image."""

    def __init__(self, store: Store) -> None:
        self.inner = store
        self.seen: set[str] = set()
        self.close, self.read, self.look = store.close, store.read, store.look

    @property
    def waits_for_network(self) -> bool:
        return self.inner.waits_for_network

    def write(
        self,
        unit: Callable[[Tx], T],
        /,
        *,
        after: Sequence[Barrier] = (),
        timeout_s: float = WRITE_TIMEOUT_S,
        holds_locks: bool = False,
    ) -> T:
        def watched(tx: Tx) -> T:
            recording = RecordingTx(tx)
            result = unit(recording)
            changed = recording.changed()
            self.seen |= changed
            has_image = any(statement == "insert_journal" for statement, _ in recording.asked)
            assert has_image or not changed - UNTOLD.keys(), f"{sorted(changed)} left no image"
            return result

        return self.inner.write(watched, after=after, timeout_s=timeout_s, holds_locks=holds_locks)


class History:
    """Random changes of one deployment."""

    def __init__(self, store: Store, clock: SetClock, seed: int) -> None:
        self.store = store
        self.clock = clock
        self.chance = random.Random(seed)
        self.uploads: list[tuple[Bucket, bytes, bytes]] = []
        self.number = 0
        store.write(partial(deployments.create_deployment, deployment_id=b"d" * 16, node=None))
        self.make_key(b"key-0", "primary")
        self.account_id = store.write(partial(accounts.ensure_account, name="main", origin=Origin.CONFIG))
        self.backend_ids = [self.make_backend(name) for name in ("near", "far")]
        for name in ("one", "two"):
            self.make_bucket(name)

    def run(self, step_count: int) -> None:
        steps: list[tuple[int, Callable[[], object]]] = [
            (12, self.publish),
            (6, self.remove),
            (4, self.remove_version),
            (3, self.make_upload),
            (3, self.complete),
            (1, self.abort),
            (2, self.version),
            (2, self.change_bucket),
            (1, self.replace_bucket),
            (1, lambda: self.make_key(f"key-{self.count()}".encode(), "active")),
            (2, self.change_identity),
            (1, self.disable),
            (2, self.change_token),
            (1, self.commit_generation),
            (1, self.change_backend),
            (1, lambda: self.store.write(partial(deployments.set_node, node="node-1"))),
            (3, lambda: reap_all(self.store)),
            (1, lambda: self.store.write(deployments.note_time)),
        ]
        weights = [weight for weight, _ in steps]
        for _ in range(step_count):
            self.clock.move(self.chance.choice([0, 1, 60]))
            (chosen,) = self.chance.choices([step for _, step in steps], weights)
            try:
                chosen()
            except EngineError:
                # Refused, and so without a trace.
                continue

    def count(self) -> int:
        self.number += 1
        return self.number

    def bucket(self) -> Bucket:
        found = self.store.read(partial(buckets.list_buckets, account_id=None, after="", count_max=10))
        return self.chance.choice(found)

    def key(self) -> ObjectKey:
        return ObjectKey(self.chance.choice(KEYS))

    def publish(self) -> None:
        sizes = [self.chance.choice([1, 100, 5000]) for _ in range(self.chance.choice([0, 1, 1, 2, 3]))]
        headers = self.chance.choice(
            [
                ObjectHeaders(),
                ObjectHeaders(content_type="text/plain", system={"Cache-Control": "x"}, user={"a": "ä"}),
            ]
        )
        blobs = [new_blob(self.chance.choice(self.backend_ids), size_bytes=size) for size in sizes]
        new = new_version(self.bucket(), self.key(), *blobs, etag=f"{self.count():032x}", headers=headers)
        self.store.write(partial(publish, new=new))

    def remove(self) -> None:
        self.store.write(partial(remove, bucket_name=self.bucket().name, key=self.key()))

    def remove_version(self) -> None:
        rows = run_sql(
            inner_of(self.store),
            "SELECT b.name, v.object_key, v.version_id FROM object_versions AS v"
            " JOIN buckets AS b ON b.bucket_id = v.bucket_id ORDER BY v.version_seq",
        )
        if rows:
            name, key, version_id = self.chance.choice(rows)
            unit = partial(
                remove_version,
                bucket_name=bucket_name(cast(str, name)),
                key=ObjectKey(cast(bytes, key)),
                version_id=cast(str, version_id),
            )
            self.store.write(unit)

    def make_upload(self) -> None:
        bucket, key = self.bucket(), self.key()
        self.uploads.append((bucket, key, make_upload(self.store, bucket, key)))

    def complete(self) -> None:
        if not self.uploads:
            return
        bucket, key, upload_id = self.uploads.pop()
        parts = [
            put_part(self.store, bucket, key, upload_id, number, new_blob(self.backend_ids[0]))
            for number in range(1, self.chance.choice([2, 3, 4]))
        ]
        order = CompleteOrder(
            upload_id=upload_id,
            bucket=bucket.name,
            key=ObjectKey(key),
            parts=parts,
            parts_digest=b"d",
            etag=f"{self.count():032x}-{len(parts)}",
            checksums=(),
            result="{}",
        )
        self.store.write(partial(complete, order=order))

    def abort(self) -> None:
        if self.uploads:
            bucket, key, upload_id = self.uploads.pop()
            self.store.write(partial(abort, upload_id=upload_id, bucket=bucket.name, key=ObjectKey(key)))

    def version(self) -> None:
        """No use case sets it yet; whichever does will leave the bucket's image."""
        bucket = self.bucket()
        versioning = self.chance.choice(
            [Versioning.ENABLED, Versioning.SUSPENDED]
            if bucket.versioning is not Versioning.OFF
            else [Versioning.ENABLED, Versioning.OFF]
        )
        run_sql(
            inner_of(self.store),
            "UPDATE buckets SET versioning = :versioning WHERE bucket_id = :bucket_id",
            {"versioning": versioning.value, "bucket_id": bucket.bucket_id},
        )
        named: dict[str, SqlValue] = {"bucket_id": bucket.bucket_id}
        self.store.write(lambda tx: journal.append_row(tx, BUCKET, named))

    def change_bucket(self) -> None:
        self.store.write(
            partial(
                buckets.update_settings,
                bucket=self.bucket(),
                scheme=self.chance.choice([None, Copies(count=2)]),
                seal=self.chance.choice([None, Sealing.ALL]),
                quota_bytes=self.chance.choice([None, 1_000_000]),
            )
        )

    def replace_bucket(self) -> None:
        """Delete one, if it is empty, and make one of that name again."""
        bucket = self.bucket()
        self.store.write(partial(buckets.delete_bucket, name=bucket.name))
        self.make_bucket(bucket.name)

    def make_bucket(self, name: str) -> None:
        self.store.write(
            partial(
                buckets.create_bucket,
                name=bucket_name(name),
                account_id=self.account_id,
                origin=Origin.API,
            )
        )

    def make_key(self, key_id: bytes, state: str) -> None:
        self.store.write(
            partial(
                keys.insert_key,
                key_id=key_id,
                key_name="main",
                provider="file",
                wrapped_material=b"wrapped",
                state=state,
                check_value=b"check",
            )
        )

    def change_identity(self) -> None:
        name = self.chance.choice(["reader", "writer"])
        account = self.chance.choice(["main", "other"])

        def unit(tx: Tx) -> None:
            identities.apply_identity(
                tx,
                name=name,
                account_id=accounts.ensure_account(tx, account, Origin.CONFIG),
                role=name,
                buckets=self.chance.choice([None, ["one"]]),
                access_key_id=f"{name}-{self.chance.randrange(3)}",
                sealed_secret=f"sealed-{self.count()}".encode(),
                key_id=b"key-0",
            )

        self.store.write(unit)

    def disable(self) -> None:
        names = self.chance.choice([[], ["reader"], ["writer"]])
        self.store.write(partial(identities.disable_missing, identities=names, tokens=names))

    def change_token(self) -> None:
        self.store.write(
            partial(
                identities.apply_admin_token,
                name=self.chance.choice(["reader", "writer", "ops"]),
                role=self.chance.choice(["viewer", "operator", "admin"]),
                sha256=bytes([self.chance.randrange(3)]) * 32,
            )
        )

    def commit_generation(self) -> None:
        self.store.write(
            partial(
                generations.commit_generation,
                document=f'{{"n":{self.count()}}}',
                file_digest=self.chance.choice([None, b"digest"]),
                origin=Origin.CONFIG,
                author="file",
            )
        )

    def make_backend(self, name: str) -> int:
        return self.store.write(
            partial(
                backends.ensure_backend,
                name=BackendName(name),
                kind="memory",
                node=None,
                failure_domain=name,
                identity_id=name.encode().ljust(16, b"-"),
                quota_bytes=None,
            )
        )

    def change_backend(self) -> None:
        backend_id = self.chance.choice(self.backend_ids)
        changes: list[Callable[[Tx], object]] = [
            partial(backends.mark_registered, backend_id=backend_id),
            partial(
                backends.set_state,
                backend_id=backend_id,
                state=self.chance.choice([BackendState.ACTIVE, BackendState.READ_ONLY]),
                reason="told to",
            ),
            partial(
                backends.ensure_backend,
                name=BackendName("near"),
                kind="memory",
                node=None,
                failure_domain=self.chance.choice(["near", "rack-1"]),
                identity_id=b"near".ljust(16, b"-"),
                quota_bytes=self.chance.choice([None, 10_000_000]),
            ),
        ]
        self.store.write(self.chance.choice(changes))
        self.store.write(
            partial(backends.set_state, backend_id=backend_id, state=BackendState.ACTIVE, reason=None)
        )


def inner_of(store: Store) -> Store:
    return store.inner if isinstance(store, WatchedStore) else store


@pytest.fixture
def databases(engine: str, tmp_path: Path, clock: SetClock) -> Iterator[tuple[Store, Store]]:
    """One to live in, and an empty one."""
    with metadata_on(engine):
        opened = []
        for name in ("lived", "empty"):
            (tmp_path / name).mkdir()
            opened.append(open_metadata(tmp_path / name, clock))
        yield opened[0], opened[1]
        for each in opened:
            each.close()


def images_of(store: Store) -> list[Image]:
    rows = run_sql(store, "SELECT seq, kind, payload, created_at_us FROM journal ORDER BY seq")
    return [
        Image(
            seq=cast(int, seq), kind=cast(str, kind), payload=cast(str, payload), created_at_us=cast(int, at)
        )
        for seq, kind, payload, at in rows
    ]


def restore_from(source: Store) -> Callable[[Tx, bytes], bool]:
    """What cards would tell of blobs, from the rows that are still there."""

    def restore(tx: Tx, blob_id: bytes) -> bool:
        if tx.row_or_none("find_blob", {"blob_id": blob_id}) is not None:
            return True
        row = source.read(lambda read: read.row_or_none("find_blob", {"blob_id": blob_id}))
        if row is None:
            return False
        names = [
            "size_bytes",
            "stored_bytes",
            "scheme",
            "key_id",
            "wrapped_dek",
            "frame_bytes",
            "block_crcs",
            "content_hash",
            "dedup_domain",
        ]
        tx.run(
            "insert_blob", {**dict(zip(names, row, strict=True)), "blob_id": blob_id, "now_us": tx.now_us()}
        )
        return True

    return restore


def rows_of(store: Store, table: str) -> list[Row]:
    """All rows that images tell of, in an order of their own."""
    columns = [each for each in columns_of(store, table) if each not in _UNTOLD_COLUMNS.get(table, ())]
    live = ""
    if table == "object_versions":
        live = " WHERE state = 'live'"
    elif table in ("object_segments", "object_tags"):
        live = " WHERE version_seq IN (SELECT version_seq FROM object_versions WHERE state = 'live')"
    found = run_sql(store, f"SELECT {', '.join(columns)} FROM {table}{live}")
    return sorted(found, key=repr)


def columns_of(store: Store, table: str) -> list[str]:
    text = (sqlite_store.FOLDER / "migrations" / "0001_pre_initial.sql").read_text()
    found = re.search(rf"CREATE TABLE {table} \((.*?)\n\)", text, re.DOTALL)
    assert found is not None
    return re.findall(r"(?m)^    ([a-z][a-z0-9_]*) ", found[1])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_replay_makes_the_same_rows(databases: tuple[Store, Store], clock: SetClock, seed: int) -> None:
    lived, empty = databases
    watched = WatchedStore(lived)
    History(watched, clock, seed).run(STEP_COUNT)

    lost = empty.write(partial(replay, images=images_of(lived), restore_blob=restore_from(lived), lost={}))

    assert lost == {}
    for table in TABLES:
        assert rows_of(empty, table) == rows_of(lived, table), table


def test_a_replay_in_runs_that_overlap_makes_the_same_rows(
    databases: tuple[Store, Store], clock: SetClock
) -> None:
    lived, empty = databases
    History(WatchedStore(lived), clock, 4).run(STEP_COUNT)
    images = images_of(lived)
    lost: Lost = {}

    for start in range(0, len(images), 40):
        run = images[max(0, start - 15) : start + 40]
        unit = partial(replay, images=run, restore_blob=restore_from(lived), lost=lost)
        lost = empty.write(unit)

    assert lost == {}
    for table in TABLES:
        assert rows_of(empty, table) == rows_of(lived, table), table


def test_what_goes_on_behind_a_replay_gets_numbers_of_its_own(
    databases: tuple[Store, Store], clock: SetClock
) -> None:
    lived, empty = databases
    History(WatchedStore(lived), clock, 5).run(60)
    empty.write(partial(replay, images=images_of(lived), restore_blob=restore_from(lived), lost={}))
    ((last,),) = run_sql(lived, "SELECT MAX(version_seq) FROM object_versions")
    bucket = empty.read(partial(buckets.list_buckets, account_id=None, after="", count_max=1))[0]

    published = empty.write(partial(publish, new=new_version(bucket, b"later")))

    assert published.version_seq > cast(int, last)


def test_every_statement_that_writes_what_images_tell_is_run_by_the_histories(
    databases: tuple[Store, Store], clock: SetClock
) -> None:
    watched = WatchedStore(databases[0])
    history = History(watched, clock, 6)
    history.run(1200)

    writing = {name for name in STATEMENTS if tables_written(name)}
    # Those that a replay itself makes rows with.
    writing = {name for name in writing if not name.startswith("restore_")}
    assert writing - watched.seen - UNTOLD.keys() == set()
