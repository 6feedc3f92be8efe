"""Versions, folders and pieces as messages."""

import base64
from collections.abc import Iterable, Mapping

from penstock.admin.v1 import object_service_pb2 as pb

from controlplane.times import timestamp
from engine.metadata.prefixes import Content
from engine.names import BackendName
from engine.records import HistoryEntry, ListedVersion, LocationState, StoredSlice, StoredVersion

_STATES = {
    LocationState.LIVE: pb.PIECE_STATE_LIVE,
    LocationState.SUSPECT: pb.PIECE_STATE_SUSPECT,
    LocationState.LOST: pb.PIECE_STATE_LOST,
}


def write_pieces(each: StoredSlice, names: Mapping[int, BackendName]) -> list[pb.ObjectPiece]:
    return [
        pb.ObjectPiece(
            blob_id=each.blob.blob_id.hex(),
            piece_index=location.piece_index,
            start_offset_bytes=each.segment.start_offset,
            length_bytes=each.segment.length,
            backend=f"backends/{names[location.backend_id]}",
            storage_key=location.storage_key,
            stored_bytes=location.stored_bytes,
            state=_STATES[location.state],
            sealed=each.blob.is_sealed,
            key_id=each.blob.key_id.hex() if each.blob.key_id is not None else "",
        )
        for location in each.locations
    ]


def write_head(stored: StoredVersion, account: str) -> pb.HeadObjectResponse:
    """`account` is the writer's when it is not the bucket's, else empty."""
    version, headers = stored.version, stored.version.headers
    return pb.HeadObjectResponse(
        version_id=version.version_id,
        size_bytes=version.size_bytes,
        etag=version.etag,
        create_time=timestamp(version.created_at_us),
        content_type=headers.content_type or "",
        headers=headers.system,
        user_metadata=headers.user,
        tags=headers.tags,
        storage_class=headers.storage_class,
        checksums=[
            pb.ObjectChecksum(
                algorithm=each.algorithm.value,
                type=each.type.value,
                value=base64.b64encode(each.digest).decode("ascii"),
            )
            for each in version.checksums
        ],
        part_count=version.part_count or 0,
        account=account,
    )


def write_tree(
    objects: Iterable[ListedVersion], folders: Mapping[bytes, Content]
) -> list[pb.ObjectTreeEntry]:
    """Both together in the order of keys."""
    entries: list[tuple[bytes, pb.ObjectTreeEntry]] = [(each.key, _write_object(each)) for each in objects]
    entries += [(prefix, _write_folder(prefix, content)) for prefix, content in folders.items()]
    return [entry for _, entry in sorted(entries, key=lambda each: each[0])]


def write_history_entry(entry: HistoryEntry) -> pb.ObjectVersion:
    listed = entry.listed
    return pb.ObjectVersion(
        key=listed.key.decode(),
        version_id=entry.version_id,
        current=entry.is_current,
        delete_marker=entry.is_delete_marker,
        size_bytes=listed.size_bytes,
        etag=listed.etag,
        create_time=timestamp(listed.created_at_us),
        storage_class=listed.storage_class,
    )


def _write_object(listed: ListedVersion) -> pb.ObjectTreeEntry:
    return pb.ObjectTreeEntry(
        key=listed.key.decode(),
        size_bytes=listed.size_bytes,
        object_count=1,
        etag=listed.etag,
        create_time=timestamp(listed.created_at_us),
        storage_class=listed.storage_class,
    )


def _write_folder(prefix: bytes, content: Content) -> pb.ObjectTreeEntry:
    return pb.ObjectTreeEntry(
        key=prefix.decode(),
        prefix=True,
        size_bytes=content.size_bytes,
        object_count=content.count,
        partial=content.is_partial,
    )
