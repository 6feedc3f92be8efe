"""Objects with too few or too many copies, as messages."""

from collections.abc import Iterable, Mapping

from penstock.admin.v1 import replication_service_pb2 as pb

from controlplane.fields import read_page_size
from controlplane.times import timestamp
from engine.metadata.blob_owners import Owner
from engine.upkeep.affected_objects import AffectedBlob, Excess

PAGE_SIZE_MAX = 200
"""Blobs of a page, each of which may be part of many versions."""


def read_blob_page_size(page_size: int) -> int:
    return min(read_page_size(page_size), PAGE_SIZE_MAX)


def write_affected(blobs: Iterable[AffectedBlob]) -> list[pb.MisreplicatedObject]:
    """A message for each version."""
    return [_write(blob, owner) for blob in blobs for owner in blob.owners]


def write_excess(excess: Excess, names: Mapping[int, str]) -> pb.PreviewExcessCopiesResponse:
    return pb.PreviewExcessCopiesResponse(
        blob_count=excess.blob_count,
        copy_count=sum(count for count, _ in excess.copies.values()),
        size_bytes=sum(size_bytes for _, size_bytes in excess.copies.values()),
        backends=[
            pb.ExcessOfBackend(backend=names[backend_id], copy_count=count, size_bytes=size_bytes)
            for backend_id, (count, size_bytes) in sorted(excess.copies.items())
        ],
        partial=excess.is_partial,
    )


def _write(blob: AffectedBlob, owner: Owner) -> pb.MisreplicatedObject:
    return pb.MisreplicatedObject(
        bucket=owner.bucket,
        key=owner.key.decode(),
        version_id=owner.version_id,
        current=owner.is_current,
        size_bytes=owner.size_bytes,
        blob_id=blob.repair.blob_id.hex(),
        wanted_copy_count=blob.wanted_count,
        copy_count=blob.present_count,
        good_copy_count=blob.good_count,
        detect_time=timestamp(blob.repair.detected_at_us),
        reason=blob.repair.reason,
        error_message=blob.repair.error or "",
    )
