"""What works that move pieces are made of, whoever carries them out."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from engine.clock import Clock
from engine.metadata.store import Store
from engine.placement.health import HealthBoard
from engine.placement.policy import Routing
from engine.sealing.keyring import KeyRing
from engine.upkeep.long_work import Fence, Pace
from engine.upkeep.moved_cards import MovedCards
from engine.upkeep.moved_pieces import Announcer, BackendRegistry, Rewriter
from engine.upkeep.moving import PieceMover
from engine.upkeep.targets import Shared, Targets, all_shared


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveParts:
    """`grace_us` is how long readers of old pieces may still come.

    `routing` is the deployment's, now; `shared` names the backends that every process can read, null: all of them.
    Without `rewriter` imported blobs stay where they are.
    """

    store: Store
    backends: BackendRegistry
    health: HealthBoard
    announcer: Announcer
    ring: KeyRing
    clock: Clock
    routing: Callable[[], Routing]
    grace_us: int
    shared: Shared = all_shared
    rewriter: Rewriter | None = None

    def mover(self, *, fence: Fence, pace: Pace, reason: str) -> PieceMover:
        return PieceMover(
            self.store,
            self.backends,
            announcer=self.announcer,
            cards=MovedCards(self.ring, self.clock),
            fence=fence,
            pace=pace,
            clock=self.clock,
            grace_us=self.grace_us,
            reason=reason,
        )

    def targets(
        self, *, sources: Collection[int], allowed: Callable[[int], bool] = lambda backend_id: True
    ) -> Targets:
        """For one unit of moving."""
        return Targets(
            self.store,
            self.backends,
            self.health,
            routing=self.routing(),
            sources=sources,
            allowed=allowed,
            shared=self.shared,
        )
