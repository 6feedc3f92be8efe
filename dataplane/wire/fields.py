"""Header fields of a request, gathered once: lower-case names, repeated ones joined."""

from collections.abc import Iterable

from dataplane.wire.refusals import InvalidRequest

SINGLE_FIELDS = frozenset(
    {
        "authorization",
        "content-length",
        "content-md5",
        "content-type",
        "date",
        "host",
        "if-modified-since",
        "if-range",
        "if-unmodified-since",
        "range",
        "x-amz-content-sha256",
        "x-amz-copy-source",
        "x-amz-date",
        "x-amz-decoded-content-length",
        "x-amz-security-token",
    }
)
"""Fields that mean nothing when they come twice."""


def gather_fields(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """One value per lower-case name, as ISO 8859-1 text: each character is one octet of the wire.

    Values lose blanks at their ends; a repeated field becomes one value joined by commas in order of arrival, which is
    what signatures are over and what is stored. Raises InvalidRequest when a field that can only come once comes twice.
    """
    pairs = list(pairs)
    fields = {name.decode("latin-1").lower(): value.decode("latin-1").strip(" \t") for name, value in pairs}
    return fields if len(fields) == len(pairs) else _joined(pairs)


def _joined(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name = raw_name.decode("latin-1").lower()
        value = raw_value.decode("latin-1").strip(" \t")
        known = fields.get(name)
        if known is None:
            fields[name] = value
        elif name in SINGLE_FIELDS:
            raise InvalidRequest(f"The header {name} was given more than once.")
        else:
            fields[name] = f"{known},{value}"
    return fields
