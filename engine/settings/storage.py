"""How objects are stored: sizes of blobs, schemes, sealing, graces; and the backends they are stored on."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from engine.records import Copies, Sealing
from engine.settings.quantities import (
    Absent,
    Bytes,
    Count,
    Flag,
    PathOnDisk,
    SchemeText,
    SealingText,
    Seconds,
    not_built,
    one_of,
    refuse,
)
from engine.settings.section import Section
from engine.settings.texts import BackendText, DomainName, NodeName
from engine.units import BLOCK_BYTES, HOUR_S, MIB, MINUTE_S

CHUNK_BYTES_MAX = 256 * MIB
INLINE_BUFFER_BYTES_MAX = 8 * MIB


def _whole_blocks(chunk_bytes: Any) -> Any:
    if isinstance(chunk_bytes, int) and chunk_bytes % BLOCK_BYTES:
        refuse("expected a multiple of 256KiB")
    return chunk_bytes


def _verified(value: Any) -> Any:
    if value is False:
        not_built("false")
    return value


class StorageSettings(Section):
    """How objects are cut, copied and sealed where their bucket does not say otherwise."""

    chunk_bytes: Annotated[Bytes, BeforeValidator(_whole_blocks)] = Field(
        default=64 * MIB, ge=MIB, le=CHUNK_BYTES_MAX
    )
    """Most plaintext bytes of one blob, a multiple of 256KiB."""

    inline_buffer_bytes: Bytes = Field(default=MIB, ge=0, le=INLINE_BUFFER_BYTES_MAX)
    """Bodies up to this many bytes are held in memory whole, so that another backend can take them."""

    default_scheme: SchemeText = Copies(count=1)
    """`copies(n)`: pieces on n backends in n failure domains."""

    write_quorum: Annotated[Count, Field(ge=1, le=16)] | None = None
    """Copies that must stand before a write is acknowledged. Default: all of the scheme."""

    seal: SealingText = Sealing.NONE
    """`all`: blobs are sealed with AES-256-GCM before they are stored; `none`: they are not."""

    read_grace_s: Seconds = Field(default=float(HOUR_S), alias="read_grace")
    """How long bytes outlive the removal of what pointed at them, so that running reads end well."""

    intent_ttl_s: Seconds = Field(default=float(10 * MINUTE_S), alias="intent_ttl", ge=1.0)
    """Age at which an announced write that nobody renews is taken for dead."""

    degraded_reads: Annotated[Literal["off", "on"], one_of("off", "on")] = "on"
    """`on`: while PostgreSQL is away, objects that were read shortly before are still served, and marked so."""

    degraded_max_age_s: Seconds = Field(default=float(15 * MINUTE_S), alias="degraded_max_age", ge=1.0)
    """How long before an outage PostgreSQL must have confirmed what is served during it."""

    erasure_min_bytes: Absent = None
    """Least size that is erasure-coded."""
    storage_classes: Absent = None
    """Schemes by storage class."""
    dedup: Absent = None
    """Domain in which equal blobs are stored once."""
    trash_bytes_max: Absent = None
    """Most bytes that wait for their grace."""
    heal_after: Absent = None
    """How long a backend is failed before its pieces are made anew."""
    scrub_period: Absent = None
    """How often every stored byte is read and verified."""
    journal_interval: Absent = None
    """How often the journal goes to backends."""
    snapshots: Absent = None
    """Metadata snapshots on backends."""
    cache: Absent = None
    """Object cache for backends that cost."""


class BackendLimits(Section):
    """Usage limits of one backend."""

    api_requests: Absent = None
    """Requests by class."""
    egress_bytes: Absent = None
    """Bytes read from it."""
    ingress_bytes: Absent = None
    """Bytes written to it."""


class BackendSettings(Section):
    """One store."""

    name: BackendText
    """Name of the backend, used once."""

    kind: Annotated[Literal["volume", "memory"], one_of("volume", "memory", planned=("s3",))]
    """`volume`: a folder on a local disk. `memory`: for tests with `debug.allowed`; bytes end with the process."""

    path: PathOnDisk | None = None
    """Folder of a volume: empty at first, then its own."""

    node: NodeName | None = None
    """Node a volume belongs to. Default: this one."""

    failure_domain: DomainName = ""
    """What fails together: copies of one blob never share it. Default: one for all volumes on the same disk."""

    quota_bytes: Bytes | None = None
    """Most bytes to store there. Default: what the disk holds."""

    verify_reads: Annotated[Flag, BeforeValidator(_verified)] = True
    """Whether every block is checked before it leaves."""

    limits: BackendLimits = BackendLimits()
    """Usage limits."""
    weight: Absent = None
    """Share of new bytes under weighted routing."""
    cost: Absent = None
    """Order under routing by cost."""
    endpoint: Absent = None
    """S3: address."""
    bucket: Absent = None
    """S3: bucket."""
    prefix: Absent = None
    """S3: prefix of all keys."""
    region: Absent = None
    """S3: region."""
    access_key_id: Absent = None
    """S3: access key."""
    secret_access_key: Absent = None
    """S3: secret key."""

    @model_validator(mode="after")
    def _has_its_place(self) -> Self:
        if self.kind == "volume" and self.path is None:
            refuse("a volume needs a path")
        if self.kind == "memory" and self.path is not None:
            refuse("a backend in memory has no path")
        return self

    @property
    def folder(self) -> Path:
        """Folder of a volume."""
        assert self.path is not None
        return self.path
