"""Fields of WorkerService's requests, checked."""

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import Any

from penstock.admin.v1 import worker_pb2

from engine.errors import MalformedField
from engine.metadata.workers import Overrides
from engine.units import DAY_S, TIB

INTERVAL_MIN_S = 0.1
INTERVAL_MAX_S = 30.0 * DAY_S
RATE_MAX_BYTES = TIB
REASON_CHARACTERS_MAX = 500

_ALL = "overrides"
_ENABLED, _INTERVAL, _RATE = (f"{_ALL}.{name}" for name in ("enabled", "interval", "rate_limit_bytes"))
MASKS = frozenset({_ALL, _ENABLED, _INTERVAL, _RATE})
"""What an update may name."""


def read_reason(reason: str) -> str | None:
    if len(reason) > REASON_CHARACTERS_MAX or not (reason.isprintable()):
        raise MalformedField("reason", f"at most {REASON_CHARACTERS_MAX} printable characters")
    return reason or None


def read_run_name(name: str) -> tuple[str, int]:
    """`workers/{worker}/runs/{run}`"""
    match name.split("/"):
        case ["workers", str(worker), "runs", str(run)] if (
            worker and run.isascii() and run.isdigit() and len(run) < 19
        ):
            return worker, int(run)
    raise MalformedField("name", f"expected `workers/{{worker}}/runs/{{run}}`, got {name[:80]!r}")


def read_overrides(
    overrides: worker_pb2.WorkerOverrides, mask: Collection[str], *, moves_bytes: bool
) -> Callable[[Overrides], Overrides]:
    """What makes the overrides that are wanted of those that hold: only what the mask names is others."""
    changes: dict[str, Any] = {}
    if _ALL in mask or _ENABLED in mask:
        changes["is_enabled"] = overrides.enabled if overrides.HasField("enabled") else None
    if _ALL in mask or _INTERVAL in mask:
        changes["interval_s"] = _read_interval_s(overrides) if overrides.HasField("interval") else None
    if _ALL in mask or _RATE in mask:
        has_rate = overrides.HasField("rate_limit_bytes")
        changes["rate_bytes"] = _read_rate_bytes(overrides, moves_bytes=moves_bytes) if has_rate else None
    return partial(replace, **changes)


def _read_interval_s(overrides: worker_pb2.WorkerOverrides) -> float:
    interval_s = overrides.interval.ToNanoseconds() / 1e9
    if not INTERVAL_MIN_S <= interval_s <= INTERVAL_MAX_S:
        raise MalformedField("worker.overrides.interval", "an interval is from 0.1 seconds to 30 days")
    return interval_s


def _read_rate_bytes(overrides: worker_pb2.WorkerOverrides, *, moves_bytes: bool) -> int:
    if not moves_bytes:
        raise MalformedField("worker.overrides.rate_limit_bytes", "this worker moves no bytes")
    if not 0 <= overrides.rate_limit_bytes <= RATE_MAX_BYTES:
        raise MalformedField("worker.overrides.rate_limit_bytes", "a rate is from 0 to 1 TiB a second")
    return overrides.rate_limit_bytes
