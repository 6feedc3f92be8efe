"""Buckets as clients make, list and delete them."""

from collections.abc import Sequence

from engine.metadata import buckets
from engine.metadata.store import Store
from engine.names import BucketName
from engine.records import Bucket, Origin, Versioning

LIST_COUNT_MAX = 1000
"""Buckets read in one transaction; a list of all goes on from the last name."""


class Buckets:
    """Safe for many threads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, name: BucketName, account_id: int) -> Bucket:
        """Make an unversioned bucket under the deployment's defaults.

        Raises BucketExists, which says whether it is the caller's own: what that means is the region's matter.
        """
        return self._store.write(
            lambda tx: buckets.create_bucket(tx, name=name, account_id=account_id, origin=Origin.API)
        )

    def get(self, name: BucketName) -> Bucket:
        """Raises NoSuchBucket."""
        return buckets.look_up_bucket(self._store, name)

    def list(self, account_id: int | None) -> list[Bucket]:
        """All buckets of an account, or of the deployment, by name."""
        found: list[Bucket] = []
        while True:
            after = found[-1].name if found else ""
            page = self._page(account_id, after)
            found += page
            if len(page) < LIST_COUNT_MAX:
                return found

    def set_versioning(self, name: BucketName, versioning: Versioning, account_id: int) -> None:
        """Keep versions of the bucket's keys from now on, or suspend that. Raises NoSuchBucket."""
        self._store.write(lambda tx: buckets.set_versioning(tx, name, versioning, account_id))

    def delete(self, name: BucketName, account_id: int | None = None) -> None:
        """Delete a bucket without versions; open uploads go with it. Raises NoSuchBucket, BucketNotEmpty.

        With `account_id` a bucket that became another account's since the caller looked is none.
        """
        self._store.write(lambda tx: buckets.delete_bucket(tx, name, account_id))

    def _page(self, account_id: int | None, after: str) -> Sequence[Bucket]:
        return self._store.read(
            lambda tx: buckets.list_buckets(tx, account_id=account_id, after=after, count_max=LIST_COUNT_MAX)
        )
