"""Tags: the Tagging document, the x-amz-tagging header, their limits, and the canonical form they are kept in."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from dataplane.wire.refusals import BadRequest, InvalidArgument, InvalidTag, MalformedXml
from dataplane.wire.xml_in import NAMESPACE, parse_document
from dataplane.wire.xml_text import escape

TAGGING_FIELD = "x-amz-tagging"
OBJECT_TAG_COUNT_MAX = 10
BUCKET_TAG_COUNT_MAX = 50
KEY_LENGTH_MAX = 128
VALUE_LENGTH_MAX = 256
"""Both in UTF-16 units, as S3 counts them."""

# Letters, digits and blanks of every script, and these signs (S3 API, object tagging).
_ALLOWED = re.compile(r"[\w \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000+\-=.:/@]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """One tag; its key is unique among those of its bucket or version."""

    key: str
    value: str


Tags = tuple[Tag, ...]


def read_tagging(raw: bytes, *, count_max: int) -> Tags:
    """A Tagging document, tags in its order. Raises MalformedXml, and BadRequest or InvalidTag of what it holds."""
    root = parse_document(raw, "Tagging")
    if [child.name for child in root.children] != ["TagSet"] or root.children[0].text.strip():
        raise MalformedXml
    tags = []
    for child in root.children[0].children:
        found = child.leaves("Key", "Value")
        if child.name != "Tag" or len(found) != 2:
            raise MalformedXml
        tags.append(Tag(key=found["Key"], value=found["Value"]))
    return _checked(tags, count_max)


def read_tagging_header(text: str) -> Tags:
    """x-amz-tagging: tags of an object as a query string. Raises InvalidArgument, BadRequest and InvalidTag."""
    tags = []
    for piece in text.split("&") if text else ():
        key, _, value = piece.partition("=")
        tags.append(Tag(key=_unquoted(key, text), value=_unquoted(value, text)))
    return _checked(tags, OBJECT_TAG_COUNT_MAX)


def read_object_tags(headers: Mapping[str, str]) -> dict[str, str]:
    """What x-amz-tagging gives a version, none without it; raises what `read_tagging_header` raises."""
    return {tag.key: tag.value for tag in read_tagging_header(headers.get(TAGGING_FIELD, ""))}


def tagging(tags: Sequence[Tag]) -> bytes:
    """The document that answers with tags."""
    rows = "".join(
        f"<Tag><Key>{escape(tag.key)}</Key><Value>{escape(tag.value)}</Value></Tag>" for tag in tags
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Tagging xmlns="{NAMESPACE}"><TagSet>{rows}</TagSet></Tagging>'
    ).encode()


def write_tags(tags: Sequence[Tag]) -> str:
    """The canonical form: JSON pairs in their order."""
    pairs = [[tag.key, tag.value] for tag in tags]
    return json.dumps(pairs, separators=(",", ":"), ensure_ascii=False)


def parse_tags(document: str) -> Tags:
    """Out of the canonical form."""
    return tuple(Tag(key=key, value=value) for key, value in json.loads(document))


def _checked(tags: list[Tag], count_max: int) -> Tags:
    if len(tags) > count_max:
        raise BadRequest(f"Object tags cannot be greater than {count_max}")
    for tag in tags:
        if not tag.key or _length(tag.key) > KEY_LENGTH_MAX:
            raise InvalidTag("The TagKey you have provided is invalid", TagKey=tag.key[:256])
        if _length(tag.value) > VALUE_LENGTH_MAX:
            raise InvalidTag("The TagValue you have provided is invalid", TagKey=tag.key)
        if tag.key.lower().startswith("aws:"):
            raise InvalidTag("System tags cannot be added/updated by requester", TagKey=tag.key)
        if _ALLOWED.fullmatch(tag.key) is None:
            raise InvalidTag("The TagKey you have provided is invalid", TagKey=tag.key)
        if _ALLOWED.fullmatch(tag.value) is None:
            raise InvalidTag("The TagValue you have provided is invalid", TagKey=tag.key)
    if len({tag.key for tag in tags}) < len(tags):
        raise InvalidTag("Cannot provide multiple Tags with the same key")
    return tuple(tags)


def _length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _unquoted(text: str, whole: str) -> str:
    try:
        return unquote_to_bytes(text.replace("+", " ").encode("latin-1")).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgument(
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without "
            "tag name duplicates.",
            name=TAGGING_FIELD,
            value=whole,
        ) from error
