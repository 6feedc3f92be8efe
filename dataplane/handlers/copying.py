"""CopyObject: by metadata where it can be, by streaming where it must."""

from collections.abc import Mapping

from falcon import Response

from dataplane.exchange import Exchange
from dataplane.handlers.answers import answer_xml
from dataplane.s3 import documents
from dataplane.s3.conditions import check_read_conditions
from dataplane.s3.copy_source import read_copy_source
from dataplane.s3.faults import AccessDenied, InvalidArgument, InvalidRequest, NotImplementedYet
from dataplane.s3.headers import read_algorithm, read_object_headers
from engine.errors import NoSuchVersion, PreconditionFailed
from engine.objects.copy import Copier, CopyOrder
from engine.objects.read import Reader
from engine.records import NULL_VERSION_ID, StoredVersion

_DIRECTIVES = ("COPY", "REPLACE")
_CONDITION_PREFIX = "x-amz-copy-source-"


class CopyHandlers:
    """Copies within what the caller may read and write."""

    def __init__(self, reader: Reader, copier: Copier) -> None:
        self._reader = reader
        self._copier = copier

    def copy_object(self, exchange: Exchange, resp: Response) -> None:
        headers = exchange.headers
        source = read_copy_source(headers["x-amz-copy-source"])
        limited = exchange.identity.buckets
        if limited is not None and source.bucket not in limited:
            raise AccessDenied("the credentials are limited to other buckets than the source's")
        if source.version_id not in (None, NULL_VERSION_ID):
            raise NoSuchVersion(bucket=source.bucket, key=source.key, version_id=str(source.version_id))
        directive = headers.get("x-amz-metadata-directive", "COPY")
        if directive not in _DIRECTIVES:
            raise InvalidArgument("Unknown metadata directive.", ArgumentName="x-amz-metadata-directive")
        if "if-match" in headers or "if-none-match" in headers:
            raise NotImplementedYet("conditions on the target of a copy are not implemented")
        is_itself = (source.bucket, source.key) == (exchange.bucket, exchange.key)
        if is_itself and directive == "COPY":
            raise InvalidRequest(
                "This copy request is illegal because it is trying to copy an object to itself without changing the "
                "object's metadata, storage class, website redirect location or encryption attributes."
            )
        algorithm = headers.get("x-amz-checksum-algorithm")
        stored = self._reader.find(source.bucket, source.key)
        self._check_owner(exchange, stored)
        conditions = {
            name.removeprefix(_CONDITION_PREFIX): value
            for name, value in headers.items()
            if name.startswith(_CONDITION_PREFIX + "if-")
        }
        check_copy_conditions(conditions, stored)
        copied = self._copier.copy(
            CopyOrder(
                source=stored,
                bucket=exchange.bucket,
                key=exchange.key,
                account_id=exchange.identity.account_id,
                headers=read_object_headers(headers) if directive == "REPLACE" else None,
                checksum_algorithm=None if algorithm is None else read_algorithm(algorithm),
                recheck=lambda found: check_copy_conditions(conditions, found),
            )
        )
        document = documents.copy_result(
            etag=copied.etag, modified_us=copied.created_at_us, checksums=copied.checksums
        )
        answer_xml(resp, document)

    def _check_owner(self, exchange: Exchange, stored: StoredVersion) -> None:
        if stored.bucket.account_id != exchange.identity.account_id:
            raise AccessDenied("the source's bucket belongs to another account")


def check_copy_conditions(conditions: Mapping[str, str], stored: StoredVersion) -> None:
    """As on reads, but what would be 304 is 412 here."""
    version = stored.version
    if conditions and not check_read_conditions(
        conditions, etag=version.etag, modified_us=version.created_at_us
    ):
        raise PreconditionFailed(condition="x-amz-copy-source-If-None-Match")
