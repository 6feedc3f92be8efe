"""The rows that a generation writes: accounts, identities, tokens, buckets, backends, workers.

All of it runs inside the transaction that commits the generation, and may be run again.
"""

import logging
from collections.abc import Iterator
from functools import partial

from engine.clock import Ids, us_of
from engine.deployment.ring import open_access_secret, seal_access_secret
from engine.errors import ConfigProblem, InvalidConfig, KeyUnavailable, NoSuchBucket, SealBroken
from engine.metadata import accounts, backends, buckets, deployments, identities, month_usage, workers
from engine.metadata.store import Store, Tx
from engine.records import BackendState, BackendTerms, Origin, Versioning
from engine.sealing.keyring import KeyRing
from engine.settings import LiveSettings
from engine.settings.access import BucketSettings, IdentitySettings
from engine.settings.running import WorkerSettings, WorkersSettings, rate_of
from engine.settings.storage import BackendSettings

TAKE_OUT = (
    "an operator removed it: take it out of the configuration; after that its name may stand for a new one"
)

FREED = "~"
"""Stands in no name of a configuration: behind it the old name of a removed backend has its id."""

_PAGE_COUNT_MAX = 500

_log = logging.getLogger("penstock.deployment")


def apply_live(tx: Tx, live: LiveSettings, *, node: str, ring: KeyRing, ids: Ids) -> None:
    """Make the rows say what the settings say.

    What the configuration names no more is disabled (identities, tokens), kept (buckets) or, when it holds no piece,
    removed (backends). Raises InvalidConfig for what contradicts rows that are there.
    """
    refuse_contradictions(tx, live)
    if _fence_what_goes(tx, live):
        refuse_contradictions(tx, live)
    _apply_backends(tx, live, node=node, ids=ids)
    apply_identities(tx, live, ring)
    for token in live.admin_tokens:
        identities.apply_admin_token(
            tx,
            name=token.name,
            role=token.role,
            sha256=bytes.fromhex(token.sha256),
            scopes=token.scopes,
            expires_at_us=None if token.expires is None else us_of(token.expires),
        )
    identities.disable_missing(
        tx,
        identities=[each.name for each in live.identities],
        tokens=[each.name for each in live.admin_tokens],
    )
    for bucket in live.buckets:
        _apply_bucket(tx, bucket)
    _apply_workers(tx, live.workers)


def refuse_contradictions(tx: Tx, live: LiveSettings) -> None:
    """Raise InvalidConfig with all that the rows do not allow; writes nothing."""
    problems = (*_backend_contradictions(tx, live), *_bucket_contradictions(tx, live))
    if problems:
        raise InvalidConfig(problems=problems)


def apply_identities(tx: Tx, live: LiveSettings, ring: KeyRing) -> None:
    """Identities with their keys, sealed anew. Raises InvalidConfig."""
    for each in live.identities:
        identities.apply_identity(
            tx,
            name=each.name,
            account_id=accounts.ensure_account(tx, each.account, Origin.CONFIG),
            role=each.role,
            buckets=each.buckets or None,
            access_key_id=each.access_key_id,
            sealed_secret=seal_access_secret(ring, each.access_key_id, each.secret_access_key.reveal()),
            key_id=ring.primary.key_id,
        )


def has_other_secret(tx: Tx, live: LiveSettings, ring: KeyRing) -> bool:
    """Whether a secret of the settings is not the one in its row: references may mean something else today."""
    return any(_differs(tx, each, ring) for each in live.identities)


def kept_buckets(store: Store, live: LiveSettings) -> list[str]:
    """Buckets that a configuration made and this one names no more."""
    named = {each.name for each in live.buckets}
    kept: list[str] = []
    after = ""
    while True:
        page = store.read(
            partial(buckets.list_buckets, account_id=None, after=after, count_max=_PAGE_COUNT_MAX)
        )
        if not page:
            return kept
        kept += [row.name for row in page if row.origin is Origin.CONFIG and row.name not in named]
        after = page[-1].name


def _differs(tx: Tx, settings: IdentitySettings, ring: KeyRing) -> bool:
    row = identities.find_access_key(tx, settings.access_key_id)
    if row is None:
        return True
    try:
        secret = open_access_secret(ring, row.access_key_id, row.key_id, row.sealed_secret)
    except (SealBroken, KeyUnavailable):
        return True
    return secret != settings.secret_access_key.reveal()


def _fence_what_goes(tx: Tx, live: LiveSettings) -> bool:
    """Let no commit name a piece on a backend that goes, from now until it is gone; whether one goes."""
    named = {each.name for each in live.backends}
    going = [
        row
        for row in backends.list_backends(tx)
        if row.name not in named and row.state is not BackendState.REMOVED
    ]
    for row in going:
        backends.fence_backend(tx, row.backend_id)
    return bool(going)


def _backend_contradictions(tx: Tx, live: LiveSettings) -> Iterator[ConfigProblem]:
    rows = {row.name: row for row in backends.list_backends(tx)}
    for index, each in enumerate(live.backends):
        row = rows.pop(each.name, None)
        if row is not None and row.kind != each.kind:
            message = f"{each.name!r} is of kind {row.kind}, which never changes"
            yield ConfigProblem(path=f"backends[{index}].kind", line=None, message=message)
    for row in rows.values():
        if row.state is not BackendState.REMOVED and backends.holds_pieces(tx, row.backend_id):
            message = (
                f"{row.name!r} holds pieces of objects and cannot go: put it back, "
                f"and empty it with `adminctl backend drain {row.name}` before it is taken out"
            )
            yield ConfigProblem(path="backends", line=None, message=message)


def _bucket_contradictions(tx: Tx, live: LiveSettings) -> Iterator[ConfigProblem]:
    for index, each in enumerate(live.buckets):
        try:
            bucket = buckets.find_bucket(tx, each.name)
        except NoSuchBucket:
            continue
        if bucket.origin is not Origin.CONFIG:
            message = f"{bucket.name!r} was made by a client: take it out of the configuration"
            yield ConfigProblem(path=f"buckets[{index}].name", line=None, message=message)
        elif bucket.account != each.account:
            message = f"{bucket.name!r} belongs to {bucket.account!r}, which never changes"
            yield ConfigProblem(path=f"buckets[{index}].account", line=None, message=message)


def _apply_backends(tx: Tx, live: LiveSettings, *, node: str, ids: Ids) -> None:
    rows = {row.name: row for row in backends.list_backends(tx)}
    for each in live.backends:
        row = rows.pop(each.name, None)
        if row is not None and backends.was_removed(tx, row):
            # Its name is free for a new one once a configuration has not named it.
            _log.warning("deployment.backend_was_removed", extra={"backend": row.name, "hint": TAKE_OUT})
            continue
        backend_id = backends.ensure_backend(
            tx,
            name=each.name,
            kind=each.kind,
            node=each.node if each.kind == "volume" else None,
            failure_domain=each.failure_domain,
            identity_id=ids(),
            quota_bytes=each.quota_bytes,
        )
        backends.set_terms(tx, backend_id, _terms(each))
        month_usage.set_limits(tx, backend_id, each.limits.amounts)
        if row is not None and row.state is BackendState.REMOVED:
            backends.set_state(tx, backend_id, BackendState.ACTIVE, reason=None)
    for row in rows.values():
        month_usage.set_limits(tx, row.backend_id, {})
        if row.state is not BackendState.REMOVED:
            backends.set_state(tx, row.backend_id, BackendState.REMOVED, reason="gone from the configuration")
        elif backends.was_removed(tx, row) and FREED not in row.name:
            backends.rename_backend(tx, row.backend_id, f"{row.name}{FREED}{row.backend_id}")
    if any(each.kind == "volume" for each in live.backends):
        deployments.set_node(tx, node)


def _terms(settings: BackendSettings) -> BackendTerms:
    return BackendTerms(
        weight=settings.weight,
        cost_per_gib=settings.cost.per_gib,
        cost_per_million_requests=settings.cost.per_million_requests,
        object_bytes_max=settings.object_bytes_max,
    )


def _apply_bucket(tx: Tx, settings: BucketSettings) -> None:
    account_id = accounts.ensure_account(tx, settings.account, Origin.CONFIG)
    try:
        bucket = buckets.find_bucket(tx, settings.name)
    except NoSuchBucket:
        buckets.create_bucket(
            tx,
            name=settings.name,
            account_id=account_id,
            origin=Origin.CONFIG,
            scheme=settings.scheme,
            seal=settings.seal,
            quota_bytes=settings.quota_bytes,
            versioning=Versioning(settings.versioning),
        )
        return
    buckets.update_settings(
        tx, bucket, scheme=settings.scheme, seal=settings.seal, quota_bytes=settings.quota_bytes
    )
    if settings.versioning != Versioning.OFF.value:
        buckets.set_versioning(tx, settings.name, Versioning(settings.versioning))


def _apply_workers(tx: Tx, settings: WorkersSettings) -> None:
    """Rows of workers; one without an interval keeps what it has, and gets its own from whoever runs it first."""
    rows = {row.worker: row for row in workers.list_workers(tx)}
    for name in type(settings).model_fields:
        each = getattr(settings, name)
        if not isinstance(each, WorkerSettings):
            continue
        row = rows.get(name)
        before_s = None if row is None else row.standing.configured.interval_s
        interval_s = before_s if each.interval_s is None else each.interval_s
        if interval_s is not None:
            workers.apply_worker(
                tx, name, is_enabled=each.enabled, interval_s=interval_s, rate_bytes=rate_of(each)
            )
