"""Works that move pieces, made of an open deployment, whatever generation it comes to run."""

from collections.abc import Mapping
from functools import partial
from typing import cast

from engine.backends.base import Backend
from engine.deployment.lagging import shared_backends
from engine.deployment.opening import OpenDeployment
from engine.placement.policy import Routing
from engine.records import BackendRow
from engine.upkeep.backend_states import find_backend
from engine.upkeep.draining import Drain
from engine.upkeep.long_work import Fence, Json, LongWork, Pace
from engine.upkeep.move_parts import MoveParts
from engine.upkeep.rebalancing import Rebalance, RebalanceOrder
from engine.upkeep.removal import Removal


class CurrentBackends:
    """The backends of the generation in force (`engine.upkeep.moved_pieces.BackendRegistry`)."""

    def __init__(self, deployment: OpenDeployment) -> None:
        self._deployment = deployment

    def get(self, backend_id: int, /) -> Backend:
        """Raises BackendUnavailable for one that this process does not know."""
        return self._deployment.backends.get(backend_id)


def move_parts(deployment: OpenDeployment) -> MoveParts:
    """What works that move pieces are made of in this process."""
    return MoveParts(
        store=deployment.store,
        backends=CurrentBackends(deployment),
        health=deployment.health,
        announcer=deployment.use.holder,
        ring=deployment.ring,
        clock=deployment.clock,
        routing=lambda: Routing(deployment.settings.live.routing),
        grace_us=int(deployment.settings.live.storage.read_grace_s * 1_000_000),
        shared=lambda tx: shared_backends(tx, deployment.generation),
        rewriter=deployment.use.rewriter,
    )


def build_drain(
    deployment: OpenDeployment, request: Mapping[str, Json], fence: Fence, pace: Pace
) -> LongWork:
    row = _backend_of(deployment, request)
    return Drain(move_parts(deployment), backend_id=row.backend_id, name=row.name, fence=fence, pace=pace)


def build_removal(
    deployment: OpenDeployment, request: Mapping[str, Json], fence: Fence, pace: Pace
) -> LongWork:
    return Removal(
        deployment.store,
        CurrentBackends(deployment),
        _backend_of(deployment, request),
        purges_data=bool(request["purge_data"]),
        fence=fence,
    )


def build_rebalance(
    deployment: OpenDeployment, request: Mapping[str, Json], fence: Fence, pace: Pace
) -> LongWork:
    bytes_max = cast(int, request["max_bytes"])
    order = RebalanceOrder(
        strategy=Routing(str(request["strategy"])),
        threshold=cast(float, request["threshold"]),
        bytes_max=bytes_max or None,
    )
    return Rebalance(move_parts(deployment), order, fence=fence, pace=pace)


def _backend_of(deployment: OpenDeployment, request: Mapping[str, Json]) -> BackendRow:
    name = str(request["name"]).removeprefix("backends/")
    return deployment.store.read(partial(find_backend, name=name, with_removed=True))
