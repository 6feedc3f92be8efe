"""Text that stands in XML: escaped, and without characters that XML 1.0 cannot hold."""

import re
from urllib.parse import quote

_UNESCAPED = re.compile(r"[&<>\"\r\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_NAMES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"}


def escape(text: str) -> str:
    """Escape markup; a character that XML 1.0 forbids becomes U+FFFD, so that every answer parses.

    Clients that keep such keys ask for `encoding-type=url`, which holds every byte.
    """
    if _UNESCAPED.search(text) is None:
        return text
    return _UNESCAPED.sub(lambda match: _NAMES.get(match[0], "\ufffd"), text)


def key_text(key: bytes, *, url_encoded: bool) -> str:
    """A key or prefix as it stands in a document."""
    if url_encoded:
        return quote(key, safe="/-_.~*!'()").replace("%20", "+")
    return escape(key.decode("utf-8", "replace"))
