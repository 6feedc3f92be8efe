"""What fsck says: counts of what it saw, and one finding for each thing that is wrong."""

from dataclasses import dataclass, field
from enum import Enum

FINDING_COUNT_MAX = 10_000
"""Findings kept in a report; more are only counted."""


class Problem(Enum):
    """Kinds of findings. The text is for people; the names are stable."""

    RECORD_MISSING = "a location names a piece that is not there"
    RECORD_DAMAGED = "a named record's header or trailer does not verify"
    RECORD_DIFFERS = "a named record has other lengths or checksums than the metadata"
    BLOCK_DAMAGED = "a named piece has a block that does not match its checksum"
    CARD_DAMAGED = "a named piece's card cannot be read or describes another blob"
    PIECES_MISSING = "a blob has fewer trusted pieces than its scheme asks for"
    BLOB_LEAKED = "a blob that nothing points at and nobody will free"
    VERSION_SIZE = "a version's size is not what its segments hold"
    COUNTER = "an account differs from the sum of its rows"
    FILE_WITHOUT_ROW = "a volume file that no row names"
    ROW_WITHOUT_FILE = "a volume row whose file is not there"
    VOLUME_UNREADABLE = "a volume file whose header does not verify, or that cannot be read"
    BACKEND_UNREACHABLE = "a backend that could not be looked at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong: where, and what exactly."""

    problem: Problem
    subject: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FsckReport:
    """The result of one pass. Records that are neither named nor queued are dead space, which is no fault."""

    counts: dict[str, int]
    findings: tuple[Finding, ...]
    finding_count: int

    @property
    def is_clean(self) -> bool:
        return self.finding_count == 0


@dataclass(slots=True, kw_only=True)
class FsckTally:
    """Counts while a pass runs."""

    blob_count: int = 0
    location_count: int = 0
    suspect_count: int = 0
    verified_bytes: int = 0
    card_count: int = 0
    volume_count: int = 0
    live_record_count: int = 0
    live_bytes: int = 0
    queued_record_count: int = 0
    queued_bytes: int = 0
    dead_record_count: int = 0
    dead_bytes: int = 0
    torn_count: int = 0
    torn_bytes: int = 0
    zero_bytes: int = 0
    unknown_bytes: int = 0
    finding_count: int = 0
    findings: list[Finding] = field(default_factory=list)

    def find(self, problem: Problem, subject: str, detail: str = "") -> None:
        """Keep a finding, or only count it when there are too many."""
        self.finding_count += 1
        if len(self.findings) < FINDING_COUNT_MAX:
            self.findings.append(Finding(problem=problem, subject=subject, detail=detail))

    def counts(self) -> dict[str, int]:
        """All that was seen, but for findings."""
        names = [name for name in self.__slots__ if name not in ("findings", "finding_count")]
        return {name: getattr(self, name) for name in names}

    def report(self) -> FsckReport:
        return FsckReport(
            counts=self.counts(), findings=tuple(self.findings), finding_count=self.finding_count
        )
