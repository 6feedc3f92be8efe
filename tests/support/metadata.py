"""Metadata stores for tests, a clock that only the test moves, and the few rows that most tests begin with."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from engine.clock import Clock, SystemClock, uuid7
from engine.metadata import accounts, buckets, facts, quota, reaper, uploads, volumes
from engine.metadata.backends import ensure_backend
from engine.metadata.postgres.store import PostgresStore
from engine.metadata.publish import publish
from engine.metadata.sqlite.connections import open_connection
from engine.metadata.sqlite.store import SqliteStore
from engine.metadata.store import Answer, Gathered, Params, Row, SqlValue, Store, Tx
from engine.names import BackendName, ObjectKey, bucket_name
from engine.records import (
    Blob,
    Bucket,
    Copies,
    JoinedBlob,
    Location,
    NewBlob,
    NewPart,
    NewUpload,
    NewVersion,
    ObjectHeaders,
    Origin,
    Part,
    Published,
    Segment,
    Versioning,
)
from engine.streams import Checksum, ChecksumAlgorithm
from tests.support.migrated_sqlite import place_migrated
from tests.support.postgres import beside

T = TypeVar("T")

START_US = 1_800_000_000_000_000
DATABASE = "meta.db"


class SetClock(SystemClock):
    """A wall clock that stands still until a test moves it; monotonic time runs as ever."""

    def __init__(self, now_us: int = START_US) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        return self._now_us

    def move(self, seconds: float) -> None:
        """Forwards, or backwards when negative."""
        self._now_us += int(seconds * 1_000_000)


def open_sqlite(folder: Path, *, clock: Clock | None = None) -> SqliteStore:
    """Open the database of a folder, made at the first time. Whoever opens it closes it."""
    return SqliteStore(place_migrated(folder / DATABASE), clock=clock)


def make_account(store: Store, name: str = "main") -> int:
    """The account's id."""
    return store.write(partial(accounts.ensure_account, name=name, origin=Origin.CONFIG))


def make_bucket(store: Store, name: str = "photos", *, quota_bytes: int | None = None) -> Bucket:
    """A bucket of the account `main`."""
    account_id = make_account(store)
    return store.write(
        partial(
            buckets.create_bucket,
            name=bucket_name(name),
            account_id=account_id,
            origin=Origin.API,
            quota_bytes=quota_bytes,
        )
    )


def make_backend(
    store: Store, name: str = "near", *, kind: str = "volume", quota_bytes: int | None = None
) -> int:
    """The backend's id."""
    return store.write(
        partial(
            ensure_backend,
            name=BackendName(name),
            kind=kind,
            node="node-1" if kind == "volume" else None,
            failure_domain=name,
            identity_id=name.encode().ljust(16, b"-"),
            quota_bytes=quota_bytes,
        )
    )


def run_sql(store: Store, text: str, params: Params | None = None) -> list[Row]:
    """Run one portable statement beside the store, for rows that no use case writes or reads yet.

    Flags are compared as what they are, `is_current` and not `is_current = 1`.
    """
    if isinstance(store, PostgresStore):
        return _run_on_postgres(store, text, params or {})
    assert isinstance(store, SqliteStore)
    connection = open_connection(store.path, is_reader=False)
    try:
        return cast(list[Row], connection.execute(text, params or {}).fetchall())
    finally:
        connection.close()


def _run_on_postgres(store: PostgresStore, text: str, params: Params) -> list[Row]:
    numbered = re.sub(r"(?<![:\w]):([a-z_]+)", r"%(\1)s", text.replace("%", "%%"))
    found = beside(store.target).execute(numbered.encode(), params)
    if found.description is None:
        return []
    return [tuple(map(_whole, row)) for row in found.fetchall()]


def _whole(value: Any) -> SqlValue:
    """Sums of integers come as decimals."""
    return int(value) if isinstance(value, Decimal) else cast(SqlValue, value)


def set_versioning(store: Store, bucket: Bucket, versioning: Versioning) -> None:
    run_sql(
        store,
        "UPDATE buckets SET versioning = :versioning WHERE bucket_id = :bucket_id",
        {"versioning": versioning.value, "bucket_id": bucket.bucket_id},
    )


def make_volume(store: Store, backend_id: int, *, owner: bytes = b"process-1-------") -> bytes:
    """The id of a volume that its owner appends to."""
    volume_id = uuid7()
    opened = partial(volumes.volume_opened, volume_id=volume_id, backend_id=backend_id, owner_process=owner)
    assert store.write(opened)
    return volume_id


def volume_key(volume_id: bytes, offset: int) -> str:
    return f"{volume_id.hex()}:{offset:010x}"


def new_blob(
    *backend_ids: int,
    size_bytes: int = 100,
    storage_key: str | None = None,
    intent_ids: Sequence[bytes] = (),
) -> NewBlob:
    """A blob with one copy on each backend; a copy occupies ten bytes more than the blob has."""
    blob_id = uuid7()
    blob = Blob(
        blob_id=blob_id,
        size_bytes=size_bytes,
        stored_bytes=size_bytes,
        content_hash=None,
        dedup_domain=None,
        scheme=Copies(count=len(backend_ids)),
        key_id=None,
        wrapped_dek=None,
        frame_bytes=None,
        block_crcs=b"crc!",
    )
    locations = [
        Location(
            blob_id=blob_id,
            piece_index=index,
            backend_id=backend_id,
            storage_key=storage_key or blob_id.hex(),
            stored_bytes=size_bytes + 10,
            card_key_id=None,
        )
        for index, backend_id in enumerate(backend_ids)
    ]
    return NewBlob(blob=blob, locations=locations, intent_ids=intent_ids)


def new_version(
    bucket: Bucket,
    key: bytes,
    *blobs: NewBlob,
    joined: Sequence[Blob] = (),
    etag: str = "0" * 32,
    headers: ObjectHeaders | None = None,
    if_none_match: bool = False,
    if_match_etag: str | None = None,
) -> NewVersion:
    """A version of whole blobs in order, the joined ones last."""
    segments: list[Segment] = []
    offset = 0
    for each in [*(new.blob for new in blobs), *joined]:
        segments.append(
            Segment(
                ordinal=len(segments),
                start_offset=offset,
                blob_id=each.blob_id,
                blob_offset=0,
                length=each.size_bytes,
            )
        )
        offset += each.size_bytes
    return NewVersion(
        bucket=bucket.name,
        key=ObjectKey(key),
        account_id=bucket.account_id,
        size_bytes=offset,
        etag=etag,
        headers=headers or ObjectHeaders(),
        checksums=(),
        segments=segments,
        blobs=blobs,
        joined=[JoinedBlob(blob_id=each.blob_id) for each in joined],
        if_none_match=if_none_match,
        if_match_etag=if_match_etag,
    )


def put(
    store: Store, bucket: Bucket, key: bytes, *backend_ids: int, size_bytes: int = 100, etag: str = "0" * 32
) -> Published:
    """An object of one blob with a copy on each backend; an empty one without backends."""
    blobs = [new_blob(*backend_ids, size_bytes=size_bytes)] if backend_ids else []
    return store.write(partial(publish, new=new_version(bucket, key, *blobs, etag=etag)))


def make_upload(store: Store, bucket: Bucket, key: bytes = b"big") -> bytes:
    """The id of an open upload."""
    upload_id = uuid7()
    new = NewUpload(
        upload_id=upload_id,
        bucket=bucket.name,
        key=ObjectKey(key),
        account_id=bucket.account_id,
        headers=ObjectHeaders(content_type="text/plain", user={"colour": "blue"}),
        checksum_algorithm=None,
        checksum_type=None,
        scheme=Copies(count=1),
        is_sealed=False,
    )
    store.write(partial(uploads.create_upload, new=new))
    return upload_id


def new_part(
    bucket: Bucket, key: bytes, upload_id: bytes, number: int, *blobs: NewBlob, etag: str | None = None
) -> NewPart:
    """A part of whole blobs; its ETag is its number in hex unless given, and its CRC32 its number."""
    whole = new_version(bucket, key, *blobs)
    return NewPart(
        upload_id=upload_id,
        bucket=bucket.name,
        key=ObjectKey(key),
        part_number=number,
        size_bytes=whole.size_bytes,
        etag=etag or f"{number:032x}",
        checksums=(Checksum(algorithm=ChecksumAlgorithm.CRC32, digest=number.to_bytes(4, "big")),),
        segments=whole.segments,
        blobs=blobs,
    )


def put_part(
    store: Store, bucket: Bucket, key: bytes, upload_id: bytes, number: int, *blobs: NewBlob
) -> Part:
    return store.write(partial(uploads.put_part, new=new_part(bucket, key, upload_id, number, *blobs)))


def reap_all(store: Store, *, grace_us: int = 0) -> int:
    """Walk all that was retired, one step a transaction; how many blobs were freed."""
    freed = 0
    while (step := store.write(partial(reaper.reap_step, grace_us=grace_us))).has_more:
        freed += step.freed_count
    return freed


def journal_of(store: Store, *, after_count: int = 0) -> list[tuple[str, dict[str, object]]]:
    """Kind and after-image of each journal row, but for the first ones."""
    rows = run_sql(store, "SELECT kind, payload FROM journal ORDER BY seq")
    return [(cast(str, kind), json.loads(cast(str, payload))) for kind, payload in rows[after_count:]]


def totals_of(store: Store, subject: str) -> quota.QuotaTotals:
    """Raises AssertionError for a subject without account."""
    found = store.read(partial(quota.read_quota, subject=subject))
    assert found is not None
    return found


def with_changes(call: Callable[..., T], **params: Any) -> Callable[[Tx], T]:
    """A unit that calls something which gathers changes of accounts, and applies them."""

    def unit(tx: Tx) -> T:
        changes = quota.Changes()
        result = call(tx, changes=changes, **params)
        changes.apply(tx)
        return result

    return unit


class CountingTx:
    """A transaction that counts what is asked of it."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self.statement_count = 0
        self.row_count = 0

    @property
    def stripe_count(self) -> int:
        return self._tx.stripe_count

    @property
    def is_again(self) -> bool:
        return self._tx.is_again

    def _count(self, rows: Sequence[Row]) -> None:
        self.statement_count += 1
        self.row_count += len(rows)

    def ask(self, statement: str, params: Params) -> Answer:
        answer = self._tx.ask(statement, params)
        self._count(answer.rows())
        return answer

    def lock(self, statement: str, params: Params) -> None:
        self._tx.lock(statement, params)

    def try_lock(self, statement: str, params: Params) -> Callable[[], bool]:
        return self._tx.try_lock(statement, params)

    def tell(self) -> None:
        self._tx.tell()

    def row(self, statement: str, params: Params) -> Row:
        found = self._tx.row(statement, params)
        self._count([found])
        return found

    def row_or_none(self, statement: str, params: Params) -> Row | None:
        found = self._tx.row_or_none(statement, params)
        self._count([] if found is None else [found])
        return found

    def rows(self, statement: str, params: Params) -> list[Row]:
        found = self._tx.rows(statement, params)
        self._count(found)
        return found

    def run(self, statement: str, params: Params) -> int:
        self._count([])
        return self._tx.run(statement, params)

    def ask_many(self, statement: str, params: Sequence[Params]) -> Answer:
        return Gathered([self.ask(statement, each) for each in params])

    def now_us(self) -> int:
        return self._tx.now_us()


def counted(store: Store, unit: Callable[[Tx], T]) -> tuple[T, CountingTx]:
    """Read with a unit and tell what it cost."""

    def read(tx: Tx) -> tuple[T, CountingTx]:
        counting = CountingTx(tx)
        return unit(counting), counting

    return store.read(read)


# Each finds rows that must not be; what it selects tells where.
_CONTRADICTIONS: Mapping[str, str] = {
    "a key has versions and not exactly one current": """
        SELECT bucket_id, object_key FROM object_versions WHERE state = 'live'
        GROUP BY bucket_id, object_key HAVING SUM(CASE WHEN is_current THEN 1 ELSE 0 END) <> 1""",
    "the current version is not the newest": """
        SELECT v.version_seq FROM object_versions AS v WHERE v.is_current AND EXISTS (
            SELECT 1 FROM object_versions AS n WHERE n.bucket_id = v.bucket_id AND n.object_key = v.object_key
                AND n.version_seq > v.version_seq)""",
    "a bucket outside versioning has more than null versions": """
        SELECT v.version_seq FROM object_versions AS v JOIN buckets AS b ON b.bucket_id = v.bucket_id
        WHERE b.versioning = 'off' AND v.version_id <> 'null'""",
    "a version is retired and has a bucket, or is live and has none": """
        SELECT version_seq FROM object_versions WHERE (bucket_id IS NULL) <> (state = 'retired')""",
    "a retired version does not wait for the reaper": """
        SELECT version_seq FROM object_versions WHERE state = 'retired' AND version_seq NOT IN (
            SELECT target_seq FROM retired WHERE kind = 'version')""",
    "a retired part does not wait for the reaper": """
        SELECT part_seq FROM multipart_parts AS p JOIN multipart_uploads AS u ON u.upload_id = p.upload_id
        WHERE p.state = 'retired' AND u.state = 'open' AND part_seq NOT IN (
            SELECT target_seq FROM retired WHERE kind = 'part')""",
    "a finished upload has parts and does not wait for the reaper": """
        SELECT u.upload_id FROM multipart_uploads AS u WHERE u.state <> 'open'
            AND EXISTS (SELECT 1 FROM multipart_parts AS p WHERE p.upload_id = u.upload_id)
            AND u.upload_id NOT IN (SELECT target_id FROM retired WHERE kind = 'upload')""",
    "nothing points at a blob": """
        SELECT blob_id FROM blobs WHERE blob_id NOT IN (
            SELECT blob_id FROM object_versions WHERE blob_id IS NOT NULL
            UNION SELECT blob_id FROM object_segments UNION SELECT blob_id FROM multipart_part_segments)""",
    "a version's or part's blob is not there": """
        SELECT blob_id FROM (
            SELECT blob_id FROM object_versions WHERE blob_id IS NOT NULL
            UNION SELECT blob_id FROM object_segments UNION SELECT blob_id FROM multipart_part_segments
        ) AS named WHERE blob_id NOT IN (SELECT blob_id FROM blobs)""",
    "a blob lies nowhere": """
        SELECT blob_id FROM blobs WHERE blob_id NOT IN (SELECT blob_id FROM object_locations)""",
    "a piece that a row names is to be deleted": """
        SELECT l.backend_id, l.storage_key FROM object_locations AS l JOIN (
            SELECT backend_id, storage_key FROM cleanup_queue UNION SELECT backend_id, storage_key FROM cleanup_dlq
        ) AS c ON c.backend_id = l.backend_id AND c.storage_key = l.storage_key""",
    "a version of one blob has another size than the blob": """
        SELECT v.version_seq FROM object_versions AS v JOIN blobs AS b ON b.blob_id = v.blob_id
        WHERE v.size_bytes <> b.size_bytes""",
    "a live version's segments do not add up": """
        SELECT v.version_seq FROM object_versions AS v WHERE v.state = 'live' AND v.blob_id IS NULL
            AND v.size_bytes <> (SELECT COALESCE(SUM(s.length), 0) FROM object_segments AS s
                WHERE s.version_seq = v.version_seq)""",
    "a segment does not begin where the one before ends": """
        SELECT s.version_seq, s.ordinal FROM object_segments AS s JOIN object_versions AS v
            ON v.version_seq = s.version_seq
        WHERE v.state = 'live' AND s.start_offset <> (SELECT COALESCE(SUM(p.length), 0) FROM object_segments AS p
            WHERE p.version_seq = s.version_seq AND p.ordinal < s.ordinal)""",
    "an account's shares are below its limit, or above both it and what they hold": """
        SELECT q.subject, l.limit_bytes, SUM(q.share_bytes),
            SUM(q.used_bytes + q.orphan_bytes + q.reserved_bytes)
        FROM quota_limits AS l JOIN backend_quotas AS q ON q.subject = l.subject WHERE l.limit_bytes IS NOT NULL
        GROUP BY q.subject, l.limit_bytes
        HAVING SUM(q.share_bytes) < l.limit_bytes OR (SUM(q.share_bytes) > l.limit_bytes
            AND SUM(q.share_bytes) <> SUM(q.used_bytes + q.orphan_bytes + q.reserved_bytes))""",
    "an account without limit has a share": """
        SELECT q.subject FROM quota_limits AS l JOIN backend_quotas AS q ON q.subject = l.subject
        WHERE (l.limit_bytes IS NULL) <> (q.share_bytes IS NULL)""",
    "an account holds negative orphans or promises": """
        SELECT subject, SUM(orphan_bytes), SUM(reserved_bytes) FROM backend_quotas GROUP BY subject
        HAVING SUM(orphan_bytes) < 0 OR SUM(reserved_bytes) < 0""",
    "a bucket that is gone has an account": """
        SELECT subject FROM quota_limits WHERE subject LIKE 'bucket:%' AND subject NOT IN (
            SELECT 'bucket:' || bucket_id FROM buckets)""",
}


def assert_consistent(store: Store) -> None:
    """No two rows contradict each other, and every account tells what a recount finds."""
    found = {told: rows for told, text in _CONTRADICTIONS.items() if (rows := run_sql(store, text))}
    assert not found, found
    for (backend_id,) in run_sql(store, "SELECT backend_id FROM backends"):
        subject = quota.backend_subject(cast(int, backend_id))
        _assert_recounted(
            store, subject, store.read(partial(facts.backend_truth, backend_id=cast(int, backend_id)))
        )
    for (bucket_id,) in run_sql(store, "SELECT bucket_id FROM buckets"):
        subject = quota.bucket_subject(cast(int, bucket_id))
        _assert_recounted(
            store, subject, store.read(partial(facts.bucket_truth, bucket_id=cast(int, bucket_id)))
        )


def _assert_recounted(store: Store, subject: str, truth: facts.TrueTotals) -> None:
    totals = totals_of(store, subject)
    told = (totals.used_bytes, totals.orphan_bytes, totals.object_count)
    assert told == (truth.used_bytes, truth.orphan_bytes, truth.object_count), subject
