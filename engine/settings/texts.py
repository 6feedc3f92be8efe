"""Types of single texts: names of nodes, accounts, backends and buckets, access keys, digests."""

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator

from engine.errors import InvalidBucketName
from engine.names import AccountName, BackendName, BucketName, bucket_name
from engine.settings.quantities import refuse


def _text(pattern: str, form: str) -> Callable[[Any], str]:
    compiled = re.compile(pattern)

    def check(value: Any) -> str:
        if not isinstance(value, str) or compiled.fullmatch(value) is None:
            refuse(form)
        return str(value)

    return check


def _bucket(value: Any) -> BucketName:
    if not isinstance(value, str):
        refuse("a bucket name is text")
    try:
        return bucket_name(str(value))
    except InvalidBucketName:
        refuse("not a valid bucket name: 3 to 63 of a-z, 0-9, dot and dash (S3's naming rules)")


_NAME_FORM = "a name is 1 to 63 of a-z, 0-9 and dash, and begins with a letter or digit"

NodeName = Annotated[str, BeforeValidator(_text(r"[a-z0-9][a-z0-9-]{0,62}", _NAME_FORM))]
BackendText = Annotated[BackendName, BeforeValidator(_text(r"[a-z0-9][a-z0-9-]{0,62}", _NAME_FORM))]
ResourceName = Annotated[str, BeforeValidator(_text(r"[a-z0-9][a-z0-9-]{0,62}", _NAME_FORM))]
BucketText = Annotated[BucketName, BeforeValidator(_bucket)]
AccountText = Annotated[
    AccountName,
    BeforeValidator(
        _text(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}", "an account is 1 to 63 of letters, digits and . _ @ -")
    ),
]
DomainName = Annotated[
    str,
    BeforeValidator(
        _text(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,126}", "a failure domain is letters, digits and . _ : / -")
    ),
]
HostDomain = Annotated[
    str,
    BeforeValidator(
        _text(
            r"(?=.{1,190}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*",
            "a domain is a name in DNS in lower case, such as s3.example.org, without port",
        )
    ),
]


def _network(value: Any) -> str:
    try:
        return str(ipaddress.ip_network(value)) if isinstance(value, str) else refuse(_NETWORK_FORM)
    except ValueError:
        refuse(_NETWORK_FORM)


_NETWORK_FORM = "a network is an address, or such as 10.0.0.0/8 or fd00::/8 with nothing set behind its bits"
NetworkText = Annotated[str, BeforeValidator(_network)]
RegionName = Annotated[
    str, BeforeValidator(_text(r"[a-z0-9][a-z0-9-]{0,31}", "a region is 1 to 32 of a-z, 0-9 and dash"))
]
AccessKeyId = Annotated[
    str,
    BeforeValidator(
        _text(
            r"[A-Za-z0-9_.-]{3,128}", "an access key id is 3 to 128 of letters, digits and _ . - (in quotes)"
        )
    ),
]
Sha256Hex = Annotated[
    str,
    BeforeValidator(
        _text(
            r"[0-9a-f]{64}",
            "expected the SHA-256 of the token as 64 lower-case hex digits, never the token itself",
        )
    ),
]
