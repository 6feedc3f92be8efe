"""DeleteObject and DeleteObjects: keys are gone when the call returns, their bytes go later."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from engine.errors import EngineError, PreconditionFailed, VersionLocked
from engine.metadata.remove import remove, remove_version
from engine.metadata.store import Store, Tx
from engine.names import BucketName, ObjectKey
from engine.records import RemoveConditions, Removed

UNIT_COUNT_MAX = 100
"""Keys removed in one transaction, some four rows each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveOrder:
    """What to remove: one version by its id, or with `version_id` null whatever is current.

    `conditions` are asked of the version that would go.
    """

    key: ObjectKey
    version_id: str | None = None
    conditions: RemoveConditions | None = None


class Remover:
    """Removes objects without touching a backend. Safe for many threads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def delete(self, bucket: BucketName, order: RemoveOrder, account_id: int | None = None) -> Removed:
        """Remove a key's current version, or cover it with a marker where versions are kept, or remove one by its id.

        What is not there is removed already. With `account_id` a bucket that became another account's since the caller
        looked is none. Raises NoSuchBucket, PreconditionFailed, VersionLocked, DatabaseUnavailable, OutcomeUnknown.
        """
        return self._store.write(lambda tx: _remove(tx, bucket, order, account_id))

    def delete_many(
        self, bucket: BucketName, orders: Sequence[RemoveOrder], account_id: int | None = None
    ) -> list[Removed | EngineError]:
        """What became of each order, in order. Raises NoSuchBucket when there is no such bucket at the first of them.

        They are carried out some at a time in one transaction: `Removed` stands exactly for what was committed. After a
        transaction that failed no further one is tried, its error stands for all that were left.
        """
        outcomes: list[Removed | EngineError] = []
        remaining = iter(orders)
        while batch := list(islice(remaining, UNIT_COUNT_MAX)):
            try:
                outcomes += self._delete_batch(bucket, batch, account_id)
            except EngineError as error:
                if not outcomes and not error.may_repeat:
                    raise
                outcomes += [error] * (len(orders) - len(outcomes))
                break
        return outcomes

    def _delete_batch(
        self, bucket: BucketName, orders: list[RemoveOrder], account_id: int | None
    ) -> list[Removed | EngineError]:
        def unit(tx: Tx) -> list[Removed | EngineError]:
            return [_remove_or_say_why(tx, bucket, order, account_id) for order in orders]

        return self._store.write(unit)


def _remove(tx: Tx, bucket: BucketName, order: RemoveOrder, account_id: int | None) -> Removed:
    if order.version_id is None:
        return remove(tx, bucket, order.key, account_id, conditions=order.conditions)
    return remove_version(tx, bucket, order.key, order.version_id, account_id, conditions=order.conditions)


def _remove_or_say_why(
    tx: Tx, bucket: BucketName, order: RemoveOrder, account_id: int | None
) -> Removed | EngineError:
    try:
        return _remove(tx, bucket, order, account_id)
    except (PreconditionFailed, VersionLocked) as error:
        # Raised before anything of this key is changed, so the others of its transaction stand on their own.
        return error
