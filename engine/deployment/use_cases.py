"""The use cases of clients over one set of backends, and what stands below them from one set to the next."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from engine.backends.registry import Backends
from engine.cache.blobs import BlobCache, CacheCounts
from engine.clock import Clock, Ids
from engine.deployment.allowances import Allowances
from engine.deployment.read_reserver import ReadReserver
from engine.metadata.store import Store, Tx
from engine.objects.blob_writer import BlobWriter
from engine.objects.body_storing import BodyStore
from engine.objects.bucket_documents import BucketDocuments
from engine.objects.buckets import Buckets
from engine.objects.buffers import BlockPool
from engine.objects.cards import Cards
from engine.objects.complete import Completer
from engine.objects.copy import Copier
from engine.objects.degradations import Degradations
from engine.objects.degraded import Memory, NoMemory
from engine.objects.hedging import HedgeCounts, Hedges
from engine.objects.importing import ObjectImporter
from engine.objects.intents import IntentHolder
from engine.objects.listings import Listings
from engine.objects.multipart import Multipart
from engine.objects.part_copy import PartCopier
from engine.objects.parts import Parts
from engine.objects.placing import Placer
from engine.objects.publishing import Publisher
from engine.objects.read import Reader
from engine.objects.remove import Remover
from engine.objects.rewriting import BlobRewriter
from engine.objects.storage_policy import StoragePolicy
from engine.objects.suspicions import Suspicions
from engine.objects.tagging import Tagger
from engine.objects.write import Writer
from engine.pipes import PipePool
from engine.placement.health import HealthBoard
from engine.placement.policy import Routing
from engine.sealing.keyring import KeyRing
from engine.units import PART_SIZE_MIN_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Parts of a process that outlive a generation: what was counted, held and suspected goes on across one."""

    store: Store
    ring: KeyRing
    health: HealthBoard
    clock: Clock
    ids: Ids
    degradations: Degradations
    holder: IntentHolder
    suspicions: Suspicions
    pool: BlockPool
    allowances: Allowances
    hedges: Hedges
    cache_counts: CacheCounts = field(default_factory=CacheCounts)
    pipes: PipePool = field(default_factory=PipePool)

    def tick(self) -> None:
        """Renew intents, mark suspects, tell what was used; called every few seconds, raises what a write raises."""
        self.holder.tick()
        self.suspicions.flush()
        self.allowances.tick()


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCases:
    """What clients' requests call, and what its process looks after."""

    buckets: Buckets
    documents: BucketDocuments
    reader: Reader
    writer: Writer
    remover: Remover
    copier: Copier
    multipart: Multipart
    parts: Parts
    part_copier: PartCopier
    listings: Listings
    tagger: Tagger
    rewriter: BlobRewriter
    importer: ObjectImporter
    health: HealthBoard
    degradations: Degradations
    holder: IntentHolder
    suspicions: Suspicions
    cache_counts: CacheCounts
    hedge_counts: HedgeCounts
    notification_targets: Collection[str]


def make_standing(
    *,
    store: Store,
    ring: KeyRing,
    health: HealthBoard,
    instance_id: bytes,
    process_id: bytes | None = None,
    clock: Clock,
    ids: Ids,
    degradations: Degradations | None = None,
) -> Standing:
    """Made once a process; without `process_id` it is the only one of its instance."""
    degradations = degradations or Degradations()
    return Standing(
        store=store,
        ring=ring,
        health=health,
        clock=clock,
        ids=ids,
        degradations=degradations,
        holder=IntentHolder(store=store, instance_id=instance_id, clock=clock, ids=ids),
        suspicions=Suspicions(store, degradations),
        pool=BlockPool(),
        allowances=Allowances(store=store, process_id=process_id or instance_id, clock=clock),
        hedges=Hedges(health=health, degradations=degradations, clock=clock),
    )


def build_use_cases(
    standing: Standing,
    *,
    backends: Backends,
    policy: StoragePolicy,
    routing: Routing,
    seals_cards: bool,
    part_size_min_bytes: int = PART_SIZE_MIN_BYTES,
    memory: Memory | None = None,
    cache: BlobCache | None = None,
    hedged: Collection[int] = (),
    unverified: Collection[int] = (),
    shared: Callable[[Tx], Collection[str] | None] = lambda _: None,
    notification_targets: Collection[str] = (),
) -> UseCases:
    """Wire everything. `seals_cards`: something of the deployment is sealed, so cards are as well.

    `hedged` are the backends that may be asked for bytes that another is late with, `unverified` those whose blocks go
    to clients unchecked. `shared` names the backends that
    every process can read; null: all of them.
    """
    store, health, degradations = standing.store, standing.health, standing.degradations
    placer = Placer(
        store=store,
        backends=backends,
        health=health,
        routing=routing,
        clock=standing.clock,
        shared=shared,
        allows_write=standing.allowances.allows_write,
    )
    blobs = BlobWriter(
        placer=placer,
        holder=standing.holder,
        health=health,
        degradations=degradations,
        ring=standing.ring,
        cards=Cards(standing.ring, standing.clock, seals_all=seals_cards),
        pool=standing.pool,
        ids=standing.ids,
        write_quorum=policy.write_quorum,
    )
    publisher = Publisher(
        store=store, writer=blobs, placer=placer, holder=standing.holder, degradations=degradations
    )
    bodies = BodyStore(policy=policy, blobs=blobs, publisher=publisher)
    reader = Reader(
        store=store,
        backends=backends,
        ring=standing.ring,
        health=health,
        suspicions=standing.suspicions,
        degradations=degradations,
        pool=standing.pool,
        memory=memory or NoMemory(),
        hedges=standing.hedges,
        hedged=hedged,
        cache=cache,
        read_rank=standing.allowances.read_rank,
        reserver=ReadReserver(standing.allowances),
        unverified=unverified,
        pipes=standing.pipes,
    )
    completer = Completer(store, part_size_min_bytes=part_size_min_bytes)
    multipart = Multipart(store=store, policy=policy, bodies=bodies, completer=completer, ids=standing.ids)
    return UseCases(
        buckets=Buckets(store),
        documents=BucketDocuments(store),
        reader=reader,
        writer=Writer(store=store, policy=policy, placer=placer, bodies=bodies),
        remover=Remover(store),
        copier=Copier(store=store, policy=policy, reader=reader, bodies=bodies, degradations=degradations),
        multipart=multipart,
        parts=Parts(store),
        part_copier=PartCopier(reader, multipart),
        listings=Listings(store),
        tagger=Tagger(store),
        importer=ObjectImporter(store=store, policy=policy, bodies=bodies),
        rewriter=BlobRewriter(store=store, policy=policy, backends=backends, bodies=bodies),
        health=health,
        degradations=degradations,
        holder=standing.holder,
        suspicions=standing.suspicions,
        cache_counts=standing.cache_counts,
        hedge_counts=standing.hedges.counts,
        notification_targets=notification_targets,
    )
