"""Forms as browsers send them, signed by hand, with whatever is to be wrong in them."""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

from tests.support.sigv4_signer import Signer

BOUNDARY = "----penstock7MA4YWxk"
FORM_HEADERS = [("content-type", f"multipart/form-data; boundary={BOUNDARY}")]

Fields = Sequence[tuple[str, str]]


def policy_text(conditions: Sequence[Any], *, expiration: str = "2099-01-01T00:00:00.000Z") -> str:
    document = {"expiration": expiration, "conditions": list(conditions)}
    return base64.b64encode(json.dumps(document).encode()).decode()


def signed_fields(signer: Signer, policy: str) -> list[tuple[str, str]]:
    """What proves a policy in version 4."""
    signature = hmac.new(signer.key, policy.encode(), hashlib.sha256).hexdigest()
    return [("policy", policy), *claim_of(signer), ("x-amz-signature", signature)]


def claim_of(signer: Signer) -> list[tuple[str, str]]:
    return [
        ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
        ("x-amz-credential", f"{signer.access_key_id}/{signer.scope}"),
        ("x-amz-date", signer.amz_date),
    ]


def agreeing(signer: Signer, fields: Fields, bucket: str, more: Sequence[Any] = ()) -> list[tuple[str, str]]:
    """The fields with a signed policy that agrees with each of them."""
    conditions: list[Any] = [{"bucket": bucket}, *({name: value} for name, value in claim_of(signer))]
    conditions += [{name: value} for name, value in fields]
    return [*fields, *signed_fields(signer, policy_text([*conditions, *more]))]


def part(name: str, value: bytes, *, file_name: str | None = None) -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"'
    if file_name is not None:
        disposition += f'; filename="{file_name}"\r\nContent-Type: text/plain'
    return f"--{BOUNDARY}\r\n{disposition}\r\n\r\n".encode() + value + b"\r\n"


def form(fields: Fields, file: bytes | None, *, file_name: str = "cat.txt", after: bytes = b"") -> bytes:
    """A whole body; `after` are parts behind the file."""
    body = b"".join(part(name, value.encode()) for name, value in fields)
    if file is not None:
        body += part("file", file, file_name=file_name)
    return body + after + f"--{BOUNDARY}--\r\n".encode()
