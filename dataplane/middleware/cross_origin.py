"""Browsers of other origins: preflights, which nobody signs, and what is added to the answers of actual requests."""

from http import HTTPStatus

from falcon import Response

from dataplane.wire.cors import actual_headers, preflight_headers, read_preflight
from dataplane.wire.refusals import AccessForbidden
from dataplane.wire.target import Target
from engine.cors import CorsRule, parse_rules
from engine.errors import EngineError, NoSuchBucket
from engine.names import BucketName
from engine.objects.bucket_documents import BucketDocuments
from engine.records import DocumentKind


class CrossOrigin:
    """Without a configuration of the bucket's nothing is said to other origins, and browsers keep answers from them."""

    def __init__(self, documents: BucketDocuments) -> None:
        self._documents = documents

    def answer_preflight(self, target: Target, fields: dict[str, str], resp: Response) -> None:
        """OPTIONS: what the bucket's rules let in. Raises BadRequest, and AccessForbidden when they let in nothing.

        Strangers ask here: a bucket that is not there answers like one without rules.
        """
        asked = read_preflight(fields)
        rules = self._rules(target.bucket) if target.bucket is not None else None
        if rules is None:
            raise AccessForbidden("CORSResponse: CORS is not enabled for this bucket.")
        told = preflight_headers(rules, asked)
        if told is None:
            raise AccessForbidden(
                "CORSResponse: This CORS request is not allowed. This is usually because the evaluation of Origin, "
                "request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted "
                "by the resource's CORS spec."
            )
        resp.status = HTTPStatus.OK
        for name, value in told:
            resp.set_header(name, value)

    def describe(self, target: Target | None, method: str, origin: str, resp: Response) -> None:
        """Tell the browser who sent an actual request whether its page may see the answer, be it an error."""
        if target is None or target.bucket is None or method == "OPTIONS":
            return
        try:
            rules = self._rules(target.bucket)
        except EngineError:
            # The answer stands, whatever it is; a browser that is told nothing keeps it from the page.
            return
        if rules is not None:
            for name, value in actual_headers(rules, origin, method):
                resp.set_header(name, value)

    def _rules(self, bucket: BucketName) -> tuple[CorsRule, ...] | None:
        try:
            document = self._documents.find_remembered(bucket, DocumentKind.CORS)
        except NoSuchBucket:
            return None
        return None if document is None else parse_rules(document)
