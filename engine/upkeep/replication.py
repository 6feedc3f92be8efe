"""The replicator and the trimmer: copies that are missing are made, those beyond the scheme go, unasked."""

import logging
from functools import partial

from engine.metadata import repairs
from engine.metadata.redundancy_passes import Phase
from engine.metadata.repairs import RepairKind, list_due
from engine.metadata.store import Tx
from engine.records import Progress
from engine.upkeep.away import HealPolicy, Presence, note_absences, read_presence
from engine.upkeep.blob_healing import BlobHealer
from engine.upkeep.blob_trimming import BlobTrimmer
from engine.upkeep.detecting import Detector
from engine.upkeep.integrity_parts import IntegrityParts
from engine.upkeep.long_work import Fence, Pace

LIST_COUNT_MAX = 64

WAITING_COUNT_MAX = 1000
"""With more repairs than this waiting, passes ask for no others."""

FORGET_COUNT_MAX = 500

_log = logging.getLogger(__name__)


class Replicator:
    """A worker unit (`work`): notes who is away, heals blobs that are due, and goes on with passes in search of others.

    An interruption repeats a unit at most. One replicator serves one run.
    """

    name = "replicator"

    def __init__(self, parts: IntegrityParts, policy: HealPolicy, *, fence: Fence, pace: Pace) -> None:
        self._parts = parts
        self._store = parts.store
        self._policy = policy
        self._fence = fence
        self._healer = BlobHealer(parts, policy, fence=fence, pace=pace)
        self._detector = Detector(parts.store, fence=fence)
        self._has_looked = False
        self._is_fruitless = False

    def work(self) -> Progress:
        """Deferred: blobs that lack copies still."""
        if not self._has_looked:
            self._look()
            self._has_looked = True
            return Progress(has_more=True)
        if not self._is_fruitless:
            due = self._store.read(partial(list_due, kind=RepairKind.HEAL, count_max=LIST_COUNT_MAX))
            if due:
                healed = self._healer.heal(due)
                # When nothing can be done for the ones that wait longest, the others had better not be tried either.
                self._is_fruitless = healed.done_count == 0
                return Progress(done_count=healed.done_count, deferred_count=len(healed.stuck), has_more=True)
        return self._search()

    def _look(self) -> None:
        changes = self._store.write(self._note)
        for backend_id, phase in changes:
            told = "present" if phase is None else phase.value
            _log.warning("replication.backend", extra={"backend_id": backend_id, "phase": told})
        presence = self._presence()
        if presence.is_stopped:
            _log.error("replication.stopped", extra={"problem": STOPPED})
        self._detector.renew(presence, self._store.read(lambda tx: tx.now_us()))

    def _note(self, tx: Tx) -> list[tuple[int, Phase | None]]:
        self._fence(tx)
        repairs.forget_ended(tx, count_max=FORGET_COUNT_MAX)
        return note_absences(tx, self._policy)

    def _search(self) -> Progress:
        waiting = self._store.read(repairs.count_repairs)
        if sum(each.waiting_count for each in waiting.values()) >= WAITING_COUNT_MAX:
            return Progress()
        detected = self._detector.step(self._presence())
        if detected is None:
            return Progress()
        if detected.found_count:
            self._is_fruitless = False
        return Progress(has_more=True)

    def _presence(self) -> Presence:
        return self._store.read(partial(read_presence, policy=self._policy))


STOPPED = "more failure domains are away at once than any scheme survives: nothing is made anew because of it"


class Trimmer:
    """A worker unit (`work`): trims blobs of which a copy too many was noticed. One trimmer serves one run."""

    name = "trimmer"

    def __init__(self, parts: IntegrityParts, policy: HealPolicy, *, fence: Fence, pace: Pace) -> None:
        self._store = parts.store
        self._trimmer = BlobTrimmer(parts, policy, fence=fence, pace=pace)

    def work(self) -> Progress:
        """Deferred: blobs whose copies could not be read."""
        due = self._store.read(partial(list_due, kind=RepairKind.TRIM, count_max=LIST_COUNT_MAX))
        if not due:
            return Progress()
        trimmed = self._trimmer.trim(due)
        return Progress(
            done_count=trimmed.done_count,
            deferred_count=len(trimmed.stuck),
            has_more=trimmed.done_count > 0,
        )
