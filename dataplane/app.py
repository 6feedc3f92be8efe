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
from dataplane.endpoint import Endpoint
from dataplane.handlers.table import handler_table
from dataplane.health import Health
from dataplane.middleware.access_log import AccessLog
from dataplane.middleware.admission import Admission
from dataplane.middleware.cross_origin import CrossOrigin
from dataplane.middleware.measures import Measures, ProcessMeasures
from dataplane.middleware.rate_limits import RateLimits
from dataplane.passage import Ledger
from dataplane.plane import S3_LISTENER, Plane
from dataplane.server.certificates import Certificates
from dataplane.server.parking import Parking
from dataplane.settings import admission_limits, rates, server_settings, trusted_proxies
from dataplane.wire.hosts import HostedBuckets
from engine.deployment.credentials import AccessCredential
from engine.deployment.opening import OpenDeployment, open_deployment

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
    )
    authenticator = Authenticator(
        _credentials(opened.find_identity),
        region=settings.live.region,
        now_us=opened.clock.now_us,
        signing_keys=SigningKeys(),
    )
    ledger = Ledger(measures=measures, access_log=access_log, now_us=opened.clock.now_us)
    endpoint = Endpoint(
        authenticator=authenticator,
        cross_origin=CrossOrigin(opened.use.documents),
        handlers=handler_table(opened.use, region=settings.live.region),
        admission=admission,
        ledger=ledger,
        rate_limits=rate_limits,
        proxies=trusted_proxies(settings),
        hosts=HostedBuckets(settings.node.listen.domains),
        held_bytes_max=settings.live.storage.inline_buffer_bytes,
        host_id=base64.b64encode(opened.instance_id).decode("ascii"),
    )

    def tick() -> None:
        opened.tick()
        observed.tick()

    def settle() -> None:
        ledger.settle()
        access_log.flush()

    def close() -> None:
        opened.close()
        settle()

    tls = settings.node.listen.tls
    certificates = {} if tls is None else {S3_LISTENER: Certificates(tls)}
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
    bounds = server_settings(settings)
    return Plane(
        endpoint=endpoint,
        health=Health(
            may_read=lambda: _may_read(opened),
            may_write=lambda: _may_write(opened),
            remembers_reads=opened.remembers_reads,
        ),
        observer=observed,
        server_settings=bounds,
        parking=parking if _waits_for_commits_alone(opened, bounds.small_body_bytes) else None,
        certificates=certificates,
        reads_wait=opened.store.waits_for_network,
        tick=tick,
        settle=settle,
        close=close,
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


def _waits_for_commits_alone(opened: OpenDeployment, small_body_bytes: int) -> bool:
    """Whether small writes may run on the loop, which a network or the sync of a streamed body would hold up."""
    held_bytes_max = opened.settings.live.storage.inline_buffer_bytes
    return held_bytes_max >= small_body_bytes and not any(each.needs_intents for each in opened.backends)


def _may_read(opened: OpenDeployment) -> str | None:
    """A look at the database, which every read needs."""
    try:
        opened.store.read(lambda tx: tx.now_us())
    except Exception as error:  # whatever it is, nothing can be read
        return str(error)
    return None


def _may_write(opened: OpenDeployment) -> str | None:
    if len(_unusable(opened)) == len(opened.backends):
        return "no backend can be used"
    return opened.write_problem


def _unusable(opened: OpenDeployment) -> list[str]:
    problem_of = opened.health.problem_of
    return [each.name for each in opened.backends if problem_of(each.backend_id) is not None]
