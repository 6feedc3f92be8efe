"""Unlinking volume files that were given up, and telling which files and rows do not belong together."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from engine.clock import Clock
from engine.errors import BackendUnavailable, ForeignBackend, PieceCorrupt
from engine.metadata.store import Store, Tx
from engine.metadata.volumes import forget_volume, has_locations, list_volumes
from engine.records import Progress, VolumeRow, VolumeState
from engine.units import HOUR_S
from engine.upkeep.compaction import CompactableBackend

LEFTOVER_AGE_S = HOUR_S
"""A file under construction that nobody touched for so long has no maker any more."""

_log = logging.getLogger(__name__)

Fence = Callable[[Tx], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeMismatch:
    """Files and rows of one backend that do not match. Nothing is done about them here."""

    backend_id: int
    files_without_row: tuple[bytes, ...]
    rows_without_file: tuple[bytes, ...]


class VolumeSweeper:
    """A worker unit (`work`). Repeating it is harmless: a file already unlinked only has its row forgotten."""

    name = "volume-sweeper"

    def __init__(
        self, store: Store, backends: Sequence[CompactableBackend], *, fence: Fence, clock: Clock
    ) -> None:
        """`fence` raises LeaseLost in the transaction of every write."""
        self._store = store
        self._backends = backends
        self._fence = fence
        self._clock = clock

    def work(self) -> Progress:
        """Unlink what is due on every backend, report what does not match. Deferred: files that could not go."""
        done = deferred = 0
        for backend in self._backends:
            # A disk that is not mounted, or another one in its place, has none of our files to judge.
            try:
                backend.check_identity()
            except (ForeignBackend, BackendUnavailable) as error:
                _log.error("volume.sweep_skipped", extra={"backend": backend.name, "error": str(error)})
                deferred += 1
                continue
            due = self._store.read(partial(_due, backend_id=backend.backend_id))
            for row in due:
                if self._unlink(backend, row):
                    done += 1
                else:
                    deferred += 1
            backend.shelf.drop_leftovers(older_than_s=self._clock.now_us() / 1_000_000 - LEFTOVER_AGE_S)
            self._report(backend)
        return Progress(done_count=done, deferred_count=deferred)

    def mismatch(self, backend: CompactableBackend) -> VolumeMismatch:
        """Files that no row names and rows whose file is missing, as of now."""
        # Files first: one that is made meanwhile is not listed.
        files = {file.volume_id for file in backend.shelf.files()}
        rows = {
            row.volume_id: row for row in self._store.read(lambda tx: list_volumes(tx, backend.backend_id))
        }
        return VolumeMismatch(
            backend_id=backend.backend_id,
            files_without_row=tuple(
                sorted(volume_id for volume_id in files - rows.keys() if self._is_idle(backend, volume_id))
            ),
            rows_without_file=tuple(
                sorted(
                    volume_id
                    for volume_id, row in rows.items()
                    if row.state is not VolumeState.GONE and not backend.shelf.exists(volume_id)
                )
            ),
        )

    def _is_idle(self, backend: CompactableBackend, volume_id: bytes) -> bool:
        """Whether nobody is about to write the file's row: its maker holds the lock until the row stands."""
        try:
            held = backend.shelf.hold(volume_id)
        except PieceCorrupt:
            return True
        if held is None:
            return False
        held.close()
        return True

    def _unlink(self, backend: CompactableBackend, row: VolumeRow) -> bool:
        if backend.shelf.exists(row.volume_id):
            try:
                held = backend.shelf.hold(row.volume_id)
            except PieceCorrupt:
                _log.critical(
                    "volume.unlink_refused", extra={"backend": backend.name, "volume_id": row.volume_id.hex()}
                )
                return False
            if held is None:
                return False
            try:
                backend.shelf.unlink(held)
            finally:
                held.close()

        def unit(tx: Tx) -> None:
            self._fence(tx)
            forget_volume(tx, row.volume_id)

        self._store.write(unit)
        return True

    def _report(self, backend: CompactableBackend) -> None:
        found = self.mismatch(backend)
        for volume_id in found.files_without_row:
            _log.error(
                "volume.file_without_row", extra={"backend": backend.name, "volume_id": volume_id.hex()}
            )
        for volume_id in found.rows_without_file:
            _log.critical(
                "volume.file_missing", extra={"backend": backend.name, "volume_id": volume_id.hex()}
            )


def _due(tx: Tx, *, backend_id: int) -> list[VolumeRow]:
    now_us = tx.now_us()
    return [
        row
        for row in list_volumes(tx, backend_id)
        if row.state is VolumeState.GONE
        and row.unlink_after_us is not None
        and row.unlink_after_us <= now_us
        # Whoever marked it gone saw to that; unlinking is for ever, so it is asked once more.
        and not has_locations(tx, backend_id=backend_id, volume_id=row.volume_id)
    ]
