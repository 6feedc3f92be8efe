"""Cards: what a piece says of itself beside its bytes, so that metadata can be rebuilt from the backends alone.

Written down in docs/reference/formats/card.md: `HEAD || BODY || MAC`.
"""

import hmac
import struct
from dataclasses import dataclass

from engine.errors import SealBroken
from engine.sealing.box import BOX_BYTES
from engine.sealing.frames import sealed_bytes
from engine.sealing.keyring import KeyRing
from engine.sealing.ring_key import KEY_ID_BYTES, MAC_BYTES, WRAPPED_DEK_BYTES, RingKey
from engine.units import FRAME_BYTES

MAGIC = b"PSCD"
VERSION = 1
HINT_BYTES_MAX = 1024
"""Bytes of a key that a card keeps; no key is longer today."""

BUCKET_BYTES_MAX = 63
PIECE_INDEX_MAX = 0xFFFF
_COPIES = 0
_SEALED = 1
_HEAD = struct.Struct(">4sBB16sH")
_BODY = struct.Struct(">16sHBBQQQ32s16sI")
_NO_HASH = bytes(32)
_NO_KEY = bytes(KEY_ID_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A blob's piece. `bucket`, `key` and `upload_id` are hints of its first use; metadata decides, not they.

    `frame_bytes` is 0 for a blob that is not sealed. `content_hash` is BLAKE3 of the plaintext.
    """

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
    return size_bytes + (BOX_BYTES if is_sealed else 0)


def write_card(card: Card, key: RingKey, *, is_sealed: bool) -> bytes:
    """The card, MACed under the ring key, its body sealed when anything of the deployment is.

    Raises ValueError for a card that no reader would accept.
    """
    problem = _problem(card)
    if problem is not None:
        raise ValueError(problem)
    body = _write_body(card)
    stored_bytes = len(body) + (BOX_BYTES if is_sealed else 0)
    head = _HEAD.pack(MAGIC, VERSION, _SEALED if is_sealed else 0, key.key_id, stored_bytes)
    covered = head + (key.seal_card(body, head) if is_sealed else body)
    return covered + key.card_mac(covered)


def is_sealed_card(raw: bytes) -> bool:
    """Whether the body of a card that was read is sealed."""
    return bool(_HEAD.unpack_from(raw)[2] & _SEALED)


def card_key_id(raw: bytes) -> bytes:
    """The key that a card says it was written under, **not yet verified**; raises SealBroken for what is no card."""
    if len(raw) < _HEAD.size + MAC_BYTES or not raw.startswith(MAGIC):
        raise SealBroken("not a card")
    key_id: bytes = _HEAD.unpack_from(raw)[3]
    return key_id


def read_card(raw: bytes, ring: KeyRing) -> Card:
    """Raises SealBroken for anything but a whole card of this deployment, KeyUnavailable when its key is gone."""
    if len(raw) < _HEAD.size + MAC_BYTES:
        raise SealBroken("a card is cut short")
    magic, version, flags, key_id, stored_bytes = _HEAD.unpack_from(raw)
    if magic != MAGIC or version != VERSION or flags not in (0, _SEALED):
        raise SealBroken("not a card of a known format")
    end = _HEAD.size + stored_bytes
    if len(raw) != end + MAC_BYTES:
        raise SealBroken("a card has the wrong length")
    key = ring.key(key_id)
    if not hmac.compare_digest(key.card_mac(raw[:end]), raw[end:]):
        raise SealBroken("a card's MAC does not match")
    head, body = raw[: _HEAD.size], raw[_HEAD.size : end]
    card = _read_body(key.open_card(body, head) if flags == _SEALED else body)
    problem = _problem(card)
    if problem is not None:
        raise SealBroken(f"a card is authentic and wrong: {problem}")
    return card


def _problem(card: Card) -> str | None:
    """What no card may say, whoever wrote it; null when all is well."""
    # Copies made while others were away have numbers beyond those of the scheme.
    if not 0 <= card.piece_index <= PIECE_INDEX_MAX or card.copy_count < 1:
        return f"piece {card.piece_index} of {card.copy_count}"
    sealing = (card.key_id is not None, card.wrapped_dek is not None, card.frame_bytes != 0)
    if any(sealing) != all(sealing):
        return "sealed by halves"
    if card.wrapped_dek is None:
        stored_bytes = card.size_bytes
    elif len(card.wrapped_dek) != WRAPPED_DEK_BYTES or card.frame_bytes != FRAME_BYTES:
        return "sealed in no known way"
    else:
        stored_bytes = sealed_bytes(card.size_bytes)
    if card.stored_bytes != stored_bytes:
        return f"{card.size_bytes} bytes are stored as {card.stored_bytes}"
    if len(card.bucket) > BUCKET_BYTES_MAX or not card.bucket.isascii():
        return "the bucket's name is none"
    return None


def _write_body(card: Card) -> bytes:
    bucket = card.bucket.encode("ascii")
    key = card.key[:HINT_BYTES_MAX]
    dek = card.wrapped_dek or b""
    return b"".join(
        (
            _BODY.pack(
                card.blob_id,
                card.piece_index,
                _COPIES,
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
    if scheme != _COPIES or not rest.is_at_end or len(key) > HINT_BYTES_MAX:
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
