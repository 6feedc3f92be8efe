"""Text that stands in XML documents: escaped, and without characters that XML 1.0 cannot hold."""

import re
from urllib.parse import quote_from_bytes

_UNSAFE = re.compile("[&<>\"'\t\n\r\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}
# Stripping leaves nothing exactly when every octet stands for itself in a document and in a URL.
_PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~/"
_REPLACEMENT = "\ufffd"


def escape(text: str) -> str:
    """Escape markup and line breaks; what XML 1.0 cannot hold at all becomes U+FFFD (XML 1.0, section 2.2).

    S3 itself writes such characters as `&#x1;`, which every XML 1.0 parser refuses together with the whole document:
    one odd key would hide all others of its page. Listings asked for with encoding-type=url hold every key exactly.
    """
    if _UNSAFE.search(text) is None:
        return text
    return _UNSAFE.sub(_reference, text)


def key_text(key: bytes, *, is_url_encoded: bool) -> str:
    """A key, prefix or marker as it stands in a document.

    Encoded like S3 does, but a space is `%20`: readers that decode `+` as a space and those that do not agree on it.
    """
    if not key.strip(_PLAIN):
        return key.decode("ascii")
    if is_url_encoded:
        return quote_from_bytes(key, safe="/")
    return escape(key.decode("utf-8", "replace"))


def _reference(found: re.Match[str]) -> str:
    character = found[0]
    entity = _ENTITIES.get(character)
    if entity is not None:
        return entity
    # Written raw, a parser would turn a line break in a key into another one.
    return f"&#{ord(character)};" if character in "\t\n\r" or "\x7f" <= character <= "\x9f" else _REPLACEMENT
