"""What a request claims about its signature: the Authorization header, or the parameters of a presigned URL."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from dataplane.auth.signing_keys import SERVICE, TERMINATOR
from dataplane.wire.headers import is_sendable
from dataplane.wire.refusals import (
    AuthorizationHeaderMalformed,
    AuthorizationQueryParametersError,
    InvalidArgument,
    InvalidRequest,
    SignatureDoesNotMatch,
    WireError,
)
from dataplane.wire.target import Target
from dataplane.wire.times import parse_amz_date

ALGORITHM = "AWS4-HMAC-SHA256"
EXPIRES_MAX_S = 7 * 24 * 3600
_SIGNATURE_CHARS = 64
_HEX_DIGITS = "0123456789abcdef"
_LAST_FIELD = "Signature="
_REMEMBERED_CHARS_MAX = 512
_REMEMBERED_COUNT = 1024
_HEADER_FIELDS = ("Credential", "SignedHeaders", "Signature")
PRESIGN_PARAMETERS = frozenset(
    {
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
        "X-Amz-Security-Token",
        "X-Amz-Content-Sha256",
    }
)
_PRESIGN_NEEDED = (
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
)
_LOWER_CASE = {name.lower(): name for name in PRESIGN_PARAMETERS}
_V2_ADVICE = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a signature is said to be made with and over: well-formed and of our scope, and nothing is proved yet."""

    access_key_id: str
    day: str
    scope: str
    signed_headers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedClaim:
    """The claim of a presigned URL with its time and life."""

    claim: Claim
    signature: str
    amz_date: str
    signed_at_s: int
    expires_s: int
    payload_text: str | None


def read_authorization(text: str, *, region: str) -> tuple[Claim, str]:
    """Parse an Authorization header: the claim, and its signature.

    Raises InvalidArgument for another scheme, InvalidRequest for Signature Version 2 and 4A by name,
    AuthorizationHeaderMalformed for everything that does not say it all exactly once, and another scope.
    """
    before, signature = text[:-_SIGNATURE_CHARS], text[-_SIGNATURE_CHARS:]
    if before.endswith(_LAST_FIELD) and len(before) <= _REMEMBERED_CHARS_MAX and _is_signature(signature):
        return _claim_before(before, region), signature
    return _read_authorization(text, region)


@lru_cache(maxsize=_REMEMBERED_COUNT)
def _claim_before(before: str, region: str) -> Claim:
    """The claim of a header up to its signature. A client says the same all day; only the signature behind it changes.

    Any signature stands for every other one: whatever it says, it is read the same.
    """
    claim, _ = _read_authorization(before + "0" * _SIGNATURE_CHARS, region)
    return claim


def _read_authorization(text: str, region: str) -> tuple[Claim, str]:
    algorithm, _, rest = text.partition(" ")
    if algorithm != ALGORITHM:
        raise _unsupported(algorithm)
    fields: dict[str, str] = {}
    for each in rest.split(","):
        name, equals, value = each.strip(" ").partition("=")
        if not equals or name not in _HEADER_FIELDS or name in fields:
            raise AuthorizationHeaderMalformed("The authorization header you provided is invalid.")
        fields[name] = value
    for name in _HEADER_FIELDS:
        if not fields.get(name):
            raise AuthorizationHeaderMalformed(
                f"The authorization header is malformed; the authorization header requires {name}."
            )
    return _claim(fields, region, AuthorizationHeaderMalformed, "The authorization header is malformed; ")


def read_presigned(target: Target, *, region: str) -> PresignedClaim:
    """Parse the X-Amz-* parameters; raises AuthorizationQueryParametersError for all that is not exactly right."""
    found: dict[str, str] = {}
    for name, value in target.query:
        known = _LOWER_CASE.get(name.lower())
        if known is not None:
            if known != name or name in found:
                raise _query_error(f"{known} must be given once, in exactly these letters.")
            found[name] = value
    if found.get("X-Amz-Algorithm") != ALGORITHM:
        raise _query_error('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
    for name in _PRESIGN_NEEDED:
        if not found.get(name):
            raise _query_error(
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
                "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
            )
    expires_s = _expires(found["X-Amz-Expires"])
    signed_at_s = parse_amz_date(found["X-Amz-Date"])
    if signed_at_s is None:
        raise _query_error("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    fields = {name: found["X-Amz-" + name] for name in _HEADER_FIELDS}
    claim, signature = _claim(
        fields, region, AuthorizationQueryParametersError, "Error parsing the X-Amz-Credential parameter; "
    )
    if claim.day != found["X-Amz-Date"][:8]:
        raise _query_error("The date of X-Amz-Credential is not that of X-Amz-Date.")
    return PresignedClaim(
        claim=claim,
        signature=signature,
        amz_date=found["X-Amz-Date"],
        signed_at_s=signed_at_s,
        expires_s=expires_s,
        payload_text=found.get("X-Amz-Content-Sha256"),
    )


def is_presigned(target: Target) -> bool:
    """Whether any parameter of a presigned URL is there: half a signature is never taken for none."""
    return any(name.lower() in _LOWER_CASE for name, _ in target.query)


def add_hoisted(headers: dict[str, str], name: str, value: str) -> None:
    """Add a header that a URL carries as a parameter, as strictly as if it had come over the wire.

    Raises InvalidRequest for one that is there already, InvalidArgument for what no header can be.
    """
    lower = name.lower()
    if lower in headers:
        raise InvalidRequest(f"{lower[:80]} was given more than once.")
    if not (lower.isascii() and lower.replace("-", "").isalnum() and is_sendable(value)):
        raise InvalidArgument("A header cannot hold this value.", name=lower[:80], value=value)
    headers[lower] = value


def read_form_scope(credential: str, *, region: str) -> tuple[str, str]:
    """Access key id and day of a form's x-amz-credential; raises AuthorizationQueryParametersError."""
    return _scope(
        credential, region, AuthorizationQueryParametersError, "Error parsing the X-Amz-Credential field; "
    )


def _claim(
    fields: Mapping[str, str], region: str, refusal: type[WireError], prefix: str
) -> tuple[Claim, str]:
    access_key_id, day = _scope(fields["Credential"], region, refusal, prefix)
    signature = fields["Signature"]
    if not _is_signature(signature):
        raise SignatureDoesNotMatch(AWSAccessKeyId=access_key_id[:128])
    signed_headers = tuple(fields["SignedHeaders"].split(";"))
    if "" in signed_headers or len(set(signed_headers)) != len(signed_headers):
        raise refusal(f"{prefix}SignedHeaders is malformed.")
    claim = Claim(
        access_key_id=access_key_id,
        day=day,
        scope=f"{day}/{region}/{SERVICE}/{TERMINATOR}",
        signed_headers=signed_headers,
    )
    return claim, signature


def _is_signature(text: str) -> bool:
    return len(text) == _SIGNATURE_CHARS and not text.strip(_HEX_DIGITS)


def _scope(credential: str, region: str, refusal: type[WireError], prefix: str) -> tuple[str, str]:
    parts = credential.split("/")
    if len(parts) != 5 or not parts[0]:
        raise refusal(
            f'{prefix}the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
        )
    access_key_id, day, scope_region, service, terminator = parts
    if len(day) != 8 or not (day.isascii() and day.isdigit()):
        raise refusal(
            f"{prefix}incorrect date format. This date in the credential must be in the format yyyyMMdd."
        )
    if scope_region != region:
        raise refusal(
            f"{prefix}the region {scope_region[:64]!r} is wrong; expecting {region!r}", Region=region
        )
    if service != SERVICE:
        raise refusal(f'{prefix}incorrect service {service[:64]!r}. This endpoint belongs to "s3".')
    if terminator != TERMINATOR:
        raise refusal(f'{prefix}incorrect terminal {terminator[:64]!r}. This endpoint uses "aws4_request".')
    return access_key_id, day


def _unsupported(algorithm: str) -> WireError:
    if not algorithm:
        return AuthorizationHeaderMalformed("The authorization header you provided is invalid.")
    if algorithm in {"AWS", "AWS4-ECDSA-P256-SHA256"}:
        return InvalidRequest(_V2_ADVICE)
    return InvalidArgument("Unsupported Authorization Type", name="Authorization", value=algorithm)


def _expires(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise _query_error("X-Amz-Expires should be a number")
    if len(text) > 7 or int(text) > EXPIRES_MAX_S:
        raise _query_error(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given "
            "X-Amz-Expires must be less than 604800 seconds"
        )
    if int(text) == 0:
        raise _query_error("X-Amz-Expires must be at least one second")
    return int(text)


def _query_error(message: str) -> WireError:
    return AuthorizationQueryParametersError(message)
