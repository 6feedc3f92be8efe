"""Checked strings: a value of one of these types has been checked once and is accepted as it is further in."""

import ipaddress
import re
from typing import NewType

from engine.errors import InvalidBucketName, InvalidKey, KeyTooLong

BucketName = NewType("BucketName", str)
ObjectKey = NewType("ObjectKey", bytes)
BackendName = NewType("BackendName", str)
AccountName = NewType("AccountName", str)

KEY_BYTES_MAX = 1024

RESOURCE_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
"""Ids of what operators name: identities, tokens, backends, nodes."""

SCOPE = re.compile(r"[A-Za-z*]{1,64}/[A-Za-z*]{1,64}")
"""A service and a method, each a name in which `*` stands for any letters."""

ACCOUNT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_BUCKET_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_BUCKET_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def bucket_name(text: str) -> BucketName:
    """Check a bucket name by the rules for general purpose buckets (S3 user guide, bucket naming rules)."""
    if (
        _BUCKET.fullmatch(text) is None
        or ".." in text
        or text.startswith(_BUCKET_PREFIXES)
        or text.endswith(_BUCKET_SUFFIXES)
        or _is_address(text)
    ):
        raise InvalidBucketName(bucket=text)
    return BucketName(text)


def object_key(raw: bytes) -> ObjectKey:
    """Check a key: strict UTF-8 of 1 to 1,024 bytes without NUL; everything else is opaque."""
    if not raw:
        raise InvalidKey(reason="a key has at least one byte")
    if len(raw) > KEY_BYTES_MAX:
        raise KeyTooLong(size_bytes=len(raw), max_bytes=KEY_BYTES_MAX)
    try:
        raw.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        raise InvalidKey(reason="a key is valid UTF-8") from error
    if b"\0" in raw:
        raise InvalidKey(reason="a key holds no NUL byte")
    return ObjectKey(raw)


def _is_address(text: str) -> bool:
    if not text.replace(".", "").isdigit():
        return False
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
