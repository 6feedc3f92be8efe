"""Who may sign a presigned URL, with which key, and for which address."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from controlplane.presigned_urls import Endpoint, Presigning, presigned_url, read_endpoint
from engine.clock import Clock
from engine.deployment.ring import open_access_secret
from engine.errors import IdentityCannot, MalformedField
from engine.metadata import access_keys, identity_changes
from engine.metadata.access_keys import SeenAccessKey
from engine.metadata.buckets import find_bucket
from engine.metadata.identities import AccessKeyRow, find_access_key
from engine.metadata.store import Store, Tx
from engine.names import BucketName, ObjectKey
from engine.sealing.keyring import KeyRing
from engine.settings.node import ListenSettings

KEY_COUNT_MAX = 1000
"""Access keys of an identity that are looked at."""

WRITES = "PUT"
_EVERY_INTERFACE = ("", "0.0.0.0", "::")
_WRITERS = ("writer", "superuser")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a caller asks for. An empty `endpoint` is the node's own, an empty `version_id` the current version."""

    method: str
    bucket: BucketName
    key: ObjectKey
    version_id: str
    identity: str
    expires_s: int
    endpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Presigned:
    """A URL, and when it ends: with the key that signed it at the latest."""

    url: str
    access_key_id: str
    expires_at_us: int


class Presigner:
    """Signs as identities. Safe for many threads."""

    def __init__(
        self, store: Store, ring: KeyRing, clock: Clock, *, listen: ListenSettings, region: Callable[[], str]
    ) -> None:
        self._store = store
        self._ring = ring
        self._clock = clock
        self._listen = listen
        self._region = region

    def presign(self, wanted: Wanted) -> Presigned:
        """Raises NoSuchBucket, NoSuchResource, IdentityCannot, MalformedField, and what opens no secret."""
        endpoint = read_endpoint(wanted.endpoint) if wanted.endpoint else own_endpoint(self._listen)
        chosen = self._store.read(partial(_choose, wanted=wanted))
        now_s = self._clock.now_us() // 1_000_000
        expires_s = min(wanted.expires_s, chosen.expires_at_us // 1_000_000 - now_s)
        if expires_s < 1:
            raise IdentityCannot(identity=wanted.identity, why="its access key ends in this very second")
        order = Presigning(
            method=wanted.method,
            endpoint=endpoint,
            bucket=wanted.bucket,
            key=wanted.key,
            version_id=wanted.version_id,
            region=self._region(),
            access_key_id=chosen.access_key_id,
            secret=open_access_secret(self._ring, chosen.access_key_id, chosen.key_id, chosen.sealed_secret),
            now_s=now_s,
            expires_s=expires_s,
        )
        return Presigned(
            url=presigned_url(order),
            access_key_id=chosen.access_key_id,
            expires_at_us=(now_s + expires_s) * 1_000_000,
        )


def own_endpoint(listen: ListenSettings) -> Endpoint:
    """Where this node listens, as far as it can tell; raises MalformedField when that is no address for clients."""
    host = listen.s3.host
    if host in _EVERY_INTERFACE:
        host = listen.domains[0] if listen.domains else ""
    if not host or not listen.s3.port:
        raise MalformedField(
            "endpoint", "say where clients reach the S3 endpoint: its address here may be any, or any port"
        )
    bracketed = f"[{host}]" if ":" in host else host
    scheme = "http" if listen.tls is None else "https"
    return read_endpoint(f"{scheme}://{bracketed}:{listen.s3.port}")


def _choose(tx: Tx, wanted: Wanted) -> AccessKeyRow:
    """The usable key of the identity that lasts longest."""
    bucket = find_bucket(tx, wanted.bucket)
    identity = identity_changes.see_identity(tx, wanted.identity)
    settings = identity.settings
    if identity.account_id != bucket.account_id:
        _refuse(wanted, f"it acts for the account {identity.account!r}, the bucket is {bucket.account!r}'s")
    if settings.buckets is not None and bucket.name not in settings.buckets:
        _refuse(wanted, "it is held to other buckets")
    if wanted.method == WRITES and settings.role not in _WRITERS:
        _refuse(wanted, f"a {settings.role} writes nothing")
    keys = access_keys.see_access_keys(tx, identity=wanted.identity, after="", count_max=KEY_COUNT_MAX)
    usable = [each for each in keys if each.is_usable]
    if not usable:
        _refuse(wanted, "it has no access key that may be used")
    found = find_access_key(tx, max(usable, key=_end_us).access_key_id)
    assert found is not None, "it was read in the same transaction"
    return found


def _end_us(key: SeenAccessKey) -> int:
    return 2**62 if key.expires_at_us is None else key.expires_at_us


def _refuse(wanted: Wanted, why: str) -> NoReturn:
    raise IdentityCannot(identity=wanted.identity, why=why)
