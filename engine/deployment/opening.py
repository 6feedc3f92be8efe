"""Opening a deployment: what every process of both planes does first, and all of them at once."""

import json
import logging
import os
import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine.clock import Clock, Ids, SystemClock, uuid7
from engine.deployment.database import away_store, check_connections, open_store
from engine.deployment.database_check import DatabaseCheck
from engine.deployment.generation import FILE_AUTHOR, Generations, Running
from engine.deployment.last_known import LastKnownFile
from engine.deployment.places import make_folders
from engine.deployment.process import OpenDeployment
from engine.deployment.reloading import Reloading
from engine.deployment.ring import DocumentSeal, key_provider, open_ring
from engine.deployment.started import started_settings
from engine.deployment.stores import note_views
from engine.deployment.wiring import ProcessFacts, Wiring
from engine.errors import DatabaseUnavailable, StartRefused
from engine.metadata import processes
from engine.metadata.postgres.store import PostgresStore
from engine.metadata.sqlite.store import SqliteStore
from engine.metadata.store import Tx
from engine.parking import Park, nobody
from engine.sealing.providers import KeyProvider
from engine.sealing.selftest import run_self_test
from engine.settings import live_from_document, load_settings, settings_of
from engine.settings.database import PostgresSettings
from engine.settings.reading import read_settled

__all__ = ["INSTANCE_ID", "OpenDeployment", "open_deployment", "take_file_over"]

INSTANCE_ID = "PENSTOCK_INSTANCE_ID"
"""Environment variable by which the processes of one `penstock serve` know that they belong together: 32 hex digits."""

_INSTANCE_ID = re.compile(r"[0-9a-f]{32}")

_log = logging.getLogger("penstock.deployment")


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
    settings = started_settings(config, environ)
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
class _Start(ProcessFacts):
    """A process on its way to its database, or without it."""

    provider: KeyProvider
    plane: str
    version: str

    def with_database(self, store: SqliteStore | PostgresStore, undo: ExitStack) -> OpenDeployment:
        # The first process of an instance settles what its file means; one that comes later runs what is in force.
        is_first = store.read(partial(processes.find_instance, instance_id=self.instance_id)) is None
        running = Generations(
            store,
            self.settings,
            self.provider,
            environ=self.environ,
            ids=self.ids,
            compares_file=is_first,
            takes_file_over=isinstance(store, SqliteStore),
        ).settle()
        wiring = Wiring(self, store, running, known=None)
        undo.callback(wiring.opener.descriptors.close)
        opened = wiring.opener.open_first(running.live)
        check = DatabaseCheck(store) if isinstance(store, SqliteStore) else None
        if check is not None:
            undo.callback(check.stop)
            check.start()
        store.write(partial(self._register, running=running, store=store))
        note_views(
            store,
            self.instance_id,
            {each.backend_id: opened.problems.get(each.backend_id) for each in opened.backends},
            wiring.health,
            failed=opened.problems,
        )
        return wiring.deployment(opened, check, seals_cards=wiring.maker.seals_cards(running.live))

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
        wiring = Wiring(self, store, running, known=known)
        undo.callback(wiring.opener.descriptors.close)
        opened = wiring.opener.open_first(live, rows=[each for each in known.backends if each.is_registered])
        return wiring.deployment(opened, None, seals_cards=known.seals_cards)

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
    config = config.absolute()
    settings = settings_of(read_settled(config), path=config, environ=environ)
    run_self_test()
    provider = key_provider(settings.node.keys)
    make_folders(settings.node)
    store = open_store(settings.node)
    try:
        running = Generations(store, settings, provider, environ=environ, ids=ids).settle()
        # After a roll-back an unchanged file says something else than what runs.
        reloading = Reloading(store, running.ring, settings, environ=environ, ids=ids)
        return reloading.reload(author=FILE_AUTHOR).generation
    finally:
        store.close()


def says_something_else(config: Path, environ: Mapping[str, str], *, ids: Ids = uuid7) -> bool:
    """Whether the configuration file of a deployment says something else than the generation that runs.

    Raises what opening a deployment raises.
    """
    settings = load_settings(config, environ)
    store = open_store(settings.node)
    try:
        generations = Generations(
            store,
            settings,
            key_provider(settings.node.keys),
            environ=environ,
            ids=ids,
            takes_file_over=False,
        )
        running = generations.settle()
        return running.has_other_file or running.live != settings.live
    finally:
        store.close()


def _instance_id(environ: Mapping[str, str], ids: Ids) -> bytes:
    text = environ.get(INSTANCE_ID)
    if text is None:
        return ids()
    if _INSTANCE_ID.fullmatch(text) is None:
        raise StartRefused(f"{INSTANCE_ID} is not 32 lower-case hex digits: leave it to `penstock serve`")
    return bytes.fromhex(text)
