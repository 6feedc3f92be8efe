"""Workers' settings, by the configuration and by operators, and when they are due."""

from dataclasses import dataclass
from typing import cast

from engine.errors import NoSuchResource
from engine.metadata.store import Row, SqlValue, Tx
from engine.records import Lease, Progress

RUN_KEEP_COUNT = 100
"""Runs that are kept of each worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What an operator set for a worker; null leaves what the configuration says. A rate of 0 means no bound."""

    is_enabled: bool | None = None
    interval_s: float | None = None
    rate_bytes: int | None = None
    creator: str | None = None
    at_us: int | None = None
    """Who set one of them last, and when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Who lets a worker rest, and why. `until_us` null: until it is resumed."""

    creator: str
    why: str | None
    until_us: int | None
    at_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """What the newest generation says about a worker. `rate_bytes` null: no bound of its own."""

    is_enabled: bool
    interval_s: float
    rate_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStanding:
    """What holds for a worker now: what operators set goes before the configuration."""

    configured: Configured
    overrides: Overrides = Overrides()
    pause: Pause | None = None

    @property
    def is_enabled(self) -> bool:
        own = self.overrides.is_enabled
        return self.configured.is_enabled if own is None else own

    @property
    def interval_s(self) -> float:
        own = self.overrides.interval_s
        return self.configured.interval_s if own is None else own

    @property
    def rate_bytes(self) -> int | None:
        own = self.overrides.rate_bytes
        return (self.configured.rate_bytes if own is None else own) or None

    @property
    def may_run(self) -> bool:
        return self.is_enabled and self.pause is None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """A worker as the database knows it. Times are null when there was no such run."""

    worker: str
    standing: WorkerStanding
    triggered_at_us: int | None
    leader: bytes | None
    lease_expires_at_us: int | None
    last_started_us: int | None
    last_success_us: int | None
    last_failure_us: int | None
    last_error: str | None
    consecutive_failure_count: int


def apply_worker(
    tx: Tx, name: str, *, is_enabled: bool, interval_s: float, rate_bytes: int | None = None
) -> None:
    """A worker's settings as a generation has them. What operators set stays, and goes before them."""
    params: dict[str, SqlValue] = {
        "worker": name,
        "is_enabled": int(is_enabled),
        "interval_s": interval_s,
        "rate_bytes": rate_bytes,
    }
    if not tx.run("insert_worker", params):
        tx.run("update_worker", params)


def list_workers(tx: Tx, name: str | None = None) -> list[WorkerRow]:
    """All workers by name, or the one of that name."""
    now_us = tx.now_us()
    return [
        WorkerRow(
            worker=cast(str, row[0]),
            standing=_standing((*row[1:4], *row[5:14]), now_us),
            triggered_at_us=cast("int | None", row[4]),
            leader=cast("bytes | None", row[14]),
            lease_expires_at_us=cast("int | None", row[15]) if row[14] is not None else None,
            last_started_us=cast("int | None", row[16]),
            last_success_us=cast("int | None", row[17]),
            last_failure_us=cast("int | None", row[18]),
            last_error=cast("str | None", row[19]),
            consecutive_failure_count=cast(int, row[20]),
        )
        for row in tx.rows("list_workers", {"worker": name})
    ]


def find_worker(tx: Tx, name: str) -> WorkerRow:
    """Raises NoSuchResource."""
    for row in list_workers(tx, name):
        return row
    raise NoSuchResource(name=f"workers/{name}")


def find_standing(tx: Tx, name: str) -> WorkerStanding | None:
    """What holds for a worker now; null for one that is not known."""
    row = tx.row_or_none("find_worker_settings", {"worker": name})
    return None if row is None else _standing(row, tx.now_us())


def is_due(tx: Tx, name: str) -> bool:
    """Whether it is enabled and not paused, and was triggered or has rested for its interval."""
    for row in list_workers(tx, name):
        if not row.standing.may_run:
            return False
        if row.triggered_at_us is not None or row.last_started_us is None:
            return True
        return tx.now_us() - row.last_started_us >= row.standing.interval_s * 1_000_000
    return False


def pause(tx: Tx, name: str, *, creator: str, why: str | None, until_us: int | None) -> None:
    """Let it rest; a pause that holds is replaced. Raises NoSuchResource."""
    params: dict[str, SqlValue] = {
        "worker": name,
        "creator": creator,
        "why": why,
        "until_us": until_us,
        "now_us": tx.now_us(),
    }
    if not tx.run("pause_worker", params):
        raise NoSuchResource(name=f"workers/{name}")


def resume(tx: Tx, name: str) -> None:
    """End its pause, if there is one. Raises NoSuchResource."""
    if not tx.run("resume_worker", {"worker": name}):
        raise NoSuchResource(name=f"workers/{name}")


def override(tx: Tx, name: str, overrides: Overrides) -> None:
    """What operators set instead of the configuration's, all of it anew. Raises NoSuchResource."""
    params: dict[str, SqlValue] = {
        "worker": name,
        "is_enabled": None if overrides.is_enabled is None else int(overrides.is_enabled),
        "interval_s": overrides.interval_s,
        "rate_bytes": overrides.rate_bytes,
        "creator": overrides.creator,
        "now_us": tx.now_us(),
    }
    if not tx.run("override_worker", params):
        raise NoSuchResource(name=f"workers/{name}")


def trigger(tx: Tx, name: str) -> bool:
    """Ask for a run now; false when there is no such worker."""
    return tx.run("trigger_worker", {"worker": name, "now_us": tx.now_us()}) == 1


def clear_trigger(tx: Tx, name: str) -> None:
    """Whoever asked for a run does not want it any more."""
    tx.run("clear_trigger", {"worker": name})


def begin_run(tx: Tx, lease: Lease) -> int:
    """A run begins; what was triggered before is this run. Its id."""
    clear_trigger(tx, lease.worker)
    row = tx.row(
        "begin_run",
        {"worker": lease.worker, "holder": lease.holder, "token": lease.token, "now_us": tx.now_us()},
    )
    return cast(int, row[0])


def end_run(tx: Tx, run_id: int, worker: str, *, progress: Progress, error: str | None) -> None:
    tx.run(
        "end_run",
        {
            "run_id": run_id,
            "done_count": progress.done_count,
            "deferred_count": progress.deferred_count,
            "error": error,
            "now_us": tx.now_us(),
        },
    )
    tx.run("forget_runs", {"worker": worker, "keep_count": RUN_KEEP_COUNT})


def _standing(row: Row, now_us: int) -> WorkerStanding:
    """From the columns of `find_worker_settings`. A pause that is over is none."""
    is_enabled, interval_s, rate_bytes, paused_by, why, until, paused_at, *overridden = row
    until_us = cast("int | None", until)
    pause = None
    if paused_by is not None and (until_us is None or until_us > now_us):
        pause = Pause(
            creator=cast(str, paused_by),
            why=cast("str | None", why),
            until_us=until_us,
            at_us=cast("int | None", paused_at),
        )
    own_is_enabled, own_interval_s, own_rate_bytes, overridden_by, overridden_at = overridden
    return WorkerStanding(
        configured=Configured(
            is_enabled=bool(is_enabled),
            interval_s=cast(float, interval_s),
            rate_bytes=cast("int | None", rate_bytes),
        ),
        overrides=Overrides(
            is_enabled=None if own_is_enabled is None else bool(own_is_enabled),
            interval_s=cast("float | None", own_interval_s),
            rate_bytes=cast("int | None", own_rate_bytes),
            creator=cast("str | None", overridden_by),
            at_us=cast("int | None", overridden_at),
        ),
        pause=pause,
    )
