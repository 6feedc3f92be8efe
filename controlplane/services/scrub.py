"""ScrubService: how much was verified, what is bad, and verifying on request."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from google.protobuf.duration_pb2 import Duration
from penstock.admin.v1 import scrub_service_pb2 as pb
from penstock.admin.v1 import scrub_service_pb2_grpc as pb_grpc

from controlplane.fields import read_name, read_page_size, read_page_token, write_page_token
from controlplane.operations.integrity import BACKFILL_CHECKSUMS, RUN_SCRUB
from controlplane.operations.starting import OperationStarter
from controlplane.pool import EnginePool
from controlplane.services.discrepancy_messages import read_depth, read_rate
from controlplane.services.named_backends import backend_names, find_backend
from controlplane.services.operation_messages import write_operation
from controlplane.times import timestamp
from engine.errors import BackendUnavailable, ConcurrentWrite, MalformedField
from engine.metadata.backends import list_backends
from engine.metadata.buckets import find_bucket
from engine.metadata.pieces import StandingPiece, count_bad, list_bad
from engine.metadata.quota import backend_subject, read_quota
from engine.metadata.scrub_passes import list_passes
from engine.metadata.store import Store, Tx
from engine.metadata.versions import find_current, find_version, read_locations, read_slices
from engine.names import bucket_name, object_key
from engine.records import BackendState, LocationState, StoredSlice, StoredVersion
from engine.units import MIB
from engine.upkeep.integrity_parts import IntegrityParts
from engine.upkeep.long_work import Unpaced
from engine.upkeep.piece_check import Depth, PieceChecker

VERIFY_BYTES_MAX = 256 * MIB
"""Read in one call of VerifyObject; the slice that reaches it is the last."""

VERIFY_SLICE_COUNT_MAX = 64
PREFIX_BYTES_MAX = 1024


class ScrubServicer(pb_grpc.ScrubServiceServicer):
    def __init__(
        self,
        store: Store,
        starter: OperationStarter,
        pool: EnginePool,
        *,
        parts: Callable[[], IntegrityParts],
        period_s: Callable[[], float],
    ) -> None:
        """`parts` and `period_s` are those of the generation that is in force when they are asked for."""
        self._store = store
        self._starter = starter
        self._pool = pool
        self._parts = parts
        self._period_s = period_s

    async def GetIntegrityStatus(
        self, request: pb.GetIntegrityStatusRequest, context: Any
    ) -> pb.GetIntegrityStatusResponse:
        answer = await self._pool.run(self._store.read, _read_status)
        answer.scrub_period.CopyFrom(Duration(seconds=int(self._period_s())))
        return answer

    async def ListCorruptCopies(
        self, request: pb.ListCorruptCopiesRequest, context: Any
    ) -> pb.ListCorruptCopiesResponse:
        backend = read_name("backend", request.backend, "backends") if request.backend else None
        after, count_max = _read_place(request.page_token), read_page_size(request.page_size)
        unit = partial(_list_corrupt, backend=backend, after=after, count_max=count_max)
        return await self._pool.run(self._store.read, unit)

    async def VerifyObject(self, request: pb.VerifyObjectRequest, context: Any) -> pb.VerifyObjectResponse:
        bucket, key = bucket_name(request.bucket), object_key(request.key.encode("utf-8"))
        position = _read_slice_position(request.page_token)

        def unit(tx: Tx) -> tuple[StoredVersion, list[StoredSlice], Mapping[int, str]]:
            if request.version_id:
                stored = find_version(tx, bucket, key, request.version_id, count_max=VERIFY_SLICE_COUNT_MAX)
            else:
                stored = find_current(tx, bucket, key, count_max=VERIFY_SLICE_COUNT_MAX)
            if position is None:
                return stored, list(stored.slices), backend_names(tx)
            version_seq, ordinal = position
            if stored.version.version_seq != version_seq:
                raise ConcurrentWrite("the object was overwritten since the page before: begin again")
            slices = read_slices(tx, version_seq, after_ordinal=ordinal, count_max=VERIFY_SLICE_COUNT_MAX)
            return stored, slices, backend_names(tx)

        stored, slices, names = await self._pool.run(self._store.read, unit)
        return await self._pool.run(self._verify, stored, slices, names)

    async def RunScrub(self, request: pb.RunScrubRequest, context: Any) -> pb.RunScrubResponse:
        if request.prefix and not request.bucket:
            raise MalformedField("prefix", "keys are those of a bucket: name one")
        if request.bucket and request.backend:
            raise MalformedField("backend", "give either a backend or a bucket")
        if len(request.prefix.encode("utf-8")) > PREFIX_BYTES_MAX:
            raise MalformedField("prefix", "no key is so long")
        if not 0.0 <= request.sample <= 1.0:
            raise MalformedField("sample", "a share above 0 and up to 1, or 0 for all")
        depth = read_depth("verify", request.verify)
        rate_bytes = read_rate("max_bytes_per_second", request.max_bytes_per_second)
        backend = read_name("backend", request.backend, "backends") if request.backend else None
        bucket = bucket_name(request.bucket) if request.bucket else None

        def unit(tx: Tx) -> tuple[list[int], int | None]:
            return (
                [] if backend is None else [find_backend(tx, backend)],
                None if bucket is None else find_bucket(tx, bucket).bucket_id,
            )

        backend_ids, bucket_id = await self._pool.run(self._store.read, unit)
        target = request.backend or (f"buckets/{bucket}" if bucket is not None else "deployment")
        row = await self._starter.start(
            method=RUN_SCRUB,
            target=target,
            request={
                "backend_ids": [*backend_ids],
                "bucket_id": bucket_id,
                "prefix": request.prefix,
                "depth": depth.value,
                "sample": request.sample or 1.0,
                "max_bytes_per_second": rate_bytes,
            },
        )
        return pb.RunScrubResponse(operation=write_operation(row))

    async def BackfillChecksums(
        self, request: pb.BackfillChecksumsRequest, context: Any
    ) -> pb.BackfillChecksumsResponse:
        backend = read_name("backend", request.backend, "backends")
        rate_bytes = read_rate("max_bytes_per_second", request.max_bytes_per_second)
        backend_id = await self._pool.run(self._store.read, partial(find_backend, name=backend))
        row = await self._starter.start(
            method=BACKFILL_CHECKSUMS,
            target=request.backend,
            request={"backend_ids": [backend_id], "max_bytes_per_second": rate_bytes},
        )
        return pb.BackfillChecksumsResponse(operation=write_operation(row))

    def _verify(
        self, stored: StoredVersion, slices: list[StoredSlice], names: Mapping[int, str]
    ) -> pb.VerifyObjectResponse:
        checker = self._parts().checker(Unpaced())
        answer = pb.VerifyObjectResponse(version_id=stored.version.version_id)
        for each in slices:
            if answer.verified_bytes >= VERIFY_BYTES_MAX:
                break
            for location in each.locations:
                piece = StandingPiece(location=location, blob=each.blob, verified_at_us=0)
                copy, read_bytes = _verify_copy(checker, piece, names)
                answer.copies.append(copy)
                answer.verified_bytes += read_bytes
            covered = each.segment.start_offset + each.segment.length
            if covered < stored.version.size_bytes:
                told = f"{stored.version.version_seq}.{each.segment.ordinal}"
                answer.next_page_token = write_page_token(told)
            else:
                answer.next_page_token = ""
        return answer


def _verify_copy(
    checker: PieceChecker, piece: StandingPiece, names: Mapping[int, str]
) -> tuple[pb.VerifiedCopy, int]:
    location = piece.location
    problem, read_bytes = "", 0
    try:
        verdict = checker.check_standing(piece, Depth.FULL)
    except BackendUnavailable as error:
        problem = f"it could not be reached: {error}"
    else:
        if verdict is None:
            problem = "it was moved or freed meanwhile"
        else:
            read_bytes = verdict.read_bytes
            if verdict.fault is not None:
                problem = f"{verdict.fault.value}: {verdict.detail}"
    return (
        pb.VerifiedCopy(
            backend=names[location.backend_id],
            storage_key=location.storage_key,
            blob_id=location.blob_id.hex(),
            piece_index=location.piece_index,
            good=not problem,
            problem=problem,
        ),
        read_bytes,
    )


def _read_status(tx: Tx) -> pb.GetIntegrityStatusResponse:
    passes = list_passes(tx)
    answer = pb.GetIntegrityStatusResponse()
    for row in sorted(list_backends(tx), key=lambda each: each.name):
        if row.state is BackendState.REMOVED:
            continue
        totals = read_quota(tx, backend_subject(row.backend_id))
        bad = count_bad(tx, row.backend_id)
        told = answer.backends.add(
            backend=f"backends/{row.name}",
            piece_count=0 if totals is None else totals.object_count,
            stored_bytes=0 if totals is None else totals.used_bytes,
            suspect_count=bad.get(LocationState.SUSPECT, 0),
            lost_count=bad.get(LocationState.LOST, 0),
        )
        scrubbed = passes.get(row.backend_id)
        if scrubbed is not None:
            told.passed_count = scrubbed.piece_count
            told.passed_bytes = scrubbed.passed_bytes
            told.found_bad_count = scrubbed.bad_count
            for field, at_us in (
                (told.pass_begin_time, scrubbed.begun_at_us),
                (told.pass_end_time, scrubbed.ended_at_us),
                (told.verified_since_time, scrubbed.whole_begun_at_us),
            ):
                written = timestamp(at_us)
                if written is not None:
                    field.CopyFrom(written)
    return answer


def _list_corrupt(
    tx: Tx, *, backend: str | None, after: tuple[int, str], count_max: int
) -> pb.ListCorruptCopiesResponse:
    names = backend_names(tx)
    wanted = [find_backend(tx, backend)] if backend is not None else sorted(names)
    found: list[StandingPiece] = []
    for backend_id in wanted:
        if backend_id < after[0] or len(found) > count_max:
            continue
        key = after[1] if backend_id == after[0] else ""
        left = count_max + 1 - len(found)
        found += list_bad(tx, backend_id=backend_id, after=key, count_max=left)
    shown = found[:count_max]
    last = shown[-1].location if len(found) > count_max else None
    return pb.ListCorruptCopiesResponse(
        copies=[_write_corrupt(tx, each, names) for each in shown],
        next_page_token=write_page_token(
            None if last is None else json.dumps([last.backend_id, last.storage_key])
        ),
    )


def _write_corrupt(tx: Tx, piece: StandingPiece, names: Mapping[int, str]) -> pb.CorruptCopy:
    location = piece.location
    all_pieces = read_locations(tx, location.blob_id)
    return pb.CorruptCopy(
        backend=names[location.backend_id],
        storage_key=location.storage_key,
        blob_id=location.blob_id.hex(),
        piece_index=location.piece_index,
        lost=location.state is LocationState.LOST,
        stored_bytes=location.stored_bytes,
        verified_time=timestamp(piece.verified_at_us),
        good_copy_count=sum(each.state is LocationState.LIVE for each in all_pieces),
    )


def _read_place(page_token: str) -> tuple[int, str]:
    position = read_page_token(page_token)
    if position is None:
        return 0, ""
    try:
        backend_id, key = json.loads(position)
    except (ValueError, TypeError):
        backend_id = key = None
    if not isinstance(backend_id, int) or not isinstance(key, str) or not 0 <= backend_id < 2**62:
        raise MalformedField("page_token", "not a token of this method")
    return backend_id, key


def _read_slice_position(page_token: str) -> tuple[int, int] | None:
    position = read_page_token(page_token)
    if position is None:
        return None
    version_seq, _, ordinal = position.partition(".")
    if not (version_seq.isascii() and version_seq.isdigit() and ordinal.isascii() and ordinal.isdigit()):
        raise MalformedField("page_token", "not a token of this method")
    if len(version_seq) > 18 or len(ordinal) > 9:
        raise MalformedField("page_token", "not a token of this method")
    return int(version_seq), int(ordinal)
