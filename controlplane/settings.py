"""Bounds of the control plane's process: every wait has one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlSettings:
    """Seconds."""

    tick_s: float = 1.0
    """Pause between two ticks of the deployment."""

    place_wait_s: float = 3.0
    """How long another control plane on this node may take to end: one that was killed just now may not be gone yet."""

    calls_per_s: float = 50.0
    """Calls a second that come by the network and are taken on, bursts apart: S3 clients would notice more."""

    caller_look_s: float = 10.0
    """Pause between two looks at whether the caller of a stream still may: how long one outlasts its token."""

    threads_stop_s: float = 7.0
    """How long workers and ticks may take to end what is at hand, while calls end too: `serve` allows ten in all."""
