"""CompleteMultipartUpload: the parts a client lists become one version, once, however often it is asked for."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from engine.errors import (
    ChecksumTypeMismatch,
    DigestMismatch,
    InvalidPart,
    NoSuchUpload,
    ObjectTooLarge,
    PartOrder,
    PartTooSmall,
)
from engine.integrity.combining import composite, full_object, multipart_etag
from engine.metadata import complete as metadata
from engine.metadata import uploads
from engine.metadata.columns import read_checksums, write_checksums
from engine.metadata.store import Store, Tx
from engine.names import BucketName, ObjectKey
from engine.records import ListedPart, Part, Published, Upload
from engine.streams import Checksum, ChecksumAlgorithm, ChecksumType
from engine.units import OBJECT_SIZE_MAX_BYTES, PART_NUMBER_MAX, PART_SIZE_MIN_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteRequest:
    """What a client sends: its list of parts, and a checksum, its type, or the size of the whole if it knows them."""

    upload_id: bytes
    bucket: BucketName
    key: ObjectKey
    parts: Sequence[ListedPart]
    checksum: Checksum | None = None
    checksum_type: ChecksumType | None = None
    size_bytes: int | None = None
    if_none_match: bool = False
    if_match_etag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """An object made of parts. `etag` stands without quotes; `is_repeated` when it was completed before.

    `version_id` is null where the bucket kept no versions.
    """

    etag: str
    version_id: str | None
    checksums: Sequence[Checksum]
    is_repeated: bool


class Completer:
    """Completes uploads. Safe for many threads."""

    def __init__(self, store: Store, *, part_size_min_bytes: int = PART_SIZE_MIN_BYTES) -> None:
        self._store = store
        self._part_size_min_bytes = part_size_min_bytes

    def complete(self, request: CompleteRequest) -> Completed:
        """Publish the listed parts as the key's current version.

        The same list again answers the same within 24 hours, also after the key was overwritten. Raises NoSuchUpload
        (also for another list after it was completed), PartOrder, InvalidPart, PartTooSmall, ObjectTooLarge,
        ChecksumTypeMismatch, DigestMismatch, PreconditionFailed, BucketQuotaExceeded, NoSuchBucket. After any of them
        the upload stands.
        """
        digest = _list_digest(request.parts)
        repeated = self._find_result(request, digest)
        if repeated is not None:
            return repeated
        upload, stored = self._store.read(lambda tx: _read_upload(tx, request))
        _check_type(upload, request.checksum_type)
        parts = self._check(request, stored)
        etag = multipart_etag([bytes.fromhex(part.etag) for part in parts])
        checksums = _checksums(upload, parts)
        _compare(request, checksums)
        order = metadata.CompleteOrder(
            upload_id=request.upload_id,
            bucket=request.bucket,
            key=request.key,
            parts=parts,
            parts_digest=digest,
            etag=etag,
            checksums=checksums,
            result=partial(_write_result, etag, checksums),
            if_none_match=request.if_none_match,
            if_match_etag=request.if_match_etag,
        )
        try:
            published = self._store.write(lambda tx: metadata.complete(tx, order))
        except NoSuchUpload:
            # Another Complete, or an Abort, came between the read and the write.
            repeated = self._find_result(request, digest)
            if repeated is None:
                raise
            return repeated
        return Completed(
            etag=etag, version_id=published.shown_version_id, checksums=checksums, is_repeated=False
        )

    def _find_result(self, request: CompleteRequest, digest: bytes) -> Completed | None:
        found = self._store.read(
            lambda tx: metadata.find_result(
                tx, upload_id=request.upload_id, bucket=request.bucket, key=request.key
            )
        )
        if found is None:
            return None
        if found.parts_digest != digest:
            raise NoSuchUpload(upload_id=request.upload_id.hex())
        return _read_result(found.result)

    def _check(self, request: CompleteRequest, stored: dict[int, Part]) -> list[Part]:
        numbers = [each.part_number for each in request.parts]
        if not numbers or any(one >= other for one, other in pairwise(numbers)):
            raise PartOrder("parts are listed in ascending order, each once, and there is at least one")
        parts = []
        for listed in request.parts:
            part = stored.get(listed.part_number)
            if part is None or part.etag != listed.etag or not _has(part, listed.checksum):
                raise InvalidPart(part_number=listed.part_number)
            parts.append(part)
        for part in parts[:-1]:
            if part.size_bytes < self._part_size_min_bytes:
                raise PartTooSmall(
                    part_number=part.part_number,
                    size_bytes=part.size_bytes,
                    min_bytes=self._part_size_min_bytes,
                )
        size_bytes = sum(part.size_bytes for part in parts)
        if size_bytes > OBJECT_SIZE_MAX_BYTES:
            raise ObjectTooLarge(size_bytes=size_bytes, max_bytes=OBJECT_SIZE_MAX_BYTES)
        if request.size_bytes is not None and request.size_bytes != size_bytes:
            raise DigestMismatch(
                what="size",
                expected=request.size_bytes.to_bytes(8, "big"),
                computed=size_bytes.to_bytes(8, "big"),
            )
        return parts


def _read_upload(tx: Tx, request: CompleteRequest) -> tuple[Upload, dict[int, Part]]:
    upload = uploads.find_upload(tx, upload_id=request.upload_id, bucket=request.bucket, key=request.key)
    parts = uploads.list_parts(tx, request.upload_id, after=0, count_max=PART_NUMBER_MAX)
    return upload, {part.part_number: part for part in parts}


def _check_type(upload: Upload, named: ChecksumType | None) -> None:
    if named is not None and named is not upload.checksum_type:
        began = None if upload.checksum_type is None else upload.checksum_type.value
        raise ChecksumTypeMismatch(began=began, named=named.value)


def _has(part: Part, listed: Checksum | None) -> bool:
    if listed is None:
        return True
    return any(each.algorithm is listed.algorithm and each.digest == listed.digest for each in part.checksums)


def _checksums(upload: Upload, parts: Sequence[Part]) -> Sequence[Checksum]:
    """The object's checksum from its parts' as the upload asked for it; none when it asked for none."""
    algorithm = upload.checksum_algorithm
    if algorithm is None:
        return ()
    digests = [_part_digest(part, algorithm) for part in parts]
    if upload.checksum_type is ChecksumType.FULL_OBJECT:
        sizes = [part.size_bytes for part in parts]
        return (full_object(algorithm, list(zip(digests, sizes, strict=True))),)
    return (composite(algorithm, digests),)


def _part_digest(part: Part, algorithm: ChecksumAlgorithm) -> bytes:
    for each in part.checksums:
        if each.algorithm is algorithm:
            return each.digest
    raise InvalidPart(part_number=part.part_number)


def _compare(request: CompleteRequest, checksums: Sequence[Checksum]) -> None:
    expected = request.checksum
    if expected is None:
        return
    for computed in checksums:
        if computed.algorithm is expected.algorithm:
            if computed.digest != expected.digest:
                raise DigestMismatch(
                    what=expected.algorithm.value, expected=expected.digest, computed=computed.digest
                )
            return
    raise DigestMismatch(what=expected.algorithm.value, expected=expected.digest, computed=b"")


def _list_digest(parts: Sequence[ListedPart]) -> bytes:
    listed = "\n".join(f"{each.part_number} {each.etag}" for each in parts)
    return hashlib.sha256(listed.encode()).digest()


def _write_result(etag: str, checksums: Sequence[Checksum], published: Published) -> str:
    return json.dumps(
        {
            "etag": etag,
            "version_id": published.shown_version_id,
            "checksums": write_checksums(checksums),
        }
    )


def _read_result(text: str) -> Completed:
    result = json.loads(text)
    return Completed(
        etag=str(result["etag"]),
        version_id=result.get("version_id"),
        checksums=read_checksums(result["checksums"]),
        is_repeated=True,
    )
