"""Replaying the journal: images make the rows again that were left by the transactions which wrote them.

They come in the order of their numbers: behind the images of what their own row refers to, and behind earlier ones of
their own row, because transactions wait for each other there. Versions of one key may come in any order,
`version_seq` decides; nothing is promised between keys.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from engine.errors import SchemaTooNew
from engine.metadata import quota
from engine.metadata.buckets import OPEN_UPLOAD_COUNT_MAX
from engine.metadata.images import (
    ACCESS_KEY,
    ACCESS_KEY_DELETED,
    ACCOUNT,
    ADMIN_TOKEN,
    ADMIN_TOKEN_DELETED,
    BACKEND,
    BUCKET,
    BUCKET_DELETED,
    BUCKET_DOCUMENT_DELETED,
    IDENTITY,
    IDENTITY_DELETED,
    KINDS,
    MARKER,
    REMOVED,
    STANDARD,
    TAGGED,
    VERSION,
    Kind,
    RowKind,
)
from engine.metadata.store import SqlValue, Tx
from engine.metadata.uploads import abort_open_upload


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A row of the journal."""

    seq: int
    kind: str
    payload: str
    created_at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionName:
    """What at most one version has at a time."""

    bucket_id: int
    key: bytes
    version_id: str


Lost = Mapping[VersionName, int]
"""`version_seq` of versions that could not be made again because a blob of theirs is nowhere."""

RestoreBlob = Callable[[Tx, bytes], bool]
"""Whether a blob's row is there, made from what a card tells if it was not. Images do not tell of blobs."""

# Tables that number their rows, and the column of an image that tells how far they have got.
_NUMBERED: Mapping[Kind, tuple[str, str]] = {
    ACCOUNT: ("accounts", "account_id"),
    BACKEND: ("backends", "backend_id"),
    BUCKET: ("buckets", "bucket_id"),
    IDENTITY: ("identities", "identity_id"),
    VERSION: ("object_versions", "version_seq"),
    MARKER: ("object_versions", "version_seq"),
}

_DELETIONS: Mapping[Kind, str] = {
    BUCKET_DOCUMENT_DELETED: "delete_bucket_document",
    IDENTITY_DELETED: "delete_identity",
    ACCESS_KEY_DELETED: "delete_access_key",
    ADMIN_TOKEN_DELETED: "delete_admin_token",
}
"""Images that one statement carries out."""


def replay(tx: Tx, images: Iterable[Image], *, restore_blob: RestoreBlob, lost: Lost) -> Lost:
    """Make the rows that a run of images tells of. Repeating it changes nothing, also when later ones were replayed.

    `lost` is what the run before returned. A version in it may yet be removed or displaced by a later image, as most of
    those are whose blobs the reaper took; what is left at the end of the journal is lost.
    Displaced and removed versions are left to the reaper. Accounts of bytes are opened with their limits and count
    nothing: a recount follows. Raises SchemaTooNew for a kind that this version does not know.
    """
    still_lost = dict(lost)
    last: dict[str, int] = {}
    seen_us = 0
    for image in images:
        kind = KINDS.get(image.kind)
        if kind is None:
            raise SchemaTooNew(
                f"the journal has images of kind {image.kind!r}, which this version does not know: "
                "it was written by a newer Penstock; replay it with that one"
            )
        told = json.loads(image.payload)
        values = kind.read(told)
        _apply(tx, kind, values, told, restore_blob, still_lost)
        numbers = {"journal": image.seq}
        if kind in _NUMBERED:
            table, column = _NUMBERED[kind]
            numbers[table] = cast(int, values[column])
        for table, number in numbers.items():
            last[table] = max(last.get(table, 0), number)
        seen_us = max(seen_us, image.created_at_us)
    for table, number in last.items():
        tx.run("raise_sequence", {"table": table, "last": number})
    tx.run("note_time", {"now_us": seen_us})
    return still_lost


def _apply(
    tx: Tx,
    kind: Kind,
    values: dict[str, SqlValue],
    told: Mapping[str, object],
    restore_blob: RestoreBlob,
    lost: dict[VersionName, int],
) -> None:
    if kind is VERSION or kind is MARKER:
        _publish(tx, kind, values, _segments(told), restore_blob, lost)
    elif kind is REMOVED:
        _remove(tx, values, lost)
    elif kind is TAGGED:
        tx.run("restore_version_tags", values)
    elif kind is BUCKET:
        _restore_bucket(tx, values)
    elif kind is BUCKET_DELETED:
        _delete_bucket(tx, cast(int, values["bucket_id"]))
    elif kind is BACKEND:
        _restore_backend(tx, values)
    elif kind is ADMIN_TOKEN:
        _restore_admin_token(tx, values)
    elif kind is IDENTITY:
        _restore_identity(tx, values)
    elif kind is ACCESS_KEY:
        _restore_access_key(tx, values)
    elif kind in _DELETIONS:
        tx.run(_DELETIONS[kind], values)
    else:
        assert isinstance(kind, RowKind)
        tx.run(kind.restores, values)


def _publish(
    tx: Tx,
    kind: Kind,
    values: dict[str, SqlValue],
    segments: list[dict[str, SqlValue]],
    restore_blob: RestoreBlob,
    lost: dict[VersionName, int],
) -> None:
    """The newest version of a version id stands; one that comes late is displaced already."""
    name, version_seq = _name(values), cast(int, values["version_seq"])
    if tx.row_or_none(BUCKET.reads, {"bucket_id": name.bucket_id}) is None or lost.get(name, 0) > version_seq:
        return
    standing = tx.row_or_none(
        "find_version_for_write",
        {"bucket_id": name.bucket_id, "object_key": name.key, "version_id": name.version_id},
    )
    named = [each["blob_id"] for each in segments]
    if kind is VERSION and values["blob_id"] is not None:
        named.append(values["blob_id"])
    if standing is not None:
        if cast(int, standing[0]) == version_seq and kind is VERSION:
            _place_again(tx, values, segments, named, restore_blob)
        if cast(int, standing[0]) >= version_seq:
            return
        _retire(tx, cast(int, standing[0]))
    lost.pop(name, None)
    if all(restore_blob(tx, cast(bytes, blob_id)) for blob_id in dict.fromkeys(named)):
        _insert(tx, kind, values, segments)
    else:
        lost[name] = version_seq
    _settle_current(tx, name)


def _place_again(
    tx: Tx,
    values: dict[str, SqlValue],
    segments: list[dict[str, SqlValue]],
    named: list[SqlValue],
    restore_blob: RestoreBlob,
) -> None:
    """The version was told before, and its bytes may have come to lie in other blobs since; the last image counts."""
    if not all(restore_blob(tx, cast(bytes, blob_id)) for blob_id in dict.fromkeys(named)):
        return
    tx.run("restore_version_blob", values)
    tx.run("delete_version_segments", {"version_seq": values["version_seq"], "ordinal": 2**31})
    for segment in segments:
        tx.run("insert_segment", {"version_seq": values["version_seq"], **segment})


def _insert(tx: Tx, kind: Kind, values: dict[str, SqlValue], segments: list[dict[str, SqlValue]]) -> None:
    row: dict[str, SqlValue] = dict.fromkeys((field.column for field in VERSION.fields), None)
    row.update(values)
    row["is_delete_marker"] = int(kind is MARKER)
    row["storage_class"] = row["storage_class"] or STANDARD
    row["size_bytes"] = row["size_bytes"] or 0
    row["etag"] = row["etag"] or ""
    if not tx.run("restore_version", row):
        return
    for segment in segments:
        tx.run("insert_segment", {"version_seq": row["version_seq"], **segment})


def _remove(tx: Tx, values: dict[str, SqlValue], lost: dict[VersionName, int]) -> None:
    name, version_seq = _name(values), cast(int, values["version_seq"])
    if lost.get(name) == version_seq:
        del lost[name]
    _retire(tx, version_seq)
    _settle_current(tx, name)


def _retire(tx: Tx, version_seq: int) -> None:
    """Locks were asked when it happened, and accounts are recounted: only the row is retired."""
    if tx.run("retire_version", {"version_seq": version_seq}):
        tx.run(
            "insert_retired",
            {"kind": "version", "target_seq": version_seq, "target_id": None, "now_us": tx.now_us()},
        )


def _settle_current(tx: Tx, name: VersionName) -> None:
    key: dict[str, SqlValue] = {"bucket_id": name.bucket_id, "object_key": name.key}
    tx.run("unset_all_current", key)
    tx.run("set_newest_current", key)


def _restore_bucket(tx: Tx, values: dict[str, SqlValue]) -> None:
    holder = tx.row_or_none("find_bucket", {"name": values["name"]})
    if holder is not None and cast(int, holder[0]) > cast(int, values["bucket_id"]):
        # Replayed before: this one was deleted, and the name is a later bucket's.
        return
    if tx.run(BUCKET.restores, values):
        _limit(tx, quota.bucket_subject(cast(int, values["bucket_id"])), values["quota_bytes"])


def _delete_bucket(tx: Tx, bucket_id: int) -> None:
    for (upload_id,) in tx.rows(
        "list_open_upload_ids", {"bucket_id": bucket_id, "count_max": OPEN_UPLOAD_COUNT_MAX}
    ):
        # What it would give back goes with the bucket's account.
        abort_open_upload(tx, cast(bytes, upload_id), bucket_id, quota.Changes())
    tx.run("delete_bucket", {"bucket_id": bucket_id})
    quota.forget_subject(tx, quota.bucket_subject(bucket_id))


def _restore_backend(tx: Tx, values: dict[str, SqlValue]) -> None:
    tx.run(BACKEND.restores, values)
    tx.run("restore_backend_state", values)
    tx.run("restore_backend_fence", values)
    _limit(tx, quota.backend_subject(cast(int, values["backend_id"])), values["limit_bytes"])


def _restore_admin_token(tx: Tx, values: dict[str, SqlValue]) -> None:
    """The hash is this token's; whose it is afterwards is told by a later image."""
    sha256 = cast(bytes, values["sha256"])
    unusable = hashlib.sha256(b"replayed" + sha256).digest()
    tx.run("free_admin_token_hash", {"name": values["name"], "sha256": sha256, "unusable": unusable})
    tx.run(ADMIN_TOKEN.restores, values)


def _restore_identity(tx: Tx, values: dict[str, SqlValue]) -> None:
    holder = tx.row_or_none("find_identity", {"name": values["name"]})
    if holder is not None and cast(int, holder[0]) > cast(int, values["identity_id"]):
        # Replayed before: this one was deleted, and the name is a later identity's.
        return
    tx.run(IDENTITY.restores, values)


def _restore_access_key(tx: Tx, values: dict[str, SqlValue]) -> None:
    if tx.row_or_none("has_identity", {"identity_id": values["identity_id"]}) is not None:
        tx.run(ACCESS_KEY.restores, values)


def _limit(tx: Tx, subject: str, limit_bytes: SqlValue) -> None:
    limit = cast("int | None", limit_bytes)
    quota.ensure_subject(tx, subject, limit)
    quota.set_limit(tx, subject, limit)


def _name(values: Mapping[str, SqlValue]) -> VersionName:
    return VersionName(
        bucket_id=cast(int, values["bucket_id"]),
        key=cast(bytes, values["object_key"]),
        version_id=cast(str, values["version_id"]),
    )


def _segments(told: Mapping[str, object]) -> list[dict[str, SqlValue]]:
    """Slices of a version in their order; where each begins follows from the lengths before."""
    slices = cast("list[list[str | int | None]]", told.get("segments", []))
    segments: list[dict[str, SqlValue]] = []
    start_offset = 0
    for ordinal, (blob_id, blob_offset, length, part_number, *digest) in enumerate(slices):
        segments.append(
            {
                "ordinal": ordinal,
                "start_offset": start_offset,
                "blob_id": bytes.fromhex(cast(str, blob_id)),
                "blob_offset": blob_offset,
                "length": length,
                "part_number": part_number,
                "part_digest": digest[0] if digest else None,
            }
        )
        start_offset += cast(int, length)
    return segments
