"""Presigned URLs of Signature Version 2, which boto3 and the AWS CLI still make by default in us-east-1.

Narrower than S3: objects only, a week at most, and no parameter in the URL that the signature does not cover
(S3 user guide, signing and authenticating REST requests: query string request authentication alternative).
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from dataplane.auth.claims import EXPIRES_MAX_S, add_hoisted
from dataplane.wire.refusals import (
    AccessDenied,
    AuthorizationQueryParametersError,
    SignatureDoesNotMatch,
)
from dataplane.wire.target import Target
from dataplane.wire.times import iso_time

_PARAMETERS = ("AWSAccessKeyId", "Signature", "Expires")
_SIGNED_PARAMETERS = frozenset(
    {
        "acl",
        "delete",
        "lifecycle",
        "location",
        "logging",
        "notification",
        "partNumber",
        "policy",
        "requestPayment",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "restore",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
        "website",
    }
)
_HOISTED = frozenset({"content-md5", "content-type"})
_EXPIRES_DIGITS_MAX = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedV2:
    """A URL that is well-formed and alive, and proves nothing yet.

    `headers` are the request's, with those that the URL carries.
    """

    access_key_id: str
    expires: str
    signature: str
    headers: Mapping[str, str]
    must_sign_type: bool


def is_presigned_v2(target: Target) -> bool:
    """Whether any of the two parameters that only Signature Version 2 has are there."""
    return any(name in {"AWSAccessKeyId", "Signature"} for name, _ in target.query)


def read_presigned_v2(target: Target, headers: Mapping[str, str], *, now_us: int) -> PresignedV2:
    """Parse the parameters and gather the headers that the URL carries.

    Raises AuthorizationQueryParametersError for what is not exactly right, AccessDenied for an expired URL and for a
    parameter that nobody signed, InvalidRequest for a header that comes twice and differs.
    """
    found: dict[str, str] = {}
    merged = dict(headers)
    unsigned = []
    is_type_in_url = False
    for name, value in target.query:
        lower = name.lower()
        if name in _PARAMETERS:
            if name in found:
                raise AuthorizationQueryParametersError(f"{name} was given more than once.")
            found[name] = value
        elif lower.startswith("x-amz-") or lower in _HOISTED:
            # Clients that sign a header into the URL send it as well, as Version 4 would ask them to.
            if headers.get(lower) != value:
                add_hoisted(merged, name, value)
            is_type_in_url = is_type_in_url or lower == "content-type"
        elif name not in _SIGNED_PARAMETERS or _hides_a_parameter(value):
            unsigned.append(name)
    if not all(found.get(name) for name in _PARAMETERS):
        raise AuthorizationQueryParametersError(
            "Query-string authentication version 2 requires the Signature, Expires and AWSAccessKeyId parameters."
        )
    _require_alive(found["Expires"], now_us)
    if unsigned:
        raise AccessDenied(
            "There were parameters present in the request which were not signed",
            ParametersNotSigned=", ".join(unsigned)[:256],
        )
    return PresignedV2(
        access_key_id=found["AWSAccessKeyId"],
        expires=found["Expires"],
        signature=found["Signature"],
        headers=merged,
        # A type that is only a header may be an HTTP library's own idea; one in the URL was written there.
        must_sign_type=is_type_in_url,
    )


def verify_presigned_v2(presigned: PresignedV2, *, method: str, target: Target, secret: str) -> None:
    """Hold the signature against the request; raises SignatureDoesNotMatch.

    A Content-Type that was not signed is taken, as in Version 4: many HTTP libraries add one to every body, unasked.
    """
    given = presigned.signature.encode("utf-8", "replace")
    content_type = presigned.headers.get("content-type", "")
    for signed_type in (content_type,) if presigned.must_sign_type else (content_type, ""):
        text = string_to_sign(presigned, signed_type, method=method, target=target).encode("latin-1")
        expected = base64.b64encode(hmac.digest(secret.encode(), text, hashlib.sha1))
        if hmac.compare_digest(expected, given):
            return
    raise SignatureDoesNotMatch(AWSAccessKeyId=presigned.access_key_id[:128])


def string_to_sign(presigned: PresignedV2, content_type: str, *, method: str, target: Target) -> str:
    """Method, standard headers, all x-amz-* headers, the path as sent and the sub-resources, decoded and sorted."""
    headers = presigned.headers
    amz = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-amz-"))
    named = sorted((name, value) for name, value in target.query if name in _SIGNED_PARAMETERS)
    bare = {piece for piece in target.raw_query.decode("latin-1").split("&") if "=" not in piece}
    # Octets, as everywhere in a signature: a value in UTF-8 is written as the bytes it has.
    parameters = "&".join(
        name if name in bare else f"{name}={value.encode().decode('latin-1')}" for name, value in named
    )
    # The older version signs the bucket as part of the path, wherever it stood.
    folder = f"/{target.bucket}" if target.is_hosted else ""
    return (
        f"{method}\n{headers.get('content-md5', '')}\n{content_type}\n{presigned.expires}\n{amz}"
        f"{folder}{target.raw_path.decode('latin-1')}" + (f"?{parameters}" if parameters else "")
    )


def _hides_a_parameter(value: str) -> bool:
    """Whether a value, decoded as it is signed, reads like a value and another parameter."""
    return any(piece.partition("=")[0] in _SIGNED_PARAMETERS for piece in value.split("&")[1:])


def _require_alive(text: str, now_us: int) -> None:
    if not text.isascii() or not text.isdigit() or len(text) > _EXPIRES_DIGITS_MAX:
        raise AuthorizationQueryParametersError("Expires should be a number of seconds since 1970")
    expires_s, now_s = int(text), now_us // 1_000_000
    if now_s > expires_s:
        raise AccessDenied(
            "Request has expired", Expires=iso_time(expires_s * 1_000_000), ServerTime=iso_time(now_us)
        )
    if expires_s - now_s > EXPIRES_MAX_S:
        raise AuthorizationQueryParametersError("Expires must be less than a week away")
