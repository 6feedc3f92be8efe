"""What trial writes to backends came to: a backend that took none gets no new pieces while that counts."""

from dataclasses import dataclass
from typing import cast

from engine.metadata.store import SqlValue, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """The last trial write to a backend; `problem` is null when it went well."""

    problem: str | None
    checked_at_us: int


def list_canaries(tx: Tx) -> dict[int, Canary]:
    """By backend; one that was never tried has none."""
    return {
        cast(int, backend_id): Canary(
            problem=cast("str | None", problem), checked_at_us=cast(int, checked_at_us)
        )
        for backend_id, problem, checked_at_us in tx.rows("list_backend_canaries", {})
    }


def note_canary(tx: Tx, backend_id: int, *, problem: str | None, counts_s: float) -> None:
    """A trial write has ended. What it found counts for so long, or until the next one."""
    now_us = tx.now_us()
    params: dict[str, SqlValue] = {
        "backend_id": backend_id,
        "problem": problem,
        "now_us": now_us,
        "expires_at_us": now_us + int(counts_s * 1_000_000),
    }
    tx.run("upsert_backend_canary", params)
