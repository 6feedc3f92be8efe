"""Puts the parts of a process together, once what it runs is known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from engine.clock import Clock, Ids
from engine.deployment.breaker_resets import BreakerResets
from engine.deployment.bucket_uses import BucketUses
from engine.deployment.credentials import Credentials
from engine.deployment.database_check import DatabaseCheck
from engine.deployment.following import Commit, Following
from engine.deployment.generation import Running
from engine.deployment.heartbeat import Heartbeat
from engine.deployment.last_known import LastKnown
from engine.deployment.last_uses import LastUses
from engine.deployment.obeying import Obeying
from engine.deployment.outage import PostgresPrecautions, Precautions
from engine.deployment.process import OpenDeployment
from engine.deployment.resting import RestingBackends
from engine.deployment.snapshots import Snapshot, SnapshotMaker
from engine.deployment.stores import BackendOpener, OpenBackends
from engine.deployment.use_cases import make_standing
from engine.metadata import processes
from engine.metadata.postgres.store import PostgresStore
from engine.metadata.sqlite.store import SqliteStore
from engine.objects.degradations import Degradations
from engine.placement.health import HealthBoard
from engine.settings import Settings

LOOK_EVERY_S = 0.5
"""How often a process over SQLite, where nobody can tell it, looks for another generation."""

LISTENING_LOOK_EVERY_S = 2.0
"""The same where it is told, for what it may not have heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFacts:
    """What is known of a process before its database is."""

    settings: Settings
    environ: Mapping[str, str]
    clock: Clock
    ids: Ids
    instance_id: bytes
    process_id: bytes


class Wiring:
    """The parts of one process. `known`: the database is away, and this is what it said before."""

    def __init__(
        self,
        facts: ProcessFacts,
        store: SqliteStore | PostgresStore,
        running: Running,
        *,
        known: LastKnown | None,
    ) -> None:
        self._facts = facts
        self._store = store
        self._running = running
        self._known = known
        self._degradations = Degradations()
        self.health = HealthBoard(facts.clock)
        self._heartbeat: Heartbeat | None = None
        self._credentials: Credentials | None = None
        self._standing = make_standing(
            store=store,
            ring=running.ring,
            health=self.health,
            instance_id=facts.instance_id,
            process_id=facts.process_id,
            clock=facts.clock,
            ids=facts.ids,
            degradations=self._degradations,
        )
        self._precautions = self._make_precautions(store)
        self.opener = BackendOpener(
            store,
            self.health,
            self._standing.allowances,
            deployment_id=running.deployment_id,
            process_id=facts.process_id,
            ring=running.ring,
            clock=facts.clock,
        )
        self.maker = SnapshotMaker(
            self._standing,
            self.opener,
            self._precautions,
            environ=facts.environ,
            folder=facts.settings.path.parent,
        )

    def deployment(
        self, opened: OpenBackends, check: DatabaseCheck | None, *, seals_cards: bool
    ) -> OpenDeployment:
        """The whole of it. `check` looks at a database that was not closed cleanly."""
        store, running, clock = self._store, self._running, self._facts.clock
        first = self.maker.of(running.generation, running.live, opened, seals_cards=seals_cards)
        self._precautions.take(running.live, running.generation)
        is_told = isinstance(store, PostgresStore)
        following = Following(
            store,
            first,
            self.maker.next,
            self.health,
            clock,
            pause_s=LISTENING_LOOK_EVERY_S if is_told else LOOK_EVERY_S,
        )
        following.follow(self._prepare)
        obeying = Obeying(
            store,
            clock,
            instance_id=self._facts.instance_id,
            process_id=self._facts.process_id,
            process_count=self._facts.settings.node.processes.dataplane,
            look_again=following.try_again,
            pause_s=LISTENING_LOOK_EVERY_S if is_told else LOOK_EVERY_S,
        )
        also: dict[str, Callable[[], None]] = {**self._precautions.steps}
        if check is not None:
            also["database check"] = check.look
        if self._known is None:
            also["upkeep"] = self._standing.tick
            resting = RestingBackends(
                store,
                lambda: following.current.opened.backends,
                clock,
                give_back=self._standing.holder.give_back,
            )
            also["resting backends"] = resting.look
        resets = BreakerResets(
            store,
            self.health,
            clock,
            pause_s=LISTENING_LOOK_EVERY_S if is_told else LOOK_EVERY_S,
            then=self._probe_soon,
        )
        if self._known is None:
            also["breaker resets"] = resets.look
        last_uses, bucket_uses = LastUses(store, clock), BucketUses(store, clock)
        if self._known is None:
            also["last uses"] = last_uses.tick
            also["bucket uses"] = bucket_uses.tick
        heartbeat = self._heartbeat = Heartbeat(
            store,
            following,
            obeying,
            self.health,
            clock,
            instance_id=self._facts.instance_id,
            process_id=self._facts.process_id,
            problem_now=lambda backend: self.opener.problem_now(backend.backend_id, following.current.live),
            also=also,
            has_other_file=running.has_other_file,
        )
        if self._known is None and isinstance(store, PostgresStore):

            def told() -> None:
                following.look_soon()
                obeying.look_soon()
                resets.look_soon()
                heartbeat.beat_soon()

            store.listen(told)
        credentials = self._credentials = Credentials(
            store, running.ring, clock, last_known=self._precautions.access_key
        )
        return OpenDeployment(
            self._facts.settings,
            deployment_id=running.deployment_id,
            instance_id=self._facts.instance_id,
            process_id=self._facts.process_id,
            store=store,
            database_version=store.version,
            ring=running.ring,
            health=self.health,
            credentials=credentials,
            last_uses=last_uses,
            bucket_uses=bucket_uses,
            clock=clock,
            following=following,
            obeying=obeying,
            precautions=self._precautions,
            heartbeat=heartbeat,
            closing=self._closing(following, check, last_uses, bucket_uses),
        )

    def _probe_soon(self) -> None:
        assert self._heartbeat is not None, "it is the heartbeat that calls"
        self._heartbeat.probe_soon()

    def _closing(
        self,
        following: Following,
        check: DatabaseCheck | None,
        last_uses: LastUses,
        bucket_uses: BucketUses,
    ) -> list[tuple[str, Callable[[], object]]]:
        """Backends settle with the ledger, and all but the last step write to the store."""
        closing: list[tuple[str, Callable[[], object]]] = [("memory", self._precautions.close)]
        if check is not None:
            closing.append(("database check", check.stop))
        closing += [
            ("intents", self._standing.holder.close),
            ("suspicions", self._standing.suspicions.flush),
            ("backends", following.close),
            ("allowances", self._standing.allowances.close),
            ("questions", self._standing.hedges.close),
            ("descriptors", self.opener.descriptors.close),
        ]
        if self._known is None:
            closing += [("last uses", last_uses.write), ("bucket uses", bucket_uses.write)]
            stop = partial(processes.stop, process_id=self._facts.process_id)
            closing.append(("process", lambda: self._store.write(stop)))
        closing.append(("store", self._store.close))
        return closing

    def _make_precautions(self, store: SqliteStore | PostgresStore) -> Precautions:
        if not isinstance(store, PostgresStore):
            return Precautions()
        return PostgresPrecautions(
            store,
            self._facts.settings.node.node.state_dir,
            self._facts.clock,
            self._degradations,
            known=self._known,
            is_reached=lambda: (
                store.problem is None and (self._heartbeat is None or self._heartbeat.write_problem is None)
            ),
        )

    def _prepare(self, snapshot: Snapshot) -> Commit:
        def commit() -> None:
            self._precautions.take(snapshot.live, snapshot.generation)
            if self._heartbeat is not None:
                self._heartbeat.file_counted()
            if self._credentials is not None:
                self._credentials.forget()

        return commit
