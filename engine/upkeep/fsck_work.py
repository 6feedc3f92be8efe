"""Fsck as long work of a running deployment: whoever goes on with it begins where the last stored step ended."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from engine.upkeep.fsck import Fsck
from engine.upkeep.fsck_place import Part, Place
from engine.upkeep.fsck_report import Finding, FsckReport, FsckTally, Problem
from engine.upkeep.long_work import Extent, Json, Step

STEP_S = 0.5
TOLD_COUNT_MAX = 100
"""Findings that the operation answers with; the others are counted."""

DETAIL_CHARACTERS_MAX = 300
"""Of a finding's detail, where it is kept with the operation."""


class FsckWork:
    """Long work. Its cursor is a place with what was counted and found before it."""

    def __init__(self, fsck: Fsck, *, step_s: float = STEP_S) -> None:
        self._fsck = fsck
        self._step_s = step_s
        # A pass under way, with the cursor at which it stands: it knows what lies before it in a file.
        self._pass: tuple[str | None, _Pass] | None = None

    def measure(self) -> Extent:
        return Extent()

    def step(self, cursor: str | None, /) -> Step:
        """As much as half a second allows."""
        known_cursor, under_way = self._pass or (None, None)
        if under_way is None or known_cursor != cursor:
            under_way = self._begin(cursor)
        before = replace(under_way.tally)
        stage = under_way.go_on(self._step_s)
        told = _cursor(under_way.place, under_way.tally)
        self._pass = (told, under_way)
        return _told(told, before, under_way.tally, stage)

    def cancelled(self) -> None:
        """Nothing was changed."""

    def _begin(self, cursor: str | None) -> "_Pass":
        place, tally = _read_cursor(cursor) if cursor else (Place(), FsckTally())
        return _Pass(place=place, tally=tally, walk=self._fsck.walk(tally, place))


@dataclass(slots=True, kw_only=True)
class _Pass:
    """A walk with what it has counted so far, up to `place`."""

    place: Place
    tally: FsckTally
    walk: Iterator[tuple[Place, str]]

    def go_on(self, step_s: float) -> str | None:
        """What is being looked at; null when the walk has ended."""
        deadline_s = time.monotonic() + step_s
        for place, stage in self.walk:
            self.place = place
            if time.monotonic() >= deadline_s:
                return stage
        return None


def _told(cursor: str, before: FsckTally, tally: FsckTally, stage: str | None) -> Step:
    fresh = tally.findings[min(before.finding_count, TOLD_COUNT_MAX) : TOLD_COUNT_MAX]
    return Step(
        cursor=cursor,
        is_last=stage is None,
        item_count=tally.blob_count + tally.location_count - before.blob_count - before.location_count,
        moved_bytes=tally.verified_bytes - before.verified_bytes,
        stage=stage or "done",
        warnings=tuple(
            f"{each.problem.name}: {each.subject}: {each.problem.value}"
            + (f" ({each.detail})" if each.detail else "")
            for each in fresh
        ),
        result=_answer(tally.report()) if stage is None else None,
    )


def _answer(report: FsckReport) -> dict[str, Json]:
    findings: list[Json] = [
        {"problem": each.problem.name, "subject": each.subject, "detail": each.detail}
        for each in report.findings[:TOLD_COUNT_MAX]
    ]
    return {
        "is_clean": report.is_clean,
        "finding_count": report.finding_count,
        "findings": findings,
        "counts": dict(report.counts),
    }


def _cursor(place: Place, tally: FsckTally) -> str:
    return json.dumps(
        {
            "place": {**asdict(place), "part": place.part.value},
            "counts": tally.counts(),
            "finding_count": tally.finding_count,
            "findings": [
                [each.problem.name, each.subject, each.detail[:DETAIL_CHARACTERS_MAX]]
                for each in tally.findings[:TOLD_COUNT_MAX]
            ],
        }
    )


def _read_cursor(cursor: str) -> tuple[Place, FsckTally]:
    told = json.loads(cursor)
    place = Place(**{**told["place"], "part": Part(told["place"]["part"])})
    findings = [
        Finding(problem=Problem[problem], subject=subject, detail=detail)
        for problem, subject, detail in told["findings"]
    ]
    return place, FsckTally(**told["counts"], finding_count=told["finding_count"], findings=findings)
