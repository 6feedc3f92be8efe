"""Signatures of forms, over the policy as it was sent: version 4, and version 2 as boto3 still makes by default."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from dataplane.auth.claims import ALGORITHM, read_form_scope
from dataplane.wire.refusals import AccessDenied, InvalidArgument, SignatureDoesNotMatch
from dataplane.wire.times import parse_amz_date

_V4_FIELDS = ("x-amz-credential", "x-amz-date", "x-amz-signature")
_V2_FIELDS = ("awsaccesskeyid", "signature")


@dataclass(frozen=True, slots=True, kw_only=True)
class FormClaim:
    """A claim that is well-formed, and proves nothing yet. `day` is null in version 2."""

    access_key_id: str
    day: str | None
    signature: str
    policy: str

    def require_v4(self, signing_key: bytes) -> None:
        """Raises SignatureDoesNotMatch."""
        expected = hmac.digest(signing_key, self.policy.encode(), "sha256").hex()
        self._require(expected)

    def require_v2(self, secret: str) -> None:
        """Raises SignatureDoesNotMatch."""
        digest = hmac.digest(secret.encode(), self.policy.encode(), hashlib.sha1)
        self._require(base64.b64encode(digest).decode("ascii"))

    def _require(self, expected: str) -> None:
        if not hmac.compare_digest(expected.encode(), self.signature.encode()):
            raise SignatureDoesNotMatch(AWSAccessKeyId=self.access_key_id[:128])


def read_form_claim(fields: Mapping[str, str], *, region: str) -> FormClaim:
    """The one signature that a form's fields carry, names in lower case.

    Raises AccessDenied for a form without any, InvalidArgument for half of one, for both kinds at once and for what
    is malformed or of another scope.
    """
    is_v4 = any(name in fields for name in (*_V4_FIELDS, "x-amz-algorithm"))
    is_v2 = any(name in fields for name in _V2_FIELDS)
    if not is_v4 and not is_v2 and "policy" not in fields:
        raise AccessDenied
    if is_v4 and is_v2:
        raise InvalidArgument("Only one auth mechanism allowed", name="signature", value="")
    needed = _V2_FIELDS if is_v2 else _V4_FIELDS
    for name in ("policy", *needed):
        if not fields.get(name):
            raise InvalidArgument(
                f"Bucket POST must contain a field named '{name}'.  "
                "If it is specified, please check the order of the fields.",
                name=name,
                value="",
            )
    if is_v2:
        return FormClaim(
            access_key_id=fields["awsaccesskeyid"],
            day=None,
            signature=fields["signature"],
            policy=fields["policy"],
        )
    if fields.get("x-amz-algorithm") != ALGORITHM:
        raise InvalidArgument(
            f'X-Amz-Algorithm only supports "{ALGORITHM}"',
            name="x-amz-algorithm",
            value=fields.get("x-amz-algorithm", ""),
        )
    access_key_id, day = read_form_scope(fields["x-amz-credential"], region=region)
    date = fields["x-amz-date"]
    if parse_amz_date(date) is None or date[:8] != day:
        raise InvalidArgument(
            "The date of the credential is not that of x-amz-date", name="x-amz-date", value=date
        )
    return FormClaim(
        access_key_id=access_key_id, day=day, signature=fields["x-amz-signature"], policy=fields["policy"]
    )
