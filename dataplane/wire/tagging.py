"""Tags on the wire: the Tagging document and the x-amz-tagging header."""

from collections.abc import Mapping, Sequence
from urllib.parse import unquote_to_bytes

from dataplane.wire.refusals import BadRequest, InvalidArgument, InvalidTag, MalformedXml
from dataplane.wire.xml_in import NAMESPACE, parse_document
from dataplane.wire.xml_text import escape
from engine.tags import OBJECT_TAG_COUNT_MAX, RefusedTag, Tag, Tags, TooManyTags, checked_tags

TAGGING_FIELD = "x-amz-tagging"


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


def _checked(tags: list[Tag], count_max: int) -> Tags:
    try:
        return checked_tags(tags, count_max)
    except TooManyTags as error:
        raise BadRequest(str(error)) from error
    except RefusedTag as error:
        named = {} if error.key is None else {"TagKey": error.key}
        raise InvalidTag(str(error), **named) from error


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
