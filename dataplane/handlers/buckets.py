"""ListBuckets, CreateBucket, HeadBucket, DeleteBucket, GetBucketLocation, Get- and PutBucketVersioning."""

from http import HTTPStatus

from falcon import Response

from dataplane.exchange import Exchange
from dataplane.handlers.answers import answer_xml
from dataplane.wire import xml_out
from dataplane.wire.parameters import read_list_buckets
from dataplane.wire.requests import read_location, read_versioning
from engine.objects.buckets import Buckets


class BucketHandlers:
    """Buckets belong to the account of whoever made them."""

    def __init__(self, buckets: Buckets, region: str) -> None:
        self._buckets = buckets
        self._region = region

    def list_buckets(self, exchange: Exchange, resp: Response) -> None:
        """Buckets of the caller's account, those it is limited to if it is."""
        identity, query = exchange.identity, read_list_buckets(exchange.target)
        prefix, after = query.prefix.decode(), query.after.decode("utf-8", "replace")
        region = exchange.target.get("bucket-region")
        shown = [
            each
            for each in self._buckets.list(identity.account_id)
            if each.name > after
            and each.name.startswith(prefix)
            and identity.sees(each.name)
            and region in (None, self._region)
        ]
        page = shown[: query.limit]
        next_after = page[-1].name.encode() if len(shown) > len(page) else None
        answer_xml(
            resp, xml_out.list_buckets(page, owner=identity.account, query=query, next_after=next_after)
        )

    def create_bucket(self, exchange: Exchange, resp: Response) -> None:
        body = exchange.read_document() if exchange.raw_body.size_bytes else b""
        read_location(body, region=self._region)
        self._buckets.create(exchange.bucket, exchange.identity.account_id)
        resp.status = HTTPStatus.OK
        resp.set_header("Location", f"/{exchange.bucket}")

    def head_bucket(self, exchange: Exchange, resp: Response) -> None:
        resp.status = HTTPStatus.OK
        resp.content_type = "application/xml"
        resp.set_header("x-amz-bucket-region", self._region)

    def delete_bucket(self, exchange: Exchange, resp: Response) -> None:
        self._buckets.delete(exchange.bucket, exchange.identity.account_id)
        resp.status = HTTPStatus.NO_CONTENT

    def get_bucket_versioning(self, exchange: Exchange, resp: Response) -> None:
        """An empty document for a bucket that never kept versions."""
        answer_xml(resp, xml_out.bucket_versioning(self._buckets.get(exchange.bucket).versioning))

    def put_bucket_versioning(self, exchange: Exchange, resp: Response) -> None:
        """Enabled or Suspended; what versions there are stays."""
        versioning = read_versioning(exchange.read_document())
        self._buckets.set_versioning(exchange.bucket, versioning, exchange.identity.account_id)
        resp.status = HTTPStatus.OK
        resp.content_type = None

    def get_bucket_location(self, exchange: Exchange, resp: Response) -> None:
        answer_xml(resp, xml_out.bucket_location(self._region))
