"""What instances are asked for through their rows, so that any of them may be asked through any other."""

from dataclasses import dataclass
from typing import cast

from engine.metadata.processes import DEAD_AFTER_S
from engine.metadata.store import Row, SqlValue, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What one instance was asked for; null: not, or never. `stop_taken_by` is the process that carries a stop out."""

    draining_since_us: int | None = None
    look_asked_at_us: int | None = None
    restart_asked_at_us: int | None = None
    stop_by_us: int | None = None
    stop_taken_by: bytes | None = None


def wishes_of(rows: list[Row]) -> Wishes:
    """What the rows of `find_instance_wishes` say."""
    if not rows:
        return Wishes()
    draining_since_us, look_asked_at_us, restart_asked_at_us, stop_by_us, stop_taken_by = rows[0]
    return Wishes(
        draining_since_us=cast("int | None", draining_since_us),
        look_asked_at_us=cast("int | None", look_asked_at_us),
        restart_asked_at_us=cast("int | None", restart_asked_at_us),
        stop_by_us=cast("int | None", stop_by_us),
        stop_taken_by=cast("bytes | None", stop_taken_by),
    )


def ask_to_drain(tx: Tx, instance_id: bytes, *, is_wanted: bool) -> bool:
    """Take no new clients from now on, or take them again; whether there is such an instance."""
    since_us = tx.now_us() if is_wanted else None
    changed = tx.run("ask_instance_to_drain", {"instance_id": instance_id, "since_us": since_us})
    tx.tell()
    return changed == 1


def ask_to_look(tx: Tx, instance_id: bytes) -> bool:
    """Look at the configuration again, what could not be taken included; whether there is such an instance."""
    changed = tx.run("ask_instance_to_look", {"instance_id": instance_id, "now_us": tx.now_us()})
    tx.tell()
    return changed == 1


def ask_to_restart(tx: Tx, instance_id: bytes) -> int | None:
    """Replace each data-plane process that was started before now; that time, null for an unknown instance."""
    now_us = tx.now_us()
    changed = tx.run("ask_instance_to_restart", {"instance_id": instance_id, "now_us": now_us})
    tx.tell()
    return now_us if changed == 1 else None


def ask_to_stop(tx: Tx, instance_id: bytes, *, grace_s: float) -> bool:
    """Drain, and stop once nothing is in flight or the grace is over; whether there is such an instance."""
    now_us = tx.now_us()
    changed = tx.run(
        "ask_instance_to_stop",
        {"instance_id": instance_id, "stop_by_us": now_us + int(grace_s * 1_000_000), "now_us": now_us},
    )
    tx.tell()
    return changed == 1


def take_stop(tx: Tx, *, instance_id: bytes, process_id: bytes) -> bool:
    """Whether this process is the one to carry the stop of its instance out: one is, once."""
    alive_us = tx.now_us() - DEAD_AFTER_S * 1_000_000
    params: dict[str, SqlValue] = {
        "instance_id": instance_id,
        "process_id": process_id,
        "alive_us": alive_us,
    }
    return tx.run("take_instance_stop", params) == 1
