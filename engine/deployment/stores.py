"""The backends of a process: made from rows and settings, registered once, compared with their identity ever after."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from engine.backends.base import Backend
from engine.backends.registry import Backends, MemoryPlace, Place, VolumePlace, make_backend
from engine.backends.volume.descriptors import DescriptorCache
from engine.backends.volume.identity import Identity, init_identity
from engine.clock import Clock
from engine.deployment.places import occupied_message
from engine.errors import BackendError, ForeignBackend, StartRefused
from engine.metadata import backends
from engine.metadata.store import Store, Tx
from engine.names import BackendName
from engine.placement.health import HealthBoard
from engine.records import BackendRow, BackendState
from engine.settings import LiveSettings
from engine.settings.storage import BackendSettings
from engine.upkeep.volume_ledger import StoredVolumeLedger

_log = logging.getLogger("penstock.deployment")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBackends:
    """Backends, the descriptors their volumes share, and what is wrong with some of them, by id."""

    backends: Backends
    descriptors: DescriptorCache
    problems: Mapping[int, str]


def open_backends(
    store: Store,
    live: LiveSettings,
    health: HealthBoard,
    *,
    deployment_id: bytes,
    process_id: bytes,
    clock: Clock,
    rows: Sequence[BackendRow] | None = None,
) -> OpenBackends:
    """Make every backend that the configuration names; write the identity of those not registered yet.

    One whose identity is missing or another's is failed, never initialised again, and the rest goes on; so is one that
    cannot be registered now. One that is only out of reach is suspected. Raises StartRefused when the folder of one
    that was never registered is somebody else's. `rows` stand for the database's while that is away.
    """
    descriptors = DescriptorCache()
    try:
        made: list[Backend] = []
        problems: dict[int, str] = {}
        for row, settings in _named(
            store.read(backends.list_backends) if rows is None else rows, live.backends
        ):
            backend = make_backend(
                row,
                _place(settings, live),
                deployment_id=deployment_id,
                ledger=StoredVolumeLedger(store, backend_id=row.backend_id, process_id=process_id),
                descriptors=descriptors,
            )
            made.append(backend)
            try:
                if not row.is_registered:
                    _register(store, row, settings, deployment_id=deployment_id, clock=clock)
                backend.check_identity()
            except BackendError as error:
                problems[row.backend_id] = str(error)
                if isinstance(error, ForeignBackend) or not row.is_registered:
                    health.condemn(row.backend_id, str(error))
                else:
                    health.failed(row.backend_id)
                _log.error("backend.failed", extra={"backend": row.name, "problem": str(error)})
    except BaseException:
        descriptors.close()
        raise
    return OpenBackends(backends=Backends(made), descriptors=descriptors, problems=problems)


def _named(
    rows: Sequence[BackendRow], settings: Sequence[BackendSettings]
) -> list[tuple[BackendRow, BackendSettings]]:
    by_name: dict[BackendName, BackendRow] = {row.name: row for row in rows}
    named = [(by_name[each.name], each) for each in settings if each.name in by_name]
    return [(row, each) for row, each in named if row.state is not BackendState.REMOVED]


def _place(settings: BackendSettings, live: LiveSettings) -> Place:
    if settings.kind == "volume":
        return VolumePlace(path=settings.folder)
    if not live.debug.allowed:
        raise StartRefused(f"backend {settings.name!r} is kept in memory, which asks for debug.allowed: true")
    return MemoryPlace(capacity_bytes=settings.quota_bytes)


def _register(
    store: Store, row: BackendRow, settings: BackendSettings, *, deployment_id: bytes, clock: Clock
) -> None:
    """Create-only, so processes that do it at once and starts that repeat it end with one identity.

    Raises StartRefused, BackendUnavailable.
    """
    if settings.kind == "volume":
        identity = Identity(
            backend=row.name, deployment_id=deployment_id, identity_id=row.identity_id, node=row.node
        )
        try:
            init_identity(settings.folder, identity, created_at_us=clock.now_us())
        except ForeignBackend as error:
            raise StartRefused(occupied_message(row.name, error)) from error

    def unit(tx: Tx) -> None:
        backends.mark_registered(tx, row.backend_id)

    store.write(unit)
    _log.info("backend.registered", extra={"backend": row.name})


def note_views(store: Store, instance_id: bytes, problems: Mapping[int, str | None]) -> None:
    """Tell how this instance sees each backend. Raises what a write raises."""
    units = [
        partial(backends.note_view, backend_id=backend_id, instance_id=instance_id, problem=problem)
        for backend_id, problem in problems.items()
    ]
    store.write(lambda tx: [unit(tx) for unit in units])
