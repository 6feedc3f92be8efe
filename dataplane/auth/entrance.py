"""The one way in: what a request's head is, who sent it, which operation it asks for, and whether it may."""

from collections.abc import Mapping
from dataclasses import dataclass

from dataplane.auth.form_entry import authenticate_form, is_form, keyed
from dataplane.auth.identity import authorise
from dataplane.auth.post_policy import PostPolicy
from dataplane.auth.sigv4 import Authenticated, Authenticator, SignedRequest
from dataplane.wire.amz_headers import check_amz_headers
from dataplane.wire.bodies import RawBody
from dataplane.wire.operations import Operation
from dataplane.wire.post_form import PostForm
from dataplane.wire.routes import find_route, require_known_method, require_signed_form
from dataplane.wire.target import Target


@dataclass(slots=True, kw_only=True)
class Entry:
    """A request that may go on to its handler."""

    target: Target
    operation: Operation
    caller: Authenticated
    form: PostForm | None = None
    policy: PostPolicy | None = None


def enter(
    method: str, target: Target, headers: Mapping[str, str], raw: RawBody, authenticator: Authenticator
) -> Entry:
    """Authenticate, route, authorise, in this order: a stranger learns nothing of what exists or is built.

    `headers` are those of `gather_fields`; of the body only a form's head is read, where nothing else is signed. That
    the bucket belongs to the caller's account is left to whoever reads its row, and a copy's source to whoever reads
    that. Raises WireError.
    """
    require_known_method(method)
    form = policy = None
    if is_form(method, target, headers):
        caller, form, policy = authenticate_form(raw, target, headers, authenticator)
    else:
        caller = authenticator.authenticate(SignedRequest(method=method, target=target, headers=headers))
    operation = find_route(method, target, caller.headers)
    assert operation.action is not None, "routes only find what is served"
    require_signed_form(operation, caller.auth_kind, caller.payload.kind)
    authorise(caller.identity, operation.action, target.bucket)
    check_amz_headers(operation, caller.headers, account=caller.identity.account)
    if form is not None:
        target = keyed(target, form)
    return Entry(target=target, operation=operation, caller=caller, form=form, policy=policy)
