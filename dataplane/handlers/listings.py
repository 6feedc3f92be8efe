"""ListObjects, ListObjectsV2 and ListObjectVersions: one page in byte order."""

from falcon import Response

from dataplane.exchange import Exchange
from dataplane.handlers.answers import answer_xml
from dataplane.wire import xml_out
from dataplane.wire.parameters import ListQuery, read_list_v1, read_list_v2, read_list_versions
from engine.objects.listings import Listings
from engine.records import ListingPage


class ListingHandlers:
    """Both versions of the listing say the same in different words."""

    def __init__(self, listings: Listings) -> None:
        self._listings = listings

    def list_objects(self, exchange: Exchange, resp: Response) -> None:
        query = read_list_v1(exchange.target)
        page = self._page(exchange, query)
        owner = exchange.identity.account
        answer_xml(resp, xml_out.list_objects_v1(page, query, bucket=exchange.bucket, owner=owner))

    def list_objects_v2(self, exchange: Exchange, resp: Response) -> None:
        query = read_list_v2(exchange.target)
        page = self._page(exchange, query)
        owner = exchange.identity.account
        answer_xml(resp, xml_out.list_objects_v2(page, query, bucket=exchange.bucket, owner=owner))

    def list_object_versions(self, exchange: Exchange, resp: Response) -> None:
        """Versions and markers by key, newest first; `null` versions alone where none are kept."""
        query = read_list_versions(exchange.target)
        page = self._listings.history(
            exchange.bucket, query.prefix, query.delimiter, query.position, query.limit
        )
        owner = exchange.identity.account
        answer_xml(resp, xml_out.list_versions(page, query, bucket=exchange.bucket, owner=owner))

    def _page(self, exchange: Exchange, query: ListQuery) -> ListingPage:
        return self._listings.page(exchange.bucket, query.prefix, query.delimiter, query.after, query.limit)
