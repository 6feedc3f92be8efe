"""Tags of objects after they were written."""

from collections.abc import Mapping

from engine.metadata import tagging
from engine.metadata.store import Store
from engine.names import BucketName, ObjectKey
from engine.records import Tagged


class Tagger:
    """Safe for many threads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def set(
        self,
        bucket: BucketName,
        key: ObjectKey,
        version_id: str | None,
        tags: Mapping[str, str],
        account_id: int,
        *,
        is_removal: bool = False,
    ) -> Tagged:
        """Replace a version's tags; see `engine.metadata.tagging.set_tags`."""
        return self._store.write(
            lambda tx: tagging.set_tags(tx, bucket, key, version_id, tags, account_id, is_removal=is_removal)
        )
