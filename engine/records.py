"""What the engine's parts say to each other: frozen records of buckets, versions, blobs, pieces and uploads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache

from engine.names import BackendName, BucketName, ObjectKey
from engine.streams import Checksum, ChecksumAlgorithm, ChecksumType
from engine.units import GIB

NULL_VERSION_ID = "null"
ANY_ETAG = "*"
"""In a condition: whatever ETag the current version has, there has to be one."""


class Versioning(Enum):
    """Versioning state of a bucket."""

    OFF = "off"
    ENABLED = "enabled"
    SUSPENDED = "suspended"


class DocumentKind(Enum):
    """Documents that a bucket may have; the value is what the database says."""

    CORS = "cors"
    NOTIFICATION = "notification"
    OWNERSHIP = "ownership"
    PUBLIC_ACCESS = "public_access"
    TAGGING = "tagging"


class MadeBy(Enum):
    """Which operation makes a version; those who are told of it are told that."""

    PUT = "Put"
    POST = "Post"
    COPY = "Copy"
    COMPLETE = "CompleteMultipartUpload"


class Sealing(Enum):
    """Whether blobs are sealed before they are stored."""

    NONE = "none"
    ALL = "all"


class Origin(Enum):
    """Who made a row: a configuration generation, or a call."""

    CONFIG = "config"
    API = "api"


class BackendState(Enum):
    """Only an active backend takes placements."""

    ACTIVE = "active"
    READ_ONLY = "read-only"
    DRAINING = "draining"
    DRAINED = "drained"
    REMOVED = "removed"


class VolumeState(Enum):
    """Life of a volume file; `publish` names only open and closed ones."""

    OPEN = "open"
    CLOSED = "closed"
    COMPACTING = "compacting"
    GONE = "gone"


class LocationState(Enum):
    """Whether reads may trust a piece."""

    LIVE = "live"
    SUSPECT = "suspect"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """The scheme copies(n)."""

    count: int

    def __str__(self) -> str:
        return f"copies({self.count})"


Scheme = Copies


@lru_cache(maxsize=64)
def read_scheme(text: str) -> Scheme:
    """Parse `copies(n)`; raises ValueError on anything else."""
    if text.startswith("copies(") and text.endswith(")"):
        digits = text[len("copies(") : -1]
        if digits.isascii() and digits.isdigit() and 1 <= int(digits) <= 16:
            return Copies(count=int(digits))
    raise ValueError(f"not a scheme: {text!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A bucket with what its requests need to know. Null overrides mean the deployment's default."""

    bucket_id: int
    name: BucketName
    account_id: int
    account: str
    created_at_us: int
    versioning: Versioning
    object_lock: bool
    scheme: Scheme | None
    seal: Sealing | None
    quota_bytes: int | None
    revision: int
    origin: Origin


class UsageKind(Enum):
    """What is counted of the use of a backend, month by month."""

    WRITE_REQUESTS = "write_requests"
    READ_REQUESTS = "read_requests"
    DELETE_REQUESTS = "delete_requests"
    EGRESS_BYTES = "egress_bytes"
    INGRESS_BYTES = "ingress_bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientUse:
    """What clients asked of a bucket: requests by kind, bodies of requests as read and of answers as sent.

    `content_request_count`: those of the writing ones that stored the content of an object or a part.
    """

    write_request_count: int = 0
    read_request_count: int = 0
    delete_request_count: int = 0
    content_request_count: int = 0
    egress_bytes: int = 0
    ingress_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendTerms:
    """What the configuration says of a backend for `routing: weighted` and `cost`. Costs are in one currency, any.

    `object_bytes_max`: no larger piece goes there, all that stands beside its payload included; null: any may.
    """

    weight: float = 1.0
    cost_per_gib: float = 0.0
    cost_per_million_requests: float = 0.0
    object_bytes_max: int | None = None

    def cost_of(self, size_bytes: int) -> float:
        """What it costs to put a piece of that size there: one request, and its bytes."""
        return self.cost_per_gib * size_bytes / GIB + self.cost_per_million_requests / 1_000_000


PLAIN_TERMS = BackendTerms()
"""Those of a backend of which nothing was said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendRow:
    """A backend as the database knows it. `write_problem`: why it takes no pieces, as trial writes of late found."""

    backend_id: int
    name: BackendName
    kind: str
    node: str | None
    failure_domain: str
    identity_id: bytes
    is_registered: bool
    state: BackendState
    terms: BackendTerms = PLAIN_TERMS
    write_problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """An immutable run of plaintext, stored once under one scheme. `block_crcs` covers `stored_bytes` of payload."""

    blob_id: bytes
    size_bytes: int
    stored_bytes: int
    content_hash: bytes | None
    dedup_domain: str | None
    scheme: Scheme
    key_id: bytes | None
    wrapped_dek: bytes | None
    frame_bytes: int | None
    block_crcs: bytes

    @property
    def is_sealed(self) -> bool:
        return self.key_id is not None

    @property
    def has_checksums(self) -> bool:
        """False for an imported blob whose bytes were not read since: nothing says what they are."""
        return bool(self.block_crcs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A stored piece. `stored_bytes` is what it occupies on the backend, card and trailer included."""

    blob_id: bytes
    piece_index: int
    backend_id: int
    storage_key: str
    stored_bytes: int
    card_key_id: bytes | None
    state: LocationState = LocationState.LIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBlob:
    """A blob whose pieces stand, synced or behind a barrier; `intent_ids` are what its S3 pieces were announced by."""

    blob: Blob
    locations: Sequence[Location]
    intent_ids: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedBlob:
    """A blob that exists already and that a copy joins; publish fails with 'the reaper won' if it is gone."""

    blob_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A slice of a blob in a version or part: `length` bytes at `blob_offset` stand at `start_offset` of the object."""

    ordinal: int
    start_offset: int
    blob_id: bytes
    blob_offset: int
    length: int
    part_number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectHeaders:
    """What a version carries beside its bytes. `system` holds lower-case names such as cache-control.

    Tags are set with a version like the rest, and unlike it can be changed afterwards.
    """

    content_type: str | None = None
    system: Mapping[str, str] = field(default_factory=dict)
    user: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    storage_class: str = "STANDARD"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """A version about to be published. `segments` may name new blobs and joined ones; none for an empty object.

    `if_none_match` asks that the key has no current version, `if_match_etag` that the current one has this ETag, or
    any if it is `ANY_ETAG` (both checked in the publishing transaction). `created_at_us` is how old it is, if not new.
    """

    bucket: BucketName
    key: ObjectKey
    account_id: int
    size_bytes: int
    etag: str
    headers: ObjectHeaders
    checksums: Sequence[Checksum]
    segments: Sequence[Segment]
    blobs: Sequence[NewBlob]
    joined: Sequence[JoinedBlob] = ()
    part_count: int | None = None
    sse_kind: str | None = None
    if_none_match: bool = False
    if_match_etag: str | None = None
    made_by: MadeBy = MadeBy.PUT
    created_at_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveConditions:
    """What a remover asks of the version that would go, checked in the removing transaction.

    `etag` may be `ANY_ETAG`. Of `modified_at_ms` whole seconds mean the whole second. `version_seq` is that of the very
    version, be it a marker.
    """

    etag: str | None = None
    modified_at_ms: int | None = None
    size_bytes: int | None = None
    version_seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What publish did. `replaced_version_seq` is the unversioned predecessor that went to the reaper.

    `versioning` is the bucket's at the commit: it says whether clients see the version id.
    """

    version_seq: int
    version_id: str
    versioning: Versioning
    created_at_us: int
    replaced_version_seq: int | None

    @property
    def shown_version_id(self) -> str | None:
        """What clients are told; null where the bucket keeps no versions."""
        return None if self.versioning is Versioning.OFF else self.version_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagged:
    """The version whose tags were changed."""

    version_id: str
    versioning: Versioning

    @property
    def shown_version_id(self) -> str | None:
        """What clients are told; null where the bucket keeps no versions."""
        return None if self.versioning is Versioning.OFF else self.version_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What remove did: which version is gone, or which marker stands; all null when there was nothing to remove.

    `is_delete_marker` says that the version is a marker, made or removed.
    """

    version_seq: int | None
    version_id: str | None
    is_delete_marker: bool
    versioning: Versioning

    @property
    def shown_version_id(self) -> str | None:
        """What clients are told; null where the bucket keeps no versions."""
        return None if self.versioning is Versioning.OFF else self.version_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A live version as clients see it."""

    version_seq: int
    bucket_id: int
    key: ObjectKey
    version_id: str
    size_bytes: int
    etag: str
    headers: ObjectHeaders
    checksums: Sequence[Checksum]
    part_count: int | None
    sse_kind: str | None
    account_id: int
    created_at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSlice:
    """A segment with all that reading it takes."""

    segment: Segment
    blob: Blob
    locations: Sequence[Location]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVersion:
    """A version with its first slices; `has_more_slices` when the object has more than were read.

    `degraded_age_s`: the database is away, and this is what it said so many seconds ago.
    """

    bucket: Bucket
    version: Version
    slices: Sequence[StoredSlice]
    has_more_slices: bool
    degraded_age_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUpload:
    """A multipart upload about to begin."""

    upload_id: bytes
    bucket: BucketName
    key: ObjectKey
    account_id: int
    headers: ObjectHeaders
    checksum_algorithm: ChecksumAlgorithm | None
    checksum_type: ChecksumType | None
    scheme: Scheme
    is_sealed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An open multipart upload."""

    upload_id: bytes
    bucket_id: int
    key: ObjectKey
    account_id: int
    account: str
    headers: ObjectHeaders
    checksum_algorithm: ChecksumAlgorithm | None
    checksum_type: ChecksumType | None
    scheme: Scheme
    is_sealed: bool
    created_at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPart:
    """A part whose blobs stand; segments are whole blobs in order."""

    upload_id: bytes
    bucket: BucketName
    key: ObjectKey
    part_number: int
    size_bytes: int
    etag: str
    checksums: Sequence[Checksum]
    segments: Sequence[Segment]
    blobs: Sequence[NewBlob]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A stored part of an open upload."""

    part_seq: int
    part_number: int
    size_bytes: int
    etag: str
    checksums: Sequence[Checksum]
    created_at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPart:
    """One entry of a client's Complete list; the ETag stands without quotes."""

    part_number: int
    etag: str
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedVersion:
    """One key of a listing."""

    key: ObjectKey
    size_bytes: int
    etag: str
    storage_class: str
    created_at_us: int
    checksum_algorithms: Sequence[str]
    checksum_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingPage:
    """A page of a listing in byte order: keys and common prefixes together count against the limit.

    `next_after` is the key or common prefix the next page starts after; null at the end.
    """

    versions: Sequence[ListedVersion]
    common_prefixes: Sequence[bytes]
    next_after: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One version of a key in a bucket's history, markers included. A marker has no bytes and no ETag."""

    listed: ListedVersion
    version_seq: int
    version_id: str
    is_current: bool
    is_delete_marker: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPosition:
    """Where a page of history ends: behind a version of a key, or behind all of a key or common prefix."""

    key: bytes
    version_id: str | None = None
    version_seq: int | None = None


HISTORY_START = HistoryPosition(key=b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """A page of a bucket's versions, by key and then newest first; `next_after` is null at the end."""

    entries: Sequence[HistoryEntry]
    common_prefixes: Sequence[bytes]
    next_after: HistoryPosition | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadsPage:
    """A page of open uploads, by key and then by upload id."""

    uploads: Sequence[Upload]
    common_prefixes: Sequence[bytes]
    next_key: bytes | None
    next_upload_id: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupItem:
    """An exact storage key to delete."""

    cleanup_id: int
    backend_id: int
    storage_key: str
    size_bytes: int
    reason: str
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeRow:
    """A volume file as the database knows it."""

    volume_id: bytes
    backend_id: int
    owner_process: bytes | None
    state: VolumeState
    size_bytes: int | None
    dead_bytes: int
    unlink_after_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Leadership of one job: every write of the job checks `token` in its own transaction."""

    worker: str
    holder: bytes
    token: int
    expires_at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What one unit of a worker did."""

    done_count: int = 0
    deferred_count: int = 0
    has_more: bool = False
