"""Imported blobs read once more and written as blobs of ours: verified from then on, wherever pieces may lie."""

from collections.abc import Callable, Sequence
from functools import partial

from engine.backends.copying import SourceFailed
from engine.backends.registry import Backends
from engine.errors import BackendError, BlobGone
from engine.metadata.replacing import find_first_use, replace_blob
from engine.metadata.store import Store, Tx
from engine.objects.blob_writer import BlobOrder
from engine.objects.body_storing import BodyStore, StoredBody
from engine.objects.cards import CardHint
from engine.objects.piece_body import open_piece
from engine.objects.storage_policy import StoragePolicy
from engine.records import Blob, Location, NewBlob

Fence = Callable[[Tx], None]


class BlobRewriter:
    """Rewrites blobs. Safe for many threads; two that rewrite one blob end with one of both, and strays."""

    def __init__(self, *, store: Store, policy: StoragePolicy, backends: Backends, bodies: BodyStore) -> None:
        self._store = store
        self._policy = policy
        self._backends = backends
        self._bodies = bodies

    def rewrite(
        self,
        blob: Blob,
        location: Location,
        /,
        *,
        fence: Fence,
        before_bytes: Callable[[int], None],
        grace_us: int,
    ) -> bool:
        """Store an imported blob as its first bucket's objects are, and have every version name that.

        False when no version is the blob any more: the reaper frees it. `before_bytes` is told of all that is about to
        be read, `grace_us` is how long readers of the old piece may still come.

        An interruption before the commit leaves strays, and the blob as it was; one between the commits of a blob that
        many versions name leaves some of them with either. Raises SourceFailed when it cannot be read, LeaseLost, and
        what storing raises: BackendsUnavailable, BelowWriteQuorum, NoSpaceAnywhere.
        """
        blob_id = blob.blob_id
        first = self._store.read(partial(find_first_use, blob_id=blob_id))
        if first is None:
            return False
        order = BlobOrder(
            scheme=self._policy.scheme_of(first.bucket),
            is_sealed=self._policy.is_sealed(first.bucket),
            hint=CardHint(bucket=first.bucket.name, key=first.key),
        )

        def make_unit(stored: StoredBody, blobs: Sequence[NewBlob]) -> Callable[[Tx], bool]:
            def unit(tx: Tx) -> bool:
                fence(tx)
                return replace_blob(
                    tx,
                    blob_id,
                    bucket=first.bucket,
                    blobs=blobs,
                    segments=stored.segments,
                    is_sealed=order.is_sealed,
                    grace_us=grace_us,
                )

            return unit

        try:
            backend = self._backends.get(location.backend_id)
        except BackendError as error:
            raise SourceFailed(error) from error
        body = open_piece(backend, location.storage_key, blob.stored_bytes, before_bytes=before_bytes)
        try:
            stored, has_more = self._bodies.store(body, order, make_unit)
            while has_more:
                has_more = self._store.write(make_unit(stored, ()))
        except BlobGone:
            return False
        finally:
            body.close()
        return True
