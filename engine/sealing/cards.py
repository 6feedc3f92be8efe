"""Cards: what a piece says of itself beside its bytes, so that metadata can be rebuilt from the backends alone.

Written down in docs/reference/formats/card.md:
`MAGIC || VERSION || FLAGS || CARD KEY ID || BODY LENGTH || BODY || MAC`.
"""

import hmac
import os
import struct
from dataclasses import dataclass

from blake3 import blake3
from cryptography.exceptions import InvalidTag

from engine.errors import SealBroken
from engine.sealing.keyring import WRAPPED_DEK_BYTES, KeyRing, RingKey

MAGIC = b"PSCD"
VERSION = 1
MAC_BYTES = 32
HINT_BYTES_MAX = 1024
_SEALED = 1
_HEAD = struct.Struct(">4sBB16sH")
_BODY = struct.Struct(">16sHBBQQQ32s16sI")
_NONCE_BYTES = 12
_TAG_BYTES = 16
_NO_HASH = bytes(32)
_NO_KEY = bytes(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A blob's piece. `bucket`, `key` and `upload_id` are hints of its first use; metadata decides, not they."""

    blob_id: bytes
    piece_index: int
    copy_count: int
    size_bytes: int
    stored_bytes: int
    created_at_us: int
    content_hash: bytes | None = None
    key_id: bytes | None = None
    wrapped_dek: bytes | None = None
    frame_bytes: int = 0
    bucket: str = ""
    key: bytes = b""
    upload_id: bytes = b""


def card_bytes(card: Card, *, is_sealed: bool) -> int:
    """Size of a card once written."""
    size_bytes = (
        _HEAD.size + _BODY.size + MAC_BYTES + 1 + len(card.bucket) + 2 + len(card.key[:HINT_BYTES_MAX])
    )
    size_bytes += 1 + len(card.upload_id) + 1 + len(card.wrapped_dek or b"")
    return size_bytes + (_NONCE_BYTES + _TAG_BYTES if is_sealed else 0)


def write_card(card: Card, key: RingKey, *, is_sealed: bool) -> bytes:
    """The card, MACed under the ring key's card key, its body sealed when anything of the deployment is."""
    body = _write_body(card)
    if is_sealed:
        nonce = os.urandom(_NONCE_BYTES)
        body = nonce + key.card_cipher.encrypt(nonce, body, MAGIC)
    head = _HEAD.pack(MAGIC, VERSION, _SEALED if is_sealed else 0, key.key_id, len(body))
    return head + body + blake3(head + body, key=key.card_mac_key).digest()


def read_card(raw: bytes, ring: KeyRing) -> Card:
    """Raises SealBroken for anything but a whole card of this deployment, KeyUnavailable when its key is gone."""
    if len(raw) < _HEAD.size + MAC_BYTES:
        raise SealBroken("a card is cut short")
    magic, version, flags, key_id, body_bytes = _HEAD.unpack_from(raw)
    if magic != MAGIC or version != VERSION or flags not in (0, _SEALED):
        raise SealBroken("not a card of a known format")
    end = _HEAD.size + body_bytes
    if len(raw) != end + MAC_BYTES:
        raise SealBroken("a card has the wrong length")
    key = ring.key(key_id)
    if not hmac.compare_digest(blake3(raw[:end], key=key.card_mac_key).digest(), raw[end:]):
        raise SealBroken("a card's MAC does not match")
    body = raw[_HEAD.size : end]
    if flags == _SEALED:
        try:
            body = key.card_cipher.decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], MAGIC)
        except (InvalidTag, ValueError) as error:
            raise SealBroken("a card does not open") from error
    return _read_body(body)


def _write_body(card: Card) -> bytes:
    bucket = card.bucket.encode("ascii")
    key = card.key[:HINT_BYTES_MAX]
    dek = card.wrapped_dek or b""
    return b"".join(
        (
            _BODY.pack(
                card.blob_id,
                card.piece_index,
                0,
                card.copy_count,
                card.size_bytes,
                card.stored_bytes,
                card.created_at_us,
                card.content_hash or _NO_HASH,
                card.key_id or _NO_KEY,
                card.frame_bytes,
            ),
            bytes((len(dek),)),
            dek,
            bytes((len(bucket),)),
            bucket,
            len(key).to_bytes(2, "big"),
            key,
            bytes((len(card.upload_id),)),
            card.upload_id,
        )
    )


def _read_body(body: bytes) -> Card:
    try:
        blob_id, index, scheme, copies, size, stored, created, content, key_id, frame = _BODY.unpack_from(
            body
        )
        rest = _Cursor(body, _BODY.size)
        dek, bucket = rest.take(rest.number(1)), rest.take(rest.number(1))
        key, upload_id = rest.take(rest.number(2)), rest.take(rest.number(1))
        text = bucket.decode("ascii")
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise SealBroken("a card's body is malformed") from error
    if scheme != 0 or not rest.is_at_end or len(dek) not in (0, WRAPPED_DEK_BYTES):
        raise SealBroken("a card's body is malformed")
    return Card(
        blob_id=blob_id,
        piece_index=index,
        copy_count=copies,
        size_bytes=size,
        stored_bytes=stored,
        created_at_us=created,
        content_hash=None if content == _NO_HASH else content,
        key_id=None if key_id == _NO_KEY else key_id,
        wrapped_dek=dek or None,
        frame_bytes=frame,
        bucket=text,
        key=key,
        upload_id=upload_id,
    )


class _Cursor:
    """Reads length-prefixed fields; raises IndexError past the end."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position

    def take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._data):
            raise IndexError("past the end")
        taken, self._position = self._data[self._position : end], end
        return taken

    def number(self, size_bytes: int) -> int:
        return int.from_bytes(self.take(size_bytes), "big")

    @property
    def is_at_end(self) -> bool:
        return self._position == len(self._data)
