"""What operators do to the state of a backend: drain it, take it back, keep it from being written to, remove it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from engine.clock import Ids
from engine.errors import BackendInState, ConcurrentWrite, MalformedField, NoSuchResource
from engine.metadata import backends, operations
from engine.metadata.operations import OperationRow
from engine.metadata.store import Store, Tx
from engine.names import BackendName
from engine.placement.policy import Routing
from engine.records import BackendRow, BackendState, Scheme
from engine.upkeep.drain_plan import DrainPlan, is_plan_current, plan_drain
from engine.upkeep.moved_pieces import BackendRegistry
from engine.upkeep.removal_plan import RemovalPlan, plan_removal

DRAIN_METHOD = "penstock.admin.v1.BackendService/DrainBackend"
REMOVE_METHOD = "penstock.admin.v1.BackendService/RemoveBackend"

PLAN_COUNT_MAX = 5
"""Times a drain is planned because the other backends have changed since the plan before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendStates:
    """`default_scheme` and `routing` are the deployment's, now; `ids` name operations."""

    store: Store
    backends: BackendRegistry
    default_scheme: Callable[[], Scheme]
    routing: Callable[[], Routing]
    ids: Ids

    def plan_drain(self, name: str) -> DrainPlan:
        """What emptying it would take. Raises NoSuchResource."""
        return plan_drain(
            self.store,
            self.backends,
            self.store.read(partial(find_backend, name=name)),
            default_scheme=self.default_scheme(),
            routing=self.routing(),
        )

    def drain(self, name: str, *, max_bytes_per_second: int, creator: str | None) -> OperationRow:
        """From now on the backend takes no pieces, and what it holds goes elsewhere.

        While one is at it that one is answered. Raises NoSuchResource, BackendInState, RedundancyAtRisk.
        """
        target = target_of(name)
        for _ in range(PLAN_COUNT_MAX):
            under_way = self.store.read(partial(_drain_under_way, name=name))
            if under_way is not None:
                return under_way
            plan = self.plan_drain(name)
            plan.check()
            operation = self.store.write(
                partial(
                    _begin_drain,
                    plan=plan,
                    operation_name=self._operation_name(),
                    request={"name": target, "max_bytes_per_second": max_bytes_per_second},
                    creator=creator,
                )
            )
            if operation is not None:
                return operation
        raise ConcurrentWrite(f"other backends change all the time while a drain of {name!r} is planned")

    def undrain(self, name: str, *, creator: str | None) -> None:
        """The backend takes pieces again, and a drain under way stops. Raises NoSuchResource, BackendInState."""

        def unit(tx: Tx) -> None:
            backends.lock_states(tx)
            row = find_backend(tx, name)
            refuse_while_removed(tx, name)
            if row.state is BackendState.READ_ONLY:
                raise BackendInState(
                    backend=name,
                    state=row.state.value,
                    hint="an operator made it so: update it with read_only false",
                )
            draining = operations.find_open_operation(tx, method=DRAIN_METHOD, target=target_of(name))
            if draining is not None:
                operations.request_cancel(tx, draining.name, creator=creator)
            if row.state is not BackendState.ACTIVE:
                backends.set_state(tx, row.backend_id, BackendState.ACTIVE, reason=_by("undrained", creator))

        self.store.write(unit)

    def set_read_only(
        self, name: str, *, is_read_only: bool, creator: str | None, validate_only: bool = False
    ) -> None:
        """Keep it from taking pieces, or let it again. Raises NoSuchResource, BackendInState."""

        def unit(tx: Tx) -> None:
            backends.lock_states(tx)
            row = find_backend(tx, name)
            if row.state not in (BackendState.ACTIVE, BackendState.READ_ONLY):
                raise BackendInState(backend=name, state=row.state.value, hint="undrain it first")
            wanted = BackendState.READ_ONLY if is_read_only else BackendState.ACTIVE
            if row.state is not wanted and not validate_only:
                told = _by("made read-only", creator) if is_read_only else None
                backends.set_state(tx, row.backend_id, wanted, reason=told)

        self.store.write(unit)

    def plan_removal(self, name: str) -> RemovalPlan:
        """What removing it would delete. Raises NoSuchResource."""
        row = self.store.read(partial(find_backend, name=name))
        return plan_removal(self.store, self.backends, row)

    def remove(self, name: str, *, purges_data: bool, confirm_name: str, creator: str | None) -> OperationRow:
        """The drained backend is forgotten; with `purges_data` what is ours is deleted there, once its grace is over.

        `confirm_name` is its name once more. While one is at it that one is answered. Raises NoSuchResource,
        MalformedField, BackendInState.
        """
        if confirm_name != name:
            raise MalformedField("confirm_name", f"to remove {name!r} this has to be its name")
        operation_name, target = self._operation_name(), target_of(name)

        def unit(tx: Tx) -> OperationRow:
            backends.lock_states(tx)
            row = find_backend(tx, name)
            opened = operations.find_open_operation(tx, method=REMOVE_METHOD, target=target)
            if opened is not None:
                return opened
            backends.fence_backend(tx, row.backend_id)
            check_removable(tx, row)
            operation = operations.start(
                tx,
                name=operation_name,
                method=REMOVE_METHOD,
                target=target,
                request={"name": target, "purge_data": purges_data},
                creator=creator,
            )
            backends.set_state(
                tx,
                row.backend_id,
                BackendState.DRAINED,
                reason=_by("being removed", creator),
                operation=operation.name,
            )
            return operation

        return self.store.write(unit)

    def _operation_name(self) -> str:
        return f"operations/{self.ids().hex()}"


def target_of(name: str) -> str:
    """A backend as operations name it."""
    return f"backends/{name}"


def find_backend(tx: Tx, name: str, *, with_removed: bool = False) -> BackendRow:
    """Raises NoSuchResource, also for one that was removed unless that does not matter."""
    for row in backends.list_backends(tx):
        if row.name == name and (with_removed or row.state is not BackendState.REMOVED):
            return row
    raise NoSuchResource(name=target_of(name))


def refuse_while_removed(tx: Tx, name: str) -> None:
    """Raises BackendInState while a removal is under way."""
    if operations.find_open_operation(tx, method=REMOVE_METHOD, target=target_of(name)) is not None:
        raise BackendInState(backend=name, state="being removed", hint="cancel the removal first")


def check_removable(tx: Tx, row: BackendRow) -> None:
    """Raises BackendInState unless the backend is drained and nothing lies there; its fence is held by the caller."""
    if row.state is not BackendState.DRAINED:
        raise BackendInState(backend=row.name, state=row.state.value, hint="drain it first")
    if backends.holds_pieces(tx, row.backend_id):
        raise BackendInState(backend=row.name, state="not empty", hint="undrain it and drain it again")


def _drain_under_way(tx: Tx, name: str) -> OperationRow | None:
    """Raises what stands against another one."""
    row = find_backend(tx, name)
    refuse_while_removed(tx, name)
    if row.state is BackendState.DRAINED:
        raise BackendInState(
            backend=name, state=row.state.value, hint="remove it, or undrain it so that it is used again"
        )
    opened = operations.find_open_operation(tx, method=DRAIN_METHOD, target=target_of(name))
    if opened is not None and opened.is_cancel_requested:
        raise BackendInState(
            backend=name,
            state=row.state.value,
            hint="the drain before is being cancelled: ask again in a moment",
        )
    return opened


def _begin_drain(
    tx: Tx,
    *,
    plan: DrainPlan,
    operation_name: str,
    request: dict[str, object],
    creator: str | None,
) -> OperationRow | None:
    """Null when the plan is none any more: its backend, or others that it counts on, have changed."""
    backends.lock_states(tx)
    row, name = find_backend(tx, plan.backend.name), BackendName(plan.backend.name)
    if row != plan.backend or not is_plan_current(tx, plan):
        return None
    operation = operations.start(
        tx,
        name=operation_name,
        method=DRAIN_METHOD,
        target=target_of(name),
        request=request,
        creator=creator,
    )
    if operation.name != operation_name:
        return None
    backends.set_state(
        tx,
        row.backend_id,
        BackendState.DRAINING,
        reason=_by("drained", creator),
        operation=operation.name,
    )
    return operation


def _by(what: str, creator: str | None) -> str:
    return what if creator is None else f"{what} by {creator}"
