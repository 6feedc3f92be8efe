"""Backends are registered once: their identity is written, then their row says that it must stand."""

import logging
import time

from engine.backends.base import Backend
from engine.backends.s3.backend import S3Backend
from engine.backends.volume.identity import Identity, init_identity
from engine.clock import Clock
from engine.deployment.places import occupied_message
from engine.errors import BackendUnavailable, ForeignBackend, StartRefused
from engine.metadata import backends, leases
from engine.metadata.store import Store, Tx
from engine.records import BackendRow, Lease
from engine.settings.storage import BackendSettings

TURN_S = 10.0
"""A process that was killed while it registered a store holds up the others so long."""

TURN_WAIT_S = 15.0
LOOK_EVERY_S = 0.1

_log = logging.getLogger("penstock.deployment")


class Registrar:
    """Registers backends for one process.

    A folder has one identity however many create it at once. Not so every S3 store: one that writes an object in place
    may remove it again when a second writer fails. So there processes take turns, and all but one find it done.
    """

    def __init__(self, store: Store, *, deployment_id: bytes, process_id: bytes, clock: Clock) -> None:
        self._store = store
        self._deployment_id = deployment_id
        self._process_id = process_id
        self._clock = clock

    def register(
        self, bare: Backend, row: BackendRow, settings: BackendSettings, *, wait_s: float = TURN_WAIT_S
    ) -> None:
        """Repeating it is safe. Waits `wait_s` for its turn.

        Raises StartRefused when the place is somebody else's, BackendUnavailable, and what the store raises.
        """
        if isinstance(bare, S3Backend):
            turn = self._turn(row, wait_s)
            if turn is None:
                return
            try:
                self._create(bare, row, settings)
            finally:
                self._store.write(lambda tx: leases.release(tx, turn))
        else:
            self._create(bare, row, settings)

    def _turn(self, row: BackendRow, wait_s: float) -> Lease | None:
        """Null when somebody else has registered it by now."""
        deadline_s = self._clock.monotonic_s() + wait_s
        while True:
            is_done, turn = self._store.write(lambda tx: self._ask(tx, row))
            if is_done or turn is not None:
                return turn
            if self._clock.monotonic_s() >= deadline_s:
                raise BackendUnavailable("another process is registering it", backend=row.name)
            time.sleep(LOOK_EVERY_S)

    def _ask(self, tx: Tx, row: BackendRow) -> tuple[bool, Lease | None]:
        if any(
            each.is_registered for each in backends.list_backends(tx) if each.backend_id == row.backend_id
        ):
            return True, None
        name = f"register:{row.backend_id}"
        return False, leases.acquire(tx, worker=name, holder=self._process_id, ttl_s=TURN_S)

    def _create(self, bare: Backend, row: BackendRow, settings: BackendSettings) -> None:
        try:
            if settings.kind == "volume":
                identity = Identity(
                    backend=row.name,
                    deployment_id=self._deployment_id,
                    identity_id=row.identity_id,
                    node=row.node,
                )
                init_identity(settings.folder, identity, created_at_us=self._clock.now_us())
            elif isinstance(bare, S3Backend):
                bare.register(created_at_us=self._clock.now_us())
        except ForeignBackend as error:
            raise StartRefused(occupied_message(row.name, error)) from error

        def unit(tx: Tx) -> None:
            backends.mark_registered(tx, row.backend_id)

        self._store.write(unit)
        _log.info("backend.registered", extra={"backend": row.name})
