"""The bytes of a volume file: headers, trailers, MACs and storage keys; pure, no file in sight.

Specified in docs/reference/formats/volume.md, with vectors in tests/vectors/volume.json.
"""

import re
import struct
from dataclasses import dataclass

from blake3 import blake3

from engine.units import BLOCK_BYTES, KIB

FORMAT_VERSION = 1
FILE_BLOCK_BYTES = 4096
ALIGNMENT_BYTES = 64
VOLUME_HEADER_BYTES = 4096
FIRST_RECORD_OFFSET = 2 * VOLUME_HEADER_BYTES
RECORD_HEADER_BYTES = 64
TRAILER_BYTES = 64
CRC_BYTES = 4

CARD_BYTES_MAX = 64 * KIB
"""No card is longer; it bounds what a scan reads for a trailer that may be a forgery."""

VOLUME_MAGIC = b"PNSTVOL\n"
RECORD_MAGIC = b"PNSTREC\n"
TRAILER_MAGIC = b"PNSTEND\n"

SEED_BYTES = 16
_KEY_CONTEXT = "penstock volume format 1: headers and trailers"

_VOLUME_HEADER = struct.Struct(">8sII16s16s16sQ24x")
_RECORD_HEADER = struct.Struct(">8sI4xQQ")
_TRAILER = struct.Struct(">8sIIQQ")
_OFFSET = struct.Struct(">Q")
_MAC_BYTES = 32

_STORAGE_KEY = re.compile(r"([0-9a-f]{32}):([0-9a-f]{10})")
OFFSET_MAX = 16**10 - 1


class NotARecord(Exception):
    """The bytes are no header or trailer of this volume at this offset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeKey:
    """What headers and trailers of one volume are bound to."""

    volume_id: bytes
    mac_key: bytes

    def mac(self, label: bytes, offset: int, *covered: bytes) -> bytes:
        """BLAKE3 keyed with the volume's key over label, volume id, offset and `covered`."""
        hasher = blake3(label + self.volume_id + _OFFSET.pack(offset), key=self.mac_key)
        for part in covered:
            hasher.update(part)
        return hasher.digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeHeader:
    """The first block of a volume; `seed` never leaves the node."""

    volume_id: bytes
    seed: bytes
    identity_id: bytes
    created_at_us: int

    @property
    def key(self) -> VolumeKey:
        return VolumeKey(
            volume_id=self.volume_id, mac_key=blake3(self.seed, derive_key_context=_KEY_CONTEXT).digest()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordHeader:
    """What stands before a payload: lengths known when the extent is reserved."""

    payload_bytes: int
    extent_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trailer:
    """What stands at the end of an extent: the lengths again, with the card's."""

    payload_bytes: int
    extent_bytes: int
    card_bytes: int


def write_volume_header(header: VolumeHeader) -> bytes:
    """Both copies of the header: everything before the first record."""
    plain = _VOLUME_HEADER.pack(
        VOLUME_MAGIC,
        FORMAT_VERSION,
        VOLUME_HEADER_BYTES,
        header.volume_id,
        header.seed,
        header.identity_id,
        header.created_at_us,
    )
    copies = [
        (plain + header.key.mac(b"V", offset, plain)).ljust(VOLUME_HEADER_BYTES, b"\0")
        for offset in (0, VOLUME_HEADER_BYTES)
    ]
    return b"".join(copies)


def read_volume_header(head: bytes) -> VolumeHeader:
    """The header from the first `FIRST_RECORD_OFFSET` bytes of a file; raises NotARecord when neither copy verifies."""
    for offset in (0, VOLUME_HEADER_BYTES):
        header = _read_header_copy(head[offset : offset + VOLUME_HEADER_BYTES], offset)
        if header is not None:
            return header
    raise NotARecord


def _read_header_copy(copy: bytes, offset: int) -> VolumeHeader | None:
    if len(copy) < _VOLUME_HEADER.size + _MAC_BYTES:
        return None
    plain, mac = copy[: _VOLUME_HEADER.size], copy[_VOLUME_HEADER.size : _VOLUME_HEADER.size + _MAC_BYTES]
    magic, version, length, volume_id, seed, identity_id, created_at_us = _VOLUME_HEADER.unpack(plain)
    if (magic, version, length) != (VOLUME_MAGIC, FORMAT_VERSION, VOLUME_HEADER_BYTES):
        return None
    header = VolumeHeader(
        volume_id=volume_id, seed=seed, identity_id=identity_id, created_at_us=created_at_us
    )
    return header if header.key.mac(b"V", offset, plain) == mac else None


def write_record_header(key: VolumeKey, offset: int, header: RecordHeader) -> bytes:
    """The 64 bytes before the payload of the record at `offset`."""
    plain = _RECORD_HEADER.pack(RECORD_MAGIC, FORMAT_VERSION, header.payload_bytes, header.extent_bytes)
    return plain + key.mac(b"H", offset, plain)


def read_record_header(key: VolumeKey, offset: int, raw: bytes) -> RecordHeader:
    """The header of the record at `offset`; raises NotARecord for anything that is not exactly that."""
    if len(raw) != RECORD_HEADER_BYTES or not raw.startswith(RECORD_MAGIC):
        raise NotARecord
    plain, mac = raw[: _RECORD_HEADER.size], raw[_RECORD_HEADER.size :]
    _, version, payload_bytes, extent_bytes = _RECORD_HEADER.unpack(plain)
    if version != FORMAT_VERSION or key.mac(b"H", offset, plain) != mac:
        raise NotARecord
    return RecordHeader(payload_bytes=payload_bytes, extent_bytes=extent_bytes)


def write_tail(key: VolumeKey, offset: int, header: RecordHeader, *, block_crcs: bytes, card: bytes) -> bytes:
    """Everything after the payload of the record at `offset`: checksums, card, padding, trailer."""
    plain = _TRAILER.pack(TRAILER_MAGIC, FORMAT_VERSION, len(card), header.payload_bytes, header.extent_bytes)
    room = tail_bytes(header) - TRAILER_BYTES
    assert len(block_crcs) == crc_bytes(header.payload_bytes)
    assert len(block_crcs) + len(card) <= room
    return (block_crcs + card).ljust(room, b"\0") + plain + key.mac(b"T", offset, plain, block_crcs, card)


def read_trailer(raw: bytes) -> Trailer:
    """The lengths a trailer states, **not yet verified**; raises NotARecord when its shape is wrong."""
    if len(raw) != TRAILER_BYTES or not raw.startswith(TRAILER_MAGIC):
        raise NotARecord
    _, version, card_bytes, payload_bytes, extent_bytes = _TRAILER.unpack_from(raw)
    trailer = Trailer(payload_bytes=payload_bytes, extent_bytes=extent_bytes, card_bytes=card_bytes)
    least, most = extent_of(payload_bytes, card_bytes), extent_of(payload_bytes, CARD_BYTES_MAX)
    fits = extent_bytes % ALIGNMENT_BYTES == 0 and least <= extent_bytes <= most
    if version != FORMAT_VERSION or not fits:
        raise NotARecord
    return trailer


def read_tail(key: VolumeKey, offset: int, raw: bytes) -> tuple[Trailer, bytes, bytes]:
    """Trailer, block checksums and card from all bytes after the payload; raises NotARecord unless the MAC holds."""
    trailer = read_trailer(raw[-TRAILER_BYTES:])
    crcs = crc_bytes(trailer.payload_bytes)
    header = RecordHeader(payload_bytes=trailer.payload_bytes, extent_bytes=trailer.extent_bytes)
    if len(raw) != tail_bytes(header):
        raise NotARecord
    block_crcs, card = raw[:crcs], raw[crcs : crcs + trailer.card_bytes]
    plain, mac = raw[-TRAILER_BYTES:-_MAC_BYTES], raw[-_MAC_BYTES:]
    if key.mac(b"T", offset, plain, block_crcs, card) != mac:
        raise NotARecord
    return trailer, block_crcs, card


def crc_bytes(payload_bytes: int) -> int:
    """Bytes of the block checksums of a payload."""
    return -(-payload_bytes // BLOCK_BYTES) * CRC_BYTES


def extent_of(payload_bytes: int, card_bytes: int) -> int:
    """What a record of that payload and card occupies."""
    return align(RECORD_HEADER_BYTES + payload_bytes + crc_bytes(payload_bytes) + card_bytes + TRAILER_BYTES)


def tail_bytes(header: RecordHeader) -> int:
    """Bytes from the payload's end to the extent's."""
    return header.extent_bytes - RECORD_HEADER_BYTES - header.payload_bytes


def align(offset: int, to_bytes: int = ALIGNMENT_BYTES) -> int:
    """The first multiple of `to_bytes` at or after `offset`."""
    return -(-offset // to_bytes) * to_bytes


def write_storage_key(volume_id: bytes, offset: int) -> str:
    """The storage key of the record at `offset`."""
    assert 0 <= offset <= OFFSET_MAX
    return f"{volume_id.hex()}:{offset:010x}"


def read_storage_key(text: str) -> tuple[bytes, int]:
    """Volume id and offset; raises NotARecord for text that is no storage key of a volume."""
    match = _STORAGE_KEY.fullmatch(text)
    if match is None:
        raise NotARecord
    return bytes.fromhex(match[1]), int(match[2], 16)
