"""Who runs: instances and their processes, with signs of life by the database's clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from engine.metadata.store import Row, Tx
from engine.units import DAY_S

HEARTBEAT_S = 2
DEAD_AFTER_S = 15
"""A process that gave no sign of life for so long is dead."""

FORGET_AFTER_S = DAY_S
_FORGET_COUNT_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRow:
    """A process as the database knows it. `refusal` is why it could not take `refused_generation`.

    `in_flight_count` is null for one that serves no requests.
    """

    process_id: bytes
    plane: str
    pid: int
    generation: int | None
    last_error: str | None
    started_at_us: int
    heartbeat_at_us: int
    is_alive: bool
    refused_generation: int | None = None
    refusal: str | None = None
    in_flight_count: int | None = None
    is_drained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRow:
    """An instance as the database knows it."""

    instance_id: bytes
    node: str
    version: str
    started_at_us: int
    heartbeat_at_us: int
    is_alive: bool
    processes: Sequence[ProcessRow]
    is_draining: bool = False
    is_stopping: bool = False


def register(
    tx: Tx,
    *,
    instance_id: bytes,
    process_id: bytes,
    node: str,
    version: str,
    plane: str,
    pid: int,
    generation: int | None,
    connection_count_max: int | None = None,
) -> None:
    """A process starts; the first one of an instance brings the instance. Those long dead are forgotten.

    `connection_count_max` is what the whole instance may have of the database.
    """
    now_us = tx.now_us()
    tx.run(
        "upsert_instance",
        {
            "instance_id": instance_id,
            "node": node,
            "version": version,
            "now_us": now_us,
            "connection_count_max": connection_count_max,
        },
    )
    tx.run(
        "insert_process",
        {
            "process_id": process_id,
            "instance_id": instance_id,
            "plane": plane,
            "pid": pid,
            "generation": generation,
            "now_us": now_us,
        },
    )
    before_us = now_us - FORGET_AFTER_S * 1_000_000
    tx.run("forget_processes", {"before_us": before_us, "count_max": _FORGET_COUNT_MAX})
    tx.run("forget_instances", {"before_us": before_us})


def asked_connection_count(tx: Tx) -> int:
    """Database connections that all live instances together may have."""
    (asked,) = tx.row("sum_instance_connections", {"alive_us": tx.now_us() - DEAD_AFTER_S * 1_000_000})
    return cast(int, asked)


def beat(
    tx: Tx,
    process_id: bytes,
    *,
    generation: int | None,
    note: str | None = None,
    refused_generation: int | None = None,
    refusal: str | None = None,
    in_flight_count: int | None = None,
    is_drained: bool = False,
) -> None:
    """A sign of life, the generation the process runs, the one it could not take, and what people should know.

    `is_drained`: it was asked to drain, and nothing is in flight.
    """
    tx.run(
        "beat_process",
        {
            "process_id": process_id,
            "generation": generation,
            "note": note,
            "refused_generation": refused_generation,
            "refusal": refusal,
            "in_flight_count": in_flight_count,
            "is_drained": is_drained,
            "now_us": tx.now_us(),
        },
    )
    tx.run("beat_instance", {"process_id": process_id, "now_us": tx.now_us()})


def oldest_generation(tx: Tx) -> int | None:
    """The oldest generation that any live data-plane process runs; null without such a process."""
    (oldest,) = tx.row("find_oldest_generation_run", {"alive_us": tx.now_us() - DEAD_AFTER_S * 1_000_000})
    return cast("int | None", oldest)


def stop(tx: Tx, process_id: bytes) -> None:
    """A clean stop."""
    tx.run("stop_process", {"process_id": process_id, "now_us": tx.now_us()})
    tx.run("stop_instance", {"process_id": process_id, "now_us": tx.now_us()})


def list_instances(tx: Tx, *, before: bytes = b"\xff" * 16, count_max: int) -> list[InstanceRow]:
    """Instances older than an id, the one started last first."""
    rows = tx.rows("list_instances", {"before": before, "count_max": count_max})
    return [_read_instance(tx, row) for row in rows]


def find_instance(tx: Tx, instance_id: bytes) -> InstanceRow | None:
    row = tx.row_or_none("find_instance", {"instance_id": instance_id})
    return None if row is None else _read_instance(tx, row)


def _read_instance(tx: Tx, row: Row) -> InstanceRow:
    instance_id, node, version, started_at_us, heartbeat_at_us, stopped_at_us, draining_us, stop_by_us = row
    processes = [
        ProcessRow(
            process_id=cast(bytes, process_id),
            plane=cast(str, plane),
            pid=cast(int, pid),
            generation=cast("int | None", generation),
            last_error=cast("str | None", last_error),
            started_at_us=cast(int, started),
            heartbeat_at_us=cast(int, heartbeat),
            is_alive=stopped is None and _is_recent(tx, cast(int, heartbeat)),
            refused_generation=cast("int | None", refused),
            refusal=cast("str | None", refusal),
            in_flight_count=cast("int | None", in_flight_count),
            is_drained=drained_at_us is not None,
        )
        for (
            process_id,
            plane,
            pid,
            generation,
            last_error,
            started,
            heartbeat,
            stopped,
            refused,
            refusal,
            in_flight_count,
            drained_at_us,
        ) in tx.rows("list_processes", {"instance_id": instance_id})
    ]
    return InstanceRow(
        instance_id=cast(bytes, instance_id),
        node=cast(str, node),
        version=cast(str, version),
        started_at_us=cast(int, started_at_us),
        heartbeat_at_us=cast(int, heartbeat_at_us),
        is_alive=stopped_at_us is None and _is_recent(tx, cast(int, heartbeat_at_us)),
        processes=processes,
        is_draining=draining_us is not None,
        is_stopping=stop_by_us is not None,
    )


def _is_recent(tx: Tx, heartbeat_at_us: int) -> bool:
    return tx.now_us() - heartbeat_at_us < DEAD_AFTER_S * 1_000_000
