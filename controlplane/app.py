"""The composition root of the control plane: what its process is made of, and how it ends."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from penstock.admin.v1 import (
    backend_service_pb2_grpc,
    bucket_service_pb2_grpc,
    cleanup_service_pb2_grpc,
    config_service_pb2_grpc,
    heal_service_pb2_grpc,
    identity_service_pb2_grpc,
    key_service_pb2_grpc,
    log_service_pb2_grpc,
    maintenance_service_pb2_grpc,
    notification_service_pb2_grpc,
    object_service_pb2_grpc,
    operation_service_pb2_grpc,
    rebalance_service_pb2_grpc,
    reconcile_service_pb2_grpc,
    replication_service_pb2_grpc,
    scrub_service_pb2_grpc,
    system_service_pb2_grpc,
    usage_service_pb2_grpc,
    worker_service_pb2_grpc,
)

from controlplane.answering import CallParts
from controlplane.audit import AuditTrail, HeadFile, sealing
from controlplane.duties import ProcessDuties
from controlplane.integrity import heal_policy, integrity_parts
from controlplane.network import Network
from controlplane.operations.kinds import KINDS, OperationKind
from controlplane.operations.moving import CurrentBackends, move_parts
from controlplane.operations.pace import Budgets
from controlplane.operations.runner import OperationRunner
from controlplane.operations.starting import OperationStarter
from controlplane.overview.backend_figures import BackendFigures
from controlplane.overview.figures import ControlFigures, FigureFile
from controlplane.overview.node_checks import NodeChecks
from controlplane.overview.notification_figures import NotificationFigures
from controlplane.overview.sampling import METRICS_FOLDER, Sampler
from controlplane.place import Place, sole_control_plane
from controlplane.pool import EnginePool
from controlplane.presigner import Presigner
from controlplane.sealing_survey import SealingSurvey
from controlplane.server import ControlServer
from controlplane.services.audit_reading import AuditReading
from controlplane.services.backends import BackendServicer
from controlplane.services.buckets import BucketServicer
from controlplane.services.cleanup import CleanupServicer
from controlplane.services.config import ConfigServicer
from controlplane.services.healing import HealServicer
from controlplane.services.identities import IdentityServicer
from controlplane.services.keys import KeyServicer
from controlplane.services.logs import LogServicer
from controlplane.services.maintenance import MaintenanceServicer
from controlplane.services.notifications import NotificationServicer
from controlplane.services.objects import ObjectServicer
from controlplane.services.operations import OperationServicer
from controlplane.services.rebalance import RebalanceServicer
from controlplane.services.reconcile import ReconcileServicer
from controlplane.services.replication import ReplicationServicer
from controlplane.services.scrub import ScrubServicer
from controlplane.services.system import SystemServicer
from controlplane.services.usage import UsageServicer
from controlplane.services.workers import WorkerServicer
from controlplane.settings import ControlSettings
from controlplane.telling.hub import Hub
from controlplane.tracing.store import TracedStore
from controlplane.tracing.tracing import Tracing
from controlplane.workers.backlog import backlog
from controlplane.workers.roster import WorkerParts
from controlplane.workers.workers import Workers
from engine.clock import Ids, uuid7
from engine.deployment.following import Commit
from engine.deployment.notifying import notification_targets
from engine.deployment.opening import OpenDeployment, open_deployment
from engine.deployment.snapshots import Snapshot, cache_folder, month_limits
from engine.logs import log_to, set_level
from engine.metadata import leases
from engine.metadata.costs import StoringRules
from engine.notifications.tally import DeliveryTally
from engine.notifications.webhooks import Webhooks
from engine.placement.policy import Routing
from engine.settings import LiveSettings
from engine.telling.figures import figures_path
from engine.upkeep.away import HealPolicy
from engine.upkeep.backend_states import BackendStates
from engine.upkeep.scrubbing import Agenda

NICENESS = 5
"""How far this process steps back when processors are scarce: S3 clients come before background work and operators."""

_log = logging.getLogger("penstock.control")


def run_plane(
    config: Path,
    environ: Mapping[str, str],
    *,
    version: str,
    stopping: threading.Event,
    settings: ControlSettings | None = None,
    kinds: Sequence[OperationKind] = KINDS,
) -> bool:
    """Open the deployment and serve until `stopping` is set or SIGTERM or SIGINT comes; whether all of it ended.

    To be called in the main thread. Raises what opening a deployment raises, and StartRefused when nothing can listen
    here.
    """
    # The level stands in the settings, and what a start has to say of disks must not wait for them.
    log_to(None, process="controlplane", level="info")
    opened = open_deployment(config, environ, plane="controlplane", version=version)
    # Not before: nice values are a thread's own, and who commits holds a lock that the data plane waits for.
    os.nice(NICENESS)
    live, node = opened.settings.live, opened.settings.node
    log_to(None, process="controlplane", level=live.telemetry.log_level)
    settings = settings or ControlSettings()
    try:
        with sole_control_plane(node.node.state_dir, wait_s=settings.place_wait_s) as place:
            _succeed(opened, place)
            plane = ControlPlane(opened, environ, version=version, settings=settings, kinds=kinds)
            opened.obey(ProcessDuties(environ))
            has_ended = asyncio.run(_serve(plane, stopping))
    except BaseException:
        opened.close()
        raise
    # A thread that hangs may hold anything: the end of the process frees it, and the next start recovers.
    if has_ended:
        opened.close()
    return has_ended


def _succeed(opened: OpenDeployment, place: Place) -> None:
    """Free what the process led that was here before: killed, it could not, and nobody need wait for its leases."""
    if place.before is not None:
        count = opened.store.write(partial(leases.release_all, holder=place.before))
        if count:
            _log.info("control.leases_freed", extra={"count": count, "of": place.before.hex()})
    place.note(opened.process_id)


async def _serve(plane: "ControlPlane", stopping: threading.Event) -> bool:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    has_ended = True
    try:
        await plane.start()
        if not stopping.is_set():
            await told.wait()
        _log.info("control.stopping")
    finally:
        has_ended = await plane.stop()
    return has_ended


class ControlPlane:
    """One process of the control plane over an open deployment."""

    def __init__(
        self,
        opened: OpenDeployment,
        environ: Mapping[str, str],
        *,
        version: str,
        settings: ControlSettings,
        kinds: Sequence[OperationKind] = KINDS,
        ids: Ids = uuid7,
    ) -> None:
        self._opened = opened
        self._settings = settings
        self._pool = EnginePool()
        self._ids = ids
        draining = self._draining = asyncio.Event()
        self._tracing = Tracing(version=version, instance_id=opened.instance_id)
        self._tracing.apply(opened.snapshot.live.telemetry.tracing)
        # Servicers see the store through this; background work has no traces.
        store = self._store = TracedStore(opened.store, self._tracing)
        live = opened.settings.live
        self._agenda = Agenda()
        self._deliveries = DeliveryTally()
        self._budgets = Budgets()
        self._budgets.limit(live.workers.rates_bytes)
        self._workers = Workers(self._worker_parts, live.workers, self._budgets)
        opened.follow(self._prepare)
        self._operations = OperationRunner(opened, self._budgets, kinds=kinds)
        self._survey = SealingSurvey(opened.store, opened.clock)
        self._config = ConfigServicer(opened, environ, ids=ids, pool=self._pool)
        self._worker = WorkerServicer(
            store,
            jobs=self._workers.jobs,
            backlog=lambda name: backlog(store, name),
            ids=ids,
            pool=self._pool,
            draining=draining,
        )
        head_file = HeadFile(opened.settings.node.node.state_dir)
        self._backend = BackendServicer(
            opened, self._backend_states(), OperationStarter(store, self._pool), self._pool
        )
        self._operation = OperationServicer(store, self._pool, draining)
        self._system = SystemServicer(
            store,
            version=version,
            database_version=opened.database_version,
            pool=self._pool,
            node=NodeChecks(opened),
            siblings={"backend": self._backend, "worker": self._worker, "operation": self._operation},
            backends=lambda: opened.backends,
            policy=self._heal_policy,
            epoch=opened.process_id.hex(),
        )
        self._sampler = Sampler(
            opened.store,
            opened.settings.node.node.state_dir / METRICS_FOLDER,
            opened.clock,
            instance_id=opened.instance_id,
            node=opened.settings.node.node.name,
            courtesy=self._budgets.courtesy,
            limits=lambda: opened.snapshot.live.admission,
        )
        audit = AuditTrail(
            store,
            opened.ring,
            self._pool,
            instance_id=opened.instance_id,
            head_file=head_file,
        )
        self._hub = Hub(opened.settings.node.node.state_dir)
        self._log = LogServicer(
            self._hub,
            AuditReading(store, opened.ring, self._pool, head_file),
            instance_id=opened.instance_id,
        )
        parts = CallParts(
            pool=self._pool,
            audit=audit,
            tracing=self._tracing,
            draining=draining,
            ids=ids,
            caller_look_s=settings.caller_look_s,
        )
        self._server = ControlServer(self.register, parts, calls_per_s=settings.calls_per_s)
        self._network = Network(opened, self._server, self._pool)
        figures = FigureFile(
            figures_path(opened.settings.node.node.state_dir),
            [
                ControlFigures(opened.store, [each.method for each in kinds]),
                BackendFigures(opened.store, opened.instance_id),
                NotificationFigures(opened.store, self._deliveries),
            ],
            opened.clock,
        )
        ticks = (opened.tick, self._hub.tick, self._network.tick, figures.tick)
        self._ticking = Ticking(ticks, settings.tick_s)

    @property
    def tcp_port(self) -> int | None:
        """Null while nobody may come in by it."""
        return self._network.port

    def register(self, server: Any) -> None:
        """Add every servicer to a server."""
        store, pool = self._store, self._pool
        starter = OperationStarter(store, pool)
        system_service_pb2_grpc.add_SystemServiceServicer_to_server(self._system, server)
        config_service_pb2_grpc.add_ConfigServiceServicer_to_server(self._config, server)
        backend_service_pb2_grpc.add_BackendServiceServicer_to_server(self._backend, server)
        bucket_service_pb2_grpc.add_BucketServiceServicer_to_server(
            BucketServicer(store, starter, pool), server
        )
        usage_service_pb2_grpc.add_UsageServiceServicer_to_server(
            UsageServicer(store, pool, rules=self._storing_rules), server
        )
        identity_service_pb2_grpc.add_IdentityServiceServicer_to_server(
            IdentityServicer(store, self._opened.ring, pool), server
        )
        log_service_pb2_grpc.add_LogServiceServicer_to_server(self._log, server)
        cleanup_service_pb2_grpc.add_CleanupServiceServicer_to_server(
            CleanupServicer(store, starter, pool), server
        )
        key_service_pb2_grpc.add_KeyServiceServicer_to_server(
            KeyServicer(store, self._opened.ring, self._survey, pool), server
        )
        scrub_service_pb2_grpc.add_ScrubServiceServicer_to_server(self._scrub(), server)
        reconcile_service_pb2_grpc.add_ReconcileServiceServicer_to_server(
            ReconcileServicer(store, starter, pool), server
        )
        maintenance_service_pb2_grpc.add_MaintenanceServiceServicer_to_server(
            MaintenanceServicer(store, starter, pool, cache=lambda: cache_folder(self._opened.snapshot.live)),
            server,
        )
        notification_service_pb2_grpc.add_NotificationServiceServicer_to_server(
            NotificationServicer(
                store,
                pool,
                targets=lambda: notification_targets(self._opened.snapshot.live),
                region=lambda: self._opened.snapshot.live.region,
                sender=Webhooks(),
                ids=self._ids,
            ),
            server,
        )
        replication_service_pb2_grpc.add_ReplicationServiceServicer_to_server(
            ReplicationServicer(store, starter, pool, policy=self._heal_policy), server
        )
        heal_service_pb2_grpc.add_HealServiceServicer_to_server(
            HealServicer(store, starter, pool, policy=self._heal_policy), server
        )
        rebalance_service_pb2_grpc.add_RebalanceServiceServicer_to_server(
            RebalanceServicer(move_parts(self._opened), starter, pool), server
        )
        worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(self._worker, server)
        object_service_pb2_grpc.add_ObjectServiceServicer_to_server(
            ObjectServicer(store, self._presigner(), starter, pool), server
        )
        operation_service_pb2_grpc.add_OperationServiceServicer_to_server(self._operation, server)

    async def start(self) -> None:
        """Listen, then work. What was started before something fails is for `stop` to end."""
        self._hub.start()
        await self._server.listen_unix(self._opened.settings.node.node.state_dir)
        await self._network.start()
        await asyncio.to_thread(self._workers.start)
        self._operations.start()
        self._ticking.start()
        self._sampler.start()
        await self._server.serving()

    async def stop(self) -> bool:
        """End calls, workers, operations and ticks; false when one of these was still at it after its time."""
        timeout_s = self._settings.threads_stop_s
        await self._network.stop()
        _, *have_ended = await asyncio.gather(
            self._server.stop(),
            asyncio.to_thread(self._workers.stop, timeout_s),
            asyncio.to_thread(self._operations.stop, timeout_s),
            asyncio.to_thread(self._ticking.stop, timeout_s),
            asyncio.to_thread(self._hub.stop, timeout_s),
            asyncio.to_thread(self._sampler.stop, timeout_s),
        )
        await self._system.close()
        self._pool.close()
        await asyncio.to_thread(self._tracing.close)
        return all(have_ended)

    def _heal_policy(self) -> HealPolicy:
        return heal_policy(self._opened.snapshot.live.storage)

    def _presigner(self) -> Presigner:
        opened = self._opened
        return Presigner(
            self._store,
            opened.ring,
            opened.clock,
            listen=opened.settings.node.listen,
            region=lambda: opened.snapshot.live.region,
        )

    def _storing_rules(self) -> StoringRules:
        storage = self._opened.snapshot.live.storage
        return StoringRules(default_scheme=storage.default_scheme, chunk_bytes=storage.chunk_bytes)

    def _backend_states(self) -> BackendStates:
        opened = self._opened
        return BackendStates(
            store=self._store,
            backends=CurrentBackends(opened),
            default_scheme=lambda: opened.settings.live.storage.default_scheme,
            routing=lambda: Routing(opened.settings.live.routing),
            ids=self._ids,
        )

    def _scrub(self) -> ScrubServicer:
        opened, pool = self._opened, self._pool
        return ScrubServicer(
            opened.store,
            OperationStarter(opened.store, pool),
            pool,
            parts=partial(integrity_parts, opened),
            period_s=lambda: opened.snapshot.live.storage.scrub_period_s,
        )

    def _worker_parts(self) -> WorkerParts:
        opened, snapshot = self._opened, self._opened.snapshot
        return WorkerParts(
            store=opened.store,
            backends=snapshot.opened.backends,
            process_id=opened.process_id,
            clock=opened.clock,
            read_grace_s=snapshot.live.storage.read_grace_s,
            intent_ttl_s=snapshot.live.storage.intent_ttl_s,
            scrub_period_s=snapshot.live.storage.scrub_period_s,
            healing=heal_policy(snapshot.live.storage),
            integrity=integrity_parts(opened),
            agenda=self._agenda,
            audit_seal=sealing(opened.ring),
            audit_keep_s=None if (audit := snapshot.live.telemetry.audit) is None else audit.keep_s,
            targets=notification_targets(snapshot.live),
            region=snapshot.live.region,
            deliveries=self._deliveries,
            limits=month_limits(snapshot),
        )

    def _prepare(self, snapshot: Snapshot) -> Commit:
        """Runs take what a snapshot says when they begin; the rows of their settings are written here."""
        if snapshot.live.workers != self._opened.snapshot.live.workers:
            self._workers.apply(snapshot.live.workers)
        return partial(self._heed, self._opened.snapshot.live, snapshot.live)

    def _heed(self, before: LiveSettings, live: LiveSettings) -> None:
        """Settings that have no rows."""
        if live.telemetry.log_level != before.telemetry.log_level:
            # Otherwise what somebody has set for a while stays.
            set_level(live.telemetry.log_level)
        self._tracing.apply(live.telemetry.tracing)
        self._budgets.limit(live.workers.rates_bytes)


class Ticking(threading.Thread):
    """Calls what is to be done every second, from a thread of its own until it is stopped. None of it raises."""

    def __init__(self, ticks: Sequence[Callable[[], None]], pause_s: float) -> None:
        super().__init__(name="tick", daemon=True)
        self._ticks = ticks
        self._pause_s = pause_s
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(self._pause_s):
            for tick in self._ticks:
                tick()

    def stop(self, timeout_s: float) -> bool:
        """Whether no tick is under way any more."""
        self._stopping.set()
        if self.ident is not None:
            self.join(timeout_s)
        return not self.is_alive()
