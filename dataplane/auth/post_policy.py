"""POST policies: what the signer of a form agreed to, read strictly and held against the form (S3 API, POST policy)."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dataplane.wire.refusals import AccessDenied, EntityTooLarge, EntityTooSmall, InvalidPolicyDocument
from dataplane.wire.times import iso_time, parse_amz_date
from engine.units import PUT_SIZE_MAX_BYTES

_EXPIRATION = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]{1,9})?Z"
)
_NEEDS_NO_CONDITION = frozenset({"file", "policy", "x-amz-signature", "signature", "awsaccesskeyid"})
_IGNORED_PREFIX = "x-ignore-"
_SIZE_DIGITS_MAX = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a field must be, or begin with. `field` is in lower case."""

    field: str
    value: str
    is_prefix: bool

    def holds(self, given: str | None) -> bool:
        """Of a list of content types, separated by commas, each has to begin as wanted."""
        if given is None:
            return False
        if not self.is_prefix:
            return given == self.value
        pieces = given.split(",") if self.field == "content-type" else [given]
        return all(piece.strip(" ").startswith(self.value) for piece in pieces)

    def __str__(self) -> str:
        return json.dumps(["starts-with" if self.is_prefix else "eq", f"${self.field}", self.value])


@dataclass(frozen=True, slots=True, kw_only=True)
class PostPolicy:
    """Sizes are those of the file alone."""

    expires_s: int
    conditions: tuple[Condition, ...]
    size_min_bytes: int = 0
    size_max_bytes: int = PUT_SIZE_MAX_BYTES

    def require_alive(self, now_us: int) -> None:
        """Raises AccessDenied once it is over."""
        if now_us // 1_000_000 >= self.expires_s:
            raise AccessDenied("Invalid according to Policy: Policy expired.", ServerTime=iso_time(now_us))

    def require(self, fields: Mapping[str, str]) -> None:
        """Every condition holds, and every field is covered by one; raises AccessDenied.

        `fields` are in lower case, with the bucket that is really written to as `bucket`.
        """
        for each in self.conditions:
            if not each.holds(fields.get(each.field)):
                raise AccessDenied(f"Invalid according to Policy: Policy Condition failed: {str(each)[:256]}")
        covered = {each.field for each in self.conditions}
        for name in fields:
            is_free = name in _NEEDS_NO_CONDITION or name.startswith(_IGNORED_PREFIX) or name == "bucket"
            if name not in covered and not is_free:
                raise AccessDenied(f"Invalid according to Policy: Extra input fields: {name[:128]}")

    def require_size(self, size_bytes: int) -> None:
        """Raises EntityTooSmall and EntityTooLarge for a file the policy does not allow."""
        self.require_at_most(size_bytes)
        if size_bytes < self.size_min_bytes:
            raise EntityTooSmall(
                "Your proposed upload is smaller than the minimum allowed size",
                ProposedSize=str(size_bytes),
                MinSizeAllowed=str(self.size_min_bytes),
            )

    def require_at_most(self, size_bytes: int) -> None:
        """The same while only a part of it is known."""
        if size_bytes > self.size_max_bytes:
            raise EntityTooLarge(
                "Your proposed upload exceeds the maximum allowed size",
                ProposedSize=str(size_bytes),
                MaxSizeAllowed=str(self.size_max_bytes),
            )


def read_policy(text: str) -> PostPolicy:
    """Parse the `policy` field; raises InvalidPolicyDocument for everything that is not exactly right."""
    try:
        decoded = base64.b64decode("".join(text.split()), validate=True).decode("utf-8")
        document = json.loads(decoded, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (binascii.Error, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InvalidPolicyDocument("Invalid JSON.") from error
    if not isinstance(document, dict):
        raise InvalidPolicyDocument("Policy must be an object.")
    unknown = document.keys() - {"expiration", "conditions"}
    if unknown:
        raise InvalidPolicyDocument(f"Unexpected: {min(unknown)[:64]!r}.")
    conditions = document.get("conditions")
    if not isinstance(conditions, list):
        raise InvalidPolicyDocument("Policy missing conditions.")
    found, size_min, size_max = [], 0, PUT_SIZE_MAX_BYTES
    for each in conditions:
        if _is_size_range(each):
            low, high = _size_range(each)
            size_min, size_max = max(size_min, low), min(size_max, high)
        else:
            found.append(_condition(each))
    return PostPolicy(
        expires_s=_expires_s(document.get("expiration")),
        conditions=tuple(found),
        size_min_bytes=size_min,
        size_max_bytes=size_max,
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name comes twice in one object")
    return made


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _expires_s(text: Any) -> int:
    found = _EXPIRATION.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise InvalidPolicyDocument("Invalid 'expiration' value.")
    year, month, day, hour, minute, second = found.groups()
    expires_s = parse_amz_date(f"{year}{month}{day}T{hour}{minute}{second}Z")
    if expires_s is None:
        raise InvalidPolicyDocument("Invalid 'expiration' value.")
    return expires_s


def _condition(given: Any) -> Condition:
    if isinstance(given, dict):
        if len(given) != 1:
            raise InvalidPolicyDocument(
                "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."
            )
        ((name, value),) = given.items()
        return _checked(name, value, is_prefix=False)
    if not isinstance(given, list) or len(given) != 3 or not isinstance(given[0], str):
        raise InvalidPolicyDocument("Invalid Condition.")
    operation, name, value = given
    if operation.lower() not in {"eq", "starts-with"}:
        raise InvalidPolicyDocument(f"Unknown operation {operation[:64]!r}.")
    if not isinstance(name, str) or not name.startswith("$"):
        raise InvalidPolicyDocument("A condition's field is named with a leading $.")
    return _checked(name[1:], value, is_prefix=operation.lower() == "starts-with")


def _checked(name: str, value: Any, *, is_prefix: bool) -> Condition:
    if not name or not isinstance(value, str):
        raise InvalidPolicyDocument("A condition takes the name of a field and a string.")
    return Condition(field=name.lower(), value=value, is_prefix=is_prefix)


def _is_size_range(given: Any) -> bool:
    return (
        isinstance(given, list)
        and bool(given)
        and isinstance(given[0], str)
        and given[0].lower() == "content-length-range"
    )


def _size_range(given: list[Any]) -> tuple[int, int]:
    if len(given) != 3:
        raise InvalidPolicyDocument("content-length-range takes two sizes.")
    low, high = _size(given[1]), _size(given[2])
    if low > high:
        raise InvalidPolicyDocument("content-length-range: the smaller size comes first.")
    return low, high


def _size(given: Any) -> int:
    if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) <= _SIZE_DIGITS_MAX:
        given = int(given)
    if not isinstance(given, int) or isinstance(given, bool) or given < 0:
        raise InvalidPolicyDocument("content-length-range takes two sizes.")
    return given
