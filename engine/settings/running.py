"""How a running deployment behaves: admission, workers, telemetry, debugging."""

from typing import Annotated, Literal

from pydantic import Field

from engine.settings.quantities import Absent, Bytes, Count, Flag, Fraction, Seconds, one_of
from engine.settings.section import Section
from engine.settings.texts import NetworkText
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

    rate_bytes: Absent = None
    """Most bytes a second it may move."""


class WorkersSettings(Section):
    """Background jobs of the control plane."""

    cleanup: WorkerSettings = WorkerSettings()
    """Deletes bytes that nothing points at any more, once their grace is over."""

    reaper: WorkerSettings = WorkerSettings()
    """Takes apart what was overwritten or deleted."""

    intents: WorkerSettings = WorkerSettings()
    """Recovers announced writes whose writer died."""

    multipart: WorkerSettings = WorkerSettings()
    """Forgets multipart uploads that ended a day ago; open ones are kept until somebody ends them."""

    compaction: WorkerSettings = WorkerSettings()
    """Gives back the space of volume files without live pieces."""

    healer: Absent = None
    """Makes lost pieces anew."""
    overreplication: Absent = None
    """Removes pieces beyond the scheme."""
    rebalancer: Absent = None
    """Evens out backends."""
    drainer: Absent = None
    """Empties backends."""
    reconciler: Absent = None
    """Compares rows and bytes."""
    scrubber: Absent = None
    """Reads and verifies every stored byte."""
    lifecycle: Absent = None
    """Expires and moves objects by rule."""
    usage: Absent = None
    """Stores usage counters."""
    notifier: Absent = None
    """Sends events."""
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


class TelemetrySettings(Section):
    """What the processes say of themselves."""

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], one_of("debug", "info", "warning", "error")
    ] = "info"
    """Least level that is logged."""

    tracing: Absent = None
    """Where traces go."""
    audit: Absent = None
    """Where the audit log goes."""


class DebugSettings(Section):
    """What has no place in a deployment that matters."""

    allowed: Flag = False
    """Whether anything else that is for tests only is accepted, backends in memory among them."""

    lifecycle_day_seconds: Absent = None
    """Length of a day for lifecycle rules."""
    fault_points: Absent = None
    """Places that are made to fail."""
