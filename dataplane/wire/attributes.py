"""GetObjectAttributes: what a client asks for, in its headers."""

from collections.abc import Mapping
from dataclasses import dataclass

from dataplane.wire.parameters import PAGE_COUNT_MAX
from dataplane.wire.refusals import InvalidArgument
from engine.units import PART_NUMBER_MAX

ATTRIBUTES_FIELD = "x-amz-object-attributes"
MAX_PARTS_FIELD = "x-amz-max-parts"
MARKER_FIELD = "x-amz-part-number-marker"
ATTRIBUTES = frozenset({"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"})

_DIGITS_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributesQuery:
    """The attributes asked for, and which page of the parts: at most `limit` after the part `after`."""

    names: frozenset[str]
    after: int
    limit: int


def read_attributes_query(headers: Mapping[str, str]) -> AttributesQuery:
    """Raises WireError InvalidArgument for no attribute, one that S3 does not know, and for what is no number."""
    text = headers.get(ATTRIBUTES_FIELD, "")
    names = frozenset(name.strip(" \t") for name in text.split(","))
    if not names <= ATTRIBUTES:
        raise InvalidArgument("Invalid attribute name specified.", name=ATTRIBUTES_FIELD, value=text)
    return AttributesQuery(
        names=names,
        after=_number(headers, MARKER_FIELD, default=0, number_max=PART_NUMBER_MAX),
        limit=_number(headers, MAX_PARTS_FIELD, default=PAGE_COUNT_MAX, number_max=PAGE_COUNT_MAX),
    )


def _number(headers: Mapping[str, str], name: str, *, default: int, number_max: int) -> int:
    text = headers.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS_MAX:
        raise InvalidArgument(f"{name} is no number.", name=name, value=text)
    return min(int(text), number_max)
