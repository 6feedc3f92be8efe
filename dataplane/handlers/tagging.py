"""GetObjectTagging, PutObjectTagging, DeleteObjectTagging."""

from collections.abc import Mapping
from http import HTTPStatus

from falcon import Response

from dataplane.exchange import Exchange
from dataplane.handlers.answers import answer_xml, tell_version_id
from dataplane.handlers.ownership import require_own
from dataplane.wire.parameters import read_version_id
from dataplane.wire.tagging import read_tagging, tagging
from engine.objects.read import Reader
from engine.objects.tagging import Tagger
from engine.records import Versioning
from engine.tags import OBJECT_TAG_COUNT_MAX, Tag


class TaggingHandlers:
    """Tags of a version: its own, and the only thing of it that changes."""

    def __init__(self, reader: Reader, tagger: Tagger) -> None:
        self._reader = reader
        self._tagger = tagger

    def get(self, exchange: Exchange, resp: Response) -> None:
        """An empty set for a version without tags."""
        stored = self._reader.find(exchange.bucket, exchange.key, _version_id(exchange))
        require_own(exchange, stored.bucket)
        tags = stored.version.headers.tags
        answer_xml(resp, tagging([Tag(key=key, value=value) for key, value in tags.items()]))
        if stored.bucket.versioning is not Versioning.OFF:
            tell_version_id(resp, stored.version.version_id)

    def put(self, exchange: Exchange, resp: Response) -> None:
        tags = read_tagging(exchange.read_document(), count_max=OBJECT_TAG_COUNT_MAX)
        self._set(exchange, resp, {tag.key: tag.value for tag in tags})
        resp.status = HTTPStatus.OK

    def delete(self, exchange: Exchange, resp: Response) -> None:
        self._set(exchange, resp, {}, is_removal=True)
        resp.status = HTTPStatus.NO_CONTENT

    def _set(
        self, exchange: Exchange, resp: Response, tags: Mapping[str, str], *, is_removal: bool = False
    ) -> None:
        account_id = exchange.identity.account_id
        tagged = self._tagger.set(
            exchange.bucket, exchange.key, _version_id(exchange), tags, account_id, is_removal=is_removal
        )
        resp.content_type = None
        tell_version_id(resp, tagged.shown_version_id)


def _version_id(exchange: Exchange) -> str | None:
    return read_version_id(exchange.target.get("versionId"))
