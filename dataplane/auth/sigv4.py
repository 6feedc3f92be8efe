"""Signatures: prove who sent a request, or refuse it (S3 API, authenticating requests).

Pure: the request's head in, a proven identity out. Nothing is believed before the whole check has passed; what can only
be checked as the body comes, its hash and the signatures of its chunks, is handed on with everything it takes.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dataplane.auth.canonical import canonical_query, canonical_request
from dataplane.auth.chunk_signatures import SignatureChain
from dataplane.auth.claims import (
    ALGORITHM,
    PRESIGN_PARAMETERS,
    Claim,
    add_hoisted,
    is_presigned,
    read_authorization,
    read_presigned,
)
from dataplane.auth.form_signatures import read_form_claim
from dataplane.auth.identity import Credential, Identity
from dataplane.auth.signing_keys import SigningKeys
from dataplane.auth.sigv2_presigned import is_presigned_v2, read_presigned_v2, verify_presigned_v2
from dataplane.wire.operations import AuthKind, PayloadKind
from dataplane.wire.payload import SHA256_FIELD, Payload, read_payload
from dataplane.wire.refusals import (
    AccessDenied,
    AuthorizationHeaderMalformed,
    InvalidAccessKeyId,
    InvalidArgument,
    InvalidRequest,
    InvalidToken,
    RequestTimeTooSkewed,
    SignatureDoesNotMatch,
)
from dataplane.wire.target import Target
from dataplane.wire.times import amz_date, iso_time, parse_amz_date, parse_http_date

SKEW_MAX_S = 15 * 60
TOKEN_FIELD = "x-amz-security-token"

_MAY_BE_UNSIGNED = frozenset({"x-amz-cf-id"})
_UNSIGNED = PayloadKind.UNSIGNED.value

Credentials = Callable[[str], Credential | None]
"""The credential in force of an access key id; None when it is unknown, switched off or expired."""


@dataclass(slots=True, kw_only=True)
class SignedRequest:
    """What a signature covers. `headers` are those of `gather_fields`: lower-case names, ISO 8859-1 values."""

    method: str
    target: Target
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticated:
    """A request whose signature was verified.

    `headers` are the request's own, with the x-amz-* ones that a presigned URL carries as parameters. `signatures`
    expects the signatures of the chunks where the payload has them.
    """

    identity: Identity
    access_key_id: str
    auth_kind: AuthKind
    payload: Payload
    headers: Mapping[str, str] = field(repr=False)
    signatures: SignatureChain | None = field(default=None, repr=False)


class Authenticator:
    """Verifies requests to one region. Safe for many threads."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        region: str,
        now_us: Callable[[], int],
        signing_keys: SigningKeys,
    ) -> None:
        self._credentials = credentials
        self._region = region
        self.now_us = now_us
        self._signing_keys = signing_keys

    def authenticate(self, request: SignedRequest) -> Authenticated:
        """Return only after full verification; raises a WireError that says what is wrong.

        A request without any signature is AccessDenied: nothing is open to strangers.
        """
        authorization = request.headers.get("authorization")
        query = request.target.query
        by_query_v2 = bool(query) and is_presigned_v2(request.target)
        by_query = bool(query) and not by_query_v2 and is_presigned(request.target)
        if authorization is not None:
            if by_query or by_query_v2:
                raise InvalidArgument(
                    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
                    "parameter or the Authorization header should be specified",
                    name="Authorization",
                    value="",
                )
            return self._by_header(request, authorization)
        if by_query_v2:
            return self._by_query_v2(request)
        if by_query:
            return self._by_query(request)
        raise AccessDenied

    def authenticate_form(self, fields: Mapping[str, str]) -> Credential:
        """Whose policy a form carries, once its signature was verified; raises a WireError. Names in lower case."""
        claim = read_form_claim(fields, region=self._region)
        credential = self._credential(claim.access_key_id)
        if claim.day is None:
            claim.require_v2(credential.secret)
        else:
            claim.require_v4(
                self._signing_keys.key(
                    access_key_id=claim.access_key_id,
                    secret=credential.secret,
                    day=claim.day,
                    region=self._region,
                )
            )
        if TOKEN_FIELD in fields:
            raise _no_tokens()
        return credential

    def _by_header(self, request: SignedRequest, authorization: str) -> Authenticated:
        headers = request.headers
        claim, signature = read_authorization(authorization, region=self._region)
        date, signed_at_s = _date(headers)
        if date[:8] != claim.day:
            raise AuthorizationHeaderMalformed(
                f'The authorization header is malformed; Invalid credential date "{claim.day}". '
                f'This date is not the same as X-Amz-Date: "{date[:8]}".'
            )
        text = headers.get(SHA256_FIELD)
        if text is None:
            raise InvalidRequest(f"Missing required header for this request: {SHA256_FIELD}")
        payload = read_payload(text)
        credential = self._credential(claim.access_key_id)
        self._require_fresh(signed_at_s)
        _require_signed(headers, claim.signed_headers)
        query = canonical_query(request.target.raw_query)
        key = self._verify(request, claim, signature, credential, date, query, payload)
        signatures = None
        if payload.has_signed_chunks:
            signatures = SignatureChain(signing_key=key, amz_date=date, scope=claim.scope, seed=signature)
        return Authenticated(
            identity=credential.identity,
            access_key_id=credential.access_key_id,
            auth_kind=AuthKind.HEADER,
            payload=payload,
            headers=headers,
            signatures=signatures,
        )

    def _by_query(self, request: SignedRequest) -> Authenticated:
        presigned = read_presigned(request.target, region=self._region)
        claim = presigned.claim
        payload = read_payload(request.headers.get(SHA256_FIELD) or presigned.payload_text or _UNSIGNED)
        if payload.has_signed_chunks:
            raise InvalidRequest(f"A presigned request takes no {payload.text} payload.")
        credential = self._credential(claim.access_key_id)
        self._require_alive(presigned.signed_at_s, presigned.expires_s)
        _require_signed(request.headers, claim.signed_headers)
        query = canonical_query(request.target.raw_query, without_signature=True)
        self._verify(request, claim, presigned.signature, credential, presigned.amz_date, query, payload)
        if "X-Amz-Security-Token" in request.target:
            raise _no_tokens()
        return Authenticated(
            identity=credential.identity,
            access_key_id=credential.access_key_id,
            auth_kind=AuthKind.PRESIGNED,
            payload=payload,
            headers=_with_hoisted(request),
        )

    def _by_query_v2(self, request: SignedRequest) -> Authenticated:
        """A presigned URL of Signature Version 2; the route table says for which operations one will do."""
        presigned = read_presigned_v2(request.target, request.headers, now_us=self.now_us())
        payload = read_payload(presigned.headers.get(SHA256_FIELD, _UNSIGNED))
        credential = self._credential(presigned.access_key_id)
        verify_presigned_v2(presigned, method=request.method, target=request.target, secret=credential.secret)
        if TOKEN_FIELD in presigned.headers:
            raise _no_tokens()
        return Authenticated(
            identity=credential.identity,
            access_key_id=credential.access_key_id,
            auth_kind=AuthKind.PRESIGNED_V2,
            payload=payload,
            headers=presigned.headers,
        )

    def _verify(
        self,
        request: SignedRequest,
        claim: Claim,
        signature: str,
        credential: Credential,
        date: str,
        query: str,
        payload: Payload,
    ) -> bytes:
        """The signing key, once the signature was found to be made with it; raises SignatureDoesNotMatch."""
        canonical = canonical_request(
            method=request.method,
            raw_path=request.target.raw_path,
            canonical_query=query,
            headers=request.headers,
            signed_headers=claim.signed_headers,
            payload_text=payload.text,
        )
        text = f"{ALGORITHM}\n{date}\n{claim.scope}\n{hashlib.sha256(canonical).hexdigest()}"
        key = self._signing_keys.key(
            access_key_id=claim.access_key_id, secret=credential.secret, day=claim.day, region=self._region
        )
        expected = hmac.digest(key, text.encode("ascii"), "sha256").hex()
        if not hmac.compare_digest(expected, signature):
            raise SignatureDoesNotMatch(AWSAccessKeyId=claim.access_key_id)
        if TOKEN_FIELD in request.headers:
            raise _no_tokens()
        return key

    def _credential(self, access_key_id: str) -> Credential:
        credential = self._credentials(access_key_id)
        if credential is None:
            raise InvalidAccessKeyId(
                "The AWS Access Key Id you provided does not exist in our records.",
                AWSAccessKeyId=access_key_id[:128],
            )
        return credential

    def _require_fresh(self, signed_at_s: int) -> None:
        now_us = self.now_us()
        if abs(now_us // 1_000_000 - signed_at_s) > SKEW_MAX_S:
            raise RequestTimeTooSkewed(
                "The difference between the request time and the server's time is too large.",
                RequestTime=amz_date(signed_at_s),
                ServerTime=iso_time(now_us),
                MaxAllowedSkewMilliseconds=str(SKEW_MAX_S * 1000),
            )

    def _require_alive(self, signed_at_s: int, expires_s: int) -> None:
        now_us = self.now_us()
        now_s = now_us // 1_000_000
        if signed_at_s > now_s + SKEW_MAX_S:
            raise AccessDenied("Request is not yet valid", ServerTime=iso_time(now_us))
        if now_s > signed_at_s + expires_s:
            raise AccessDenied(
                "Request has expired",
                Expires=iso_time((signed_at_s + expires_s) * 1_000_000),
                ServerTime=iso_time(now_us),
                **{"X-Amz-Expires": str(expires_s)},
            )


def _date(headers: Mapping[str, str]) -> tuple[str, int]:
    """The signed time: x-amz-date, or Date in either form; raises AccessDenied without one."""
    text = headers["x-amz-date"] if "x-amz-date" in headers else headers.get("date", "")
    signed_at_s = parse_amz_date(text)
    if signed_at_s is not None:
        return text, signed_at_s
    if "x-amz-date" not in headers:
        signed_at_s = parse_http_date(text)
        if signed_at_s is not None:
            return amz_date(signed_at_s), signed_at_s
    raise AccessDenied("AWS authentication requires a valid Date or x-amz-date header")


def _require_signed(headers: Mapping[str, str], signed_headers: tuple[str, ...]) -> None:
    """The host and every x-amz-* header that is there must be signed; raises AccessDenied naming those that are not."""
    unsigned = [
        name
        for name in headers
        if name not in signed_headers and name.startswith("x-amz-") and name not in _MAY_BE_UNSIGNED
    ]
    if "host" not in signed_headers:
        unsigned.append("host")
    if unsigned:
        raise AccessDenied(
            "There were headers present in the request which were not signed",
            HeadersNotSigned=", ".join(unsigned)[:256],
        )


def _with_hoisted(request: SignedRequest) -> Mapping[str, str]:
    """The headers with x-amz-* parameters among them: some SDKs sign headers into the URL, and S3 takes them there.

    Raises InvalidRequest for one that comes both ways, or twice, InvalidArgument for what no header can hold.
    """
    hoisted = [
        (name, value)
        for name, value in request.target.query
        if name[:6].lower() == "x-amz-" and name not in PRESIGN_PARAMETERS
    ]
    if not hoisted:
        return request.headers
    headers = dict(request.headers)
    for name, value in hoisted:
        add_hoisted(headers, name, value)
    return headers


def _no_tokens() -> InvalidToken:
    return InvalidToken(
        "The provided token is malformed or otherwise invalid: no temporary credentials exist here."
    )
