"""Settings of one node: they come from the file, always, and a change needs a restart."""

import os
from typing import Annotated, Literal

from pydantic import Field

from engine.settings.database import DatabaseSettings
from engine.settings.quantities import Absent, Address, AddressText, Count, PathOnDisk
from engine.settings.secret import Secret
from engine.settings.section import Section
from engine.settings.texts import HostDomain, NodeName
from engine.settings.tls import TlsSettings

THREADS_STREAMING_MAX = 256


def usable_cpu_count() -> int:
    """Processors this process may run on."""
    return len(os.sched_getaffinity(0))


class NodeIdentity(Section):
    """Which machine this is."""

    name: NodeName
    """Name of this node. Volumes belong to it, so it never changes; it is not the host name."""

    state_dir: PathOnDisk
    """Folder (mode 0700) for sockets, locks and what a start without database needs."""


class ListenSettings(Section):
    """Where Penstock listens: `host:port` each, port 0 for any free one, an empty host for every interface."""

    s3: AddressText = Address(host="127.0.0.1", port=9000)
    """The S3 endpoint. Plain HTTP unless `listen.tls` is given: for networks that nobody else listens in on."""

    control: AddressText = Address(host="127.0.0.1", port=9001)
    """The control API (gRPC, admin tokens); any address that others reach asks for `control_tls`. Unix sockets stand in
    `state_dir`."""

    metrics: AddressText = Address(host="127.0.0.1", port=9090)
    """Prometheus metrics and health, without credentials."""

    ui: Absent = None
    """The web UI."""

    tls: TlsSettings | None = None
    """TLS at the S3 endpoint; plain HTTP without it."""

    control_tls: TlsSettings | None = None
    """TLS at the control API. With `client_ca`, `admin_certificates` may stand for tokens."""

    domains: tuple[HostDomain, ...] = ()
    """Domains for virtual-host style: `bucket.domain` names the bucket. Every other host means path style."""


class ProcessSettings(Section):
    """How many processes and threads serve."""

    dataplane: Count = Field(default_factory=usable_cpu_count, ge=1, le=128)
    """Data-plane processes. Default: as many as the node has processors."""

    threads_short: Count = Field(default=4, ge=1, le=64)
    """Threads of each process for what waits briefly: commits, short remote calls."""

    threads_streaming: Count = Field(default=256, ge=1, le=THREADS_STREAMING_MAX)
    """Threads of each process for large bodies; when all are taken, one more gets 503 SlowDown."""


class FileKeys(Section):
    """The master key in a file."""

    provider: Literal["file"]
    """`file`: the master key stands in a file."""

    path: PathOnDisk
    """File with 32 random bytes in base64, mode 0600. Losing it loses all sealed data."""


class InlineKeys(Section):
    """The master key in the configuration itself, or in what it refers to."""

    provider: Literal["inline"]
    """`inline`: the master key stands here, best as `${env:NAME}` or `${file:PATH}`."""

    material: Secret
    """32 random bytes in base64. Losing them loses all sealed data."""


class NodeSettings(Section):
    """What one node is told by its file."""

    node: NodeIdentity
    """This machine."""

    listen: ListenSettings = ListenSettings()
    """Addresses."""

    database: DatabaseSettings
    """Where metadata is kept: keys of SQLite or keys of PostgreSQL."""

    processes: ProcessSettings = Field(default_factory=ProcessSettings)
    """Processes and threads."""

    keys: Annotated[FileKeys | InlineKeys, Field(discriminator="provider")]
    """The provider of the master key; `vault` is not built yet."""
