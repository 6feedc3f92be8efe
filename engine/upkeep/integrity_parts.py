"""What looking after bytes works with: one set of parts, as one generation says, for workers and operations alike."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.backends.base import Backend
from engine.backends.registry import Backends, listed_in, volumes_in
from engine.backends.volume.backend import VolumeBackend
from engine.clock import Clock, uuid7
from engine.metadata.store import Store
from engine.placement.health import HealthBoard
from engine.placement.policy import Routing
from engine.sealing.keyring import KeyRing
from engine.upkeep.fsck_cards import RingCards
from engine.upkeep.healing import PieceHealer
from engine.upkeep.long_work import Fence, Pace
from engine.upkeep.moved_cards import MovedCards
from engine.upkeep.moved_pieces import Announcer, Rewriter
from engine.upkeep.piece_check import Depth, PieceChecker
from engine.upkeep.piece_inspection import PieceInspector
from engine.upkeep.reconciling import Reconciliation, Ways
from engine.upkeep.resolving import Repair, Resolver
from engine.upkeep.rewriting import Rewriting
from engine.upkeep.store_census import StoreCensus
from engine.upkeep.volume_census import VolumeCensus


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrityParts:
    """Made anew for each run. `grace_us` is how long readers of replaced pieces may still come.

    Without `rewriter` imported blobs stay where they are.
    """

    store: Store
    backends: Backends
    health: HealthBoard
    ring: KeyRing
    announcer: Announcer
    routing: Routing
    clock: Clock
    grace_us: int
    rewriter: Rewriter | None = None

    @property
    def volumes(self) -> list[VolumeBackend]:
        return volumes_in(self.backends)

    def checker(self, pace: Pace) -> PieceChecker:
        return PieceChecker(
            self.store,
            self.backends,
            volumes=self.volumes,
            cards=RingCards(self.ring),
            before_bytes=pace.take,
        )

    def healer(self, fence: Fence, pace: Pace) -> PieceHealer:
        return PieceHealer(
            self.store,
            self.backends,
            self.health,
            routing=self.routing,
            announcer=self.announcer,
            cards=MovedCards(self.ring, self.clock),
            fence=fence,
            pace=pace,
            clock=self.clock,
            grace_us=self.grace_us,
        )

    def rewriting(self, fence: Fence, pace: Pace) -> Rewriting:
        """Of imported blobs."""
        return Rewriting(self.rewriter, grace_us=self.grace_us, fence=fence, pace=pace)

    def inspector(self, fence: Fence, pace: Pace) -> PieceInspector:
        """One that heals what it finds bad."""
        return PieceInspector(self.store, self.checker(pace), fence=fence, healer=self.healer(fence, pace))

    def resolver(self, fence: Fence, pace: Pace) -> Resolver:
        return Resolver(
            self.store,
            checker=self.checker(pace),
            healer=self.healer(fence, pace),
            volumes={each.backend_id: each for each in self.volumes},
            listings=self.listings(),
            fence=fence,
        )

    def listings(self) -> dict[int, StoreCensus]:
        """One for each backend whose store can be listed, by its id."""
        listed = [each for each in map(listed_in, self.backends) if each is not None]
        return {
            each.backend_id: StoreCensus(self.store, each, clock=self.clock, grace_us=self.grace_us)
            for each in listed
        }

    def censuses(self) -> dict[int, VolumeCensus]:
        """One for each volume, by its backend's id."""
        cards = RingCards(self.ring)
        return {
            each.backend_id: VolumeCensus(
                self.store, each, cards=cards, clock=self.clock, grace_us=self.grace_us
            )
            for each in self.volumes
        }

    def reconciliation(
        self,
        backends: Sequence[Backend],
        fence: Fence,
        pace: Pace,
        *,
        ways: Ways = Ways.BOTH,
        depth: Depth = Depth.FULL,
        repair: Repair = Repair.NONE,
    ) -> Reconciliation:
        return Reconciliation(
            self.store,
            backends,
            checker=self.checker(pace),
            censuses=self.censuses(),
            listings=self.listings(),
            resolver=self.resolver(fence, pace),
            fence=fence,
            clock=self.clock,
            ids=uuid7,
            ways=ways,
            depth=depth,
            repair=repair,
        )
