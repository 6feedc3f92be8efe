"""Documents of buckets, such as tags and CORS rules: each a row of its own, in a canonical form that others define."""

from typing import cast

from engine.errors import NoSuchBucket
from engine.metadata import journal
from engine.metadata.buckets import find_bucket
from engine.metadata.images import BUCKET, BUCKET_DOCUMENT, BUCKET_DOCUMENT_DELETED
from engine.metadata.store import Params, Store, Tx
from engine.records import Bucket, DocumentKind


def put_document(tx: Tx, name: str, kind: DocumentKind, document: str, account_id: int | None = None) -> None:
    """Set or replace a document; nothing happens when it says what is so already. Raises NoSuchBucket.

    The bucket's revision grows with every change, so a document read for a revision is never older than that.
    """
    bucket = find_bucket(tx, name, account_id)
    named: Params = {"bucket_id": bucket.bucket_id, "kind": kind.value}
    if tx.row_or_none("find_bucket_document", named) == (document,):
        return
    _touch(tx, bucket)
    tx.run("upsert_bucket_document", {**named, "document": document})
    journal.append_row(tx, BUCKET, {"bucket_id": bucket.bucket_id})
    journal.append_row(tx, BUCKET_DOCUMENT, named)


def delete_document(tx: Tx, name: str, kind: DocumentKind, account_id: int | None = None) -> None:
    """Nothing happens when there is none. Raises NoSuchBucket."""
    bucket = find_bucket(tx, name, account_id)
    named: Params = {"bucket_id": bucket.bucket_id, "kind": kind.value}
    if tx.row_or_none("find_bucket_document", named) is None:
        return
    # First, so that whoever deletes and whoever writes at the same time wait for each other at the bucket.
    _touch(tx, bucket)
    journal.append_row(tx, BUCKET, {"bucket_id": bucket.bucket_id})
    if tx.run("delete_bucket_document", named):
        journal.append(tx, BUCKET_DOCUMENT_DELETED.name, {"bucket": bucket.bucket_id, "kind": kind.value})


def find_document(tx: Tx, bucket_id: int, kind: DocumentKind) -> str | None:
    """The document as it stands, None where there is none."""
    row = tx.row_or_none("find_bucket_document", {"bucket_id": bucket_id, "kind": kind.value})
    return None if row is None else cast(str, row[0])


def look_up_document(store: Store, bucket_id: int, kind: DocumentKind) -> str | None:
    """As `find_document`, where nothing else is read."""
    rows = store.look("find_bucket_document", {"bucket_id": bucket_id, "kind": kind.value})
    return cast(str, rows[0][0]) if rows else None


def _touch(tx: Tx, bucket: Bucket) -> None:
    """Raises NoSuchBucket for one that was deleted since it was read; from here on it stays until the commit."""
    if tx.run("touch_bucket", {"bucket_id": bucket.bucket_id}) != 1:
        raise NoSuchBucket(bucket=bucket.name)
