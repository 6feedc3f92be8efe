"""Backends that every process is to judge anew: asked for by an operator, carried out by whoever looks."""

from collections.abc import Mapping
from typing import cast

from engine.metadata.store import Row, Tx


def ask_reset(tx: Tx, backend_id: int) -> None:
    """Have every process forget what it holds against a backend; they are told to look. Asking again is another one."""
    tx.run("ask_backend_reset", {"backend_id": backend_id, "now_us": tx.now_us()})
    tx.tell()


def resets_of(rows: list[Row]) -> Mapping[int, int]:
    """What the rows of `list_backend_resets` say: when each backend was reset last."""
    return {cast(int, backend_id): cast(int, asked_at_us) for backend_id, asked_at_us in rows}
