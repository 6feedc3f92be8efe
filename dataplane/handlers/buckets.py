"""ListBuckets, CreateBucket, HeadBucket, DeleteBucket, GetBucketLocation."""

from http import HTTPStatus

from falcon import Response

from dataplane.exchange import Exchange
from dataplane.handlers.answers import answer_xml
from dataplane.s3 import documents
from dataplane.s3.faults import AccessDenied, NotImplementedYet
from dataplane.s3.xml_in import BODY_BYTES_MAX, read_location
from engine.objects.buckets import Buckets


class BucketHandlers:
    """Buckets belong to the account of whoever made them; other accounts are refused."""

    def __init__(self, buckets: Buckets, region: str) -> None:
        self._buckets = buckets
        self._region = region

    def list_buckets(self, exchange: Exchange, resp: Response) -> None:
        """Buckets of the caller's account, those it is limited to if it is."""
        limited = exchange.identity.buckets
        found = self._buckets.list(exchange.identity.account_id)
        shown = [each for each in found if limited is None or each.name in limited]
        answer_xml(resp, documents.list_buckets(shown, account=exchange.identity.account))

    def create_bucket(self, exchange: Exchange, resp: Response) -> None:
        if exchange.headers.get("x-amz-bucket-object-lock-enabled", "false").lower() == "true":
            raise NotImplementedYet("object lock is not implemented")
        body = exchange.read_document(BODY_BYTES_MAX) if exchange.raw_body.size_bytes else b""
        read_location(body, self._region)
        self._buckets.create(exchange.bucket, exchange.identity.account_id)
        resp.status = HTTPStatus.OK
        resp.set_header("Location", f"/{exchange.bucket}")

    def head_bucket(self, exchange: Exchange, resp: Response) -> None:
        self._own(exchange)
        resp.status = HTTPStatus.OK
        resp.content_type = "application/xml"
        resp.set_header("x-amz-bucket-region", self._region)

    def delete_bucket(self, exchange: Exchange, resp: Response) -> None:
        self._own(exchange)
        self._buckets.delete(exchange.bucket)
        resp.status = HTTPStatus.NO_CONTENT

    def get_bucket_location(self, exchange: Exchange, resp: Response) -> None:
        self._own(exchange)
        answer_xml(resp, documents.bucket_location(self._region))

    def _own(self, exchange: Exchange) -> None:
        if self._buckets.get(exchange.bucket).account_id != exchange.identity.account_id:
            raise AccessDenied("the bucket belongs to another account")
