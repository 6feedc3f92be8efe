"""Objects of a bucket that are not pieces of ours: listed page by page, looked at, told apart from what is ours."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from engine.backends.s3.client import S3Client, texts_of
from engine.backends.s3.connection import BadAnswer
from engine.backends.s3.identity import IDENTITY_NAME
from engine.backends.s3.listing import Entry, ask_listing
from engine.backends.s3.place import S3Place
from engine.backends.s3.trouble import NoAnswer, Refused, told_as_backend_errors
from engine.errors import PieceMissing
from engine.names import BackendName
from engine.records import ObjectHeaders
from engine.units import KIB

_TAGGING_BYTES_MAX = 64 * KIB
_SYSTEM_HEADERS = ("cache-control", "content-disposition", "content-encoding", "content-language", "expires")
_USER_PREFIX = "x-amz-meta-"

_PIECE = re.compile(r"(.*/)?pieces/([0-9a-f]{2})/[0-9a-f]{30}\2")
_IDENTITY = re.compile(rf"(.*/)?{re.escape(IDENTITY_NAME)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectsPage:
    """Some objects in the order of their keys; `has_more` when there are others behind them."""

    objects: Sequence[Entry]
    has_more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundObject:
    """An object with all that a version carries. `is_etag_md5`: its ETag is the MD5 of its bytes."""

    key: str
    size_bytes: int
    etag: str
    modified_at_us: int
    headers: ObjectHeaders
    is_etag_md5: bool


class NotReadable(Exception):
    """The store shows an object to nobody who has only the backend's keys."""


def is_penstocks_own(key: str) -> bool:
    """Whether a key looks like one that a Penstock wrote for itself: a piece, or an identity, below whatever prefix."""
    return _PIECE.fullmatch(key) is not None or _IDENTITY.fullmatch(key) is not None


class BucketObjects:
    """The bucket that a backend lies in, whole: keys are not below the backend's prefix. Safe for many threads."""

    def __init__(self, client: S3Client, place: S3Place, backend: BackendName) -> None:
        self._client = client
        self._place = place
        self._backend = backend

    @property
    def place(self) -> S3Place:
        return self._place

    def is_ours(self, key: str) -> bool:
        """Whether it lies below the backend's own prefix, or is a Penstock's own elsewhere."""
        prefix = self._place.key_prefix
        return (bool(prefix) and key.startswith(prefix)) or is_penstocks_own(key)

    def list(self, *, prefix: str, after: str, count_max: int) -> ObjectsPage:
        """Objects behind a key; raises BackendUnavailable, ForeignBackend when there is no such bucket."""
        with told_as_backend_errors(self._backend, "listing"):
            listing = ask_listing(self._client, self._place, prefix=prefix, after=after, count_max=count_max)
            keys = [after, *(each.key for each in listing.entries)]
            if any(later.encode() <= one.encode() for one, later in itertools.pairwise(keys)):
                # Whoever goes on behind the last key would never see what comes before it.
                raise NoAnswer("it lists keys in an order of its own")
        return ObjectsPage(objects=listing.entries, has_more=listing.is_truncated)

    def find(self, key: str) -> FoundObject | None:
        """An object with its metadata and tags; null when there is none. Raises NotReadable, BackendUnavailable."""
        try:
            with told_as_backend_errors(self._backend, "looking at an object"):
                try:
                    return self._look(key)
                except Refused as error:
                    if error.status in (400, 403):
                        raise NotReadable(str(error)) from error
                    raise
        except PieceMissing:
            return None

    def _look(self, key: str) -> FoundObject:
        answer = self._client.exchange("HEAD", self._place.path_of_object(key))
        answer.close()
        headers = answer.headers
        try:
            tags = self._tags(key) if int(headers.get("x-amz-tagging-count", "0")) else {}
            return _found(key, headers, tags)
        except (BadAnswer, ValueError) as error:
            raise NotReadable(f"what the store says of it cannot be read: {error}") from error

    def _tags(self, key: str) -> Mapping[str, str]:
        answer = self._client.exchange("GET", self._place.path_of_object(key), query=[("tagging", "")])
        try:
            texts = texts_of(answer.read_all(_TAGGING_BYTES_MAX))
        finally:
            answer.close()
        names = [text for name, text in texts if name == "Key"]
        values = [text for name, text in texts if name == "Value"]
        return dict(zip(names, values, strict=True))


def delete_unchanged(client: S3Client, path: str, etag: str) -> bool:
    """Delete an object if its ETag is still that one; false when it is another by now and was left. Raises Trouble.

    Of a store that knows no conditional deletion it is asked just before: what is written between the two goes.
    """
    try:
        answer = client.exchange("HEAD", path)
        answer.close()
    except Refused as error:
        if error.status == 404:
            return True
        raise
    if etag_of(answer.headers) != etag:
        return False
    try:
        client.exchange("DELETE", path, headers=[("if-match", f'"{etag}"')]).close()
    except Refused as error:
        if error.status == 404:
            return True
        if error.status == 412:
            return False
        if error.status != 501:
            raise
        client.exchange("DELETE", path).close()
    return True


def etag_of(headers: Mapping[str, str]) -> str:
    """The ETag of an answer without its quotes; empty where there is none."""
    return headers.get("etag", "").strip('"')


def _found(key: str, headers: Mapping[str, str], tags: Mapping[str, str]) -> FoundObject:
    if "content-length" not in headers:
        raise BadAnswer("an object without a length")
    modified = parsedate_to_datetime(headers.get("last-modified", ""))
    at = modified if modified.tzinfo is not None else modified.replace(tzinfo=UTC)
    encryption = headers.get("x-amz-server-side-encryption", "")
    etag = etag_of(headers)
    return FoundObject(
        key=key,
        size_bytes=int(headers["content-length"]),
        etag=etag,
        modified_at_us=int(at.timestamp()) * 1_000_000,
        headers=ObjectHeaders(
            content_type=headers.get("content-type"),
            system={name: headers[name] for name in _SYSTEM_HEADERS if name in headers},
            user={
                name.removeprefix(_USER_PREFIX): value
                for name, value in headers.items()
                if name.startswith(_USER_PREFIX)
            },
            tags=tags,
        ),
        is_etag_md5=encryption in ("", "AES256") and re.fullmatch(r"[0-9a-f]{32}", etag) is not None,
    )
