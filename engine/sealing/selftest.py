"""Known answers: before a process touches data it shows that the primitives it was built with give them."""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from awscrt.checksums import crc32c, crc64nvme
from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from isal.isal_zlib import crc32

from engine.errors import StartRefused

_DIGITS = b"123456789"

_GCM_KEY = bytes.fromhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")
_GCM_NONCE = bytes.fromhex("cafebabefacedbaddecaf888")
_GCM_AAD = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
_GCM_PLAIN = bytes.fromhex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)
_GCM_SEALED = bytes.fromhex(
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAnswer:
    """A computation whose result is published; `source` says where."""

    name: str
    source: str
    compute: Callable[[], bytes]
    expected: bytes


def _gcm_into() -> bytes:
    """As frames are sealed: into a buffer of the caller's."""
    out = bytearray(len(_GCM_SEALED))
    AESGCM(_GCM_KEY).encrypt_into(_GCM_NONCE, _GCM_PLAIN, _GCM_AAD, out)
    return bytes(out)


def _gcm_open() -> bytes:
    out = bytearray(len(_GCM_PLAIN))
    AESGCM(_GCM_KEY).decrypt_into(_GCM_NONCE, _GCM_SEALED, _GCM_AAD, out)
    return bytes(out)


def _gcm_refuses() -> bytes:
    """An opener that accepts a wrong tag gives every right answer, and is worse than none."""
    forged = _GCM_SEALED[:-1] + bytes((_GCM_SEALED[-1] ^ 1,))
    try:
        AESGCM(_GCM_KEY).decrypt(_GCM_NONCE, forged, _GCM_AAD)
    except InvalidTag:
        return b"refused"
    return b"accepted"


def _hkdf() -> bytes:
    salt, info = bytes(range(0x0D)), bytes(range(0xF0, 0xFA))
    return HKDF(algorithm=SHA256(), length=42, salt=salt, info=info).derive(b"\x0b" * 22)


KNOWN_ANSWERS: Sequence[KnownAnswer] = (
    KnownAnswer(
        name="AES-256-GCM seal",
        source="McGrew and Viega, The Galois/Counter Mode of Operation, test case 16",
        compute=_gcm_into,
        expected=_GCM_SEALED,
    ),
    KnownAnswer(name="AES-256-GCM open", source="the same test case", compute=_gcm_open, expected=_GCM_PLAIN),
    KnownAnswer(
        name="AES-256-GCM refusal",
        source="the same test case, one bit of the tag turned",
        compute=_gcm_refuses,
        expected=b"refused",
    ),
    KnownAnswer(
        name="HKDF-SHA256",
        source="RFC 5869, A.1",
        compute=_hkdf,
        expected=bytes.fromhex(
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        ),
    ),
    KnownAnswer(
        name="HMAC-SHA256",
        source="RFC 4231, 4.3",
        compute=lambda: hmac.digest(b"Jefe", b"what do ya want for nothing?", "sha256"),
        expected=bytes.fromhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    ),
    KnownAnswer(
        name="SHA-256",
        source="FIPS 180-2, B.1",
        compute=lambda: hashlib.sha256(b"abc").digest(),
        expected=bytes.fromhex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ),
    KnownAnswer(
        name="BLAKE3",
        source="BLAKE3 test vectors, input length 3",
        compute=lambda: blake3(bytes(range(3))).digest(),
        expected=bytes.fromhex("e1be4d7a8ab5560aa4199eea339849ba8e293d55ca0a81006726d184519e647f"),
    ),
    KnownAnswer(
        name="BLAKE3 keyed",
        source="BLAKE3 test vectors, input length 3",
        compute=lambda: blake3(bytes(range(3)), key=b"whats the Elvish word for friend").digest(),
        expected=bytes.fromhex("39e67b76b5a007d4921969779fe666da67b5213b096084ab674742f0d5ec62b9"),
    ),
    KnownAnswer(
        name="CRC-32",
        source="catalogue of parametrised CRC algorithms, CRC-32/ISO-HDLC",
        compute=lambda: crc32(_DIGITS).to_bytes(4, "big"),
        expected=bytes.fromhex("cbf43926"),
    ),
    KnownAnswer(
        name="CRC-32C",
        source="the same catalogue, CRC-32/ISCSI",
        compute=lambda: crc32c(_DIGITS).to_bytes(4, "big"),
        expected=bytes.fromhex("e3069283"),
    ),
    KnownAnswer(
        name="CRC-64/NVME",
        source="the same catalogue, CRC-64/NVME",
        compute=lambda: crc64nvme(_DIGITS).to_bytes(8, "big"),
        expected=bytes.fromhex("ae8b14860a799888"),
    ),
)


def run_self_test(answers: Sequence[KnownAnswer] = KNOWN_ANSWERS) -> None:
    """Compute every known answer, well below a millisecond in all; raises StartRefused naming those that differ."""
    wrong = [f"{each.name} ({each.source})" for each in answers if _differs(each)]
    if wrong:
        raise StartRefused(
            "the self-test of this installation's cryptography failed, nothing was read or written: "
            + ", ".join(wrong)
        )


def _differs(answer: KnownAnswer) -> bool:
    try:
        return answer.compute() != answer.expected
    except (ValueError, InvalidTag):
        return True
