"""DeleteObject and DeleteObjects: keys are gone when the call returns, their bytes go later."""

from collections.abc import Sequence
from itertools import islice

from engine.errors import EngineError, VersionLocked
from engine.metadata.remove import remove
from engine.metadata.store import Store, Tx
from engine.names import BucketName, ObjectKey
from engine.records import Removed

UNIT_COUNT_MAX = 100
"""Keys removed in one transaction, some four rows each."""


class Remover:
    """Removes objects without touching a backend. Safe for many threads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def delete(self, bucket: BucketName, key: ObjectKey, account_id: int | None = None) -> Removed:
        """Remove a key's current version; one that is not there is removed already.

        With `account_id` a bucket that became another account's since the caller looked is none.
        Raises NoSuchBucket, VersionLocked, DatabaseUnavailable, OutcomeUnknown.
        """
        return self._store.write(lambda tx: remove(tx, bucket, key, account_id))

    def delete_many(
        self, bucket: BucketName, keys: Sequence[ObjectKey], account_id: int | None = None
    ) -> list[Removed | EngineError]:
        """What became of each key, in order. Raises NoSuchBucket when there is no such bucket at the first of them.

        Keys are removed some at a time in one transaction: `Removed` stands exactly for what was committed. After a
        transaction that failed no further one is tried, its error stands for all keys that were left.
        """
        outcomes: list[Removed | EngineError] = []
        remaining = iter(keys)
        while batch := list(islice(remaining, UNIT_COUNT_MAX)):
            try:
                outcomes += self._delete_batch(bucket, batch, account_id)
            except EngineError as error:
                if not outcomes and not error.may_repeat:
                    raise
                outcomes += [error] * (len(keys) - len(outcomes))
                break
        return outcomes

    def _delete_batch(
        self, bucket: BucketName, keys: list[ObjectKey], account_id: int | None
    ) -> list[Removed | EngineError]:
        def unit(tx: Tx) -> list[Removed | EngineError]:
            return [_remove_or_say_why(tx, bucket, key, account_id) for key in keys]

        return self._store.write(unit)


def _remove_or_say_why(
    tx: Tx, bucket: BucketName, key: ObjectKey, account_id: int | None
) -> Removed | EngineError:
    try:
        return remove(tx, bucket, key, account_id)
    except VersionLocked as error:
        # Raised before anything of this key is changed, so the others of its transaction stand on their own.
        return error
