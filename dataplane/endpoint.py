"""The S3 endpoint, whatever the path: admit, authenticate, route, authorise, handle, and turn errors into S3's."""

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from falcon import Request, Response

from dataplane.auth.entrance import enter
from dataplane.auth.sigv4 import Authenticator
from dataplane.exchange import Exchange
from dataplane.handlers.table import Handler
from dataplane.middleware.admission import Admission, Flow
from dataplane.middleware.cross_origin import CrossOrigin
from dataplane.middleware.rate_limits import RateLimits
from dataplane.middleware.read_only import ReadOnlySwitch
from dataplane.passage import Ledger, Passage, RequestIds
from dataplane.server.contract import HandOn, Lane
from dataplane.server.errors import BodyError, BodyTooSlow, IncompleteBody
from dataplane.wire.cors import ORIGIN_FIELD
from dataplane.wire.faults import Refusal, error_document, refusal_of
from dataplane.wire.fields import gather_fields
from dataplane.wire.forwarded import TrustedProxies
from dataplane.wire.hosts import HostedBuckets
from dataplane.wire.refusals import S3Fault, WireError
from dataplane.wire.target import parse_target
from engine.errors import EngineError, InvalidBucketName
from engine.streams import Region, RegionSource, WouldBlock, region_bytes

STREAM_MEMORY_BYTES = 1024 * 1024
"""What a streamed body is counted as: blocks on their way to several backends."""

PREFLIGHT = "Preflight"
"""What OPTIONS is counted and logged as; it is no operation of S3's, and nobody signs it."""

_ORIGIN_KEY = "penstock.origin"
_ON_LOOP = (Lane.INLINE, Lane.PARKING)
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_BODY_FAULTS: Mapping[type[BodyError], S3Fault] = {
    IncompleteBody: S3Fault("IncompleteBody", HTTPStatus.BAD_REQUEST),
    BodyTooSlow: S3Fault("RequestTimeout", HTTPStatus.BAD_REQUEST),
}
_MALFORMED_BODY = S3Fault("InvalidRequest", HTTPStatus.BAD_REQUEST)

_log = logging.getLogger("penstock.endpoint")


class Endpoint:
    """Takes every request of the S3 port that is not about health. Safe for many threads."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        cross_origin: CrossOrigin,
        handlers: Mapping[str, Handler],
        admission: Admission,
        ledger: Ledger,
        rate_limits: RateLimits,
        read_only: ReadOnlySwitch,
        proxies: TrustedProxies,
        hosts: HostedBuckets,
        held_bytes_max: int,
        request_ids: RequestIds,
        host_id: str,
        note_use: Callable[[str], None],
    ) -> None:
        """Bodies up to `held_bytes_max` are counted whole against the memory for bodies in flight.

        `note_use` gets the id of every access key whose signature was verified.
        """
        self._authenticator = authenticator
        self._cross_origin = cross_origin
        self._handlers = handlers
        self._admission = admission
        self._ledger = ledger
        self._rate_limits = rate_limits
        self._read_only = read_only
        self._proxies = proxies
        self._hosts = hosts
        self._held_bytes_max = held_bytes_max
        self._host_id = host_id
        self._request_ids = request_ids
        self._note_use = note_use

    def serve(self, req: Request, resp: Response) -> None:
        """Raises HandOn, with nothing read and nothing answered, when the loop may not run this to its end."""
        environ = req.env
        passage = Passage(self._ledger, self._request_ids.next(), environ)
        try:
            self._pass(environ, resp, passage)
        except HandOn:
            passage.release()
            # It comes again on a thread, and is still one request.
            self._rate_limits.give_back(address=passage.peer, access_key_id=passage.access_key_id)
            raise
        except Exception as error:
            self._refuse(environ, resp, passage, error)
        origin = environ.get(_ORIGIN_KEY)
        if origin is not None:
            self._cross_origin.describe(passage.target, environ["REQUEST_METHOD"], origin, resp)
        resp.set_headers((("x-amz-request-id", passage.request_id), ("x-amz-id-2", self._host_id)))
        environ["penstock.ended"] = passage.ended

    def names_bucket(self, environ: dict[str, Any]) -> bool:
        """Whether the request's host is a bucket's: then no path is anything but a key."""
        hosts = [value.decode("latin-1") for name, value in environ["penstock.headers"] if name == b"host"]
        try:
            return any(self._hosts.bucket_of(host) is not None for host in hosts)
        except InvalidBucketName:
            return True

    def refuse(self, code: str, status: int, message: str) -> tuple[list[tuple[str, str]], bytes]:
        """What the server itself refuses: a head or a body that is no HTTP, or a pool that is full."""
        request_id = self._request_ids.next()
        self._ledger.count_refusal(status)
        fault = S3Fault(code, HTTPStatus(status))
        document = error_document(
            Refusal(fault=fault, message=message), resource="", request_id=request_id, host_id=self._host_id
        )
        headers = [
            ("Content-Type", "application/xml"),
            ("x-amz-request-id", request_id),
            ("x-amz-id-2", self._host_id),
        ]
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers.append(("Retry-After", "1"))
        return headers, document

    def _pass(self, environ: dict[str, Any], resp: Response, passage: Passage) -> None:
        method: str = environ["REQUEST_METHOD"]
        is_on_loop = environ["penstock.lane"] in _ON_LOOP
        passage.ticket = self._admission.admit(
            Flow.READ if method in _READS else Flow.WRITE,
            memory_bytes=self._memory_bytes(environ),
            may_wait=not is_on_loop,
        )
        fields = gather_fields(environ["penstock.headers"])
        passage.peer = self._proxies.client_of(passage.peer, fields.get("x-forwarded-for"))
        self._rate_limits.pass_address(passage.peer)
        passage.user_agent = fields.get("user-agent", "")[:256]
        hosted = self._hosts.bucket_of(fields.get("host", ""))
        target = passage.target = parse_target(environ["penstock.target"], hosted)
        if ORIGIN_FIELD in fields:
            environ[_ORIGIN_KEY] = fields[ORIGIN_FIELD]
        if method == "OPTIONS":
            passage.operation = PREFLIGHT
            self._cross_origin.answer_preflight(target, fields, resp)
            return
        entry = enter(method, target, fields, environ["wsgi.input"], self._authenticator)
        passage.target = entry.target
        passage.operation = entry.operation.name
        passage.access_key_id = entry.caller.access_key_id
        passage.account_id = entry.caller.identity.account_id
        self._note_use(passage.access_key_id)
        self._rate_limits.pass_credential(passage.access_key_id)
        if method not in _READS:
            self._read_only.require_off()
        exchange = Exchange(
            environ=environ,
            request_id=passage.request_id,
            target=entry.target,
            operation=entry.operation,
            caller=entry.caller,
            form=entry.form,
            policy=entry.policy,
        )
        self._handlers[entry.operation.name](exchange, resp)
        source: Any = resp.stream
        if source is not None:
            resp.stream = _begun(source, nowait=is_on_loop)  # type: ignore[assignment]

    def _memory_bytes(self, environ: dict[str, Any]) -> int:
        text: str | None = environ.get("CONTENT_LENGTH")
        if text is None:
            # What comes in chunks of HTTP says its length nowhere the server trusts, and may be held whole.
            is_chunked = environ["REQUEST_METHOD"] not in _READS and any(
                name == b"transfer-encoding" for name, _ in environ["penstock.headers"]
            )
            return max(self._held_bytes_max, STREAM_MEMORY_BYTES) if is_chunked else 0
        size_bytes = int(text)
        return size_bytes if size_bytes <= self._held_bytes_max else STREAM_MEMORY_BYTES

    def _refuse(self, environ: dict[str, Any], resp: Response, passage: Passage, error: Exception) -> None:
        refusal = _refusal(error)
        status = refusal.fault.status
        if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            is_known = isinstance(error, WireError | EngineError)
            _log.error(
                "request.failed",
                exc_info=None if is_known else error,
                extra={
                    "request_id": passage.request_id,
                    "operation": passage.operation,
                    "problem": str(error),
                },
            )
        passage.code = refusal.fault.code
        for name in list(resp.headers):
            resp.delete_header(name)
        resp.stream = None
        resp.status = status
        resp.content_type = "application/xml"
        for name, value in refusal.headers.items():
            resp.set_header(name, value)
        resource = environ["penstock.target"].partition(b"?")[0].decode("latin-1")
        resp.data = error_document(
            refusal,
            resource=resource,
            request_id=passage.request_id,
            host_id=self._host_id,
            with_body=environ["REQUEST_METHOD"] != "HEAD",
        )


class _Begun:
    """A region source whose first region is at hand: what is wrong with a body shows while an error can be answered."""

    def __init__(self, first: Region, source: RegionSource) -> None:
        self._first: Region | None = first
        self._source = source
        self.close = source.close
        self.unsent = source.unsent

    @property
    def remaining_bytes(self) -> int:
        first = self._first
        held = 0 if first is None else region_bytes(first)
        return held + self._source.remaining_bytes

    def next_region(self, *, nowait: bool = False) -> Region | None:
        first, self._first = self._first, None
        return self._source.next_region(nowait=nowait) if first is None else first


def _begun(source: RegionSource, *, nowait: bool) -> _Begun:
    try:
        first = source.next_region(nowait=nowait)
    except WouldBlock:
        source.close()
        raise HandOn(Lane.STREAMING) from None
    except BaseException:
        source.close()
        raise
    assert first is not None, "handlers open no empty span"
    return _Begun(first, source)


def _refusal(error: Exception) -> Refusal:
    if isinstance(error, BodyError):
        return Refusal(fault=_BODY_FAULTS.get(type(error), _MALFORMED_BODY), message=str(error))
    return refusal_of(error)
