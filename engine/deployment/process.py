"""The open deployment of one process: what stands as long as it runs, and the snapshot of the generation it runs."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from engine.backends.registry import Backends
from engine.clock import Clock
from engine.deployment.bucket_uses import BucketUses
from engine.deployment.credentials import AccessCredential, Credentials
from engine.deployment.following import Following, Prepare
from engine.deployment.heartbeat import Heartbeat
from engine.deployment.last_uses import LastUses
from engine.deployment.obeying import Duties, Obeying
from engine.deployment.outage import Precautions
from engine.deployment.snapshots import Snapshot
from engine.deployment.use_cases import UseCases
from engine.metadata.identities import AdminTokenRow, find_admin_token
from engine.metadata.store import Store
from engine.placement.health import HealthBoard
from engine.sealing.keyring import KeyRing
from engine.settings import Settings

_log = logging.getLogger("penstock.deployment")


class OpenDeployment:
    """An open deployment of one process.

    The process calls `tick` about twice a second from one thread, and `close` once its requests have ended. A tick may
    put another generation in force: `settings`, `generation`, `backends` and `use` are then others. Whoever does one
    thing with several of them asks for the `snapshot` once.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        deployment_id: bytes,
        instance_id: bytes,
        process_id: bytes,
        store: Store,
        database_version: str,
        ring: KeyRing,
        health: HealthBoard,
        credentials: Credentials,
        last_uses: LastUses,
        bucket_uses: BucketUses,
        clock: Clock,
        following: Following,
        obeying: Obeying,
        precautions: Precautions,
        heartbeat: Heartbeat,
        closing: list[tuple[str, Callable[[], object]]],
    ) -> None:
        """`settings` are those of the file; of them the node's part counts. `closing` are the steps of `close`."""
        self._settings = settings
        self.deployment_id = deployment_id
        self.instance_id = instance_id
        self.process_id = process_id
        self.store = store
        self.database_version = database_version
        self.ring = ring
        self.health = health
        self.credentials = credentials
        self.last_uses = last_uses
        self.bucket_uses = bucket_uses
        self.clock = clock
        self._following = following
        self._obeying = obeying
        self._precautions = precautions
        self._heartbeat = heartbeat
        self._closing = closing

    @property
    def snapshot(self) -> Snapshot:
        """The generation that is in force now."""
        return self._following.current

    @property
    def settings(self) -> Settings:
        """The node's settings as the process was started with, and the live ones that are in force now."""
        return self.settings_of(self.snapshot)

    def settings_of(self, snapshot: Snapshot) -> Settings:
        """The same with the live ones of a snapshot."""
        return replace(self._settings, live=snapshot.live)

    @property
    def generation(self) -> int:
        return self.snapshot.generation

    @property
    def backends(self) -> Backends:
        return self.snapshot.opened.backends

    @property
    def use(self) -> UseCases:
        return self.snapshot.use

    @property
    def remembers_reads(self) -> bool:
        """Whether some reads go on while the database is away."""
        return self._precautions.remembers_reads

    def follow(self, prepare: Prepare) -> None:
        """From now on another generation is put in force when this could make ready for it; see `Following`."""
        self._following.follow(prepare)

    def obey(self, duties: Duties) -> None:
        """From now on the process does what its instance is asked for."""
        self._obeying.obey(duties)

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
        """Signs of life, another generation, looks at backends, renewals. Never raises."""
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
