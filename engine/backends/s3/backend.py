"""The S3 backend: a prefix of a bucket behind the backend contract."""

import base64
import logging

from awscrt.checksums import combine_crc32c, crc32c

from engine.backends.base import ListedPage, PieceReader, PieceTail, PieceWriter, StoredPiece
from engine.backends.s3.client import BeforeRequest, S3Client, not_counted
from engine.backends.s3.format import (
    CARD_BYTES_MAX,
    NotAPiece,
    PieceShape,
    TrailerMac,
    payload_bytes_of,
    read_tail,
    tail_bytes_max,
    write_tail,
)
from engine.backends.s3.identity import IdentityObject, S3Identity
from engine.backends.s3.listing import list_page
from engine.backends.s3.objects import BucketObjects, delete_unchanged
from engine.backends.s3.place import S3Place
from engine.backends.s3.pool import CONNECTION_COUNT_MAX
from engine.backends.s3.reading import S3PieceReader, read_span
from engine.backends.s3.sending import send_held, write_patience_s
from engine.backends.s3.trouble import Refused, told_as_backend_errors
from engine.backends.s3.writing import S3PieceWriter
from engine.clock import Clock, SystemClock
from engine.errors import BackendUnavailable, KeyUnavailable, PieceCorrupt, PieceMissing, SealBroken
from engine.imported import ImportedObject, read_imported
from engine.integrity.blocks import whole_crc
from engine.names import BackendName

VERIFY_FIELD, VERIFIED_FIELD, VERIFY_BLOCKS = "x-penstock-verify", "x-penstock-verified", "blocks"
"""Asks another Penstock to read and verify an object, and what it answers (docs/reference/s3-compatibility.md)."""

_VERIFY_HEADERS = (("x-amz-checksum-mode", "ENABLED"), (VERIFY_FIELD, VERIFY_BLOCKS))

_log = logging.getLogger("penstock.backends")


class S3Backend:
    """Pieces as objects (`engine.backends.base.Backend`). Made after the fork, safe for many threads.

    Nothing is asked of the store before the first call that needs it. A storage key may also name an object of the
    bucket that was imported (`engine.imported`): it is read and deleted as long as its ETag is the one told.
    """

    def __init__(
        self,
        *,
        backend_id: int,
        name: BackendName,
        place: S3Place,
        deployment_id: bytes,
        identity_id: bytes,
        mac: TrailerMac,
        connection_count_max: int = CONNECTION_COUNT_MAX,
        clock: Clock | None = None,
        before_request: BeforeRequest = not_counted,
    ) -> None:
        self._backend_id = backend_id
        self._name = name
        self._place = place
        self._mac = mac
        self._client = S3Client(
            place,
            clock=clock or SystemClock(),
            before_request=before_request,
            connection_count_max=connection_count_max,
        )
        identity = S3Identity(backend=name, deployment_id=deployment_id, identity_id=identity_id)
        self._identity = IdentityObject(self._client, place, identity)
        self.objects = BucketObjects(self._client, place, name)

    @property
    def backend_id(self) -> int:
        return self._backend_id

    @property
    def name(self) -> BackendName:
        return self._name

    @property
    def needs_intents(self) -> bool:
        return True

    def occupied_bytes(self, payload_bytes: int, card_bytes: int, /) -> int:
        """The size of such an object."""
        return PieceShape(payload_bytes=payload_bytes, card_room_bytes=card_bytes).object_bytes

    def store(
        self,
        payload: memoryview,
        tail: PieceTail,
        /,
        *,
        storage_key: str | None = None,
        patience_s: float | None = None,
    ) -> StoredPiece:
        """Write a piece under its announced key; it is durable then.

        Raises BackendFull, BackendUnavailable, BackendTimeout, BackendLate, ForeignBackend, PieceMissing.
        """
        key = _announced(storage_key)
        shape = _shape(len(payload), len(tail.card))
        written = write_tail(self._mac, key, shape, tail)
        patience_s = write_patience_s(patience_s, shape.object_bytes)
        with told_as_backend_errors(self._name, "writing a piece", changes=True, patience_s=patience_s):
            send_held(
                self._client,
                self._place,
                self._place.path_of(key),
                [payload, written],
                patience_s=patience_s,
            )
        return StoredPiece(storage_key=key, stored_bytes=shape.object_bytes, barrier=None)

    def open_writer(
        self,
        payload_bytes: int,
        card_bytes_max: int,
        /,
        *,
        storage_key: str | None = None,
        patience_s: float | None = None,
    ) -> PieceWriter:
        """Begin a stream under its announced key; raises BackendUnavailable, BackendLate."""
        return S3PieceWriter(
            self._client,
            self._place,
            backend=self._name,
            storage_key=_announced(storage_key),
            shape=_shape(payload_bytes, card_bytes_max),
            mac=self._mac,
            patience_s=patience_s,
        )

    def open_reader(
        self, storage_key: str, payload_bytes: int, /, *, is_last_choice: bool = False
    ) -> PieceReader:
        """Open a piece; whether it is there shows at the first read."""
        imported = read_imported(storage_key)
        path = self._place.path_of(storage_key) if imported is None else self._path_of(imported)
        return S3PieceReader(
            self._client,
            path,
            backend=self._name,
            storage_key=storage_key,
            payload_bytes=payload_bytes,
            check_store=self.check_identity,
            etag=None if imported is None else imported.etag,
        )

    def read_tail(self, storage_key: str, payload_bytes: int, /) -> PieceTail:
        """Block checksums and card, authenticated; raises PieceMissing, PieceCorrupt, BackendUnavailable.

        ForeignBackend when the store is not ours at all.
        """
        if read_imported(storage_key) is not None:
            raise PieceCorrupt("an imported object has no tail", backend=self._name)
        return self._verified(storage_key, payload_bytes, self._read_raw_tail(storage_key, payload_bytes))

    def verify_in_place(self, storage_key: str, payload_bytes: int, block_crcs: bytes, /) -> bool:
        """By a HEAD that has another Penstock read its bytes, whose checksum is held against those of the blocks.

        Only what follows the payload is sent. False for any other store, and for one that has no such checksum.
        Raises PieceMissing, PieceCorrupt, BackendUnavailable, ForeignBackend.
        """
        if not self._place.quirks.verifies_in_place or read_imported(storage_key) is not None:
            return False
        try:
            with told_as_backend_errors(self._name, "having a piece verified"):
                answer = self._client.exchange(
                    "HEAD", self._place.path_of(storage_key), headers=_VERIFY_HEADERS
                )
                answer.close()
        except PieceMissing:
            self.check_identity()
            raise
        said, stored_crc = answer.headers.get(VERIFIED_FIELD), answer.headers.get("x-amz-checksum-crc32c")
        if said is None:
            return False
        if said != VERIFY_BLOCKS:
            raise PieceCorrupt(f"the store itself finds {storage_key} bad", backend=self._name)
        if stored_crc is None:
            return False
        raw = self._read_raw_tail(storage_key, payload_bytes)
        tail = self._verified(storage_key, payload_bytes, raw)
        whole = combine_crc32c(whole_crc(block_crcs, payload_bytes), crc32c(raw), len(raw))
        if tail.block_crcs != block_crcs or stored_crc != base64.b64encode(whole.to_bytes(4, "big")).decode():
            raise PieceCorrupt(f"the store has other bytes under {storage_key}", backend=self._name)
        return True

    def _read_raw_tail(self, storage_key: str, payload_bytes: int) -> bytes:
        try:
            return read_span(
                self._client,
                self._place.path_of(storage_key),
                start=payload_bytes,
                bytes_max=tail_bytes_max(payload_bytes),
                backend=self._name,
            )
        except PieceMissing:
            self.check_identity()
            raise

    def list_objects(self, token: str | None = None, /, *, after: str = "") -> ListedPage:
        """What lies below the prefix, page by page; raises BackendUnavailable, ForeignBackend."""
        return list_page(self._client, self._place, self._name, token=token, after=after)

    def object_bytes(self, storage_key: str, /) -> int:
        """Raises PieceMissing, BackendUnavailable; ForeignBackend when the store is not ours at all."""
        try:
            with told_as_backend_errors(self._name, "asking for a size"):
                imported = read_imported(storage_key)
                path = self._place.path_of(storage_key) if imported is None else self._path_of(imported)
                answer = self._client.exchange("HEAD", path)
                answer.close()
        except PieceMissing:
            self.check_identity()
            raise
        told = answer.headers.get("content-length", "")
        if not (told.isascii() and told.isdigit()):
            raise BackendUnavailable("it does not say how large an object is", backend=self._name)
        return int(told)

    def read_card(self, storage_key: str, object_bytes: int, /) -> bytes:
        """Raises PieceMissing, PieceCorrupt, BackendUnavailable; ForeignBackend when the store is not ours at all."""
        span_bytes = min(object_bytes, tail_bytes_max(object_bytes))
        if not span_bytes:
            raise PieceCorrupt(f"{storage_key} is empty", backend=self._name)
        try:
            raw = read_span(
                self._client,
                self._place.path_of(storage_key),
                start=object_bytes - span_bytes,
                bytes_max=span_bytes,
                backend=self._name,
            )
        except PieceMissing:
            self.check_identity()
            raise
        try:
            payload_bytes = payload_bytes_of(raw)
        except NotAPiece as error:
            raise PieceCorrupt(f"{storage_key} ends with no trailer", backend=self._name) from error
        tail = raw[max(0, len(raw) - object_bytes + payload_bytes) :]
        return self._verified(storage_key, payload_bytes, tail).card

    def delete(self, storage_key: str, stored_bytes: int, /) -> None:
        """Delete a piece; one that is not there is done already. Raises BackendUnavailable, BackendTimeout.

        An imported object that is another by now is none of ours any more, and stays.
        """
        imported = read_imported(storage_key)
        if imported is not None:
            self._delete_imported(imported)
            return
        with told_as_backend_errors(self._name, "deleting a piece", changes=True):
            try:
                self._client.exchange("DELETE", self._place.path_of(storage_key)).close()
            except Refused as error:
                if error.code != "NoSuchKey":
                    raise

    def _delete_imported(self, imported: ImportedObject) -> None:
        with told_as_backend_errors(self._name, "deleting an imported object", changes=True):
            is_gone = delete_unchanged(self._client, self._path_of(imported), imported.etag)
        if not is_gone:
            _log.warning("imported.left", extra={"backend": self._name, "etag": imported.etag})

    def _path_of(self, imported: ImportedObject) -> str:
        return self._place.path_of_object(imported.key)

    def register(self, *, created_at_us: int) -> None:
        """Write the identity object below an empty prefix; see `IdentityObject.register`."""
        self._identity.register(created_at_us=created_at_us)

    def check_identity(self) -> None:
        """Raises ForeignBackend, BackendUnavailable."""
        self._identity.check()

    def remove_identity(self) -> None:
        """Raises ForeignBackend, BackendUnavailable, BackendTimeout."""
        self._identity.remove()

    def close(self) -> None:
        """Close connections as they fall idle; calls fail from now on."""
        self._client.close()

    def _verified(self, storage_key: str, payload_bytes: int, raw: bytes) -> PieceTail:
        try:
            return read_tail(self._mac, storage_key, payload_bytes, raw)
        except (NotAPiece, SealBroken, KeyUnavailable) as error:
            # The ring has every key that a card of ours names: another one was never written by us.
            raise PieceCorrupt(f"the tail of {storage_key} does not verify", backend=self._name) from error


def _announced(storage_key: str | None) -> str:
    if storage_key is None:
        raise ValueError("a piece on this backend is announced by an intent that names its storage key")
    return storage_key


def _shape(payload_bytes: int, card_room_bytes: int) -> PieceShape:
    if card_room_bytes > CARD_BYTES_MAX:
        raise ValueError(f"a card of {card_room_bytes} bytes, at most {CARD_BYTES_MAX} are allowed")
    return PieceShape(payload_bytes=payload_bytes, card_room_bytes=card_room_bytes)
