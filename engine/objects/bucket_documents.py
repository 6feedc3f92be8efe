"""Documents of buckets as clients set, read and delete them."""

from functools import lru_cache

from engine.metadata import bucket_documents, buckets, outbox
from engine.metadata.store import Store, Tx
from engine.names import BucketName
from engine.notifications.rules import parse_rules
from engine.records import DocumentKind

REMEMBERED_COUNT = 1024
"""Documents kept by their bucket's revision, those that are not there among them."""


class BucketDocuments:
    """Safe for many threads. What a document says is for its reader; here it is text in a canonical form."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._of_revision = lru_cache(maxsize=REMEMBERED_COUNT)(self._read)

    def find(self, name: BucketName, kind: DocumentKind) -> str | None:
        """The document as it stands. Raises NoSuchBucket."""
        bucket = buckets.look_up_bucket(self._store, name)
        return bucket_documents.look_up_document(self._store, bucket.bucket_id, kind)

    def find_remembered(self, name: BucketName, kind: DocumentKind) -> str | None:
        """The same for what is asked with many requests: one look at the bucket, which says whether anything changed.

        The revision is read first, so what is kept under it may be newer, and never older. Raises NoSuchBucket.
        """
        bucket = buckets.look_up_bucket(self._store, name)
        return self._of_revision(bucket.bucket_id, bucket.revision, kind)

    def put(self, name: BucketName, kind: DocumentKind, document: str, account_id: int) -> None:
        """Set or replace it; targets of notifications get a test event each time. Raises NoSuchBucket."""

        def unit(tx: Tx) -> None:
            bucket_documents.put_document(tx, name, kind, document, account_id=account_id)
            if kind is DocumentKind.NOTIFICATION:
                outbox.tell_test(tx, parse_rules(document), name)

        self._store.write(unit)

    def delete(self, name: BucketName, kind: DocumentKind, account_id: int) -> None:
        """Harmless when there is none. Raises NoSuchBucket."""
        self._store.write(lambda tx: bucket_documents.delete_document(tx, name, kind, account_id))

    def _read(self, bucket_id: int, revision: int, kind: DocumentKind) -> str | None:
        return bucket_documents.look_up_document(self._store, bucket_id, kind)
