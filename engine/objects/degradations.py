"""What went less well than it should have, counted and logged where it happens (promise P9: loud when degraded)."""

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from enum import Enum

_log = logging.getLogger("penstock.objects")


class Degradation(Enum):
    """Kinds of fallback; the value is the event's name in the log and in metrics."""

    BACKEND_REPLACED = "write.backend_replaced"
    PIECE_COPIED = "write.piece_copied"
    BELOW_SCHEME = "write.below_scheme"
    PLACEMENT_REPEATED = "write.placement_repeated"
    PIECE_SUSPECT = "read.piece_suspect"
    READ_FAILED_OVER = "read.failed_over"
    BACKEND_LATE = "read.backend_late"
    SHUT_TRIED = "read.shut_tried"
    LOCATIONS_READ_AGAIN = "read.locations_read_again"
    CORRUPT_EVERYWHERE = "read.corrupt_everywhere"
    SUSPICION_DROPPED = "read.suspicion_dropped"
    COPY_REPEATED = "copy.repeated"
    WRITE_LATE = "write.backend_late"
    PIECES_ABANDONED = "write.pieces_abandoned"
    SERVED_WITHOUT_DATABASE = "read.served_without_database"
    UNVERIFIED = "read.unverified"
    VERIFICATION_OFF = "read.verification_off"


_ALARMS = frozenset({Degradation.CORRUPT_EVERYWHERE})

_USUAL = frozenset({Degradation.UNVERIFIED, Degradation.VERIFICATION_OFF})
"""What an operator has chosen: counted, and no warning."""


class Degradations:
    """Counts of one process since its start. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Degradation] = Counter()

    def note(self, kind: Degradation, **fields: object) -> None:
        """Count one and log it with its fields: ids and names, never keys of objects or bytes."""
        with self._lock:
            self._counts[kind] += 1
        level = logging.ERROR if kind in _ALARMS else logging.DEBUG if kind in _USUAL else logging.WARNING
        _log.log(level, kind.value, extra=fields)

    def counts(self) -> Mapping[Degradation, int]:
        """All kinds with their counts, those at zero included."""
        with self._lock:
            return {kind: self._counts[kind] for kind in Degradation}
