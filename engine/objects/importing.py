"""Objects of a foreign bucket copied in: stored as a client's would be, with all they carry, as old as they are."""

from collections.abc import Callable, Sequence

from engine.backends.base import Backend
from engine.errors import PreconditionFailed
from engine.metadata.bucket_settings import OwnBucket
from engine.metadata.buckets import find_bucket
from engine.metadata.importing import Importable, Stand
from engine.metadata.publish import find_for_write, publish
from engine.metadata.store import Store, Tx
from engine.objects.blob_writer import BlobOrder
from engine.objects.body_storing import BodyStore, StoredBody
from engine.objects.cards import CardHint
from engine.objects.piece_body import open_piece
from engine.objects.storage_policy import StoragePolicy
from engine.records import NewBlob, NewVersion, Published

Fence = Callable[[Tx], None]


class ObjectImporter:
    """Copies objects in. Safe for many threads; repeating it finds the key taken."""

    def __init__(self, *, store: Store, policy: StoragePolicy, bodies: BodyStore) -> None:
        self._store = store
        self._policy = policy
        self._bodies = bodies

    def copy(
        self,
        source: Backend,
        each: Importable,
        bucket: OwnBucket,
        /,
        *,
        fence: Fence,
        before_bytes: Callable[[int], None],
    ) -> Stand:
        """Make the object the first version of its key; TAKEN when that has one, be it a marker.

        Its bytes are held against its ETag where that is their MD5. Raises SourceFailed, DigestMismatch, NoSuchBucket,
        LeaseLost, BucketQuotaExceeded, and what storing raises: BackendsUnavailable, BelowWriteQuorum, NoSpaceAnywhere.
        """
        row = self._store.read(lambda tx: find_bucket(tx, bucket.name))
        order = BlobOrder(
            scheme=self._policy.scheme_of(row),
            is_sealed=self._policy.is_sealed(row),
            hint=CardHint(bucket=bucket.name, key=each.key),
        )

        def make_unit(stored: StoredBody, blobs: Sequence[NewBlob]) -> Callable[[Tx], Published]:
            new = _version(each, bucket, row.account_id, stored, blobs)

            def unit(tx: Tx) -> Published:
                fence(tx)
                bucket.require(tx)
                if find_for_write(tx, bucket.name, each.key)[1] is not None:
                    raise PreconditionFailed(condition="If-None-Match")
                return publish(tx, new)

            return unit

        body = open_piece(
            source,
            each.source.storage_key,
            each.size_bytes,
            before_bytes=before_bytes,
            md5=bytes.fromhex(each.source.etag) if each.is_etag_md5 else None,
        )
        try:
            self._bodies.store(body, order, make_unit)
        except PreconditionFailed:
            return Stand.TAKEN
        finally:
            body.close()
        return Stand.FREE


def _version(
    each: Importable, bucket: OwnBucket, account_id: int, stored: StoredBody, blobs: Sequence[NewBlob]
) -> NewVersion:
    return NewVersion(
        bucket=bucket.name,
        key=each.key,
        account_id=account_id,
        size_bytes=stored.size_bytes,
        etag=stored.md5.hex(),
        headers=each.headers,
        checksums=stored.checksums,
        segments=stored.segments,
        blobs=blobs,
        sse_kind="AES256" if any(new.blob.is_sealed for new in blobs) else None,
        if_none_match=True,
        created_at_us=each.modified_at_us,
    )
