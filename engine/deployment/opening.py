"""Opening a deployment: what every process of both planes does first, and all of them at once."""

import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from engine.backends.registry import Backends
from engine.clock import Clock, Ids, SystemClock, uuid7
from engine.deployment.credentials import AccessCredential, Credentials
from engine.deployment.database import away_store, check_connections, open_store
from engine.deployment.database_check import DatabaseCheck
from engine.deployment.generation import Generations, Running
from engine.deployment.heartbeat import Heartbeat
from engine.deployment.last_known import LastKnown, LastKnownFile
from engine.deployment.outage import Precautions, precautions_for
from engine.deployment.places import make_folders
from engine.deployment.ring import DocumentSeal, key_provider, open_ring
from engine.deployment.stores import OpenBackends, note_views, open_backends
from engine.deployment.use_cases import UseCases, build_use_cases
from engine.errors import DatabaseUnavailable, StartRefused
from engine.metadata import processes
from engine.metadata.buckets import is_any_sealed
from engine.metadata.identities import AdminTokenRow, find_admin_token
from engine.metadata.postgres.store import PostgresStore
from engine.metadata.sqlite.store import SqliteStore
from engine.metadata.store import Store, Tx
from engine.objects.degradations import Degradations
from engine.objects.storage_policy import StoragePolicy
from engine.parking import Park, nobody
from engine.placement.health import HealthBoard
from engine.placement.policy import Routing
from engine.records import Sealing
from engine.sealing.keyring import KeyRing
from engine.sealing.providers import KeyProvider
from engine.sealing.selftest import run_self_test
from engine.settings import LiveSettings, Settings, live_from_document, load_settings
from engine.settings.database import PostgresSettings

INSTANCE_ID = "PENSTOCK_INSTANCE_ID"
"""Environment variable by which the processes of one `penstock serve` know that they belong together: 32 hex digits."""

_INSTANCE_ID = re.compile(r"[0-9a-f]{32}")

_log = logging.getLogger("penstock.deployment")


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class OpenDeployment:
    """An open deployment of one process. `settings.live` is what the newest generation says, `settings.node` the file.

    `remembers_reads`: some reads go on while the database is away.

    The process calls `tick` about once a second from one thread, and `close` once its requests have ended.
    """

    settings: Settings
    generation: int
    deployment_id: bytes
    instance_id: bytes
    process_id: bytes
    store: Store
    database_version: str
    ring: KeyRing
    backends: Backends
    health: HealthBoard
    use: UseCases
    credentials: Credentials
    clock: Clock
    remembers_reads: bool
    _heartbeat: Heartbeat
    _closing: list[tuple[str, Callable[[], object]]]

    def find_identity(self, access_key_id: str) -> AccessCredential | None:
        """Whose access key that is, with its secret; null when it may not be used. See `Credentials.find`."""
        return self.credentials.find(access_key_id)

    def find_admin(self, sha256: bytes) -> AdminTokenRow | None:
        """By the token's hash; null when it may not be used. Raises DatabaseUnavailable."""
        return self.store.read(partial(find_admin_token, sha256=sha256))

    @property
    def write_problem(self) -> str | None:
        """Why the database takes no writes, as of the last sign of life some seconds ago; null when it does."""
        return self._heartbeat.write_problem

    def tick(self) -> None:
        """Signs of life, looks at backends, renewals. Never raises."""
        self._heartbeat.tick()

    def close(self) -> None:
        """Give back what is held, settle what was written, and leave a clean database. Repeating it does nothing.

        No request and no `tick` may be under way. A step that fails is logged, and the others are done.
        """
        while self._closing:
            name, step = self._closing.pop(0)
            try:
                step()
            except Exception:  # what is left undone is recovered from, but only if the rest is still done
                _log.exception("deployment.close_failed", extra={"step": name})


def open_deployment(
    config: Path,
    environ: Mapping[str, str],
    *,
    plane: str,
    version: str,
    clock: Clock | None = None,
    ids: Ids = uuid7,
    park: Park = nobody,
) -> OpenDeployment:
    """Open the deployment that a configuration file describes, made if there is none.

    To be called after the fork, by any number of processes at once; repeating it is safe. Raises InvalidConfig,
    StartRefused, WrongKey, and what the store raises; then nothing stays open.
    """
    clock = clock or SystemClock()
    settings = load_settings(config, environ)
    run_self_test()
    instance_id = _instance_id(environ, ids)
    provider = key_provider(settings.node.keys)
    make_folders(settings.node)
    start = _Start(
        settings=settings,
        provider=provider,
        environ=environ,
        plane=plane,
        version=version,
        clock=clock,
        ids=ids,
        instance_id=instance_id,
        process_id=ids(),
    )
    with ExitStack() as undo:
        try:
            store = open_store(settings.node, clock=clock, park=park)
        except DatabaseUnavailable as error:
            deployment = start.without_database(error, undo, park)
        else:
            undo.callback(store.close)
            deployment = start.with_database(store, undo)
        undo.pop_all()
    return deployment


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """What is known of a process before its database is."""

    settings: Settings
    provider: KeyProvider
    environ: Mapping[str, str]
    plane: str
    version: str
    clock: Clock
    ids: Ids
    instance_id: bytes
    process_id: bytes

    def with_database(self, store: SqliteStore | PostgresStore, undo: ExitStack) -> OpenDeployment:
        running = Generations(
            store,
            self.settings,
            self.provider,
            environ=self.environ,
            ids=self.ids,
            takes_file_over=isinstance(store, SqliteStore),
        ).settle()
        health = HealthBoard(self.clock)
        opened = open_backends(
            store,
            running.live,
            health,
            deployment_id=running.deployment_id,
            process_id=self.process_id,
            clock=self.clock,
        )
        undo.callback(opened.descriptors.close)
        check = DatabaseCheck(store) if isinstance(store, SqliteStore) else None
        if check is not None:
            undo.callback(check.stop)
            check.start()
        store.write(partial(self._register, running=running, store=store))
        note_views(
            store,
            self.instance_id,
            {each.backend_id: opened.problems.get(each.backend_id) for each in opened.backends},
        )
        seals_cards = running.live.storage.seal is Sealing.ALL or store.read(is_any_sealed)
        return _wired(self, running, opened, health, store, check, seals_cards=seals_cards)

    def without_database(self, error: DatabaseUnavailable, undo: ExitStack, park: Park) -> OpenDeployment:
        """The data plane serves what the instance remembers; raises the error when that is nothing."""
        node = self.settings.node
        known = LastKnownFile(node.node.state_dir).read()
        if self.plane != "dataplane" or known is None or not isinstance(node.database, PostgresSettings):
            raise error
        ring = open_ring(known.keys, self.provider)
        live = live_from_document(
            json.loads(known.document),
            DocumentSeal(ring).open,
            environ=self.environ,
            folder=self.settings.path.parent,
        )
        if live.storage.degraded_reads == "off":
            raise error
        _log.error("deployment.started_without_database", extra={"problem": str(error)})
        store = away_store(node.database, node, park)
        undo.callback(store.close)
        running = Running(
            deployment_id=known.deployment_id, generation=known.generation, live=live, ring=ring
        )
        health = HealthBoard(self.clock)
        opened = open_backends(
            store,
            live,
            health,
            deployment_id=known.deployment_id,
            process_id=self.process_id,
            clock=self.clock,
            rows=[each for each in known.backends if each.is_registered],
        )
        undo.callback(opened.descriptors.close)
        return _wired(self, running, opened, health, store, None, seals_cards=known.seals_cards, known=known)

    def _register(self, tx: Tx, running: Running, store: SqliteStore | PostgresStore) -> None:
        database = self.settings.node.database
        asked = database.max_conns if isinstance(database, PostgresSettings) else None
        processes.register(
            tx,
            instance_id=self.instance_id,
            process_id=self.process_id,
            node=self.settings.node.node.name,
            version=self.version,
            plane=self.plane,
            pid=os.getpid(),
            generation=running.generation,
            connection_count_max=asked,
        )
        if asked is not None and isinstance(store, PostgresStore):
            check_connections(asked, processes.asked_connection_count(tx), store.connection_count_max)


def take_file_over(config: Path, environ: Mapping[str, str], *, ids: Ids = uuid7) -> int:
    """Make a configuration file the next generation of its deployment, unless it says what is so; the newest one.

    Raises what opening a deployment raises.
    """
    settings = load_settings(config, environ)
    run_self_test()
    provider = key_provider(settings.node.keys)
    make_folders(settings.node)
    store = open_store(settings.node)
    try:
        return Generations(store, settings, provider, environ=environ, ids=ids).settle().generation
    finally:
        store.close()


def _wired(
    start: _Start,
    running: Running,
    opened: OpenBackends,
    health: HealthBoard,
    store: SqliteStore | PostgresStore,
    check: DatabaseCheck | None,
    *,
    seals_cards: bool,
    known: LastKnown | None = None,
) -> OpenDeployment:
    """`known`: the database is away, and this is what it said before."""
    clock, node = start.clock, start.settings.node.node
    degradations = Degradations()
    precautions = (
        precautions_for(
            store,
            node.state_dir,
            clock,
            degradations,
            live=running.live,
            generation=running.generation,
            known=known,
            is_reached=lambda: store.problem is None and heartbeat.write_problem is None,
        )
        if isinstance(store, PostgresStore)
        else Precautions()
    )
    also, closing = {**precautions.steps}, [*precautions.closing]
    use = build_use_cases(
        store=store,
        backends=opened.backends,
        ring=running.ring,
        health=health,
        policy=_policy(running.live),
        routing=Routing(running.live.routing),
        instance_id=start.instance_id,
        clock=clock,
        ids=start.ids,
        seals_cards=seals_cards,
        degradations=degradations,
        memory=precautions.memory,
    )
    if check is not None:
        also["database check"] = check.look
        closing.append(("database check", check.stop))
    if known is None:
        also["upkeep"] = use.tick
    heartbeat = Heartbeat(
        store,
        opened.backends,
        health,
        clock,
        instance_id=start.instance_id,
        process_id=start.process_id,
        generation=running.generation,
        problems=opened.problems,
        also=also,
        has_other_file=running.has_other_file,
    )
    if known is None and isinstance(store, PostgresStore):
        store.listen(heartbeat.beat_soon)
    # Backends settle with the ledger, and all but the last step write to the store.
    closing += [
        ("intents", use.holder.close),
        ("suspicions", use.suspicions.flush),
        *((f"backend {each.name}", each.close) for each in opened.backends),
        ("descriptors", opened.descriptors.close),
    ]
    if known is None:
        stop = partial(processes.stop, process_id=start.process_id)
        closing.append(("process", lambda: store.write(stop)))
    closing.append(("store", store.close))
    return OpenDeployment(
        settings=replace(start.settings, live=running.live),
        generation=running.generation,
        deployment_id=running.deployment_id,
        instance_id=start.instance_id,
        process_id=start.process_id,
        store=store,
        database_version=store.version,
        ring=running.ring,
        backends=opened.backends,
        health=health,
        use=use,
        credentials=Credentials(store, running.ring, clock, last_known=precautions.access_key),
        clock=clock,
        remembers_reads=precautions.memory is not None,
        _heartbeat=heartbeat,
        _closing=closing,
    )


def _policy(live: LiveSettings) -> StoragePolicy:
    return StoragePolicy(
        default_scheme=live.storage.default_scheme,
        default_seal=live.storage.seal,
        chunk_bytes=live.storage.chunk_bytes,
        inline_buffer_bytes=live.storage.inline_buffer_bytes,
        write_quorum=live.storage.write_quorum,
    )


def _instance_id(environ: Mapping[str, str], ids: Ids) -> bytes:
    text = environ.get(INSTANCE_ID)
    if text is None:
        return ids()
    if _INSTANCE_ID.fullmatch(text) is None:
        raise StartRefused(f"{INSTANCE_ID} is not 32 lower-case hex digits: leave it to `penstock serve`")
    return bytes.fromhex(text)
