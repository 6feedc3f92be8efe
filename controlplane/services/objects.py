"""ObjectService: where objects lie."""

from collections.abc import Mapping
from typing import Any

from penstock.admin.v1 import object_service_pb2 as pb
from penstock.admin.v1 import object_service_pb2_grpc as pb_grpc

from controlplane.fields import read_page_size, read_page_token, write_page_token
from controlplane.pool import EnginePool
from engine.errors import MalformedField
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
        after_ordinal = _read_ordinal(read_page_token(request.page_token))

        def unit(tx: Tx) -> tuple[StoredVersion, list[StoredSlice], dict[int, BackendName]]:
            stored = find_current(tx, bucket, key)
            slices = read_slices(
                tx, stored.version.version_seq, after_ordinal=after_ordinal, count_max=count_max + 1
            )
            return stored, slices, {row.backend_id: row.name for row in list_backends(tx)}

        stored, slices, names = await self._pool.run(self._store.read, unit)
        has_more = len(slices) > count_max
        shown = slices[:count_max]
        answer = pb.GetObjectLocationsResponse(
            version_id=stored.version.version_id,
            size_bytes=stored.version.size_bytes,
            etag=stored.version.etag,
            next_page_token=write_page_token(str(shown[-1].segment.ordinal) if has_more else None),
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


def _read_ordinal(position: str | None) -> int:
    if position is None:
        return -1
    if not position.isascii() or not position.isdigit():
        raise MalformedField("page_token", "not a token of this method")
    return int(position)
