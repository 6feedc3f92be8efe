"""Moving pieces of a small deployment: what a work is made of, without the runner of operations."""

from functools import partial

from engine.backends.registry import Backends
from engine.metadata import backends as backend_rows
from engine.metadata.moves import Movable, list_movable
from engine.metadata.store import Store
from engine.metadata.versions import read_locations
from engine.names import BackendName
from engine.records import BackendState, Location
from engine.upkeep.draining import Drain
from engine.upkeep.long_work import Fence, LongWork, Step
from engine.upkeep.move_parts import MoveParts
from engine.upkeep.moved_pieces import Moved
from engine.upkeep.moving import PieceMover
from engine.upkeep.targets import Targets
from tests.support.deployments import no_fence
from tests.support.objects import GRACE_US, ObjectRig


class Unpaced:
    """Remembers what was asked for, and holds nothing back."""

    def __init__(self) -> None:
        self.taken_bytes = 0
        self.is_over = False

    def take(self, size_bytes: int, /) -> None:
        self.taken_bytes += size_bytes


def parts_of(rig: ObjectRig, *, backends: Backends | None = None, store: Store | None = None) -> MoveParts:
    return MoveParts(
        store=store or rig.store,
        backends=backends or rig.backends,
        health=rig.health,
        announcer=rig.objects.holder,
        ring=rig.ring,
        clock=rig.clock,
        routing=lambda: rig.shape.routing,
        grace_us=GRACE_US,
        rewriter=rig.objects.rewriter,
    )


def set_state(rig: ObjectRig, backend_id: int, state: BackendState, *, operation: str | None = None) -> None:
    rig.store.write(
        partial(backend_rows.set_state, backend_id=backend_id, state=state, reason=None, operation=operation)
    )


def state_of(rig: ObjectRig, backend_id: int) -> BackendState:
    return rig.store.read(partial(backend_rows.find_standing, backend_id=backend_id)).state


def drain_of(
    rig: ObjectRig,
    backend_id: int,
    *,
    fence: Fence = no_fence,
    backends: Backends | None = None,
    store: Store | None = None,
) -> Drain:
    """The drain of a backend; time that it rests passes at once."""

    def rest(seconds: float) -> None:
        rig.clock.ahead_us += int(seconds * 1_000_000)

    return Drain(
        parts_of(rig, backends=backends, store=store),
        backend_id=backend_id,
        name=BackendName(f"backend-{backend_id}"),
        fence=fence,
        pace=Unpaced(),
        rest=rest,
    )


def run_steps(work: LongWork, cursor: str | None = None) -> list[Step]:
    """Every step to the last."""
    steps: list[Step] = []
    while not steps or not steps[-1].is_last:
        steps.append(work.step(steps[-1].cursor if steps else cursor))
        assert len(steps) < 10_000, "it never ends"
    return steps


def mover_of(
    rig: ObjectRig, *, fence: Fence = no_fence, pace: Unpaced | None = None, backends: Backends | None = None
) -> PieceMover:
    return parts_of(rig, backends=backends).mover(fence=fence, pace=pace or Unpaced(), reason="drained")


def targets_of(rig: ObjectRig, *sources: int) -> Targets:
    return parts_of(rig).targets(sources=frozenset(sources))


def movables_on(rig: ObjectRig, backend_id: int) -> list[Movable]:
    return rig.store.read(partial(list_movable, backend_id=backend_id, after="", count_max=1000))


def move_all(rig: ObjectRig, backend_id: int, **options: object) -> Moved:
    """Everything of a backend that goes elsewhere in one round."""
    total = Moved()
    waiting = movables_on(rig, backend_id)
    mover = mover_of(rig, **options)  # type: ignore[arg-type]
    while waiting:
        moved = mover.move(waiting, targets_of(rig, backend_id))
        total.seen_count += moved.seen_count
        total.moved_count += moved.moved_count
        total.moved_bytes += moved.moved_bytes
        total.unmoved += moved.unmoved
        waiting = waiting[moved.seen_count :]
    return total


def locations_of(rig: ObjectRig, key: str) -> list[Location]:
    """Pieces of an object's blobs, in order."""
    stored = rig.find(key)
    return [
        location
        for each in stored.slices
        for location in rig.store.read(partial(read_locations, blob_id=each.blob.blob_id))
    ]


def backends_of(rig: ObjectRig, key: str) -> set[int]:
    return {each.backend_id for each in locations_of(rig, key)}
