"""ListObjects and ListObjectsV2: one page in byte order."""

import base64
import binascii

from falcon import Response

from dataplane.exchange import Exchange
from dataplane.handlers.answers import answer_xml, read_count, read_encoding
from dataplane.s3 import documents
from dataplane.s3.documents import ListingRequest
from dataplane.s3.faults import InvalidArgument
from engine.objects.listings import Listings


class ListingHandlers:
    """Both versions of the listing say the same in different words."""

    def __init__(self, listings: Listings) -> None:
        self._listings = listings

    def list_objects(self, exchange: Exchange, resp: Response) -> None:
        request = read_listing(exchange, "max-keys")
        marker = (exchange.target.get("marker") or "").encode("utf-8")
        page = self._listings.page(
            exchange.bucket, request.prefix, request.delimiter, marker, request.max_keys
        )
        document = documents.list_objects(page, request, marker=marker, owner=exchange.identity.account)
        answer_xml(resp, document)

    def list_objects_v2(self, exchange: Exchange, resp: Response) -> None:
        request = read_listing(exchange, "max-keys")
        target = exchange.target
        token = target.get("continuation-token")
        start_after = (target.get("start-after") or "").encode("utf-8")
        after = start_after if token is None else read_token(token)
        page = self._listings.page(
            exchange.bucket, request.prefix, request.delimiter, after, request.max_keys
        )
        document = documents.list_objects_v2(
            page,
            request,
            token=token,
            next_token=None if page.next_after is None else write_token(page.next_after),
            start_after=start_after,
            owner=exchange.identity.account if target.get("fetch-owner") == "true" else None,
        )
        answer_xml(resp, document)


def read_listing(exchange: Exchange, count_name: str) -> ListingRequest:
    """The parameters all listings share."""
    target = exchange.target
    return ListingRequest(
        bucket=exchange.bucket,
        prefix=(target.get("prefix") or "").encode("utf-8"),
        delimiter=(target.get("delimiter") or "").encode("utf-8"),
        max_keys=read_count(target, count_name),
        url_encoded=read_encoding(target),
    )


def write_token(after: bytes) -> str:
    """An opaque token: where the next page begins."""
    return base64.urlsafe_b64encode(b"1" + after).decode("ascii")


def read_token(token: str) -> bytes:
    """Raises InvalidArgument for what was never a token of ours."""
    try:
        raw = base64.urlsafe_b64decode(token.encode("ascii"))
    except (binascii.Error, ValueError) as error:
        raise InvalidArgument("The continuation token provided is incorrect") from error
    if not raw.startswith(b"1"):
        raise InvalidArgument("The continuation token provided is incorrect")
    return raw[1:]
