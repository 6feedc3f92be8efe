"""The formats are those of their pages: vectors made from the pages are written and read byte for byte."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from engine.sealing.cards import Card, card_bytes, read_card, write_card
from engine.sealing.envelope import Envelope, open_blob, seal_blob
from engine.sealing.frames import FrameSealer
from engine.sealing.keyring import KeyRing, RingKey, new_ring_key
from engine.sealing.providers import LocalProvider, inline_provider
from engine.units import FRAME_BYTES
from tests.support.sealed import open_whole, prescribed, seal_whole

FOLDER = Path(__file__).parents[3] / "vectors"
SEALING: dict[str, Any] = json.loads((FOLDER / "sealing.json").read_text(encoding="utf-8"))
CARDS: dict[str, Any] = json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))


def from_hex(part: str, name: str) -> bytes:
    return bytes.fromhex(SEALING[part][name])


MASTER_KEY = bytes.fromhex(SEALING["master_key"])
MATERIAL = from_hex("ring_key", "material")
BLOB_ID, DEK = from_hex("data_key", "blob_id"), from_hex("data_key", "material")


def ring_drawing(*randomness: bytes) -> KeyRing:
    """The ring of the vectors; what it draws is laid down."""
    writer = LocalProvider("file", MASTER_KEY, prescribed(from_hex("ring_key", "nonce")))
    record = new_ring_key(writer, random=prescribed(MATERIAL))
    return KeyRing([record], inline_provider(SEALING["master_key_base64"]), prescribed(*randomness))


def plain_of(size_bytes: int) -> bytes:
    return hashlib.shake_256(b"plaintext").digest(size_bytes)


def test_the_ring_key_is_wrapped_as_the_vector() -> None:
    writer = LocalProvider("file", MASTER_KEY, prescribed(from_hex("ring_key", "nonce")))

    record = new_ring_key(writer, random=prescribed(MATERIAL))

    assert record.wrapped_material == from_hex("ring_key", "wrapped_material")
    assert record.key_id.hex() == SEALING["ring_key"]["derived"]["key id"]
    assert record.check_value.hex() == SEALING["ring_key"]["derived"]["check value"]


@pytest.mark.parametrize("label", SEALING["ring_key"]["derived"])
def test_derived_keys_are_hkdf_with_the_labels_of_the_page(label: str) -> None:
    expected = bytes.fromhex(SEALING["ring_key"]["derived"][label])
    info = b"penstock v1 " + label.encode()

    assert HKDF(algorithm=SHA256(), length=len(expected), salt=None, info=info).derive(MATERIAL) == expected


def test_the_data_key_is_wrapped_as_the_vector() -> None:
    ring = ring_drawing(DEK, from_hex("data_key", "nonce"))

    envelope, _ = seal_blob(ring, BLOB_ID, 0)

    assert envelope.wrapped_dek == from_hex("data_key", "wrapped")
    assert ring.key(envelope.key_id).unwrap_dek(envelope.wrapped_dek, BLOB_ID) == DEK


@pytest.mark.parametrize("vector", SEALING["blobs"], ids=lambda vector: str(vector["size_bytes"]))
def test_frames_are_the_vectors(vector: dict[str, Any]) -> None:
    size_bytes = vector["size_bytes"]
    ring = ring_drawing()
    envelope = Envelope(
        key_id=ring.primary.key_id, wrapped_dek=from_hex("data_key", "wrapped"), frame_bytes=FRAME_BYTES
    )

    sealed = seal_whole(FrameSealer(DEK, BLOB_ID, size_bytes), plain_of(size_bytes))

    assert len(sealed) == vector["stored_bytes"]
    assert hashlib.sha256(sealed).hexdigest() == vector["stored_sha256"]
    assert vector["stored_hex"] in (None, sealed.hex())
    opener = open_blob(ring, envelope, BLOB_ID, size_bytes)
    assert open_whole(opener, sealed, size_bytes) == plain_of(size_bytes)


def test_a_small_secret_is_the_vector() -> None:
    ring = ring_drawing(from_hex("secret", "nonce"))
    label, secret = SEALING["secret"]["label"].encode(), SEALING["secret"]["secret"].encode()

    assert ring.primary.seal_secret(secret, label) == from_hex("secret", "sealed")
    assert ring.primary.open_secret(from_hex("secret", "sealed"), label) == secret


def card_of(fields: dict[str, Any]) -> Card:
    binary = ("blob_id", "content_hash", "key_id", "wrapped_dek", "key", "upload_id")
    decoded = {name: None if fields[name] is None else bytes.fromhex(fields[name]) for name in binary}
    return Card(**{**fields, **decoded})


@pytest.mark.parametrize("vector", CARDS["cards"], ids=lambda vector: vector["name"])
def test_cards_are_the_vectors(vector: dict[str, Any]) -> None:
    material, nonce = bytes.fromhex(CARDS["ring_key"]), bytes.fromhex(CARDS["nonce"])
    card, raw = card_of(vector["fields"]), bytes.fromhex(vector["card"])

    assert write_card(card, RingKey(material, prescribed(nonce)), is_sealed=vector["is_sealed"]) == raw
    assert card_bytes(card, is_sealed=vector["is_sealed"]) == len(raw)
    assert material == MATERIAL
    assert read_card(raw, ring_drawing()) == card
