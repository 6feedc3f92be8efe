"""A piece on its way to a store as the body of one PUT, of a length declared at its start."""

import base64
import hashlib
from collections.abc import Sequence

from awscrt.checksums import crc32c

from engine.backends.base import PieceTail, StoredPiece
from engine.backends.s3.chunks import ChunkFraming
from engine.backends.s3.client import S3Client, Upload
from engine.backends.s3.connection import Buffer
from engine.backends.s3.format import PieceShape, TrailerMac, write_tail
from engine.backends.s3.place import S3Place
from engine.backends.s3.presets import UploadCheck
from engine.backends.s3.sending import check_answer, write_patience_s
from engine.backends.s3.signing import UNSIGNED_PAYLOAD, UNSIGNED_TRAILER
from engine.backends.s3.trouble import told_as_backend_errors
from engine.errors import BackendUnavailable
from engine.names import BackendName

_CRC_TRAILER = "x-amz-checksum-crc32c"
_CRC_TRAILER_BYTES = len("AAAAAA==")
_DOING = "writing a piece"


class S3PieceWriter:
    """Implements `engine.backends.base.PieceWriter`. The object appears whole at `finish`, or not at all."""

    def __init__(
        self,
        client: S3Client,
        place: S3Place,
        *,
        backend: BackendName,
        storage_key: str,
        shape: PieceShape,
        mac: TrailerMac,
        patience_s: float | None = None,
    ) -> None:
        """Connects, and sends the head of the request. Raises BackendUnavailable, BackendLate."""
        self._place = place
        self._backend = backend
        self._storage_key = storage_key
        self._shape = shape
        self._mac = mac
        self._patience_s = write_patience_s(patience_s, shape.object_bytes)
        self._left_bytes = shape.payload_bytes
        self._body: _PlainBody | _TrailedBody
        if place.quirks.upload_check is UploadCheck.CRC32C:
            self._body = _TrailedBody(shape.object_bytes)
        else:
            self._body = _PlainBody(shape.object_bytes)
        with told_as_backend_errors(backend, _DOING, patience_s=self._patience_s):
            self._upload: Upload | None = client.begin_upload(
                place.path_of(storage_key),
                headers=self._body.headers,
                body_bytes=self._body.size_bytes,
                payload=self._body.payload,
                patience_s=self._patience_s,
            )

    def write(self, payload: memoryview, /) -> None:
        upload = self._upload
        if upload is None:
            raise BackendUnavailable("the stream has ended", backend=self._backend)
        if len(payload) > self._left_bytes:
            raise ValueError(f"more than the {self._shape.payload_bytes} payload bytes announced")
        self._left_bytes -= len(payload)
        # Nothing of it is stored before the last byte has come.
        with told_as_backend_errors(self._backend, _DOING, patience_s=self._patience_s):
            upload.send(self._body.framed(payload))

    def finish(self, tail: PieceTail, /) -> StoredPiece:
        upload = self._upload
        if upload is None:
            raise BackendUnavailable("the stream has ended", backend=self._backend)
        if self._left_bytes:
            raise ValueError(f"{self._left_bytes} payload bytes are missing")
        written = write_tail(self._mac, self._storage_key, self._shape, tail)
        with told_as_backend_errors(self._backend, _DOING, changes=True, patience_s=self._patience_s):
            answer = upload.finish([*self._body.framed(written), *self._body.end()])
            try:
                check_answer(answer, self._place, md5=self._body.md5, crc32c=self._body.crc)
            finally:
                answer.close()
        self._upload = None
        return StoredPiece(storage_key=self._storage_key, stored_bytes=self._shape.object_bytes, barrier=None)

    def abort(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.abort()


class _PlainBody:
    """The bytes as they are; the ETag of the answer is their MD5."""

    payload = UNSIGNED_PAYLOAD
    headers: Sequence[tuple[str, str]] = ()
    crc = None

    def __init__(self, object_bytes: int) -> None:
        self.size_bytes = object_bytes
        self._digest = hashlib.md5(usedforsecurity=False)

    @property
    def md5(self) -> bytes:
        return self._digest.digest()

    def framed(self, data: Buffer) -> Sequence[Buffer]:
        self._digest.update(data)
        return [data]

    def end(self) -> Sequence[Buffer]:
        return []


class _TrailedBody:
    """The bytes in chunks with their CRC32C behind them, which the store compares before it stores anything."""

    payload = UNSIGNED_TRAILER
    md5 = None

    def __init__(self, object_bytes: int) -> None:
        self._framing = ChunkFraming(object_bytes, _CRC_TRAILER, _CRC_TRAILER_BYTES)
        self._crc = 0
        self.size_bytes = self._framing.framed_bytes
        self.headers = (
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", str(object_bytes)),
            ("x-amz-trailer", _CRC_TRAILER),
        )

    @property
    def crc(self) -> str:
        return base64.b64encode(self._crc.to_bytes(4, "big")).decode()

    def framed(self, data: Buffer) -> Sequence[Buffer]:
        self._crc = crc32c(data, self._crc)
        return self._framing.framed(data)

    def end(self) -> Sequence[Buffer]:
        return self._framing.end(self.crc)
