"""How objects are stored: sizes of blobs, schemes, sealing, graces; and the backends they are stored on."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from engine.records import Copies, Sealing, UsageKind
from engine.settings.quantities import (
    Absent,
    Bytes,
    Count,
    Flag,
    Fraction,
    PathOnDisk,
    SchemeText,
    SealingText,
    Seconds,
    one_of,
    refuse,
)
from engine.settings.secret import StoreSecret
from engine.settings.section import Section
from engine.settings.texts import (
    BackendText,
    DomainName,
    HttpEndpoint,
    NodeName,
    PrefixText,
    ProfileText,
    RegionName,
    StoreBucketText,
    StoreKeyId,
)
from engine.units import BLOCK_BYTES, DAY_S, GIB, HOUR_S, MIB, MINUTE_S

CHUNK_BYTES_MAX = 256 * MIB
INLINE_BUFFER_BYTES_MAX = 8 * MIB
WEIGHT_MAX = 1000
COST_MAX = 1_000_000
LIMIT_MAX = 10**15


def _whole_blocks(chunk_bytes: Any) -> Any:
    if isinstance(chunk_bytes, int) and chunk_bytes % BLOCK_BYTES:
        refuse("expected a multiple of 256KiB")
    return chunk_bytes


class CacheSettings(Section):
    """A folder on a fast disk for blobs of which no piece lies on this machine; none without it.

    What is kept is what lies on the backend: sealed blobs stay sealed. Every byte is verified when it is read.
    """

    path: PathOnDisk
    """Folder, shared by the processes of a node; nothing in it is ever missed."""

    size_bytes: Bytes = Field(default=GIB, ge=MIB)
    """Most bytes to keep; what was not read for longest goes first."""

    blob_bytes_max: Bytes = Field(default=CHUNK_BYTES_MAX, ge=1)
    """Larger blobs are not kept. A blob is when it is read whole for the second time by one process."""


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

    scrub_period_s: Seconds = Field(default=float(30 * DAY_S), alias="scrub_period", ge=1.0)
    """Within how long the scrubber reads and verifies every stored byte once."""

    heal_after_s: Seconds = Field(default=float(10 * MINUTE_S), alias="heal_after", ge=1.0)
    """How long a backend is failed before what lies there is made anew on others."""

    erasure_min_bytes: Absent = None
    """Least size that is erasure-coded."""
    storage_classes: Absent = None
    """Schemes by storage class."""
    dedup: Absent = None
    """Domain in which equal blobs are stored once."""
    trash_bytes_max: Absent = None
    """Most bytes that wait for their grace."""
    journal_interval: Absent = None
    """How often the journal goes to backends."""
    snapshots: Absent = None
    """Metadata snapshots on backends."""
    cache: CacheSettings | None = None
    """Cache of blobs for backends that cost. Default: none."""


class RequestLimits(Section):
    """Most requests to one backend in a month, by class. Deletions are counted, and never refused."""

    write: Annotated[Count, Field(ge=0, le=LIMIT_MAX)] | None = None
    """PUT, POST and LIST, which some providers call class A. Default: no limit."""

    read: Annotated[Count, Field(ge=0, le=LIMIT_MAX)] | None = None
    """GET and HEAD, which some providers call class B. Default: no limit."""


class BackendLimits(Section):
    """What may be used of one backend in a month by UTC.

    Past a limit writes go to other backends, and reads to other copies; when none is left, clients get 507 and 429.

    No limit is ever passed, by any number of processes: each leases a part of what is left before it uses it.
    """

    api_requests: RequestLimits = RequestLimits()
    """Requests by class."""

    egress_bytes: Bytes | None = None
    """Bytes read from it. Default: no limit."""

    ingress_bytes: Bytes | None = None
    """Bytes written to it. Default: no limit."""

    @property
    def amounts(self) -> dict[UsageKind, int]:
        """Those that there are."""
        limits = {
            UsageKind.WRITE_REQUESTS: self.api_requests.write,
            UsageKind.READ_REQUESTS: self.api_requests.read,
            UsageKind.EGRESS_BYTES: self.egress_bytes,
            UsageKind.INGRESS_BYTES: self.ingress_bytes,
        }
        return {kind: amount for kind, amount in limits.items() if amount is not None}


class BackendCosts(Section):
    """What one backend costs, in any currency: all that counts is what the others cost."""

    per_gib: Annotated[Fraction, Field(ge=0, le=COST_MAX)] = 0.0
    """Of a GiB stored there."""

    per_million_requests: Annotated[Fraction, Field(ge=0, le=COST_MAX)] = 0.0
    """Of a million writing requests."""


PRESET_NAMES = ("generic", "aws", "minio", "penstock", "r2", "b2", "wasabi", "gcs", "oci")
_S3_KEYS = (
    "preset",
    "endpoint",
    "region",
    "bucket",
    "prefix",
    "addressing",
    "access_key_id",
    "secret_access_key",
    "profile",
    "unsigned_payload",
    "ca",
)


class BackendSettings(Section):
    """One store."""

    name: BackendText
    """Name of the backend, used once."""

    kind: Annotated[Literal["volume", "s3", "memory"], one_of("volume", "s3", "memory")]
    """`volume`: a folder on a local disk. `s3`: a prefix of a bucket of any S3-compatible store.

    `memory`: for tests with `debug.allowed`; bytes end with the process.
    """

    path: PathOnDisk | None = None
    """Folder of a volume: empty at first, then its own."""

    node: NodeName | None = None
    """Node a volume belongs to. Default: this one."""

    failure_domain: DomainName = ""
    """What fails together: copies of one blob never share it.

    Default: one for all volumes on the same disk, and one for each S3 backend.
    """

    quota_bytes: Bytes | None = None
    """Most bytes to store there. Default: what the disk holds; an S3 backend has no limit then."""

    verify_reads: Flag = True
    """Whether every block is checked before it leaves.

    `false`: clients get the bytes of unsealed blobs as they lie there, damaged ones too; everything else verifies (see
    the page on unverified reads).
    """

    hedge: Flag | None = None
    """Whether it is asked for bytes that another copy is late with. Default: unless reads of it have a limit.

    `false` where what is read is paid for.
    """

    object_bytes_max: Annotated[Bytes, Field(ge=MIB)] | None = None
    """Largest object that the store takes, with what Penstock puts beside the bytes. Larger blobs go elsewhere.

    Default: no limit. A blob has at most `storage.chunk_bytes`, whatever the size of its object.
    """

    limits: BackendLimits = BackendLimits()
    """What may be used of it in a month."""

    weight: Annotated[Fraction, Field(ge=0, le=WEIGHT_MAX)] = 1.0
    """Share of new pieces under `routing: weighted`, beside the weights of the others. 0: takes what no other can."""

    cost: BackendCosts = BackendCosts()
    """What it costs, for `routing: cost`."""

    preset: (
        Annotated[
            Literal["generic", "aws", "minio", "penstock", "r2", "b2", "wasabi", "gcs", "oci"],
            one_of(*PRESET_NAMES),
        ]
        | None
    ) = None
    """S3: whose store it is, which settles its quirks (see the page on S3 backends). Default: `generic`."""

    endpoint: HttpEndpoint | None = None
    """S3: its address, such as `https://s3.example.org`. With the preset `aws` by default that of the region."""

    region: RegionName | None = None
    """S3: region that requests are signed for. Default: `us-east-1`."""

    bucket: StoreBucketText | None = None
    """S3: a bucket that is there already."""

    prefix: PrefixText | None = None
    """S3: what all keys begin with, without a slash at its end: nothing else lies there. Default: the whole bucket."""

    addressing: Annotated[Literal["path", "virtual"], one_of("path", "virtual")] | None = None
    """S3: whether the bucket stands in the path or before the host. Default: `virtual` with the preset `aws`."""

    access_key_id: StoreKeyId | None = None
    """S3: access key. Default: what environment, AWS profiles or the machine's metadata service (IMDS) have."""

    secret_access_key: StoreSecret | None = None
    """S3: secret of the access key."""

    profile: ProfileText | None = None
    """S3: the AWS profile that has the keys, where none are given. Default: `AWS_PROFILE`, or `default`."""

    unsigned_payload: Flag | None = None
    """S3: whether small pieces are sent without being part of the signature, which saves a SHA-256 of them.

    Checksums travel with them all the same. Default: with an endpoint of https://, where nobody can change them.
    """

    ca: PathOnDisk | None = None
    """S3: file with the authorities, in PEM, that its certificate is checked against. Default: the system's."""

    @model_validator(mode="after")
    def _has_its_place(self) -> Self:
        if self.kind == "s3":
            self._check_s3()
        else:
            for key in _S3_KEYS:
                if getattr(self, key) is not None:
                    refuse("{key} is for backends of kind s3", key=key)
        if self.kind == "volume" and self.path is None:
            refuse("a volume needs a path")
        if self.kind == "memory" and self.path is not None:
            refuse("a backend in memory has no path")
        return self

    def _check_s3(self) -> None:
        if self.bucket is None:
            refuse("an S3 backend needs a bucket")
        if self.endpoint is None and self.preset != "aws":
            refuse("an S3 backend needs an endpoint, or the preset aws")
        if (self.access_key_id is None) != (self.secret_access_key is None):
            refuse("access_key_id and secret_access_key are given together, or not at all")
        if self.profile is not None and self.access_key_id is not None:
            refuse("keys are given, or looked for in a profile, not both")
        if self.ca is not None and self.endpoint is not None and not self.endpoint.startswith("https://"):
            refuse("ca is for an endpoint of https://")
        if self.path is not None or self.node is not None:
            refuse("path and node are for volumes")

    @property
    def is_metered(self) -> bool:
        """Whether an account is kept of what is used of it."""
        return self.kind == "s3" or bool(self.limits.amounts)

    @property
    def is_hedged(self) -> bool:
        """Whether it may be read in vain."""
        has_limits = bool({UsageKind.READ_REQUESTS, UsageKind.EGRESS_BYTES} & self.limits.amounts.keys())
        return not has_limits if self.hedge is None else self.hedge

    @property
    def folder(self) -> Path:
        """Folder of a volume."""
        assert self.path is not None
        return self.path
