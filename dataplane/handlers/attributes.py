"""GetObjectAttributes: what is known of a version, without its bytes and its metadata."""

from falcon import Response

from dataplane.exchange import Exchange
from dataplane.handlers.answers import answer_xml, tell_version_id
from dataplane.handlers.ownership import require_own
from dataplane.wire import xml_out
from dataplane.wire.attributes import read_attributes_query
from dataplane.wire.parameters import read_version_id
from dataplane.wire.times import http_date
from engine.objects.parts import Parts
from engine.objects.read import Reader
from engine.records import Versioning


class AttributesHandlers:
    """Answers from metadata alone."""

    def __init__(self, reader: Reader, parts: Parts) -> None:
        self._reader = reader
        self._parts = parts

    def get_object_attributes(self, exchange: Exchange, resp: Response) -> None:
        query = read_attributes_query(exchange.headers)
        version_id = read_version_id(exchange.target.get("versionId"))
        stored = self._reader.find(exchange.bucket, exchange.key, version_id)
        require_own(exchange, stored.bucket)
        version = stored.version
        page = None
        if "ObjectParts" in query.names and version.part_count is not None:
            page = self._parts.page(stored, after=query.after, count_max=query.limit)
        answer_xml(resp, xml_out.object_attributes(version, page, query))
        resp.set_header("Last-Modified", http_date(version.created_at_us // 1_000_000))
        if stored.bucket.versioning is not Versioning.OFF:
            tell_version_id(resp, version.version_id)
