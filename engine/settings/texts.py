"""Types of single texts: names of nodes, accounts, backends and buckets, access keys, digests."""

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator

from engine.errors import InvalidBucketName
from engine.names import ACCOUNT_ID, RESOURCE_ID, SCOPE, AccountName, BackendName, BucketName, bucket_name
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

NodeName = Annotated[str, BeforeValidator(_text(RESOURCE_ID.pattern, _NAME_FORM))]
BackendText = Annotated[BackendName, BeforeValidator(_text(RESOURCE_ID.pattern, _NAME_FORM))]
ResourceName = Annotated[str, BeforeValidator(_text(RESOURCE_ID.pattern, _NAME_FORM))]
BucketText = Annotated[BucketName, BeforeValidator(_bucket)]
AccountText = Annotated[
    AccountName,
    BeforeValidator(_text(ACCOUNT_ID.pattern, "an account is 1 to 63 of letters, digits and . _ @ -")),
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
UriText = Annotated[
    str,
    BeforeValidator(
        _text(r"[A-Za-z][A-Za-z0-9+.-]{0,31}:[!-~]{1,500}", "a URI is such as spiffe://example.org/ops")
    ),
]
CommonName = Annotated[
    str, BeforeValidator(_text(r"[^\x00-\x1f\x7f]{1,64}", "a common name has 1 to 64 printable characters"))
]
HttpEndpoint = Annotated[
    str,
    BeforeValidator(
        _text(
            r"https?://([A-Za-z0-9._-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]{0,200})?",
            "an endpoint is http:// or https://, a host, maybe a port and a path, such as http://127.0.0.1:4318",
        )
    ),
]
TargetText = Annotated[
    str,
    BeforeValidator(_text(r"[a-z0-9][a-z0-9-]{0,62}", "a target is 1 to 63 of a-z, 0-9 and dash")),
]
StoreBucketText = Annotated[
    str,
    BeforeValidator(
        _text(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", "a bucket of a store is letters, digits and . _ -")
    ),
]
PrefixText = Annotated[
    str,
    BeforeValidator(
        _text(
            r"(?=.{1,200}\Z)(?!\.)[A-Za-z0-9._-]+(/(?!\.)[A-Za-z0-9._-]+)*",
            "a prefix is letters, digits and . _ - with single slashes between, such as penstock/near",
        )
    ),
]
StoreKeyId = Annotated[
    str,
    BeforeValidator(
        _text(r"[A-Za-z0-9_.+=@-]{1,256}", "an access key id is letters, digits and _ . + = @ - (in quotes)")
    ),
]
ProfileText = Annotated[
    str, BeforeValidator(_text(r"[A-Za-z0-9_.@-]{1,128}", "a profile is letters, digits and _ . @ -"))
]
ScopeText = Annotated[
    str,
    BeforeValidator(
        _text(
            SCOPE.pattern,
            "a scope is `Service/Method`, where * stands for any letters, such as WorkerService/* or */Get*",
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
