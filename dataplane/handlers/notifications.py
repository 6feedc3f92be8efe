"""Notification configurations of buckets. There is no delete: an empty document takes all rules away."""

from collections.abc import Collection
from http import HTTPStatus

from falcon import Response

from dataplane.exchange import Exchange
from dataplane.handlers.answers import answer_xml
from dataplane.wire.notification_documents import notification_configuration, read_notifications
from engine.notifications.rules import parse_rules, write_rules
from engine.objects.bucket_documents import BucketDocuments
from engine.records import DocumentKind


class NotificationHandlers:
    """`targets` are those of the generation that requests run on."""

    def __init__(self, documents: BucketDocuments, targets: Collection[str]) -> None:
        self._documents = documents
        self._targets = targets

    def get(self, exchange: Exchange, resp: Response) -> None:
        """An empty document where none was put."""
        document = self._documents.find(exchange.bucket, DocumentKind.NOTIFICATION)
        answer_xml(resp, notification_configuration(() if document is None else parse_rules(document)))

    def put(self, exchange: Exchange, resp: Response) -> None:
        rules = read_notifications(exchange.read_document(), self._targets)
        account_id = exchange.identity.account_id
        if rules:
            self._documents.put(exchange.bucket, DocumentKind.NOTIFICATION, write_rules(rules), account_id)
        else:
            self._documents.delete(exchange.bucket, DocumentKind.NOTIFICATION, account_id)
        resp.status = HTTPStatus.OK
        resp.content_type = None
