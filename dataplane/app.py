"""The data plane's composition root: everything a process needs, built after its fork and passed down."""

import base64
import logging
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry

from dataplane.auth.identity import Credential, Identity, Role
from dataplane.auth.signing_keys import SigningKeys
from dataplane.auth.sigv4 import Authenticator
from dataplane.duties import ProcessDuties
from dataplane.endpoint import Endpoint
from dataplane.handlers.table import handler_table
from dataplane.health import Health
from dataplane.middleware.access_log import AccessLog
from dataplane.middleware.admission import Admission
from dataplane.middleware.cross_origin import CrossOrigin
from dataplane.middleware.measures import Measures, ProcessMeasures
from dataplane.middleware.rate_limits import RateLimits
from dataplane.middleware.read_only import ReadOnlySwitch
from dataplane.middleware.traces import Traces
from dataplane.passage import Ledger, RequestIds
from dataplane.plane import S3_LISTENER, Plane
from dataplane.server.certificates import Certificates
from dataplane.server.parking import Parking
from dataplane.settings import admission_limits, parked_count_max, rates, server_settings, trusted_proxies
from dataplane.wire.hosts import HostedBuckets
from engine.deployment.credentials import AccessCredential
from engine.deployment.following import Commit
from engine.deployment.opening import OpenDeployment, open_deployment
from engine.deployment.snapshots import Snapshot
from engine.logs import set_level
from engine.metadata import switches
from engine.telling.datagrams import Kind
from engine.telling.figures import figures_path
from engine.telling.process import ProcessTelling

_log = logging.getLogger("penstock.dataplane")


def build_plane(config: Path, *, version: str) -> Plane:
    """Open the deployment and wire a process; raises StartRefused, WrongKey, InvalidConfig and the like."""
    parking = Parking()
    opened = open_deployment(config, os.environ, plane="dataplane", version=version, park=parking.current)
    settings = opened.settings
    measures = Measures(CollectorRegistry())
    admission = Admission(admission_limits(settings))
    access_log = AccessLog(partial(os.write, sys.stdout.fileno()))
    rate_limits = RateLimits(rates(settings), now_s=time.monotonic)
    observed = ProcessMeasures(
        measures,
        admission=admission,
        rate_limits=rate_limits,
        access_log=access_log,
        degradations=opened.use.degradations,
        cache=opened.use.cache_counts,
        hedges=opened.use.hedge_counts,
    )
    telling = ProcessTelling(settings.node.node.state_dir, process="dataplane")
    traces = Traces(partial(telling.teller.tell, Kind.REQUEST))
    read_only = ReadOnlySwitch(partial(_is_read_only, opened))
    ledger = Ledger(
        measures=measures,
        access_log=access_log,
        traces=traces,
        bucket_uses=opened.bucket_uses,
        now_us=opened.clock.now_us,
    )
    endpoints = _Endpoints(
        opened, admission=admission, rate_limits=rate_limits, read_only=read_only, ledger=ledger
    )
    bounds = server_settings(settings)

    def tick() -> None:
        traces.wish = telling.tick()
        # Before what writes: a slow disk must not keep an operator's word from being heeded.
        read_only.look()
        opened.tick()
        observed.tick()

    def settle() -> None:
        ledger.settle()
        access_log.flush()

    def close() -> None:
        # What the last requests asked of buckets is still told to the database.
        settle()
        opened.close()
        settle()
        telling.close()

    tls = settings.node.listen.tls
    certificates = {} if tls is None else {S3_LISTENER: Certificates(tls)}
    endpoint = endpoints.of(opened.snapshot)
    health = Health(
        may_read=lambda: _may_read(opened),
        may_write=lambda: _may_write(opened, read_only),
        remembers_reads=lambda: opened.remembers_reads,
    )
    opened.obey(ProcessDuties(admission, health, os.environ))
    plane = Plane(
        endpoint=endpoint,
        parks=_parks(opened.snapshot, bounds.small_body_bytes),
        health=health,
        observer=observed,
        server_settings=bounds,
        parking=parking,
        certificates=certificates,
        reads_wait=opened.store.waits_for_network,
        control_figures=figures_path(settings.node.node.state_dir),
        tick=tick,
        settle=settle,
        close=close,
    )

    def put_in_force(snapshot: Snapshot, endpoint: Endpoint) -> None:
        settings = opened.settings_of(snapshot)
        admission.limit(admission_limits(settings))
        rate_limits.limit(rates(settings))
        parking.count_max = parked_count_max(settings)
        plane.serve_by(endpoint, parks=_parks(snapshot, bounds.small_body_bytes))

    # The first one is in force; what it asks for beside its endpoint is so now.
    put_in_force(opened.snapshot, endpoint)
    set_level(settings.live.telemetry.log_level)

    def prepare(snapshot: Snapshot) -> Commit:
        made = endpoints.of(snapshot)
        level, before = snapshot.live.telemetry.log_level, opened.snapshot.live.telemetry.log_level

        def commit() -> None:
            put_in_force(snapshot, made)
            if level != before:
                # Otherwise what somebody has set for a while stays.
                set_level(level)

        return commit

    opened.follow(prepare)
    scheme = "http" if tls is None else "https"
    _log.info(
        "dataplane.serving",
        extra={
            "version": version,
            "endpoint": f"{scheme}://{settings.node.listen.s3}",
            "generation": opened.generation,
            "unusable": ", ".join(_unusable(opened)) or "nothing",
        },
    )
    return plane


class _Endpoints:
    """Makes the endpoint of a snapshot over what a process has once."""

    def __init__(
        self,
        opened: OpenDeployment,
        *,
        admission: Admission,
        rate_limits: RateLimits,
        read_only: ReadOnlySwitch,
        ledger: Ledger,
    ) -> None:
        self._opened = opened
        self._admission = admission
        self._rate_limits = rate_limits
        self._read_only = read_only
        self._ledger = ledger
        self._credentials = _credentials(opened.find_identity)
        self._signing_keys = SigningKeys()
        self._cross_origin = CrossOrigin(opened.use.documents)
        self._hosts = HostedBuckets(opened.settings.node.listen.domains)
        self._request_ids = RequestIds()
        self._host_id = base64.b64encode(opened.instance_id).decode("ascii")

    def of(self, snapshot: Snapshot) -> Endpoint:
        settings = self._opened.settings_of(snapshot)
        region = snapshot.live.region
        authenticator = Authenticator(
            self._credentials,
            region=region,
            now_us=self._opened.clock.now_us,
            signing_keys=self._signing_keys,
        )
        return Endpoint(
            authenticator=authenticator,
            cross_origin=self._cross_origin,
            handlers=handler_table(snapshot.use, region=region),
            admission=self._admission,
            ledger=self._ledger,
            rate_limits=self._rate_limits,
            read_only=self._read_only,
            proxies=trusted_proxies(settings),
            hosts=self._hosts,
            held_bytes_max=snapshot.live.storage.inline_buffer_bytes,
            request_ids=self._request_ids,
            host_id=self._host_id,
            note_use=self._opened.last_uses.note_access_key,
        )


def _credentials(find: Callable[[str], AccessCredential | None]) -> Callable[[str], Credential | None]:
    """Access keys as the authenticator wants them, made anew only when the engine's record is another one."""
    made: dict[str, tuple[AccessCredential, Credential]] = {}

    def look_up(access_key_id: str) -> Credential | None:
        record = find(access_key_id)
        if record is None:
            made.pop(access_key_id, None)
            return None
        known = made.get(access_key_id)
        if known is not None and known[0] is record:
            return known[1]
        identity = Identity(
            name=record.identity,
            account_id=record.account_id,
            account=record.account,
            role=Role(record.role),
            buckets=record.buckets,
        )
        credential = Credential(access_key_id=access_key_id, secret=record.secret, identity=identity)
        made[access_key_id] = (record, credential)
        return credential

    return look_up


def _parks(snapshot: Snapshot, small_body_bytes: int) -> bool:
    """Whether small writes may run on the loop, which a network or the sync of a streamed body would hold up."""
    held_bytes_max = snapshot.live.storage.inline_buffer_bytes
    return held_bytes_max >= small_body_bytes and not any(
        each.needs_intents for each in snapshot.opened.backends
    )


def _may_read(opened: OpenDeployment) -> str | None:
    """A look at the database, which every read needs."""
    try:
        opened.store.read(lambda tx: tx.now_us())
    except Exception as error:  # whatever it is, nothing can be read
        return str(error)
    return None


def _is_read_only(opened: OpenDeployment) -> bool:
    rows = opened.store.look(switches.FIND, switches.READ_ONLY)
    return any(switches.read_switch(row).is_on for row in rows)


def _may_write(opened: OpenDeployment, read_only: ReadOnlySwitch) -> str | None:
    if read_only.is_on:
        return "the deployment is read-only"
    if len(_unusable(opened)) == len(opened.backends):
        return "no backend can be used"
    return opened.write_problem


def _unusable(opened: OpenDeployment) -> list[str]:
    problem_of = opened.health.problem_of
    return [each.name for each in opened.backends if problem_of(each.backend_id) is not None]
