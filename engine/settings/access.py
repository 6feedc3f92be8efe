"""Who may do what: identities of S3 clients, tokens of admins, and buckets that are there from the start."""

from typing import Annotated, Literal

from engine.settings.quantities import Absent, Bytes, SchemeText, SealingText, one_of
from engine.settings.secret import Secret
from engine.settings.section import Section
from engine.settings.texts import AccessKeyId, AccountText, BucketText, ResourceName, Sha256Hex


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
