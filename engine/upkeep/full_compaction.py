"""Compacting all that there is to compact now, whatever part of a file is dead, as long work."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from engine.clock import Clock
from engine.errors import BackendError
from engine.metadata.store import Store
from engine.metadata.volumes import has_locations, list_volumes, live_locations
from engine.records import VolumeRow, VolumeState
from engine.units import MIB
from engine.upkeep.compaction import CompactableBackend, VolumeCompactor
from engine.upkeep.long_work import Extent, Fence, Pace, Step

DEAD_BYTES_MIN = MIB
"""A file is worth copying when this much of it is dead, padding counted in; so is one with counted dead bytes."""

STEP_S = 1.0
"""A step begins no further unit after this: a cancelled operation is not to finish a file of gigabytes."""


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A file with what is dead in it."""

    backend: CompactableBackend
    row: VolumeRow
    size_bytes: int
    live_bytes: int

    @property
    def is_worth_it(self) -> bool:
        return self.row.dead_bytes > 0 or self.size_bytes - self.live_bytes >= DEAD_BYTES_MIN


class FullCompaction:
    """Empties every file with dead bytes that stands when it begins; those it writes itself are newer.

    The cursor is the last file done with, the first id that is too new, what became of the files, and of a file that
    was begun with what lived in it then. A step works on one file; repeating one is as harmless as any unit of
    compaction.
    """

    def __init__(
        self,
        store: Store,
        backends: Sequence[CompactableBackend],
        *,
        fence: Fence,
        pace: Pace,
        clock: Clock,
        grace_us: int,
        is_dry_run: bool = False,
        step_s: float = STEP_S,
    ) -> None:
        self._store = store
        self._backends = sorted(backends, key=lambda each: each.backend_id)
        self._fence = fence
        self._pace = pace
        self._clock = clock
        self._grace_us = grace_us
        self._is_dry_run = is_dry_run
        self._step_s = step_s
        # Of the file at hand: it knows what it could not do anything about.
        self._compactor: tuple[bytes, VolumeCompactor] | None = None

    def measure(self) -> Extent:
        weighed = [each for each in (self._weigh(*file) for file in self._files(b"")) if each.is_worth_it]
        return Extent(item_count=len(weighed), size_bytes=sum(each.live_bytes for each in weighed))

    def step(self, cursor: str | None, /) -> Step:
        """Raises LeaseLost and what a write raises."""
        after, before, counted, *begun = (
            json.loads(cursor) if cursor is not None else ("", self._now_id(), {})
        )
        counts = Counter(counted)
        files = self._files(bytes.fromhex(after))
        if not files or files[0][1].volume_id.hex() >= before:
            return Step(
                cursor=json.dumps([after, before, counts]),
                is_last=True,
                stage="done",
                result=dict(sorted(counts.items())),
            )
        begun_bytes = _live_when_begun(begun, files[0][1])
        found = self._weigh(*files[0]) if begun_bytes is None else _Weighed(*files[0], begun_bytes)
        volume = found.row.volume_id.hex()
        warnings: tuple[str, ...] = ()
        moved_bytes, is_done = 0, False
        if found.is_worth_it or begun_bytes is not None:
            is_over, problem = (True, None) if self._is_dry_run else self._compact(found)
            if not is_over:
                return Step(
                    cursor=json.dumps([after, before, counts, volume, found.live_bytes]),
                    is_last=False,
                    stage="compacting",
                    current_item=volume,
                )
            is_done = problem is None
            if problem is None:
                counts["volume_count"] += 1
                counts["reclaimed_bytes"] += found.size_bytes - found.live_bytes
                moved_bytes = found.live_bytes
            else:
                counts["skipped_count"] += 1
                warnings = (f"volume {volume} of backend {found.backend.name}: {problem}",)
        return Step(
            cursor=json.dumps([volume, before, counts]),
            is_last=False,
            item_count=int(is_done),
            failed_count=len(warnings),
            moved_bytes=moved_bytes,
            stage="counting" if self._is_dry_run else "compacting",
            current_item=volume,
            warnings=warnings,
        )

    def cancelled(self) -> None:
        """A file that was begun with is gone on with by the worker; none is left unreadable."""

    def _compact(self, found: _Weighed) -> tuple[bool, str | None]:
        """Whether all was done about the file that can be, and if so, why it stays; null when it was given up."""
        try:
            held = found.backend.shelf.hold(found.row.volume_id)
        except BackendError as error:
            return True, str(error)
        if held is None:
            return True, "a process writes to it"
        held.close()
        compactor = self._compactor_of(found)
        deadline_s = self._clock.monotonic_s() + self._step_s
        while compactor.work().has_more:
            if self._pace.is_over or self._clock.monotonic_s() >= deadline_s:
                # One that was given up is not among the files any more: the next step would not find it to count it.
                return self._state_of(found) in (VolumeState.GONE, None), None
        return True, self._problem_of(found)

    def _compactor_of(self, found: _Weighed) -> VolumeCompactor:
        volume_id = found.row.volume_id
        if self._compactor is None or self._compactor[0] != volume_id:
            self._compactor = volume_id, self._make_compactor(found)
        return self._compactor[1]

    def _make_compactor(self, found: _Weighed) -> VolumeCompactor:
        return VolumeCompactor(
            self._store,
            [found.backend],
            fence=self._fence,
            grace_us=self._grace_us,
            clock=self._clock,
            rest_us=self._grace_us,
            pace=self._pace,
            only=found.row.volume_id,
        )

    def _problem_of(self, found: _Weighed) -> str | None:
        state = self._state_of(found)
        if state is VolumeState.GONE or state is None:
            return None
        if state is VolumeState.COMPACTING:
            return "pieces that do not verify keep it, or there is no room for the others"
        return "it was written to within the read grace"

    def _state_of(self, found: _Weighed) -> VolumeState | None:
        rows = self._store.read(partial(list_volumes, backend_id=found.backend.backend_id))
        return next((row.state for row in rows if row.volume_id == found.row.volume_id), None)

    def _files(self, after: bytes) -> list[tuple[CompactableBackend, VolumeRow, int]]:
        """Files behind one by id, over all backends, that were not given up yet, with their sizes."""
        found: list[tuple[CompactableBackend, VolumeRow, int]] = []
        for backend in self._backends:
            sizes = {file.volume_id: file.size_bytes for file in backend.shelf.files()}
            rows = self._store.read(partial(list_volumes, backend_id=backend.backend_id))
            found += [
                (backend, row, sizes[row.volume_id])
                for row in rows
                if row.volume_id in sizes and row.volume_id > after and row.state is not VolumeState.GONE
            ]
        return sorted(found, key=lambda each: each[1].volume_id)

    def _weigh(self, backend: CompactableBackend, row: VolumeRow, size_bytes: int) -> _Weighed:
        live_bytes = self._live_bytes(backend, row)
        return _Weighed(backend, row, size_bytes, live_bytes)

    def _live_bytes(self, backend: CompactableBackend, row: VolumeRow) -> int:
        named = partial(has_locations, backend_id=backend.backend_id, volume_id=row.volume_id)
        if not self._store.read(named):
            return 0
        live_bytes, after = 0, None
        while True:
            page = self._store.read(
                partial(live_locations, backend_id=backend.backend_id, volume_id=row.volume_id, after=after)
            )
            if not page:
                return live_bytes
            live_bytes += sum(each.stored_bytes for each in page)
            after = page[-1].storage_key

    def _now_id(self) -> str:
        """Greater than the id of every volume made until now."""
        return (self._clock.now_us() // 1000 + 1).to_bytes(6, "big").hex()


def _live_when_begun(begun: Sequence[object], row: VolumeRow) -> int | None:
    """What lived in the file when it was begun with; null when it was not, or another one was."""
    if not begun or begun[0] != row.volume_id.hex():
        return None
    live_bytes = begun[1]
    assert isinstance(live_bytes, int)
    return live_bytes
