"""What looking after bytes works with, taken from the generation that is in force."""

from engine.backends.layers.layer import innermost
from engine.backends.memory import MemoryBackend
from engine.backends.registry import Backends
from engine.deployment.process import OpenDeployment
from engine.placement.policy import Routing
from engine.settings.storage import StorageSettings
from engine.upkeep.away import HealPolicy
from engine.upkeep.integrity_parts import IntegrityParts


def integrity_parts(opened: OpenDeployment) -> IntegrityParts:
    """Without backends in memory: their pieces are in that of other processes, and here they would seem to be lost."""
    snapshot = opened.snapshot
    reached = [each for each in snapshot.opened.backends if not isinstance(innermost(each), MemoryBackend)]
    return IntegrityParts(
        store=opened.store,
        backends=Backends(reached),
        health=opened.health,
        ring=opened.ring,
        announcer=snapshot.use.holder,
        routing=Routing(snapshot.live.routing),
        clock=opened.clock,
        grace_us=int(snapshot.live.storage.read_grace_s * 1_000_000),
        rewriter=snapshot.use.rewriter,
    )


def heal_policy(storage: StorageSettings) -> HealPolicy:
    """When what lies on a backend that is away is made anew."""
    return HealPolicy(heal_after_s=storage.heal_after_s, default_scheme=storage.default_scheme)
