"""Tagging, CORS, ownership controls and the public access block of buckets: put, get, delete."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from falcon import Response

from dataplane.exchange import Exchange
from dataplane.handlers.answers import answer_xml
from dataplane.wire.cors_documents import (
    CORS_BYTES_MAX,
    cors_configuration,
    read_cors,
)
from dataplane.wire.refusals import NotConfigured
from dataplane.wire.standing_documents import (
    OWNERSHIP_CONTROLS,
    PUBLIC_ACCESS_BLOCK,
    require_enforced_ownership,
    require_full_block,
)
from dataplane.wire.tagging import read_tagging, tagging
from dataplane.wire.xml_in import DOCUMENT_BYTES_MAX
from engine.cors import parse_rules, write_rules
from engine.objects.bucket_documents import BucketDocuments
from engine.records import DocumentKind
from engine.tags import BUCKET_TAG_COUNT_MAX, parse_tags, write_tags


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentForm:
    """A document on the wire: `read` makes its canonical form of what clients send, `write` what they get of that."""

    kind: DocumentKind
    read: Callable[[bytes], str]
    write: Callable[[str], bytes]
    missing_code: str
    missing_message: str
    put_status: HTTPStatus = HTTPStatus.OK
    bytes_max: int = DOCUMENT_BYTES_MAX


def _read_block(raw: bytes) -> str:
    require_full_block(raw)
    return "all"


def _read_ownership(raw: bytes) -> str:
    require_enforced_ownership(raw)
    return "BucketOwnerEnforced"


TAGGING = DocumentForm(
    kind=DocumentKind.TAGGING,
    read=lambda raw: write_tags(read_tagging(raw, count_max=BUCKET_TAG_COUNT_MAX)),
    write=lambda document: tagging(parse_tags(document)),
    missing_code="NoSuchTagSet",
    missing_message="The TagSet does not exist",
    put_status=HTTPStatus.NO_CONTENT,
)
CORS = DocumentForm(
    kind=DocumentKind.CORS,
    read=lambda raw: write_rules(read_cors(raw)),
    write=lambda document: cors_configuration(parse_rules(document)),
    missing_code="NoSuchCORSConfiguration",
    missing_message="The CORS configuration does not exist",
    bytes_max=CORS_BYTES_MAX,
)
OWNERSHIP = DocumentForm(
    kind=DocumentKind.OWNERSHIP,
    read=_read_ownership,
    write=lambda _: OWNERSHIP_CONTROLS,
    missing_code="OwnershipControlsNotFoundError",
    missing_message="The bucket ownership controls were not found",
)
PUBLIC_ACCESS = DocumentForm(
    kind=DocumentKind.PUBLIC_ACCESS,
    read=_read_block,
    write=lambda _: PUBLIC_ACCESS_BLOCK,
    missing_code="NoSuchPublicAccessBlockConfiguration",
    missing_message="The public access block configuration was not found",
)


class BucketDocumentHandlers:
    """The three verbs of one form of document."""

    def __init__(self, documents: BucketDocuments, form: DocumentForm) -> None:
        self._documents = documents
        self._form = form

    def get(self, exchange: Exchange, resp: Response) -> None:
        """Raises NotConfigured, under the document's own code, where none was put."""
        document = self._documents.find(exchange.bucket, self._form.kind)
        if document is None:
            raise NotConfigured(self._form.missing_code, self._form.missing_message)
        answer_xml(resp, self._form.write(document))

    def put(self, exchange: Exchange, resp: Response) -> None:
        document = self._form.read(exchange.read_document(max_bytes=self._form.bytes_max))
        account_id = exchange.identity.account_id
        self._documents.put(exchange.bucket, self._form.kind, document, account_id)
        resp.status = self._form.put_status
        resp.content_type = None

    def delete(self, exchange: Exchange, resp: Response) -> None:
        """Harmless where none was put."""
        self._documents.delete(exchange.bucket, self._form.kind, exchange.identity.account_id)
        resp.status = HTTPStatus.NO_CONTENT
