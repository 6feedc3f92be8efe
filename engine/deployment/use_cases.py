"""The use cases of clients, wired to one store, one set of backends and one ring."""

from dataclasses import dataclass

from engine.backends.registry import Backends
from engine.clock import Clock, Ids
from engine.metadata.store import Store
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
from engine.objects.intents import IntentHolder
from engine.objects.listings import Listings
from engine.objects.multipart import Multipart
from engine.objects.part_copy import PartCopier
from engine.objects.parts import Parts
from engine.objects.placing import Placer
from engine.objects.publishing import Publisher
from engine.objects.read import Reader
from engine.objects.remove import Remover
from engine.objects.storage_policy import StoragePolicy
from engine.objects.suspicions import Suspicions
from engine.objects.tagging import Tagger
from engine.objects.write import Writer
from engine.placement.health import HealthBoard
from engine.placement.policy import Routing
from engine.sealing.keyring import KeyRing
from engine.units import PART_SIZE_MIN_BYTES


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
    health: HealthBoard
    degradations: Degradations
    holder: IntentHolder
    suspicions: Suspicions

    def tick(self) -> None:
        """Renew intents and mark suspects; called every few seconds. Raises what a write raises; repeating is safe."""
        self.holder.tick()
        self.suspicions.flush()


def build_use_cases(
    *,
    store: Store,
    backends: Backends,
    ring: KeyRing,
    health: HealthBoard,
    policy: StoragePolicy,
    routing: Routing,
    instance_id: bytes,
    clock: Clock,
    ids: Ids,
    seals_cards: bool,
    part_size_min_bytes: int = PART_SIZE_MIN_BYTES,
    degradations: Degradations | None = None,
    memory: Memory | None = None,
) -> UseCases:
    """Wire everything. `seals_cards`: something of the deployment is sealed, so cards are as well."""
    degradations = degradations or Degradations()
    pool = BlockPool()
    holder = IntentHolder(store=store, instance_id=instance_id, clock=clock, ids=ids)
    suspicions = Suspicions(store, degradations)
    placer = Placer(store=store, backends=backends, health=health, routing=routing, clock=clock)
    blobs = BlobWriter(
        placer=placer,
        holder=holder,
        health=health,
        degradations=degradations,
        ring=ring,
        cards=Cards(ring, clock, seals_all=seals_cards),
        pool=pool,
        ids=ids,
        write_quorum=policy.write_quorum,
    )
    publisher = Publisher(store=store, writer=blobs, placer=placer, holder=holder, degradations=degradations)
    bodies = BodyStore(policy=policy, blobs=blobs, publisher=publisher)
    reader = Reader(
        store=store,
        backends=backends,
        ring=ring,
        health=health,
        suspicions=suspicions,
        degradations=degradations,
        pool=pool,
        memory=memory or NoMemory(),
    )
    completer = Completer(store, part_size_min_bytes=part_size_min_bytes)
    multipart = Multipart(store=store, policy=policy, bodies=bodies, completer=completer, ids=ids)
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
        health=health,
        degradations=degradations,
        holder=holder,
        suspicions=suspicions,
    )
