"""Presigned URLs (S3 API, authenticating requests: query parameters, Signature Version 4). Pure."""

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

from engine.errors import MalformedField

EXPIRES_S_MAX = 7 * 24 * 3600

_ALGORITHM = "AWS4-HMAC-SHA256"
_ENDPOINT = re.compile(
    r"(https?)://([A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?/?"
)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where clients reach the S3 endpoint. `host` is as in a Host header: without the scheme's own port."""

    scheme: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Presigning:
    """What a URL is to allow, and who signs."""

    method: str
    endpoint: Endpoint
    bucket: str
    key: bytes
    version_id: str
    region: str
    access_key_id: str
    secret: str = field(repr=False)
    now_s: int
    expires_s: int


def read_endpoint(text: str) -> Endpoint:
    """Raises MalformedField."""
    match = _ENDPOINT.fullmatch(text)
    port = int(match[3]) if match is not None and match[3] else None
    if match is None or port == 0 or (port or 1) > 65535:
        raise MalformedField(
            "endpoint", "expected such as `https://s3.example.org` or `http://10.0.0.1:9000`"
        )
    host = match[2].lower()
    return Endpoint(scheme=match[1], host=host if port in (None, _PORTS[match[1]]) else f"{host}:{port}")


def presigned_url(order: Presigning) -> str:
    """The URL, in path style. Nothing but the host is signed among the headers, and no payload is."""
    moment = datetime.fromtimestamp(order.now_s, UTC)
    amz_date = moment.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{amz_date[:8]}/{order.region}/s3/aws4_request"
    parameters = {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{order.access_key_id}/{scope}",
        "X-Amz-Date": amz_date,
        "X-Amz-Expires": str(order.expires_s),
        "X-Amz-SignedHeaders": "host",
    }
    if order.version_id:
        parameters["versionId"] = order.version_id
    # S3 takes the path as it is sent: slashes stand, whatever else is not unreserved is escaped.
    path = f"/{order.bucket}/{quote(order.key, safe='/~')}"
    query = "&".join(
        f"{name}={value}"
        for name, value in sorted((quote(n, safe="~"), quote(v, safe="~")) for n, v in parameters.items())
    )
    canonical = "\n".join(
        [order.method, path, query, f"host:{order.endpoint.host}", "", "host", "UNSIGNED-PAYLOAD"]
    )
    text = "\n".join([_ALGORITHM, amz_date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{order.secret}".encode()
    for part in (amz_date[:8], order.region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return f"{order.endpoint.scheme}://{order.endpoint.host}{path}?{query}&X-Amz-Signature={signature}"
