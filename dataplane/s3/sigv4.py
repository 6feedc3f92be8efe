"""Signature Version 4: proves who sent a request, or refuses it (AWS, Authenticating Requests, S3 API reference).

Pure: a request's raw parts in, a proven signature out. Nothing is believed before the whole check has passed.
"""

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote, quote_from_bytes

from dataplane.s3 import faults
from dataplane.s3.target import Target, percent_decoded
from dataplane.s3.times import iso_time, read_amz_date, read_http_date

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "s3"
SKEW_MAX_S = 15 * 60
EXPIRES_MAX_S = 7 * 24 * 3600
SIGNING_KEY_COUNT_MAX = 1024
SIGNATURE_CHARS = 64
_HEX = frozenset("0123456789abcdef")
_UNSIGNED_ALLOWED = frozenset({b"x-amz-cf-id"})


class PayloadKind(Enum):
    """What x-amz-content-sha256 promises about the body; SIGNED stands for a digest in hex."""

    SIGNED = "signed"
    UNSIGNED = "UNSIGNED-PAYLOAD"
    CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    CHUNKS_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
    UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

    @property
    def is_chunked(self) -> bool:
        return self in (PayloadKind.CHUNKS, PayloadKind.CHUNKS_TRAILER, PayloadKind.UNSIGNED_TRAILER)

    @property
    def has_signed_chunks(self) -> bool:
        return self in (PayloadKind.CHUNKS, PayloadKind.CHUNKS_TRAILER)

    @property
    def has_trailer(self) -> bool:
        return self in (PayloadKind.CHUNKS_TRAILER, PayloadKind.UNSIGNED_TRAILER)


_KINDS = {kind.value: kind for kind in PayloadKind if kind is not PayloadKind.SIGNED}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """What a signature covers. `raw_headers` are lower-case names with values as sent; `headers` joins repeats."""

    method: str
    target: Target
    raw_headers: Sequence[tuple[bytes, bytes]]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A signature that was verified. `signing_key`, `scope`, `date` and `signature` seed the chunks' signatures."""

    access_key_id: str
    payload: PayloadKind
    payload_sha256: bytes | None
    signing_key: bytes
    scope: str
    date: str
    signature: str


@dataclass(frozen=True, slots=True)
class _Claim:
    access_key_id: str
    day: str
    region: str
    service: str
    terminator: str
    signed_headers: tuple[str, ...]
    signature: str

    @property
    def scope(self) -> str:
        return f"{self.day}/{self.region}/{self.service}/{self.terminator}"


class SignatureVerifier:
    """Verifies requests of one region. `secret_of` answers a secret, or null for a key that is unknown or off."""

    def __init__(
        self, *, region: str, secret_of: Callable[[str], str | None], now_us: Callable[[], int]
    ) -> None:
        self._region = region
        self._secret_of = secret_of
        self._now_us = now_us
        self._keys: OrderedDict[tuple[str, str, str], bytes] = OrderedDict()

    def verify(self, request: SignedRequest) -> Proof:
        """The proven signature; raises a WireError that says what is wrong with it."""
        authorization = request.headers.get("authorization")
        if authorization is not None:
            if "X-Amz-Algorithm" in request.target or "X-Amz-Signature" in request.target:
                raise faults.InvalidRequest("only one authentication mechanism may be used")
            return self._verify_header(request, authorization)
        if any(name.startswith("X-Amz-") for name, _ in request.target.query):
            return self._verify_query(request)
        if "Signature" in request.target and "AWSAccessKeyId" in request.target:
            raise faults.InvalidRequest("Signature Version 2 is not supported; use AWS4-HMAC-SHA256")
        raise faults.AccessDenied("Access Denied")

    def _verify_header(self, request: SignedRequest, authorization: str) -> Proof:
        claim = _read_authorization(authorization)
        self._check_scope(claim, faults.AuthorizationHeaderMalformed)
        secret = self._secret(claim.access_key_id)
        date, sent_s = _read_date(request.headers)
        if date[:8] != claim.day:
            raise faults.AuthorizationHeaderMalformed("the credential's date is not the request's")
        self._check_skew(sent_s)
        payload, sha256, sha256_text = _read_payload(request.headers.get("x-amz-content-sha256"))
        _check_signed(request, claim.signed_headers)
        return self._check(
            request, claim, secret, date, payload, sha256, sha256_text, query=request.target.raw_query
        )

    def _verify_query(self, request: SignedRequest) -> Proof:
        claim, date, expires_s = _read_presigned(request.target)
        self._check_scope(claim, faults.AuthorizationQueryParametersError)
        secret = self._secret(claim.access_key_id)
        sent_s = read_amz_date(date)
        if sent_s is None or date[:8] != claim.day:
            raise faults.AuthorizationQueryParametersError(
                "X-Amz-Date must be in the form yyyyMMdd'T'HHmmss'Z'"
            )
        now_s = self._now_us() // 1_000_000
        if sent_s > now_s + SKEW_MAX_S:
            raise faults.AccessDenied("Request is not valid yet")
        if now_s > sent_s + expires_s:
            raise faults.AccessDenied(
                "Request has expired",
                Expires=iso_time((sent_s + expires_s) * 1_000_000),
                ServerTime=iso_time(now_s * 1_000_000),
            )
        if "X-Amz-Security-Token" in request.target:
            raise faults.InvalidToken("temporary credentials are not issued here")
        given = request.headers.get("x-amz-content-sha256", PayloadKind.UNSIGNED.value)
        payload, sha256, sha256_text = _read_payload(given)
        _check_signed(request, claim.signed_headers)
        raw_query = b"&".join(
            each for each in request.target.raw_query.split(b"&") if not each.startswith(b"X-Amz-Signature=")
        )
        return self._check(request, claim, secret, date, payload, sha256, sha256_text, query=raw_query)

    def _check(
        self,
        request: SignedRequest,
        claim: _Claim,
        secret: str,
        date: str,
        payload: PayloadKind,
        sha256: bytes | None,
        sha256_text: str,
        *,
        query: bytes,
    ) -> Proof:
        if "x-amz-security-token" in request.headers:
            raise faults.InvalidToken("temporary credentials are not issued here")
        key = self._signing_key(claim, secret)
        tail = _canonical_tail(request, claim, query, sha256_text)
        for path in _canonical_paths(request.target.raw_path):
            canonical = f"{request.method}\n{path}\n{tail}"
            digest = hashlib.sha256(canonical.encode("utf-8")).hexdigest()
            text = f"{ALGORITHM}\n{date}\n{claim.scope}\n{digest}"
            expected = hmac.digest(key, text.encode("utf-8"), "sha256").hex()
            if hmac.compare_digest(expected, claim.signature):
                return Proof(
                    access_key_id=claim.access_key_id,
                    payload=payload,
                    payload_sha256=sha256,
                    signing_key=key,
                    scope=claim.scope,
                    date=date,
                    signature=claim.signature,
                )
        raise faults.SignatureDoesNotMatch(
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
            AWSAccessKeyId=claim.access_key_id,
        )

    def _secret(self, access_key_id: str) -> str:
        secret = self._secret_of(access_key_id)
        if secret is None:
            raise faults.InvalidAccessKeyId(
                "The AWS Access Key Id you provided does not exist in our records.",
                AWSAccessKeyId=access_key_id,
            )
        return secret

    def _signing_key(self, claim: _Claim, secret: str) -> bytes:
        """Kept for known keys only, so that strangers cannot fill the cache; bounded all the same."""
        name = (claim.access_key_id, secret, claim.day)
        key = self._keys.get(name)
        if key is None:
            key = hmac.digest(f"AWS4{secret}".encode(), claim.day.encode(), "sha256")
            for part in (claim.region, claim.service, claim.terminator):
                key = hmac.digest(key, part.encode(), "sha256")
            self._keys[name] = key
            while len(self._keys) > SIGNING_KEY_COUNT_MAX:
                self._keys.popitem(last=False)
        return key

    def _check_scope(self, claim: _Claim, refuse: type[faults.WireError]) -> None:
        if claim.region != self._region:
            raise refuse(
                f"the region {claim.region!r} is wrong; expecting {self._region!r}", Region=self._region
            )
        if claim.service != SERVICE:
            raise refuse(f"the service {claim.service!r} is wrong; expecting 's3'")
        if claim.terminator != "aws4_request":
            raise refuse(f"the credential ends in {claim.terminator!r}; expecting 'aws4_request'")

    def _check_skew(self, sent_s: int) -> None:
        now_s = self._now_us() // 1_000_000
        if abs(now_s - sent_s) > SKEW_MAX_S:
            raise faults.RequestTimeTooSkewed(
                "The difference between the request time and the server's time is too large.",
                RequestTime=iso_time(sent_s * 1_000_000) if 0 <= sent_s < 2**40 else "",
                ServerTime=iso_time(now_s * 1_000_000),
                MaxAllowedSkewMilliseconds=str(SKEW_MAX_S * 1000),
            )


def _read_authorization(text: str) -> _Claim:
    scheme, _, rest = text.partition(" ")
    if scheme == "AWS":
        raise faults.InvalidRequest("Signature Version 2 is not supported; use AWS4-HMAC-SHA256")
    if scheme != ALGORITHM:
        if not text.strip():
            raise faults.AccessDenied("the Authorization header is empty")
        raise faults.InvalidArgument("Unsupported Authorization Type", ArgumentName="Authorization")
    fields: dict[str, str] = {}
    for each in rest.split(","):
        name, equals, value = each.strip().partition("=")
        if not equals or name in fields:
            raise faults.AuthorizationHeaderMalformed("the authorization header is malformed")
        fields[name] = value
    for name in ("Credential", "SignedHeaders", "Signature"):
        if not fields.get(name):
            raise faults.AuthorizationHeaderMalformed(f"the authorization header has no {name}")
    return _claim(fields, faults.AuthorizationHeaderMalformed)


def _read_presigned(target: Target) -> tuple[_Claim, str, int]:
    refuse = faults.AuthorizationQueryParametersError
    names = [name for name, _ in target.query if name.startswith("X-Amz-")]
    if len(set(names)) != len(names):
        raise refuse("a query parameter of the signature is repeated")
    if target.get("X-Amz-Algorithm") != ALGORITHM:
        raise refuse('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
    for name in ("X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Date", "X-Amz-Expires"):
        if not target.get(name):
            raise refuse(f"query-string authentication requires {name}")
    expires = target.get("X-Amz-Expires") or ""
    if not expires.isascii() or not expires.isdigit() or len(expires) > 9:
        raise refuse("X-Amz-Expires should be a number")
    if not 1 <= int(expires) <= EXPIRES_MAX_S:
        raise refuse("X-Amz-Expires must be at least one second and at most a week")
    fields = {
        name.removeprefix("X-Amz-"): target.get(name) or ""
        for name in ("X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature")
    }
    return _claim(fields, refuse), target.get("X-Amz-Date") or "", int(expires)


def _claim(fields: Mapping[str, str], refuse: Callable[[str], faults.WireError]) -> _Claim:
    parts = fields["Credential"].split("/")
    if len(parts) != 5 or not all(parts):
        raise refuse("the credential must have the form <key>/<date>/<region>/<service>/aws4_request")
    signature = fields["Signature"]
    if len(signature) != SIGNATURE_CHARS or not _HEX.issuperset(signature):
        raise faults.SignatureDoesNotMatch("the signature is not 64 hex digits in lower case")
    signed = tuple(fields["SignedHeaders"].split(";"))
    if list(signed) != sorted(set(signed)) or "" in signed:
        raise refuse("SignedHeaders must be sorted, without repeats")
    return _Claim(parts[0], parts[1], parts[2], parts[3], parts[4], signed, signature)


def _read_date(headers: Mapping[str, str]) -> tuple[str, int]:
    given = headers.get("x-amz-date")
    if given is not None:
        sent_s = read_amz_date(given)
        if sent_s is None:
            raise faults.AccessDenied("x-amz-date must be in the form yyyyMMdd'T'HHmmss'Z'")
        return given, sent_s
    plain = headers.get("date")
    if plain is None:
        raise faults.AccessDenied("AWS authentication requires a valid Date or x-amz-date header")
    sent_s = read_amz_date(plain)
    if sent_s is None:
        sent_s = read_http_date(plain)
    if sent_s is None:
        raise faults.AccessDenied("AWS authentication requires a valid Date or x-amz-date header")
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(sent_s)), sent_s


def _read_payload(text: str | None) -> tuple[PayloadKind, bytes | None, str]:
    if text is None:
        raise faults.InvalidRequest("Missing required header for this request: x-amz-content-sha256")
    kind = _KINDS.get(text)
    if kind is not None:
        return kind, None, text
    if len(text) == SIGNATURE_CHARS and _HEX.issuperset(text):
        return PayloadKind.SIGNED, bytes.fromhex(text), text
    raise faults.InvalidArgument(
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING- kind, or a SHA-256 in hex",
        ArgumentName="x-amz-content-sha256",
        ArgumentValue=text[:100],
    )


def _check_signed(request: SignedRequest, signed: tuple[str, ...]) -> None:
    """The host, and every x-amz- header that is there, must be signed; every signed header must be there."""
    if "host" not in signed:
        raise faults.AccessDenied("the host header must be signed")
    for name, _ in request.raw_headers:
        if (
            name.startswith(b"x-amz-")
            and name not in _UNSIGNED_ALLOWED
            and name.decode("latin-1") not in signed
        ):
            raise faults.AccessDenied(
                "There were headers present in the request which were not signed",
                HeadersNotSigned=name.decode("latin-1"),
            )
    for each in signed:
        if each not in request.headers:
            raise faults.SignatureDoesNotMatch(f"the signed header {each[:80]!r} is not in the request")


def _canonical_tail(request: SignedRequest, claim: _Claim, query: bytes, sha256_text: str) -> str:
    values: dict[str, list[str]] = {}
    for raw_name, raw_value in request.raw_headers:
        name = raw_name.decode("latin-1")
        if name in claim.signed_headers:
            # Header bytes are hashed as sent; latin-1 would change what UTF-8 clients signed.
            values.setdefault(name, []).append(" ".join(raw_value.decode("utf-8", "surrogateescape").split()))
    lines = "".join(f"{name}:{','.join(values[name])}\n" for name in claim.signed_headers)
    tail = f"{_canonical_query(query)}\n{lines}\n{';'.join(claim.signed_headers)}\n{sha256_text}"
    return tail.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if not tail.isascii() else tail


def _canonical_query(raw: bytes) -> str:
    if not raw:
        return ""
    pairs = []
    for each in raw.split(b"&"):
        if each:
            name, _, value = each.partition(b"=")
            pairs.append((_encoded(percent_decoded(name)), _encoded(percent_decoded(value))))
    pairs.sort()
    return "&".join(f"{name}={value}" for name, value in pairs)


def _canonical_paths(raw: bytes) -> list[str]:
    """The path as sent, which is what SDKs sign; then in AWS' own encoding, for clients that send less."""
    sent = raw.decode("latin-1")
    encoded = quote_from_bytes(percent_decoded(raw), safe="/-_.~")
    return [sent] if sent == encoded else [sent, encoded]


def _encoded(raw: bytes) -> str:
    return quote(raw, safe="-_.~")
