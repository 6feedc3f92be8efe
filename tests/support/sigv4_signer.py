"""A second, plain implementation of Signature Version 4, for requests that no SDK would sign."""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from dataplane.auth.sigv4 import SignedRequest
from dataplane.wire.fields import gather_fields
from dataplane.wire.target import parse_target

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Signs as the key it names; every part of the scope can be made wrong."""

    access_key_id: str = "AKIDEXAMPLE"
    secret: str = "correct horse battery staple"
    region: str = "us-east-1"
    service: str = "s3"
    terminator: str = "aws4_request"
    amz_date: str = "20261124T120000Z"

    @property
    def day(self) -> str:
        return self.amz_date[:8]

    @property
    def scope(self) -> str:
        return f"{self.day}/{self.region}/{self.service}/{self.terminator}"

    @property
    def key(self) -> bytes:
        key = f"AWS4{self.secret}".encode()
        for part in (self.day, self.region, self.service, self.terminator):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key

    def signature(
        self, *, method: str, target: str, headers: Pairs, signed: Sequence[str], payload: str
    ) -> str:
        path, _, query = target.partition("?")
        lines = ""
        for name in signed:
            values = [re.sub("[ \t]+", " ", v.strip(" \t")) for n, v in headers if n.lower() == name]
            lines += f"{name}:{','.join(values)}\n"
        canonical = "\n".join(
            [method, path, canonical_query(query), lines, ";".join(signed), payload]
        ).encode("latin-1")
        text = "\n".join(
            ["AWS4-HMAC-SHA256", self.amz_date, self.scope, hashlib.sha256(canonical).hexdigest()]
        )
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()

    def authorization(self, signature: str, signed: Sequence[str]) -> str:
        return (
            f"AWS4-HMAC-SHA256 Credential={self.access_key_id}/{self.scope}, "
            f"SignedHeaders={';'.join(signed)}, Signature={signature}"
        )

    def headers(
        self,
        method: str = "GET",
        target: str = "/bucket/key",
        extra: Pairs = (),
        *,
        payload: str | None = EMPTY_SHA256,
        unsigned: Sequence[str] = (),
        dated: bool = True,
    ) -> list[tuple[str, str]]:
        """All headers of a request signed in its header; those named in `unsigned` are left out of the signature."""
        pairs = [("host", "localhost:9000"), *extra]
        if dated:
            pairs.append(("x-amz-date", self.amz_date))
        if payload is not None:
            pairs.append(("x-amz-content-sha256", payload))
        signed = sorted({name.lower() for name, _ in pairs} - set(unsigned))
        signature = self.signature(
            method=method, target=target, headers=pairs, signed=signed, payload=payload or EMPTY_SHA256
        )
        return [*pairs, ("authorization", self.authorization(signature, signed))]

    def presigned(
        self,
        method: str = "GET",
        target: str = "/bucket/key",
        headers: Pairs = (("host", "localhost:9000"),),
        *,
        expires: str = "3600",
        payload: str = "UNSIGNED-PAYLOAD",
    ) -> str:
        """The target of a presigned URL."""
        signed = sorted(name.lower() for name, _ in headers)
        parameters = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{self.access_key_id}/{self.scope}",
            "X-Amz-Date": self.amz_date,
            "X-Amz-Expires": expires,
            "X-Amz-SignedHeaders": ";".join(signed),
        }
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
        whole = target + ("&" if "?" in target else "?") + query
        signature = self.signature(
            method=method, target=whole, headers=headers, signed=signed, payload=payload
        )
        return f"{whole}&X-Amz-Signature={signature}"


def canonical_query(query: str) -> str:
    """By the book: decode as forms are, encode, sort."""
    pairs = parse_qsl(query, keep_blank_values=True)
    return "&".join(f"{n}={v}" for n, v in sorted((quote(n, safe="~"), quote(v, safe="~")) for n, v in pairs))


def request(method: str, target: str, headers: Pairs) -> SignedRequest:
    """What the server makes of a request's head."""
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return SignedRequest(
        method=method, target=parse_target(target.encode("latin-1")), headers=gather_fields(pairs)
    )
