"""PostObject: an upload by a form, answered as the form asked."""

from dataclasses import replace
from http import HTTPStatus
from urllib.parse import quote

from falcon import Response

from dataplane.exchange import Exchange
from dataplane.handlers.answers import answer_xml, tell_version_id
from dataplane.wire import xml_out
from dataplane.wire.checksums import checksum_headers
from dataplane.wire.headers import quoted, read_object_headers
from dataplane.wire.post_form import PostForm
from dataplane.wire.tagging import read_tagging
from engine.objects.write import PutOrder, Writer
from engine.records import MadeBy
from engine.tags import OBJECT_TAG_COUNT_MAX


class PostHandlers:
    """Stores nothing unless the whole form kept to its policy."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def post_object(self, exchange: Exchange, resp: Response) -> None:
        """The answer comes after bytes and metadata are durable."""
        form, key = exchange.form, exchange.key
        assert form is not None
        order = PutOrder(
            bucket=exchange.bucket,
            key=key,
            account_id=exchange.identity.account_id,
            found=exchange.own_bucket,
            headers=replace(read_object_headers(exchange.headers), tags=_tags(form)),
            made_by=MadeBy.POST,
        )
        written = self._writer.put_open_ended(order, exchange.form_file())
        resp.content_type = None
        redirect = form.redirect(bucket=exchange.bucket, key=key, etag=written.etag)
        if redirect is not None:
            resp.status = HTTPStatus.SEE_OTHER
            resp.set_header("Location", redirect)
            return
        location = _location(exchange)
        resp.status = status = HTTPStatus(form.success_status)
        if status is HTTPStatus.CREATED:
            document = xml_out.post_result(
                location=location, bucket=exchange.bucket, key=key, etag=written.etag
            )
            answer_xml(resp, document, status)
        resp.set_header("Location", location)
        resp.set_header("ETag", quoted(written.etag))
        tell_version_id(resp, written.version.shown_version_id)
        for name, value in checksum_headers(written.checksums):
            resp.set_header(name, value)


def _tags(form: PostForm) -> dict[str, str]:
    """The form's field `tagging` is a document, unlike the header of a PUT."""
    document = form.fields.get("tagging")
    if document is None:
        return {}
    tags = read_tagging(document.encode(), count_max=OBJECT_TAG_COUNT_MAX)
    return {tag.key: tag.value for tag in tags}


def _location(exchange: Exchange) -> str:
    """The object's address as this client reaches it."""
    host, scheme = exchange.headers.get("host", ""), exchange.environ.get("wsgi.url_scheme", "http")
    folder = exchange.target.raw_path.decode("latin-1").rstrip("/")
    return f"{scheme}://{host}{folder}/{quote(exchange.key, safe='/-_.~')}"
