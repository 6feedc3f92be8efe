"""ObjectService: where objects lie."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from penstock.admin.v1 import object_service_pb2 as pb
from penstock.admin.v1 import object_service_pb2_grpc as pb_grpc

from controlplane.fields import read_page_size, read_page_token, write_page_token
from controlplane.pool import EnginePool
from engine.errors import ConcurrentWrite, MalformedField
from engine.metadata.backends import list_backends
from engine.metadata.store import Store, Tx
from engine.metadata.versions import find_current, read_slices
from engine.names import BackendName, bucket_name, object_key
from engine.records import LocationState, StoredSlice, StoredVersion

_STATES = {
    LocationState.LIVE: pb.PIECE_STATE_LIVE,
    LocationState.SUSPECT: pb.PIECE_STATE_SUSPECT,
    LocationState.LOST: pb.PIECE_STATE_LOST,
}

_POSITION = re.compile(r"([0-9]{1,18})\.([0-9]{1,9})", re.ASCII)


class ObjectServicer(pb_grpc.ObjectServiceServicer):
    def __init__(self, store: Store, pool: EnginePool) -> None:
        self._store = store
        self._pool = pool

    async def GetObjectLocations(
        self, request: pb.GetObjectLocationsRequest, context: Any
    ) -> pb.GetObjectLocationsResponse:
        bucket = bucket_name(request.bucket)
        key = object_key(request.key.encode("utf-8"))
        count_max = read_page_size(request.page_size)
        position = _read_position(read_page_token(request.page_token))

        def unit(tx: Tx) -> tuple[StoredVersion, Sequence[StoredSlice], dict[int, BackendName]]:
            stored = find_current(tx, bucket, key, count_max=count_max + 1)
            names = {row.backend_id: row.name for row in list_backends(tx)}
            if position is None:
                return stored, stored.slices, names
            version_seq, ordinal = position
            if stored.version.version_seq != version_seq:
                raise ConcurrentWrite("the object was overwritten since the page before: begin again")
            slices = read_slices(tx, version_seq, after_ordinal=ordinal, count_max=count_max + 1)
            return stored, slices, names

        stored, slices, names = await self._pool.run(self._store.read, unit)
        has_more = len(slices) > count_max
        shown = slices[:count_max]
        version = stored.version
        next_position = f"{version.version_seq}.{shown[-1].segment.ordinal}" if has_more else None
        answer = pb.GetObjectLocationsResponse(
            version_id=version.version_id,
            size_bytes=version.size_bytes,
            etag=version.etag,
            next_page_token=write_page_token(next_position),
        )
        for each in shown:
            answer.pieces.extend(_write_pieces(each, names))
        return answer


def _write_pieces(each: StoredSlice, names: Mapping[int, BackendName]) -> list[pb.ObjectPiece]:
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


def _read_position(position: str | None) -> tuple[int, int] | None:
    """Version and last ordinal of the page before; null for the first page."""
    if position is None:
        return None
    found = _POSITION.fullmatch(position)
    if found is None:
        raise MalformedField("page_token", "not a token of this method")
    return int(found[1]), int(found[2])
