"""CopyObject: by metadata where it can be, by streaming where it must."""

from falcon import Response

from dataplane.auth.identity import authorise
from dataplane.exchange import Exchange
from dataplane.handlers.answers import answer_xml, tell_version_id
from dataplane.handlers.ownership import Ownership, require_own
from dataplane.wire import xml_out
from dataplane.wire.checksums import read_algorithm
from dataplane.wire.conditions import COPY_PREFIX, ReadConditions, WriteConditions
from dataplane.wire.copy_source import CopySource, read_copy_source, replaces_metadata, replaces_tags
from dataplane.wire.headers import read_object_headers, read_storage_class
from dataplane.wire.operations import Action
from dataplane.wire.refusals import InvalidRequest
from dataplane.wire.tagging import read_object_tags
from engine.errors import IsDeleteMarker
from engine.objects.copy import Copier, CopyOrder
from engine.objects.read import Reader
from engine.records import StoredVersion, Versioning


class CopyHandlers:
    """Copies within what the caller may read and write."""

    def __init__(self, reader: Reader, copier: Copier, ownership: Ownership) -> None:
        self._reader = reader
        self._copier = copier
        self._ownership = ownership

    def copy_object(self, exchange: Exchange, resp: Response) -> None:
        headers = exchange.headers
        source = read_copy_source(headers)
        authorise(exchange.identity, Action.GET_OBJECT, source.bucket)
        replaces = replaces_metadata(headers)
        target_conditions = WriteConditions.of(headers)
        read_storage_class(headers)
        tags = read_object_tags(headers) if replaces_tags(headers) else None
        is_itself = (source.bucket, source.key) == (exchange.bucket, exchange.key)
        if is_itself and source.version_id is None and not replaces and tags is None:
            raise InvalidRequest(
                "This copy request is illegal because it is trying to copy an object to itself without changing the "
                "object's metadata, storage class, website redirect location or encryption attributes."
            )
        self._ownership.require(exchange, source.bucket)
        stored = find_source(self._reader, source)
        require_own(exchange, stored.bucket)
        conditions = ReadConditions.of(headers, prefix=COPY_PREFIX)
        check_copy_conditions(conditions, stored)

        def recheck(found: StoredVersion) -> None:
            require_own(exchange, found.bucket)
            check_copy_conditions(conditions, found)

        copied = self._copier.copy(
            CopyOrder(
                source=stored,
                source_version_id=source.version_id,
                bucket=exchange.bucket,
                key=exchange.key,
                account_id=exchange.identity.account_id,
                headers=read_object_headers(headers) if replaces else None,
                tags=tags,
                checksum_algorithm=read_algorithm(headers, "x-amz-checksum-algorithm"),
                if_none_match=target_conditions.if_none_match,
                if_match_etag=target_conditions.if_match_etag,
                recheck=recheck,
            )
        )
        document = xml_out.copy_result(
            etag=copied.etag, modified_at_us=copied.created_at_us, checksums=copied.checksums
        )
        answer_xml(resp, document)
        tell_version_id(resp, copied.published.shown_version_id)
        if stored.bucket.versioning is not Versioning.OFF:
            resp.set_header("x-amz-copy-source-version-id", stored.version.version_id)


def find_source(reader: Reader, source: CopySource) -> StoredVersion:
    """What is to be copied; raises InvalidRequest for a delete marker by its id, and what `Reader.find` raises."""
    try:
        return reader.find(source.bucket, source.key, source.version_id)
    except IsDeleteMarker as error:
        raise InvalidRequest(
            "The source of a copy request may not specifically refer to a delete marker by version id."
        ) from error


def check_copy_conditions(conditions: ReadConditions, stored: StoredVersion) -> None:
    """As on reads, but what would be 304 is 412 here; raises PreconditionFailed."""
    conditions.require(stored.version.etag, stored.version.created_at_us)
