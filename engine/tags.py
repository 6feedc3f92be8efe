"""Tags: what they may say, and the canonical form in which those of a bucket are kept."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

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


class TooManyTags(ValueError):
    """More than there may be."""


class RefusedTag(ValueError):
    """A tag that nothing may have; `key` is null when it is about several."""

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


def write_tags(tags: Sequence[Tag]) -> str:
    """The canonical form: JSON pairs in their order."""
    pairs = [[tag.key, tag.value] for tag in tags]
    return json.dumps(pairs, separators=(",", ":"), ensure_ascii=False)


def parse_tags(document: str) -> Tags:
    """Out of the canonical form."""
    return tuple(Tag(key=key, value=value) for key, value in json.loads(document))


def checked_tags(tags: Sequence[Tag], count_max: int) -> Tags:
    """The tags, if a bucket or a version may have them. Raises TooManyTags and RefusedTag."""
    if len(tags) > count_max:
        raise TooManyTags(f"Object tags cannot be greater than {count_max}")
    for tag in tags:
        if not tag.key or _length(tag.key) > KEY_LENGTH_MAX:
            raise RefusedTag("The TagKey you have provided is invalid", key=tag.key[:256])
        if _length(tag.value) > VALUE_LENGTH_MAX:
            raise RefusedTag("The TagValue you have provided is invalid", key=tag.key)
        if tag.key.lower().startswith("aws:"):
            raise RefusedTag("System tags cannot be added/updated by requester", key=tag.key)
        if _ALLOWED.fullmatch(tag.key) is None:
            raise RefusedTag("The TagKey you have provided is invalid", key=tag.key)
        if _ALLOWED.fullmatch(tag.value) is None:
            raise RefusedTag("The TagValue you have provided is invalid", key=tag.key)
    if len({tag.key for tag in tags}) < len(tags):
        raise RefusedTag("Cannot provide multiple Tags with the same key")
    return tuple(tags)


def _length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
