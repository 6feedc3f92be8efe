"""Reading and writing QueryUsageHistory: whose history is asked for, and how it is told page by page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from google.protobuf.duration_pb2 import Duration
from penstock.admin.v1 import usage_service_pb2 as pb

from controlplane.fields import read_name, read_page_size, read_page_token
from controlplane.services.named_backends import find_backend
from controlplane.times import timestamp
from engine.errors import MalformedField
from engine.metadata import bucket_usage, quota, usage_history
from engine.metadata.backends import list_backends
from engine.metadata.store import Tx
from engine.metadata.usage_history import Step, UsedInStep
from engine.records import BackendState, UsageKind
from engine.units import DAY_S

_STEPS = {
    pb.USAGE_STEP_UNSPECIFIED: Step.DAY,
    pb.USAGE_STEP_DAY: Step.DAY,
    pb.USAGE_STEP_HOUR: Step.HOUR,
}
ListSteps = Callable[..., Sequence[UsedInStep]]
_WINDOW_S = {Step.DAY: 30 * DAY_S, Step.HOUR: 2 * DAY_S}


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryQuery:
    """An empty `name` means all backends; a page begins behind `after`, an entry's name and beginning."""

    name: str
    step: Step
    window_us: int
    page_size: int
    after: tuple[str, int] | None


def read_query(request: pb.QueryUsageHistoryRequest) -> HistoryQuery:
    step = _STEPS.get(request.step)
    if step is None:
        raise MalformedField("step", "a step is an hour or a day")
    is_bucket = request.name.startswith("buckets/")
    if request.name:
        read_name("name", request.name, "buckets" if is_bucket else "backends")
    return HistoryQuery(
        name=request.name,
        step=step,
        window_us=read_window(request.window) or _WINDOW_S[step] * 1_000_000,
        page_size=read_page_size(request.page_size),
        after=read_position(read_page_token(request.page_token)),
    )


def query(tx: Tx, asked: HistoryQuery) -> tuple[list[pb.PastUsage], str | None]:
    """A page, and the position behind it; null at the end. Raises NoSuchResource and NoSuchBucket."""
    since_us = asked.step.start_of(tx.now_us() - asked.window_us)
    shown: list[pb.PastUsage] = []
    for name, list_steps in _histories(tx, asked.name):
        from_us = since_us
        if asked.after is not None:
            if name < asked.after[0]:
                continue
            if name == asked.after[0]:
                from_us = max(since_us, asked.after[1] + 1)
        left = asked.page_size - len(shown)
        found = list_steps(asked.step, since_us=from_us, count_max=left + 1)
        shown += [_write(name, each) for each in found[:left]]
        if len(found) > left:
            last = shown[-1]
            return shown, f"{last.name} {last.start_time.ToMicroseconds()}"
    return shown, None


def _histories(tx: Tx, name: str) -> list[tuple[str, ListSteps]]:
    """Resource names in order, each with what lists its history."""
    collection, _, leaf = name.partition("/")
    if collection == "buckets":
        return [(name, partial(bucket_usage.list_steps, tx, bucket_usage.find_counted(tx, leaf)))]
    if collection:
        named = [(name, find_backend(tx, leaf))]
    else:
        named = sorted(
            (f"backends/{row.name}", row.backend_id)
            for row in list_backends(tx)
            if row.state is not BackendState.REMOVED
        )
    return [
        (each, partial(usage_history.list_steps, tx, quota.backend_subject(backend_id)))
        for each, backend_id in named
    ]


def read_window(window: Duration) -> int:
    micros = window.seconds * 1_000_000 + window.nanos // 1000
    if micros < 0:
        raise MalformedField("window", "a window is not negative")
    return min(micros, usage_history.KEEP_DAYS_S * 1_000_000)


def read_position(position: str | None) -> tuple[str, int] | None:
    if position is None:
        return None
    name, _, starts_us = position.partition(" ")
    if not name or not (starts_us.isascii() and starts_us.isdigit() and len(starts_us) < 19):
        raise MalformedField("page_token", "not a token of this method")
    return name, int(starts_us)


def _write(name: str, entry: UsedInStep) -> pb.PastUsage:
    return pb.PastUsage(
        name=name,
        start_time=timestamp(entry.starts_us),
        write_request_count=entry.used.get(UsageKind.WRITE_REQUESTS, 0),
        read_request_count=entry.used.get(UsageKind.READ_REQUESTS, 0),
        delete_request_count=entry.used.get(UsageKind.DELETE_REQUESTS, 0),
        egress_bytes=entry.used.get(UsageKind.EGRESS_BYTES, 0),
        ingress_bytes=entry.used.get(UsageKind.INGRESS_BYTES, 0),
        stored_bytes=entry.stored_bytes,
    )
