"""ListObjects and ListObjectVersions: one page in byte order."""

from engine.metadata.history import list_history
from engine.metadata.listing import list_versions
from engine.metadata.store import Store
from engine.names import BucketName
from engine.records import HistoryPage, HistoryPosition, ListingPage

PAGE_COUNT_MAX = 1000


class Listings:
    """Safe for many threads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(
        self, bucket: BucketName, prefix: bytes, delimiter: bytes, after: bytes | None, count_max: int
    ) -> ListingPage:
        """At most `count_max` (up to 1,000) keys and common prefixes behind `after`. Raises NoSuchBucket."""
        wanted_count = max(0, min(count_max, PAGE_COUNT_MAX))
        return self._store.read(
            lambda tx: list_versions(
                tx,
                bucket=bucket,
                prefix=prefix,
                delimiter=delimiter,
                after=after or b"",
                count_max=wanted_count,
            )
        )

    def history(
        self, bucket: BucketName, prefix: bytes, delimiter: bytes, after: HistoryPosition, count_max: int
    ) -> HistoryPage:
        """As `page`, of all versions and markers. Raises NoSuchBucket."""
        wanted_count = max(0, min(count_max, PAGE_COUNT_MAX))
        return self._store.read(
            lambda tx: list_history(
                tx, bucket=bucket, prefix=prefix, delimiter=delimiter, after=after, count_max=wanted_count
            )
        )
