"""The way in for forms: read their head, verify the signature of their policy, hold the policy against them."""

from collections.abc import Mapping
from dataclasses import replace

from dataplane.auth.post_policy import PostPolicy, read_policy
from dataplane.auth.sigv4 import Authenticated, Authenticator
from dataplane.wire.bodies import RawBody
from dataplane.wire.form_parts import is_form_type
from dataplane.wire.operations import AuthKind, PayloadKind
from dataplane.wire.payload import read_payload
from dataplane.wire.post_form import PostForm, read_post_form
from dataplane.wire.refusals import AccessDenied
from dataplane.wire.target import Target

_KEPT = ("host", "origin")
"""Headers of the request itself that still count: a form's fields say the rest, and those are covered by its policy."""


def is_form(method: str, target: Target, headers: Mapping[str, str]) -> bool:
    """Whether a request can only be signed by a form in its body."""
    return (
        method == "POST"
        and target.key is None
        and target.bucket is not None
        and "authorization" not in headers
        and is_form_type(headers.get("content-type", ""))
    )


def authenticate_form(
    raw: RawBody, target: Target, headers: Mapping[str, str], authenticator: Authenticator
) -> tuple[Authenticated, PostForm, PostPolicy]:
    """Read at most 20 KiB, and return only after full verification of signature, expiration and every condition.

    Raises WireError.
    """
    form = read_post_form(raw, headers["content-type"])
    credential = authenticator.authenticate_form(form.fields)
    unsigned = [name for name in headers if name.startswith("x-amz-") and name != "x-amz-cf-id"]
    if unsigned:
        raise AccessDenied(
            "There were headers present in the request which were not signed",
            HeadersNotSigned=", ".join(unsigned)[:256],
        )
    policy = read_policy(form.fields["policy"])
    policy.require_alive(authenticator.now_us())
    if form.fields.get("bucket", target.bucket) != target.bucket:
        raise AccessDenied("The form names another bucket than its address.")
    policy.require({**form.fields, "bucket": str(target.bucket)})
    caller = Authenticated(
        identity=credential.identity,
        access_key_id=credential.access_key_id,
        auth_kind=AuthKind.FORM,
        payload=read_payload(PayloadKind.UNSIGNED.value),
        headers={**{name: headers[name] for name in _KEPT if name in headers}, **form.headers()},
    )
    return caller, form, policy


def keyed(target: Target, form: PostForm) -> Target:
    """The target with the key that the form chose."""
    return replace(target, key=form.key)
