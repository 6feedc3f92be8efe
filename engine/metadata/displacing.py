"""What gives way to a new current version, or to none: versions are retired, and object lock is asked before."""

from typing import cast

from engine.errors import VersionLocked
from engine.metadata import quota
from engine.metadata.store import Answer, Row, RunAgain, Tx
from engine.records import NULL_VERSION_ID, Bucket, Versioning


class Displacing:
    """What a new current version displaces, taken out of its way.

    Unversioned: the current version is retired. Suspended: the one null version is retired wherever it stands.
    Enabled: nothing is, the current version only ceases to be current.
    """

    def __init__(self, tx: Tx, bucket: Bucket, key: bytes, current: Row | None) -> None:
        """`current` is the key's current version, null when there is none."""
        self.retired_seq: int | None = None
        self._bucket = bucket
        self._current = current
        self._null: Answer | None = None
        self._retiring: Row | None = None
        self._asked: list[Answer] = []
        if current is not None and bucket.versioning is not Versioning.ENABLED:
            if current[1] == NULL_VERSION_ID:
                self._retiring = current
            else:
                self._null = tx.ask("find_null_version", {"bucket_id": bucket.bucket_id, "object_key": key})

    def look(self, tx: Tx) -> None:
        """Raises VersionLocked."""
        if self._null is not None:
            self._retiring = self._null.row_or_none()
        if self._retiring is not None:
            check_lock(tx, self._retiring)
            self.retired_seq = cast(int, self._retiring[0])

    def displace(self, tx: Tx, changes: quota.Changes) -> None:
        """Ask for it, behind `look`."""
        if self._retiring is not None:
            self._asked.append(retire(tx, self._bucket, self._retiring, changes))
        if self._current is not None and self._current[0] != self.retired_seq:
            self._asked.append(tx.ask("unset_current", {"version_seq": self._current[0]}))

    def check(self) -> None:
        """Raises RunAgain when somebody else was quicker."""
        for asked in self._asked:
            if asked.count() != 1:
                raise RunAgain


def retire(tx: Tx, bucket: Bucket, row: Row, changes: quota.Changes) -> Answer:
    """Take a version out of the bucket, its listings and its quota at once; its bytes wait for the reaper.

    The answer counts one row, or none when somebody else was quicker. Raises VersionLocked.
    """
    check_lock(tx, row)
    asked = tx.ask("retire_version", {"version_seq": row[0]})
    tx.ask(
        "insert_retired", {"kind": "version", "target_seq": row[0], "target_id": None, "now_us": tx.now_us()}
    )
    changes.use(quota.bucket_subject(bucket.bucket_id), size_bytes=-cast(int, row[3]), objects=-1)
    return asked


def check_lock(tx: Tx, row: Row) -> None:
    """Raises VersionLocked."""
    if is_locked(tx, *row[5:8]):
        raise VersionLocked


def is_locked(tx: Tx, retention_mode: object, retain_until_us: object, legal_hold: object) -> bool:
    """Whether object lock keeps a version now, by the database's clock."""
    if legal_hold:
        return True
    return retention_mode is not None and cast(int, retain_until_us) > tx.now_us()
