"""How far the scrubber has come on each backend."""

from dataclasses import dataclass
from typing import cast

from engine.metadata.store import SqlValue, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubPass:
    """The pass over one backend that is under way, or that ended last.

    `whole_begun_at_us`: all that stood when that pass began has been verified since; null while no pass has ended.
    """

    backend_id: int
    cursor: str
    begun_at_us: int
    ended_at_us: int | None
    piece_count: int
    passed_bytes: int
    bad_count: int
    whole_begun_at_us: int | None


def list_passes(tx: Tx) -> dict[int, ScrubPass]:
    """Passes by backend; none where the scrubber was not yet."""
    passes = [
        ScrubPass(
            backend_id=cast(int, row[0]),
            cursor=cast(str, row[1]),
            begun_at_us=cast(int, row[2]),
            ended_at_us=cast("int | None", row[3]),
            piece_count=cast(int, row[4]),
            passed_bytes=cast(int, row[5]),
            bad_count=cast(int, row[6]),
            whole_begun_at_us=cast("int | None", row[7]),
        )
        for row in tx.rows("list_scrub_passes", {})
    ]
    return {each.backend_id: each for each in passes}


def begin_pass(tx: Tx, backend_id: int) -> None:
    tx.run("begin_scrub_pass", {"backend_id": backend_id, "now_us": tx.now_us()})


def advance_pass(
    tx: Tx, backend_id: int, *, cursor: str, piece_count: int, passed_bytes: int, bad_count: int
) -> None:
    params: dict[str, SqlValue] = {
        "backend_id": backend_id,
        "cursor": cursor,
        "piece_count": piece_count,
        "passed_bytes": passed_bytes,
        "bad_count": bad_count,
    }
    tx.run("advance_scrub_pass", params)


def end_pass(tx: Tx, backend_id: int) -> None:
    """Repeating it is harmless: a pass ends once."""
    tx.run("end_scrub_pass", {"backend_id": backend_id, "now_us": tx.now_us()})
