"""How a running deployment behaves: admission, workers, telemetry, debugging."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from engine.settings.quantities import Absent, Bytes, Count, Flag, Fraction, Seconds, off_is_none, one_of
from engine.settings.section import Section
from engine.settings.texts import HttpEndpoint, NetworkText
from engine.units import DAY_S, MIB


class AdmissionSettings(Section):
    """Bounds on what is in flight on this node, shared out over its processes; beyond them clients get 503 SlowDown."""

    reads: Count = Field(default=1024, ge=1, le=1_000_000)
    """Most read requests in flight."""

    writes: Count = Field(default=512, ge=1, le=1_000_000)
    """Most write requests in flight."""

    shed_threshold: Fraction = Field(default=0.8, gt=0.0, le=1.0)
    """Share of a limit from which requests are shed at random, more of them the fuller it is."""

    wait_s: Seconds = Field(default=0.1, alias="wait", le=10.0)
    """How long a request may wait for a place."""

    memory_bytes: Bytes = Field(default=512 * MIB, ge=16 * MIB)
    """Most bytes of bodies held in memory."""


class RateLimitSettings(Section):
    """Requests a second by client address and by access key."""

    per_address: Annotated[Count, Field(ge=1, le=1_000_000)] | None = None
    """Of one client address; of IPv6, one network of 64 bits. Default: no limit."""

    per_credential: Annotated[Count, Field(ge=1, le=1_000_000)] | None = None
    """Of one access key. Default: no limit."""

    trusted_proxies: tuple[NetworkText, ...] = ()
    """Networks of proxies whose `X-Forwarded-For` names the client, here and in the access log; else it is ignored."""


class WorkerSettings(Section):
    """One background job. What is not given is left as it is."""

    enabled: Flag = True
    """Whether it runs."""

    interval_s: Annotated[Seconds, Field(ge=0.1, le=30.0 * DAY_S)] | None = Field(
        default=None, alias="interval"
    )
    """Pause between runs. Default: the worker's own."""


class MovementSettings(Section):
    """How fast bytes may be moved for one purpose."""

    rate_bytes: Annotated[Bytes, Field(ge=1)] | None = None
    """Most bytes a second, on each control plane. Default: no limit."""


class MovingWorkerSettings(WorkerSettings, MovementSettings):
    """A background job that moves bytes."""


def rate_of(settings: WorkerSettings) -> int | None:
    """Most bytes a second that a worker may move; null: no limit."""
    return settings.rate_bytes if isinstance(settings, MovementSettings) else None


class WorkersSettings(Section):
    """Background jobs of the control plane."""

    notifier: WorkerSettings = WorkerSettings()
    """Sends events of buckets to `notifications`."""

    canary: WorkerSettings = WorkerSettings()
    """Writes, reads and deletes a small piece of its own on S3 backends, each every five minutes.

    One that takes no writes gets no new pieces until it takes the next trial, and is read as before.
    """

    cleanup: WorkerSettings = WorkerSettings()
    """Deletes bytes that nothing points at any more, once their grace is over."""

    reaper: WorkerSettings = WorkerSettings()
    """Takes apart what was overwritten or deleted."""

    intents: WorkerSettings = WorkerSettings()
    """Recovers announced writes whose writer died."""

    multipart: WorkerSettings = WorkerSettings()
    """Forgets multipart uploads that ended a day ago; open ones are kept until somebody ends them."""

    compaction: MovingWorkerSettings = MovingWorkerSettings()
    """Gives back the space of volume files without live pieces."""

    scrubber: MovingWorkerSettings = MovingWorkerSettings()
    """Reads and verifies every stored byte within `storage.scrub_period`, and makes bad pieces anew from good ones."""

    replicator: MovingWorkerSettings = MovingWorkerSettings()
    """Makes copies that blobs lack: written without them, found bad, or on a backend that is away."""

    trimmer: MovingWorkerSettings = MovingWorkerSettings()
    """Removes copies that blobs have beyond their scheme, after reading all of them."""

    usage: WorkerSettings = WorkerSettings()
    """Records what backends were used for and what lies there, and what buckets hold."""

    rebalancer: MovementSettings = MovementSettings()
    """Operations that even out backends."""
    drainer: MovementSettings = MovementSettings()
    """Operations that empty backends."""
    reconciler: Absent = None
    """Compares rows and bytes."""
    lifecycle: Absent = None
    """Expires and moves objects by rule."""
    mirror: Absent = None
    """Copies versions to other buckets."""
    restore: Absent = None
    """Brings archived objects back."""
    rotation: Absent = None
    """Rotates keys and seals anew."""
    recount: Absent = None
    """Recounts quotas."""
    snapshot: Absent = None
    """Stores metadata snapshots."""

    def of(self, name: str) -> WorkerSettings:
        """Settings of a worker by its name; those of an unnamed one are the defaults."""
        found = getattr(self, name, None)
        return found if isinstance(found, WorkerSettings) else WorkerSettings()

    @property
    def rates_bytes(self) -> Mapping[str, int | None]:
        """Bytes a second of what is no worker and moves bytes all the same, by its name."""
        named = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name: each.rate_bytes
            for name, each in named.items()
            if isinstance(each, MovementSettings) and not isinstance(each, WorkerSettings)
        }


class TracingSettings(Section):
    """Where traces of the control API go: from a call to its statements, as OTLP over HTTP."""

    endpoint: HttpEndpoint
    """Collector, such as `http://127.0.0.1:4318`; `/v1/traces` is added where no path is given."""

    sample: Fraction = Field(default=1.0, gt=0.0, le=1.0)
    """Share of calls traced whose caller does not ask for it; `adminctl` does."""


class AuditSettings(Section):
    """What becomes of the events that calls which change something leave behind."""

    keep_s: Annotated[Seconds, Field(ge=float(DAY_S), le=36500.0 * DAY_S)] = Field(alias="keep")
    """How long events are kept, at least a day. The last one of each run of a control plane stays."""


class TelemetrySettings(Section):
    """What the processes say of themselves."""

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], one_of("debug", "info", "warning", "error")
    ] = "info"
    """Least level that is logged."""

    tracing: Annotated[TracingSettings | None, off_is_none] = None
    """Where traces of the control API go. Default: `off`, which costs nothing."""

    audit: AuditSettings | None = None
    """The audit. Default: its events are kept for ever."""


class DebugSettings(Section):
    """What has no place in a deployment that matters."""

    allowed: Flag = False
    """Whether anything else that is for tests only is accepted, backends in memory among them."""

    lifecycle_day_seconds: Absent = None
    """Length of a day for lifecycle rules."""
    fault_points: Absent = None
    """Places that are made to fail."""
