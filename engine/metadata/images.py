"""What after-images hold: their kinds, the fields of each, and which tables they tell of.

An image is a JSON object without its null fields. Bytes are hex, flags `true` and `false`, times microseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from engine.metadata.store import SqlValue


class Form(Enum):
    """How a value stands in JSON."""

    INTEGER = "integer"
    TEXT = "text"
    BYTES = "hex"
    FLAG = "true or false"
    SEGMENTS = (
        "array of [blob in hex, where the slice begins in the blob, its bytes, its part or null, and on the first "
        "slice of a part that has one its checksum in base64]"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A value of an image: its name there, the column it stands for, and the table of that."""

    name: str
    table: str
    column: str
    form: Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of image. `tells` says what a row of it means, for people."""

    name: str
    tells: str
    fields: tuple[Field, ...]

    def read(self, image: Mapping[str, object]) -> dict[str, SqlValue]:
        """Parameters named after the columns; what the image leaves out is null. Segments are no parameter."""
        return {
            field.column: _read(field.form, image.get(field.name))
            for field in self.fields
            if field.form is not Form.SEGMENTS
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RowKind(Kind):
    """An image of a row of the deployment: `reads` gives the values of its fields, `restores` writes the row again."""

    reads: str
    restores: str

    def write(self, values: tuple[SqlValue, ...]) -> dict[str, object]:
        """The image of what `reads` gave."""
        return {
            field.name: _write(field.form, value) for field, value in zip(self.fields, values, strict=True)
        }


def _fields(table: str, *fields: tuple[str, str, Form]) -> tuple[Field, ...]:
    return tuple(Field(name=name, table=table, column=column, form=form) for name, column, form in fields)


def _read(form: Form, value: object) -> SqlValue:
    if value is None:
        return None
    if form is Form.BYTES:
        return bytes.fromhex(str(value))
    if form is Form.TEXT:
        return str(value)
    assert isinstance(value, int)
    return int(value)


def _write(form: Form, value: SqlValue) -> object:
    if isinstance(value, bytes):
        return value.hex()
    return bool(value) if form is Form.FLAG else value


STANDARD = "STANDARD"
"""The storage class of a version whose image names none."""

DEPLOYMENT = RowKind(
    name="deployment",
    tells="The deployment was made, or got its node.",
    reads="image_deployment",
    restores="restore_deployment",
    fields=_fields(
        "deployment",
        ("id", "deployment_id", Form.BYTES),
        ("node", "node", Form.TEXT),
        ("at_us", "created_at_us", Form.INTEGER),
    ),
)

GENERATION = RowKind(
    name="generation",
    tells="The configuration has another state.",
    reads="image_generation",
    restores="restore_generation",
    fields=_fields(
        "config_generations",
        ("id", "generation", Form.INTEGER),
        ("document", "document", Form.TEXT),
        ("file_digest", "file_digest", Form.BYTES),
        ("origin", "origin", Form.TEXT),
        ("author", "author", Form.TEXT),
        ("at_us", "created_at_us", Form.INTEGER),
        ("comment", "comment", Form.TEXT),
    ),
)

KEY = RowKind(
    name="key",
    tells="A ring key was made, or changed. Its material is wrapped by the provider.",
    reads="image_key",
    restores="restore_key",
    fields=_fields(
        "keys",
        ("id", "key_id", Form.BYTES),
        ("name", "key_name", Form.TEXT),
        ("provider", "provider", Form.TEXT),
        ("wrapped", "wrapped_material", Form.BYTES),
        ("state", "state", Form.TEXT),
        ("check", "check_value", Form.BYTES),
        ("at_us", "created_at_us", Form.INTEGER),
    ),
)

BACKEND = RowKind(
    name="backend",
    tells="A backend was named by a generation, or its identity, state or quota changed.",
    reads="image_backend",
    restores="restore_backend",
    fields=(
        *_fields(
            "backends",
            ("id", "backend_id", Form.INTEGER),
            ("name", "name", Form.TEXT),
            ("kind", "kind", Form.TEXT),
            ("node", "node", Form.TEXT),
            ("failure_domain", "failure_domain", Form.TEXT),
            ("identity", "identity_id", Form.BYTES),
            ("identity_state", "identity_state", Form.TEXT),
            ("at_us", "created_at_us", Form.INTEGER),
        ),
        *_fields(
            "backend_states",
            ("state", "state", Form.TEXT),
            ("operation", "operation", Form.TEXT),
            ("reason", "reason", Form.TEXT),
            ("changed_at_us", "changed_at_us", Form.INTEGER),
        ),
        *_fields("quota_limits", ("quota_bytes", "limit_bytes", Form.INTEGER)),
    ),
)

ACCOUNT = RowKind(
    name="account",
    tells="An account was made.",
    reads="image_account",
    restores="restore_account",
    fields=_fields(
        "accounts",
        ("id", "account_id", Form.INTEGER),
        ("name", "name", Form.TEXT),
        ("origin", "origin", Form.TEXT),
        ("at_us", "created_at_us", Form.INTEGER),
    ),
)

IDENTITY = RowKind(
    name="identity",
    tells="An identity was made, or changed, or switched off.",
    reads="image_identity",
    restores="restore_identity",
    fields=_fields(
        "identities",
        ("id", "identity_id", Form.INTEGER),
        ("name", "name", Form.TEXT),
        ("account", "account_id", Form.INTEGER),
        ("role", "role", Form.TEXT),
        ("buckets", "buckets", Form.TEXT),
        ("disabled", "is_disabled", Form.FLAG),
        ("expires_at_us", "expires_at_us", Form.INTEGER),
        ("origin", "origin", Form.TEXT),
        ("at_us", "created_at_us", Form.INTEGER),
    ),
)

ACCESS_KEY = RowKind(
    name="access_key",
    tells="An access key was made, or changed, or switched off. Its secret is sealed by the ring.",
    reads="image_access_key",
    restores="restore_access_key",
    fields=_fields(
        "access_keys",
        ("id", "access_key_id", Form.TEXT),
        ("identity", "identity_id", Form.INTEGER),
        ("sealed_secret", "sealed_secret", Form.BYTES),
        ("key", "key_id", Form.BYTES),
        ("disabled", "is_disabled", Form.FLAG),
        ("expires_at_us", "expires_at_us", Form.INTEGER),
        ("at_us", "created_at_us", Form.INTEGER),
    ),
)

ADMIN_TOKEN = RowKind(
    name="admin_token",
    tells="An admin token was made, or changed, or switched off. The token itself is nowhere.",
    reads="image_admin_token",
    restores="restore_admin_token",
    fields=_fields(
        "admin_tokens",
        ("name", "name", Form.TEXT),
        ("role", "role", Form.TEXT),
        ("sha256", "sha256", Form.BYTES),
        ("scopes", "scopes", Form.TEXT),
        ("disabled", "is_disabled", Form.FLAG),
        ("expires_at_us", "expires_at_us", Form.INTEGER),
        ("origin", "origin", Form.TEXT),
        ("at_us", "created_at_us", Form.INTEGER),
    ),
)

IDENTITY_DELETED = Kind(
    name="identity_deleted",
    tells="An identity is gone; its access keys went before.",
    fields=_fields("identities", ("id", "identity_id", Form.INTEGER)),
)

ACCESS_KEY_DELETED = Kind(
    name="access_key_deleted",
    tells="An access key is gone.",
    fields=_fields("access_keys", ("id", "access_key_id", Form.TEXT)),
)

ADMIN_TOKEN_DELETED = Kind(
    name="admin_token_deleted",
    tells="An admin token is gone.",
    fields=_fields("admin_tokens", ("name", "name", Form.TEXT)),
)

BUCKET = RowKind(
    name="bucket",
    tells="A bucket was made, or its settings changed.",
    reads="image_bucket",
    restores="restore_bucket",
    fields=_fields(
        "buckets",
        ("id", "bucket_id", Form.INTEGER),
        ("name", "name", Form.TEXT),
        ("account", "account_id", Form.INTEGER),
        ("at_us", "created_at_us", Form.INTEGER),
        ("versioning", "versioning", Form.TEXT),
        ("object_lock", "object_lock", Form.FLAG),
        ("scheme", "scheme", Form.TEXT),
        ("seal", "seal", Form.TEXT),
        ("dedup", "dedup", Form.TEXT),
        ("quota_bytes", "quota_bytes", Form.INTEGER),
        ("revision", "revision", Form.INTEGER),
        ("origin", "origin", Form.TEXT),
    ),
)

BUCKET_DELETED = Kind(
    name="bucket_deleted",
    tells="A bucket is gone, and with it the uploads that were open.",
    fields=_fields("buckets", ("id", "bucket_id", Form.INTEGER)),
)

BUCKET_DOCUMENT = RowKind(
    name="bucket_document",
    tells="A document of a bucket was made, or changed.",
    reads="image_bucket_document",
    restores="restore_bucket_document",
    fields=_fields(
        "bucket_configs",
        ("bucket", "bucket_id", Form.INTEGER),
        ("kind", "kind", Form.TEXT),
        ("document", "document", Form.TEXT),
        ("revision", "revision", Form.INTEGER),
    ),
)

BUCKET_DOCUMENT_DELETED = Kind(
    name="bucket_document_deleted",
    tells="A document of a bucket is gone.",
    fields=_fields(
        "bucket_configs",
        ("bucket", "bucket_id", Form.INTEGER),
        ("kind", "kind", Form.TEXT),
    ),
)

VERSION = Kind(
    name="version",
    tells="A version was published; one of the same version id gave way to it.",
    fields=(
        *_fields(
            "object_versions",
            ("seq", "version_seq", Form.INTEGER),
            ("bucket", "bucket_id", Form.INTEGER),
            ("key", "object_key", Form.BYTES),
            ("version", "version_id", Form.TEXT),
            ("size", "size_bytes", Form.INTEGER),
            ("etag", "etag", Form.TEXT),
            ("account", "account_id", Form.INTEGER),
            ("at_us", "created_at_us", Form.INTEGER),
            ("content_type", "content_type", Form.TEXT),
            ("headers", "headers", Form.TEXT),
            ("user_metadata", "user_metadata", Form.TEXT),
            ("tags", "tags", Form.TEXT),
            ("storage_class", "storage_class", Form.TEXT),
            ("checksums", "checksums", Form.TEXT),
            ("part_count", "part_count", Form.INTEGER),
            ("sse_kind", "sse_kind", Form.TEXT),
            ("blob", "blob_id", Form.BYTES),
        ),
        Field(name="segments", table="object_segments", column="blob_id", form=Form.SEGMENTS),
    ),
)

MARKER = Kind(
    name="marker",
    tells="A delete marker covers the key; a version of the same version id gave way to it.",
    fields=_fields(
        "object_versions",
        ("seq", "version_seq", Form.INTEGER),
        ("bucket", "bucket_id", Form.INTEGER),
        ("key", "object_key", Form.BYTES),
        ("version", "version_id", Form.TEXT),
        ("account", "account_id", Form.INTEGER),
        ("at_us", "created_at_us", Form.INTEGER),
    ),
)

TAGGED = Kind(
    name="tagged",
    tells="A version has other tags.",
    fields=_fields(
        "object_versions",
        ("seq", "version_seq", Form.INTEGER),
        ("tags", "tags", Form.TEXT),
        ("revision", "tag_revision", Form.INTEGER),
    ),
)

REMOVED = Kind(
    name="removed",
    tells="A version or marker is gone; the newest one left is current.",
    fields=_fields(
        "object_versions",
        ("seq", "version_seq", Form.INTEGER),
        ("bucket", "bucket_id", Form.INTEGER),
        ("key", "object_key", Form.BYTES),
        ("version", "version_id", Form.TEXT),
    ),
)

ROW_KINDS: Mapping[str, RowKind] = {
    kind.name: kind
    for kind in (
        DEPLOYMENT,
        GENERATION,
        KEY,
        BACKEND,
        ACCOUNT,
        IDENTITY,
        ACCESS_KEY,
        ADMIN_TOKEN,
        BUCKET,
        BUCKET_DOCUMENT,
    )
}
KINDS: Mapping[str, Kind] = {
    **ROW_KINDS,
    **{
        kind.name: kind
        for kind in (
            IDENTITY_DELETED,
            ACCESS_KEY_DELETED,
            ADMIN_TOKEN_DELETED,
            BUCKET_DELETED,
            BUCKET_DOCUMENT_DELETED,
            VERSION,
            MARKER,
            REMOVED,
            TAGGED,
        )
    },
}

TABLES: Mapping[str, tuple[Kind, ...]] = {
    "deployment": (DEPLOYMENT,),
    "accounts": (ACCOUNT,),
    "buckets": (BUCKET, BUCKET_DELETED),
    "bucket_configs": (BUCKET_DELETED, BUCKET_DOCUMENT, BUCKET_DOCUMENT_DELETED),
    "keys": (KEY,),
    "backends": (BACKEND,),
    "backend_states": (BACKEND,),
    "backend_fences": (BACKEND,),
    "quota_limits": (BUCKET, BUCKET_DELETED, BACKEND),
    "object_versions": (VERSION, MARKER, REMOVED, TAGGED),
    "object_segments": (VERSION,),
    "identities": (IDENTITY, IDENTITY_DELETED),
    "access_keys": (ACCESS_KEY, ACCESS_KEY_DELETED),
    "admin_tokens": (ADMIN_TOKEN, ADMIN_TOKEN_DELETED),
    "policies": (),
    "attachments": (),
    "config_generations": (GENERATION,),
}
"""Tables that images tell of, by which kinds; none for those that nothing writes yet."""

OTHER_TABLES: Mapping[str, str] = {
    "blobs": "The card beside each piece describes its blob.",
    "object_locations": "A piece is found where it lies; its card says whose it is.",
    "volumes": "A volume is found where it lies.",
    "backend_canaries": "Stores are tried again within minutes.",
    "backend_views": "Each process looks at its backends again within seconds.",
    "multipart_uploads": "An upload is not visible, and nothing of it stands: its client begins again.",
    "multipart_parts": "A part goes with its upload.",
    "multipart_part_segments": "A part goes with its upload.",
    "pending_objects": "What an intent names and no version does is found as a piece without a version.",
    "backend_quotas": "Sums over rows, counted anew.",
    "quota_leases": "Room that a process held goes with the process.",
    "backend_resets": "What a process holds against a backend goes with the process.",
    "backend_terms": "The newest generation says them.",
    "usage_limits": "The newest generation says them.",
    "usage_leases": "What a process may use goes with the process.",
    "backend_usage": "A count of what happened, no state of any object.",
    "usage_history": "A count of what happened, no state of any object.",
    "bucket_usage": "A count of what happened, no state of any object.",
    "cleanup_queue": "What was to be deleted is found as a piece without a version.",
    "cleanup_dlq": "What was to be deleted is found as a piece without a version.",
    "retired": "Work that a replay makes itself, for what it displaces.",
    "journal": "The images themselves.",
    "notification_outbox": "Deliveries, not state; an event may be lost with the database that held it.",
    "notification_dlq": "Deliveries, not state.",
    "mirror_queue": "The mirror compares versions, and finds what is not copied yet.",
    "instances": "Each process enters itself when it starts.",
    "processes": "Each process enters itself when it starts.",
    "worker_leases": "Whoever runs a worker takes a new lease.",
    "worker_settings": "The newest generation says them.",
    "worker_runs": "History.",
    "operations": "History; what was under way is asked for again.",
    "audit_events": "History, with an export of its own.",
    "audit_anchors": "They stand for events that were dropped.",
    "instance_stats": "Each instance counts anew.",
    "switches": "Who restores a deployment decides anew.",
    "scrub_passes": "The next pass begins at the beginning.",
    "repair_jobs": "What it asks for is found again by a pass over all blobs.",
    "redundancy_passes": "The next pass begins at the beginning.",
    "discrepancies": "A comparison finds them again.",
}
"""Tables that no image tells of, and why the loss of the database is no loss of them."""
