"""What lies in a bucket, or below the prefix of an S3 backend, a page at a time (ListObjectsV2)."""

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An object as a listing tells of it: where it does not, texts are empty and `changed_at_us` is null."""

    key: str
    size_bytes: int
    etag: str
    storage_class: str
    changed_at_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A page as a store tells it. `is_truncated`: others follow; `next_token` asks for them, if the store gives one."""

    entries: tuple[Entry, ...]
    is_truncated: bool
    next_token: str | None
    document_bytes: int


def ask_listing(
    client: S3Client,
    place: S3Place,
    *,
    prefix: str,
    token: str | None = None,
    after: str = "",
    count_max: int = PAGE_COUNT_MAX,
) -> Listing:
    """Objects below a prefix, behind what a token stands for or behind the key `after`. Raises trouble."""
    query = [("list-type", "2"), ("max-keys", str(count_max)), ("encoding-type", "url")]
    if prefix:
        query.append(("prefix", prefix))
    if token is not None:
        query.append(("continuation-token", token))
    elif after:
        query.append(("start-after", after))
    answer = client.exchange("GET", place.bucket_path or "/", query=query)
    try:
        document = answer.read_all(LISTING_BYTES_MAX)
    finally:
        answer.close()
    try:
        return read_listing(document)
    except BadAnswer as error:
        raise NoAnswer(f"the listing cannot be read: {error}") from error


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
    key_prefix = place.key_prefix
    with told_as_backend_errors(backend, "listing"):
        listing = ask_listing(
            client,
            place,
            prefix=key_prefix,
            token=token,
            after=key_prefix + after if after else "",
            count_max=count_max,
        )
        try:
            return page_of(listing, key_prefix)
        except BadAnswer as error:
            raise NoAnswer(f"the listing cannot be read: {error}") from error


def page_of(listing: Listing, key_prefix: str) -> ListedPage:
    """What of a listing lies below a prefix, told without it. Raises BadAnswer."""
    if listing.is_truncated and listing.next_token is None:
        raise BadAnswer("it goes on, and does not say where")
    return ListedPage(
        objects=tuple(
            ListedObject(
                key=each.key.removeprefix(key_prefix),
                size_bytes=each.size_bytes,
                changed_at_us=each.changed_at_us,
            )
            for each in listing.entries
            # Who ignores the prefix lists what is none of ours.
            if each.key.startswith(key_prefix)
        ),
        next_token=listing.next_token if listing.is_truncated else None,
        document_bytes=listing.document_bytes,
    )


def read_listing(document: bytes) -> Listing:
    """Raises BadAnswer for anything that is not understood: what a store has is not guessed at."""
    root = root_of(document)
    told = _texts(root)
    is_encoded = told.get("EncodingType", "").strip() == "url"
    return Listing(
        entries=tuple(
            _entry(_texts(each), is_encoded=is_encoded) for each in root if name_of(each) == "Contents"
        ),
        is_truncated=told.get("IsTruncated", "").strip().lower() == "true",
        next_token=told.get("NextContinuationToken") or None,
        document_bytes=len(document),
    )


def _entry(told: Mapping[str, str], *, is_encoded: bool) -> Entry:
    key = told.get("Key", "")
    if is_encoded:
        try:
            key = unquote_plus(key, errors="strict")
        except UnicodeDecodeError as error:
            raise BadAnswer("a key that is not UTF-8") from error
    if not key:
        raise BadAnswer("an object without a key")
    return Entry(
        key=key,
        size_bytes=_size(told.get("Size", "")),
        etag=told.get("ETag", "").strip('"'),
        storage_class=told.get("StorageClass", ""),
        changed_at_us=_time(told.get("LastModified", "")),
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
