"""Passes in search of blobs with too few or too many copies: over a backend that is away or came back, and over all."""

from dataclasses import dataclass
from enum import Enum
from typing import cast

from engine.metadata.store import SqlValue, Tx

ALL_BLOBS = "blobs"


class Phase(Enum):
    """Why a pass is there."""

    AWAY = "away"
    """Its backend is held for failed; pieces there count for nothing once that has lasted."""
    RETURNED = "returned"
    """Its backend is back, and there may be more copies than needed."""
    ALL = "all"
    """From time to time all blobs are gone through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedundancyPass:
    """A pass, under way or not begun; `since_us` is since when its phase lasts. Null `backend_id`: over all blobs."""

    subject: str
    backend_id: int | None
    phase: Phase
    since_us: int
    cursor: str
    seen_count: int
    found_count: int
    ended_at_us: int | None


def backend_pass(backend_id: int) -> str:
    """Subject of the pass over a backend's pieces."""
    return f"backends/{backend_id}"


def list_passes(tx: Tx) -> list[RedundancyPass]:
    return [
        RedundancyPass(
            subject=cast(str, subject),
            backend_id=cast("int | None", backend_id),
            phase=Phase(phase),
            since_us=cast(int, since_us),
            cursor=cast(str, cursor),
            seen_count=cast(int, seen_count),
            found_count=cast(int, found_count),
            ended_at_us=cast("int | None", ended_at_us),
        )
        for subject, backend_id, phase, since_us, cursor, seen_count, found_count, ended_at_us in tx.rows(
            "list_redundancy_passes", {}
        )
    ]


def begin(tx: Tx, phase: Phase, *, backend_id: int | None = None) -> None:
    """A phase begins now, and its pass from the beginning."""
    params: dict[str, SqlValue] = {
        "subject": ALL_BLOBS if backend_id is None else backend_pass(backend_id),
        "backend_id": backend_id,
        "phase": phase.value,
        "now_us": tx.now_us(),
    }
    tx.run("set_redundancy_pass", params)


def advance(tx: Tx, subject: str, *, cursor: str, seen_count: int, found_count: int) -> None:
    params: dict[str, SqlValue] = {
        "subject": subject,
        "cursor": cursor,
        "seen_count": seen_count,
        "found_count": found_count,
    }
    tx.run("advance_redundancy_pass", params)


def end(tx: Tx, subject: str) -> None:
    """All that it goes through was gone through."""
    tx.run("end_redundancy_pass", {"subject": subject, "now_us": tx.now_us()})


def drop(tx: Tx, subject: str) -> None:
    """Nothing is left to be done about it."""
    tx.run("delete_redundancy_pass", {"subject": subject})
