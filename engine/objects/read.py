"""GetObject and HeadObject: one metadata read finds the version, verified regions of its pieces go out."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from engine.backends.registry import Backends
from engine.cache.blobs import BlobCache
from engine.errors import CorruptEverywhere, DatabaseUnavailable
from engine.metadata.store import Store
from engine.metadata.versions import find_version, look_up_rows, read_looked_up
from engine.names import BucketName, ObjectKey
from engine.objects.blob_regions import COPIED_BYTES_MAX
from engine.objects.buffers import BlockPool
from engine.objects.degradations import Degradations
from engine.objects.degraded import Memory
from engine.objects.hedging import Hedges
from engine.objects.object_regions import ObjectRegions
from engine.objects.piece_choice import PieceChoice
from engine.objects.reserving import Reserver
from engine.objects.slice_pages import SlicePages
from engine.objects.suspicions import Suspicions
from engine.pipes import PipePool
from engine.placement.health import HealthBoard
from engine.records import StoredVersion
from engine.sealing.keyring import KeyRing
from engine.streams import RegionSource
from engine.units import BLOCK_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Bytes of an object from `start` up to `stop`, which is not among them."""

    start: int
    stop: int


class Reader:
    """Reads objects. Safe for many threads."""

    def __init__(
        self,
        *,
        store: Store,
        backends: Backends,
        ring: KeyRing,
        health: HealthBoard,
        suspicions: Suspicions,
        degradations: Degradations,
        pool: BlockPool,
        memory: Memory,
        hedges: Hedges,
        hedged: Collection[int] = (),
        cache: BlobCache | None = None,
        read_rank: Callable[[int], int] = lambda backend_id: 0,
        reserver: Reserver | None = None,
        unverified: Collection[int] = (),
        pipes: PipePool | None = None,
    ) -> None:
        """Plain blocks that lie on backends in `unverified` go to clients unchecked, some of them through `pipes`."""
        self._reserver = reserver
        self._unverified = unverified
        self._pipes = pipes
        self._store = store
        self._choice = PieceChoice(
            store=store,
            backends=backends,
            health=health,
            suspicions=suspicions,
            degradations=degradations,
            hedges=hedges,
            hedged=hedged,
            cache=cache,
            read_rank=read_rank,
        )
        self._ring = ring
        self._pool = pool
        self._memory = memory

    def find(self, bucket: BucketName, key: ObjectKey, version_id: str | None = None) -> StoredVersion:
        """The key's current version, or that of an id: all that HEAD and conditions need.

        Raises NoSuchBucket, NoSuchKey; of an id NoSuchVersion and IsDeleteMarker. While the database is away what it
        said of a current version before may answer, and says so; else raises DatabaseUnavailable.
        """
        if version_id is not None:
            return self._store.read(lambda tx: find_version(tx, bucket, key, version_id))
        try:
            rows = look_up_rows(self._store, bucket, key)
            self._memory.note(bucket, key, rows)
            return read_looked_up(self._store, rows, bucket, key)
        except DatabaseUnavailable as error:
            return self._memory.find(bucket, key, error)

    def open(self, stored: StoredVersion, span: Span, *, may_pipe: bool = False) -> RegionSource:
        """The bytes of a span, which lies within the version; nothing is read before the first region is asked for.

        With `may_pipe` regions may be in pipes, for a client that they can be spliced to.
        A region source raises BackendsUnavailable, CorruptEverywhere, UsageLimitReached, KeyUnavailable or
        DatabaseUnavailable when the body cannot go on.
        """
        return self._open(
            stored,
            span,
            COPIED_BYTES_MAX,
            unverified=self._unverified,
            pipes=self._pipes if may_pipe else None,
        )

    def open_in_memory(self, stored: StoredVersion, span: Span) -> RegionSource:
        """As `open`, for a caller that works on the bytes: every region is the very memory that was verified."""
        return self._open(stored, span, BLOCK_BYTES)

    def verify(self, stored: StoredVersion, /) -> bool:
        """Read all of a version, block by verified block, for nobody; false: no good copy of some part is left.

        Raises BackendsUnavailable, UsageLimitReached, KeyUnavailable, DatabaseUnavailable when it cannot be read now.
        """
        source = self.open_in_memory(stored, Span(start=0, stop=stored.version.size_bytes))
        try:
            while source.next_region() is not None:
                pass
        except CorruptEverywhere:
            return False
        finally:
            source.close()
        return True

    def _open(
        self,
        stored: StoredVersion,
        span: Span,
        copied_bytes_max: int,
        *,
        unverified: Collection[int] = (),
        pipes: PipePool | None = None,
    ) -> RegionSource:
        if not 0 <= span.start <= span.stop <= stored.version.size_bytes:
            raise ValueError(f"{span} does not lie within {stored.version.size_bytes} bytes")
        # A body of one block is spent whole before its first byte.
        reserver = self._reserver if span.stop - span.start > BLOCK_BYTES else None
        return ObjectRegions(
            slices=SlicePages(self._store, stored),
            choice=self._choice,
            ring=self._ring,
            pool=self._pool,
            start=span.start,
            stop=span.stop,
            copied_bytes_max=copied_bytes_max,
            reserver=reserver if reserver is not None and reserver.is_needed else None,
            unverified=unverified,
            pipes=pipes,
        )
