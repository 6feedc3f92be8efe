"""Who may do what: identities of S3 clients, tokens of admins, and buckets that are there from the start."""

from typing import Annotated, Literal

from engine.settings.quantities import Absent, Bytes, Moment, SchemeText, SealingText, one_of
from engine.settings.secret import Secret
from engine.settings.section import Section
from engine.settings.texts import (
    AccessKeyId,
    AccountText,
    BucketText,
    CommonName,
    ResourceName,
    ScopeText,
    Sha256Hex,
    UriText,
)


class IdentitySettings(Section):
    """An S3 client."""

    name: ResourceName
    """Name of the identity, used once."""

    account: AccountText
    """Account it acts for: owner of the buckets it makes."""

    access_key_id: AccessKeyId
    """Access key id, used once."""

    secret_access_key: Secret
    """Secret key of at least 16 bytes; sealed wherever it is stored."""

    role: Annotated[Literal["reader", "writer", "superuser"], one_of("reader", "writer", "superuser")]
    """`reader` reads objects, `writer` changes them too, `superuser` may do everything within its account."""

    buckets: tuple[BucketText, ...] = ()
    """Buckets that it is held to, whatever its role. Default: all of its account."""


class AdminTokenSettings(Section):
    """A token for the control API."""

    name: ResourceName
    """Name of the token, used once."""

    role: Annotated[Literal["viewer", "operator", "admin"], one_of("viewer", "operator", "admin")]
    """`viewer` reads, `operator` runs what can be undone, `admin` everything."""

    sha256: Sha256Hex
    """SHA-256 of the token in hex; the token itself is kept by its user."""

    scopes: tuple[ScopeText, ...] | None = None
    """Methods it is held to, as `Service/Method` where `*` stands for any letters. Default: all of its role."""

    expires: Moment | None = None
    """When it ends, such as `2027-01-31T00:00:00Z`. Default: never."""


class AdminCertificateSettings(Section):
    """A client certificate that stands for a token at the control API, if `listen.control_tls.client_ca` trusts it."""

    name: ResourceName
    """Name of its owner, used once."""

    role: Annotated[Literal["viewer", "operator", "admin"], one_of("viewer", "operator", "admin")]
    """As of a token."""

    uri: UriText | None = None
    """URI that the certificate names (subject alternative name), such as `spiffe://example.org/ops`."""

    common_name: CommonName | None = None
    """Or the common name of its subject. Exactly one of both."""

    scopes: tuple[ScopeText, ...] | None = None
    """As of a token."""


class BucketSettings(Section):
    """A bucket that is there from the start."""

    name: BucketText
    """Bucket name."""

    account: AccountText
    """Owner."""

    scheme: SchemeText | None = None
    """Scheme of its objects. Default: the deployment's."""

    seal: SealingText | None = None
    """`none` or `all`. Default: the deployment's."""

    quota_bytes: Bytes | None = None
    """Most logical bytes in it. Default: no limit."""

    versioning: Annotated[Literal["off", "enabled", "suspended"], one_of("off", "enabled", "suspended")] = (
        "off"
    )
    """`enabled` or `suspended`, set again with every new generation. Default: `off`, which leaves it to clients."""

    dedup: Absent = None
    """Domain in which equal blobs are stored once."""
