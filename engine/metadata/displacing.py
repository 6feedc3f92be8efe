"""What gives way to a new current version, or to none: versions are retired, and object lock is asked before."""

from collections.abc import Sequence
from typing import cast

from engine.errors import VersionLocked
from engine.metadata import quota
from engine.metadata.store import Answer, Row, RunAgain, Tx
from engine.records import NULL_VERSION_ID, Bucket, Versioning


class Displacing:
    """What a new current version of a key displaces.

    Unversioned: the current version is retired. Suspended: the one null version is retired wherever it stands.
    Enabled: nothing is, the current version only ceases to be current.
    """

    def __init__(self, tx: Tx, bucket: Bucket, key: bytes, current: Row | None) -> None:
        """`current` is the key's current version, null when there is none."""
        self.bucket = bucket
        self.retiring: Row | None = None
        self._current = current
        self._null: Answer | None = None
        if current is not None and bucket.versioning is not Versioning.ENABLED:
            if current[1] == NULL_VERSION_ID:
                self.retiring = current
            else:
                self._null = tx.ask("find_null_version", {"bucket_id": bucket.bucket_id, "object_key": key})

    def look(self, tx: Tx) -> None:
        """Find out what gives way, before it is asked about. Raises VersionLocked."""
        if self._null is not None:
            self.retiring = self._null.row_or_none()
        if self.retiring is not None:
            _check_lock(tx, self.retiring)

    @property
    def retired_seq(self) -> int | None:
        """The version that is retired."""
        return None if self.retiring is None else cast(int, self.retiring[0])

    @property
    def unset_seq(self) -> int | None:
        """The version that only ceases to be current."""
        if self._current is None or self._current[0] == self.retired_seq:
            return None
        return cast(int, self._current[0])


class Displaced:
    """All that some new versions displace, taken out of their way."""

    def __init__(self, tx: Tx, displacing: Sequence[Displacing], changes: quota.Changes) -> None:
        # In the order in which whoever else changes several versions locks them.
        retiring = sorted(
            ((each.bucket, each.retiring) for each in displacing if each.retiring is not None),
            key=lambda each: cast(int, each[1][0]),
        )
        unset = sorted(each.unset_seq for each in displacing if each.unset_seq is not None)
        self._asked = [
            (len(retiring), retire(tx, retiring, changes)),
            (len(unset), tx.ask_many("unset_current", [{"version_seq": each} for each in unset])),
        ]

    def check(self) -> None:
        """Raises RunAgain when somebody else was quicker."""
        for wanted_count, asked in self._asked:
            if asked.count() != wanted_count:
                raise RunAgain


def retire(tx: Tx, retiring: Sequence[tuple[Bucket, Row]], changes: quota.Changes) -> Answer:
    """Take versions out of buckets, their listings and quotas at once; their bytes wait for the reaper.

    The answer counts a row for each, or fewer when somebody else was quicker. Raises VersionLocked.
    """
    for bucket, row in retiring:
        _check_lock(tx, row)
        changes.use(quota.bucket_subject(bucket.bucket_id), size_bytes=-cast(int, row[3]), objects=-1)
    asked = tx.ask_many("retire_version", [{"version_seq": row[0]} for _, row in retiring])
    tx.ask_many(
        "insert_retired",
        [
            {"kind": "version", "target_seq": row[0], "target_id": None, "now_us": tx.now_us()}
            for _, row in retiring
        ],
    )
    return asked


def _check_lock(tx: Tx, row: Row) -> None:
    if is_locked(tx, *row[5:8]):
        raise VersionLocked


def is_locked(tx: Tx, retention_mode: object, retain_until_us: object, legal_hold: object) -> bool:
    """Whether object lock keeps a version now, by the database's clock."""
    if legal_hold:
        return True
    return retention_mode is not None and cast(int, retain_until_us) > tx.now_us()
