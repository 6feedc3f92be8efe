"""Bounds of the server: every wait and every buffer has one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Seconds, counts and bytes of one process."""

    head_timeout_s: float = 10.0
    """From the first byte of a head to its last."""

    handshake_timeout_s: float = 10.0
    """From a connection to a port of TLS to the end of the handshake."""

    idle_timeout_s: float = 60.0
    send_timeout_s: float = 20.0
    """How long a reader may take no byte at all."""

    unsent_bytes_max: int = 512 * 1024
    """So much of a response waits in the kernel for a client that takes nothing; what is on its way does not count."""

    rate_window_s: float = 20.0
    rate_bytes_min: int = 1024
    """Least bytes per second of a body or a reader, averaged over the window."""

    drain_bytes_max: int = 64 * 1024
    drain_timeout_s: float = 1.0
    short_thread_count: int = 6
    short_queue_count: int = 512
    streaming_thread_count: int = 256
    streaming_queue_count: int = 8
    """Few, for threads that are just ending their call: behind one that streams a request may wait for long."""

    connection_count_max: int = 20_000
    """At so many connections of this process idle ones are closed for new ones; without any, new ones wait."""

    accept_count_per_turn: int = 4
    """Of a full turn; others take in a single connection."""

    small_body_bytes: int = 64 * 1024
    """A body up to this size is received by the loop before a thread is taken, and so much of a larger one."""

    pipelined_count_per_turn: int = 16
    """So many requests of one connection are served before the others' turn."""

    region_count_per_turn: int = 1
    """So many regions of one response are sent before the others' turn: a turn has 32 events and a few milliseconds."""

    tick_s: float = 0.5
    """How often deadlines are looked at; no deadline is kept more exactly."""

    stall_s: float = 0.005
    """A turn of the loop that takes longer is reported."""
