"""Workers and their runs as messages."""

from penstock.admin.v1 import worker_pb2

from controlplane.times import duration, timestamp
from controlplane.workers.runner import Job
from engine.metadata.worker_runs import RunRow
from engine.metadata.workers import Overrides, Pause, WorkerRow


def write_worker(
    row: WorkerRow, job: Job | None, *, backlog_count: int | None, now_us: int
) -> worker_pb2.Worker:
    """`job` is the worker's entry in the roster of this process; null for one of an instance of another version."""
    standing = row.standing
    is_led = row.lease_expires_at_us is not None and row.lease_expires_at_us > now_us
    return worker_pb2.Worker(
        name=f"workers/{row.worker}",
        description="" if job is None else job.description,
        enabled=standing.may_run,
        interval=duration(standing.interval_s),
        leader=row.leader.hex() if is_led and row.leader is not None else "",
        lease_expire_time=timestamp(row.lease_expires_at_us) if is_led else None,
        last_success_time=timestamp(row.last_success_us),
        last_failure_time=timestamp(row.last_failure_us),
        last_error=row.last_error or "",
        consecutive_failure_count=row.consecutive_failure_count,
        backlog_count=backlog_count,
        triggered=row.triggered_at_us is not None,
        pause=None if standing.pause is None else _pause(standing.pause),
        rate_limit_bytes=standing.rate_bytes,
        moves_bytes=job is not None and job.moves_bytes,
        overrides=_overrides(standing.overrides),
        next_run_time=timestamp(_next_run_us(row, now_us)),
    )


def write_run(row: RunRow) -> worker_pb2.WorkerRun:
    return worker_pb2.WorkerRun(
        name=f"workers/{row.worker}/runs/{row.run_id}",
        state=_state(row),
        process=row.holder.hex(),
        start_time=timestamp(row.started_at_us),
        end_time=timestamp(row.finished_at_us),
        done_count=row.done_count,
        deferred_count=row.deferred_count,
        error_message=row.error or "",
    )


def _state(row: RunRow) -> worker_pb2.WorkerRunState.ValueType:
    if row.finished_at_us is None:
        return (
            worker_pb2.WORKER_RUN_STATE_RUNNING
            if row.is_under_way
            else worker_pb2.WORKER_RUN_STATE_INTERRUPTED
        )
    return worker_pb2.WORKER_RUN_STATE_SUCCEEDED if row.error is None else worker_pb2.WORKER_RUN_STATE_FAILED


def _pause(pause: Pause) -> worker_pb2.WorkerPause:
    return worker_pb2.WorkerPause(
        creator=pause.creator,
        reason=pause.why or "",
        create_time=timestamp(pause.at_us),
        expire_time=timestamp(pause.until_us),
    )


def _overrides(overrides: Overrides) -> worker_pb2.WorkerOverrides:
    return worker_pb2.WorkerOverrides(
        enabled=overrides.is_enabled,
        interval=None if overrides.interval_s is None else duration(overrides.interval_s),
        rate_limit_bytes=overrides.rate_bytes,
        creator=overrides.creator or "",
        update_time=timestamp(overrides.at_us),
    )


def _next_run_us(row: WorkerRow, now_us: int) -> int | None:
    if not row.standing.may_run:
        return None
    if row.triggered_at_us is not None or row.last_started_us is None:
        return now_us
    return max(now_us, row.last_started_us + int(row.standing.interval_s * 1_000_000))
