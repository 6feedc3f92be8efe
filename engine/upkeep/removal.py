"""Removing a drained backend: it is forgotten, and, if that was confirmed, what is ours is deleted there before.

Files that say themselves that they are ours are unlinked once their readers are gone, the identity last of all. What
cannot be told to be ours stays, and is told of.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from functools import partial

from engine.backends.base import Backend
from engine.backends.registry import volume_in
from engine.backends.volume.backend import VolumeBackend
from engine.backends.volume.faults import backend_fault
from engine.backends.volume.files import VolumeFile, list_leftovers
from engine.errors import BackendError, BackendInState, BackendsUnavailable, PieceCorrupt
from engine.metadata import backends
from engine.metadata.backend_removal import Leftovers, find_leftovers, forget_volumes, forget_waiting
from engine.metadata.store import Store, Tx
from engine.metadata.volumes import forget_volume, list_volumes, mark_gone_if_empty
from engine.records import BackendRow, BackendState, VolumeState
from engine.upkeep.long_work import Extent, Fence, Step
from engine.upkeep.moved_pieces import BackendRegistry
from engine.upkeep.removal_plan import FOREIGN_COUNT_MAX, foreign_names, is_temporary_of_ours

WAIT_S = 1.0
WAIT_COUNT_MAX = 600
"""So many waits in a row for a file that somebody holds, or for a backend out of reach; then the removal has failed.

What the cleanup has yet to delete is waited for as long as it takes: that has an end, and is told.
"""

CANCELLED = "its removal was cancelled"


class Stage(Enum):
    """What a removal is at; a stage is gone through whole before the next."""

    READERS = "waiting for readers and late writes"
    FILES = "deleting files"
    ROWS = "forgetting"
    IDENTITY = "giving the folder up"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalCursor:
    """Where a removal stands. `after` is the last volume file seen to, in hex."""

    stage: str
    after: str = ""
    wait_count: int = 0
    deleted_count: int = 0
    deleted_bytes: int = 0

    def write(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))


class Removal:
    """Implements `engine.upkeep.long_work.LongWork` for one backend."""

    def __init__(
        self,
        store: Store,
        registry: BackendRegistry,
        row: BackendRow,
        *,
        purges_data: bool,
        fence: Fence,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._registry = registry
        self._row = row
        self._purges_data = purges_data
        self._fence = fence
        self._rest = rest

    def measure(self) -> Extent:
        try:
            files = self._files() if self._purges_data else []
        except BackendError:
            return Extent()
        return Extent(item_count=len(files), size_bytes=sum(file.size_bytes for file in files))

    def step(self, cursor: str | None, /) -> Step:
        """Raises BackendInState when the backend is drained no longer, BackendsUnavailable after waiting in vain."""
        first = Stage.READERS if self._purges_data else Stage.ROWS
        position = RemovalCursor(stage=first.name) if cursor is None else RemovalCursor(**json.loads(cursor))
        stage = Stage[position.stage]
        if stage is Stage.READERS:
            return self._wait_for_readers(position)
        try:
            if stage is Stage.FILES:
                return self._delete_file(position)
            if stage is Stage.ROWS:
                return self._forget(position)
            return self._end_of_it(position)
        except BackendError as error:
            return self._wait(position, f"{self._row.name!r} is out of reach: {error}")

    def cancelled(self) -> None:
        """What was deleted was nobody's. The backend stays drained: it can be removed again, or taken back into use."""

        def unit(tx: Tx) -> None:
            self._fence(tx)
            backends.lock_states(tx)
            if backends.find_standing(tx, self._row.backend_id).state is BackendState.DRAINED:
                backends.set_state(tx, self._row.backend_id, BackendState.DRAINED, reason=CANCELLED)

        self._store.write(unit)

    # --- the stages ---

    def _wait_for_readers(self, position: RemovalCursor) -> Step:
        """Bytes that a drain has just left may still be read for a grace, and writes given up may still land."""
        leftovers = self._store.write(self._look)
        if leftovers.due_us is None and leftovers.intent_count == 0:
            return _next(position, Stage.FILES)
        self._rest(WAIT_S)
        if leftovers.due_us is None:
            told = f"until {leftovers.intent_count} announced writes are settled"
        else:
            told = f"until {_clock(leftovers.due_us)}, {_waiting(leftovers)}"
        return Step(cursor=position.write(), is_last=False, stage=Stage.READERS.value, current_item=told)

    def _wait_for_deletions(self, position: RemovalCursor, leftovers: Leftovers) -> Step:
        """The cleanup ends with every key, be it as a dead letter after its last try."""
        self._rest(WAIT_S)
        told = _waiting(leftovers)
        if leftovers.next_try_us is not None:
            told += f", the next at {_clock(leftovers.next_try_us)}"
        return Step(cursor=position.write(), is_last=False, stage="waiting for deletions", current_item=told)

    def _deleted_all(self, position: RemovalCursor, leftovers: Leftovers) -> Step:
        step = _next(position, Stage.ROWS)
        if not leftovers.dead_count:
            return step
        return replace(
            step,
            failed_count=leftovers.dead_count,
            warnings=(f"{leftovers.dead_count} pieces could not be deleted, and stay there",),
        )

    def _delete_file(self, position: RemovalCursor) -> Step:
        """Unlink the next file of ours; what has no row any more is known by its header."""
        backend = volume_in(self._backend())
        if backend is None:
            self._backend().check_identity()
            # Its pieces went with their cleanup rows; those that are left are waited for.
            leftovers = self._store.write(self._look)
            if leftovers.waiting_count:
                return self._wait_for_deletions(position, leftovers)
            return self._deleted_all(position, leftovers)
        # The volume's own look, which no layer spares: files are deleted on the strength of it.
        backend.check_identity()
        file = next((each for each in self._files() if each.volume_id.hex() > position.after), None)
        if file is None:
            _drop_temporaries(backend)
            return _next(position, Stage.ROWS)
        try:
            held = backend.shelf.hold(file.volume_id)
        except PieceCorrupt:
            return self._passed(position, file, ["its header does not verify, so it stays"])
        if held is None:
            return self._wait(position, f"{file.path} is held by a process")
        try:
            if held.locked.identity_id != self._row.identity_id:
                return self._passed(position, file, ["it belongs to another backend, so it stays"])
            self._store.write(partial(self._give_up, volume_id=file.volume_id))
            backend.shelf.unlink(held)
        finally:
            held.close()
        self._store.write(partial(self._forget_volume, volume_id=file.volume_id))
        return self._passed(position, file, [])

    def _passed(self, position: RemovalCursor, file: VolumeFile, problems: list[str]) -> Step:
        now = replace(
            position,
            after=file.volume_id.hex(),
            wait_count=0,
            deleted_count=position.deleted_count + (not problems),
            deleted_bytes=position.deleted_bytes + (0 if problems else file.size_bytes),
        )
        return Step(
            cursor=now.write(),
            is_last=False,
            item_count=0 if problems else 1,
            failed_count=len(problems),
            moved_bytes=0 if problems else file.size_bytes,
            stage=Stage.FILES.value,
            current_item=file.path.name,
            warnings=tuple(f"{file.path}: {problem}" for problem in problems),
        )

    def _forget(self, position: RemovalCursor) -> Step:
        """Rows of the backend go, some at a time."""
        if self._store.write(self._forget_some):
            return Step(cursor=position.write(), is_last=False, stage=Stage.ROWS.value)
        return _next(position, Stage.IDENTITY)

    def _end_of_it(self, position: RemovalCursor) -> Step:
        """The folder is nobody's, then the row says that the backend is removed: only the row keeps it from being used.

        Repeating it is harmless, also when the backend is not open here any more because it is removed.
        """
        warnings: tuple[str, ...] = ()
        standing = self._store.read(partial(backends.find_standing, backend_id=self._row.backend_id))
        if standing.state is not BackendState.REMOVED:
            if self._purges_data:
                warnings = self._remove_identity()
            self._store.write(self._remove)
        result = {"deleted_count": position.deleted_count, "deleted_bytes": position.deleted_bytes}
        return Step(cursor=position.write(), is_last=True, stage="removed", warnings=warnings, result=result)

    def _remove_identity(self) -> tuple[str, ...]:
        """What stays there."""
        self._store.write(self._look)
        backend = self._backend()
        backend.remove_identity()
        volume = volume_in(backend)
        if volume is None:
            return ()
        names = foreign_names(volume.path)
        return tuple(f"{volume.path / name} is not ours, and stays" for name in names[:FOREIGN_COUNT_MAX])

    def _wait(self, position: RemovalCursor, why: str) -> Step:
        if position.wait_count >= WAIT_COUNT_MAX:
            raise BackendsUnavailable(f"gave up after {WAIT_COUNT_MAX} waits: {why}")
        self._rest(WAIT_S)
        return Step(
            cursor=replace(position, wait_count=position.wait_count + 1).write(),
            is_last=False,
            stage="waiting",
            current_item=why,
            warnings=(why,) if position.wait_count == 0 else (),
        )

    # --- transactions ---

    def _look(self, tx: Tx) -> Leftovers:
        self._check(tx)
        return find_leftovers(tx, self._row.backend_id)

    def _give_up(self, tx: Tx, volume_id: bytes) -> None:
        """The file's row says that it is gone before it is, unless a location names it after all."""
        self._check(tx)
        rows = [row for row in list_volumes(tx, self._row.backend_id) if row.volume_id == volume_id]
        for row in rows:
            if row.state is not VolumeState.GONE and not mark_gone_if_empty(
                tx,
                backend_id=self._row.backend_id,
                volume_id=volume_id,
                from_state=row.state,
                unlink_after_us=tx.now_us(),
            ):
                raise BackendInState(
                    backend=self._row.name, state="not empty", hint="undrain it and drain it again"
                )

    def _forget_volume(self, tx: Tx, volume_id: bytes) -> None:
        self._check(tx)
        forget_volume(tx, volume_id)

    def _forget_some(self, tx: Tx) -> bool:
        """Whether there was something to forget."""
        self._check(tx)
        return bool(forget_waiting(tx, self._row.backend_id) or forget_volumes(tx, self._row.backend_id))

    def _remove(self, tx: Tx) -> None:
        self._fence(tx)
        backends.lock_states(tx)
        backends.fence_backend(tx, self._row.backend_id)
        self._check(tx)
        standing = backends.find_standing(tx, self._row.backend_id)
        backends.set_state(
            tx,
            self._row.backend_id,
            BackendState.REMOVED,
            reason=(standing.reason or "removed").removeprefix("being "),
            operation=standing.operation,
        )

    def _check(self, tx: Tx) -> None:
        """Raises BackendInState unless the backend is drained and holds nothing, LeaseLost."""
        self._fence(tx)
        standing = backends.find_standing(tx, self._row.backend_id)
        if standing.state is not BackendState.DRAINED:
            raise BackendInState(
                backend=self._row.name,
                state=standing.state.value,
                hint="it was given another state meanwhile",
            )
        if backends.holds_pieces(tx, self._row.backend_id):
            raise BackendInState(
                backend=self._row.name, state="not empty", hint="undrain it and drain it again"
            )

    def _backend(self) -> Backend:
        return self._registry.get(self._row.backend_id)

    def _files(self) -> list[VolumeFile]:
        volume = volume_in(self._backend())
        return [] if volume is None else volume.shelf.files()


def _next(position: RemovalCursor, stage: Stage) -> Step:
    now = replace(position, stage=stage.name, wait_count=0)
    return Step(cursor=now.write(), is_last=False, stage=stage.value)


def _drop_temporaries(backend: VolumeBackend) -> None:
    """Files under construction, of which none can be: nobody makes files for a backend that takes no pieces."""
    try:
        for path in list_leftovers(backend.path, older_than_s=time.time()):
            if is_temporary_of_ours(path.name):
                path.unlink(missing_ok=True)
    except OSError as error:
        raise backend_fault(error, backend=backend.name, doing="the directory does not answer") from error


def _waiting(leftovers: Leftovers) -> str:
    return f"{leftovers.waiting_count} pieces wait to be deleted"


def _clock(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime("%H:%M:%SZ")
