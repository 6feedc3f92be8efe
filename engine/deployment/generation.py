"""Which generation a process runs: the first start makes number 1, a changed file the next one.

All processes of an instance do this at once. Each looks, prepares, and commits only if what it saw still holds in the
transaction; who comes too late looks again.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from engine.clock import Ids
from engine.deployment.places import refuse_occupied
from engine.deployment.ring import DocumentSeal, open_ring
from engine.deployment.rows import apply_identities, apply_live, has_other_secret, kept_buckets
from engine.errors import InvalidConfig, KeyUnavailable, SealBroken, StartRefused
from engine.metadata import backends, deployments, generations, keys
from engine.metadata.deployments import DeploymentRow
from engine.metadata.generations import Generation
from engine.metadata.keys import KeyRow
from engine.metadata.store import Store, Tx
from engine.records import BackendRow, Origin
from engine.sealing.keyring import KeyRing, new_ring_key
from engine.sealing.providers import KeyProvider
from engine.settings import LiveSettings, Settings, live_from_document, live_to_document

LOOK_COUNT_MAX = 16
"""Times a start looks again because another process was faster."""

FILE_AUTHOR = "file"
"""Who made a generation that a start took out of a file."""

_log = logging.getLogger("penstock.deployment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What a process runs on: the newest generation, and the ring that opens its secrets.

    `has_other_file`: the file at hand says something else, and was not taken over.
    """

    deployment_id: bytes
    generation: int
    live: LiveSettings
    ring: KeyRing
    has_other_file: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """The database as one snapshot shows it."""

    deployment: DeploymentRow | None
    newest: Generation | None
    of_file: Generation | None
    keys: list[KeyRow]
    backends: list[BackendRow]


class Generations:
    """Brings the database and one configuration file together."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        provider: KeyProvider,
        *,
        environ: Mapping[str, str],
        ids: Ids,
        compares_file: bool = True,
        takes_file_over: bool = True,
    ) -> None:
        """`takes_file_over`: a changed file is the next generation. Where many nodes have files, a start takes none.

        `compares_file`: whether the file has changed is looked at; without it counts what is in force.
        """
        self._store = store
        self._settings = settings
        self._provider = provider
        self._environ = environ
        self._ids = ids
        self._compares_file = compares_file
        self._takes_file_over = takes_file_over

    def settle(self) -> Running:
        """The generation to run, committed before if there was none or the file has changed.

        Raises StartRefused, WrongKey, InvalidConfig, and what the store raises; then nothing was committed.
        """
        for _ in range(LOOK_COUNT_MAX):
            standing = self._store.read(_look)
            if standing.newest is None:
                self._begin(standing)
                continue
            ring = open_ring(standing.keys, self._provider)
            deployment = self._own(standing)
            is_changed = self._compares_file and self._is_changed(standing.of_file, ring)
            if is_changed and self._takes_file_over:
                self._reload(standing, ring)
                continue
            if is_changed:
                _log.warning(
                    "deployment.file_differs",
                    extra={
                        "generation": standing.newest.generation,
                        "hint": "`penstock serve --reload` makes the file the next generation",
                    },
                )
            live = self._live_of(standing.newest, ring)
            if not is_changed:
                self._renew_secrets(live, ring)
            return Running(
                deployment_id=deployment.deployment_id,
                generation=standing.newest.generation,
                live=live,
                ring=ring,
                has_other_file=is_changed,
            )
        raise StartRefused("other processes keep changing the configuration: do they read another file?")

    def _begin(self, standing: _Standing) -> None:
        """Generation 1 and all that goes with it, in one transaction; nothing if another process made it."""
        if standing.deployment is not None or standing.keys or standing.backends:
            raise StartRefused(
                "the metadata database has rows of a deployment and no configuration: it is damaged, restore it"
            )
        self._refuse_occupied(standing)
        live, node = self._settings.live, self._settings.node.node.name
        record = new_ring_key(self._provider)
        ring = KeyRing([record], self._provider)
        document = _document(live, ring)
        deployment_id = self._ids()

        def unit(tx: Tx) -> bool:
            if generations.current(tx) is not None:
                return False
            deployments.create_deployment(tx, deployment_id=deployment_id, node=None)
            keys.insert_key(
                tx,
                key_id=record.key_id,
                key_name=record.key_name,
                provider=record.provider,
                wrapped_material=record.wrapped_material,
                state=record.state.value,
                check_value=record.check_value,
            )
            self._commit(tx, document)
            apply_live(tx, live, node=node, ring=ring, ids=self._ids)
            return True

        if self._store.write(unit):
            _log.info("deployment.created", extra={"deployment_id": deployment_id.hex(), "generation": 1})

    def _reload(self, standing: _Standing, ring: KeyRing) -> None:
        """The next generation out of the changed file; nothing if another process took the file over."""
        self._refuse_occupied(standing)
        live, node = self._settings.live, self._settings.node.node.name
        document = _document(live, ring)
        seen = None if standing.of_file is None else standing.of_file.generation

        def unit(tx: Tx) -> int | None:
            newest = generations.newest_of_file(tx)
            if (None if newest is None else newest.generation) != seen:
                return None
            number = self._commit(tx, document)
            apply_live(tx, live, node=node, ring=ring, ids=self._ids)
            return number

        number = self._store.write(unit)
        if number is None:
            return
        _log.info("deployment.reloaded", extra={"generation": number})
        for name in kept_buckets(self._store, live):
            _log.warning("deployment.bucket_kept", extra={"bucket": name, "generation": number})

    def _commit(self, tx: Tx, document: str) -> int:
        return generations.commit_generation(
            tx,
            document=document,
            file_digest=self._settings.file_digest,
            origin=Origin.CONFIG,
            author=FILE_AUTHOR,
        )

    def _own(self, standing: _Standing) -> DeploymentRow:
        deployment = standing.deployment
        if deployment is None:
            raise StartRefused("the metadata database has lost the row of its deployment: restore it")
        name = self._settings.node.node.name
        if deployment.node is not None and deployment.node != name:
            raise StartRefused(
                f"node.name is {name!r}, and the volumes of this deployment belong to node {deployment.node!r}: "
                "set the name back. Another machine serves its disks with a Penstock of its own, used as S3 backend"
            )
        return deployment

    def _is_changed(self, of_file: Generation | None, ring: KeyRing) -> bool:
        """Whether the file says something else than the last one that was taken over.

        Sealed secrets differ each time they are written, so settings are compared and not documents. An unchanged
        file that was moved names other folders.
        """
        if of_file is None:
            return True
        try:
            before = self._live_of(of_file, ring)
        except (InvalidConfig, SealBroken, KeyUnavailable) as error:
            # The file at hand is whole, so what it says takes the place of what cannot be read any more.
            _log.warning(
                "deployment.generation_unreadable",
                extra={"generation": of_file.generation, "problem": str(error)},
            )
            return True
        now = self._settings.live
        if of_file.file_digest == self._settings.file_digest:
            return [each.path for each in before.backends] != [each.path for each in now.backends]
        return before != now

    def _live_of(self, generation: Generation, ring: KeyRing) -> LiveSettings:
        return live_from_document(
            json.loads(generation.document),
            DocumentSeal(ring).open,
            environ=self._environ,
            folder=self._settings.path.parent,
        )

    def _renew_secrets(self, live: LiveSettings, ring: KeyRing) -> None:
        if self._store.read(partial(has_other_secret, live=live, ring=ring)):
            self._store.write(partial(apply_identities, live=live, ring=ring))

    def _refuse_occupied(self, standing: _Standing) -> None:
        """New backends want empty places. One that filled meanwhile is ours if its row is there by now."""
        known = {row.name for row in standing.backends}
        fresh = [each for each in self._settings.live.backends if each.name not in known]
        refuse_occupied(fresh, lambda: {row.name for row in self._store.read(backends.list_backends)})


def _look(tx: Tx) -> _Standing:
    return _Standing(
        deployment=deployments.read_deployment(tx),
        newest=generations.current(tx),
        of_file=generations.newest_of_file(tx),
        keys=keys.list_keys(tx),
        backends=backends.list_backends(tx),
    )


def _document(live: LiveSettings, ring: KeyRing) -> str:
    document = live_to_document(live, DocumentSeal(ring).seal)
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
