"""What the configuration means for one process: a node's limits are shared out over its processes."""

from ipaddress import ip_network

from dataplane.middleware.admission import AdmissionLimits
from dataplane.middleware.rate_limits import Rates
from dataplane.open_files import connections_within, open_files_count
from dataplane.server.settings import ServerSettings
from dataplane.wire.forwarded import TrustedProxies
from engine.settings import Settings

CONNECTION_COUNT_MAX = 20_000
"""Of one process, where it may open as many files."""

PARKED_COUNT_MAX = 512
"""Writes of one process that are set aside until their commit, where admission lets as many in."""


def admission_limits(settings: Settings) -> AdmissionLimits:
    """This process' share, never less than one request and the memory of one body."""
    admission, count = settings.live.admission, settings.node.processes.dataplane
    return AdmissionLimits(
        read_count_max=max(1, admission.reads // count),
        write_count_max=max(1, admission.writes // count),
        shed_threshold=admission.shed_threshold,
        wait_s=admission.wait_s,
        memory_bytes_max=max(settings.live.storage.inline_buffer_bytes, admission.memory_bytes // count),
    )


def rates(settings: Settings) -> Rates:
    """This process' share of the node's."""
    limits, count = settings.live.rate_limits, settings.node.processes.dataplane
    return Rates(
        per_address_s=None if limits.per_address is None else limits.per_address / count,
        per_credential_s=None if limits.per_credential is None else limits.per_credential / count,
    )


def trusted_proxies(settings: Settings) -> TrustedProxies:
    return TrustedProxies([ip_network(each) for each in settings.live.rate_limits.trusted_proxies])


def server_settings(settings: Settings) -> ServerSettings:
    processes = settings.node.processes
    return ServerSettings(
        short_thread_count=processes.threads_short,
        streaming_thread_count=processes.threads_streaming,
        connection_count_max=connections_within(open_files_count(), wanted_count=CONNECTION_COUNT_MAX),
    )


def parked_count_max(settings: Settings) -> int:
    """As many as admission lets in without shedding, with those on threads: the others wait for one in their queue.

    What is set aside counts as in flight, and whoever finds no place there is sent away at once.
    """
    limits = admission_limits(settings)
    free_count = int(limits.write_count_max * limits.shed_threshold) - settings.node.processes.threads_short
    return max(0, min(PARKED_COUNT_MAX, free_count))
