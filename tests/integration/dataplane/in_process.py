"""A boto3 client whose requests are handed to the handlers as the bytes that would go over the wire."""

import io
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from falcon import Response

from dataplane.auth.entrance import enter
from dataplane.auth.identity import Credential, Identity, Role
from dataplane.auth.signing_keys import SigningKeys
from dataplane.auth.sigv4 import Authenticator
from dataplane.exchange import Exchange
from dataplane.handlers.table import handler_table
from dataplane.server.contract import Lane
from dataplane.wire.faults import error_document, refusal_of
from dataplane.wire.fields import gather_fields
from dataplane.wire.refusals import WireError
from dataplane.wire.target import parse_target
from engine.clock import SystemClock
from engine.errors import EngineError
from tests.support.bodies import regions_of
from tests.support.objects import ObjectRig
from tests.support.wire_bodies import BytesBody

REGION = "us-east-1"
ENDPOINT = "http://storage.test:9000"
ACCESS_KEY_ID, SECRET = "AKIDEXAMPLE", "a secret of many letters"


class InProcess:
    """Takes requests as bytes and answers as a server would, errors included."""

    def __init__(self, rig: ObjectRig, role: Role = Role.SUPERUSER, *, account_id: int | None = None) -> None:
        identity = Identity(name="alice", account_id=account_id or rig.account_id, account="main", role=role)
        known = Credential(access_key_id=ACCESS_KEY_ID, secret=SECRET, identity=identity)
        self._authenticator = Authenticator(
            {ACCESS_KEY_ID: known}.get,
            region=REGION,
            now_us=SystemClock().now_us,
            signing_keys=SigningKeys(),
        )
        self._handlers = handler_table(rig.objects, region=REGION)
        self.requests: list[tuple[str, str]] = []

    def client(self, **options: Any) -> Any:
        """A boto3 client with its defaults, path style."""
        made = boto3.client(
            "s3",
            endpoint_url=ENDPOINT,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY_ID,
            aws_secret_access_key=SECRET,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, **options),
        )
        made.meta.events.register("before-send.s3", self._send)
        return made

    def _send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        parts = urlsplit(request.url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        body = request.body or b""
        raw = body if isinstance(body, bytes | bytearray) else body.read()
        named = {"host": parts.netloc}
        for name, value in request.headers.items():
            named[name.lower()] = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        headers = list(named.items())
        status, answered, content = self.answer(request.method, target, headers, bytes(raw))
        return AWSResponse(request.url, status, answered, _Raw(content))

    def answer(
        self, method: str, target: str, headers: list[tuple[str, str]], body: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer to one request."""
        self.requests.append((method, target))
        try:
            fields = gather_fields((n.encode("latin-1"), v.encode("latin-1")) for n, v in headers)
            raw = BytesBody(body, piece_sizes=(1000, 7))
            entry = enter(method, parse_target(target.encode("latin-1")), fields, raw, self._authenticator)
            exchange = Exchange(
                environ={"wsgi.input": raw, "wsgi.url_scheme": "http", "penstock.lane": Lane.SHORT},
                request_id="R",
                target=entry.target,
                operation=entry.operation,
                caller=entry.caller,
                form=entry.form,
                policy=entry.policy,
            )
            resp = Response()
            self._handlers[entry.operation.name](exchange, resp)
        except (WireError, EngineError) as error:
            refusal = refusal_of(error)
            document = error_document(
                refusal, resource=target, request_id="R", host_id="H", with_body=method != "HEAD"
            )
            return int(refusal.fault.status), dict(refusal.headers), document
        content = resp.data or b""
        if resp.stream is not None:
            content = b"".join(regions_of(resp.stream))  # type: ignore[arg-type]
        return resp.status_code, {str(n): str(v) for n, v in resp.headers.items()}, content


def refused(call: Any, **arguments: Any) -> tuple[str, int]:
    """Code and status of the error that a call of boto3 ends with."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]


class _Raw(io.BytesIO):
    """What botocore reads an answer's body from."""

    def stream(self, amount: int = 65536, **_: Any) -> Any:
        while piece := self.read(amount):
            yield piece
