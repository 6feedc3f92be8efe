"""The backends of a process: made from rows and settings, registered once, compared with their identity ever after."""

import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from engine.backends.base import Backend
from engine.backends.layers.breaking import BreakingBackend
from engine.backends.layers.layer import innermost
from engine.backends.layers.metering import MeteredBackend
from engine.backends.registry import Backends, MemoryPlace, Place, VolumePlace, make_backend
from engine.backends.s3.backend import S3Backend
from engine.backends.volume.descriptors import DescriptorCache
from engine.clock import Clock
from engine.deployment.allowances import Allowances
from engine.deployment.places import s3_place
from engine.deployment.registering import TURN_WAIT_S, Registrar
from engine.errors import BackendError, ForeignBackend, StartRefused
from engine.metadata import backends
from engine.metadata.store import Store
from engine.names import BackendName
from engine.placement.health import HealthBoard
from engine.records import BackendRow, BackendState
from engine.sealing.keyring import KeyRing
from engine.sealing.trailer_macs import trailer_mac
from engine.settings import LiveSettings
from engine.settings.storage import BackendSettings
from engine.upkeep.volume_ledger import StoredVolumeLedger

_log = logging.getLogger("penstock.deployment")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBackends:
    """Backends with their places, and what is wrong with some of them, by id.

    `anew` are those that were opened for this set: the others were open before. Of these, whatever was held against
    them is settled.
    """

    backends: Backends
    places: Mapping[int, Place]
    problems: Mapping[int, str] = field(default_factory=dict)
    anew: frozenset[int] = frozenset()

    def gone_from(self, later: "OpenBackends") -> list[Backend]:
        """Those of this set that a later one has no more, or has opened anew."""
        kept = {id(innermost(each)) for each in later.backends}
        return [each for each in self.backends if id(innermost(each)) not in kept]


class BackendOpener:
    """Opens the backends of one process, which share the descriptors of their volumes."""

    def __init__(
        self,
        store: Store,
        health: HealthBoard,
        allowances: Allowances,
        *,
        deployment_id: bytes,
        process_id: bytes,
        ring: KeyRing,
        clock: Clock,
    ) -> None:
        self._store = store
        self._health = health
        self._allowances = allowances
        self._registrar = Registrar(store, deployment_id=deployment_id, process_id=process_id, clock=clock)
        self._deployment_id = deployment_id
        self._process_id = process_id
        self._mac = trailer_mac(ring)
        self.descriptors = DescriptorCache()

    def open_first(self, live: LiveSettings, *, rows: Sequence[BackendRow] | None = None) -> OpenBackends:
        """Make every backend that the configuration names; write the identity of those not registered yet.

        One whose identity is missing or another's is failed, never initialised again, and the rest goes on; so is one
        that cannot be registered now. One that is only out of reach is suspected. Raises StartRefused when the folder
        of one that was never registered is somebody else's. `rows` stand for the database's while that is away.
        """
        made: list[Backend] = []
        places: dict[int, Place] = {}
        problems: dict[int, str] = {}
        named = self._named(live, rows)
        self._limit(named)
        with ExitStack() as undo:
            for row, settings in named:
                places[row.backend_id] = _place(settings, live)
                backend = self._layered(self._make(row, places[row.backend_id]), settings)
                made.append(backend)
                undo.callback(backend.close)
                try:
                    self._prove(backend, row, settings)
                except BackendError as error:
                    problems[row.backend_id] = str(error)
                    if isinstance(error, ForeignBackend) or not row.is_registered:
                        self._health.condemn(row.backend_id, str(error))
                    else:
                        self._health.failed(row.backend_id)
                    _log.error("backend.failed", extra={"backend": row.name, "problem": str(error)})
            undo.pop_all()
        return OpenBackends(backends=Backends(made), places=places, problems=problems)

    def open_next(self, before: OpenBackends, live: LiveSettings) -> OpenBackends:
        """The backends of another generation: those that stay where they were are the same ones.

        A failed one is opened anew if it is what it should be by now. Raises BackendError and StartRefused when one
        that was not open here cannot be used; then nothing has changed.
        """
        made: list[Backend] = []
        places: dict[int, Place] = {}
        anew: set[int] = set()
        named = self._named(live, None)
        self._limit(named)
        with ExitStack() as undo:
            for row, settings in named:
                backend_id, place = row.backend_id, _place(settings, live)
                places[backend_id] = place
                backend = _at_same_place(before, backend_id, place)
                if backend is not None:
                    backend = self._layered(innermost(backend), settings)
                is_failed = backend is not None and self._health.problem_of(backend_id) is not None
                if backend is None or is_failed:
                    fresh = self._layered(self._make(row, place), settings)
                    try:
                        self._prove(fresh, row, settings)
                    except BackendError:
                        fresh.close()
                        if backend is None:
                            raise
                    else:
                        undo.callback(fresh.close)
                        backend = fresh
                        anew.add(backend_id)
                made.append(backend)
            undo.pop_all()
        return OpenBackends(backends=Backends(made), places=places, anew=frozenset(anew))

    def problem_now(self, backend_id: int, live: LiveSettings) -> str | None:
        """What a failed backend lacks to be opened anew, looked at from nothing; null when it is what it should be.

        One that was never registered is registered if it can be by now; nothing else is ever written. Raises what the
        store raises.
        """
        if not self._allowances.may_probe(backend_id):
            return self._health.problem_of(backend_id)
        for row, settings in self._named(live, None):
            if row.backend_id != backend_id:
                continue
            # Without a breaker: one that is open would only say so.
            fresh = self._make(row, _place(settings, live))
            try:
                self._prove(fresh, row, settings, wait_s=0.0)
            except (BackendError, StartRefused) as error:
                return str(error)
            finally:
                fresh.close()
            return None
        return self._health.problem_of(backend_id)

    def _named(
        self, live: LiveSettings, rows: Sequence[BackendRow] | None
    ) -> list[tuple[BackendRow, BackendSettings]]:
        known = self._store.read(backends.list_backends) if rows is None else rows
        by_name: dict[BackendName, BackendRow] = {row.name: row for row in known}
        named = [(by_name[each.name], each) for each in live.backends if each.name in by_name]
        return [(row, each) for row, each in named if row.state is not BackendState.REMOVED]

    def _layered(self, bare: Backend, settings: BackendSettings) -> Backend:
        """What stands around a backend in every use of it, from within outwards."""
        if isinstance(bare, S3Backend):
            backend: Backend = BreakingBackend(bare, self._health.gate_of(bare.backend_id))
        else:
            backend = bare
        if not settings.is_metered:
            return backend
        meter = self._allowances.meter_of(bare.backend_id, bare.name)
        return MeteredBackend(backend, meter, counts_requests=not isinstance(bare, S3Backend))

    def _limit(self, named: Sequence[tuple[BackendRow, BackendSettings]]) -> None:
        self._allowances.limit({row.backend_id: settings.limits.amounts for row, settings in named})

    def _make(self, row: BackendRow, place: Place) -> Backend:
        return make_backend(
            row,
            place,
            deployment_id=self._deployment_id,
            ledger=StoredVolumeLedger(self._store, backend_id=row.backend_id, process_id=self._process_id),
            descriptors=self.descriptors,
            mac=self._mac,
            before_request=self._allowances.meter_of(row.backend_id, row.name).before_request,
        )

    def _prove(
        self, backend: Backend, row: BackendRow, settings: BackendSettings, *, wait_s: float = TURN_WAIT_S
    ) -> None:
        if not row.is_registered:
            self._registrar.register(innermost(backend), row, settings, wait_s=wait_s)
        backend.check_identity()


def _at_same_place(before: OpenBackends, backend_id: int, place: Place) -> Backend | None:
    at = before.places.get(backend_id)
    is_same = isinstance(at, MemoryPlace) if isinstance(place, MemoryPlace) else at == place
    return before.backends.get(backend_id) if is_same else None


def _place(settings: BackendSettings, live: LiveSettings) -> Place:
    if settings.kind == "volume":
        return VolumePlace(path=settings.folder)
    if settings.kind == "s3":
        return s3_place(settings)
    if not live.debug.allowed:
        raise StartRefused(f"backend {settings.name!r} is kept in memory, which asks for debug.allowed: true")
    return MemoryPlace(capacity_bytes=settings.quota_bytes)


def note_views(
    store: Store,
    instance_id: bytes,
    problems: Mapping[int, str | None],
    health: HealthBoard,
    *,
    failed: Collection[int] = (),
) -> None:
    """Tell how this instance sees each backend; those in `failed` cannot be used. Raises what a write raises."""
    units = []
    for backend_id, problem in problems.items():
        seen = health.view_of(backend_id)
        unit = partial(
            backends.note_view,
            backend_id=backend_id,
            instance_id=instance_id,
            problem=problem,
            is_failed=backend_id in failed,
            health=seen.health.value,
            phi=seen.phi,
            breaker=None if seen.breaker is None else seen.breaker.value,
        )
        units.append(unit)
    store.write(lambda tx: [unit(tx) for unit in units])
