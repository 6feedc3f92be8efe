"""What lies below the prefix of an S3 backend, a page at a time (ListObjectsV2)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import unquote_plus
from xml.etree import ElementTree

from engine.backends.base import ListedObject, ListedPage
from engine.backends.s3.client import S3Client, name_of, root_of
from engine.backends.s3.connection import BadAnswer
from engine.backends.s3.place import S3Place
from engine.backends.s3.trouble import NoAnswer, told_as_backend_errors
from engine.names import BackendName
from engine.units import MIB

PAGE_COUNT_MAX = 1000
LISTING_BYTES_MAX = 4 * MIB
"""More than a page of the longest keys takes; a longer document is not read to its end, and refused."""

_DIGITS_MAX = 18


def list_page(
    client: S3Client,
    place: S3Place,
    backend: BackendName,
    *,
    token: str | None,
    after: str,
    count_max: int = PAGE_COUNT_MAX,
) -> ListedPage:
    """Objects behind what a token of the page before stands for, or behind the key `after` below the prefix.

    Raises BackendUnavailable, ForeignBackend.
    """
    query = [("list-type", "2"), ("max-keys", str(count_max)), ("encoding-type", "url")]
    if place.key_prefix:
        query.append(("prefix", place.key_prefix))
    if token is not None:
        query.append(("continuation-token", token))
    elif after:
        query.append(("start-after", place.key_prefix + after))
    with told_as_backend_errors(backend, "listing"):
        answer = client.exchange("GET", place.bucket_path or "/", query=query)
        try:
            document = answer.read_all(LISTING_BYTES_MAX)
        finally:
            answer.close()
        try:
            return read_page(document, place.key_prefix)
        except BadAnswer as error:
            raise NoAnswer(f"the listing cannot be read: {error}") from error


def read_page(document: bytes, key_prefix: str) -> ListedPage:
    """Raises BadAnswer for anything that is not understood: what a store has is not guessed at."""
    root = root_of(document)
    told = _texts(root)
    is_encoded = told.get("EncodingType") == "url"
    objects = []
    for each in root:
        if name_of(each) != "Contents":
            continue
        listed = _texts(each)
        key = unquote_plus(listed["Key"]) if is_encoded and "Key" in listed else listed.get("Key", "")
        if not key:
            raise BadAnswer("an object without a key")
        # Who ignores the prefix lists what is none of ours.
        if key.startswith(key_prefix):
            objects.append(
                ListedObject(
                    key=key.removeprefix(key_prefix),
                    size_bytes=_size(listed.get("Size", "")),
                    changed_at_us=_time(listed.get("LastModified", "")),
                )
            )
    is_truncated = told.get("IsTruncated", "").strip().lower() == "true"
    next_token = told.get("NextContinuationToken") or None
    if is_truncated and next_token is None:
        raise BadAnswer("it goes on, and does not say where")
    return ListedPage(
        objects=tuple(objects),
        next_token=next_token if is_truncated else None,
        document_bytes=len(document),
    )


def _texts(element: ElementTree.Element) -> Mapping[str, str]:
    return {name_of(each): each.text or "" for each in element}


def _size(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX):
        raise BadAnswer("a size that is no number")
    return int(text)


def _time(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1_000_000)
