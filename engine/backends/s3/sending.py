"""What travels with the bytes of a PUT so that the store checks them, and what its answer is held against."""

import base64
import hashlib
from collections.abc import Sequence

from awscrt.checksums import crc32c

from engine.backends.s3.client import Answer, S3Client
from engine.backends.s3.connection import Buffer
from engine.backends.s3.place import S3Place
from engine.backends.s3.presets import UploadCheck
from engine.backends.s3.signing import UNSIGNED_PAYLOAD, Pairs
from engine.backends.s3.trouble import OtherBytesStored
from engine.units import MIB

_MD5_HEX_CHARS = 32

UNSENT_BYTES_MAX = 4 * MIB
"""So much of a body may still lie in this machine's buffers when the last of it was handed to the network."""

SLOW_LINE_BYTES_S = MIB
"""What is waited for on a line as slow as this counts for nothing."""


def write_patience_s(patience_s: float | None, object_bytes: int) -> float | None:
    """How long an object of that size is waited for by who has so much patience with a store itself."""
    return (
        None if patience_s is None else patience_s + min(object_bytes, UNSENT_BYTES_MAX) / SLOW_LINE_BYTES_S
    )


def send_held(
    client: S3Client,
    place: S3Place,
    path: str,
    parts: Sequence[Buffer],
    *,
    headers: Pairs = (),
    patience_s: float | None = None,
) -> None:
    """PUT bytes that are in memory. Raises trouble; repeating it writes the same bytes again.

    With `patience_s` no wait in that is longer.
    """
    checks: list[tuple[str, str]]
    if place.quirks.upload_check is UploadCheck.CRC32C:
        crc = base64.b64encode(crc_of(parts).to_bytes(4, "big")).decode()
        checks, md5 = [("x-amz-checksum-crc32c", crc)], None
    else:
        md5 = md5_of(parts)
        checks, crc = [("content-md5", base64.b64encode(md5).decode())], None
    answer = client.exchange(
        "PUT",
        path,
        headers=[*headers, *checks],
        body=parts,
        payload=_payload(place, parts),
        patience_s=patience_s,
    )
    try:
        check_answer(answer, place, md5=md5, crc32c=crc)
    finally:
        answer.close()


def check_answer(answer: Answer, place: S3Place, *, md5: bytes | None, crc32c: str | None) -> None:
    """Compare what the store says it stored with what was sent; raises OtherBytesStored.

    `crc32c` is in base64, as it travels.
    """
    stored_crc = answer.headers.get("x-amz-checksum-crc32c")
    if crc32c is not None and stored_crc is not None and stored_crc != crc32c:
        raise OtherBytesStored("the checksum that it answers is not that of the bytes sent")
    etag = answer.headers.get("etag", "").strip('"').lower()
    if md5 is not None and place.quirks.has_md5_etags and len(etag) == _MD5_HEX_CHARS and etag != md5.hex():
        raise OtherBytesStored("the ETag that it answers is not the MD5 of the bytes sent")


def md5_of(parts: Sequence[Buffer]) -> bytes:
    digest = hashlib.md5(usedforsecurity=False)
    for part in parts:
        digest.update(part)
    return digest.digest()


def crc_of(parts: Sequence[Buffer]) -> int:
    crc = 0
    for part in parts:
        crc = crc32c(part, crc)
    return crc


def _payload(place: S3Place, parts: Sequence[Buffer]) -> str:
    """TLS keeps the bytes as they are; without it they are part of what is signed."""
    if not place.signs_payload:
        return UNSIGNED_PAYLOAD
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
